//! The limiters of the crate `congestion-limiter`.
//!
//! It measures by tokio's clock, which stands still in a paused runtime and is advanced to
//! simulated time before every call. What it spawns (a task that takes permits back when a limit
//! falls) runs at once, as it would on an idle runtime.
//!
//! Settings: the crate's own, with the initial limit of 10 of its examples. Its documentation
//! wants to be told of load-based errors only and names timeouts as such: a latency beyond the
//! deadline is an overload, a quicker failure is no sample. Vegas compares 90th percentiles of
//! windows, as its documentation recommends. (Version 0.1.0 resets the lowest latency before it
//! reads it, so that every window but the first lasts 2 s.)
//!
//! Its Gradient is left out: version 0.1.0 subtracts durations the wrong way round and panics at
//! the first latency below the average (shown by a test here).

use std::time::Duration;

use congestion_limiter::aggregation::Percentile;
use congestion_limiter::limiter::{DefaultLimiter, Limiter as _, Outcome as Judged, Token};
use congestion_limiter::limits::{Aimd, LimitAlgorithm, Vegas, Windowed};
use tokio::runtime::{Builder, Runtime};

use atrion_core::time::Timestamp;

use crate::policy::{Arrival, Completion, Outcome, Policy, Verdict};

const INITIAL_LIMIT: usize = 10;
const PERCENTILE: f64 = 0.9;

/// The policy.
pub struct Congestion<A> {
    // Dropped before the runtime that they belong to.
    tokens: Vec<Option<Token>>,
    limiter: DefaultLimiter<A>,
    runtime: Runtime,
    at: Timestamp,
    timeout_secs: f64,
}

impl Congestion<Aimd> {
    /// By overload alone: one more while 80 % are used, a tenth less for a timeout; 1 to 1000.
    pub fn aimd(timeout_secs: f64) -> Self {
        Self::build(timeout_secs, || Aimd::new_with_initial_limit(INITIAL_LIMIT))
    }
}

impl Congestion<Windowed<Vegas, Percentile>> {
    /// By latency beyond the lowest, and by overload; 1 to 1000.
    pub fn vegas(timeout_secs: f64) -> Self {
        Self::build(timeout_secs, || {
            let vegas = Vegas::new_with_initial_limit(INITIAL_LIMIT);
            Windowed::new(vegas, Percentile::new(PERCENTILE))
        })
    }
}

impl<A: LimitAlgorithm + Sync + std::fmt::Debug> Congestion<A> {
    /// Algorithms with windows read the clock when they are made.
    fn build(timeout_secs: f64, algorithm: impl FnOnce() -> A) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing of the system");
        let limiter = runtime.block_on(async { DefaultLimiter::new(algorithm()) });
        Self { tokens: Vec::new(), limiter, runtime, at: Timestamp::ZERO, timeout_secs }
    }

    /// The limit now.
    pub fn limit(&self) -> usize {
        self.limiter.state().limit()
    }

    /// How many are in flight, as the crate counts.
    pub fn in_flight(&self) -> usize {
        self.limiter.state().in_flight()
    }

    /// How far the clock has to be moved.
    fn step(&mut self, now: Timestamp) -> Duration {
        let step = now.as_nanos().saturating_sub(self.at.as_nanos());
        self.at = self.at.max(now);
        Duration::from_nanos(step)
    }

    fn judge(&self, completion: &Completion) -> Option<Judged> {
        if completion.latency_secs > self.timeout_secs {
            return Some(Judged::Overload);
        }
        (completion.outcome == Outcome::Success).then_some(Judged::Success)
    }
}

impl<A: LimitAlgorithm + Sync + std::fmt::Debug> Policy for Congestion<A> {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        let step = self.step(arrival.now);
        let token = self.runtime.block_on(async {
            tokio::time::advance(step).await;
            self.limiter.try_acquire().await
        });
        let Some(token) = token else { return Verdict::Refuse };
        let index = arrival.slot as usize;
        if index >= self.tokens.len() {
            self.tokens.resize_with(index + 1, || None);
        }
        if let Some(place) = self.tokens.get_mut(index) {
            *place = Some(token);
        }
        Verdict::Admit
    }

    fn done(&mut self, completion: &Completion) {
        let step = self.step(completion.now);
        let judged = self.judge(completion);
        let token = self.tokens.get_mut(completion.slot as usize).and_then(Option::take);
        if let Some(token) = token {
            self.runtime.block_on(async {
                tokio::time::advance(step).await;
                self.limiter.release(token, judged).await;
                tokio::task::yield_now().await;
            });
        }
    }
}

impl<A> std::fmt::Debug for Congestion<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Congestion").field("at", &self.at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::policy::testing::{arrival, success};
    use congestion_limiter::limits::Gradient;

    /// Admits `count`, and ends all of them after this long.
    fn round(
        policy: &mut Congestion<impl LimitAlgorithm + Sync + std::fmt::Debug>,
        at: f64,
        count: u32,
        latency_secs: f64,
    ) -> u32 {
        let all = 0..count;
        let admitted: Vec<u32> =
            all.filter(|slot| policy.arrive(&arrival(at, *slot)) == Verdict::Admit).collect();
        for slot in &admitted {
            policy.done(&success(at + latency_secs, *slot, latency_secs));
        }
        admitted.len() as u32
    }

    /// The figures of the crate's documentation: one more for a success at full use, times 0.9 for
    /// an overload.
    #[test]
    fn aimd_adds_one_and_keeps_nine_tenths() {
        let mut policy = Congestion::aimd(1.0);
        assert_eq!(round(&mut policy, 0.0, 11, 0.1), 10);
        // Of ten completions those at more than 80 % use count: 10/10, 9/11 .. no more.
        assert_eq!(policy.limit(), 12);
        round(&mut policy, 10.0, 1, 1.1);
        assert_eq!(policy.limit(), 10, "0.9 * 12, down");
        assert_eq!(policy.in_flight(), 0);
    }

    /// A limit that fell while all places were taken: the spawned task takes them back.
    #[test]
    fn a_lower_limit_holds_for_the_next_arrivals() {
        let mut policy = Congestion::aimd(0.5);
        assert_eq!(round(&mut policy, 0.0, 20, 0.6), 10);
        let limit = policy.limit();
        assert!(limit < 5, "ten overloads, {limit}");
        assert_eq!(round(&mut policy, 10.0, 20, 0.1) as usize, limit);
    }

    /// Keeps every place taken for this many milliseconds; each call takes `latency` of them.
    fn keep_busy(
        policy: &mut Congestion<impl LimitAlgorithm + Sync + std::fmt::Debug>,
        millis: std::ops::Range<u32>,
        latency: u32,
    ) {
        let mut under_way = VecDeque::new();
        for now in millis {
            let at = f64::from(now) / 1e3;
            while under_way.front().is_some_and(|(_, began)| began + latency <= now) {
                let (slot, _) = under_way.pop_front().expect("there is one");
                policy.done(&success(at, slot, f64::from(latency) / 1e3));
            }
            let free = |slot: &u32| under_way.iter().all(|(taken, _)| taken != slot);
            let slots: Vec<u32> = (0..200).filter(free).collect();
            for slot in slots {
                if policy.arrive(&arrival(at, slot)) == Verdict::Refuse {
                    break;
                }
                under_way.push_back((slot, now));
            }
        }
        for (slot, _) in under_way {
            policy.done(&success(1e3, slot, f64::from(latency) / 1e3));
        }
    }

    /// Latency is that of the paused clock: Vegas sees a queue only where simulated time says so.
    #[test]
    fn vegas_hears_simulated_latency() {
        let mut policy = Congestion::vegas(10.0);
        keep_busy(&mut policy, 0..30_000, 10);
        let grown = policy.limit();
        assert!(grown > 15, "{grown} after fifteen windows without a queue");
        keep_busy(&mut policy, 1_100_000..1_130_000, 100);
        assert!(policy.limit() < grown, "{} at ten times the latency", policy.limit());
    }

    /// Why Gradient is left out.
    #[test]
    fn gradient_panics_at_a_latency_below_the_average() {
        let outcome = std::panic::catch_unwind(|| {
            let mut policy = Congestion::build(1.0, || Gradient::new_with_initial_limit(10));
            for step in 0..11_u32 {
                round(&mut policy, f64::from(step), 1, 0.1);
            }
            round(&mut policy, 20.0, 1, 0.05);
        });
        assert!(outcome.is_err(), "a later version may be used");
    }
}
