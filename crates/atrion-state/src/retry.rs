//! Trying again without being a nuisance: how long to wait, and how often to complain.
//!
//! Pure: whoever uses it passes the time and the draws. The pulse uses it for every provider, and
//! adapters for the stores behind them.
//!
//! ```
//! use std::time::Duration;
//! use atrion_core::time::Timestamp;
//! use atrion_state::retry::Alarm;
//!
//! let mut alarm = Alarm::new(Duration::from_secs(60));
//! assert!(alarm.fail(Timestamp::from_secs(1)).is_some(), "said once");
//! assert!(alarm.fail(Timestamp::from_secs(2)).is_none(), "and counted from then on");
//! assert_eq!(alarm.succeed(Timestamp::from_secs(3)).unwrap().failures, 2);
//! ```

use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_core::units::UnitInterval;

/// The wait before attempt `failures + 1`: doubling from `base` up to `cap`, of which half is
/// fixed and half is drawn, so that nodes that failed together do not return together.
///
/// ```text
/// wait = d·(1 + u)/2,  d = min(cap, base·2^(failures−1)),  u the draw in [0, 1]
/// ```
///
/// `failures` counts from 1; 0 is treated as 1. Saturates; never panics for a `cap` below some
/// hundred years.
pub fn backoff(base: Duration, cap: Duration, failures: u32, draw: UnitInterval) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let full = base.saturating_mul(1_u32 << doublings).min(cap);
    let half = full / 2;
    // The draw is at most 1 and `half` is a bounded configuration value, so this cannot overflow.
    half + half.mul_f64(draw.get())
}

/// A failure that is worth saying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Failures in a row.
    pub failures: u32,
    /// Since the first of them.
    pub failing_for: Duration,
    /// Failures since the last that was said.
    pub suppressed: u64,
}

/// A recovery that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Since the first failure.
    pub failed_for: Duration,
    /// Failures in a row until then.
    pub failures: u32,
}

/// Turns a stream of successes and failures into few things to say: once that it fails, then at a
/// bounded rate, then once that it works again.
///
/// At most one [`Failing`] is raised in any `every`, however the link flaps, and a [`Recovered`]
/// only after a `Failing` that was raised. A clock that steps back delays what is said by no more
/// than the step.
#[derive(Clone, Debug)]
pub struct Alarm {
    every: Duration,
    failures: u32,
    failing_since: Option<Timestamp>,
    raised_at: Option<Timestamp>,
    announced: bool,
    suppressed: u64,
}

impl Alarm {
    /// Nothing has failed yet; `every` is the shortest time between two complaints.
    pub const fn new(every: Duration) -> Self {
        Self {
            every,
            failures: 0,
            failing_since: None,
            raised_at: None,
            announced: false,
            suppressed: 0,
        }
    }

    /// Whether nothing has failed since the last success.
    pub const fn is_healthy(&self) -> bool {
        self.failing_since.is_none()
    }

    /// Failures in a row.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Something failed; says whether that is to be told.
    pub fn fail(&mut self, now: Timestamp) -> Option<Failing> {
        self.failures = self.failures.saturating_add(1);
        let since = *self.failing_since.get_or_insert(now);
        if self.raised_at.is_some_and(|raised| now.since(raised) < self.every) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.raised_at = Some(now);
        self.announced = true;
        Some(Failing {
            failures: self.failures,
            failing_for: now.since(since),
            suppressed: std::mem::take(&mut self.suppressed),
        })
    }

    /// Something worked; says whether that is to be told.
    pub fn succeed(&mut self, now: Timestamp) -> Option<Recovered> {
        let failures = std::mem::take(&mut self.failures);
        let since = self.failing_since.take()?;
        std::mem::take(&mut self.announced)
            .then(|| Recovered { failed_for: now.since(since), failures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(10);

    fn wait(failures: u32, draw: f64) -> Duration {
        backoff(BASE, CAP, failures, UnitInterval::try_new(draw).unwrap())
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn doubles_from_the_base_to_the_cap() {
        let waits: Vec<u128> = (1..=9).map(|n| wait(n, 1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(wait(0, 1.0), BASE);
        assert_eq!(wait(u32::MAX, 1.0), CAP);
    }

    #[test]
    fn half_of_the_wait_is_drawn() {
        assert_eq!(wait(3, 0.0), Duration::from_millis(200));
        assert_eq!(wait(3, 0.5), Duration::from_millis(300));
        assert_eq!(wait(3, 1.0), Duration::from_millis(400));
    }

    #[test]
    fn warns_once_then_at_a_bounded_rate_then_reports_recovery() {
        let mut alarm = Alarm::new(Duration::from_secs(60));
        let raised: Vec<u64> =
            (0..150).filter(|second| alarm.fail(at(*second)).is_some()).collect();
        assert_eq!(raised, [0, 60, 120]);
        assert_eq!(
            alarm.succeed(at(150)),
            Some(Recovered { failed_for: Duration::from_secs(150), failures: 150 })
        );
        assert_eq!(alarm.succeed(at(151)), None);
    }

    #[test]
    fn a_flapping_link_is_as_quiet_as_a_dead_one() {
        let mut alarm = Alarm::new(Duration::from_secs(60));
        let mut raised = Vec::new();
        let mut recovered = 0;
        for second in 0..120 {
            raised.extend(alarm.fail(at(second)));
            recovered += usize::from(alarm.succeed(at(second)).is_some());
        }
        assert_eq!((raised.len(), recovered), (2, 2), "{raised:?}");
        assert!(matches!(raised.get(1), Some(Failing { suppressed: 59, .. })));
    }
}
