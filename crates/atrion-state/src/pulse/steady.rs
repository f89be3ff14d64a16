//! Elapsed time that only grows, whatever the caller's clock does.

use std::time::Duration;

use atrion_core::time::Timestamp;

/// A point in elapsed time, in nanoseconds since the machine was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Elapsed(u64);

impl Elapsed {
    pub(super) const START: Self = Self(0);

    pub(super) fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// As a point on a clock that began with the machine and never steps back.
    pub(super) const fn since_start(self) -> Timestamp {
        Timestamp::from_nanos(self.0)
    }
}

/// Turns readings of a clock that may step back into elapsed time.
///
/// Deadlines are kept in elapsed time. A step back adds nothing, and what follows it counts
/// again: no deadline comes early, and none is lost for as long as the clock was put back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    last: Timestamp,
    elapsed: Elapsed,
}

impl Steady {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { last: now, elapsed: Elapsed::START }
    }

    /// Takes a reading and returns the elapsed time.
    pub(super) fn advance(&mut self, now: Timestamp) -> Elapsed {
        self.elapsed = self.elapsed.plus(now.since(self.last));
        self.last = now;
        self.elapsed
    }

    /// When `at` will be reached on the caller's clock; the last reading if it has been.
    pub(super) fn on_clock(&self, at: Elapsed) -> Timestamp {
        self.last.saturating_add(at.since(self.elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_delays_no_deadline_by_more_than_itself() {
        let mut time = Steady::new(Timestamp::from_secs(100));
        let deadline = time.advance(Timestamp::from_secs(101)).plus(Duration::from_secs(5));
        assert_eq!(time.on_clock(deadline), Timestamp::from_secs(106));

        // An hour-sized step back: the rest of the wait is unchanged on the new reading.
        assert!(time.advance(Timestamp::from_secs(3)) < deadline);
        assert_eq!(time.on_clock(deadline), Timestamp::from_secs(8));
        assert_eq!(time.advance(Timestamp::from_secs(8)), deadline);
    }

    #[test]
    fn forward_jumps_and_the_end_of_time_saturate() {
        let mut time = Steady::new(Timestamp::ZERO);
        let end = time.advance(Timestamp::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(time.on_clock(end.plus(Duration::MAX)), Timestamp::MAX);
        time.advance(Timestamp::ZERO);
        assert_eq!(time.advance(Timestamp::MAX), end);
    }
}
