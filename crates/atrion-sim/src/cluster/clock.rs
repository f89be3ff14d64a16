//! What a node's clock shows, and when it will show something.

use atrion_core::time::Timestamp;

use super::parts::Skew;

/// What every clock shows at the start, so that a leap back does not end at zero.
const START_SECS: f64 = 3_600.0;
const NANOS: f64 = 1e9;

/// A clock that may run ahead, behind, or at a rate of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeClock {
    /// Nanoseconds that it shows at the start of time.
    ahead: i64,
    /// Nanoseconds that it gains in one.
    drift: f64,
}

impl NodeClock {
    pub(super) fn new(skew: Option<&Skew>) -> Self {
        let (offset, drift) = skew.map_or((0.0, 0.0), |s| (s.offset_secs, s.drift_ppm * 1e-6));
        Self { ahead: ((START_SECS + offset) * NANOS) as i64, drift }
    }

    /// Leaps by so many seconds.
    pub(super) fn leap(&mut self, secs: f64) {
        self.ahead += (secs * NANOS) as i64;
    }

    /// What it shows at `now`.
    pub(super) fn shows(&self, now: Timestamp) -> Timestamp {
        let gained = (now.as_nanos() as f64 * self.drift) as i64;
        let shown = now.as_nanos().saturating_add_signed(self.ahead.saturating_add(gained));
        Timestamp::from_nanos(shown)
    }

    /// When it shows `local`, or a moment later.
    pub(super) fn reaches(&self, local: Timestamp) -> Timestamp {
        let run = local.as_nanos().saturating_add_signed(-self.ahead);
        if self.drift == 0.0 {
            return Timestamp::from_nanos(run);
        }
        let at = Timestamp::from_nanos((run as f64 / (1.0 + self.drift)) as u64);
        // Rounding must not end before it.
        let missing = local.since(self.shows(at));
        at.saturating_add(missing).saturating_add(missing)
    }

    /// How long `secs` seconds of this clock are.
    pub(super) fn takes(&self, secs: f64) -> f64 {
        secs / (1.0 + self.drift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_clock_reaches_it_shows() {
        for drift_ppm in [-10_000.0, -3.0, 0.0, 7.0, 10_000.0] {
            let skew = Skew { node: 0, offset_secs: -1_700.0, drift_ppm };
            let clock = NodeClock::new(Some(&skew));
            for secs in [1_900, 2_000, 5_000] {
                let wanted = Timestamp::from_secs(secs);
                let shown = clock.shows(clock.reaches(wanted));
                let late = shown.secs_since(wanted);
                assert!(
                    shown >= wanted && late < 1e-6,
                    "{drift_ppm} ppm: {shown:?} for {wanted:?}"
                );
            }
        }
    }

    #[test]
    fn a_leap_moves_what_it_shows_and_nothing_else() {
        let mut clock = NodeClock::new(None);
        let before = clock.shows(Timestamp::from_secs(5));
        clock.leap(-30.0);
        let leapt = before.since(clock.shows(Timestamp::from_secs(5)));
        assert_eq!(leapt, std::time::Duration::from_secs(30));
        assert!((clock.takes(2.0) - 2.0).abs() < 1e-12);
    }
}
