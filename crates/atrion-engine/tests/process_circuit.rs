//! One element of the whole process in series with those of its routes.

use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::law::Phase;
use atrion_core::time::Timestamp;
use atrion_engine::{Atrion, Config, Force, Reason, Route};
use atrion_state::clock::ManualClock;

/// The start-up limit: so many requests a route, or a process, that knows nothing lets in.
const START: u32 = 16;

fn instance() -> (Atrion, ManualClock) {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_millis(1));
    let builder = Atrion::builder().clock(clock.clone()).seed(7).process_circuit(true);
    (builder.build().expect("nothing can fail"), clock)
}

/// Routes that together hold as many requests as the process takes.
fn filled(atrion: &Atrion) -> (Vec<Route>, Vec<atrion_engine::OwnedPermit>) {
    let routes: Vec<Route> = ["a", "b", "c"].map(|name| atrion.route(name)).into();
    let permits = (0..START).map(|n| {
        let route = routes.get(n as usize % 2).expect("three");
        route.admit_owned(Priority::Normal).expect("below both limits")
    });
    let permits = permits.collect();
    (routes, permits)
}

#[test]
fn without_it_nothing_is_added() {
    let atrion = Atrion::builder().build().unwrap();
    assert_eq!(atrion.process_circuit(), None);
    let routes = ["a", "b"].map(|name| atrion.route(name));
    let permits: Vec<_> = (0..2 * START)
        .map(|n| routes[n as usize % 2].admit(Priority::Normal).expect("each below its own limit"))
        .collect();
    assert_eq!(routes[0].explain(Priority::Normal).parts.process.to_bits(), 0);
    drop(permits);
}

#[test]
fn all_routes_together_fill_it() {
    let (atrion, _clock) = instance();
    let (routes, permits) = filled(&atrion);
    let idle = &routes[2];
    assert_eq!(idle.counts().in_flight, 0);
    let shed = idle.admit(Priority::Critical).expect_err("the process is full");
    assert_eq!(shed.reason(), Reason::Saturated);
    assert!(shed.parts().saturation.abs() < 1e-9 && shed.parts().process > 100.0, "{shed}");
    assert!((shed.resistance().get() - shed.parts().total()).abs() < 1e-9);
    // What else tells about it agrees.
    assert!(!idle.would_flow(Priority::Critical));
    let explained = idle.explain(Priority::Critical);
    assert_eq!(explained.reason(), Some(Reason::Saturated));
    assert!(explained.parts.process > 100.0 && idle.resistance().get() > 100.0);
    assert_eq!((idle.counts().shed, idle.counts().in_flight), (1, 0));
    let process = atrion.process_circuit().expect("asked for");
    assert_eq!((process.in_flight, process.phase), (START, Phase::Startup));
    drop(permits);
    let process = atrion.process_circuit().expect("asked for");
    assert_eq!(process.in_flight, 0);
    assert!(process.resistance.get() < 1e-9);
    assert!(idle.would_flow(Priority::Bulk));
    drop(idle.admit(Priority::Bulk).expect("empty again"));
}

#[test]
fn every_ending_leaves_it() {
    let (atrion, clock) = instance();
    let route = atrion.route("a");
    let in_flight = || atrion.process_circuit().expect("asked for").in_flight;
    for round in 0..200u64 {
        clock.set(Timestamp::from_millis(10 * round + 10));
        let permits = [(); 4].map(|()| route.admit(Priority::Normal).expect("few"));
        assert_eq!(in_flight(), 4);
        clock.set(Timestamp::from_millis(10 * round + 15));
        let [ok, failed, given_up, dropped] = permits;
        ok.success();
        // One failure in eight: enough to count, not enough to wound.
        if round % 2 == 0 {
            failed.failure();
        } else {
            failed.success();
        }
        given_up.cancel();
        drop(dropped);
        assert_eq!(in_flight(), 0, "round {round}");
    }
    assert_eq!(atrion.process_circuit().expect("asked for").phase, Phase::Running);
}

#[test]
fn operators_stand_above_it() {
    let (atrion, _clock) = instance();
    let (routes, permits) = filled(&atrion);
    let idle = &routes[2];
    idle.force(Force::Closed, Duration::from_secs(60));
    assert!(idle.would_flow(Priority::Bulk));
    assert!(idle.explain(Priority::Bulk).flows());
    let forced = idle.admit(Priority::Bulk).expect("forced through");
    idle.release();
    idle.admit(Priority::Bulk).expect_err("the process is full");
    idle.set_shadow(true);
    assert!(idle.would_flow(Priority::Bulk));
    let shadowed = idle.admit(Priority::Bulk).expect("only counted");
    assert_eq!((idle.counts().shadow_shed, idle.counts().shed), (1, 1));
    assert_eq!(atrion.process_circuit().expect("asked for").in_flight, START + 2);
    drop((forced, shadowed, permits));
    assert_eq!(atrion.process_circuit().expect("asked for").in_flight, 0);
}

#[test]
fn a_new_configuration_reaches_it() {
    let (atrion, _clock) = instance();
    let config = atrion.config();
    let law = config.law().to_builder().base_ohms(0.5).build().unwrap();
    atrion.reload(Config::builder().law(law).build().unwrap());
    let (routes, permits) = filled(&atrion);
    let parts = routes[2].explain(Priority::Bulk).parts;
    assert!((parts.base - 0.5).abs() < 1e-6, "{parts:?}");
    drop(permits);
}

#[test]
fn leaked_permits_do_not_close_the_process_for_ever() {
    let (atrion, clock) = instance();
    let (routes, permits) = filled(&atrion);
    permits.into_iter().for_each(std::mem::forget);
    let idle = &routes[2];
    let mut admitted = 0;
    for second in 1..=30u64 {
        clock.set(Timestamp::from_millis(1000 * second));
        if let Ok(permit) = idle.admit(Priority::Normal) {
            clock.set(Timestamp::from_millis(1000 * second + 5));
            permit.success();
            admitted += 1;
        }
    }
    assert!(admitted > 20, "{admitted} of 30 admitted");
}
