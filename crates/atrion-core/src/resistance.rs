//! The impedance law: what a request has to overcome, part by part.

use crate::error::OutOfRange;
use crate::math;
use crate::pressure::Pressure;
use crate::units::{Ohms, PerSecond};

/// The highest resistance there is, whatever goes wrong.
pub const CEILING: Ohms = Ohms::constant(1e6);
/// The largest weight of one pressure component.
const WEIGHT_MAX_OHMS: f64 = 1e6;

/// Sensitivity W: what one unit of pressure adds, in ohms.
///
/// ```
/// use atrion_core::resistance::Sensitivity;
///
/// // From criticalities, as service-level objectives state them: w = ln(1 + c).
/// let w = Sensitivity::from_criticality(5.0, 8.0, 3.0)?;
/// assert!((w.latency_ohms() - 1.791_759_469_228_055).abs() < 1e-15);
/// assert!(Sensitivity::from_criticality(-2.0, 8.0, 3.0).is_err());
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sensitivity {
    latency: f64,
    error: f64,
    saturation: f64,
}

impl Sensitivity {
    /// Weights in ohms per unit of pressure.
    ///
    /// # Errors
    /// [`OutOfRange`] if a weight is not in `[0, 1e6]`.
    pub fn try_new(latency: f64, error: f64, saturation: f64) -> Result<Self, OutOfRange> {
        let check = |field, w| OutOfRange::check(field, w, "ohm", 0.0, WEIGHT_MAX_OHMS);
        Ok(Self {
            latency: check("weight.latency", latency)?,
            error: check("weight.error", error)?,
            saturation: check("weight.saturation", saturation)?,
        })
    }

    /// For callers in this crate that checked the numbers already.
    pub(crate) const fn checked(latency: f64, error: f64, saturation: f64) -> Self {
        Self { latency, error, saturation }
    }

    /// Weights `w = ln(1 + c)` from criticalities c in `[0, 10]`.
    ///
    /// # Errors
    /// [`OutOfRange`] if a criticality is not in `[0, 10]`; the published implementation turns
    /// -1 into minus infinity.
    pub fn from_criticality(latency: f64, error: f64, saturation: f64) -> Result<Self, OutOfRange> {
        let weight =
            |field, c| OutOfRange::check(field, c, "", 0.0, 10.0).map(|c| math::ln(1.0 + c));
        Self::try_new(
            weight("criticality.latency", latency)?,
            weight("criticality.error", error)?,
            weight("criticality.saturation", saturation)?,
        )
    }

    /// Ohms at critical latency.
    pub const fn latency_ohms(&self) -> f64 {
        self.latency
    }

    /// Ohms at a critical error rate.
    pub const fn error_ohms(&self) -> f64 {
        self.error
    }

    /// Ohms at critical saturation.
    pub const fn saturation_ohms(&self) -> f64 {
        self.saturation
    }
}

/// The impedance law of a route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impedance {
    base: Ohms,
    weights: Sensitivity,
    damping_ohm_secs: f64,
    ceiling: Ohms,
}

impl Impedance {
    /// A law with resistance `base` at rest, pressure `weights`, momentum damping mu in ohm
    /// seconds and a `ceiling` (normally [`CEILING`]).
    ///
    /// # Errors
    /// [`OutOfRange`] if the damping is NaN, infinite or negative, or the ceiling below the base.
    pub fn try_new(
        base: Ohms,
        weights: Sensitivity,
        damping_ohm_secs: f64,
        ceiling: Ohms,
    ) -> Result<Self, OutOfRange> {
        OutOfRange::check("damping", damping_ohm_secs, "ohm s", 0.0, f64::MAX)?;
        OutOfRange::check("ceiling", ceiling.get(), "ohm", base.get(), f64::MAX)?;
        Ok(Self::checked(base, weights, damping_ohm_secs, ceiling))
    }

    /// For callers in this crate that checked the numbers already.
    pub(crate) const fn checked(
        base: Ohms,
        weights: Sensitivity,
        damping_ohm_secs: f64,
        ceiling: Ohms,
    ) -> Self {
        Self { base, weights, damping_ohm_secs, ceiling }
    }

    /// Resistance and what it is made of.
    ///
    /// # Equation
    ///
    /// ```text
    /// R = clamp(R_base + P·W + μ·M + S + U, R_base, ceiling)
    /// ```
    ///
    /// It never falls when stress, momentum, scar or staleness grows. All inputs are finite by
    /// type, so R is: a sum too large for a number is the ceiling, never a low resistance.
    ///
    /// Pass [`Pressure::stress`] unless idle time is meant to pay off a scar: with the signed
    /// pressure of the published law a route that nobody uses offsets its scars.
    ///
    /// ```
    /// use atrion_core::pressure::Pressure;
    /// use atrion_core::resistance::{CEILING, Impedance, Sensitivity};
    /// use atrion_core::units::{Ohms, PerSecond};
    ///
    /// let weights = Sensitivity::try_new(0.0, 0.0, 60.0)?;
    /// let law = Impedance::try_new(Ohms::try_new(0.1)?, weights, 0.0, CEILING)?;
    /// let half = Pressure::try_new(0.9, 0.0, 0.5)?;
    /// let parts = law.parts(half, PerSecond::ZERO, Ohms::from(10_u32), Ohms::ZERO);
    /// assert_eq!(parts.saturation, 30.0);
    /// assert_eq!(parts.total().get(), 40.1);
    /// # Ok::<(), atrion_core::error::OutOfRange>(())
    /// ```
    pub fn parts(&self, pressure: Pressure, m: PerSecond, scar: Ohms, staleness: Ohms) -> Parts {
        Parts {
            base: self.base,
            latency: pressure.latency() * self.weights.latency,
            error: pressure.error() * self.weights.error,
            saturation: pressure.saturation() * self.weights.saturation,
            momentum: Ohms::computed(self.damping_ohm_secs * m.get()),
            scar,
            staleness,
            ceiling: self.ceiling,
        }
    }
}

/// Resistance, part by part, in ohms.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Parts {
    /// Resistance at rest.
    pub base: Ohms,
    /// What latency pressure adds; negative below the baseline.
    pub latency: f64,
    /// What error pressure adds; negative below the baseline.
    pub error: f64,
    /// What saturation pressure adds; negative below the baseline.
    pub saturation: f64,
    /// What movement of pressure adds.
    pub momentum: Ohms,
    /// What the memory of trauma adds.
    pub scar: Ohms,
    /// What not knowing adds.
    pub staleness: Ohms,
    /// Where the sum stops.
    ceiling: Ohms,
}

impl Parts {
    /// A route at rest with this resistance.
    pub const fn at_rest(base: Ohms) -> Self {
        Self {
            base,
            latency: 0.0,
            error: 0.0,
            saturation: 0.0,
            momentum: Ohms::ZERO,
            scar: Ohms::ZERO,
            staleness: Ohms::ZERO,
            ceiling: CEILING,
        }
    }

    /// The resistance: the sum, never below the base and never above the ceiling.
    pub fn total(&self) -> Ohms {
        // The order of the additions is that of the published model, to the bit.
        let pressure = self.latency + self.error + self.saturation;
        let sum = self.base.get()
            + pressure
            + self.momentum.get()
            + self.scar.get()
            + self.staleness.get();
        // Written so that a NaN, which only a part written by hand can bring in, ends at the
        // ceiling: the unknown resists.
        if sum <= self.base.get() {
            self.base
        } else if sum < self.ceiling.get() {
            Ohms::computed(sum)
        } else {
            self.ceiling
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ohms(value: f64) -> Ohms {
        Ohms::try_new(value).unwrap()
    }

    fn law() -> Impedance {
        let weights = Sensitivity::try_new(4.0, 5.0, 60.0).unwrap();
        Impedance::try_new(ohms(0.1), weights, 2.0, CEILING).unwrap()
    }

    #[test]
    fn poison_in_a_part_resists() {
        for (poison, expected) in
            [(f64::NAN, CEILING), (f64::INFINITY, CEILING), (f64::NEG_INFINITY, ohms(0.1))]
        {
            let parts = Parts { latency: poison, ..Parts::at_rest(ohms(0.1)) };
            assert_eq!(parts.total(), expected, "{poison}");
        }
    }

    #[test]
    fn overflow_is_the_ceiling_and_not_nothing() {
        let parts = law().parts(Pressure::CALM, PerSecond::MAX, Ohms::MAX, Ohms::MAX);
        assert_eq!(parts.total(), CEILING);
    }

    #[test]
    fn weights_and_damping_refuse_poison() {
        for bad in [f64::NAN, f64::INFINITY, -0.1] {
            assert!(Sensitivity::try_new(bad, 0.0, 0.0).is_err());
            assert!(Sensitivity::from_criticality(0.0, bad, 0.0).is_err());
            assert!(Impedance::try_new(ohms(1.0), Sensitivity::default(), bad, CEILING).is_err());
        }
        assert!(Impedance::try_new(ohms(2.0), Sensitivity::default(), 0.0, ohms(1.0)).is_err());
    }

    proptest! {
        /// Invariants 2 and 4: in bounds, and never falling when any one cause grows.
        #[test]
        fn resistance_grows_with_each_of_its_causes(
            l in 0.0..=1.0, e in 0.0..=1.0, s in 0.0..=1.0,
            m in 0.0..f64::MAX, scar in 0.0..f64::MAX, stale in 0.0..f64::MAX,
            cause in 0..6, grows in 0.0..=1.0,
        ) {
            let r = |by: [f64; 6]| {
                let more = |x: f64, top: f64, by: f64| x + (top - x) * by;
                let p = Pressure::try_new(
                    more(l, 1.0, by[0]), more(e, 1.0, by[1]), more(s, 1.0, by[2])).unwrap();
                let m = PerSecond::try_new(more(m, f64::MAX, by[3])).unwrap();
                law().parts(p, m, ohms(more(scar, f64::MAX, by[4])),
                    ohms(more(stale, f64::MAX, by[5]))).total()
            };
            let mut by = [0.0; 6];
            let before = r(by);
            by[usize::try_from(cause).unwrap()] = grows;
            let after = r(by);
            prop_assert!(before <= after, "{before} {after}");
            prop_assert!(ohms(0.1) <= before && after <= CEILING);
        }

        /// Invariant 2, for signed pressure: relief never goes below the base.
        #[test]
        fn relief_stops_at_the_base(
            l in -1.0..=1.0, e in -1.0..=1.0, s in -1.0..=1.0, scar in 0.0..100.0,
        ) {
            let p = Pressure::try_new(l, e, s).unwrap();
            let r = law().parts(p, PerSecond::ZERO, ohms(scar), Ohms::ZERO).total();
            prop_assert!(r >= ohms(0.1));
        }
    }
}
