//! Adaptive break threshold: how much resistance is unusual for this very route.

use crate::error::{ConfigError, OutOfRange};
use crate::math;
use crate::units::Ohms;

/// The numbers of a [`Tuner`].
///
/// ```
/// use atrion_core::tuner::TunerConfig;
///
/// let published = TunerConfig::default();
/// assert_eq!(TunerConfig::try_new(100.0, 3.0, 30.0, 500.0, 50.0, 100.0, 0.5)?, published);
/// assert!(TunerConfig::try_new(100.0, 3.0, 200.0, 100.0, 50.0, 100.0, 0.5).is_err());
/// # Ok::<(), atrion_core::error::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TunerConfig {
    window: f64,
    sensitivity: f64,
    floor_ohms: f64,
    ceiling_ohms: f64,
    warmup: f64,
    fallback_ohms: f64,
    recovery_share: f64,
}

impl Default for TunerConfig {
    /// Window 100, sensitivity 3, floor 30 ohm, ceiling 500 ohm, warm-up 50, before that 100
    /// ohm, recovery at half of the threshold.
    fn default() -> Self {
        Self {
            window: 100.0,
            sensitivity: 3.0,
            floor_ohms: 30.0,
            ceiling_ohms: 500.0,
            warmup: 50.0,
            fallback_ohms: 100.0,
            recovery_share: 0.5,
        }
    }
}

impl TunerConfig {
    /// In this order: the window N in observations (1 to 1e6), the sensitivity k in standard
    /// deviations (0 to 100), floor and ceiling in ohms, the observations of the warm-up, the
    /// threshold before it is over in ohms, and the share of the threshold at which a route
    /// recovers (0 to 1).
    ///
    /// # Errors
    /// [`ConfigError`] if a number is out of its range or the floor is above the ceiling.
    pub fn try_new(
        window: f64,
        sensitivity: f64,
        floor_ohms: f64,
        ceiling_ohms: f64,
        warmup: f64,
        fallback_ohms: f64,
        recovery_share: f64,
    ) -> Result<Self, ConfigError> {
        let ohms = |field, value| OutOfRange::check(field, value, "ohm", 0.0, 1e6);
        let this = Self {
            window: OutOfRange::check("tuner.window", window, "observations", 1.0, 1e6)?,
            sensitivity: OutOfRange::check("tuner.sensitivity", sensitivity, "", 0.0, 100.0)?,
            floor_ohms: ohms("tuner.floor", floor_ohms)?,
            ceiling_ohms: ohms("tuner.ceiling", ceiling_ohms)?,
            warmup: OutOfRange::check("tuner.warmup", warmup, "observations", 0.0, 1e6)?,
            fallback_ohms: ohms("tuner.fallback", fallback_ohms)?,
            recovery_share: OutOfRange::check("tuner.recovery", recovery_share, "", 0.0, 1.0)?,
        };
        if floor_ohms > ceiling_ohms {
            return Err(ConfigError::Conflict {
                field: "tuner.floor",
                value: floor_ohms,
                relation: "at most",
                other: "tuner.ceiling",
                other_value: ceiling_ohms,
            });
        }
        Ok(this)
    }

    fn alpha(&self) -> f64 {
        2.0 / (self.window + 1.0)
    }

    /// For callers in this crate that checked the numbers already.
    pub(crate) const fn checked(
        window: f64,
        sensitivity: f64,
        (floor_ohms, ceiling_ohms): (f64, f64),
        warmup: f64,
        fallback_ohms: f64,
    ) -> Self {
        let recovery_share = 0.5;
        Self {
            window,
            sensitivity,
            floor_ohms,
            ceiling_ohms,
            warmup,
            fallback_ohms,
            recovery_share,
        }
    }
}

/// Learns the usual resistance of *one* route and how much it varies.
///
/// One tuner belongs to one route: what is usual on a slow report is an outage on a health
/// check. It learns from what it is shown, so it must not be shown resistance while the route is
/// open or in trauma; otherwise an outage becomes the new normal.
/// [`RouteState`](crate::breaker::RouteState) takes care of both.
///
/// # Equation
///
/// ```text
/// d = R − mean      mean' = mean + α·d      var' = (1 − α)·(var + α·d²)      α = 2 / (N + 1)
/// B = clamp(mean + k·√var, floor, ceiling)       before the warm-up: a fixed threshold
/// recovery = max(floor / 2, share·B)
/// ```
///
/// ```
/// use atrion_core::tuner::{Tuner, TunerConfig};
/// use atrion_core::units::Ohms;
///
/// let config = TunerConfig::default();
/// let mut tuner = Tuner::default();
/// assert_eq!(tuner.break_threshold(&config).get(), 100.0); // still warming up
/// for _ in 0..50 {
///     tuner = tuner.observe(Ohms::from(40_u32), &config);
/// }
/// assert_eq!(tuner.break_threshold(&config).get(), 40.0); // nothing ever varied
/// assert_eq!(tuner.recovery_threshold(&config).get(), 20.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tuner {
    mean: f64,
    variance: f64,
    seen: f64,
}

impl Tuner {
    /// Learns from one observation. Poison cannot come in: an [`Ohms`] is finite.
    #[must_use]
    pub fn observe(self, resistance: Ohms, config: &TunerConfig) -> Self {
        self.learn(resistance.get(), 1.0, config.alpha())
    }

    /// Learns from a resistance that held for `ticks` observations, which may be a fraction.
    ///
    /// It is exactly as if it had been observed that many times, so that what is learned does
    /// not depend on how often a route is looked at. A number that is not positive changes
    /// nothing.
    #[must_use]
    pub fn observe_for(self, resistance: Ohms, ticks: f64, config: &TunerConfig) -> Self {
        if ticks > 0.0 {
            let weight = math::ewma_weight(1.0 / config.alpha(), ticks);
            self.learn(resistance.get(), ticks, weight)
        } else {
            self
        }
    }

    fn learn(self, x: f64, ticks: f64, alpha: f64) -> Self {
        // An Ohms may be as large as numbers go, whose square is infinite; the impedance law's
        // ceiling is where resistance ends anyway.
        let x = math::min(x, crate::resistance::CEILING.get());
        if self.seen <= 0.0 {
            return Self { mean: x, variance: 0.0, seen: ticks };
        }
        let d = x - self.mean;
        Self {
            mean: self.mean + alpha * d,
            variance: (1.0 - alpha) * (self.variance + alpha * d * d),
            seen: math::min(self.seen + ticks, 1e9),
        }
    }

    /// Mean resistance learned.
    pub fn mean(&self) -> Ohms {
        Ohms::computed(self.mean)
    }

    /// Standard deviation learned.
    pub fn deviation(&self) -> Ohms {
        Ohms::computed(math::sqrt(math::max(self.variance, 0.0)))
    }

    /// Whether enough was seen to go by it.
    pub fn is_warm(&self, config: &TunerConfig) -> bool {
        self.seen >= config.warmup
    }

    /// B: resistance from here on is unusual.
    pub fn break_threshold(&self, config: &TunerConfig) -> Ohms {
        if !self.is_warm(config) {
            return Ohms::computed(config.fallback_ohms);
        }
        let unusual = self.mean + config.sensitivity * self.deviation().get();
        Ohms::computed(math::clamp(unusual, config.floor_ohms, config.ceiling_ohms))
    }

    /// Where an open route may recover: never below half of the floor.
    pub fn recovery_threshold(&self, config: &TunerConfig) -> Ohms {
        let share = self.break_threshold(config).get() * config.recovery_share;
        Ohms::computed(math::max(config.floor_ohms * 0.5, share))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn learned(values: &[f64]) -> Tuner {
        let observe = |tuner: Tuner, r: &f64| {
            tuner.observe(Ohms::try_new(*r).unwrap(), &TunerConfig::default())
        };
        values.iter().fold(Tuner::default(), observe)
    }

    #[test]
    fn every_number_is_checked() {
        let fields: [fn(&mut [f64; 7], f64); 7] = [
            |c, v| c[0] = v,
            |c, v| c[1] = v,
            |c, v| c[2] = v,
            |c, v| c[3] = v,
            |c, v| c[4] = v,
            |c, v| c[5] = v,
            |c, v| c[6] = v,
        ];
        for bad in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            for set in fields {
                let mut c = [100.0, 3.0, 30.0, 500.0, 50.0, 100.0, 0.5];
                set(&mut c, bad);
                let [a, b, d, e, f, g, h] = c;
                assert!(TunerConfig::try_new(a, b, d, e, f, g, h).is_err(), "{c:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn thresholds_stay_between_floor_and_ceiling(
            values in prop::collection::vec(0.0..f64::MAX, 50..200),
        ) {
            let config = TunerConfig::default();
            let tuner = learned(&values);
            let b = tuner.break_threshold(&config).get();
            prop_assert!((30.0..=500.0).contains(&b), "{b}");
            let recovery = tuner.recovery_threshold(&config).get();
            prop_assert!((15.0..=b).contains(&recovery), "{recovery}");
        }

        /// Invariant 8: one observation of five ticks is five observations.
        #[test]
        fn longer_observations_count_in_full(
            values in prop::collection::vec(0.0..500.0_f64, 1..40), ticks in 1_u32..20,
        ) {
            let config = TunerConfig::default();
            let mut often = Tuner::default();
            let mut rare = Tuner::default();
            for r in values {
                let r = Ohms::try_new(r).unwrap();
                rare = rare.observe_for(r, f64::from(ticks), &config);
                for _ in 0..ticks {
                    often = often.observe(r, &config);
                }
            }
            prop_assert!((often.mean - rare.mean).abs() < 1e-9);
            prop_assert!((often.variance - rare.variance).abs() < 1e-6);
            prop_assert!((often.seen - rare.seen).abs() < 1e-9);
        }
    }
}
