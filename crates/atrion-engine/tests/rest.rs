//! Routes at rest: who may rest, what is kept, and that nobody is lost on the way.

use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::telemetry::Telemetry;
use atrion_engine::{Atrion, Config, Force, OVERFLOW_ROUTE, Route};
use atrion_state::clock::ManualClock;

const IDLE: Duration = Duration::from_secs(60);

fn instance(route_limit: usize) -> (Atrion, ManualClock) {
    let config = Config::builder().route_limit(route_limit).build().expect("valid");
    let clock = ManualClock::new();
    let builder = Atrion::builder().clock(clock.clone()).seed(3).config(config);
    (builder.build().expect("valid"), clock)
}

fn serve(route: &Route, clock: &ManualClock, count: u32) {
    for _ in 0..count {
        let permit = route.admit(Priority::Normal).expect("calm");
        clock.advance(Duration::from_millis(10));
        permit.success();
    }
}

/// Lets the hand pass often enough to spare whom it spares.
fn pass(atrion: &Atrion) {
    for _ in 0..4 {
        atrion.tick();
    }
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if (a - b).abs() <= 1e-6 * a)
}

#[test]
fn a_woken_route_knows_what_it_knew() {
    let (atrion, clock) = instance(10);
    serve(&atrion.route("r"), &clock, 500);
    // A route that stays awake for comparison: somebody holds it.
    let held = atrion.route("held");
    serve(&held, &clock, 500);
    let (before, counts) =
        (atrion.route("r").explain(Priority::Normal), atrion.route("r").counts());
    clock.advance(IDLE);
    pass(&atrion);
    assert_eq!((atrion.stats().resting, atrion.stats().routes), (1, 2));
    assert_eq!(atrion.routes(), std::slice::from_ref(&held));
    clock.advance(IDLE);
    let woken = atrion.route("r");
    assert_eq!((atrion.stats().resting, atrion.stats().routes), (0, 2));
    assert_eq!(woken.counts(), counts);
    let after = woken.explain(Priority::Normal);
    assert_eq!(after.phase, before.phase);
    assert!(near(after.parallelism, before.parallelism), "{before:?} {after:?}");
    assert!(near(after.service_secs, before.service_secs), "{before:?} {after:?}");
    assert!(near(after.capacity_rate, before.capacity_rate), "{before:?} {after:?}");
    serve(&woken, &clock, 500);
    serve(&held, &clock, 500);
    let (slept, stayed) = (woken.explain(Priority::Normal), held.explain(Priority::Normal));
    assert!(near(slept.parallelism, stayed.parallelism), "{slept:?} {stayed:?}");
}

#[test]
fn a_start_goes_on_after_a_rest() {
    let (atrion, clock) = instance(10);
    serve(&atrion.route("r"), &clock, 12);
    clock.advance(IDLE);
    pass(&atrion);
    assert_eq!(atrion.stats().resting, 1);
    let route = atrion.route("r");
    serve(&route, &clock, 17);
    assert_eq!(route.explain(Priority::Normal).parallelism, None, "29 of 30 successes");
    serve(&route, &clock, 10);
    assert!(route.explain(Priority::Normal).parallelism.is_some());
}

#[test]
fn whoever_is_held_used_troubled_or_changed_by_hand_stays_awake() {
    let (atrion, clock) = instance(10);
    let names = ["held", "busy", "open", "forced", "reported", "leaked"];
    let held = atrion.route("held");
    std::mem::forget(atrion.route("leaked").admit(Priority::Normal));
    let open = atrion.route("open");
    while !open.is_open() {
        clock.advance(Duration::from_millis(10));
        if let Ok(permit) = open.admit(Priority::Normal) {
            permit.failure();
        }
    }
    drop(open);
    atrion.route("forced").force(Force::Closed, Duration::from_secs(1_000));
    let busy = atrion.route("busy").admit_owned(Priority::Normal).expect("calm");
    let report = Telemetry::builder().saturation(0.4).build().expect("valid");
    atrion.update_physics("reported", &report).expect("a name");
    clock.advance(IDLE);
    pass(&atrion);
    assert_eq!((atrion.stats().routes, atrion.stats().resting), (names.len(), 0));
    drop((held, busy));
    clock.advance(IDLE);
    pass(&atrion);
    assert_eq!(atrion.stats().resting, 2, "held and busy are neither any more");
}

#[test]
fn who_rests_makes_room_first_and_the_longest_at_rest_before_the_others() {
    let (atrion, clock) = instance(3);
    for name in ["a", "b"] {
        atrion.route(name);
        clock.advance(IDLE);
        pass(&atrion);
    }
    atrion.route("c");
    assert_eq!((atrion.stats().routes, atrion.stats().resting), (3, 2));
    atrion.route("d");
    assert_eq!(atrion.stats().evicted, 1);
    atrion.route("b");
    assert_eq!(atrion.stats().resting, 0, "b was still there, a is gone");
    assert_eq!(atrion.route("e").name(), OVERFLOW_ROUTE);
}

#[test]
fn ticking_every_second_keeps_nobody_awake() {
    let (atrion, clock) = instance(10);
    serve(&atrion.route("r"), &clock, 40);
    for _ in 0..62 {
        clock.advance(Duration::from_secs(1));
        atrion.tick();
    }
    assert_eq!(atrion.stats().resting, 1);
}

/// Requests by name while others put everything to rest that may: none is lost or counted twice.
#[test]
fn no_request_is_lost_between_waking_and_resting() {
    const THREADS: u32 = 2;
    const ROUNDS: u32 = 5_000;
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let (atrion, clock) = instance(10);
    std::thread::scope(|scope| {
        let work = || {
            for round in 0..ROUNDS {
                let name = NAMES[round as usize % NAMES.len()];
                atrion.route(name).admit(Priority::Normal).expect("calm").success();
                std::thread::yield_now();
            }
        };
        let workers = [(); THREADS as usize].map(|()| scope.spawn(work));
        while workers.iter().any(|worker| !worker.is_finished()) {
            clock.advance(IDLE);
            atrion.tick();
            // The lock of the registry is not fair.
            std::thread::yield_now();
        }
    });
    // However often they rested in between, they do now.
    clock.advance(IDLE);
    (0..4).for_each(|_| atrion.tick());
    assert_eq!(atrion.stats().resting, NAMES.len());
    let completed: u32 = NAMES.iter().map(|name| atrion.route(name).counts().completed).sum();
    assert_eq!(completed, THREADS * ROUNDS);
}
