use proptest::prelude::*;

use super::*;
use crate::flow::{Priority, Rejection};
use crate::units::UnitInterval;

fn ms(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn outcomes(ok: u64, failed: u64) -> Telemetry {
    Telemetry::builder().outcomes(ok, failed).build().unwrap()
}

/// Past its bootstrap, after `until_ms` of ten requests every 100 ms.
fn after(sample: &Telemetry, until_ms: u64, config: &PhysicsConfig) -> RouteState {
    let start = RouteState::new(ms(0), config);
    (1..=until_ms / 100).fold(start, |state, tick| state.observe(sample, ms(100 * tick), config))
}

fn open_at(until_ms: u64, config: &PhysicsConfig) -> RouteState {
    let state = after(&outcomes(0, 10), until_ms, config);
    assert_eq!(state.mode(), Mode::CircuitBreaker, "a dead dependency opens the circuit");
    state
}

mod regressions {
    //! One for each mistake of the published implementation that concerns a pure core.
    use super::*;

    /// "No traffic, no recovery": a caller that obeys the gate never sends again.
    #[test]
    fn recovers_without_traffic_probes_or_telemetry() {
        let config = PhysicsConfig::default();
        let state = open_at(3_000, &config);
        let passable = |secs: u64| {
            let now = Timestamp::from_secs(secs);
            state.decision(now, &config).flow(Priority::Bulk).passes()
        };
        assert!(!passable(4));
        // From S_max to the recovery threshold: ln(500 / 5) / 0.1 = 46 s.
        let healed = (4..200).find(|secs| passable(*secs));
        assert!(healed.is_some_and(|secs| secs <= 50), "{healed:?}");
    }

    /// Reports that say nothing about errors must not keep the circuit open either: whoever is
    /// refused has no errors to report.
    #[test]
    fn recovers_while_only_saturation_or_empty_windows_are_reported() {
        let config = PhysicsConfig::default();
        let quiet = Telemetry::builder().saturation(0.0).build().unwrap();
        let empty = Telemetry::builder().error_rate(1.0).requests(0).build().unwrap();
        for sample in [quiet, empty] {
            let mut state = open_at(3_000, &config);
            for tick in 31..=600 {
                state = state.observe(&sample, ms(100 * tick), &config);
            }
            assert_eq!(state.mode(), Mode::Operational, "{sample:?}");
        }
    }

    /// "It reacts to errors per second, not to the error rate": 1000 requests/s at 0.2 % errors
    /// is blocked in 4 s, 1 request/s at 100 % errors never.
    #[test]
    fn the_error_rate_counts_and_not_the_number_of_errors() {
        let config = PhysicsConfig::default();
        let mut busy = RouteState::new(ms(0), &config);
        for tick in 1..=6_000 {
            let failed = u64::from(tick % 5 == 0);
            busy = busy.observe(&outcomes(100 - failed, failed), ms(100 * tick), &config);
        }
        assert!(busy.scar().is_zero() && busy.mode() == Mode::Operational, "{busy:?}");
        let mut rare = RouteState::new(ms(0), &config);
        let opened = (1..=60).find(|secs| {
            rare = rare.observe(&outcomes(0, 1), Timestamp::from_secs(*secs), &config);
            rare.mode() == Mode::CircuitBreaker
        });
        assert!(opened.is_some_and(|secs| secs <= 20), "{opened:?}");
    }

    /// "Scar equilibrium runs from 8 to 50,000 ohm with the tick length, without a cap."
    #[test]
    fn the_scar_has_a_ceiling_at_any_report_rate() {
        let config = PhysicsConfig::default();
        for every_ms in [1, 10, 100, 1_000, 10_000] {
            let mut state = RouteState::new(ms(0), &config);
            for tick in 1..=2_000 {
                state = state.observe(&outcomes(0, 10), ms(every_ms * tick), &config);
                assert!(state.scar().get() <= 500.0);
            }
            assert_eq!(state.mode(), Mode::CircuitBreaker, "every {every_ms} ms");
        }
    }

    /// "It fails open": poison is refused, the old state stays.
    #[test]
    fn poison_is_refused_and_opens_nothing() {
        let config = PhysicsConfig::default();
        let state = open_at(3_000, &config);
        let blank = Telemetry::builder;
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            for sample in
                [blank().latency_secs(bad), blank().error_rate(bad), blank().saturation(bad)]
            {
                assert!(update_physics(&state, sample, ms(3_100), &config).is_err(), "{sample:?}");
            }
        }
        let decision = state.decision(ms(3_100), &config);
        assert_eq!(decision.flow(Priority::Critical), Flow::Reject(Rejection::CircuitOpen));
    }

    /// "Recovery tests the unsigned pressure, so an idle route counts as stressed."
    #[test]
    fn an_idle_route_recovers() {
        let config = PhysicsConfig::default();
        let idle = Telemetry::builder().latency_secs(0.0).error_rate(0.0).saturation(0.0).build();
        let idle = idle.unwrap();
        let mut state = open_at(3_000, &config);
        let recovered = (31..200).find(|tick| {
            state = state.observe(&idle, ms(100 * tick), &config);
            state.mode() == Mode::Operational
        });
        assert!(recovered.is_some_and(|tick| tick <= 50), "{recovered:?}");
        let p = state.pressure_at(ms(100 * recovered.unwrap_or(0)), &config);
        assert!(p.norm() > 1.0 && p.stress().norm() <= 0.0, "idle is far from normal, not stress");
    }

    /// Idle capacity must not pay off a scar: the published law adds signed pressure.
    #[test]
    fn silence_does_not_offset_a_scar() {
        let config = PhysicsConfig::default();
        let idle = Telemetry::builder().saturation(0.0).build().unwrap();
        let scarred = PhysicsConfig::builder().bootstrap_secs(0.0).build().unwrap();
        let vector = RouteState::new(ms(0), &config).vector(ms(0), &config);
        let vector = crate::vector::PhysicsVector { scar_tissue: Ohms::from(40_u32), ..vector };
        let state = RouteState::restore(&vector, ms(0), &scarred).observe(&idle, ms(1), &scarred);
        assert!(state.decision(ms(1), &scarred).resistance().get() > 39.9);
    }

    /// "One threshold tuner for all routes, which learns during outages and while open."
    #[test]
    fn the_tuner_is_frozen_in_trauma_and_while_open() {
        let config = PhysicsConfig::builder().adaptive_break(true).build().unwrap();
        let calm = after(&outcomes(10, 0), 20_000, &config);
        let learned = *calm.tuner();
        assert!(learned.is_warm(&config.tuner()));
        let mut state = calm;
        for tick in 201..=400 {
            state = state.observe(&outcomes(0, 10), ms(100 * tick), &config);
        }
        assert_eq!(state.mode(), Mode::CircuitBreaker);
        let drift = (state.tuner().mean().get() - learned.mean().get()).abs();
        assert!(drift < 1e-9, "learned {drift} ohm from an outage");
    }

    /// A hard gate sheds a whole tier at once; here a rising saturation sheds by degrees.
    #[test]
    fn saturation_sheds_by_degrees() {
        let config = PhysicsConfig::default();
        let refused = |saturation: f64| {
            let full = Telemetry::builder().saturation(saturation).build().unwrap();
            let state = after(&full, 2_000, &config);
            let decision = state.decision(ms(2_000), &config);
            Priority::ALL.into_iter().filter(|p| !decision.flow(*p).passes()).count()
        };
        assert_eq!([0.5, 0.8, 0.84, 1.0, 1.2, 2.0].map(refused), [0, 0, 1, 2, 3, 4]);
    }

    /// Who is shed for saturation reports nothing; what is not repeated has to end.
    #[test]
    fn a_saturation_that_is_no_longer_reported_ends() {
        let config = PhysicsConfig::default();
        let full = Telemetry::builder().saturation(5.0).build().unwrap();
        let state = after(&full, 2_000, &config);
        let passes = |at, tier: Priority| state.decision(ms(at), &config).flow(tier).passes();
        assert!(!passes(2_000, Priority::High));
        assert!(passes(12_500, Priority::Bulk));
    }
}

#[test]
fn probes_find_a_healed_service_within_a_second() {
    let config = PhysicsConfig::default();
    let mut state = open_at(3_000, &config);
    let mut at = 3_000;
    while state.mode() == Mode::CircuitBreaker {
        at += 10;
        if let Some(probing) = state.begin_probe(ms(at), &config) {
            state = probing.probe_ended(Some(true), ms(at), UnitInterval::HALF, &config);
        }
        assert!(at < 10_000, "never closed");
    }
    assert!(at <= 4_500, "closed at {at} ms");
    let decision = state.decision(ms(at), &config);
    assert!(decision.flow(Priority::Bulk).passes(), "no residue: {decision:?}");
}

#[test]
fn a_failed_probe_waits_in_full_and_a_lost_one_is_given_up() {
    let config = PhysicsConfig::default();
    let state = open_at(3_000, &config);
    let probing = state.begin_probe(ms(4_000), &config).unwrap();
    assert!(!probing.probe_due(ms(4_500)), "one at a time");
    assert!(probing.probe_due(ms(5_100)), "lost after four waits");
    let cancelled = probing.probe_ended(None, ms(4_100), UnitInterval::HALF, &config);
    assert!(cancelled.probe_due(ms(4_100)), "a cancelled one gives its place back");
    let failed = probing.probe_ended(Some(false), ms(4_100), UnitInterval::ZERO, &config);
    assert!(!failed.probe_due(ms(4_299)) && failed.probe_due(ms(4_300)), "0.8 waits");
    let late = failed.probe_ended(Some(false), ms(4_200), UnitInterval::ONE, &config);
    assert!(!late.probe_due(ms(4_499)) && late.probe_due(ms(4_500)), "1.2 waits");
}

#[test]
fn every_good_probe_doubles_the_next_round() {
    let config = PhysicsConfig::default();
    let good = |state: RouteState, at| {
        let probing = state.begin_probe(ms(at), &config).unwrap();
        probing.probe_ended(Some(true), ms(at), UnitInterval::HALF, &config)
    };
    let state = good(open_at(3_000, &config), 4_000);
    // Half a wait later two may be out at once, but not three.
    assert!(!state.probe_due(ms(4_124)));
    let one = state.begin_probe(ms(4_125), &config).unwrap();
    let two = one.begin_probe(ms(4_125), &config).unwrap();
    assert_eq!(two.probing().map(Probing::outstanding), Some(2));
    assert_eq!(two.begin_probe(ms(4_125), &config), None);
    // Both hang: when they are given up, the round starts over with one.
    let after_lost = two.begin_probe(ms(5_125), &config).unwrap();
    assert_eq!(after_lost.probing().map(Probing::outstanding), Some(1));
}

/// Invariant 6: a clock that steps back must not postpone the next probe by the size of the step.
#[test]
fn a_clock_that_steps_back_does_not_stop_the_probing() {
    let config = PhysicsConfig::default();
    let open = open_at(3_000_000, &config);
    let outstanding = open.begin_probe(ms(4_000_000), &config).unwrap();
    for state in [open, outstanding] {
        let back = state.advance(ms(0), &config);
        assert_eq!(back.mode(), Mode::CircuitBreaker);
        assert!(back.probe_due(ms(1_000)), "{:?}", back.probing());
    }
}

#[test]
fn bootstrap_only_listens() {
    let config = PhysicsConfig::default();
    let state = after(&outcomes(0, 10), 900, &config);
    let decision = state.decision(ms(900), &config);
    assert_eq!((state.mode(), state.scar()), (Mode::Bootstrap, Ohms::ZERO));
    assert!((decision.resistance().get() - 0.12).abs() < 1e-12);
    assert!(decision.flow(Priority::Bulk).passes());
    let operational = state.observe(&outcomes(10, 0), ms(1_000), &config);
    assert_eq!(operational.mode(), Mode::Operational);
    assert!(operational.momentum(ms(1_000), &config).is_zero(), "no momentum on the first tick");
}

#[test]
fn an_hour_of_suspension_is_not_an_hour_of_trauma() {
    let config = PhysicsConfig::builder().trauma_ohms_per_sec(50.0).build().unwrap();
    let calm = after(&outcomes(10, 0), 2_000, &config);
    let state = calm.observe(&outcomes(0, 1_000), Timestamp::from_secs(3_600), &config);
    assert!(state.scar().get() > 0.0 && state.scar().get() <= 50.0, "{}", state.scar());
}

#[test]
fn the_forecast_of_an_open_circuit_is_the_closed_form() {
    let config = PhysicsConfig::default();
    let state = open_at(3_000, &config);
    let forecast = state.passable_after(Priority::Critical, ms(3_000), &config).unwrap();
    // ln(500 / 5) / 0.1: the scar has to fade to the recovery threshold.
    assert!((forecast.as_secs_f64() - 46.052).abs() < 0.01, "{forecast:?}");
    assert_eq!(state.passable_after(Volts::ZERO, ms(3_000), &config), None);
}

/// What can happen to a route.
#[derive(Clone, Copy, Debug)]
enum Event {
    Report(Telemetry),
    Pass,
    Probe(Option<bool>),
}

fn samples() -> impl Strategy<Value = Telemetry> {
    let part = |max| prop::option::of(0.0..=max);
    (part(1e6), part(1.0), part(1e3), prop::option::of(0_u64..10_000)).prop_filter_map(
        "says nothing",
        |(latency, error, saturation, requests)| {
            let mut b = Telemetry::builder();
            b = latency.map_or(b, |v| b.latency_secs(v));
            b = error.map_or(b, |v| b.error_rate(v));
            b = saturation.map_or(b, |v| b.saturation(v));
            requests.map_or(b, |v| b.requests(v)).build().ok()
        },
    )
}

fn events() -> impl Strategy<Value = Vec<(Timestamp, Event)>> {
    let event = prop_oneof![
        4 => samples().prop_map(Event::Report),
        1 => Just(Event::Pass),
        1 => prop::option::of(any::<bool>()).prop_map(Event::Probe),
    ];
    // Clocks that stand still, run, jump by years and step back.
    let time = prop_oneof![0_u64..60_000_000_000, any::<u64>()];
    prop::collection::vec((time.prop_map(Timestamp::from_nanos), event), 1..60)
}

fn apply(state: &RouteState, at: Timestamp, event: Event, config: &PhysicsConfig) -> RouteState {
    match event {
        Event::Report(sample) => state.observe(&sample, at, config),
        Event::Pass => state.advance(at, config),
        Event::Probe(end) => state.begin_probe(at, config).unwrap_or(*state).probe_ended(
            end,
            at,
            UnitInterval::HALF,
            config,
        ),
    }
}

/// A configuration in which every term acts.
fn everything() -> PhysicsConfig {
    PhysicsConfig::builder()
        .weight_latency_ohms(20.0)
        .weight_error_ohms(30.0)
        .damping_ohm_secs(2.0)
        .critical_stress(0.7)
        .staleness_ohms_per_sec(0.01)
        .adaptive_break(true)
        .build()
        .unwrap()
}

proptest! {
    /// Invariants 1, 2, 6 and the first half of 7, for any history on any clock.
    #[test]
    fn any_history_on_any_clock_keeps_the_invariants(history in events()) {
        let config = everything();
        let mut state = RouteState::new(ms(0), &config);
        let mut left_bootstrap = false;
        for (at, event) in history {
            let before = state;
            let next = apply(&state, at, event, &config);
            prop_assert_eq!(next, apply(&state, at, event, &config), "pure");
            prop_assert_eq!(before, state, "the input is unchanged");
            let decision = next.decision(at, &config);
            let r = decision.resistance().get();
            prop_assert!(r.is_finite() && r >= config.base_ohms());
            prop_assert!((0.0..=500.0).contains(&next.scar().get()));
            prop_assert!((0.0..=1.0).contains(&next.error_rate()));
            left_bootstrap |= next.mode() != Mode::Bootstrap;
            prop_assert!(!(left_bootstrap && next.mode() == Mode::Bootstrap), "left once");
            let opened = state.mode() != next.mode() && next.mode() == Mode::CircuitBreaker;
            let through = state.advance(at, &config).mode() == Mode::Operational;
            prop_assert!(!opened || through, "opened from {:?}", state.mode());
            state = next;
        }
    }

    /// Invariant 7: once the fault is gone, every route is passable for everybody in bounded
    /// time, whether or not traffic flows.
    #[test]
    fn whatever_happened_it_ends(history in events(), traffic: bool) {
        let config = everything();
        let mut state = RouteState::new(ms(0), &config);
        let mut now = ms(0);
        for (at, event) in history {
            state = apply(&state, at, event, &config);
            now = at;
        }
        let healthy = Telemetry::builder()
            .latency_secs(0.1).outcomes(10, 0).saturation(0.5).build().unwrap();
        for _ in 0..900 {
            now = now.add_secs(0.1);
            state = if traffic {
                state.observe(&healthy, now, &config)
            } else {
                state.advance(now, &config)
            };
        }
        prop_assume!(now < Timestamp::from_nanos(u64::MAX - 1_000_000_000));
        let decision = state.decision(now, &config);
        prop_assert!(decision.flow(Priority::Bulk).passes(), "{:?}", decision);
    }

    /// Hypothesis H2: whoever is refused passes at the forecast moment, not much sooner, and
    /// within two minutes whatever happened.
    #[test]
    fn forecasts_come_true(history in events(), tier in 0_usize..5) {
        let config = everything();
        let voltage = Priority::ALL[tier].volts();
        let mut state = RouteState::new(ms(0), &config);
        let mut now = ms(0);
        for (at, event) in history {
            state = apply(&state, at, event, &config);
            now = at;
        }
        prop_assume!(now < Timestamp::from_nanos(u64::MAX / 2));
        let wait = state.passable_after(voltage, now, &config);
        prop_assert!(wait.is_some_and(|wait| wait.as_secs() < 120), "{wait:?}");
        let wait = wait.unwrap_or_default();
        let passes = |after| {
            let then = now.saturating_add(after);
            state.decision(then, &config).flow(voltage).passes()
        };
        prop_assert!(passes(wait));
        let sooner = wait.saturating_sub(core::time::Duration::from_millis(2));
        prop_assert!(wait == sooner || wait.as_millis() < 2 || !passes(sooner));
    }

    /// Invariant 8: the same hour, told in steps of different length.
    #[test]
    fn the_length_of_a_tick_does_not_matter(
        latency in 0.0..1.0, error in prop_oneof![0.0..0.45, 0.55..1.0],
        saturation in 0.0..2.0, counted: bool,
    ) {
        let config = everything().to_builder().longest_step_secs(2.0).build().unwrap();
        let told = |every_ms: u64| {
            let mut b = Telemetry::builder()
                .latency_secs(latency).error_rate(error).saturation(saturation);
            if counted {
                b = b.requests(every_ms); // 1000 requests per second
            }
            let sample = b.build().unwrap();
            // One common second of history, so that the rate is on its side of the threshold.
            let mut state = RouteState::new(ms(0), &config);
            for tick in 1..=100 {
                state = state.observe(&sample, ms(10 * tick), &config);
            }
            for tick in 1..=2_000 / every_ms {
                state = state.observe(&sample, ms(1_000 + every_ms * tick), &config);
            }
            state
        };
        let (fine, coarse) = (told(10), told(100));
        prop_assert_eq!(fine.mode(), coarse.mode());
        let now = ms(3_000);
        for (a, b) in [
            (fine.scar().get(), coarse.scar().get()),
            (fine.error_rate(), coarse.error_rate()),
            (fine.momentum(now, &config).get(), coarse.momentum(now, &config).get()),
            (
                fine.decision(now, &config).resistance().get(),
                coarse.decision(now, &config).resistance().get(),
            ),
        ] {
            prop_assert!((a - b).abs() <= 1e-6 * (1.0 + a.abs()), "{a} {b}");
        }
    }
}

#[test]
fn a_clock_that_steps_back_does_not_prolong_the_first_look() {
    let config = PhysicsConfig::default();
    let calm = outcomes(10, 0);
    let mut state = RouteState::new(Timestamp::from_secs(100), &config);
    for tick in 0..=11 {
        state = state.observe(&calm, ms(50_000 + 100 * tick), &config);
    }
    assert_eq!(state.mode(), Mode::Operational);
}

#[test]
fn errors_at_the_critical_rate_are_no_trauma_yet() {
    let config = PhysicsConfig::builder().error_samples(1.0).build().unwrap();
    let mut state = RouteState::new(ms(0), &config);
    for tick in 1..=100 {
        state = state.observe(&outcomes(4, 4), ms(100 * tick), &config);
    }
    assert!(state.scar().is_zero(), "{state:?}");
    state = state.observe(&outcomes(3, 4), ms(10_100), &config);
    assert!(!state.scar().is_zero());
}

#[test]
fn a_probe_that_heals_everything_does_not_close_while_errors_are_frequent() {
    let config = PhysicsConfig::builder().probe_heal(0.0).build().unwrap();
    let mut state = open_at(3_000, &config);
    let good = |state: RouteState, millis| {
        state.probe_ended(Some(true), ms(millis), UnitInterval::HALF, &config)
    };
    let before = state.error_rate();
    assert!(before > 0.5, "{before}");
    state = good(state, 3_000);
    assert_eq!(state.mode(), Mode::CircuitBreaker, "an error rate of {}", state.error_rate());
    state = good(state, 3_000);
    assert_eq!(state.mode(), Mode::Operational);
}

#[test]
fn reports_between_good_and_bad_say_nothing_about_probes() {
    let config = PhysicsConfig::default();
    let (state, now) = (open_at(3_000, &config), ms(3_400));
    let once = state.probe_ended(Some(true), now, UnitInterval::HALF, &config);
    let later = ms(4_000);
    let begun = once.begin_probe(later, &config).expect("due");
    // The report itself hardly counts, only what it says of the probe.
    let config = config.to_builder().error_samples(1e6).build().unwrap();
    let looked = |failures: u64| {
        let (ended, _) = begun.report(&outcomes(100 - failures, failures), later, &config);
        ((ended.error_rate() - begun.error_rate()) * 10.0) as i32
    };
    // It was a half: a good probe takes a quarter, a bad one adds as much.
    assert_eq!([24, 25, 50, 51].map(looked), [-2, 0, 0, 2]);
}
