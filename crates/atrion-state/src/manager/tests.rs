use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::pulse::{Pulse, PulseConfig};
use crate::test_vectors::vector;

fn manager(capacity: usize) -> StateManager {
    StateManager::with_capacity(NonZeroUsize::new(capacity).unwrap())
}

fn names(changes: &[RouteVector]) -> Vec<&str> {
    changes.iter().map(|change| &*change.route).collect()
}

/// Visits the manager as a pulse of room for `room` routes does.
fn collect(manager: &StateManager, room: usize) -> Pulse {
    let config = PulseConfig::builder().max_routes(room).build().unwrap();
    let mut pulse = Pulse::new(config, Timestamp::ZERO);
    pulse.handle_flush(Timestamp::ZERO);
    let mut collector = pulse.poll_collect().unwrap();
    manager.collect(Timestamp::ZERO, &mut collector);
    pulse
}

#[test]
fn the_last_write_stands_and_is_reported_once_in_the_order_of_first_change() {
    let manager = manager(10);
    assert!(manager.sync("b", vector(1, 1.0)));
    assert!(manager.sync("a", vector(1, 2.0)));
    // An older timestamp by the route's own author: the clock was put back, the call stands.
    assert!(manager.sync("b", vector(0, 3.0)));
    let changes = manager.take_changes(10);
    assert_eq!(names(&changes), ["b", "a"]);
    assert_eq!(changes[0].vector, vector(0, 3.0));
    assert_eq!(manager.get_local("b"), Some(vector(0, 3.0)));
    assert_eq!(manager.take_changes(10), []);

    manager.sync("b", vector(2, 4.0));
    assert_eq!(names(&manager.take_changes(10)), ["b"]);
}

#[test]
fn taking_is_limited_and_leaves_the_rest() {
    let manager = manager(10);
    for route in ["a", "b", "c"] {
        manager.sync(route, vector(1, 1.0));
    }
    assert_eq!(names(&manager.take_changes(2)), ["a", "b"]);
    assert_eq!(names(&manager.take_changes(2)), ["c"]);
}

#[test]
fn new_routes_beyond_the_capacity_and_long_names_are_refused_and_counted() {
    let manager = manager(2);
    assert!(manager.sync("a", vector(1, 1.0)) && manager.sync("b", vector(1, 1.0)));
    assert!(!manager.sync("c", vector(1, 1.0)));
    assert!(!manager.sync(&"x".repeat(MAX_ROUTE_BYTES + 1), vector(1, 1.0)));
    assert!(!manager.apply_remote(&RemoteVector::new("d", vector(1, 1.0))));
    assert_eq!((manager.refused(), manager.len()), (3, 2));
    assert!(manager.sync("a", vector(2, 2.0)), "known routes stay served");
}

#[test]
fn a_pulse_makes_room_by_forgetting_what_changed_longest_ago() {
    let manager = manager(4);
    for route in ["a", "b", "c", "d"] {
        manager.sync(route, vector(1, 1.0));
    }
    manager.take_changes(4);
    manager.sync("a", vector(2, 2.0));
    collect(&manager, 10);
    assert_eq!((manager.len(), manager.evictions()), (3, 1));
    assert_eq!(manager.get_local("b"), None);
    assert!(manager.get_local("a").is_some());
    assert!(manager.sync("e", vector(3, 3.0)));
}

#[test]
fn a_million_hostile_names_leave_the_capacity() {
    let manager = manager(1_000);
    for index in 0..1_000_000_u32 {
        manager.sync(&index.to_string(), vector(1, 1.0));
        if index % 500 == 0 {
            collect(&manager, 1_000);
        }
    }
    assert!(manager.len() <= 1_000);
    assert!(manager.recency().len() <= 1_000);
    assert!(manager.refused() > 0 && manager.evictions() > 0);
    collect(&manager, 1_000);
    assert!(manager.sync("a real one", vector(1, 1.0)));
}

#[test]
fn a_node_that_talks_about_a_million_routes_displaces_no_own_state() {
    let manager = manager(100);
    let own: Vec<String> = (0..40).map(|index| format!("own {index}")).collect();
    for route in &own {
        manager.sync(route, vector(1, 1.0));
    }
    collect(&manager, 100);
    for index in 0..1_000_000_u32 {
        manager.apply_remote(&RemoteVector::new(index.to_string(), vector(1, 1.0)));
        if index % 10_000 == 0 {
            collect(&manager, 100);
        }
    }
    assert_eq!(manager.len(), 90, "40 own, 50 from hearsay");
    assert!(own.iter().all(|route| manager.get_local(route).is_some()));
    assert!(manager.get_remote("999999").is_some() && manager.get_remote("0").is_none());
    assert!(manager.sync("a new one", vector(1, 1.0)));
}

#[test]
fn a_route_known_from_hearsay_becomes_own_by_the_first_write() {
    let manager = manager(4);
    manager.apply_remote(&RemoteVector::new("a", vector(1, 1.0)));
    manager.sync("a", vector(1, 2.0));
    // Two newer ones would displace it if it were hearsay still; the pulse has not been here.
    for route in ["b", "c"] {
        manager.apply_remote(&RemoteVector::new(route, vector(1, 1.0)));
    }
    assert_eq!(manager.get_local("a"), Some(vector(1, 2.0)));
    collect(&manager, 4);
    assert_eq!(manager.get_local("a"), Some(vector(1, 2.0)));
    assert_eq!(manager.get_remote("a"), Some(vector(1, 1.0)));
}

#[test]
fn churn_without_a_pulse_is_bounded_and_loses_no_change() {
    let manager = manager(8);
    for index in 0..100_u32 {
        let route = index.to_string();
        manager.sync(&route, vector(1, 1.0));
        manager.remove(&route);
    }
    manager.sync("r", vector(1, 1.0));
    assert_eq!(manager.changed.len(), 8, "full of routes that are gone");
    assert_eq!(names(&manager.take_changes(100)), ["r"]);
    assert_eq!(manager.take_changes(100), []);
}

#[test]
fn what_finds_no_room_in_the_pulse_is_reported_by_the_next() {
    let manager = manager(100);
    for route in ["a", "b", "c"] {
        manager.sync(route, vector(1, 1.0));
    }
    assert_eq!(collect(&manager, 2).stats().changes, 2);
    assert_eq!(collect(&manager, 2).stats().changes, 1);
    assert_eq!(collect(&manager, 2).stats().changes, 0);
}

#[test]
fn a_warm_start_fills_gaps_only_and_reports_nothing() {
    let manager = manager(10);
    manager.sync("own", vector(5, 5.0));
    manager.take_changes(10);
    manager.warm_start([
        RouteVector::new("own", vector(9, 9.0)),
        RouteVector::new("stored", vector(1, 1.0)),
    ]);
    assert_eq!(manager.get_local("own"), Some(vector(5, 5.0)));
    assert_eq!(manager.get_local("stored"), Some(vector(1, 1.0)));
    assert_eq!(manager.take_changes(10), []);
}

#[test]
fn remote_vectors_are_kept_apart_and_only_newer_ones_are_taken() {
    let manager = manager(10);
    manager.sync("r", vector(5, 5.0));
    assert!(manager.apply_remote(&RemoteVector::new("r", vector(3, 3.0))));
    assert!(!manager.apply_remote(&RemoteVector::new("r", vector(2, 2.0))));
    assert!(manager.apply_remote(&RemoteVector::new("r", vector(3, 4.0))));
    assert_eq!(manager.get_remote("r"), Some(vector(3, 4.0)));
    assert_eq!(manager.get_local("r"), Some(vector(5, 5.0)));
    assert_eq!(manager.take_changes(10).len(), 1);
    manager.remove("r");
    assert_eq!((manager.get_local("r"), manager.get_remote("r")), (None, None));
}

#[test]
fn a_new_connection_reports_every_route_again() {
    let manager = manager(10);
    for route in ["a", "b"] {
        manager.sync(route, vector(1, 1.0));
    }
    manager.apply_remote(&RemoteVector::new("theirs", vector(1, 1.0)));
    manager.take_changes(10);

    let mut pulse = Pulse::new(PulseConfig::default(), Timestamp::ZERO);
    let draw = atrion_core::units::UnitInterval::ZERO;
    assert!(!pulse.poll_collect().unwrap().wants_all());
    let connect = pulse.poll_transmit(Timestamp::ZERO).unwrap();
    pulse.handle_completed(connect.id, Ok(()), Timestamp::ZERO, draw);
    let now = Timestamp::ZERO.saturating_add(Duration::from_millis(100));
    pulse.handle_timeout(now, draw);
    let mut collector = pulse.poll_collect().unwrap();
    assert!(collector.wants_all());
    manager.collect(now, &mut collector);
    assert_eq!(pulse.stats().changes, 2);
}

#[test]
fn concurrent_writers_and_a_taker_lose_no_latest_value() {
    const ROUTES: u64 = 20;
    const STEPS: u64 = 2_000;
    let manager = manager(100);
    let mut last = [0.0; ROUTES as usize];
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let manager = &manager;
            scope.spawn(move || {
                for step in 1..=STEPS {
                    let route = (step * 7 + writer) % (ROUTES / 2) + writer * (ROUTES / 2);
                    manager.sync(&route.to_string(), vector(step, step as f64));
                }
            });
        }
        let mut take = || {
            for change in manager.take_changes(5) {
                last[change.route.parse::<usize>().unwrap()] = change.vector.resistance.get();
            }
        };
        for _ in 0..STEPS {
            take();
        }
    });
    for change in manager.take_changes(usize::MAX) {
        last[change.route.parse::<usize>().unwrap()] = change.vector.resistance.get();
    }
    for (route, taken) in last.iter().enumerate() {
        let held = manager.get_local(&route.to_string()).unwrap();
        assert_eq!(held.resistance.get().to_bits(), taken.to_bits(), "route {route}");
    }
}

proptest! {
    /// Whatever is done in whatever order: what was taken last is what is cached, for each route
    /// that is cached.
    #[test]
    fn what_was_taken_last_is_what_is_cached(
        operations in prop::collection::vec((0_u8..4, 0_u8..12, 0_u64..50), 0..300),
    ) {
        let manager = manager(8);
        let mut taken = std::collections::HashMap::new();
        let note = |taken: &mut std::collections::HashMap<_, _>, changes: Vec<RouteVector>| {
            for change in changes {
                taken.insert(change.route.to_string(), change.vector);
            }
        };
        for (operation, route, value) in operations {
            let route = route.to_string();
            match operation {
                0 | 1 => { manager.sync(&route, vector(value, value as f64)); }
                2 => note(&mut taken, manager.take_changes(3)),
                _ => { manager.remove(&route); taken.remove(&route); }
            }
            prop_assert!(manager.len() <= 8);
        }
        note(&mut taken, manager.take_changes(usize::MAX));
        for route in 0..12_u8 {
            let route = route.to_string();
            prop_assert_eq!(manager.get_local(&route), taken.get(&route).copied());
        }
    }
}
