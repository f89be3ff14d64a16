//! Notices a clock that is set back.

use crate::status::CLOCK_TOLERANCE_SECS;
use crate::time::WallTime;

/// Remembers the latest time that is known to have been reached, and goes by that when the clock
/// falls behind it.
///
/// A machine's clock is corrected now and then, so a step back within the tolerance is no news.
/// Time as the licence sees it never runs backwards though: a licence that was seen as expired
/// stays expired in this process, however the clock is turned. The price: a clock that jumps far
/// ahead by mistake and is put right has the same effect until the process starts again. Commercial
/// features work in memory meanwhile, and nothing else happens.
///
/// A pure machine: it reads no clock and stores nothing outside itself. Who keeps
/// [`ClockGuard::high_water`] somewhere durable and hands it back with
/// [`ClockGuard::raise`] extends its memory, and that price, over restarts.
///
/// ```
/// use atrion_license::{ClockGuard, WallTime};
///
/// let day = |n| WallTime::EPOCH.plus_days(n);
/// let mut guard = ClockGuard::new();
/// assert_eq!(guard.observe(day(100)).now, day(100));
///
/// let reading = guard.observe(day(40)); // 60 days back
/// assert_eq!(reading.now, day(100));
/// assert_eq!(reading.set_back.map(|s| s.secs / 86_400), Some(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockGuard {
    tolerance_secs: u64,
    high_water: WallTime,
}

/// What a [`ClockGuard`] makes of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The time to go by: never earlier than one returned before.
    pub now: WallTime,
    /// Set if the clock is further back than the tolerance.
    pub set_back: Option<SetBack>,
}

/// A clock that was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetBack {
    /// What the clock reads.
    pub reads: WallTime,
    /// How far that lies behind what is known, in seconds.
    pub secs: u64,
}

impl Default for ClockGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl ClockGuard {
    /// A guard that knows nothing yet and tolerates one day.
    pub const fn new() -> Self {
        Self::with_tolerance(CLOCK_TOLERANCE_SECS)
    }

    /// A guard that reports a clock more than `secs` seconds behind.
    pub const fn with_tolerance(secs: u64) -> Self {
        Self { tolerance_secs: secs, high_water: WallTime::EPOCH }
    }

    /// Tells the guard of a time that has certainly been reached: the high-water mark of an
    /// earlier process, or the time the program was built.
    pub fn raise(&mut self, mark: WallTime) {
        self.high_water = self.high_water.max(mark);
    }

    /// The latest time known to have been reached.
    pub const fn high_water(&self) -> WallTime {
        self.high_water
    }

    /// Judges a reading of the clock and remembers it.
    pub fn observe(&mut self, reads: WallTime) -> ClockReading {
        let secs = self.high_water.secs_since(reads);
        self.raise(reads);
        let set_back = (secs > self.tolerance_secs).then_some(SetBack { reads, secs });
        ClockReading { now: self.high_water, set_back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DAY_SECS;
    use proptest::prelude::*;

    fn at(secs: u64) -> WallTime {
        WallTime::EPOCH.plus_secs(secs)
    }

    #[test]
    fn a_step_back_within_a_day_is_no_news() {
        let mut guard = ClockGuard::new();
        let start = 100 * DAY_SECS;
        guard.observe(at(start));
        let reading = guard.observe(at(start - DAY_SECS));
        assert_eq!(reading, ClockReading { now: at(start), set_back: None });
        let reading = guard.observe(at(start - DAY_SECS - 1));
        let set_back = SetBack { reads: at(start - DAY_SECS - 1), secs: DAY_SECS + 1 };
        assert_eq!(reading, ClockReading { now: at(start), set_back: Some(set_back) });
        assert_eq!(guard.observe(at(start + 1)).set_back, None, "recovers by itself");
    }

    #[test]
    fn a_mark_from_before_counts_and_never_lowers() {
        let mut guard = ClockGuard::with_tolerance(0);
        guard.raise(at(500));
        guard.raise(at(400));
        assert_eq!(guard.high_water(), at(500));
        assert_eq!(guard.observe(at(499)).set_back.map(|s| s.secs), Some(1));
    }

    proptest! {
        #[test]
        fn time_never_runs_backwards(readings in prop::collection::vec(any::<u64>(), 1..50)) {
            let mut guard = ClockGuard::new();
            let mut last = WallTime::EPOCH;
            for reads in readings.into_iter().map(at) {
                let reading = guard.observe(reads);
                prop_assert!(reading.now >= last && reading.now >= reads);
                last = reading.now;
            }
        }
    }
}
