//! The breaker of the crate `recloser`, restated.
//!
//! Source: its documentation and behaviour, version 1.4. It reads the machine's clock where it
//! decides how long to stay open, so it cannot be driven by simulated time; a test here compares
//! this one with the crate, call by call. Published settings (`Recloser::default`): a ring of 100
//! results, and open at half of them failed, from the 101st result on; 30 s open; then a ring of 10,
//! judged from the 11th result on. Half open, every call passes. Calls have the callers' deadline
//! as timeout.

use std::collections::VecDeque;

use atrion_core::time::Timestamp;

use super::deadlines::Deadlines;
use super::{Arrival, Completion, Outcome, Policy, Verdict};

/// Settings of [`Recloser`].
#[derive(Clone, Copy, Debug)]
pub struct RecloserSettings {
    /// Results remembered while closed: 100.
    pub closed_len: usize,
    /// Results remembered while half open: 10.
    pub half_open_len: usize,
    /// Share of failures at which it opens, and below or at which it closes again: 0.5.
    pub error_rate: f64,
    /// Seconds that it stays open: 30.
    pub open_secs: f64,
    /// A call that takes longer is a failure, in seconds.
    pub timeout_secs: f64,
}

impl RecloserSettings {
    /// The published settings, around calls with this timeout.
    pub const fn published(timeout_secs: f64) -> Self {
        Self { closed_len: 100, half_open_len: 10, error_rate: 0.5, open_secs: 30.0, timeout_secs }
    }
}

/// The last results; `true` is a failure.
#[derive(Clone, Debug)]
struct Ring {
    len: usize,
    results: VecDeque<bool>,
    failures: usize,
}

impl Ring {
    fn new(len: usize) -> Self {
        Self { len: len.max(1), results: VecDeque::new(), failures: 0 }
    }

    /// Takes in a result; the share of failures, if the ring was full before.
    fn push(&mut self, failed: bool) -> Option<f64> {
        let full = self.results.len() == self.len;
        if full && self.results.pop_front() == Some(true) {
            self.failures -= 1;
        }
        self.results.push_back(failed);
        self.failures += usize::from(failed);
        full.then(|| self.failures as f64 / self.len as f64)
    }
}

#[derive(Clone, Debug)]
enum State {
    Closed(Ring),
    Open { until: Timestamp },
    HalfOpen(Ring),
}

/// The policy.
#[derive(Clone, Debug)]
pub struct Recloser {
    settings: RecloserSettings,
    state: State,
    deadlines: Deadlines,
    transitions: u32,
}

impl Recloser {
    /// Closed.
    pub fn new(settings: RecloserSettings) -> Self {
        Self {
            settings,
            state: State::Closed(Ring::new(settings.closed_len)),
            deadlines: Deadlines::new(settings.timeout_secs),
            transitions: 0,
        }
    }

    fn note(&mut self, now: Timestamp, failed: bool) {
        let limit = self.settings.error_rate;
        match &mut self.state {
            State::Closed(ring) => {
                if ring.push(failed).is_some_and(|rate| rate >= limit) {
                    self.state = State::Open { until: now.add_secs(self.settings.open_secs) };
                    self.transitions += 1;
                }
            }
            State::HalfOpen(ring) => match ring.push(failed) {
                Some(rate) if failed && rate >= limit => {
                    self.state = State::Open { until: now.add_secs(self.settings.open_secs) }
                }
                Some(rate) if !failed && rate <= limit => {
                    self.state = State::Closed(Ring::new(self.settings.closed_len));
                    self.transitions += 1;
                }
                _ => {}
            },
            State::Open { .. } => {}
        }
    }

    fn give_up(&mut self, now: Timestamp) {
        while let Some(due) = self.deadlines.expired(now) {
            self.note(due, true);
        }
    }
}

impl Policy for Recloser {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.give_up(arrival.now);
        if let State::Open { until } = self.state {
            if arrival.now <= until {
                return Verdict::Refuse;
            }
            self.state = State::HalfOpen(Ring::new(self.settings.half_open_len));
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
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::policy::testing::{arrival, failure, success};

    fn call(policy: &mut Recloser, at: f64, ok: bool) -> bool {
        let admitted = policy.arrive(&arrival(at, 0)) == Verdict::Admit;
        if admitted {
            policy.done(&if ok { success(at, 0, 0.01) } else { failure(at, 0) });
        }
        admitted
    }

    /// One call of the real one; whether it was let through.
    fn real_call(real: &recloser::Recloser, ok: bool) -> bool {
        let result = real.call(|| if ok { Ok(()) } else { Err(()) });
        !matches!(result, Err(recloser::Error::Rejected))
    }

    #[test]
    fn the_published_settings() {
        let mut policy = Recloser::new(RecloserSettings::published(1.0));
        for i in 0..100 {
            assert!(call(&mut policy, 1.0, i % 2 == 0), "result {i} fills the ring");
        }
        assert!(call(&mut policy, 1.0, false), "the 101st is judged");
        assert!(!call(&mut policy, 31.0, true), "30 s have to be over");
        for i in 0..10 {
            assert!(call(&mut policy, 31.1, true), "{i}");
        }
        assert_eq!(policy.transitions(), 1, "the eleventh is judged");
        assert!(call(&mut policy, 31.2, true));
        assert_eq!(policy.transitions(), 2);
    }

    proptest! {
        /// Any sequence of results: the crate and this one let the same calls through. The crate
        /// stays open for no time at all, or for longer than the test takes.
        #[test]
        fn it_decides_as_the_crate_does(
            results in prop::collection::vec(any::<bool>(), 1..200),
            closed_len in 1_usize..12,
            half_open_len in 1_usize..6,
            rate in prop::sample::select(vec![0.25_f32, 0.5, 0.75]),
            reopens in any::<bool>(),
        ) {
            let wait = if reopens { Duration::ZERO } else { Duration::from_secs(3600) };
            let real = recloser::Recloser::custom()
                .closed_len(closed_len)
                .half_open_len(half_open_len)
                .error_rate(rate)
                .open_wait(wait)
                .build();
            let open_secs = if reopens { 0.0 } else { 3600.0 };
            let error_rate = f64::from(rate);
            let settings = RecloserSettings {
                closed_len,
                half_open_len,
                error_rate,
                open_secs,
                ..RecloserSettings::published(1.0)
            };
            let mut ours = Recloser::new(settings);
            for (step, ok) in results.iter().enumerate() {
                let at = step as f64 / 1000.0;
                let mut passed = real_call(&real, *ok);
                // The machine's clock may show the same time twice; then it is still open.
                while reopens && !passed {
                    passed = real_call(&real, *ok);
                }
                prop_assert_eq!(call(&mut ours, at, *ok), passed, "call {}", step);
            }
        }
    }
}
