//! Staleness: the uncertainty that grows while no telemetry arrives.

use crate::math;
use crate::units::Ohms;

/// Resistance for not knowing, `age_secs` after the last telemetry.
///
/// # Equation
///
/// ```text
/// U = min(κ · age, ceiling)
/// ```
///
/// The ceiling matters: without one, a route that nobody uses would close by itself, and then
/// nobody could use it. Keep it below the lowest voltage in use. A negative age (a clock that
/// stepped back) is an age of zero; NaN in either number gives the ceiling, because what is not
/// known is what staleness stands for.
///
/// ```
/// use atrion_core::{staleness::staleness, units::Ohms};
///
/// let ceiling = Ohms::try_new(0.5)?;
/// assert_eq!(staleness(0.1, 2.0, ceiling).get(), 0.2);
/// assert_eq!(staleness(0.1, 3600.0, ceiling), ceiling);
/// assert_eq!(staleness(0.1, -5.0, ceiling), Ohms::ZERO);
/// assert_eq!(staleness(0.1, f64::NAN, ceiling), ceiling);
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
pub fn staleness(kappa_ohms_per_sec: f64, age_secs: f64, ceiling: Ohms) -> Ohms {
    let grown = math::max(kappa_ohms_per_sec, 0.0) * math::max(age_secs, 0.0);
    if grown < ceiling.get() { Ohms::computed(grown) } else { ceiling }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bounded_for_any_input_and_growing_with_age(
            kappa in any::<f64>(), age in any::<f64>(), later in 0.0..1e9_f64,
        ) {
            let ceiling = Ohms::try_new(0.5).unwrap();
            let u = staleness(kappa, age, ceiling);
            prop_assert!(u <= ceiling);
            if age.is_finite() {
                prop_assert!(staleness(kappa, age + later, ceiling) >= u);
            }
        }
    }
}
