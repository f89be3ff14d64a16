//! How much a route is asked for.

use crate::math;
use crate::time::Timestamp;

/// Time over which the arrival rate is averaged, s.
const AVERAGED_SECS: f64 = 5.0;
/// Arrivals count as evidence for as long as outcomes do.
const RECENT_HALF_LIFE_SECS: f64 = 3.0;

/// d and `arr` of the blending study: the arrival rate, and recent arrivals, admitted or refused.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    rate: f64,
    weight: f64,
    recent: f64,
    counted: u32,
    at: Timestamp,
}

impl Demand {
    /// A route that nobody asked for, with its counter of arrivals at `counted`.
    pub const fn new(counted: u32, now: Timestamp) -> Self {
        Self { rate: 0.0, weight: 0.0, recent: 0.0, counted, at: now }
    }

    /// Brings it up to `now`, when the counter of arrivals, which wraps, stands at `arrivals`.
    pub fn update(&mut self, arrivals: u32, now: Timestamp) {
        let dt_secs = now.secs_since(self.at);
        if now < self.at {
            self.at = now;
        }
        if dt_secs <= 0.0 {
            return;
        }
        // A counter that is not read at one instant may seem to step back by one.
        let new = f64::from(arrivals.wrapping_sub(self.counted).cast_signed().max(0));
        let kept = math::decay(1.0 / AVERAGED_SECS, dt_secs);
        self.rate = self.rate * kept + (1.0 - kept) * new / dt_secs;
        self.weight = self.weight * kept + (1.0 - kept);
        let fade = math::decay(core::f64::consts::LN_2 / RECENT_HALF_LIFE_SECS, dt_secs);
        self.recent = self.recent * fade + new;
        self.counted = arrivals;
        self.at = now;
    }

    /// d, 1/s.
    pub fn rate(&self) -> f64 {
        if self.weight > 0.0 { self.rate / self.weight } else { 0.0 }
    }

    /// `arr`: recent arrivals, halved every 3 s.
    pub const fn recent(&self) -> f64 {
        self.recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_rate_whatever_the_spacing_of_updates() {
        for step_millis in [10_u64, 100, 1_000, 7_000] {
            let mut demand = Demand::new(u32::MAX - 50, Timestamp::ZERO);
            let mut arrivals = u32::MAX - 50;
            for step in 1..=20 {
                arrivals = arrivals.wrapping_add((20 * step_millis / 1_000) as u32);
                demand.update(arrivals, Timestamp::from_millis(step * step_millis));
            }
            let expected = (20 * step_millis / 1_000) as f64 * 1_000.0 / step_millis as f64;
            assert!((demand.rate() - expected).abs() < 1e-9, "{demand:?}");
        }
    }

    #[test]
    fn a_clock_that_steps_back_or_stands_changes_nothing() {
        let mut demand = Demand::new(0, Timestamp::from_secs(10));
        demand.update(100, Timestamp::from_secs(11));
        let before = demand.rate();
        demand.update(105, Timestamp::from_secs(5));
        demand.update(105, Timestamp::from_secs(5));
        assert!((demand.rate() - before).abs() < 1e-12);
        demand.update(110, Timestamp::from_secs(6));
        assert!(demand.rate() > 0.0 && demand.rate().is_finite());
    }

    #[test]
    fn recent_arrivals_halve() {
        let mut demand = Demand::new(0, Timestamp::ZERO);
        demand.update(8, Timestamp::from_millis(1));
        demand.update(8, Timestamp::from_millis(3_001));
        assert!((demand.recent() - 4.0).abs() < 1e-9);
    }
}
