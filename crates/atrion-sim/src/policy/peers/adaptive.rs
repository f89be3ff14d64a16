//! The adaptive limiter of `tower-resilience-adaptive`, under `LoadShed`.
//!
//! It measures latency by the machine's clock and hands it to its algorithm by a public trait. The
//! whole service is in place, semaphore and debts included; between it and its algorithm stands
//! [`Timed`], which passes on the simulated latency instead.
//!
//! Settings: the builders' defaults, which are also its documentation's example. AIMD's latency
//! threshold (100 ms by default) is what the user accepts, so it gets the deadline. A failure halves
//! the limit: so it does by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::tower::load_shed::LoadShed;
use tower_resilience_adaptive::{AdaptiveService, Aimd, ConcurrencyAlgorithm, Gradient2, Vegas};

use super::stack::{Simulated, Stack};
use crate::policy::{Arrival, Completion, Policy, Verdict};

/// An algorithm that is told simulated latencies.
struct Timed<A: ?Sized> {
    latency_nanos: AtomicU64,
    algorithm: A,
}

impl<A: ?Sized> Timed<A> {
    fn latency(&self) -> Duration {
        Duration::from_nanos(self.latency_nanos.load(Ordering::Relaxed))
    }
}

impl ConcurrencyAlgorithm for Timed<Box<dyn ConcurrencyAlgorithm>> {
    fn record_success(&self, _by_the_machine: Duration) {
        self.algorithm.record_success(self.latency());
    }

    fn record_success_with_load(&self, _by_the_machine: Duration, in_flight: usize) {
        self.algorithm.record_success_with_load(self.latency(), in_flight);
    }

    fn record_failure(&self) {
        self.algorithm.record_failure();
    }

    fn record_dropped(&self) {
        self.algorithm.record_dropped();
    }

    fn limit(&self) -> usize {
        self.algorithm.limit()
    }

    fn min_limit(&self) -> usize {
        self.algorithm.min_limit()
    }

    fn max_limit(&self) -> usize {
        self.algorithm.max_limit()
    }
}

type Limited = AdaptiveService<Simulated, Timed<Box<dyn ConcurrencyAlgorithm>>>;

/// The policy.
pub struct Adaptive {
    timed: Arc<Timed<Box<dyn ConcurrencyAlgorithm>>>,
    stack: Stack<LoadShed<Limited>>,
}

impl Adaptive {
    /// Additive increase, multiplicative decrease: 10 in flight at first, 1 to 100, halved by a
    /// failure or a latency beyond `threshold_secs`.
    ///
    /// # Panics
    /// If the threshold is negative or not finite.
    pub fn aimd(threshold_secs: f64) -> Self {
        let threshold = Duration::from_secs_f64(threshold_secs);
        let aimd = Aimd::builder().latency_threshold(threshold).build();
        Self::new(Box::new(aimd.expect("the crate's own settings are in range")))
    }

    /// Vegas: 10 at first, 1 to 100, a queue of 3 to 6.
    ///
    /// # Panics
    /// Never: the crate's own settings are in range.
    pub fn vegas() -> Self {
        let vegas = Vegas::builder().build();
        Self::new(Box::new(vegas.expect("the crate's own settings are in range")))
    }

    /// Gradient2: 20 at first, 1 to 200.
    ///
    /// # Panics
    /// Never: the crate's own settings are in range.
    pub fn gradient2() -> Self {
        let gradient2 = Gradient2::builder().build();
        Self::new(Box::new(gradient2.expect("the crate's own settings are in range")))
    }

    fn new(algorithm: Box<dyn ConcurrencyAlgorithm>) -> Self {
        let timed = Arc::new(Timed { latency_nanos: AtomicU64::new(0), algorithm });
        let limited = AdaptiveService::new(Simulated, Arc::clone(&timed));
        Self { timed, stack: Stack::new(LoadShed::new(limited)) }
    }

    /// The limit now.
    pub fn limit(&self) -> usize {
        self.timed.limit()
    }
}

impl Policy for Adaptive {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.stack.arrive(arrival)
    }

    fn done(&mut self, completion: &Completion) {
        let nanos = (completion.latency_secs * 1e9) as u64;
        self.timed.latency_nanos.store(nanos, Ordering::Relaxed);
        self.stack.done(completion);
    }
}

impl std::fmt::Debug for Adaptive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adaptive").field("limit", &self.limit()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{arrival, failure, success};

    /// Asks until refused, and ends what was admitted.
    fn round(policy: &mut Adaptive, at: f64, latency_secs: f64) -> usize {
        let ask = |slot: &u32| policy.arrive(&arrival(at, *slot)) == Verdict::Admit;
        let admitted = (0..1000).take_while(ask).count();
        for slot in 0..admitted as u32 {
            policy.done(&success(at + latency_secs, slot, latency_secs));
        }
        admitted
    }

    fn one(policy: &mut Adaptive, latency_secs: f64) -> usize {
        assert_eq!(policy.arrive(&arrival(0.0, 0)), Verdict::Admit);
        policy.done(&success(latency_secs, 0, latency_secs));
        policy.limit()
    }

    /// The documented steps: one more for a success, half for a slow one and for a failure.
    #[test]
    fn aimd_adds_one_and_halves_by_simulated_latency() {
        let mut policy = Adaptive::aimd(0.2);
        assert_eq!(policy.limit(), 10);
        assert_eq!(one(&mut policy, 0.199), 11);
        assert_eq!(one(&mut policy, 0.201), 5);
        policy.arrive(&arrival(0.0, 0));
        policy.done(&failure(0.0, 0));
        assert_eq!(policy.limit(), 2);
        assert_eq!(round(&mut policy, 1.0, 0.3), 2, "the semaphore follows");
        assert_eq!(policy.limit(), 1, "and never to nothing");
        assert_eq!(round(&mut policy, 2.0, 0.01), 1);
    }

    /// The documented queue of 3 to 6: less adds one, more takes one away, from the tenth sample on.
    #[test]
    fn vegas_keeps_a_queue_of_three_to_six() {
        let mut policy = Adaptive::vegas();
        for sample in 1..=10 {
            let limit = one(&mut policy, 0.01);
            assert_eq!(limit, if sample < 10 { 10 } else { 11 }, "sample {sample}");
        }
        // Smoothed by half: 0.0125 s against 0.01 s, a queue of a quarter of 11.
        assert_eq!(one(&mut policy, 0.015), 12);
        // 0.02125 s: a queue of 13.
        assert_eq!(one(&mut policy, 0.03), 11);
    }

    /// The documented direction: a steady latency at full use grows, a rising one shrinks.
    #[test]
    fn gradient2_grows_while_latency_is_steady() {
        let mut policy = Adaptive::gradient2();
        assert_eq!(round(&mut policy, 0.0, 0.01), 20);
        // At least half used for the first eleven: each adds a fifth of 2.
        assert_eq!(policy.limit(), 24);
        round(&mut policy, 1.0, 0.1);
        assert!(policy.limit() < 24, "{}", policy.limit());
    }

    /// Its weakness, and why it stays down after failures in scenarios: with a limit of 1 it allows
    /// for a queue of none, so nothing can raise it any more.
    #[test]
    fn gradient2_cannot_leave_a_limit_of_one() {
        let mut policy = Adaptive::gradient2();
        for _ in 0..6 {
            policy.arrive(&arrival(0.0, 0));
            policy.done(&failure(0.0, 0));
        }
        assert_eq!(policy.limit(), 1);
        for _ in 0..10_000 {
            one(&mut policy, 0.01);
        }
        assert_eq!(policy.limit(), 1);
    }
}
