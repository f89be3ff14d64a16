use std::collections::HashSet;

use super::*;
use atrion_engine::{Atrion, Config};
use http::Request;
use proptest::prelude::*;

use crate::stats::Counters;
use crate::table::UNMATCHED_ROUTE;

fn named(key: &RouteKey, request: &Request<()>, own: bool) -> Option<(String, bool)> {
    let name = key.name(&RequestHead::of(request), own)?;
    Some((format!("{}{}", name.verb.prefix(), name.text), name.proven))
}

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).expect("valid")
}

fn call(path: &str) -> Request<()> {
    Request::post(path).header("content-type", "application/grpc").body(()).expect("valid")
}

#[test]
fn authorities_are_folded_and_stripped_of_credentials() {
    let key = RouteKey::client_default();
    let name = |uri| named(&key, &get(uri), true).map(|(name, _)| name);
    assert_eq!(name("http://Example.COM:8080/a?b"), Some("example.com:8080".into()));
    assert_eq!(name("http://user:secret@example.com/"), Some("example.com".into()));
    assert_eq!(name("/a"), None);
    assert_eq!(named(&key, &call("/a.B/C"), true), Some(("/a.B/C".into(), true)));
}

#[test]
fn a_server_takes_only_plain_grpc_methods_and_asks_for_proof() {
    let key = RouteKey::server_default();
    assert_eq!(named(&key, &call("/a.B/C"), false), Some(("/a.B/C".into(), false)));
    assert_eq!(named(&key, &call("/a.B/C/d"), false), None);
    assert_eq!(named(&key, &get("/users/1"), false), None, "raw paths are no names");
}

#[test]
fn invented_methods_are_one() {
    let key = RouteKey::raw_path();
    for (method, name) in [("GET", "GET /x"), ("PATCH", "PATCH /x"), ("BREW", "OTHER /x")] {
        let request = Request::builder().method(method).uri("/x?q=1").body(()).expect("valid");
        assert_eq!(named(&key, &request, false), Some((name.into(), true)));
    }
}

#[test]
fn own_functions_and_fixed_names_count_as_given() {
    let fixed = RouteKey::fixed("db");
    assert_eq!(named(&fixed, &get("/"), false), Some(("db".into(), true)));
    let custom = RouteKey::custom(|head| head.uri.query().map(Cow::Borrowed));
    assert_eq!(named(&custom, &get("/?tenant"), false), Some(("tenant".into(), true)));
    assert_eq!(named(&custom, &get("/"), false), None);
}

fn table(limit: usize) -> (Arc<Table>, Atrion) {
    let atrion = Atrion::builder().seed(1).build().expect("valid");
    (Arc::new(Table::new(atrion.clone(), "p ", limit)), atrion)
}

fn resolve(table: &Arc<Table>, name: Option<&Name<'_>>, counters: &Counters) -> (String, bool) {
    table.with_route(name, counters, |route, candidate| {
        (route.name().to_owned(), candidate.is_some())
    })
}

#[test]
fn names_beyond_the_limit_and_overlong_ones_share_a_route() {
    let (table, atrion) = table(2);
    let counters = Counters::default();
    let unmatched = format!("p {UNMATCHED_ROUTE}");
    let ask = |text: &str| resolve(&table, Some(&Name::new(Verb::Get, text)), &counters).0;
    assert_eq!(ask("/a"), "p GET /a");
    assert_eq!(ask(&"x".repeat(4096)), unmatched);
    assert_eq!(ask(""), unmatched);
    assert_eq!(ask("/b"), "p GET /b");
    assert_eq!(ask("/c"), unmatched);
    assert_eq!(ask("/a"), "p GET /a");
    assert_eq!(resolve(&table, None, &counters).0, unmatched);
    assert_eq!((table.len(), counters.over_limit.get(), counters.unmatched.get()), (2, 1, 4));
    assert_eq!(atrion.stats().routes, 3);
}

#[test]
fn a_full_engine_is_not_remembered_as_such() {
    let config = Config::builder().route_limit(1).route_idle_secs(1e9).build().expect("valid");
    let atrion = Atrion::builder().config(config).build().expect("valid");
    let taken = atrion.route("taken");
    let table = Arc::new(Table::new(atrion.clone(), "", 10));
    let counters = Counters::default();
    let late = Name::new(Verb::None, "late");
    assert_eq!(resolve(&table, Some(&late), &counters).0, atrion_engine::OVERFLOW_ROUTE);
    assert_eq!(table.len(), 0);
    atrion.reload(Config::builder().route_limit(2).build().expect("valid"));
    assert_eq!(resolve(&table, Some(&late), &counters).0, "late");
    drop(taken);
}

#[test]
fn the_only_route_is_kept_once_there_is_room_for_it() {
    let counters = Counters::default();
    let only = |table: &Arc<Table>, name: &str| {
        let name = Name::new(Verb::None, name);
        table.with_only_route(&name, &counters, |route, _| route.name().to_owned())
    };
    let (none, _) = table(0);
    assert_eq!(only(&none, "db"), format!("p {UNMATCHED_ROUTE}"));
    let (table, atrion) = table(1);
    assert_eq!(only(&table, &"x".repeat(600)), format!("p {UNMATCHED_ROUTE}"));
    assert_eq!(only(&table, "db"), "p db", "the unmatched route was not kept");
    assert_eq!(only(&table, "db"), "p db");
    assert_eq!((table.len(), atrion.stats().routes), (1, 2));
}

#[test]
fn an_unproven_method_gets_its_route_when_it_is_accepted() {
    let (table, _) = table(10);
    let counters = Counters::default();
    let name = Name::new(Verb::None, "/a.B/C").proven(false);
    assert!(resolve(&table, Some(&name), &counters).1);
    let candidate = table.with_route(Some(&name), &counters, |_, candidate| candidate);
    candidate.expect("unproven").accept();
    assert_eq!(resolve(&table, Some(&name), &counters), ("p /a.B/C".into(), false));
}

#[test]
fn threads_that_race_for_a_name_get_one_route_and_use_one_place() {
    let (table, _) = table(4);
    let routes: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| table.add(Verb::Get, "/same"))).collect();
        workers.into_iter().map(|w| w.join().expect("no panic").expect("room")).collect()
    });
    assert!(routes.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(table.len(), 1);
}

proptest! {
    #[test]
    fn no_set_of_names_makes_more_routes_than_the_limit(
        names in prop::collection::vec(".{0,40}", 1..200), limit in 0usize..20,
    ) {
        let (table, atrion) = table(limit);
        let counters = Counters::default();
        let mut seen = HashSet::new();
        for name in &names {
            seen.insert(resolve(&table, Some(&Name::new(Verb::None, &**name)), &counters).0);
        }
        prop_assert!(seen.len() <= limit + 1);
        prop_assert!(atrion.stats().routes <= limit + 1);
    }
}
