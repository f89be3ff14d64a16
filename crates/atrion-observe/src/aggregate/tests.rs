use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::label::OTHER;
use crate::sample::TallyReading;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn config(limit: usize, names: usize, stay: u64) -> TopConfig {
    TopConfig::builder()
        .limit(limit)
        .names(names)
        .min_stay(Duration::from_secs(stay))
        .build()
        .expect("in range")
}

fn done(completed: u32) -> Reading {
    Reading { completed, ..Reading::default() }
}

fn round(aggregator: &mut Aggregator, secs: u64, routes: &[(&str, Reading)]) {
    round_of(aggregator, secs, routes.iter().map(|(n, r)| (*n, *r, Gauges::default())));
}

fn round_of<'a>(
    aggregator: &mut Aggregator,
    secs: u64,
    routes: impl IntoIterator<Item = (&'a str, Reading, Gauges)>,
) {
    aggregator.begin(at(secs));
    for (name, reading, gauges) in routes {
        aggregator.observe(&name.into(), &reading, &gauges);
    }
    aggregator.finish();
}

fn named(aggregator: &Aggregator) -> BTreeSet<String> {
    aggregator.rows().filter(|r| r.now.is_some()).map(|r| r.label.to_string()).collect()
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn completed(aggregator: &Aggregator) -> BTreeMap<String, u64> {
    let own = aggregator.rows().map(|r| (r.label.to_string(), r.totals.completed));
    own.chain([(OTHER.to_owned(), aggregator.other().totals.completed)]).collect()
}

#[test]
fn the_busiest_have_a_value_and_the_rest_is_added_up() {
    let mut a = Aggregator::new(config(2, 8, 60));
    round(&mut a, 0, &[("a", done(10)), ("b", done(500)), ("c", done(300)), ("d", done(1))]);
    assert_eq!(named(&a), names(&["b", "c"]));
    assert_eq!(completed(&a)["b"], 500);
    assert_eq!(completed(&a)[OTHER], 11);
    assert_eq!(a.other().routes, 2);
}

#[test]
fn trouble_counts_more_than_traffic() {
    let mut a = Aggregator::new(config(1, 4, 0));
    let open = Gauges { open: true, ..Gauges::default() };
    round_of(&mut a, 0, [("busy", done(120), Gauges::default()), ("broken", done(0), open)]);
    assert_eq!(named(&a), names(&["broken"]));
    assert_eq!((a.other().open, a.other().routes), (0, 1));
}

#[test]
fn a_place_is_kept_for_a_while_and_then_only_lost_to_much_more() {
    let mut a = Aggregator::new(config(1, 4, 60));
    round(&mut a, 0, &[("a", done(600)), ("b", done(0))]);
    assert_eq!(named(&a), names(&["a"]));
    // b overtakes at once, but a has been there for half a minute only.
    round(&mut a, 30, &[("a", done(600)), ("b", done(90_000))]);
    assert_eq!(named(&a), names(&["a"]));
    round(&mut a, 60, &[("a", done(600)), ("b", done(180_000))]);
    assert_eq!(named(&a), names(&["b"]));
    // As much traffic as b has does not bring a back, however long it lasts.
    for minute in 2..20 {
        let n = minute * 180_000;
        round(&mut a, u64::from(minute) * 60, &[("a", done(n)), ("b", done(n))]);
        assert_eq!(named(&a), names(&["b"]));
    }
    let sum: u64 = completed(&a).values().sum();
    assert_eq!(sum, 19 * 180_000 * 2);
}

#[test]
fn a_value_that_comes_back_goes_on_where_it_was() {
    let mut a = Aggregator::new(config(1, 2, 0));
    round(&mut a, 0, &[("a", done(100)), ("b", done(0))]);
    round(&mut a, 60, &[("a", done(100)), ("b", done(99_999))]);
    assert_eq!(named(&a), names(&["b"]));
    round(&mut a, 120, &[("a", done(150)), ("b", done(99_999))]);
    round(&mut a, 180, &[("a", done(9_999_150)), ("b", done(99_999))]);
    assert_eq!(named(&a), names(&["a"]));
    // 50 of a's went to the sum while it had no place.
    assert_eq!(completed(&a)["a"], 100 + 9_999_000);
    assert_eq!(completed(&a)[OTHER], 50);
    assert_eq!(a.names(), 2);
}

#[test]
fn no_more_names_than_allowed_are_ever_made() {
    let mut a = Aggregator::new(config(3, 5, 0));
    for i in 0..40_u64 {
        let name = format!("tenant {i}");
        round(&mut a, i * 60, &[(&name, done(1_000_000))]);
    }
    assert_eq!(a.names(), 5);
    assert_eq!(completed(&a).values().sum::<u64>(), 40_000_000);
    assert_eq!(a.other().totals.completed, 35_000_000);
}

#[test]
fn a_forgotten_route_frees_its_place_and_keeps_its_total() {
    let mut a = Aggregator::new(config(1, 3, 600));
    round(&mut a, 0, &[("a", done(100))]);
    round(&mut a, 1, &[("b", done(5))]);
    assert_eq!(named(&a), names(&["b"]));
    // It comes back as a new route, with counters that begin anew.
    round(&mut a, 2, &[("a", done(7))]);
    assert_eq!(
        completed(&a),
        BTreeMap::from([("a".to_owned(), 107), ("b".to_owned(), 5), (OTHER.to_owned(), 0),])
    );
}

#[test]
fn a_tally_that_begins_anew_does_not_touch_the_other_counters() {
    let mut a = Aggregator::new(config(1, 1, 0));
    let tally = |n: u32| {
        let tally = TallyReading { admitted_by_tier: [n; 5], ..TallyReading::default() };
        Some(tally)
    };
    round(&mut a, 0, &[("a", Reading { tally: tally(5_000), ..done(5_000) })]);
    round(&mut a, 1, &[("a", Reading { tally: None, ..done(5_001) })]);
    round(&mut a, 2, &[("a", Reading { tally: tally(2), ..done(5_002) })]);
    let totals = a.rows().next().expect("one row").totals;
    assert_eq!((totals.completed, totals.admitted_by_tier[0]), (5_002, 5_002));
}

#[test]
fn two_names_never_share_a_value() {
    let mut a = Aggregator::new(config(4, 4, 0));
    let hostile = ["(other)", "a\nb", "a\rb", "a\u{fffd}b"];
    round(&mut a, 0, &hostile.map(|name| (name, done(1))));
    let labels: BTreeSet<_> = a.rows().map(|r| r.label.clone()).collect();
    assert_eq!(labels.len(), 4);
    assert!(labels.iter().all(|l| &**l != OTHER));
}

#[test]
fn one_route_told_twice_counts_once() {
    let mut a = Aggregator::new(config(1, 1, 0));
    round(&mut a, 0, &[("a", done(3)), ("a", done(4))]);
    assert_eq!(completed(&a)["a"], 3);
}

/// What happens to one of a few routes between two rounds.
#[derive(Clone, Debug)]
enum Step {
    Work(u8, u32),
    Refuse(u8, u32),
    Forget(u8),
    Trouble(u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let route = 0u8..12;
    prop_oneof![
        4 => (route.clone(), 0u32..(1 << 30)).prop_map(|(r, n)| Step::Work(r, n)),
        2 => (route.clone(), 0u32..1_000).prop_map(|(r, n)| Step::Refuse(r, n)),
        1 => route.clone().prop_map(Step::Forget),
        1 => (route, any::<bool>()).prop_map(|(r, t)| Step::Trouble(r, t)),
    ]
}

proptest! {
    /// Whatever the traffic, evictions and trouble: totals never go down, together they are what
    /// was counted between the rounds, and the number of series is bounded.
    #[test]
    fn totals_only_grow_and_add_up(
        rounds in proptest::collection::vec(
            (proptest::collection::vec(step(), 0..8), 0u64..200), 1..60),
        limit in 1usize..5,
        stay in 0u64..100,
    ) {
        let allowed = limit + 3;
        let mut a = Aggregator::new(config(limit, allowed, stay));
        let mut live: BTreeMap<u8, (Reading, Gauges)> = BTreeMap::new();
        let (mut work, mut refusals, mut secs) = (0u64, 0u64, 0u64);
        let mut before: BTreeMap<String, u64> = BTreeMap::new();
        for (steps, pause) in rounds {
            let mut touched = BTreeSet::new();
            for step in steps {
                match step {
                    // A wrap is only told from a restart if it is less than half the way.
                    Step::Work(r, n) if touched.insert(r) => {
                        let (reading, _) = live.entry(r).or_default();
                        reading.completed = reading.completed.wrapping_add(n);
                        work += u64::from(n);
                    }
                    Step::Refuse(r, n) if touched.insert(r) => {
                        let (reading, _) = live.entry(r).or_default();
                        reading.refused = reading.refused.wrapping_add(n);
                        refusals += u64::from(n);
                    }
                    Step::Forget(r) if touched.insert(r) => drop(live.remove(&r)),
                    // Only of a route that exists: made anew, it would begin at zero unseen.
                    Step::Trouble(r, on) => {
                        if let Some((_, gauges)) = live.get_mut(&r) {
                            gauges.open = on;
                        }
                    }
                    _ => {}
                }
            }
            secs += pause;
            let routes: Vec<_> = live.iter().map(|(r, s)| (format!("route {r}"), *s)).collect();
            round_of(&mut a, secs, routes.iter().map(|(n, (r, g))| (&**n, *r, *g)));

            let now = completed(&a);
            for (label, total) in &before {
                prop_assert!(now[label] >= *total, "{label} went down");
            }
            prop_assert_eq!(now.values().sum::<u64>(), work);
            let refused: u64 = a.rows().map(|r| r.totals.refused).sum();
            prop_assert_eq!(refused + a.other().totals.refused, refusals);
            prop_assert!(named(&a).len() <= limit && a.names() <= allowed);
            let shown = named(&a).len() as u64 + a.other().routes;
            prop_assert_eq!(shown, live.len() as u64);
            before = now;
        }
    }
}
