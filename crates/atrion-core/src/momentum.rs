//! Momentum: how fast pressure moves.
//!
//! Two forms. [`momentum`] is the published formula between two observations, in pressure per
//! *second*. [`PathMomentum`] is the form to act on: the length of the path that pressure took,
//! remembered for a time constant. The published implementation compared with the pressure of
//! two ticks ago, which reads zero for a pressure that jumps to and fro on every tick, the very
//! oscillation that momentum is to damp; and any two-point form divides by the tick, so it is
//! undefined when two observations carry the same time. The path does neither.

use crate::error::OutOfRange;
use crate::math;
use crate::pressure::Pressure;
use crate::time::Timestamp;
use crate::units::PerSecond;

/// Momentum between two pressures that lie `dt_secs` apart.
///
/// # Equation
///
/// ```text
/// M = ‖P(t) − P(t−1)‖ / dt        0 for dt = 0
/// ```
///
/// Symmetric in the two pressures, zero for equal ones, inversely proportional to `dt_secs`.
/// Distances below the noise floor are zero. A quotient too large for a number is the largest
/// number (the published implementation reads it as rest).
///
/// # Errors
/// [`OutOfRange`] if `dt_secs` is NaN, infinite or negative.
///
/// ```
/// use atrion_core::{momentum::momentum, pressure::Pressure};
///
/// let p = Pressure::try_new(0.3, 0.4, 0.0)?;
/// assert_eq!(momentum(p, Pressure::CALM, 0.1)?.get(), 5.0);
/// assert_eq!(momentum(p, Pressure::CALM, 0.0)?.get(), 0.0);
/// assert!(momentum(p, Pressure::CALM, -0.1).is_err());
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
pub fn momentum(
    current: Pressure,
    previous: Pressure,
    dt_secs: f64,
) -> Result<PerSecond, OutOfRange> {
    OutOfRange::check("dt", dt_secs, "s", 0.0, f64::MAX)?;
    let distance = current.distance(previous);
    if dt_secs > 0.0 { Ok(PerSecond::computed(distance / dt_secs)) } else { Ok(PerSecond::ZERO) }
}

/// The length of the path that pressure took, per second, over the last time constant.
///
/// # Equation
///
/// ```text
/// M(t) = Σ ‖P(i) − P(i−1)‖ · exp(−(t − t(i)) / τ) / τ
/// ```
///
/// A pressure that moves steadily at the rate v reads v; one that jumps by d every dt reads
/// about d/dt, whatever its period. Observing an unchanged pressure more often changes nothing.
///
/// ```
/// use atrion_core::{momentum::PathMomentum, pressure::Pressure, time::Timestamp};
///
/// let (a, b) = (Pressure::CALM, Pressure::try_new(0.0, 0.0, 0.5)?);
/// let mut m = PathMomentum::default();
/// for tick in 0..100 {
///     let p = if tick % 2 == 0 { a } else { b }; // period two
///     m = m.observe(p, Timestamp::from_millis(100 * tick), 1.0);
/// }
/// let now = Timestamp::from_millis(9_900);
/// assert!((m.at(now, 1.0).get() - 5.0).abs() < 0.3); // 0.5 every 0.1 s
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PathMomentum {
    last: Option<Pressure>,
    at: Timestamp,
    per_sec: f64,
}

impl PathMomentum {
    /// Adds one observation; the first one only says where the path starts.
    ///
    /// `tau_secs` is the time constant; values below a microsecond count as one. A clock that
    /// stepped back counts as one that stood still.
    #[must_use]
    pub fn observe(self, pressure: Pressure, now: Timestamp, tau_secs: f64) -> Self {
        let tau = math::max(tau_secs, 1e-6);
        let step = self.last.map_or(0.0, |last| pressure.distance(last));
        Self { last: Some(pressure), at: now, per_sec: self.faded(now, tau) + step / tau }
    }

    /// Momentum at `now` if nothing moved since the last observation.
    pub fn at(&self, now: Timestamp, tau_secs: f64) -> PerSecond {
        PerSecond::computed(self.faded(now, math::max(tau_secs, 1e-6)))
    }

    /// The clock stepped back to `now`: momentum fades from there, not from the future.
    pub(crate) fn rebased(self, now: Timestamp) -> Self {
        Self { at: self.at.min(now), ..self }
    }

    fn faded(&self, now: Timestamp, tau: f64) -> f64 {
        self.per_sec * math::decay(1.0 / tau, now.secs_since(self.at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pressures() -> impl Strategy<Value = Pressure> {
        let part = || -1.0..=1.0_f64;
        (part(), part(), part()).prop_map(|(l, e, s)| Pressure::try_new(l, e, s).unwrap())
    }

    #[test]
    fn bad_steps_are_refused() {
        for dt in [f64::NAN, f64::INFINITY, -1e-12] {
            assert!(momentum(Pressure::CALM, Pressure::CALM, dt).is_err(), "{dt}");
        }
        let p = Pressure::try_new(1.0, 0.0, 0.0).unwrap();
        assert_eq!(momentum(p, Pressure::CALM, 1e-320).unwrap(), PerSecond::MAX);
    }

    /// The reference reads 0 here: it compares with the pressure of two ticks ago.
    #[test]
    fn an_oscillation_of_period_two_is_motion() {
        let (a, b) = (Pressure::CALM, Pressure::try_new(0.5, 0.5, 0.5).unwrap());
        let mut m = PathMomentum::default();
        for tick in 0..200_u64 {
            let p = if tick % 2 == 0 { a } else { b };
            m = m.observe(p, Timestamp::from_millis(100 * tick), 1.0);
        }
        let read = m.at(Timestamp::from_millis(19_900), 1.0).get();
        assert!((read / momentum(a, b, 0.1).unwrap().get() - 1.0).abs() < 0.06, "{read}");
    }

    #[test]
    fn the_time_constant_does_not_change_what_a_steady_movement_reads() {
        for tau in [0.2, 1.0, 5.0] {
            let mut m = PathMomentum::default();
            for tick in 0..1_000_u64 {
                let p = Pressure::try_new(-1.0 + tick as f64 * 0.002, 0.0, 0.0).unwrap();
                m = m.observe(p, Timestamp::from_millis(10 * tick), tau);
            }
            let read = m.at(Timestamp::from_millis(9_990), tau).get();
            assert!((read - 0.2).abs() < 0.05, "{read} per second at {tau} s");
        }
    }

    /// The reference reads 0 for dt = 0; a burst of changes within one clock tick is motion.
    #[test]
    fn changes_at_the_same_moment_count() {
        let p = Pressure::try_new(0.0, 1.0, 0.0).unwrap();
        let m = PathMomentum::default().observe(Pressure::CALM, Timestamp::ZERO, 1.0).observe(
            p,
            Timestamp::ZERO,
            1.0,
        );
        assert!((m.at(Timestamp::ZERO, 1.0).get() - 1.0).abs() < 1e-12);
    }

    proptest! {
        /// Invariant 5.
        #[test]
        fn symmetric_zero_for_equal_and_inverse_in_time(
            a in pressures(), b in pressures(), dt in 1e-3..1e3_f64,
        ) {
            let m = momentum(a, b, dt).unwrap();
            prop_assert_eq!(m, momentum(b, a, dt).unwrap());
            prop_assert_eq!(momentum(a, a, dt).unwrap(), PerSecond::ZERO);
            // Powers of two scale without rounding.
            let four_times = PerSecond::try_new(m.get() * 4.0).unwrap();
            prop_assert_eq!(momentum(a, b, dt / 4.0).unwrap(), four_times);
        }

        /// Invariant 8: observing an unchanged pressure in between changes nothing.
        #[test]
        fn looking_more_often_changes_nothing(
            a in pressures(), b in pressures(), between in 1_u64..100, tau in 0.05..10.0,
        ) {
            let end = Timestamp::from_millis(1_000);
            let start = PathMomentum::default().observe(a, Timestamp::ZERO, tau);
            let rare = start.observe(b, end, tau);
            let mut often = start;
            for i in 1..=between {
                often = often.observe(a, Timestamp::from_millis(1_000 * i / (between + 1)), tau);
            }
            often = often.observe(b, end, tau);
            let (r, o) = (rare.at(end, tau).get(), often.at(end, tau).get());
            prop_assert!((r - o).abs() <= 1e-12 * (1.0 + r), "{r} {o}");
        }
    }
}
