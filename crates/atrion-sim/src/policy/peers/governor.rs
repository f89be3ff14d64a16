//! The rate limiter of the crate `governor` (GCRA), driven by its `FakeRelativeClock`.
//!
//! It recommends no quota: that is what a service is known to sustain. It gets nine tenths of the
//! true capacity, which in reality nobody tells it, and a burst of as many as a careful load test
//! lets in at once. All of the capacity with the burst of `Quota::per_second`, one second's worth,
//! was tried first: the burst then stands in the queue for as long as the overload lasts, and
//! everything is late. `governor:RATE` is any other rate.

use std::num::NonZeroU32;
use std::time::Duration;

use ::governor::clock::FakeRelativeClock;
use ::governor::middleware::NoOpMiddleware;
use ::governor::nanos::Nanos;
use ::governor::state::{InMemoryState, NotKeyed};
use ::governor::{Quota, RateLimiter};
use atrion_core::math;

use crate::policy::{Arrival, Completion, Policy, Verdict};

/// The shortest time between two requests, by the resolution of its clock.
const SHORTEST_SECS: f64 = 1e-9;
/// The longest: a request in a year.
const LONGEST_SECS: f64 = 3.2e7;

/// The policy.
#[derive(Debug)]
pub struct Governor {
    clock: FakeRelativeClock,
    at_nanos: u64,
    limiter: RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<Nanos>>,
}

impl Governor {
    /// At most this many per second, and `burst` at once after a pause.
    ///
    /// # Panics
    /// If `per_sec` is not a number.
    pub fn new(per_sec: f64, burst: u32) -> Self {
        let period = math::clamp(1.0 / per_sec, SHORTEST_SECS, LONGEST_SECS);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(Duration::from_secs_f64(period));
        let quota = quota.expect("the period is not 0").allow_burst(burst);
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        Self { clock, at_nanos: 0, limiter }
    }
}

impl Policy for Governor {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        let now = arrival.now.as_nanos();
        self.clock.advance(Duration::from_nanos(now.saturating_sub(self.at_nanos)));
        self.at_nanos = self.at_nanos.max(now);
        if self.limiter.check().is_ok() { Verdict::Admit } else { Verdict::Refuse }
    }

    fn done(&mut self, _completion: &Completion) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::arrival;

    /// The crate's own example of a quota: as many at once as a second allows, then one for each
    /// period, which is 1/50 s here.
    #[test]
    fn a_burst_of_one_second_and_then_one_per_period() {
        let mut policy = Governor::new(50.0, 50);
        let admitted = |policy: &mut Governor, at: f64| {
            (0..100).filter(|slot| policy.arrive(&arrival(at, *slot)) == Verdict::Admit).count()
        };
        assert_eq!(admitted(&mut policy, 0.0), 50);
        assert_eq!(admitted(&mut policy, 0.019), 0);
        assert_eq!(admitted(&mut policy, 0.021), 1);
        assert_eq!(admitted(&mut policy, 0.101), 4);
        assert_eq!(admitted(&mut policy, 60.0), 50, "no more is saved up");
    }
}
