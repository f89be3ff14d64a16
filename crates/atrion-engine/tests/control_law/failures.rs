//! The failure modes of the first study, section 8, and the mistakes of the published model that
//! concern control.

use atrion_core::flow::Priority;
use atrion_core::time::Timestamp;
use atrion_engine::Atrion;
use atrion_state::clock::ManualClock;

use crate::engine::Engine;
use crate::oracle::{mean, run_routes};
use crate::policy::{Outcome, Policy};
use crate::scenario::{Fault, Model, Scenario};
use crate::spec_law::{Mistake, Params, SpecLaw};
use crate::study::{engine, spec};
use crate::world::Report;

/// Mode 1: the limit must not follow a service that slows down to nothing.
#[test]
fn f1_a_slow_service_does_not_shrink_the_limit_for_good() {
    let mut scenario =
        Scenario::with_fault("slow20x", Model::fifo(16, 0.02), Fault::Gray(1.0, 20.0));
    scenario.end = 80.0;
    for r in engine(&scenario, &[1, 2, 3]) {
        let c = r.learned.parallelism;
        assert!(c >= 8.0, "C fell to {c:.1} of 16, seed {}", r.seed);
        assert!(r.after_rejects < 0.5, "{} % refused later, seed {}", r.after_rejects, r.seed);
    }
}

/// Mode 2: queued samples must not become the baseline.
#[test]
fn f2_a_long_overload_does_not_ratchet_the_baseline() {
    let mut scenario = Scenario::surge("step2x", Model::fifo(16, 0.02), 2.0);
    scenario.act.1 = 220.0;
    scenario.window.1 = 220.0;
    scenario.end = 220.0;
    for r in engine(&scenario, &[1, 2]) {
        let (c, r0) = (r.learned.parallelism, r.learned.service_secs / 0.02);
        assert!(c <= 24.0, "C rose to {c:.1} of 16, seed {}", r.seed);
        assert!((0.7..1.4).contains(&r0), "R0 is {r0:.2} of the truth, seed {}", r.seed);
    }
}

/// Modes 3 and 4: heavy tails look uncongested to a mean, and slow requests are invisible
/// until they finish.
#[test]
fn f3_f4_heavy_tails_and_survivors_do_not_inflate_c() {
    let heavy = Scenario::surge("heavytail2x", Model::fifo(16, 0.02).with_cv(3.0), 2.0);
    let gray = Scenario::with_fault("gray30%20x", Model::fifo(14, 0.5), Fault::Gray(0.3, 20.0));
    for scenario in &[heavy, gray] {
        let workers = scenario.model.pool.unwrap_or(1) as f64;
        for r in engine(scenario, &[1, 2, 3]) {
            let c = r.learned.parallelism;
            assert!(
                c <= 2.0 * workers,
                "{}: C {c:.1} on {workers} workers, seed {}",
                scenario.name,
                r.seed
            );
            assert!(r.goodput() >= 80.0, "{}: {:.1} %", scenario.name, r.goodput());
        }
    }
}

/// Mode 6: the start must end although latency grows with the overload. (Mode 5 is recipe 4,
/// mode 7 recipe 7.)
#[test]
fn f6_the_start_ends_inside_a_retry_storm() {
    let mut scenario = Scenario::cold_start(Model::fifo(16, 0.02), 5.0);
    scenario.retries = true;
    for r in engine(&scenario, &[1, 2, 3]) {
        assert!(r.goodput() >= 95.0, "{:.1} %, seed {}", r.goodput(), r.seed);
        let c = r.learned.parallelism;
        assert!((8.0..24.0).contains(&c), "C {c:.1} of 16, seed {}", r.seed);
    }
}

/// Mode 8: what drains the service must refuse even the highest tier.
#[test]
fn f8_nobody_passes_a_draining_service() {
    use atrion_core::law::Phase;
    use atrion_core::units::Volts;
    let mut engine = Engine::new(1);
    let mut at = Timestamp::ZERO;
    let mut open = Vec::new();
    let mut in_flight_limit = None;
    // 2000 requests per second on one worker of 20 ms: the start limit is hit at once.
    for step in 0..40_000u64 {
        at = Timestamp::from_nanos(step * 500_000);
        if let Some(token) = engine.arrive(at, 100.0) {
            open.push(token);
        }
        let said = engine.route().explain(Volts::ZERO);
        if said.phase == Phase::Exhale {
            let n = open.len();
            let drained = in_flight_limit.get_or_insert(n);
            assert!(n <= *drained, "{n} in flight during the exhale, {drained} at its start");
            *drained = (*drained).min(n.max(1));
        }
        if step % 40 == 39 && !open.is_empty() {
            engine.done(at, open.remove(0), Outcome::Success);
        }
    }
    assert!(in_flight_limit.is_some(), "never exhaled until {at:?}");
}

/// Mode 9, residual: gray failure with one or two workers. A floor below the record.
#[test]
fn f9_gray_failure_with_two_workers_is_recorded() {
    let scenario = Scenario::with_fault("gray30%20x", Model::fifo(2, 0.02), Fault::Gray(0.3, 20.0));
    let seeds = [1, 2, 3, 4];
    let (law, ours) = (spec(&scenario, &seeds), engine(&scenario, &seeds));
    let (law, ours) = (mean(&law, Report::goodput), mean(&ours, Report::goodput));
    println!("gray failure, two workers: law {law:.1} %, engine {ours:.1} %");
    assert!(ours >= 60.0, "{ours:.1} %");
}

/// Suspicion (a) of the first study: saturation sampled at ticks is always too late. The engine
/// must not be like that, and the test must notice if it were.
#[test]
fn saturation_is_read_at_every_arrival() {
    let scenario = Scenario::flash(Model::fifo(16, 0.02));
    let sampled = Params { mistake: Some(Mistake::SampledSaturation), ..Params::default() };
    let late = run_routes(&scenario, 1, |s| SpecLaw::with(sampled.clone(), s));
    let live = &engine(&scenario, &[1])[0];
    assert!(late.goodput() < 60.0, "sampling costs nothing: {:.1} %", late.goodput());
    assert!(live.goodput() >= 97.0, "{:.1} %", live.goodput());
}

/// Ticks that stop: the live count goes on protecting.
#[test]
fn stopped_ticks_do_not_open_the_gate() {
    let mut scenario = Scenario::surge("step5x", Model::fifo(16, 0.02), 5.0);
    scenario.no_ticks = (15.0, 45.0);
    let reports = spec(&scenario, &[1, 2]);
    let goodput = mean(&reports, Report::goodput);
    assert!(goodput >= 97.0, "the law without ticks: {goodput:.1} %");
}

/// An engine and a clock for what needs no service.
fn by_hand() -> (ManualClock, atrion_engine::Route) {
    let clock = ManualClock::new();
    let atrion = Atrion::builder().clock(clock.clone()).seed(5).build().expect("no observer");
    (clock, atrion.route("r"))
}

/// One request that takes 5 ms; whether it was admitted.
fn request(clock: &ManualClock, route: &atrion_engine::Route, at: f64, fails: bool) -> bool {
    clock.set(Timestamp::ZERO.add_secs(at));
    let Ok(permit) = route.admit(Priority::Normal) else {
        return false;
    };
    clock.set(Timestamp::ZERO.add_secs(at + 0.005));
    if fails {
        permit.failure();
    } else {
        permit.success();
    }
    true
}

/// The published model needs outside traffic to recover, and closes idle routes itself.
#[test]
fn a_silent_route_recovers_by_itself() {
    let (clock, route) = by_hand();
    for i in 0..2_000 {
        request(&clock, &route, f64::from(i) * 0.01, i >= 1_000);
    }
    assert!(route.is_open(), "a dead dependency must open the breaker");
    // A minute of nothing, then the dependency is back.
    let mut served_at = None;
    for i in 0..500 {
        let t = 80.0 + f64::from(i) * 0.01;
        let served = request(&clock, &route, t, false);
        if served && !route.is_open() {
            served_at.get_or_insert(t - 80.0);
        }
        if served_at.is_some() {
            assert!(served, "refused again at {t} s");
        }
    }
    assert!(served_at.is_some_and(|t| t <= 1.0), "served again after {served_at:?} s");
    // An hour of nothing changes nothing.
    assert!(request(&clock, &route, 3_700.0, false));
    assert!(!route.is_open());
}

/// The published model scars per call and per tick: 0.2 % errors of a busy route would weigh as
/// much as a dead quiet one.
#[test]
fn the_error_rate_counts_not_errors_per_second() {
    let (clock, route) = by_hand();
    for i in 0..60_000u32 {
        let admitted = request(&clock, &route, f64::from(i) * 0.001 * 5.1, i % 500 == 0);
        assert!(admitted, "2 errors per second among 1000 requests shed request {i}");
    }
    assert!(!route.is_open());

    let (clock, route) = by_hand();
    let opened = (0..60).find(|i| {
        request(&clock, &route, f64::from(*i), true);
        route.is_open()
    });
    assert!(opened.is_some_and(|i| i <= 25), "one dead request per second: {opened:?}");
}
