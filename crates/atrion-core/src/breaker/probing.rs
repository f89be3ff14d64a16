//! When an open circuit lets a request look.

use crate::config::PhysicsConfig;
use crate::math;
use crate::time::Timestamp;
use crate::units::UnitInterval;

/// A probe that has not returned after this many full waits no longer holds its place.
const LOST_AFTER_WAITS: f64 = 4.0;
/// At most two to this power probes are outstanding.
const DOUBLINGS_MAX: u8 = 6;
/// Most probes of one round.
pub(super) const PROBES_MAX: u32 = 1 << DOUBLINGS_MAX;

/// The probing of an open circuit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probing {
    next: Timestamp,
    lost_at: Timestamp,
    wait_secs: f64,
    good_in_a_row: u8,
    outstanding: u8,
}

impl Probing {
    /// Starts over: one probe, after a full wait. `draw` spreads the wait by 20 % either way, so
    /// that many nodes do not look together.
    pub(super) fn start(now: Timestamp, draw: UnitInterval, config: &PhysicsConfig) -> Self {
        let wait_secs = config.probe_secs() * (0.8 + 0.4 * draw.get());
        Self {
            next: now.add_secs(wait_secs),
            lost_at: Timestamp::MAX,
            wait_secs,
            good_in_a_row: 0,
            outstanding: 0,
        }
    }

    /// When the next probe may pass.
    pub const fn next(&self) -> Timestamp {
        self.next
    }

    /// Probes that have not returned.
    pub const fn outstanding(&self) -> u8 {
        self.outstanding
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        now >= self.next && (self.outstanding < self.places() || now >= self.lost_at)
    }

    pub(super) fn begin(self, now: Timestamp, config: &PhysicsConfig) -> Option<Self> {
        if !self.is_due(now) {
            return None;
        }
        // All places taken and yet due: those probes are lost, hung or leaked.
        let outstanding = if self.outstanding < self.places() { self.outstanding } else { 0 };
        Some(Self {
            outstanding: outstanding.saturating_add(1),
            lost_at: now.add_secs(LOST_AFTER_WAITS * config.probe_secs()),
            ..self
        })
    }

    pub(super) fn succeeded(self, now: Timestamp) -> Self {
        let wait_secs = self.wait_secs * 0.5;
        Self {
            next: now.add_secs(wait_secs),
            wait_secs,
            good_in_a_row: self.good_in_a_row.saturating_add(1).min(DOUBLINGS_MAX),
            outstanding: self.outstanding.saturating_sub(1),
            ..self
        }
    }

    pub(super) fn cancelled(self) -> Self {
        Self { outstanding: self.outstanding.saturating_sub(1), ..self }
    }

    /// The clock stepped back: no wait may end later than one that begins now.
    pub(super) fn rebase(self, now: Timestamp, config: &PhysicsConfig) -> Self {
        let full = math::max(self.wait_secs, 0.0);
        Self {
            next: self.next.min(now.add_secs(full)),
            lost_at: self.lost_at.min(now.add_secs(LOST_AFTER_WAITS * config.probe_secs())),
            ..self
        }
    }

    const fn places(&self) -> u8 {
        1 << self.good_in_a_row
    }
}
