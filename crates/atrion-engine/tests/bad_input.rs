//! Hostile names, broken clocks, lost permits, panicking observers: counted or refused, never a
//! crash, a wait or a corrupted state.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::law::Phase;
use atrion_core::time::Timestamp;
use atrion_core::units::Volts;
use atrion_engine::{
    Atrion, Config, Event, Force, OVERFLOW_ROUTE, Observer, ROUTE_NAME_LIMIT, Reason, Route,
    RouteNameError,
};
use atrion_state::clock::{Clock, ManualClock};

fn instance(config: Config) -> (Atrion, ManualClock) {
    let clock = ManualClock::new();
    let atrion = Atrion::builder().clock(clock.clone()).seed(42).config(config).build();
    (atrion.expect("valid"), clock)
}

/// Serves `count` requests of 10 ms one after the other.
fn serve(route: &Route, clock: &ManualClock, count: u32) {
    for _ in 0..count {
        let permit = route.admit(Priority::Normal).expect("calm");
        clock.advance(Duration::from_millis(10));
        permit.success();
    }
}

#[test]
fn unusable_names_share_the_overflow_route_and_are_counted() {
    let (atrion, _) = instance(Config::default());
    let huge = "x".repeat(ROUTE_NAME_LIMIT + 1);
    assert_eq!(atrion.try_route("").unwrap_err(), RouteNameError::Empty);
    assert_eq!(
        atrion.try_route(&huge).unwrap_err(),
        RouteNameError::TooLong { length: huge.len() }
    );
    assert_eq!(atrion.route("").name(), OVERFLOW_ROUTE);
    assert_eq!(atrion.route(&huge).name(), OVERFLOW_ROUTE);
    assert_eq!(atrion.stats().bad_names, 2);
    for name in ["путь/к/кассе", "🛒", "<script>alert(1)</script>", "a\0b\nc", "../../etc", " "]
    {
        assert_eq!(atrion.route(name).name(), name);
    }
    assert_eq!(atrion.stats().routes, 6);
}

#[test]
fn a_million_distinct_names_are_bounded_and_known_routes_survive() {
    let config = Config::builder().route_limit(100).route_idle_secs(60.0).build().expect("valid");
    let (atrion, clock) = instance(config);
    let known = atrion.route("checkout");
    serve(&known, &clock, 200);
    for i in 0..1_000_000u32 {
        let route = atrion.route(&format!("attack/{i}"));
        if i % 1000 == 0 {
            route.admit(Priority::Normal).expect("the overflow route admits too").success();
            clock.advance(Duration::from_millis(100));
        }
    }
    let stats = atrion.stats();
    assert_eq!(stats.routes, 100);
    assert!(stats.overflowed > 900_000, "{stats:?}");
    assert!(known.explain(Priority::Normal).parallelism.is_some(), "its knowledge is untouched");
    assert_eq!(atrion.route("checkout"), known);
}

#[test]
fn idle_routes_make_room_least_recently_used_first() {
    let config = Config::builder().route_limit(3).route_idle_secs(10.0).build().expect("valid");
    let (atrion, clock) = instance(config);
    for name in ["a", "b", "c"] {
        atrion.route(name);
    }
    assert_eq!(atrion.try_route("d").unwrap_err(), RouteNameError::Full { limit: 3 });
    clock.advance(Duration::from_secs(11));
    atrion.route("a");
    let held = atrion.route("b");
    assert_eq!(atrion.route("d").name(), "d", "c was neither held nor used");
    let mut names: Vec<_> = atrion.routes().iter().map(|r| r.name().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "d"]);
    assert_eq!(atrion.stats().evicted, 1);
    drop(held);
}

#[test]
fn clocks_that_stand_still_step_back_or_leap_harm_nothing() {
    let (atrion, clock) = instance(Config::default());
    let route = atrion.route("r");
    clock.set(Timestamp::from_secs(1_000));
    serve(&route, &clock, 200);
    for _ in 0..200 {
        route.admit(Priority::Normal).expect("standing still").success();
    }
    let permit = route.admit(Priority::Normal).expect("before the step");
    clock.set(Timestamp::from_secs(10));
    permit.success();
    serve(&route, &clock, 200);
    clock.set(Timestamp::from_secs(500_000_000));
    serve(&route, &clock, 200);
    let e = route.explain(Priority::Normal);
    assert!(e.flows());
    assert!(e.parallelism.is_some_and(|c| c.is_finite() && c >= 1.0), "{e:?}");
    assert!(e.service_secs.is_some_and(|s| s.is_finite() && s < 1.0), "{e:?}");
}

/// What a thread sees that is held up between reading the clock and acting on it: one reading of the
/// past, once.
#[derive(Clone)]
struct HeldUp {
    clock: ManualClock,
    next_is_late_by: Arc<AtomicU64>,
}

impl Clock for HeldUp {
    fn now(&self) -> Timestamp {
        let late_by = self.next_is_late_by.swap(0, SeqCst);
        Timestamp::from_nanos(self.clock.now().as_nanos().saturating_sub(late_by))
    }
}

#[test]
fn requests_that_end_together_do_not_begin_the_start_up_anew() {
    // A microsecond between two cores, a time slice of a thread that was preempted.
    for late_by in [Duration::from_micros(1), Duration::from_millis(4)] {
        let clock = HeldUp { clock: ManualClock::new(), next_is_late_by: Arc::default() };
        let atrion = Atrion::builder().clock(clock.clone()).seed(42).build().expect("valid");
        let route = atrion.route("r");
        for _ in 0..300 {
            let pair = [Priority::Normal; 2].map(|p| route.admit(p).expect("calm"));
            clock.clock.advance(Duration::from_millis(10));
            let [first, second] = pair;
            first.success();
            clock.next_is_late_by.store(late_by.as_nanos() as u64, SeqCst);
            second.success();
        }
        let learned = route.explain(Priority::Normal);
        assert_eq!(learned.phase, Phase::Running, "{late_by:?} late: {learned:?}");
        let rate = learned.capacity_rate.expect("known");
        assert!((100.0..=300.0).contains(&rate), "two in each 10 ms: {rate}/s");
    }
}

#[test]
fn an_open_breaker_still_probes_after_the_clock_stepped_back() {
    let (atrion, clock) = instance(Config::default());
    let route = atrion.route("r");
    clock.set(Timestamp::from_secs(1_000));
    while !route.is_open() {
        clock.advance(Duration::from_millis(10));
        if let Ok(permit) = route.admit(Priority::Normal) {
            permit.failure();
        }
    }
    clock.set(Timestamp::from_secs(1));
    let mut asked = 0;
    while route.is_open() {
        clock.advance(Duration::from_millis(10));
        if let Ok(permit) = route.admit(Priority::Normal) {
            permit.success();
        }
        asked += 1;
        assert!(asked < 300, "three seconds are enough to heal");
    }
}

#[test]
fn permits_may_be_dropped_or_ended_late_and_on_another_thread() {
    let (atrion, clock) = instance(Config::default());
    let route = atrion.route("r");
    serve(&route, &clock, 300);
    drop(route.admit(Priority::Normal).expect("calm"));
    assert_eq!(route.counts().cancelled, 1);
    let permit = route.admit_owned(Priority::Normal).expect("calm");
    assert_eq!(route.counts().in_flight, 1);
    clock.advance(Duration::from_secs(3600));
    std::thread::spawn(move || permit.success()).join().expect("no panic");
    assert_eq!(route.counts().in_flight, 0);
    serve(&route, &clock, 300);
}

#[test]
fn leaked_permits_do_not_close_a_route_for_ever() {
    let (atrion, clock) = instance(Config::default());
    let route = atrion.route("r");
    serve(&route, &clock, 300);
    let mut leaked = 0;
    while let Ok(permit) = route.admit(Priority::Normal) {
        std::mem::forget(permit);
        leaked += 1;
    }
    assert!(leaked >= 3, "{leaked}");
    assert_eq!(route.explain(Priority::Normal).reason(), Some(Reason::Saturated));
    // The service itself is fine: whoever gets through is served in 10 ms.
    let mut waited = 0;
    let scout = loop {
        clock.advance(Duration::from_millis(10));
        waited += 1;
        if let Ok(permit) = route.admit(Priority::Normal) {
            break permit;
        }
        assert!(waited < 500, "a scout must pass within five seconds");
    };
    clock.advance(Duration::from_millis(10));
    scout.success();
    serve(&route, &clock, 100);
}

#[test]
fn a_panicking_handler_releases_its_permit() {
    let (atrion, clock) = instance(Config::default());
    let route = atrion.route("r");
    serve(&route, &clock, 100);
    let theirs = route.clone();
    let panicked = std::thread::spawn(move || {
        let _permit = theirs.admit(Priority::Normal).expect("calm");
        panic!("the handler's own panic");
    });
    assert!(panicked.join().is_err());
    assert_eq!(route.counts().in_flight, 0);
    serve(&route, &clock, 100);
}

struct Panics(AtomicU32);

impl Observer for Panics {
    fn event(&self, _: &Event) {
        self.0.fetch_add(1, SeqCst);
        panic!("the observer's own panic");
    }
}

struct Blocks(Arc<AtomicBool>, mpsc::SyncSender<()>);

impl Observer for Blocks {
    fn event(&self, _: &Event) {
        let _ = self.1.try_send(());
        while !self.0.load(SeqCst) {
            std::thread::yield_now();
        }
    }
}

fn shed_many(atrion: &Atrion, count: u32) {
    let route = atrion.route("r");
    route.force(Force::Open, Duration::from_secs(60));
    for _ in 0..count {
        let shed = route.admit(Priority::Critical).map(drop).expect_err("forced");
        assert_eq!(shed.reason(), Reason::ForcedOpen);
    }
}

#[test]
fn a_panicking_observer_is_counted_and_stays_in_use() {
    let atrion = Atrion::builder().observer(Panics(AtomicU32::new(0))).build().expect("valid");
    shed_many(&atrion, 10);
    while atrion.stats().observer.panicked < 10 {
        std::thread::yield_now();
    }
}

#[test]
fn a_blocking_observer_costs_only_its_own_events() {
    let release = Arc::new(AtomicBool::new(false));
    let (entered, was_entered) = mpsc::sync_channel(1);
    let observer = Blocks(Arc::clone(&release), entered);
    let atrion = Atrion::builder().observer(observer).build().expect("valid");
    shed_many(&atrion, 1);
    was_entered.recv().expect("the observer was called");
    shed_many(&atrion, 10_000);
    assert!(atrion.stats().observer.dropped > 0);
    release.store(true, SeqCst);
}

#[test]
fn voltages_outside_their_domain_do_not_exist() {
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(Volts::try_new(bad).is_err());
    }
    let (atrion, _) = instance(Config::default());
    let shed = atrion.route("r").admit(Volts::ZERO).unwrap_err();
    assert_eq!(shed.reason(), Reason::Scarred);
    assert!(shed.retry_after() > Duration::ZERO);
}
