//! Leases: they hold a place while they live, and give it back however their holders end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::law::LawConfig;
use atrion_core::profile::{LeaseTerms, Profile};
use atrion_engine::{
    Atrion, Config, Event, Interest, Lease, LeaseChange, LeaseOver, LeaseState, Observer, Outcome,
    Reason, Route,
};
use atrion_state::blocking::block_on;
use atrion_state::clock::{Clock, ManualClock};
use proptest::prelude::*;

const TTL: Duration = Duration::from_secs(10);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// An instance whose new routes take so many requests at a time.
fn instance(places: f64) -> (Atrion, ManualClock) {
    let law = LawConfig::builder().start_limit(places).build().expect("valid");
    let config = Config::builder().law(law).build().expect("valid");
    let clock = ManualClock::new();
    let builder = Atrion::builder().clock(clock.clone()).seed(3).config(config);
    (builder.build().expect("valid"), clock)
}

fn leases(route: &Route, count: usize) -> Vec<Lease> {
    (0..count).map(|_| route.lease(Priority::Normal, TTL).expect("there is room")).collect()
}

#[test]
fn a_lease_saturates_while_it_is_held() {
    let (atrion, clock) = instance(3.0);
    let route = atrion.route("jobs");
    let mut held = leases(&route, 3);
    let report = route.report();
    assert_eq!((report.leases, report.counts.in_flight), (3, 3));
    let shed = route.admit(Priority::Critical).map(drop).expect_err("full");
    assert_eq!(shed.reason(), Reason::Saturated);
    assert!(route.lease(Priority::Critical, TTL).is_err(), "by a lease, too");
    // As long as they show that they live, nobody takes their places, however long.
    for _ in 0..100 {
        clock.advance(secs(5));
        for lease in &held {
            lease.heartbeat().expect("it lives");
        }
        assert!(route.admit(Priority::Critical).is_err(), "no scout: nobody is missing");
    }
    held.pop().expect("three").success();
    assert_eq!((route.report().leases, route.counts().completed), (2, 1));
    drop(route.admit(Priority::Bulk).expect("there is room again"));
}

#[test]
fn it_ends_as_its_holder_says() {
    let (atrion, _) = instance(10.0);
    let route = atrion.route("jobs");
    let take = || route.lease(Priority::Normal, Profile::Heavy).expect("there is room");
    take().success();
    take().failure();
    take().record(&Ok::<(), ()>(()));
    assert_eq!((route.counts().completed, route.counts().cancelled), (3, 0));
    take().cancel();
    drop(take());
    assert_eq!((route.counts().completed, route.counts().cancelled), (3, 2));
    assert_eq!((route.counts().in_flight, route.report().leases), (0, 0));
}

#[test]
fn leaked_leases_give_their_places_back() {
    let (atrion, clock) = instance(3.0);
    let route = atrion.route("jobs");
    leases(&route, 3).into_iter().for_each(std::mem::forget);
    assert!(route.admit(Priority::Critical).is_err());
    clock.advance(TTL);
    drop(route.admit(Priority::Bulk).expect("whoever comes notices"));
    assert_eq!((route.counts().in_flight, route.report().leases), (0, 0));
    assert_eq!(route.counts().cancelled, 3 + 1);
}

#[test]
fn without_a_request_ticks_notice() {
    let (atrion, clock) = instance(3.0);
    let route = atrion.route("jobs");
    leases(&route, 3).into_iter().for_each(std::mem::forget);
    clock.advance(TTL);
    atrion.tick();
    assert_eq!(route.counts().in_flight, 0);
}

#[test]
fn a_late_heartbeat_revives_nothing() {
    let (atrion, clock) = instance(3.0);
    let route = atrion.route("jobs");
    let [late, beating] = &leases(&route, 2)[..] else { panic!("two") };
    clock.advance(secs(6));
    beating.heartbeat().expect("in time");
    clock.advance(secs(4));
    assert_eq!(late.heartbeat(), Err(LeaseOver::Expired));
    assert_eq!((late.state(), late.expires_at()), (LeaseState::Expired, None));
    assert_eq!((beating.state(), route.counts().in_flight), (LeaseState::Live, 1));
    clock.advance(secs(6));
    assert_eq!(beating.state(), LeaseState::Expired, "whoever looks notices");
    assert_eq!(route.counts().in_flight, 0);
}

#[test]
fn what_an_expired_lease_ends_with_is_not_recorded() {
    let (atrion, clock) = instance(3.0);
    let route = atrion.route("jobs");
    let lease = route.lease(Priority::Normal, TTL).expect("there is room");
    clock.advance(TTL);
    lease.success();
    let counts = route.counts();
    assert_eq!((counts.completed, counts.cancelled, counts.in_flight), (0, 1, 0));
}

#[test]
fn a_lively_hang_ends_with_the_longest_term() {
    let (atrion, clock) = instance(3.0);
    let terms = LeaseTerms { silence: secs(6), longest: secs(60) };
    let lease = atrion.route("jobs").lease(Priority::Normal, terms).expect("there is room");
    let beats = (1..100).take_while(|_| {
        clock.advance(secs(1));
        lease.heartbeat().is_ok()
    });
    assert_eq!(beats.count(), 59);
}

#[test]
fn a_time_of_nothing_is_over_at_once() {
    let (atrion, _) = instance(3.0);
    let route = atrion.route("jobs");
    let lease = route.lease(Priority::Normal, Duration::ZERO).expect("there is room");
    assert_eq!(lease.state(), LeaseState::Expired);
    assert_eq!(route.counts().in_flight, 0);
    let forever = route.lease(Priority::Normal, Duration::MAX).expect("there is room");
    assert_eq!(forever.state(), LeaseState::Live);
}

#[test]
fn a_cancelled_task_keeps_its_place_until_it_stops() {
    let (atrion, clock) = instance(3.0);
    let route = atrion.route("jobs");
    let lease = route.lease(Priority::Normal, TTL).expect("there is room");
    let token = lease.token();
    assert!(!token.is_over());
    token.clone().cancel();
    assert_eq!(lease.heartbeat(), Err(LeaseOver::Cancelled));
    assert_eq!((token.state(), route.counts().in_flight), (LeaseState::Cancelled, 1));
    // The heartbeat counted all the same.
    clock.advance(secs(6));
    assert_eq!(lease.heartbeat(), Err(LeaseOver::Cancelled));
    clock.advance(secs(6));
    assert_eq!(token.state(), LeaseState::Cancelled);
    drop(lease);
    assert_eq!((token.state(), route.counts().in_flight), (LeaseState::Ended, 0));
    token.cancel();
    assert_eq!(token.state(), LeaseState::Ended);
}

#[test]
fn whoever_waits_for_the_end_is_told_why() {
    let (atrion, clock) = instance(10.0);
    let route = atrion.route("jobs");
    let wait = |lease: &Lease, end: &(dyn Fn() + Sync)| {
        let token = lease.token();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(move || block_on(token.over()));
            end();
            waiter.join().expect("no panic")
        })
    };
    let lease = route.lease(Priority::Normal, TTL).expect("there is room");
    assert_eq!(wait(&lease, &|| lease.token().cancel()), LeaseState::Cancelled);
    drop(lease);
    let lease = route.lease(Priority::Normal, TTL).expect("there is room");
    let expire = || {
        clock.advance(TTL);
        atrion.tick();
    };
    assert_eq!(wait(&lease, &expire), LeaseState::Expired);
    let lease = Mutex::new(route.lease(Priority::Normal, TTL).ok());
    let token = lease.lock().expect("no panic").as_ref().expect("there is room").token();
    let ended = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| block_on(token.over()));
        drop(lease.lock().expect("no panic").take());
        waiter.join().expect("no panic")
    });
    assert_eq!(ended, LeaseState::Ended);
}

#[test]
fn a_clock_that_steps_back_ends_none_and_one_that_leaps_ends_all() {
    /// A clock that can be set.
    #[derive(Clone)]
    struct Set(Arc<Mutex<u64>>);

    impl Clock for Set {
        fn now(&self) -> atrion_core::time::Timestamp {
            atrion_core::time::Timestamp::from_secs(*self.0.lock().expect("no panic"))
        }
    }

    let clock = Set(Arc::new(Mutex::new(1_000)));
    let set = |secs| *clock.0.lock().expect("no panic") = secs;
    let atrion = Atrion::builder().clock(clock.clone()).seed(1).build().expect("valid");
    let route = atrion.route("jobs");
    let lease = route.lease(Priority::Normal, TTL).expect("there is room");
    set(500);
    atrion.tick();
    lease.heartbeat().expect("no time has passed");
    assert_eq!((lease.state(), route.counts().in_flight), (LeaseState::Live, 1));
    let younger = route.lease(Priority::Normal, TTL).expect("there is room");
    set(510);
    atrion.tick();
    assert_eq!((lease.state(), younger.state()), (LeaseState::Live, LeaseState::Expired));
    set(1_000_000);
    atrion.tick();
    assert_eq!((lease.state(), route.counts().in_flight), (LeaseState::Expired, 0));
}

#[test]
fn leaked_permits_beside_leases_are_found_and_the_leases_keep_their_places() {
    let (atrion, clock) = instance(3.0);
    let route = atrion.route("mixed");
    let lease = route.lease(Priority::Normal, secs(100_000)).expect("there is room");
    for _ in 0..2 {
        std::mem::forget(route.admit(Priority::Normal).expect("there is room"));
    }
    assert!(route.admit(Priority::Normal).is_err());
    // A scout finds that the service works, so the permits are lost; the lease is not.
    let mut admitted = 0;
    for _ in 0..20 {
        clock.advance(secs(61));
        if let Ok(permit) = route.admit(Priority::Normal) {
            admitted += 1;
            permit.success();
        }
    }
    assert!(admitted >= 2, "{admitted}");
    let held: Vec<_> =
        std::iter::from_fn(|| route.admit_owned(Priority::Normal).ok()).take(50).collect();
    assert!(!held.is_empty() && held.len() < 50, "{}", held.len());
    drop(held);
    lease.heartbeat().expect("it lives");
    lease.success();
    assert_eq!(route.report().leases, 0);
}

struct Collects(Arc<Mutex<Vec<LeaseChange>>>);

impl Observer for Collects {
    fn event(&self, event: &Event) {
        if let Event::Lease { change, .. } = event {
            self.0.lock().expect("no panic").push(*change);
        }
    }

    fn interest(&self) -> Interest {
        Interest::LEASES
    }
}

#[test]
fn observers_are_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (atrion, clock) = instance(10.0);
    let subscription = atrion.observe(Collects(Arc::clone(&told))).expect("there is room");
    let route = atrion.route("jobs");
    let [ends, cancelled, expires] =
        [(); 3].map(|()| route.lease(Priority::Normal, TTL).expect("there is room"));
    ends.success();
    cancelled.token().cancel();
    drop(cancelled);
    clock.advance(TTL);
    atrion.tick();
    while subscription.health().delivered < 7 {
        std::thread::yield_now();
    }
    assert_eq!(
        told.lock().expect("no panic")[..],
        [
            LeaseChange::Granted,
            LeaseChange::Granted,
            LeaseChange::Granted,
            LeaseChange::Ended(Outcome::Success),
            LeaseChange::Cancelled,
            LeaseChange::Ended(Outcome::Cancelled),
            LeaseChange::Expired,
        ]
    );
    drop(expires);
}

#[test]
fn more_than_are_looked_at_in_one_go_expire_in_several() {
    let (atrion, clock) = instance(1_000.0);
    let route = atrion.route("jobs");
    // Ended ones in between, so that they are cleared away.
    for i in 0..1_000 {
        let lease = route.lease(Priority::Normal, TTL).expect("there is room");
        if i % 5 == 0 { lease.success() } else { std::mem::forget(lease) }
    }
    assert_eq!(route.report().leases, 800);
    clock.advance(TTL);
    let mut looks = 0;
    while route.report().leases > 0 {
        atrion.tick();
        looks += 1;
        assert!(looks < 100, "{}", route.report().leases);
    }
    assert_eq!(route.counts().in_flight, 0);
}

#[test]
fn holders_and_reapers_race_without_losing_a_place() {
    let (atrion, clock) = instance(64.0);
    let route = atrion.route("jobs");
    std::thread::scope(|scope| {
        let holders: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for i in 0..2_000 {
                        let Ok(lease) = route.lease(Priority::Normal, Duration::from_millis(3))
                        else {
                            continue;
                        };
                        let _ = lease.heartbeat();
                        match i % 4 {
                            0 => std::mem::forget(lease),
                            1 => lease.success(),
                            2 => lease.cancel(),
                            _ => drop(lease),
                        }
                    }
                })
            })
            .collect();
        while holders.iter().any(|holder| !holder.is_finished()) {
            clock.advance(Duration::from_millis(1));
            atrion.tick();
        }
    });
    clock.advance(TTL);
    while route.report().leases > 0 {
        atrion.tick();
    }
    assert_eq!(route.counts().in_flight, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever holders do: those that live are in flight, the others are not.
    #[test]
    fn places_and_leases_agree(
        steps in prop::collection::vec((0u8..6, 0usize..8, 0u64..4), 1..120),
        process in any::<bool>(),
    ) {
        let clock = ManualClock::new();
        let builder = Atrion::builder().clock(clock.clone()).seed(3).process_circuit(process);
        let atrion = builder.build().expect("valid");
        let route = atrion.route("jobs");
        let (mut held, mut tokens): (Vec<Lease>, _) = (Vec::new(), Vec::new());
        for (what, which, secs_on) in steps {
            clock.advance(secs(secs_on));
            if what <= 1 || held.is_empty() {
                if let Ok(lease) = route.lease(Priority::High, secs(5)) {
                    tokens.push(lease.token());
                    held.push(lease);
                }
                continue;
            }
            let lease = held.swap_remove(which % held.len());
            match what {
                2 => {
                    let _ = lease.heartbeat();
                    held.push(lease);
                }
                3 => lease.success(),
                4 => std::mem::forget(lease),
                _ => drop(lease),
            }
        }
        atrion.tick();
        let live = tokens.iter().filter(|token| token.state() == LeaseState::Live).count();
        prop_assert_eq!(route.counts().in_flight as usize, live);
        prop_assert_eq!(route.report().leases as usize, live);
    }
}
