//! The breaker of the crate `tower-resilience-circuitbreaker`, restated.
//!
//! Source: its documentation and behaviour, version 0.14. It reads the machine's clock where it
//! decides, so it cannot be driven by simulated time; a test here compares this one with the crate,
//! call by call. Published settings (the builder's defaults): open at half of at least 100 calls
//! failed, 30 s open, one call then decides. Calls have the callers' deadline as timeout.
//!
//! Of its count-based window the size is only what is waited for: all calls since the last change
//! of state count, and while it is open, what still comes back does, too. A result is taken for one of the
//! present state whenever its call began, so a late failure reopens what a probe is just trying.

use atrion_core::time::Timestamp;

use super::deadlines::Deadlines;
use super::{Arrival, Completion, Outcome, Policy, Verdict};

/// Settings of [`TowerBreaker`].
#[derive(Clone, Copy, Debug)]
pub struct TowerBreakerSettings {
    /// Calls before anything is decided: 100.
    pub window: usize,
    /// Share of failures at which it opens: 0.5.
    pub failure_rate: f64,
    /// Seconds that it stays open: 30.
    pub open_secs: f64,
    /// Calls let through when it is half open, and successes needed to close: 1.
    pub half_open_calls: usize,
    /// A call that takes longer is a failure, in seconds.
    pub timeout_secs: f64,
}

impl TowerBreakerSettings {
    /// The published settings, around calls with this timeout.
    pub const fn published(timeout_secs: f64) -> Self {
        Self { window: 100, failure_rate: 0.5, open_secs: 30.0, half_open_calls: 1, timeout_secs }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Closed,
    Open { until: Timestamp },
    HalfOpen { let_through: usize },
}

/// The policy.
#[derive(Clone, Debug)]
pub struct TowerBreaker {
    settings: TowerBreakerSettings,
    state: State,
    successes: usize,
    failures: usize,
    deadlines: Deadlines,
    transitions: u32,
}

impl TowerBreaker {
    /// Closed.
    pub const fn new(settings: TowerBreakerSettings) -> Self {
        Self {
            settings,
            state: State::Closed,
            successes: 0,
            failures: 0,
            deadlines: Deadlines::new(settings.timeout_secs),
            transitions: 0,
        }
    }

    fn enter(&mut self, state: State) {
        // Half open is a way to the other two, not a mode that callers see.
        let was_closed = self.state == State::Closed;
        self.transitions += u32::from(was_closed || state == State::Closed);
        self.state = state;
        (self.successes, self.failures) = (0, 0);
    }

    fn open(&mut self, now: Timestamp) {
        self.enter(State::Open { until: now.add_secs(self.settings.open_secs) });
    }

    fn note(&mut self, now: Timestamp, failed: bool) {
        if failed {
            self.failures += 1;
        } else {
            self.successes += 1;
        }
        match self.state {
            State::Closed => {
                let calls = self.successes + self.failures;
                let rate = self.failures as f64 / calls as f64;
                if calls >= self.settings.window && rate >= self.settings.failure_rate {
                    self.open(now);
                }
            }
            State::HalfOpen { .. } if failed => self.open(now),
            State::HalfOpen { .. } if self.successes >= self.settings.half_open_calls => {
                self.enter(State::Closed);
            }
            State::HalfOpen { .. } | State::Open { .. } => {}
        }
    }

    fn give_up(&mut self, now: Timestamp) {
        while let Some(due) = self.deadlines.expired(now) {
            self.note(due, true);
        }
    }
}

impl Policy for TowerBreaker {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.give_up(arrival.now);
        if let State::Open { until } = self.state
            && arrival.now >= until
        {
            self.enter(State::HalfOpen { let_through: 0 });
        }
        match &mut self.state {
            State::Closed => {}
            State::HalfOpen { let_through } if *let_through < self.settings.half_open_calls => {
                *let_through += 1;
            }
            State::Open { .. } | State::HalfOpen { .. } => return Verdict::Refuse,
        }
        self.deadlines.begin(arrival.now, arrival.slot);
        Verdict::Admit
    }

    fn done(&mut self, completion: &Completion) {
        self.give_up(completion.now);
        if self.deadlines.end(completion.slot) {
            self.note(completion.now, completion.outcome == Outcome::Failure);
        }
    }

    fn transitions(&self) -> u32 {
        self.transitions
    }
}

#[cfg(test)]
mod tests;
