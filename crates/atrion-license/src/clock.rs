//! Wall clocks. This is the only file that reads the machine's calendar clock; everything else
//! is handed a [`WallTime`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::WallTime;

/// A source of calendar time.
///
/// It may jump in both directions, as machines' clocks do; [`ClockGuard`](crate::ClockGuard)
/// deals with that. It neither blocks nor panics.
pub trait WallClock: Send + Sync + 'static {
    /// The present calendar time.
    fn now(&self) -> WallTime;
}

/// The machine's calendar clock.
///
/// Times before 1970 read as the start of 1970, times after 9999 as its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemWallClock;

impl SystemWallClock {
    /// Microseconds since 1970: to tell two starts of a program apart, not for licences.
    pub fn unix_micros(self) -> u64 {
        u64::try_from(Self::since_1970().as_micros()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads calendar time")]
    fn since_1970() -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

impl WallClock for SystemWallClock {
    fn now(&self) -> WallTime {
        WallTime::EPOCH.plus_secs(Self::since_1970().as_secs())
    }
}

/// A calendar clock that moves only when told to, for tests. Clones share the same time.
#[derive(Clone, Debug, Default)]
pub struct ManualWallClock(Arc<AtomicU64>);

impl ManualWallClock {
    /// A clock that stands at `start`.
    pub fn new(start: WallTime) -> Self {
        Self(Arc::new(AtomicU64::new(start.as_unix_secs())))
    }

    /// Puts the clock to `to`, forwards or back.
    pub fn set(&self, to: WallTime) {
        self.0.store(to.as_unix_secs(), Ordering::Release);
    }
}

impl WallClock for ManualWallClock {
    fn now(&self) -> WallTime {
        WallTime::EPOCH.plus_secs(self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_lives_after_this_was_written_and_before_9999() {
        let now = SystemWallClock.now();
        assert!(now > "2025-01-01".parse().unwrap() && now < WallTime::MAX, "{now}");
    }

    #[test]
    fn clones_of_a_manual_clock_share_their_time() {
        let clock = ManualWallClock::new(WallTime::MAX);
        clock.clone().set(WallTime::EPOCH);
        assert_eq!(clock.now(), WallTime::EPOCH);
    }

    #[test]
    fn a_start_is_told_apart_by_the_microsecond_it_began_in() {
        let before = SystemWallClock.now().as_unix_secs();
        let micros = SystemWallClock.unix_micros();
        let after = SystemWallClock.now().as_unix_secs();
        assert!((before..=after).contains(&(micros / 1_000_000)), "{before} {micros} {after}");
    }

    #[test]
    fn a_manual_clock_stands_where_it_was_put() {
        let start = WallTime::EPOCH.plus_days(9);
        let clock = ManualWallClock::new(start);
        assert_eq!(clock.now(), start);
        clock.set(start.plus_secs(1));
        assert_eq!(clock.now(), start.plus_secs(1));
    }
}
