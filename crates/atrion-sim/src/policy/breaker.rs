//! A circuit breaker.
//!
//! Source: the documentation of resilience4j (resilience4j.readme.io/docs/circuitbreaker), with its
//! published settings: the last 100 calls, of which at least 100 must be there; open at 50 %
//! failures or 100 % slow calls; 60 s open; then 10 calls decide. The duration from which a call is
//! slow is published as 60 s and is to be set to what the caller needs: the deadline.

use std::collections::VecDeque;

use atrion_core::time::Timestamp;

use super::{Arrival, Completion, Outcome, Policy, Verdict};

/// Settings of [`Breaker`].
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// Calls that are remembered, and needed before anything is decided: 100.
    pub window: usize,
    /// Percent of failures at which it opens: 50.
    pub failure_percent: f64,
    /// Percent of slow calls at which it opens: 100.
    pub slow_percent: f64,
    /// A call that takes longer is slow, in seconds.
    pub slow_secs: f64,
    /// Seconds that it stays open: 60.
    pub open_secs: f64,
    /// Calls let through when it is half open: 10.
    pub half_open_calls: u32,
}

impl BreakerSettings {
    /// The published settings, with this duration of a slow call.
    pub const fn published(slow_secs: f64) -> Self {
        Self {
            window: 100,
            failure_percent: 50.0,
            slow_percent: 100.0,
            slow_secs,
            open_secs: 60.0,
            half_open_calls: 10,
        }
    }
}

/// The breaker's state, as its documentation names it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Closed,
    Open { since: Timestamp },
    HalfOpen { let_through: u32 },
}

/// The policy.
#[derive(Clone, Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// Failed, slow.
    calls: VecDeque<(bool, bool)>,
    failures: usize,
    slow: usize,
    /// For each slot the period it was admitted in: results from before a change do not count.
    admitted_in: Vec<u32>,
    period: u32,
    transitions: u32,
}

impl Breaker {
    /// Closed.
    pub const fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: State::Closed,
            calls: VecDeque::new(),
            failures: 0,
            slow: 0,
            admitted_in: Vec::new(),
            period: 0,
            transitions: 0,
        }
    }

    /// Whether it lets calls through as usual.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    fn enter(&mut self, state: State) {
        // Half open is a way to the other two, not a mode that callers see.
        let counts = matches!(
            (&self.state, &state),
            (State::Closed, State::Open { .. }) | (_, State::Closed)
        );
        self.transitions += u32::from(counts);
        self.period += 1;
        self.state = state;
        self.calls.clear();
        (self.failures, self.slow) = (0, 0);
    }

    fn is_bad(&self, of: usize) -> bool {
        let percent = |n: usize| 100.0 * n as f64 / of as f64;
        percent(self.failures) >= self.settings.failure_percent
            || percent(self.slow) >= self.settings.slow_percent
    }

    fn remember(&mut self, failed: bool, slow: bool) {
        if self.calls.len() >= self.settings.window.max(1)
            && let Some((failed, slow)) = self.calls.pop_front()
        {
            self.failures -= usize::from(failed);
            self.slow -= usize::from(slow);
        }
        self.calls.push_back((failed, slow));
        self.failures += usize::from(failed);
        self.slow += usize::from(slow);
    }
}

impl Policy for Breaker {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        if let State::Open { since } = self.state
            && arrival.now.secs_since(since) >= self.settings.open_secs
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
        let index = arrival.slot as usize;
        if index >= self.admitted_in.len() {
            self.admitted_in.resize(index + 1, 0);
        }
        if let Some(place) = self.admitted_in.get_mut(index) {
            *place = self.period;
        }
        Verdict::Admit
    }

    fn done(&mut self, completion: &Completion) {
        let admitted_in = self.admitted_in.get(completion.slot as usize).copied();
        if admitted_in != Some(self.period) {
            return;
        }
        let failed = completion.outcome == Outcome::Failure;
        self.remember(failed, completion.latency_secs > self.settings.slow_secs);
        let calls = self.calls.len();
        match self.state {
            State::Closed if calls >= self.settings.window && self.is_bad(calls) => {
                self.enter(State::Open { since: completion.now });
            }
            State::HalfOpen { .. } if calls >= self.settings.half_open_calls as usize => {
                let bad = self.is_bad(calls);
                self.enter(if bad { State::Open { since: completion.now } } else { State::Closed });
            }
            _ => {}
        }
    }

    fn transitions(&self) -> u32 {
        self.transitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{arrival, failure, success};

    fn call(policy: &mut Breaker, at: f64, ok: bool) -> bool {
        let admitted = policy.arrive(&arrival(at, 0)) == Verdict::Admit;
        if admitted {
            policy.done(&if ok { success(at, 0, 0.01) } else { failure(at, 0) });
        }
        admitted
    }

    #[test]
    fn it_opens_at_half_of_a_hundred_waits_a_minute_and_lets_ten_decide() {
        let mut policy = Breaker::new(BreakerSettings::published(1.0));
        for i in 0..99 {
            assert!(call(&mut policy, 1.0, i % 2 == 0));
        }
        assert!(policy.is_closed(), "99 calls are too few to judge");
        call(&mut policy, 1.0, false);
        assert!(!policy.is_closed());
        assert!(!call(&mut policy, 60.9, true), "59.9 s later");
        for i in 0..10 {
            assert!(call(&mut policy, 61.1, i < 6), "call {i} decides");
        }
        assert!(policy.is_closed(), "4 of 10 failed");
        assert_eq!(policy.transitions(), 2);
    }

    #[test]
    fn when_the_ten_fail_it_opens_again_without_another_change_of_mode() {
        let mut policy = Breaker::new(BreakerSettings::published(1.0));
        for _ in 0..100 {
            call(&mut policy, 1.0, false);
        }
        let through = (0..50).filter(|_| call(&mut policy, 62.0, false)).count();
        assert_eq!(through, 10);
        assert!(!call(&mut policy, 100.0, true));
        assert_eq!(policy.transitions(), 1);
    }

    /// The documented default for slow calls: only if every one of them is.
    #[test]
    fn it_opens_for_slow_calls_only_if_all_of_them_are() {
        for (quick, closed) in [(1, true), (0, false)] {
            let mut policy = Breaker::new(BreakerSettings::published(1.0));
            for i in 0..100 {
                policy.arrive(&arrival(1.0, 0));
                policy.done(&success(1.0, 0, if i < quick { 0.9 } else { 1.1 }));
            }
            assert_eq!(policy.is_closed(), closed, "{quick} of 100 in time");
        }
    }

    /// The documented states: a call that began before a change does not count after it.
    #[test]
    fn results_from_before_a_change_do_not_count() {
        let mut policy = Breaker::new(BreakerSettings::published(1.0));
        for slot in 100..150 {
            assert_eq!(policy.arrive(&arrival(1.0, slot)), Verdict::Admit);
        }
        for _ in 0..100 {
            call(&mut policy, 1.0, false);
        }
        assert!(call(&mut policy, 61.1, true), "half open");
        for slot in 100..150 {
            policy.done(&failure(61.2, slot));
        }
        let through = (0..9).filter(|_| call(&mut policy, 61.3, true)).count();
        assert_eq!(through, 9);
        assert!(policy.is_closed());
    }
}
