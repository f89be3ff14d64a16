//! Pressure: how far telemetry deviates from what is normal for a route.

use crate::error::OutOfRange;
use crate::math;
use crate::telemetry::Telemetry;

/// The square below which a magnitude counts as zero: the noise floor of the published model,
/// which is a distance of 3.2e-5 between two pressures.
pub const NOISE_FLOOR: f64 = 1e-9;
/// The smallest positive number.
const SMALLEST: f64 = f64::from_bits(1);
/// The largest norm a pressure can have: the square root of 3.
pub const NORM_MAX: f64 = 1.732_050_807_568_877_2;

/// Pressure P: deviation of latency, error rate and saturation from their baselines.
///
/// Each component lies in `[-1, 1]`: 0 is normal, 1 critical, -1 idle or clean.
///
/// ```
/// use atrion_core::pressure::Pressure;
///
/// let p = Pressure::try_new(0.6, -0.5, 0.8)?;
/// assert_eq!(p.stress(), Pressure::try_new(0.6, 0.0, 0.8)?);
/// assert_eq!(p.stress().norm(), 1.0);
/// assert!(Pressure::try_new(f64::NAN, 0.0, 0.0).is_err());
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    latency: f64,
    error: f64,
    saturation: f64,
}

impl Pressure {
    /// Everything at its baseline.
    pub const CALM: Self = Self { latency: 0.0, error: 0.0, saturation: 0.0 };

    /// The pressure with these components.
    ///
    /// # Errors
    /// [`OutOfRange`] if a component is not in `[-1, 1]`.
    pub fn try_new(latency: f64, error: f64, saturation: f64) -> Result<Self, OutOfRange> {
        Ok(Self {
            latency: OutOfRange::check("pressure.latency", latency, "", -1.0, 1.0)?,
            error: OutOfRange::check("pressure.error", error, "", -1.0, 1.0)?,
            saturation: OutOfRange::check("pressure.saturation", saturation, "", -1.0, 1.0)?,
        })
    }

    /// Latency pressure, in `[-1, 1]`.
    pub const fn latency(self) -> f64 {
        self.latency
    }

    /// Error pressure, in `[-1, 1]`.
    pub const fn error(self) -> f64 {
        self.error
    }

    /// Saturation pressure, in `[-1, 1]`.
    pub const fn saturation(self) -> f64 {
        self.saturation
    }

    /// Stress P+: negative components set to 0, because silence is not trauma and being better
    /// than normal in one respect does not make up for another.
    #[must_use]
    pub fn stress(self) -> Self {
        Self::of(self.components().map(|p| math::max(p, 0.0)))
    }

    /// Euclidean norm, in `[0, sqrt(3)]`.
    pub fn norm(self) -> f64 {
        math::sqrt(self.norm_squared())
    }

    /// Square of the norm, in `[0, 3]`.
    pub fn norm_squared(self) -> f64 {
        self.components().iter().map(|p| p * p).sum()
    }

    /// Distance to another pressure, in `[0, 2 sqrt(3)]`; symmetric. Distances whose square is
    /// below [`NOISE_FLOOR`] are 0.
    pub fn distance(self, other: Self) -> f64 {
        let pairs = self.components().into_iter().zip(other.components());
        let squared: f64 = pairs.map(|(own, other)| (own - other) * (own - other)).sum();
        if squared < NOISE_FLOOR { 0.0 } else { math::sqrt(squared) }
    }

    /// This pressure with every component scaled by a `share` in `[0, 1]`.
    #[must_use]
    pub(crate) fn scaled(self, share: f64) -> Self {
        Self::of(self.components().map(|p| p * share))
    }

    const fn components(self) -> [f64; 3] {
        [self.latency, self.error, self.saturation]
    }

    const fn of([latency, error, saturation]: [f64; 3]) -> Self {
        Self { latency, error, saturation }
    }
}

/// Normalises one measurement against its baseline.
///
/// # Equation
///
/// ```text
/// p = tanh(k · (raw − baseline) / baseline)
/// ```
///
/// Zero at the baseline, towards 1 far above it, `tanh(-k)` at zero. A deviation too large for a
/// number is critical, that is exactly 1; the published implementation reads it as normal.
///
/// # Errors
/// [`OutOfRange`] unless `raw` is finite and `baseline` and `scale` are finite and positive. The
/// published implementation reads an infinite latency as idle and a zero baseline as "signal off".
///
/// ```
/// use atrion_core::pressure::normalise;
///
/// assert_eq!(normalise(0.1, 0.1, 1.0)?, 0.0);
/// assert!(normalise(0.2, 0.1, 1.0)? > 0.76);
/// assert!(normalise(f64::INFINITY, 0.1, 1.0).is_err());
/// assert!(normalise(0.2, 0.0, 1.0).is_err());
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
pub fn normalise(raw: f64, baseline: f64, scale: f64) -> Result<f64, OutOfRange> {
    OutOfRange::check("raw", raw, "", -f64::MAX, f64::MAX)?;
    OutOfRange::check("baseline", baseline, "", SMALLEST, f64::MAX)?;
    OutOfRange::check("scale", scale, "", SMALLEST, f64::MAX)?;
    // Neither factor is NaN and `scale` is not 0, so the product is a number or infinite.
    Ok(math::tanh((raw - baseline) / baseline * scale))
}

/// What is normal for a route.
///
/// ```
/// use atrion_core::{pressure::{Baseline, Pressure}, telemetry::Telemetry};
///
/// let normal = Baseline::try_new(0.1, 0.01, 0.8, 1.0)?;
/// let sample = Telemetry::builder().latency_secs(0.1).build().unwrap();
/// assert_eq!(normal.pressure(&sample, Pressure::CALM), Pressure::CALM);
/// assert!(Baseline::try_new(0.1, 0.0, 0.8, 1.0).is_err()); // would switch the signal off
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline {
    latency_secs: f64,
    error_rate: f64,
    saturation: f64,
    scale: f64,
}

impl Baseline {
    /// The normal latency in seconds, error rate and saturation, and the tanh scale k.
    ///
    /// # Errors
    /// [`OutOfRange`] unless latency is in `[1e-9, 1e6]`, error rate in `[1e-9, 1]`, saturation
    /// in `[1e-6, 1000]` and scale in `[1e-3, 100]`.
    pub fn try_new(
        latency_secs: f64,
        error_rate: f64,
        saturation: f64,
        scale: f64,
    ) -> Result<Self, OutOfRange> {
        Ok(Self {
            latency_secs: OutOfRange::check("baseline.latency", latency_secs, "s", 1e-9, 1e6)?,
            error_rate: OutOfRange::check("baseline.error_rate", error_rate, "", 1e-9, 1.0)?,
            saturation: OutOfRange::check("baseline.saturation", saturation, "", 1e-6, 1e3)?,
            scale: OutOfRange::check("baseline.scale", scale, "", 1e-3, 100.0)?,
        })
    }

    /// For callers in this crate that checked the numbers already.
    pub(crate) const fn checked(latency: f64, error: f64, saturation: f64, scale: f64) -> Self {
        Self { latency_secs: latency, error_rate: error, saturation, scale }
    }

    /// Normal latency, s.
    pub const fn latency_secs(&self) -> f64 {
        self.latency_secs
    }

    /// Normal share of failures.
    pub const fn error_rate(&self) -> f64 {
        self.error_rate
    }

    /// Normal saturation.
    pub const fn saturation(&self) -> f64 {
        self.saturation
    }

    /// The pressure that a sample shows. What the sample does not say is taken from `unsaid`.
    pub fn pressure(&self, sample: &Telemetry, unsaid: Pressure) -> Pressure {
        let component = |said: Option<f64>, normal: f64, unsaid: f64| {
            said.map_or(unsaid, |raw| math::tanh((raw - normal) / normal * self.scale))
        };
        let error = sample.error_rate().map(crate::units::UnitInterval::get);
        Pressure {
            latency: component(sample.latency_secs(), self.latency_secs, unsaid.latency),
            error: component(error, self.error_rate, unsaid.error),
            saturation: component(sample.saturation(), self.saturation, unsaid.saturation),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn poison_is_refused_and_never_reads_as_idle() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(normalise(bad, 1.0, 1.0).is_err());
            assert!(normalise(1.0, bad, 1.0).is_err());
            assert!(normalise(1.0, 1.0, bad).is_err());
        }
        for bad in [0.0, -0.0, -1.0] {
            assert!(normalise(1.0, bad, 1.0).is_err(), "baseline {bad}");
            assert!(normalise(1.0, 1.0, bad).is_err(), "scale {bad}");
        }
    }

    #[test]
    fn a_deviation_too_large_for_a_number_is_critical() {
        assert!((normalise(1e308, 1e-308, 1.0).unwrap() - 1.0).abs() < f64::EPSILON);
        assert!((normalise(f64::MAX, 1.0, f64::MAX).unwrap() - 1.0).abs() < f64::EPSILON);
        assert!((normalise(-1e308, 1e-308, 1.0).unwrap() + 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn noise_is_no_distance() {
        let at = |x| Pressure::try_new(x, 0.0, 0.0).unwrap();
        assert!(at(3.1e-5).distance(Pressure::CALM) <= 0.0);
        assert!(at(3.2e-5).distance(Pressure::CALM) > 3e-5);
    }

    #[test]
    fn what_a_sample_does_not_say_stays() {
        let normal = Baseline::try_new(0.1, 0.01, 0.8, 1.0).unwrap();
        let unsaid = Pressure::try_new(0.3, 0.4, 0.5).unwrap();
        let sample = Telemetry::builder().saturation(0.8).build().unwrap();
        let expected = Pressure::try_new(0.3, 0.4, 0.0).unwrap();
        assert_eq!(normal.pressure(&sample, unsaid), expected);
    }

    proptest! {
        #[test]
        fn pressure_is_bounded_and_grows_with_what_is_measured(
            raw in 0.0..1e9_f64, more in 0.0..1e9_f64, baseline in 1e-6..1e6_f64, k in 0.01..10.0,
        ) {
            let low = normalise(raw, baseline, k).unwrap();
            let high = normalise(raw + more, baseline, k).unwrap();
            prop_assert!((-1.0..=1.0).contains(&low) && low <= high, "{low} {high}");
        }

        #[test]
        fn every_valid_sample_gives_a_valid_pressure(
            latency in 0.0..=crate::telemetry::LATENCY_MAX_SECS,
            error in 0.0..=1.0_f64,
            saturation in 0.0..=crate::telemetry::SATURATION_MAX,
        ) {
            let normal = Baseline::try_new(1e-9, 1e-9, 1e-6, 100.0).unwrap();
            let sample = Telemetry::builder()
                .latency_secs(latency).error_rate(error).saturation(saturation).build().unwrap();
            let p = normal.pressure(&sample, Pressure::CALM);
            prop_assert_eq!(Pressure::try_new(p.latency(), p.error(), p.saturation()), Ok(p));
            prop_assert!(p.norm() <= NORM_MAX);
        }
    }
}
