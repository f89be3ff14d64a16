//! One clock for all processes of a run, so that a moment in one can be compared with a moment in
//! another.
//!
//! Every process reads its own monotonic clock, which on one machine all of them share but whose
//! origin Rust does not tell. So each process anchors it once, at its start, to the calendar clock:
//! from a few readings in a row it takes the pair that was read fastest, which is wrong by some
//! microseconds at most. After that only the monotonic clock counts; setting the calendar during a
//! run changes nothing. The conductor anchors a second time once all are started: if the two
//! anchors disagree, the calendar was set in between, and there is no verdict.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use atrion::{Clock, Timestamp};
use tokio::time::Instant;

/// So many pairs of readings are tried.
const TRIES: usize = 32;

/// Time since the run's origin, the same in all of its processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedClock {
    anchor: Instant,
    /// What the shared clock showed at the anchor, in nanoseconds.
    at_anchor: u64,
}

impl SharedClock {
    /// The origin of a run that begins now: nanoseconds of the calendar.
    pub(crate) fn origin() -> u64 {
        calendar_nanos()
    }

    /// The clock of the run with this origin.
    pub(crate) fn new(origin: u64) -> Self {
        let pair = || {
            let before = Instant::now();
            let calendar = calendar_nanos();
            let took = before.elapsed();
            (took, before + took / 2, calendar)
        };
        let first = pair();
        let best = |best: (Duration, Instant, u64), next: (Duration, Instant, u64)| {
            if next.0 < best.0 { next } else { best }
        };
        let (_, anchor, calendar) = (1..TRIES).map(|_| pair()).fold(first, best);
        Self { anchor, at_anchor: calendar.saturating_sub(origin) }
    }

    /// Nanoseconds since the origin.
    pub(crate) fn nanos(&self) -> u64 {
        self.at(Instant::now())
    }

    /// What it shows at that moment.
    pub(crate) fn at(&self, moment: Instant) -> u64 {
        let after = u64::try_from((moment - self.anchor).as_nanos()).unwrap_or(u64::MAX);
        let before = u64::try_from((self.anchor - moment).as_nanos()).unwrap_or(u64::MAX);
        self.at_anchor.saturating_add(after).saturating_sub(before)
    }

    /// By how much a clock that is anchored now would differ.
    pub(crate) fn disagreement(&self, origin: u64) -> Duration {
        let again = Self::new(origin);
        Duration::from_nanos(again.nanos().abs_diff(self.nanos()))
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.nanos())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the calendar is all that processes have in common; it is read only to anchor"
)]
fn calendar_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clocks_of_one_run_agree() {
        let origin = SharedClock::origin();
        let (a, b) = (SharedClock::new(origin), SharedClock::new(origin));
        let now = Instant::now();
        assert!(a.at(now).abs_diff(b.at(now)) < 1_000_000, "{a:?} {b:?}");
        assert!(a.disagreement(origin) < Duration::from_millis(1));
        assert_eq!(a.at(a.anchor + Duration::from_secs(1)), a.at_anchor + 1_000_000_000);
        assert_eq!(a.at(a.anchor - Duration::from_secs(3600)), 0);
    }
}
