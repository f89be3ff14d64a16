//! Time that only grows, whatever the caller's clock does.

use std::time::Duration;

use atrion_core::time::Timestamp;

/// A point in time as the machine counts it, in nanoseconds.
///
/// It starts far from zero, so that what was true before the machine was made has a place too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Elapsed(u64);

impl Elapsed {
    /// When the machine was made: 36 years after the earliest point.
    pub(crate) const START: Self = Self(1 << 60);
    /// Before everything.
    pub(crate) const NEVER: Self = Self(0);
    /// After everything.
    pub(crate) const FOREVER: Self = Self(u64::MAX);

    pub(crate) fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }

    pub(crate) fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }

    /// Zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Seconds since `earlier`; zero if that is later.
    pub(crate) fn secs_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 * 1e-9
    }

    /// This point moved by `secs` seconds, for ever if that is not finite.
    pub(crate) fn plus_secs(self, secs: f64) -> Self {
        // Casts saturate; NaN moves by nothing.
        Self(self.0.saturating_add((secs * 1e9) as u64))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Counts time by readings of a clock that may step back.
///
/// A step back adds nothing, and what follows counts again: deadlines are late by no more than the
/// step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steady {
    reading: Timestamp,
    elapsed: Elapsed,
}

impl Steady {
    pub(crate) const fn new(now: Timestamp) -> Self {
        Self { reading: now, elapsed: Elapsed::START }
    }

    /// Takes a reading.
    pub(crate) fn advance(&mut self, now: Timestamp) -> Elapsed {
        self.elapsed = self.at(now);
        self.reading = now;
        self.elapsed
    }

    /// The time at a reading that is not taken note of.
    pub(crate) fn at(&self, now: Timestamp) -> Elapsed {
        self.elapsed.plus(now.since(self.reading))
    }

    /// When the clock will show that `at` is reached; its last reading if that is past.
    pub(crate) fn on_clock(&self, at: Elapsed) -> Timestamp {
        self.reading.saturating_add(at.since(self.elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_delays_a_deadline_by_the_step_and_no_more() {
        let mut time = Steady::new(Timestamp::from_secs(500));
        let deadline = time.advance(Timestamp::from_secs(501)).plus(Duration::from_secs(2));
        assert_eq!(time.on_clock(deadline), Timestamp::from_secs(503));
        time.advance(Timestamp::from_secs(1));
        assert_eq!(time.on_clock(deadline), Timestamp::from_secs(3));
        assert_eq!(time.advance(Timestamp::from_secs(3)), deadline);
    }

    #[test]
    fn both_ends_of_time_saturate() {
        let mut time = Steady::new(Timestamp::ZERO);
        assert_eq!(Elapsed::START.minus(Duration::MAX), Elapsed::NEVER);
        assert_eq!(Elapsed::START.plus(Duration::MAX), Elapsed::FOREVER);
        assert_eq!(Elapsed::START.plus_secs(f64::INFINITY), Elapsed::FOREVER);
        assert_eq!(Elapsed::START.plus_secs(f64::NAN), Elapsed::START);
        assert_eq!(
            time.advance(Timestamp::MAX),
            Elapsed::START.plus(Duration::from_nanos(u64::MAX))
        );
    }
}
