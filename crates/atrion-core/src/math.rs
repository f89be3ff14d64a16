//! The only place that computes transcendental functions.
//!
//! `exp`, `ln`, `tanh` and their like always go through `libm`, with and without the standard
//! library, because the platform's own versions differ in their last bits: the same state and the
//! same input have to give the same output on every machine. `max`, `min` and [`clamp`] carry a
//! NaN on instead of dropping it, because a dropped NaN turns poison into an ordinary number.

/// `e^x`.
///
/// ```
/// assert_eq!(atrion_core::math::exp(0.0), 1.0);
/// ```
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// Natural logarithm; NaN below zero, minus infinity at zero.
///
/// ```
/// assert_eq!(atrion_core::math::ln(1.0), 0.0);
/// ```
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// `ln(1 + x)`, exact for small `x` too; NaN below -1.
///
/// ```
/// assert_eq!(atrion_core::math::ln_1p(0.0), 0.0);
/// ```
pub fn ln_1p(x: f64) -> f64 {
    libm::log1p(x)
}

/// Hyperbolic tangent, in `[-1, 1]`.
///
/// ```
/// assert_eq!(atrion_core::math::tanh(0.0), 0.0);
/// ```
pub fn tanh(x: f64) -> f64 {
    libm::tanh(x)
}

/// Square root, correctly rounded; NaN below zero.
///
/// ```
/// assert_eq!(atrion_core::math::sqrt(9.0), 3.0);
/// ```
pub fn sqrt(x: f64) -> f64 {
    libm::sqrt(x)
}

/// Largest integer that is not above `x`.
///
/// ```
/// assert_eq!(atrion_core::math::floor(-0.5), -1.0);
/// ```
pub fn floor(x: f64) -> f64 {
    libm::floor(x)
}

/// The larger of two numbers, NaN if either is NaN (`f64::max` would return the other one).
///
/// ```
/// use atrion_core::math::max;
///
/// assert_eq!(max(1.0, 2.0), 2.0);
/// assert!(max(f64::NAN, 2.0).is_nan() && max(2.0, f64::NAN).is_nan());
/// ```
#[must_use]
pub const fn max(a: f64, b: f64) -> f64 {
    // `a` wins a comparison with a NaN `b` only if it is NaN itself, hence the second test.
    if a > b || a.is_nan() { a } else { b }
}

/// The smaller of two numbers, NaN if either is NaN (`f64::min` would return the other one).
///
/// ```
/// use atrion_core::math::min;
///
/// assert_eq!(min(1.0, 2.0), 1.0);
/// assert!(min(f64::NAN, 2.0).is_nan() && min(2.0, f64::NAN).is_nan());
/// ```
#[must_use]
pub const fn min(a: f64, b: f64) -> f64 {
    if a < b || a.is_nan() { a } else { b }
}

/// `x` moved into `[lo, hi]`, NaN if any of the three is NaN. `lo` wins if the bounds cross.
///
/// ```
/// use atrion_core::math::clamp;
///
/// assert_eq!(clamp(7.0, 0.0, 5.0), 5.0);
/// assert_eq!(clamp(7.0, 6.0, 5.0), 6.0);
/// assert!(clamp(f64::NAN, 0.0, 5.0).is_nan());
/// ```
#[must_use]
pub const fn clamp(x: f64, lo: f64, hi: f64) -> f64 {
    max(lo, min(x, hi))
}

/// The share that remains after `dt_secs` of decay at `lambda_per_sec`: `exp(-lambda * dt)`.
///
/// Decay is a semigroup: two steps multiply to one long step, so results do not depend on how
/// often the caller looks. A negative or NaN `dt_secs` or rate decays nothing, which is the side
/// that keeps a scar: a clock that steps back must not amplify one, and poison must not erase one.
/// The result always lies in `[0, 1]`.
///
/// ```
/// use atrion_core::math::decay;
///
/// let two = decay(0.1, 3.0) * decay(0.1, 4.0);
/// assert!((two - decay(0.1, 7.0)).abs() < 1e-15);
/// assert_eq!(decay(0.1, -5.0), 1.0);
/// ```
pub fn decay(lambda_per_sec: f64, dt_secs: f64) -> f64 {
    let exponent = lambda_per_sec * dt_secs;
    if lambda_per_sec > 0.0 && exponent > 0.0 { exp(-exponent) } else { 1.0 }
}

/// The share that is lost in `x` time constants: `1 - exp(-x)`.
///
/// Ticks are short beside what they average over, so `x` is small nearly always; then a polynomial
/// without a division is exact to the last digits, and `1 - exp(-x)` is neither as fast nor as exact.
/// Negative or NaN `x` loses nothing, as with [`decay`]. The result lies in `[0, 1]`.
///
/// ```
/// use atrion_core::math::{exp, lost_share};
///
/// assert!((lost_share(0.1) - (1.0 - exp(-0.1))).abs() < 1e-16);
/// assert_eq!(lost_share(-1.0), 0.0);
/// assert_eq!(lost_share(f64::INFINITY), 1.0);
/// ```
pub fn lost_share(x: f64) -> f64 {
    // Up to here the terms left out are below 3e-17 of the sum.
    const SMALL: f64 = 0.125;
    if x > SMALL {
        1.0 - exp(-x)
    } else if x > 0.0 {
        // (1 - exp(-x)) / x as a Taylor series, in pairs so that they are computed side by side.
        let x2 = x * x;
        let x4 = x2 * x2;
        let low = (1.0 - x * (1.0 / 2.0)) + (1.0 / 6.0 - x * (1.0 / 24.0)) * x2;
        let middle =
            (1.0 / 120.0 - x * (1.0 / 720.0)) + (1.0 / 5_040.0 - x * (1.0 / 40_320.0)) * x2;
        let high = 1.0 / 362_880.0 - x * (1.0 / 3_628_800.0);
        x * (low + (middle + high * x4) * x4)
    } else {
        0.0
    }
}

/// The time that `dt_secs` is worth under decay: `(1 - exp(-lambda * dt)) / lambda`, in seconds.
///
/// It is the integral of [`decay`]: a source of 1 ohm/s leaves this many ohms behind, however
/// the time is cut into steps. It is `dt_secs` for a rate of zero, and never more; zero for a
/// `dt_secs` that is negative or NaN.
///
/// ```
/// use atrion_core::math::{decay, decayed_time};
///
/// let two = decayed_time(0.1, 3.0) * decay(0.1, 4.0) + decayed_time(0.1, 4.0);
/// assert!((two - decayed_time(0.1, 7.0)).abs() < 1e-14);
/// assert_eq!(decayed_time(0.0, 7.0), 7.0);
/// ```
pub fn decayed_time(lambda_per_sec: f64, dt_secs: f64) -> f64 {
    let exponent = lambda_per_sec * dt_secs;
    if dt_secs > 0.0 && exponent > 1e-300 {
        -libm::expm1(-exponent) / lambda_per_sec
    } else if dt_secs > 0.0 {
        dt_secs
    } else {
        0.0
    }
}

/// How far an average over `n_samples` moves after `count` equal samples:
/// `1 - (1 - 1/n)^count`.
///
/// `count` samples applied together and one by one move it equally far. `n_samples` below 1
/// count as 1 (the average is the last sample); a `count` that is not positive moves nothing.
/// The result always lies in `[0, 1]`.
///
/// ```
/// use atrion_core::math::ewma_weight;
///
/// assert!((ewma_weight(4.0, 1.0) - 0.25).abs() < 1e-15);
/// assert_eq!(ewma_weight(20.0, 0.0), 0.0);
/// assert_eq!(ewma_weight(1.0, 3.0), 1.0);
/// ```
pub fn ewma_weight(n_samples: f64, count: f64) -> f64 {
    if count > 0.0 && n_samples > 1.0 {
        // log1p and expm1 keep the digits that 1 - (1 - 1/n)^count loses for large n.
        -libm::expm1(count * libm::log1p(-1.0 / n_samples))
    } else if count > 0.0 {
        1.0
    } else {
        0.0
    }
}

/// Fractional bits of [`log2_fixed`].
const LOG2_BITS: u32 = 9;
/// Steps of [`log2_fixed`] per octave.
const STEPS_PER_OCTAVE: f64 = 512.0;
/// `log2(1 + x) - x` is `x (1 - x) (A - B x)` to 0.0013, with A and B scaled by 2^16.
const LOG2_A: u64 = 27_918;
const LOG2_B: u64 = 10_748;

/// Base-2 logarithm of a number of nanoseconds, as an integer with 9 fractional bits.
///
/// The request path sums these instead of calling a logarithm: integer arithmetic and one
/// `leading_zeros`, the same on every machine. The error is at most 1/256 octave (0.3 % of the
/// latency), the function never decreases, and powers of two are exact. Zero counts as one
/// nanosecond.
///
/// ```
/// use atrion_core::math::log2_fixed;
///
/// assert_eq!(log2_fixed(0), 0);
/// assert_eq!(log2_fixed(1), 0);
/// assert_eq!(log2_fixed(1024), 10 << 9);
/// ```
pub const fn log2_fixed(nanos: u64) -> u32 {
    let n = if nanos == 0 { 1 } else { nanos }; // a conditional move, not a jump
    let zeros = n.leading_zeros();
    let octave = 63 - zeros;
    // The leading one goes out at the top, 16 bits of the fraction stay.
    let x = ((n << zeros) << 1) >> 48;
    let bend = (LOG2_A << 16) - LOG2_B * x; // 2^32-scaled, below 2^31
    let bulge = (((x * (65_536 - x)) >> 14) * (bend >> 14)) >> 20; // 18 + 18 bits down to 16
    let rounding = 1 << (15 - LOG2_BITS);
    (octave << LOG2_BITS) + ((x + bulge + rounding) >> (16 - LOG2_BITS)) as u32
}

/// The natural logarithm that a (mean) [`log2_fixed`] value stands for: of nanoseconds, so take
/// off `ln(1e9)` for seconds.
///
/// ```
/// use atrion_core::math::{ln, ln_from_log2_fixed, log2_fixed};
///
/// let ms = ln_from_log2_fixed(f64::from(log2_fixed(1_000_000)));
/// assert!((ms - ln(1e6)).abs() < 0.003);
/// ```
pub fn ln_from_log2_fixed(mean: f64) -> f64 {
    mean * (core::f64::consts::LN_2 / STEPS_PER_OCTAVE)
}

/// The other way round: the [`log2_fixed`] value, not rounded, of the natural logarithm of
/// nanoseconds.
///
/// ```
/// use atrion_core::math::{ln, log2_fixed, log2_fixed_from_ln};
///
/// let ms = log2_fixed_from_ln(ln(1e6));
/// assert!((ms - f64::from(log2_fixed(1_000_000))).abs() < 2.0);
/// ```
pub fn log2_fixed_from_ln(ln: f64) -> f64 {
    ln * (STEPS_PER_OCTAVE / core::f64::consts::LN_2)
}

#[cfg(test)]
mod tests;
