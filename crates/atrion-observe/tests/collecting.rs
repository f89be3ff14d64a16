//! A real instance, read by a collector: every request is told once, whatever happens to its route.

use std::collections::BTreeMap;
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Config, Force, Reason};
use atrion_observe::{Collector, OTHER, Snapshot, TopConfig};
use atrion_state::clock::ManualClock;

const HOUR: Duration = Duration::from_secs(3600);

fn instance(clock: &ManualClock, config: Config) -> Atrion {
    Atrion::builder().clock(clock.clone()).config(config).tally(true).build().expect("builds")
}

fn top(limit: usize) -> TopConfig {
    TopConfig::builder().limit(limit).build().expect("in range")
}

fn work(atrion: &Atrion, route: &str, times: u32) {
    let route = atrion.route(route);
    for _ in 0..times {
        route.admit(Priority::Normal).expect("calm").success();
    }
}

/// Completed requests by label value, those of the sum included if there are any.
fn completed(snapshot: &Snapshot) -> BTreeMap<String, u64> {
    let own = snapshot.routes.iter().map(|row| (row.label.to_string(), row.totals.completed));
    let other = (OTHER.to_owned(), snapshot.other.totals.completed);
    own.chain([other]).filter(|(_, count)| *count > 0).collect()
}

fn of<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.map(|(name, count)| (name.to_owned(), count)).into()
}

#[test]
fn rest_and_waking_up_lose_nothing() {
    let clock = ManualClock::new();
    let config = Config::builder().route_idle_secs(1.0).build().expect("valid");
    let atrion = instance(&clock, config);
    let collector = Collector::with_clock(&atrion, top(5), clock.clone());
    work(&atrion, "a", 7);
    work(&atrion, "b", 3);
    assert_eq!(completed(&collector.collect()), of([("a", 7), ("b", 3)]));

    clock.advance(Duration::from_secs(10));
    atrion.tick();
    clock.advance(Duration::from_secs(10));
    atrion.tick();
    assert_eq!(atrion.stats().resting, 2, "both rest");
    let resting = collector.collect();
    assert_eq!(completed(&resting), of([("a", 7), ("b", 3)]));
    assert!(
        resting
            .routes
            .iter()
            .filter(|r| r.totals.completed > 0)
            .all(|r| { r.now.is_some_and(|now| now.resting) })
    );

    work(&atrion, "a", 5);
    assert_eq!(completed(&collector.collect()), of([("a", 12), ("b", 3)]));
}

#[test]
fn a_reset_takes_nothing_back() {
    let clock = ManualClock::new();
    let atrion = instance(&clock, Config::default());
    let collector = Collector::with_clock(&atrion, top(5), clock.clone());
    work(&atrion, "a", 9);
    collector.collect();
    atrion.route("a").reset();
    work(&atrion, "a", 1);
    assert_eq!(completed(&collector.collect()), of([("a", 10)]));
}

#[test]
fn eviction_and_a_second_life_lose_nothing_that_was_read() {
    let clock = ManualClock::new();
    let config = Config::builder().route_limit(2).route_idle_secs(0.0).build().expect("valid");
    let atrion = instance(&clock, config);
    let collector = Collector::with_clock(&atrion, top(3), clock.clone());
    let mut expected = 0;
    for i in 0..30_u32 {
        // Three names take turns in the room of two; what rests is forgotten first.
        clock.advance(Duration::from_secs(10));
        atrion.tick();
        work(&atrion, &format!("tenant {}", i % 3), 100 + i);
        expected += u64::from(100 + i);
        let seen = completed(&collector.collect());
        assert_eq!(seen.values().sum::<u64>(), expected, "round {i}: {seen:?}");
    }
    assert!(atrion.stats().evicted >= 10, "{:?}", atrion.stats());
}

#[test]
fn names_that_find_no_room_are_told_as_the_overflow_route() {
    let clock = ManualClock::new();
    let config = Config::builder().route_limit(1).build().expect("valid");
    let atrion = instance(&clock, config);
    let collector = Collector::with_clock(&atrion, top(5), clock.clone());
    let held = atrion.route("a");
    work(&atrion, "b", 4);
    work(&atrion, "c", 5);
    let snapshot = collector.collect();
    assert_eq!(completed(&snapshot), of([("(overflow)", 9)]));
    assert_eq!(snapshot.stats.overflowed, 2);
    assert_eq!(held.name(), "a");
}

#[test]
fn refusals_are_told_by_tier_and_reason() {
    let clock = ManualClock::new();
    let atrion = instance(&clock, Config::default());
    let collector = Collector::with_clock(&atrion, top(5), clock.clone());
    let route = atrion.route("a");
    route.force(Force::Open, HOUR);
    for tier in [Priority::Bulk, Priority::Bulk, Priority::Critical] {
        assert!(route.admit(tier).is_err());
    }
    let snapshot = collector.collect();
    assert!(snapshot.tallied);
    let row = snapshot.routes.iter().find(|row| &*row.label == "a").expect("told");
    assert_eq!(row.totals.refused, 3);
    assert_eq!(row.totals.refused_by_tier, [2, 0, 0, 0, 1]);
    let forced = Reason::ALL.iter().position(|r| *r == Reason::ForcedOpen).expect("known");
    assert_eq!(row.totals.refused_by_reason[forced], 3);
    assert!(row.now.is_some_and(|now| now.forced_open));
    clock.advance(HOUR * 2);
    atrion.tick();
    let later = collector.collect();
    let row = later.routes.iter().find(|row| &*row.label == "a").expect("told");
    assert!(row.now.is_some_and(|now| !now.forced_open));
}

#[test]
fn a_hundred_thousand_names_make_a_bounded_number_of_series() {
    let clock = ManualClock::new();
    let config = Config::builder().route_limit(2_000).build().expect("valid");
    let atrion = instance(&clock, config);
    let collector = Collector::with_clock(&atrion, top(10), clock.clone());
    let mut done = 0;
    for round in 0..20_u32 {
        for i in 0..5_000_u32 {
            work(&atrion, &format!("/path/{}", round * 5_000 + i), 1);
            done += 1;
        }
        clock.advance(Duration::from_secs(120));
        atrion.tick();
        let snapshot = collector.collect();
        assert!(snapshot.routes.len() <= 40, "{} rows", snapshot.routes.len());
        assert!(snapshot.routes.iter().filter(|row| row.now.is_some()).count() <= 10);
    }
    let told: u64 = completed(&collector.latest()).values().sum();
    // Routes that came and went between two collections were never seen.
    assert!(told <= done && told > 0, "{told} of {done}");
    assert_eq!(atrion.stats().routes, 2_000);
}
