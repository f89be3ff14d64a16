//! What users do with routes: priorities, shadowing, manual control, telemetry, choice, reload.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::law::LawConfig;
use atrion_core::telemetry::Telemetry;
use atrion_core::units::Volts;
use atrion_engine::{
    Atrion, Config, Event, Force, Observer, OwnedPermit, Reason, Route, RouteNameError,
};
use atrion_state::clock::ManualClock;

fn instance() -> (Atrion, ManualClock) {
    let clock = ManualClock::new();
    let atrion = Atrion::builder().clock(clock.clone()).seed(11).build().expect("valid");
    (atrion, clock)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Serves `count` requests of 10 ms one after the other.
fn serve(route: &Route, clock: &ManualClock, count: u32) {
    for _ in 0..count {
        let permit = route.admit(Priority::Normal).expect("calm");
        clock.advance(ms(10));
        permit.success();
    }
}

fn wound(route: &Route, clock: &ManualClock) {
    while !route.is_open() {
        clock.advance(ms(10));
        if let Ok(permit) = route.admit(Priority::Normal) {
            permit.failure();
        }
    }
}

/// Takes permits of `priority` until one is refused.
fn fill(route: &Route, priority: Priority) -> (Vec<OwnedPermit>, Reason) {
    let mut held = Vec::new();
    loop {
        match route.admit_owned(priority) {
            Ok(permit) => held.push(permit),
            Err(shed) => return (held, shed.reason()),
        }
    }
}

#[test]
fn higher_tiers_may_use_more_of_the_queue_and_never_less() {
    let (atrion, clock) = instance();
    let route = atrion.route("r");
    // All tiers in turn, so that the ground potential is their mean.
    for i in 0..2000 {
        let permit = route.admit(Priority::ALL[i % Priority::ALL.len()]).expect("calm");
        clock.advance(ms(10));
        permit.success();
    }
    let mut held = Vec::new();
    let mut depths = Vec::new();
    for priority in Priority::ALL {
        let (more, reason) = fill(&route, priority);
        assert_eq!(reason, Reason::Saturated);
        held.extend(more);
        depths.push(held.len());
    }
    assert!(depths.is_sorted() && depths.first() < depths.last(), "{depths:?}");
    let bulk = route.explain(Priority::Bulk);
    assert!(bulk.parts.saturation > 1.0, "{bulk:?}");
    assert!((bulk.parts.total() - route.resistance().get()).abs() < 1e-3);
}

#[test]
fn a_refusal_says_why_by_how_much_and_when_to_retry() {
    let (atrion, clock) = instance();
    let route = atrion.route("r");
    serve(&route, &clock, 300);
    let (held, _) = fill(&route, Priority::Normal);
    let shed = route.admit(Priority::Normal).map(drop).expect_err("full");
    assert!(shed.resistance().get() >= shed.voltage().get());
    assert!((shed.parts().base - 0.1).abs() < 1e-6);
    // One place frees every 10 ms.
    assert!(shed.retry_after() >= ms(5) && shed.retry_after() <= ms(40), "{shed:?}");
    let text = shed.to_string();
    assert!(text.contains("saturated") && text.contains("20.000 V"), "{text}");
    drop(held);

    wound(&route, &clock);
    let shed = route.admit(Priority::Critical).map(drop).expect_err("open");
    assert_eq!(shed.reason(), Reason::BreakerOpen);
    assert!(shed.parts().scar > 499.0);
    assert!(shed.retry_after() >= ms(200) && shed.retry_after() <= ms(500), "{shed:?}");
}

struct Collects(Arc<Mutex<Vec<Event>>>);

impl Observer for Collects {
    fn event(&self, event: &Event) {
        self.0.lock().expect("no panic").push(event.clone());
    }
}

#[test]
fn a_shadowed_route_decides_counts_reports_and_admits_everything() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let clock = ManualClock::new();
    let config = Config::builder().shadow(true).build().expect("valid");
    let atrion = Atrion::builder()
        .clock(clock.clone())
        .config(config)
        .observer(Collects(Arc::clone(&seen)))
        .build()
        .expect("valid");
    let route = atrion.route("r");
    serve(&route, &clock, 300);
    let held: Vec<_> = (0..50).map(|_| route.admit(Priority::Low).expect("shadowed")).collect();
    let would_have = route.counts().shadow_shed;
    assert!(would_have > 30 && route.counts().shed == 0, "{:?}", route.counts());
    assert!(route.would_flow(Priority::Bulk));
    while atrion.stats().observer.delivered < u64::from(would_have) {
        std::thread::yield_now();
    }
    let shadows = |e: &&Event| matches!(e, Event::Shed { shadow: true, .. });
    assert_eq!(seen.lock().expect("no panic").iter().filter(shadows).count(), would_have as usize);
    drop(held);
    route.set_shadow(false);
    let (_, reason) = fill(&route, Priority::Low);
    assert_eq!(reason, Reason::Saturated);
}

#[test]
fn manual_control_expires_by_itself() {
    let (atrion, clock) = instance();
    let route = atrion.route("r");
    serve(&route, &clock, 300);
    route.force(Force::Open, Duration::from_secs(5));
    let shed = route.admit(Priority::Critical).map(drop).expect_err("forced open");
    assert_eq!(shed.reason(), Reason::ForcedOpen);
    assert!(shed.retry_after() >= Duration::from_secs(5));
    clock.advance(Duration::from_millis(5001));
    serve(&route, &clock, 1);

    wound(&route, &clock);
    route.force(Force::Closed, Duration::from_secs(5));
    route.admit(Priority::Bulk).expect("forced closed").cancel();
    route.release();
    assert_eq!(route.explain(Priority::Bulk).reason(), Some(Reason::BreakerOpen));
    route.reset();
    serve(&route, &clock, 10);
    assert!(route.explain(Priority::Bulk).parts.scar.abs() < 1e-12);
}

#[test]
fn reported_telemetry_sheds_low_tiers_first_and_fades() {
    let (atrion, clock) = instance();
    let full = Telemetry::builder().saturation(1.2).build().expect("valid");
    // Past the bootstrap, in which a route only listens.
    for _ in 0..30 {
        clock.advance(ms(100));
        atrion.update_physics("worker", &full).expect("a good name");
    }
    let decision = atrion.update_physics("worker", &full).expect("a good name");
    assert!(!decision.flow(Priority::Low).passes(), "{decision:?}");
    assert!(decision.flow(Priority::Critical).passes(), "{decision:?}");
    let route = atrion.route("worker");
    assert_eq!(
        route.admit(Priority::Bulk).map(drop).expect_err("stress").reason(),
        Reason::Scarred
    );
    assert!(route.explain(Priority::Bulk).reported.is_some());
    clock.advance(Duration::from_secs(60));
    route.admit(Priority::Bulk).expect("what is not repeated fades").success();

    let failing = Telemetry::builder().outcomes(0, 50).build().expect("valid");
    for _ in 0..20 {
        clock.advance(ms(100));
        atrion.update_physics("worker", &failing).expect("a good name");
    }
    assert!(
        !atrion.update_physics("worker", &failing).expect("good").flow(Priority::Critical).passes()
    );
    assert!(route.admit(Priority::Critical).is_err());
    assert_eq!(atrion.update_physics("", &full).expect_err("no name"), RouteNameError::Empty);
}

#[test]
fn bad_telemetry_is_refused_before_it_reaches_a_route() {
    for bad in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        assert!(Telemetry::builder().latency_secs(bad).build().is_err(), "{bad}");
        assert!(Telemetry::builder().error_rate(bad).build().is_err(), "{bad}");
        assert!(Telemetry::builder().saturation(bad).build().is_err(), "{bad}");
    }
}

#[test]
fn choice_prefers_the_untroubled_and_avoids_the_open() {
    let (atrion, clock) = instance();
    let routes = ["a", "b", "c"].map(|name| atrion.route(name));
    wound(&routes[0], &clock);
    let stressed = Telemetry::builder().saturation(0.95).build().expect("valid");
    for _ in 0..30 {
        clock.advance(ms(100));
        routes[1].update_physics(&stressed);
    }
    // The open one is looked at when its probe is due, and left alone while the probe is out.
    let chosen = atrion.select_route(&routes, Priority::High, 0.2).expect("valid beta");
    assert_eq!(chosen, Some(&routes[0]));
    let probe = routes[0].admit(Priority::High).expect("the probe");
    let mut chosen = [0u32; 3];
    for _ in 0..1000 {
        let route = atrion.select_route(&routes, Priority::High, 0.2).expect("valid beta");
        let index = routes.iter().position(|r| Some(r) == route).expect("one flows");
        chosen[index] += 1;
    }
    assert_eq!(chosen[0], 0, "open");
    assert!(chosen[2] > chosen[1] * 2 && chosen[1] > 0, "{chosen:?}");
    assert!(atrion.select_route(&routes[..1], Priority::High, 0.2).expect("valid").is_none());
    probe.success();
    let mut asked = 0;
    while routes[0].is_open() {
        clock.advance(ms(10));
        let route = atrion.select_route(&routes, Priority::High, 0.2).expect("valid");
        if let Some(Ok(permit)) = route.map(|route| route.admit(Priority::High)) {
            permit.success();
        }
        asked += 1;
        assert!(asked < 200, "a healed route comes back through choice alone");
    }
    assert!(atrion.select_route(&routes, Priority::High, f64::NAN).is_err());
}

#[test]
fn a_reload_reaches_known_routes_and_keeps_what_they_learned() {
    let (atrion, clock) = instance();
    let route = atrion.route("r");
    serve(&route, &clock, 300);
    let learned = route.explain(Priority::Normal).service_secs;
    let law = LawConfig::builder().base_ohms(2.0).build().expect("valid");
    atrion.reload(Config::builder().law(law).build().expect("valid"));
    clock.advance(ms(60));
    assert_eq!(
        route.admit(Priority::Bulk).map(drop).expect_err("1 V < 2 ohm").reason(),
        Reason::Scarred
    );
    route.admit(Priority::Low).expect("5 V").success();
    let now = route.explain(Priority::Normal).service_secs;
    assert!(learned.zip(now).is_some_and(|(a, b)| (a - b).abs() < 1e-3), "{learned:?} {now:?}");
}

#[test]
fn raw_volts_rank_between_the_named_tiers() {
    let (atrion, clock) = instance();
    let route = atrion.route("r");
    serve(&route, &clock, 300);
    let (_held, _) = fill(&route, Priority::Normal);
    let limit = |volts: f64| route.would_flow(Volts::try_new(volts).expect("valid"));
    assert!(!limit(10.0) && !limit(20.0) && limit(200.0));
}

#[test]
fn frequent_reports_do_not_put_off_learning_or_expiry() {
    let (atrion, clock) = instance();
    let route = atrion.route("r");
    serve(&route, &clock, 300);
    route.force(Force::Closed, ms(500));
    let calm = Telemetry::builder().saturation(0.1).build().expect("valid");
    let mut failures = 0;
    while !route.is_open() {
        clock.advance(ms(10));
        atrion.update_physics("r", &calm).expect("a good name");
        if let Ok(permit) = route.admit(Priority::Normal) {
            permit.failure();
        }
        failures += 1;
        assert!(failures < 100, "reports every 10 ms must not hide the failures");
    }
    for _ in 0..60 {
        clock.advance(ms(10));
        atrion.update_physics("r", &calm).expect("a good name");
    }
    assert_eq!(route.explain(Priority::Normal).reason(), Some(Reason::BreakerOpen));
}

#[test]
fn a_start_among_endless_streams_still_ends() {
    let (atrion, clock) = instance();
    let route = atrion.route("r");
    let streams: Vec<_> = (0..5).map(|_| route.admit(Priority::Normal).expect("first")).collect();
    serve(&route, &clock, 300);
    let learned = route.explain(Priority::Normal);
    assert!(learned.parallelism.is_some(), "{learned:?}");
    drop(streams);
}

#[test]
fn what_was_taken_for_lost_is_counted_again_when_it_returns() {
    let (atrion, clock) = instance();
    let route = atrion.route("r");
    serve(&route, &clock, 300);
    let (stuck, _) = fill(&route, Priority::Normal);
    let scout = loop {
        clock.advance(ms(10));
        if let Ok(permit) = route.admit_owned(Priority::Normal) {
            break permit;
        }
    };
    clock.advance(ms(10));
    scout.success();
    let (fresh, _) = fill(&route, Priority::Normal);
    assert!(!fresh.is_empty());
    for permit in stuck {
        permit.success();
    }
    let (more, _) = fill(&route, Priority::Normal);
    assert!(more.len() <= 2, "the returned ones made no room: {} more", more.len());
}

#[test]
fn an_override_outlives_name_pressure_and_forced_routes_heal_underneath() {
    let clock = ManualClock::new();
    let config = Config::builder().route_limit(2).route_idle_secs(1.0).build().expect("valid");
    let atrion = Atrion::builder().clock(clock.clone()).config(config).build().expect("valid");
    atrion.route("forced").force(Force::Open, Duration::from_secs(3600));
    for i in 0..10 {
        clock.advance(Duration::from_secs(2));
        atrion.route(&format!("other/{i}"));
    }
    assert!(atrion.route("forced").admit(Priority::Critical).is_err());

    let route = atrion.route("other/9");
    wound(&route, &clock);
    route.force(Force::Closed, Duration::from_secs(30));
    for _ in 0..300 {
        clock.advance(ms(10));
        route.admit(Priority::Normal).expect("forced closed").success();
    }
    assert!(!route.is_open(), "the breaker probed its way back meanwhile");
}

#[test]
fn absurd_voltages_neither_pass_walls_nor_spoil_the_queue_of_others() {
    let (atrion, clock) = instance();
    let route = atrion.route("r");
    let huge = Volts::try_new(1e300).expect("finite");
    serve(&route, &clock, 300);
    let (mut held, _) = fill(&route, Priority::Normal);
    let normal = held.len();
    held.clear();
    for _ in 0..20 {
        if let Ok(permit) = route.admit(huge) {
            permit.cancel();
        }
    }
    assert!(route.resistance().get().is_finite());
    let (held, _) = fill(&route, Priority::Normal);
    assert!(held.len() + 3 >= normal, "{} instead of {normal}", held.len());
    wound(&route, &clock);
    assert!(route.admit(huge).is_err());
}

/// What a route costs itself is not the service it measures: with nothing between admission and
/// record a second thread makes both dearer, and that is no queue.
#[test]
fn what_takes_less_than_a_microsecond_is_never_congested() {
    let (atrion, clock) = instance();
    let route = atrion.route("r");
    let serve = |count: u32, nanos: u64| {
        for _ in 0..count {
            let permit = route.admit(Priority::Bulk).expect("nobody waits");
            clock.advance(Duration::from_nanos(nanos));
            permit.success();
            clock.advance(ms(1));
        }
    };
    serve(3_000, 60);
    let before = route.explain(Priority::Bulk);
    assert!(before.service_secs.is_some_and(|s| (s - 1.024e-6).abs() < 1e-9), "{before:?}");
    serve(3_000, 600);
    let after = route.explain(Priority::Bulk);
    assert!(after.parallelism >= before.parallelism, "{before:?} {after:?}");
    assert!(after.capacity_rate >= before.capacity_rate, "{before:?} {after:?}");
}
