//! Scar tissue: the memory of trauma.

use crate::error::OutOfRange;
use crate::math;
use crate::pressure::Pressure;
use crate::units::Ohms;

/// How scars grow and fade.
///
/// ```
/// use atrion_core::{scar::ScarLaw, units::Ohms};
///
/// let law = ScarLaw::default();
/// let wounded = law.step(Ohms::ZERO, true, 0.1)?; // a tenth of a second of trauma at 800 ohm/s
/// assert!((wounded.get() - 79.6).abs() < 0.01);
/// let faded = law.step(wounded, false, 10.0)?; // one time constant of calm
/// assert!((faded.get() - wounded.get() / core::f64::consts::E).abs() < 1e-9);
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScarLaw {
    healing_per_sec: f64,
    trauma_ohms_per_sec: f64,
    ceiling: Ohms,
}

impl Default for ScarLaw {
    /// Heals at 0.1 1/s, grows by 800 ohm/s, never above 500 ohm.
    fn default() -> Self {
        Self { healing_per_sec: 0.1, trauma_ohms_per_sec: 800.0, ceiling: Ohms::constant(500.0) }
    }
}

impl ScarLaw {
    /// A law with decay rate lambda (1/s), growth sigma (ohm/s) and a ceiling.
    ///
    /// # Errors
    /// [`OutOfRange`] if a rate is NaN, infinite or negative.
    pub fn try_new(
        healing_per_sec: f64,
        trauma_ohms_per_sec: f64,
        ceiling: Ohms,
    ) -> Result<Self, OutOfRange> {
        let (heal, hurt) = (healing_per_sec, trauma_ohms_per_sec);
        Ok(Self {
            healing_per_sec: OutOfRange::check("scar.healing", heal, "1/s", 0.0, f64::MAX)?,
            trauma_ohms_per_sec: OutOfRange::check("scar.trauma", hurt, "ohm/s", 0.0, f64::MAX)?,
            ceiling,
        })
    }

    /// For callers in this crate that checked the numbers already.
    pub(crate) const fn checked(healing: f64, trauma: f64, ceiling: Ohms) -> Self {
        Self { healing_per_sec: healing, trauma_ohms_per_sec: trauma, ceiling }
    }

    /// The scar after `dt_secs`, all of it spent in trauma or all of it in calm.
    ///
    /// # Equation
    ///
    /// ```text
    /// S' = min(S·exp(−λ·dt) + [trauma]·σ·(1 − exp(−λ·dt))/λ, ceiling)
    /// ```
    ///
    /// the exact solution of `dS/dt = σ·[trauma] − λ·S`. The published form adds sigma *per
    /// call*, so that sampling twice as often scars twice as fast; here sigma is per second, and
    /// two steps of half the length give the same scar.
    ///
    /// # Errors
    /// [`OutOfRange`] if `dt_secs` is NaN, infinite or negative; a negative step would amplify
    /// the scar.
    pub fn step(&self, scar: Ohms, traumatised: bool, dt_secs: f64) -> Result<Ohms, OutOfRange> {
        OutOfRange::check("dt", dt_secs, "s", 0.0, f64::MAX)?;
        Ok(self.step_checked(scar, traumatised, dt_secs))
    }

    /// [`step`](Self::step) for a `dt_secs` that is known to be finite and not negative.
    pub(crate) fn step_checked(&self, scar: Ohms, traumatised: bool, dt_secs: f64) -> Ohms {
        let kept = scar.get() * math::decay(self.healing_per_sec, dt_secs);
        let added = if traumatised {
            self.trauma_ohms_per_sec * math::decayed_time(self.healing_per_sec, dt_secs)
        } else {
            0.0
        };
        Ohms::computed(kept + added).min(self.ceiling)
    }
}

/// Whether a pressure wounds: the norm of its *stress* is above `critical`, strictly.
///
/// Only positive components count, so that a fast, clean, idle route is never wounded.
///
/// ```
/// use atrion_core::{pressure::Pressure, scar::is_trauma};
///
/// let idle = Pressure::try_new(-0.8, -0.8, -0.8)?; // its unsigned norm is 1.39
/// assert!(!is_trauma(idle, 0.7));
/// assert!(is_trauma(Pressure::try_new(0.8, -1.0, 0.0)?, 0.7));
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
pub fn is_trauma(pressure: Pressure, critical: f64) -> bool {
    pressure.stress().norm() > critical
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ohms(value: f64) -> Ohms {
        Ohms::try_new(value).unwrap()
    }

    #[test]
    fn a_step_backwards_is_refused_instead_of_amplifying() {
        for dt in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(ScarLaw::default().step(ohms(5.0), true, dt).is_err(), "{dt}");
        }
    }

    /// The reference's equilibrium runs from 8 to 50,000 ohm with the length of its tick.
    #[test]
    fn the_equilibrium_does_not_depend_on_the_tick_and_has_a_ceiling() {
        let law = ScarLaw::try_new(0.1, 5.0, ohms(500.0)).unwrap();
        for tick in [0.001, 0.01, 0.1, 1.0, 10.0] {
            let mut s = Ohms::ZERO;
            for _ in 0..(300.0 / tick) as u32 {
                s = law.step(s, true, tick).unwrap();
            }
            assert!((s.get() - 50.0).abs() < 1e-6, "{s} at a tick of {tick} s");
        }
        let deep = ScarLaw::default().step(ohms(499.0), true, 1e6).unwrap();
        assert_eq!(deep, ohms(500.0));
    }

    proptest! {
        /// Invariants 3 and 8, with and without trauma, ceiling included.
        #[test]
        fn two_steps_equal_one(
            s in 0.0..500.0, a in 0.0..30.0, b in 0.0..30.0,
            lambda in 0.0..2.0, sigma in 0.0..1000.0, trauma: bool,
        ) {
            let law = ScarLaw::try_new(lambda, sigma, ohms(500.0)).unwrap();
            let two = law.step(law.step(ohms(s), trauma, a).unwrap(), trauma, b).unwrap().get();
            let one = law.step(ohms(s), trauma, a + b).unwrap().get();
            prop_assert!((two - one).abs() <= 1e-12 * (1.0 + one), "{two} {one}");
        }

        /// Invariant 3: strictly down to 0 without new trauma.
        #[test]
        fn calm_heals_strictly(s in 1e-3..500.0, dt in 1e-3..100.0, lambda in 1e-3..2.0) {
            let law = ScarLaw::try_new(lambda, 800.0, ohms(500.0)).unwrap();
            prop_assert!(law.step(ohms(s), false, dt).unwrap() < ohms(s));
            prop_assert!(law.step(ohms(s), false, 2e3 / lambda).unwrap().get() < 1e-300);
        }

        /// Invariant 2.
        #[test]
        fn every_scar_stays_in_its_domain(
            s in 0.0..f64::MAX, dt in 0.0..f64::MAX,
            lambda in 0.0..f64::MAX, sigma in 0.0..f64::MAX, trauma: bool,
        ) {
            let law = ScarLaw::try_new(lambda, sigma, ohms(500.0)).unwrap();
            let next = law.step(ohms(s), trauma, dt).unwrap().get();
            prop_assert!((0.0..=500.0).contains(&next), "{next}");
        }
    }
}
