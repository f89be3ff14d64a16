//! The breaker of the crate `failsafe`.
//!
//! It reads time through a module of its own (`failsafe::clock`, hidden from its documentation)
//! that can be frozen for a closure and advanced: every call into the crate happens at simulated
//! time.
//!
//! Settings: those of `Config::new`. It opens after five consecutive failures, or when less than
//! 80 % of 30 s of at least five requests succeeded, and waits 10 s to 300 s, doubling, half of it
//! jittered. Only the source of the jitter differs: the crate's is the thread's generator, which
//! cannot be seeded, so an iterator with the same distribution is passed in. Its calls have the
//! callers' deadline as timeout.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ::failsafe::failure_policy::{
    ConsecutiveFailures, OrElse, SuccessRateOverTimeWindow, consecutive_failures,
    success_rate_over_time_window,
};
use ::failsafe::{Config, FailurePolicy as _, Instrument, StateMachine, clock};
use atrion_core::time::Timestamp;

use crate::policy::deadlines::Deadlines;
use crate::policy::{Arrival, Completion, Outcome, Policy, Verdict};
use crate::rng::Rng;

const REQUIRED_SUCCESS_RATE: f64 = 0.8;
const LEAST_REQUESTS: u32 = 5;
const WINDOW: Duration = Duration::from_secs(30);
const CONSECUTIVE_FAILURES: u32 = 5;
const FIRST_WAIT_SECS: u64 = 10;
const LONGEST_WAIT_SECS: u64 = 300;

/// Far enough ahead of the machine's clock that frozen time only ever has to be advanced.
const AHEAD: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The crate's equal jitter, from a generator with a seed. Clones share it, as the crate's do.
#[derive(Clone, Debug)]
struct EqualJitter {
    doublings: u32,
    rng: Rc<RefCell<Rng>>,
}

impl Iterator for EqualJitter {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let secs = (FIRST_WAIT_SECS << self.doublings.min(30)).min(LONGEST_WAIT_SECS);
        self.doublings = self.doublings.saturating_add(1);
        let half = secs / 2;
        let jitter = (self.rng.borrow_mut().uniform() * (half + 1) as f64) as u64;
        Some(Duration::from_secs(half + jitter))
    }
}

/// Counts changes between letting pass and not; half open is a way, not a mode.
#[derive(Clone, Debug, Default)]
struct Modes(Rc<(Cell<bool>, Cell<u32>)>);

impl Modes {
    fn enter(&self, open: bool) {
        let (was_open, count) = &*self.0;
        if was_open.replace(open) != open {
            count.set(count.get() + 1);
        }
    }
}

impl Instrument for Modes {
    fn on_call_rejected(&self) {}

    fn on_open(&self) {
        self.enter(true);
    }

    fn on_half_open(&self) {}

    fn on_closed(&self) {
        self.enter(false);
    }
}

type Accrual = OrElse<SuccessRateOverTimeWindow<EqualJitter>, ConsecutiveFailures<EqualJitter>>;

/// The policy.
pub struct Failsafe {
    zero: Instant,
    machine: StateMachine<Accrual, Modes>,
    modes: Modes,
    deadlines: Deadlines,
}

impl Failsafe {
    /// The crate's own settings, around calls with this timeout. The seed is for the jitter.
    pub fn new(timeout_secs: f64, seed: u64) -> Self {
        let modes = Modes::default();
        let rng = Rc::new(RefCell::new(Rng::new(seed, 54)));
        let (zero, machine) = clock::freeze(|clock| {
            clock.advance(AHEAD);
            let jitter = || EqualJitter { doublings: 0, rng: Rc::clone(&rng) };
            let rate = success_rate_over_time_window(
                REQUIRED_SUCCESS_RATE,
                LEAST_REQUESTS,
                WINDOW,
                jitter(),
            );
            let accrual = rate.or_else(consecutive_failures(CONSECUTIVE_FAILURES, jitter()));
            let config = Config::new().failure_policy(accrual).instrument(modes.clone());
            (clock.now(), config.build())
        });
        Self { zero, machine, modes, deadlines: Deadlines::new(timeout_secs) }
    }

    /// Whether calls are let through as far as is known.
    pub fn is_open(&self) -> bool {
        self.modes.0.0.get()
    }

    fn at<T>(&self, now: Timestamp, act: impl FnOnce(&StateMachine<Accrual, Modes>) -> T) -> T {
        let now = self.zero + Duration::from_nanos(now.as_nanos());
        clock::freeze(|clock| {
            clock.advance(now.saturating_duration_since(clock.now()));
            act(&self.machine)
        })
    }

    fn give_up(&mut self, now: Timestamp) {
        while let Some(due) = self.deadlines.expired(now) {
            self.at(due, StateMachine::on_error);
        }
    }
}

impl Policy for Failsafe {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.give_up(arrival.now);
        if !self.at(arrival.now, StateMachine::is_call_permitted) {
            return Verdict::Refuse;
        }
        self.deadlines.begin(arrival.now, arrival.slot);
        Verdict::Admit
    }

    fn done(&mut self, completion: &Completion) {
        self.give_up(completion.now);
        if self.deadlines.end(completion.slot) {
            self.at(completion.now, |machine| match completion.outcome {
                Outcome::Success => machine.on_success(),
                Outcome::Failure => machine.on_error(),
            });
        }
    }

    fn transitions(&self) -> u32 {
        self.modes.0.1.get()
    }
}

impl std::fmt::Debug for Failsafe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Failsafe").field("open", &self.is_open()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{arrival, failure, success};

    /// Fails `count` calls at `at`.
    fn fail(policy: &mut Failsafe, at: f64, count: u32) {
        for slot in 0..count {
            assert_eq!(policy.arrive(&arrival(at, slot)), Verdict::Admit);
            policy.done(&failure(at, slot));
        }
    }

    /// The states of the crate's documentation in simulated time: five consecutive failures open
    /// it, for 5 s to 10 s at first; the next failure doubles that; a success closes it.
    #[test]
    fn it_waits_in_simulated_time() {
        let mut policy = Failsafe::new(1.0, 1);
        fail(&mut policy, 1.0, 4);
        assert!(!policy.is_open());
        fail(&mut policy, 1.0, 1);
        assert!(policy.is_open());
        assert_eq!(policy.arrive(&arrival(5.9, 0)), Verdict::Refuse, "before half of 10 s");
        fail(&mut policy, 11.1, 1);
        assert_eq!(policy.arrive(&arrival(21.0, 0)), Verdict::Refuse, "before half of 20 s");
        assert_eq!(policy.arrive(&arrival(31.2, 0)), Verdict::Admit);
        policy.done(&success(31.3, 0, 0.1));
        assert!(!policy.is_open());
        assert_eq!(policy.transitions(), 2);
    }

    /// The crate's default: below 80 % over 30 s. Nine in ten failing but never five in a row.
    #[test]
    fn a_low_success_rate_opens_it_once_the_window_is_over() {
        let mut policy = Failsafe::new(1.0, 1);
        let mut opened = None;
        for step in 0..400_u32 {
            let at = f64::from(step) / 10.0;
            if policy.arrive(&arrival(at, 0)) == Verdict::Refuse {
                opened = Some(at);
                break;
            }
            policy.done(&if step % 4 == 0 { success(at, 0, 0.01) } else { failure(at, 0) });
        }
        assert!(opened.is_some_and(|at| (30.0..30.5).contains(&at)), "{opened:?}");
    }

    #[test]
    fn a_call_that_hangs_is_a_failure_at_its_deadline() {
        let mut policy = Failsafe::new(0.5, 1);
        for slot in 0..5 {
            policy.arrive(&arrival(1.0, slot));
        }
        assert_eq!(policy.arrive(&arrival(1.4, 5)), Verdict::Admit);
        assert_eq!(policy.arrive(&arrival(1.6, 6)), Verdict::Refuse);
        policy.done(&success(9.0, 0, 8.0));
        assert!(policy.is_open(), "an answer after the deadline is nobody's");
    }

    /// The published sequence of equal jitter: at least half of 10, 20, 40, .. 300 s, at most all.
    #[test]
    fn the_jitter_keeps_half_of_the_doubling_wait() {
        let rng = Rc::new(RefCell::new(Rng::new(3, 54)));
        let waits = EqualJitter { doublings: 0, rng }.take(8);
        for (wait, full) in waits.zip([10, 20, 40, 80, 160, 300, 300, 300]) {
            assert!((full / 2..=full).contains(&wait.as_secs()), "{wait:?} of {full}");
        }
    }
}
