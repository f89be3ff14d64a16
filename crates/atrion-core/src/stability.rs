//! Diagnostics: is the system calm, does it flap, is it stuck?

use crate::math;
use crate::pressure::Pressure;
use crate::units::{Ohms, Volts};

/// Above this share of sign changes a route flaps.
pub const FLAPPING: f64 = 0.3;

/// Lyapunov function of a set of routes: `L = Σ(‖P‖² + α·S²)`.
///
/// The system is stable while L does not grow. Infinite if the scars are too large to square;
/// NaN only for an `alpha` that is NaN.
///
/// ```
/// use atrion_core::{pressure::Pressure, stability::lyapunov, units::Ohms};
///
/// let p = Pressure::try_new(0.6, 0.0, 0.8)?;
/// assert_eq!(lyapunov([(p, Ohms::from(10_u32)), (Pressure::CALM, Ohms::ZERO)], 0.01), 2.0);
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
pub fn lyapunov(routes: impl IntoIterator<Item = (Pressure, Ohms)>, alpha: f64) -> f64 {
    let energy = |(p, s): (Pressure, Ohms)| p.norm_squared() + alpha * s.get() * s.get();
    routes.into_iter().map(energy).sum()
}

/// Oscillation index: how often a quantity turns round, per step between two samples.
///
/// Feed it the resistance (or pressure) of successive ticks. Above [`FLAPPING`] the route flaps.
/// Standing still is no turn, and steps that are not numbers are skipped.
///
/// ```
/// use atrion_core::stability::{FLAPPING, oscillation_index};
///
/// let rising = (0..50).map(f64::from);
/// assert_eq!(oscillation_index(rising), 0.0);
/// let flapping = (0..51).map(|tick| f64::from(tick % 2));
/// assert!(oscillation_index(flapping) > FLAPPING);
/// ```
pub fn oscillation_index(samples: impl IntoIterator<Item = f64>) -> f64 {
    let mut samples = samples.into_iter();
    let Some(mut last) = samples.next() else { return 0.0 };
    let (mut direction, mut turns, mut steps) = (0.0_f64, 0_u32, 0_u32);
    for sample in samples {
        let step = sample - last;
        last = sample;
        steps = steps.saturating_add(1);
        if step * direction < 0.0 {
            turns = turns.saturating_add(1);
        }
        if step.abs() > 0.0 {
            direction = if step > 0.0 { 1.0 } else { -1.0 };
        }
    }
    if steps == 0 { 0.0 } else { f64::from(turns) / f64::from(steps) }
}

/// Whether nothing can flow: even the highest voltage does not overcome the lowest resistance.
///
/// `false` when there are no routes or no voltages: nothing is stuck where nothing is.
///
/// ```
/// use atrion_core::{flow::Priority, stability::is_deadlocked, units::Ohms};
///
/// let volts = Priority::ALL.map(Priority::volts);
/// assert!(is_deadlocked([Ohms::from(100_u32), Ohms::from(500_u32)], volts));
/// assert!(!is_deadlocked([Ohms::from(99_u32), Ohms::from(500_u32)], volts));
/// ```
pub fn is_deadlocked(
    resistances: impl IntoIterator<Item = Ohms>,
    voltages: impl IntoIterator<Item = Volts>,
) -> bool {
    match (resistances.into_iter().min(), voltages.into_iter().max()) {
        (Some(least), Some(most)) => !most.overcomes(least),
        _ => false,
    }
}

/// Hypothesis H1: damped transitions are under one tenth of a binary breaker's.
///
/// False when the binary breaker never switched: then there was nothing to damp.
///
/// ```
/// use atrion_core::stability::h1_damped;
///
/// assert!(h1_damped(4, 49));
/// assert!(!h1_damped(5, 49));
/// ```
pub const fn h1_damped(transitions: u64, binary_transitions: u64) -> bool {
    transitions.saturating_mul(10) < binary_transitions
}

/// Hypothesis H2: seconds until a scar has faded so far that `voltage` overcomes it on top of
/// `rest`, everything else that resists. `None` if it never does.
///
/// # Equation
///
/// ```text
/// t = ln(S / (V − R_rest)) / λ        0 if it overcomes it already
/// ```
///
/// ```
/// use atrion_core::{flow::Priority, stability::h2_secs_to_passable, units::Ohms};
///
/// let (rest, scar) = (Ohms::try_new(0.1)?, Ohms::from(500_u32));
/// let secs = h2_secs_to_passable(scar, rest, Priority::Bulk.volts(), 0.1);
/// assert!(secs.is_some_and(|s| s > 62.0 && s < 64.0));
/// assert_eq!(h2_secs_to_passable(scar, Ohms::from(1_u32), Priority::Bulk.volts(), 0.1), None);
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
pub fn h2_secs_to_passable(
    scar: Ohms,
    rest: Ohms,
    voltage: Volts,
    healing_per_sec: f64,
) -> Option<f64> {
    if !voltage.overcomes(rest) {
        return None;
    }
    let spare = voltage.get() - rest.get();
    if scar.get() < spare {
        return Some(0.0);
    }
    (healing_per_sec > 0.0).then(|| math::ln(scar.get() / spare) / healing_per_sec)
}

/// Hypothesis H3: the traffic share of a chronically failing route is below one tenth.
///
/// ```
/// use atrion_core::stability::h3_avoided;
///
/// assert!(h3_avoided(9, 100));
/// assert!(!h3_avoided(10, 100));
/// assert!(!h3_avoided(0, 0)); // no traffic shows nothing
/// ```
pub const fn h3_avoided(requests_to_failing: u64, requests: u64) -> bool {
    requests_to_failing.saturating_mul(10) < requests
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scar::ScarLaw;

    #[test]
    fn poison_does_not_look_like_flapping() {
        let samples = (0..100).map(|i| if i % 2 == 0 { f64::NAN } else { f64::from(i) });
        assert!(oscillation_index(samples) <= FLAPPING);
        assert!(oscillation_index([]).abs() < f64::EPSILON);
        assert!(oscillation_index([1.0]).abs() < f64::EPSILON);
    }

    #[test]
    fn nothing_is_stuck_where_nothing_is() {
        assert!(!is_deadlocked([], [Volts::ZERO]));
        assert!(!is_deadlocked([Ohms::MAX], []));
    }

    proptest! {
        #[test]
        fn calm_is_stable(
            scars in prop::collection::vec(0.0..500.0_f64, 1..10), dt in 0.0..100.0, alpha in 0.0..1.0,
        ) {
            let law = ScarLaw::default();
            let of = |s: f64| Ohms::try_new(s).unwrap();
            let now = lyapunov(scars.iter().map(|s| (Pressure::CALM, of(*s))), alpha);
            let then = lyapunov(
                scars.iter().map(|s| (Pressure::CALM, law.step(of(*s), false, dt).unwrap())),
                alpha,
            );
            prop_assert!(then <= now);
        }

        /// H2: the closed form and the scar law agree about when a route is passable.
        #[test]
        fn passable_when_it_says(scar in 0.2..500.0_f64, volts in 0.2..100.0_f64) {
            let (rest, law) = (Ohms::try_new(0.1).unwrap(), ScarLaw::default());
            let (scar, volts) = (Ohms::try_new(scar).unwrap(), Volts::try_new(volts).unwrap());
            let secs = h2_secs_to_passable(scar, rest, volts, 0.1).unwrap();
            let after = |t| rest + law.step(scar, false, t).unwrap();
            prop_assert!(volts.overcomes(after(secs + 1e-6)));
            prop_assert!(secs <= 0.0 || !volts.overcomes(after(math::max(secs - 1e-6, 0.0))));
        }
    }
}
