//! A throttle for what would flood a log.

use atrion_core::math;
use atrion_core::time::Timestamp;

/// Lets some things be told and counts the others: a bucket of tokens that fills at a steady rate.
///
/// Pure: takes the time. A clock that steps back fills nothing.
#[derive(Clone, Debug)]
pub struct Throttle {
    per_sec: f64,
    burst: f64,
    tokens: f64,
    last: Timestamp,
    suppressed: u64,
}

/// What a [`Throttle`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Tell it, and that so many before were not told.
    Yes {
        /// Not told since the last that was.
        suppressed: u64,
    },
    /// Keep it to yourself.
    No,
}

impl Throttle {
    /// So many a second in the long run, and as many at once. Below one they are still told one
    /// at a time; what is not a number, or negative, tells nothing.
    pub fn new(per_sec: f64, now: Timestamp) -> Self {
        let per_sec = if per_sec > 0.0 { math::min(per_sec, 1e9) } else { 0.0 };
        let burst = if per_sec > 0.0 { math::max(per_sec, 1.0) } else { 0.0 };
        Self { per_sec, burst, tokens: burst, last: now, suppressed: 0 }
    }

    /// Whether the next one is told.
    pub fn ask(&mut self, now: Timestamp) -> Told {
        let gained = now.secs_since(self.last) * self.per_sec;
        self.tokens = math::min(self.tokens + gained, self.burst);
        self.last = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Told::Yes { suppressed: std::mem::take(&mut self.suppressed) };
        }
        self.suppressed = self.suppressed.saturating_add(1);
        Told::No
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_burst_is_told_and_then_a_steady_rate_with_what_was_left_out() {
        let mut throttle = Throttle::new(2.0, at(0));
        assert_eq!(throttle.ask(at(0)), Told::Yes { suppressed: 0 });
        assert_eq!(throttle.ask(at(0)), Told::Yes { suppressed: 0 });
        for _ in 0..7 {
            assert_eq!(throttle.ask(at(100)), Told::No);
        }
        assert_eq!(throttle.ask(at(600)), Told::Yes { suppressed: 7 });
    }

    #[test]
    fn nonsense_tells_nothing() {
        for rate in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(Throttle::new(rate, at(0)).ask(at(1_000_000)), Told::No);
        }
    }

    proptest! {
        #[test]
        fn no_more_than_the_rate_and_nothing_uncounted(
            pauses in proptest::collection::vec(0u64..300, 1..400),
        ) {
            let mut throttle = Throttle::new(5.0, at(0));
            let (mut now, mut told, mut reported) = (0, 0u64, 0u64);
            for pause in &pauses {
                now += pause;
                if let Told::Yes { suppressed } = throttle.ask(at(now)) {
                    told += 1;
                    reported += suppressed;
                }
            }
            prop_assert!(told as f64 <= 5.0 + 5.0 * now as f64 / 1000.0 + 1e-6);
            prop_assert_eq!(told + reported + throttle.suppressed, pauses.len() as u64);
        }
    }
}
