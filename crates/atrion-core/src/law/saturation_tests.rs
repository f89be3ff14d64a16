//! The shortcuts of the tick against the formulas they stand for.

use proptest::prelude::*;

use super::*;

fn knowing(service_secs: f64, samples: u32) -> Saturation {
    let learned = Learned {
        service_secs,
        service_ln: math::ln(service_secs),
        throughput: 100.0,
        mean_in_flight: 2.0,
        limit_bound: false,
        variance_ln: 0.69,
        samples,
    };
    Saturation::new(&learned, learned.service_ln, Timestamp::ZERO)
}

fn service_weight_in_full(s: &Saturation, elapsed_secs: f64, count: f64) -> f64 {
    let gap = elapsed_secs / count;
    let memory = math::max(1.0, STANDING_SERVICE_TIMES * s.service_secs);
    let per_sample =
        math::clamp(1.0 - math::exp(-gap / memory), SERVICE_WEIGHT.0, SERVICE_WEIGHT.1);
    math::ewma_weight(1.0 / math::max(per_sample, 1.0 / s.samples), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_weight_of_samples_differs_by_rounding_only(
        service_ln in -14.0..4.0_f64,
        elapsed_ln in -14.0..8.0_f64,
        count in 1_u32..2_000_000,
        before in 1_u32..1_000_000_000,
    ) {
        let s = knowing(math::exp(service_ln), before.saturating_add(count));
        let elapsed = math::exp(elapsed_ln);
        let short = s.service_weight(elapsed, f64::from(count));
        let full = service_weight_in_full(&s, elapsed, f64::from(count));
        prop_assert!((short - full).abs() < 1e-11 * full + 1e-15, "{} {}", short, full);
    }

    #[test]
    fn congestion_is_decided_as_by_the_logarithm(
        service_ln in -14.0..4.0_f64, slower in -1.0..2.0_f64, share in 0.01..10.0_f64,
    ) {
        let mut s = knowing(math::exp(service_ln), 100);
        for near in [slower, math::ln(1.0 + share) * (1.0 + slower * 1e-15), share] {
            s.recent_ln = s.service_ln + near;
            let full = s.recent_ln > s.service_ln + math::ln(1.0 + share);
            prop_assert_eq!(s.is_slower_by(share), full);
        }
    }

    #[test]
    fn the_horizon_moves_as_far_as_any_average(count in 1_u32..2_000_000, n in 2.0..1e5_f64) {
        let config = LawConfig::builder().horizon_samples(n).build().unwrap();
        let full = math::ewma_weight(n, f64::from(count));
        prop_assert!((config.horizon_weight(f64::from(count)) - full).abs() < 2e-15);
    }
}
