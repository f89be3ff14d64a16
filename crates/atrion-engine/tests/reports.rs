//! Reports: all routes are told, nothing is changed by it.

use std::collections::BTreeMap;
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::law::{BreakerMode, Phase};
use atrion_core::telemetry::Telemetry;
use atrion_core::units::Volts;
use atrion_engine::{
    Atrion, Builder, Config, Force, OVERFLOW_ROUTE, OwnedPermit, Route, RouteReport,
};
use atrion_state::clock::ManualClock;
use proptest::prelude::*;

const IDLE: Duration = Duration::from_secs(60);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn built(builder: Builder, route_limit: usize) -> (Atrion, ManualClock) {
    let config = Config::builder().route_limit(route_limit).build().expect("valid");
    let clock = ManualClock::new();
    let builder = builder.clock(clock.clone()).seed(5).config(config);
    (builder.build().expect("valid"), clock)
}

fn instance(route_limit: usize) -> (Atrion, ManualClock) {
    built(Atrion::builder(), route_limit)
}

fn serve(route: &Route, clock: &ManualClock, count: u32) {
    for _ in 0..count {
        let permit = route.admit(Priority::Normal).expect("calm");
        clock.advance(ms(10));
        permit.success();
    }
}

fn put_to_rest(atrion: &Atrion, clock: &ManualClock) {
    clock.advance(IDLE);
    (0..4).for_each(|_| atrion.tick());
}

fn all(atrion: &Atrion) -> BTreeMap<String, RouteReport> {
    let mut reports = BTreeMap::new();
    atrion.visit_reports(|report| {
        let before = reports.insert(report.name.to_string(), report);
        assert!(before.is_none(), "nothing moves, so nobody is met twice");
    });
    reports
}

#[test]
fn every_route_is_told_whether_awake_at_rest_or_overflow() {
    // More than are looked at under one lock.
    const RESTING: usize = 1_000;
    let (atrion, clock) = instance(RESTING + 10);
    for i in 0..RESTING {
        serve(&atrion.route(&format!("resting/{i}")), &clock, 1);
    }
    put_to_rest(&atrion, &clock);
    let awake: Vec<Route> = (0..3).map(|i| atrion.route(&format!("awake/{i}"))).collect();
    for route in &awake {
        serve(route, &clock, 2);
    }

    let (stats, names) = (atrion.stats(), atrion.routes().len());
    let reports = all(&atrion);
    assert_eq!((atrion.stats(), atrion.routes().len()), (stats, names), "nobody was made or woken");
    assert_eq!(reports.len(), RESTING + 3 + 1);
    assert!(reports.contains_key(OVERFLOW_ROUTE));
    for (name, report) in &reports {
        assert_eq!(report.resting, name.starts_with("resting"), "{name}");
        let expected = if report.resting { 1 } else { 2 };
        assert!(name == OVERFLOW_ROUTE || report.counts.completed == expected, "{name}");
    }
    assert!(reports["resting/7"].idle_for >= IDLE);
    assert!(reports["awake/1"].idle_for < IDLE);
}

#[test]
fn a_report_of_a_resting_route_says_what_it_knew() {
    let (atrion, clock) = instance(10);
    serve(&atrion.route("r"), &clock, 500);
    let before = atrion.report("r").expect("it exists");
    assert!(!before.resting && before.phase == Phase::Running);
    put_to_rest(&atrion, &clock);
    let after = atrion.report("r").expect("it exists");
    assert!(after.resting && atrion.stats().resting == 1);
    assert_eq!((after.phase, after.counts), (before.phase, before.counts));
    for (before, after) in [
        (before.parallelism, after.parallelism),
        (before.service_secs, after.service_secs),
        (Some(before.limit), Some(after.limit)),
    ] {
        let (before, after) = (before.expect("learned"), after.expect("kept"));
        assert!((before - after).abs() <= 1e-3 * before, "{before} {after}");
    }
}

#[test]
fn names_that_do_not_exist_are_not_made() {
    let (atrion, _) = instance(10);
    for name in ["", "never", "<script>", &"x".repeat(10_000)] {
        assert_eq!(atrion.report(name), None);
    }
    assert_eq!(atrion.stats().routes, 0);
    assert_eq!(&*atrion.report(OVERFLOW_ROUTE).expect("always there").name, OVERFLOW_ROUTE);
}

#[test]
fn a_report_says_what_stands_in_the_way() {
    let (atrion, clock) = instance(10);
    let route = atrion.route("r");
    serve(&route, &clock, 300);
    let calm = route.report();
    assert_eq!((calm.mode, calm.next_probe, calm.forced), (BreakerMode::Closed, None, None));
    assert!(calm.limit > 0.0 && (calm.limit_for(Volts::from(20_u32)) - calm.limit).abs() < 0.5);
    assert!(calm.limit_for(Priority::Critical) > calm.limit_for(Priority::Bulk));

    let mut held = Vec::new();
    while let Ok(permit) = route.admit(Priority::Normal) {
        held.push(permit);
    }
    let full = route.report();
    assert!(full.parts.saturation > 1.0 && full.counts.in_flight as usize == held.len());
    assert!((full.resistance - route.resistance().get()).abs() < 1e-9, "{full:?}");
    assert!((full.resistance - full.parts.total()).abs() < 1e-9);
    drop(held);

    while !route.is_open() {
        clock.advance(ms(10));
        if let Ok(permit) = route.admit(Priority::Normal) {
            permit.failure();
        }
    }
    let open = route.report();
    assert_eq!(open.mode, BreakerMode::Open);
    assert!(open.next_probe.expect("it probes") > open.at && open.error_rate > 0.3);
    assert!(open.own_scar > 400.0 && (open.parts.scar - open.own_scar).abs() < 1e-3);

    route.force(Force::Closed, ms(500));
    let forced = route.report().forced.expect("by hand");
    assert_eq!((forced.force, forced.until), (Force::Closed, open.at.saturating_add(ms(500))));
    clock.advance(ms(500));
    assert_eq!(route.report().forced, None, "over, though nobody has ticked the route since");

    let sample = Telemetry::builder().saturation(0.9).outcomes(10, 90).build().expect("valid");
    for _ in 0..60 {
        clock.advance(Duration::from_secs(1));
        route.update_physics(&sample);
    }
    let reported = route.report();
    let decision = reported.reported.expect("somebody reports");
    assert!(decision.parts.saturation > 0.0, "{decision:?}");
    route.set_shadow(true);
    assert!(route.report().shadow && !reported.shadow);
}

#[test]
fn a_visitor_may_use_the_instance_meanwhile() {
    let (atrion, clock) = instance(2_000);
    for i in 0..600 {
        atrion.route(&format!("r/{i}"));
    }
    put_to_rest(&atrion, &clock);
    let mut met = BTreeMap::<String, u32>::new();
    atrion.visit_reports(|report| {
        *met.entry(report.name.to_string()).or_default() += 1;
        // Makes a route, wakes the one it was told of, and looks at yet another.
        if met.len() < 400 {
            atrion.route(&format!("new/{}", met.len()));
            atrion.route(&report.name);
        }
        atrion.report("r/599").expect("it exists throughout");
    });
    let old = (0..600).filter(|i| met.contains_key(&format!("r/{i}"))).count();
    assert_eq!(old, 600, "whoever exists throughout is met");
    assert!(met.values().all(|times| *times <= 2));
}

/// What a run of requests does to two instances, of which one is looked at all the time.
fn decisions(steps: &[(Priority, bool, u8, u16)], watched: bool) -> Vec<String> {
    let (atrion, clock) = built(Atrion::builder().tally(watched).sample_decisions(3), 4);
    let mut held = Vec::new();
    let mut log = Vec::new();
    for (tier, other, what, millis) in steps {
        clock.advance(ms(u64::from(*millis)));
        let route = atrion.route(if *other { "b" } else { "a" });
        match route.admit_owned(*tier) {
            Ok(permit) if what % 3 == 0 => permit.success(),
            Ok(permit) if what % 7 == 0 => permit.failure(),
            Ok(permit) => held.push(permit),
            Err(shed) => log.push(format!("{shed:?}")),
        }
        if held.len() > 40 {
            held.drain(..20).for_each(OwnedPermit::success);
        }
        if watched {
            atrion.visit_reports(drop);
            atrion.report("a");
        }
        log.push(format!("{:?} {:?}", route.counts(), route.resistance()));
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn looking_changes_no_decision(
        steps in prop::collection::vec(
            (prop::sample::select(&Priority::ALL[..]), any::<bool>(), any::<u8>(), 0u16..40),
            1..400,
        ),
    ) {
        prop_assert_eq!(decisions(&steps, false), decisions(&steps, true));
    }
}
