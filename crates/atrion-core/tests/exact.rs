//! Values worked out by hand from the equations, at the points where a slip of the pen would show.

#![allow(clippy::float_cmp, reason = "these are exact, or it is said")]

use core::time::Duration;

use atrion_core::config::PhysicsConfig;
use atrion_core::flow::{Candidate, Priority, choose};
use atrion_core::law::LawConfig;
use atrion_core::math;
use atrion_core::merge::Stamp;
use atrion_core::momentum::momentum;
use atrion_core::pressure::{Baseline, Pressure, normalise};
use atrion_core::profile::Profile;
use atrion_core::resistance::Sensitivity;
use atrion_core::scar::is_trauma;
use atrion_core::stability::{
    h1_damped, h2_secs_to_passable, h3_avoided, is_deadlocked, lyapunov, oscillation_index,
};
use atrion_core::telemetry::{Telemetry, TelemetryBuilder};
use atrion_core::time::Timestamp;
use atrion_core::tuner::{Tuner, TunerConfig};
use atrion_core::units::{Ohms, PerSecond, UnitInterval, Volts};
use atrion_core::vector::Stance;

fn ohms(value: f64) -> Ohms {
    Ohms::try_new(value).expect("in its domain")
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * (1.0 + b.abs())
}

#[test]
fn time_under_decay_is_time_where_nothing_decays() {
    assert_eq!(math::decayed_time(0.0, 3.0), 3.0);
    assert_eq!(math::decayed_time(0.1, 0.0), 0.0);
    assert_eq!(math::decayed_time(0.1, -3.0), 0.0);
    // A rate so small that its product with the time is nothing: it must not divide by it.
    assert_eq!(math::decayed_time(1e-200, 1e-150), 1e-150);
    assert!(near(math::decayed_time(0.1, 10.0), 10.0 * (1.0 - math::exp(-1.0))));
}

#[test]
fn an_average_over_less_than_one_sample_is_the_last_one() {
    assert_eq!(math::ewma_weight(0.5, 3.0), 1.0);
    assert_eq!(math::ewma_weight(1.0, 3.0), 1.0);
    assert_eq!(math::ewma_weight(0.5, 0.0), 0.0);
    assert_eq!(math::ewma_weight(2.0, 2.0), 0.75);
}

#[test]
fn codes_of_latencies_are_logarithms_to_the_base_two_in_512ths() {
    let ln_2 = core::f64::consts::LN_2;
    assert!(near(math::ln_from_log2_fixed(512.0), ln_2));
    assert!(near(math::ln_from_log2_fixed(1_280.0), 2.5 * ln_2));
    assert!(near(math::log2_fixed_from_ln(ln_2), 512.0));
    assert!(near(math::log2_fixed_from_ln(-3.0 * ln_2), -1_536.0));
}

#[test]
fn energy_is_pressure_squared_and_a_share_of_the_scars_squared() {
    let pressure = Pressure::try_new(0.6, 0.0, 0.8).expect("in its domain");
    let routes = [(pressure, ohms(10.0)), (Pressure::CALM, ohms(3.0))];
    assert!(near(lyapunov(routes, 0.01), 1.0 + 0.01 * 100.0 + 0.01 * 9.0));
    assert_eq!(lyapunov([], 0.01), 0.0);
}

#[test]
fn a_turn_is_a_change_of_direction_and_standing_still_is_none() {
    assert_eq!(oscillation_index([0.0, 1.0, 0.0, 1.0, 0.0]), 0.75);
    assert_eq!(oscillation_index([0.0, 1.0, 2.0, 3.0, 4.0]), 0.0);
    assert_eq!(oscillation_index([4.0, 3.0, 2.0, 3.0, 4.0]), 0.25);
    assert_eq!(oscillation_index([4.0, 3.0, 3.0, 2.0, 1.0]), 0.0);
    // Up, a rest, down: one turn in three steps. Up, a rest, up: none.
    assert!(near(oscillation_index([5.0, 6.0, 6.0, 5.0]), 1.0 / 3.0));
    assert_eq!(oscillation_index([5.0, 6.0, 6.0, 7.0]), 0.0);
    assert!(near(oscillation_index([-1.0, -3.0, -2.0, -4.0]), 2.0 / 3.0));
}

#[test]
fn stuck_is_who_lets_not_even_the_highest_voltage_pass_anywhere() {
    let volts = [Volts::from(5_u32), Volts::from(20_u32)];
    assert!(is_deadlocked([ohms(20.0), ohms(90.0)], volts), "strictly more is needed");
    assert!(!is_deadlocked([ohms(19.9), ohms(90.0)], volts));
}

#[test]
fn the_hypotheses_ask_for_less_than_a_tenth() {
    assert_eq!([9, 10, 11].map(|changes| h1_damped(changes, 100)), [true, false, false]);
    assert_eq!([9, 10, 11].map(|sent| h3_avoided(sent, 100)), [true, false, false]);
    let secs = |scar, rate| h2_secs_to_passable(ohms(scar), ohms(1.0), Volts::from(11_u32), rate);
    assert_eq!(secs(9.9, 0.1), Some(0.0));
    assert_eq!(secs(9.9, 0.0), Some(0.0));
    assert_eq!(secs(20.0, 0.0), None, "without healing never");
    assert!(secs(20.0, 0.1).is_some_and(|secs| near(secs, 10.0 * core::f64::consts::LN_2)));
    assert_eq!(h2_secs_to_passable(ohms(0.0), ohms(11.0), Volts::from(11_u32), 0.1), None);
}

#[test]
fn a_lease_is_asked_for_every_half_latency_and_lasts_a_hundred() {
    let secs = Duration::from_secs;
    let terms = Profile::ALL.map(|profile| {
        let terms = profile.lease_terms();
        (terms.silence, terms.longest)
    });
    // A beat is half of the latency and two seconds at least; silence is three, the end ten or more.
    let short = (secs(6), secs(20));
    let heavy = (Duration::from_millis(7_500), secs(500));
    assert_eq!(terms, [short, short, heavy, (secs(90), secs(6_000))]);
}

#[test]
fn names_are_shown_padded() {
    assert_eq!(format!("[{:>9}]", Priority::High), "[     high]");
    assert_eq!(format!("[{:<9}]", Profile::Heavy), "[heavy    ]");
    assert_eq!(atrion_core::breaker::Mode::CircuitBreaker.to_string(), "CIRCUIT_BREAKER");
}

#[test]
fn weights_are_the_logarithm_of_one_and_the_criticality() {
    let weights = Sensitivity::from_criticality(0.0, 1.0, 9.0).expect("in its domain");
    let shown = [weights.latency_ohms(), weights.error_ohms(), weights.saturation_ohms()];
    assert_eq!(shown, [0.0, math::ln(2.0), math::ln(10.0)]);
    let weights = Sensitivity::try_new(4.0, 5.0, 60.0).expect("in its domain");
    let shown = [weights.latency_ohms(), weights.error_ohms(), weights.saturation_ohms()];
    assert_eq!(shown, [4.0, 5.0, 60.0]);
}

#[test]
fn pressure_is_the_distance_from_the_baseline_in_baselines() {
    let of = |raw, scale| normalise(raw, 0.2, scale).expect("finite");
    assert!(near(of(0.5, 1.0), math::tanh(1.5)));
    assert!(near(of(0.5, 0.4), math::tanh(0.6)));
    assert!(near(of(0.05, 2.0), math::tanh(-1.5)));
    let baseline = Baseline::try_new(0.25, 0.02, 0.7, 3.0).expect("in its domain");
    let shown = [baseline.latency_secs(), baseline.error_rate(), baseline.saturation()];
    assert_eq!(shown, [0.25, 0.02, 0.7]);
}

#[test]
fn no_time_is_no_movement() {
    let there = Pressure::try_new(0.3, 0.0, 0.4).expect("in its domain");
    assert_eq!(momentum(there, Pressure::CALM, 0.0), Ok(PerSecond::ZERO));
    let slow = momentum(there, Pressure::CALM, 2.0).expect("a step forwards");
    assert!(near(slow.get(), 0.25));
}

#[test]
fn trauma_is_stress_beyond_the_critical_one_and_relief_is_none() {
    let stressed = Pressure::try_new(0.6, -1.0, 0.8).expect("in its domain");
    assert!(is_trauma(stressed, 0.99));
    let norm = stressed.stress().norm();
    assert!(!is_trauma(stressed, norm), "more than the critical stress is needed");
    assert!(!is_trauma(stressed, 1.2), "what is below its baseline does not count");
}

#[test]
fn a_stamp_replaces_older_ones_only() {
    let stamp = |incarnation, sequence| Stamp { incarnation, sequence };
    assert!(stamp(2, 1).replaces(stamp(1, 9)) && stamp(2, 2).replaces(stamp(2, 1)));
    assert!(!stamp(2, 2).replaces(stamp(2, 2)), "a duplicate changes nothing");
    assert!(!stamp(1, 9).replaces(stamp(2, 1)));
}

#[test]
fn whoever_is_open_or_held_looks() {
    assert!(Stance { open: true, ..Stance::CALM }.is_looking());
    assert!(Stance { held: true, ..Stance::CALM }.is_looking());
    assert!(!Stance { good: true, ..Stance::CALM }.is_looking());
}

#[test]
fn a_draw_at_the_edge_of_a_share_belongs_to_the_next() {
    let route = Candidate { resistance: ohms(3.0), open: false };
    assert_eq!(choose(&[route, route], 1.0, UnitInterval::HALF), Ok(Some(1)));
}

#[test]
fn time_stops_at_its_end_and_is_moved_by_finite_steps_only() {
    let (now, end) = (Timestamp::from_secs(7), Timestamp::MAX);
    assert_eq!(now.saturating_add(Duration::MAX), end);
    let one_too_many = Duration::from_nanos(u64::MAX) + Duration::from_nanos(1);
    assert_eq!(now.saturating_add(one_too_many), end);
    assert_eq!(now.saturating_add(Duration::from_secs(3)), Timestamp::from_secs(10));
    for odd in [f64::INFINITY, f64::NAN, f64::NEG_INFINITY, -3.0, 0.0] {
        assert_eq!(now.add_secs(odd), now, "{odd}");
    }
    assert_eq!(now.add_secs(1e300), end);
}

#[test]
fn a_sample_survives_being_built_again_and_zero_has_no_sign() {
    let sample = Telemetry::builder()
        .latency_secs(-0.0)
        .error_rate(0.25)
        .saturation(0.5)
        .requests(9)
        .in_flight(4)
        .build()
        .expect("in its domain");
    assert!(sample.latency_secs().is_some_and(f64::is_sign_positive));
    assert_eq!(TelemetryBuilder::from(sample).build(), Ok(sample));
}

#[test]
fn a_tuner_needs_time_to_learn_and_may_have_one_threshold_only() {
    let config = TunerConfig::default();
    assert_eq!(Tuner::default().observe_for(ohms(9.0), 0.0, &config), Tuner::default());
    let bounds =
        |floor, ceiling| TunerConfig::try_new(100.0, 3.0, floor, ceiling, 50.0, 100.0, 0.5);
    assert!(bounds(40.0, 40.0).is_ok() && bounds(30.0, 40.0).is_ok());
    let why = bounds(41.0, 40.0).expect_err("a floor above the ceiling").to_string();
    assert_eq!(why, "tuner.floor is 41, which must be at most tuner.ceiling (40)");
}

#[test]
fn a_configuration_goes_on_from_another() {
    let config = PhysicsConfig::builder().probe_secs(0.7).build().expect("valid");
    let next = config.to_builder().probe_heal(0.5).build().expect("valid");
    assert_eq!((next.probe_secs(), next.probe_heal()), (0.7, 0.5));
    assert!(LawConfig::builder().trauma_ohms_per_sec(0.0).build().is_ok(), "no scars at all");
}
