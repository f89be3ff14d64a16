//! When the source is visited and what is sent afterwards.

use std::time::Duration;

use super::steady::Elapsed;

/// The schedule of pulses. A *round* is what waited when the source had been visited; what changes
/// later waits for the next pulse, so that a route is sent at most once per pulse.
#[derive(Debug)]
pub(super) struct Rounds {
    interval: Duration,
    next: Elapsed,
    visit_due: bool,
    round_due: bool,
    /// How many of the waiting routes belong to the present round.
    pub(super) left: usize,
}

impl Rounds {
    /// A schedule whose first pulse is due at once.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: Elapsed::START.plus(interval),
            visit_due: true,
            round_due: false,
            left: 0,
        }
    }

    pub(super) fn next(&self) -> Elapsed {
        self.next
    }

    pub(super) fn tick(&mut self, now: Elapsed) {
        if now < self.next {
            return;
        }
        self.visit_due = true;
        self.next = self.next.plus(self.interval);
        if self.next <= now {
            // Pulses that were slept through are not made up for.
            self.next = now.plus(self.interval);
        }
    }

    /// Visits the source now; the next pulse is one interval away.
    pub(super) fn visit_now(&mut self, now: Elapsed) {
        self.visit_due = true;
        self.next = now.plus(self.interval);
    }

    pub(super) fn is_visit_due(&self) -> bool {
        self.visit_due
    }

    /// Whether everything of the last round has been put into batches.
    pub(super) fn is_idle(&self) -> bool {
        !self.visit_due && !self.round_due && self.left == 0
    }

    /// Takes the visit that is due, which opens a round.
    pub(super) fn take_visit(&mut self) -> bool {
        let due = std::mem::take(&mut self.visit_due);
        self.round_due |= due;
        due
    }

    /// Sends what waits without visiting the source: it belongs to a pulse that is over.
    pub(super) fn reopen(&mut self) {
        self.round_due = true;
    }

    /// If a round is to be opened, it holds the `waiting` routes.
    pub(super) fn open(&mut self, waiting: usize) {
        if std::mem::take(&mut self.round_due) {
            self.left = waiting;
        }
    }
}
