use proptest::prelude::*;

use super::*;

#[test]
fn nan_is_carried_on_from_either_side() {
    for f in [max, min] {
        assert!(f(f64::NAN, 1.0).is_nan());
        assert!(f(1.0, f64::NAN).is_nan());
    }
    for (x, lo, hi) in [(f64::NAN, 0.0, 1.0), (0.5, f64::NAN, 1.0), (0.5, 0.0, f64::NAN)] {
        assert!(clamp(x, lo, hi).is_nan(), "clamp({x}, {lo}, {hi})");
    }
}

#[test]
fn poison_and_backward_time_decay_nothing() {
    for (lambda, dt) in [
        (0.1, -1.0),
        (0.1, f64::NAN),
        (f64::NAN, 1.0),
        (-0.1, 1.0),
        (-0.1, -1.0),
        (0.0, f64::INFINITY),
        (f64::INFINITY, 0.0),
    ] {
        assert!((decay(lambda, dt) - 1.0).abs() < f64::EPSILON, "decay({lambda}, {dt})");
    }
    assert!(decay(0.1, 1e9) < 1e-300);
}

#[test]
fn the_lost_share_is_exact_to_the_last_digits() {
    let mut x = 1e-18;
    while x < 50.0 {
        let exact = -libm::expm1(-x);
        let tolerance = if x > 0.125 { 2e-15 } else { 4.0 * f64::EPSILON };
        assert!((lost_share(x) - exact).abs() <= tolerance * exact, "{x}: {}", lost_share(x));
        x *= 1.000_37;
    }
    for nothing in [0.0, -0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
        assert!(lost_share(nothing).abs() < f64::MIN_POSITIVE);
    }
}

/// Every octave, densely: the bound of the documentation holds everywhere, not on average.
#[test]
fn log2_fixed_is_within_one_part_in_256_and_never_decreases() {
    let mut last = 0;
    let mut worst = 0.0_f64;
    for octave in 0..64_u32 {
        for step in 0..4096_u64 {
            let n = ((1_u64 << octave) as f64 * (1.0 + step as f64 / 4096.0)) as u64;
            let code = log2_fixed(n);
            assert!(code >= last, "{n}: {code} after {last}");
            last = code;
            let exact = libm::log2(n as f64);
            worst = max(worst, (f64::from(code) / 512.0 - exact).abs());
        }
    }
    assert!(worst <= 1.0 / 256.0, "off by {worst}");
    assert!(worst <= 0.0024, "worse than the polynomial and the rounding allow: {worst}");
    assert_eq!(log2_fixed(u64::MAX), 64 << 9);
}

proptest! {
    #[test]
    fn decay_is_a_semigroup(lambda in 0.0..2.0, a in 0.0..20.0, b in 0.0..20.0) {
        let (two, one) = (decay(lambda, a) * decay(lambda, b), decay(lambda, a + b));
        prop_assert!((two - one).abs() <= 1e-13 * one, "{two} against {one}");
    }

    #[test]
    fn samples_together_weigh_as_much_as_one_by_one(n in 1.0..1e6, a in 0_u32..50, b in 0_u32..50) {
        let (a, b) = (f64::from(a), f64::from(b));
        let left = 1.0 - ewma_weight(n, a + b);
        let steps = (1.0 - ewma_weight(n, a)) * (1.0 - ewma_weight(n, b));
        prop_assert!((left - steps).abs() <= 1e-12, "{left} against {steps}");
    }

    #[test]
    fn log2_fixed_is_monotone_between_neighbours(n in 0_u64..u64::MAX) {
        prop_assert!(log2_fixed(n) <= log2_fixed(n + 1));
    }
}
