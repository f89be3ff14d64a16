//! Snapshots: a copy of the whole state for people to look at, changing nothing.

use std::sync::atomic::Ordering::Relaxed;

use atrion_core::breaker::RouteState;
use atrion_core::law::{BreakerMode, Gate, Phase};
use atrion_core::time::Timestamp;

use super::{CONGESTED, Cell, Counts, Force, HELD, OPEN, SHADOW};
use crate::shed::Parts;

/// A copy of a cell's state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(crate) mode: BreakerMode,
    pub(crate) held: bool,
    pub(crate) shadow: bool,
    pub(crate) congested: bool,
    pub(crate) forced: Option<(Force, Timestamp)>,
    pub(crate) parts: Parts,
    pub(crate) gate: Gate,
    pub(crate) ground_volts: f64,
    pub(crate) own_scar: f64,
    pub(crate) reported: Option<RouteState>,
    pub(crate) phase: Phase,
    pub(crate) parallelism: Option<f64>,
    pub(crate) service_secs: Option<f64>,
    pub(crate) capacity_rate: Option<f64>,
    pub(crate) error_rate: f64,
    pub(crate) next_probe: Option<Timestamp>,
    pub(crate) counts: Counts,
    pub(crate) last_done: Timestamp,
}

impl Cell {
    /// Copies the state. Holds the lock for as long as that takes, some tens of nanoseconds; the
    /// requests of that moment go on with what is published, as they do beside a tick.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let control = self.control.load(Relaxed);
        let met = self.met();
        let closed_off = control & (OPEN | HELD) != 0;
        let next_probe = Timestamp::from_nanos(self.next_probe.load(Relaxed));
        let (parts, counts) = (self.parts(&met), self.counts());
        let inner = self.inner();
        let element = &inner.element;
        Snapshot {
            mode: if control & OPEN != 0 { BreakerMode::Open } else { BreakerMode::Closed },
            held: control & HELD != 0,
            shadow: control & SHADOW != 0,
            congested: control & CONGESTED != 0,
            forced: inner.force,
            parts,
            gate: met.gate,
            ground_volts: met.ground,
            own_scar: element.breaker().scar(),
            reported: inner.reported.as_deref().copied(),
            phase: element.phase(),
            parallelism: element.parallelism(),
            service_secs: element.service_secs(),
            capacity_rate: element.capacity_rate(),
            error_rate: element.breaker().error_rate(),
            next_probe: closed_off.then_some(next_probe),
            counts,
            last_done: self.last_done(),
        }
    }
}
