//! The facade `metrics` with the exporter for Prometheus, read by a real Prometheus.
#![cfg(feature = "metrics")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Force};
use atrion_observe::{
    Collector, Kind, MetricsExporter, OTHER, TopConfig, instruments, label_value,
};
use atrion_state::clock::ManualClock;
use atrion_testkit::PrometheusServer;
use atrion_testkit::wait::until_some;
use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

/// An exporter to a recorder of its own, so that tests do not see each other's numbers.
fn exporter(collector: Collector) -> (MetricsExporter, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    (MetricsExporter::with_recorder(collector, recorder), handle)
}

fn collector(atrion: &Atrion) -> Collector {
    Collector::new(atrion, TopConfig::default())
}

/// Serves `/metrics` as programs do: refreshed before each scrape.
async fn endpoint(exporter: MetricsExporter, handle: PrometheusHandle) -> SocketAddr {
    let page = move || {
        exporter.refresh();
        let page = handle.render();
        async { page }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let addr = listener.local_addr().expect("bound");
    let app = Router::new().route("/metrics", get(page));
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

/// Looks now and then until there is something to see: when another process scrapes is its own
/// affair.
async fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_some(what, Duration::from_millis(20), look).await
}

fn work(atrion: &Atrion, route: &str, times: u32) {
    let route = atrion.route(route);
    for _ in 0..times {
        route.admit(Priority::High).expect("calm").success();
    }
}

fn lines<'p>(page: &'p str, start: &str) -> Vec<&'p str> {
    page.lines().filter(|line| line.starts_with(start)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_arrive_as_they_are() {
    let long = "x".repeat(512);
    let names = [
        "GET /users/{id}",
        "he said \"hi\"",
        "a\nb",
        "a\rb",
        "back\\slash",
        "back\\\\slash",
        "<script>alert(1)</script>",
        "} 1\natrion_route_breaker_open{route=\"forged\"",
        "ağaç \u{202e}木",
        &long,
        OTHER,
    ];
    let atrion = Atrion::builder().build().expect("builds");
    for (i, name) in names.iter().enumerate() {
        work(&atrion, name, i as u32 + 1);
    }
    let expected: BTreeMap<String, f64> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (label_value(name).to_string(), i as f64 + 1.0))
        .collect();
    assert_eq!(expected.len(), names.len());

    let (exporter, handle) = exporter(collector(&atrion));
    let server = PrometheusServer::start(endpoint(exporter, handle).await, None).expect("starts");
    let query = r#"atrion_route_requests_total{outcome="completed"} > 0"#;
    let seen = until("all routes", || {
        let series = server.query(query).expect("a query");
        (series.len() >= names.len()).then_some(series)
    })
    .await;
    let seen: BTreeMap<String, f64> = seen
        .into_iter()
        .map(|mut s| (s.labels.remove("route").unwrap_or_default(), s.value))
        .collect();
    assert_eq!(seen, expected);
    assert!(server.query(r#"{route="forged"}"#).expect("a query").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_learns_kind_and_meaning_of_every_instrument() {
    let atrion = Atrion::builder().tally(true).process_circuit(true).build().expect("builds");
    work(&atrion, "a", 1);
    let (exporter, handle) = exporter(collector(&atrion));
    let page = {
        exporter.refresh();
        handle.render()
    };
    let server = PrometheusServer::start(endpoint(exporter, handle).await, None).expect("starts");
    let metadata = until("metadata", || {
        let metadata = server.metadata().expect("served");
        metadata.get("atrion_routes").is_some().then_some(metadata)
    })
    .await;
    let mut checked = 0;
    for instrument in instruments() {
        let name = instrument.prometheus_name();
        let Some(said) = metadata.get(&name).and_then(|list| list.get(0)) else {
            assert!(!page.contains(&format!("\n{name}")), "{name} is on the page without metadata");
            continue;
        };
        assert_eq!(said["type"], instrument.kind.as_str(), "{name}");
        assert_eq!(said["help"], instrument.help, "{name}");
        checked += 1;
    }
    assert!(checked >= 25, "{checked} instruments were described");
}

#[test]
fn who_has_lost_its_place_keeps_its_counters_and_shows_no_stale_gauges() {
    let clock = ManualClock::new();
    let atrion = Atrion::builder().clock(clock.clone()).build().expect("builds");
    let top = TopConfig::builder().limit(1).min_stay(Duration::ZERO).build().expect("in range");
    let (exporter, handle) = exporter(Collector::with_clock(&atrion, top, clock.clone()));
    let route = atrion.route("a");
    route.force(Force::Closed, Duration::from_secs(36_000));
    work(&atrion, "a", 100);
    exporter.refresh();
    let forced = r#"atrion_route_forced_closed{route="a"} "#;
    assert_eq!(lines(&handle.render(), forced), [format!("{forced}1")]);
    route.release();
    clock.advance(Duration::from_secs(600));
    work(&atrion, "b", 90_000);
    exporter.refresh();
    let page = handle.render();
    assert_eq!(lines(&page, forced), [format!("{forced}0")]);
    let completed = r#"atrion_route_requests_total{route="a",outcome="completed"} "#;
    assert_eq!(lines(&page, completed), [format!("{completed}100")]);
    assert_eq!(lines(&page, r#"atrion_route_resistance{route="b"}"#).len(), 1);
}

#[test]
fn names_are_the_same_with_and_without_suffixes_by_the_exporter() {
    let atrion = Atrion::builder().tally(true).process_circuit(true).build().expect("builds");
    work(&atrion, "a", 1);
    let names = |builder: PrometheusBuilder| {
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        MetricsExporter::with_recorder(collector(&atrion), recorder).refresh();
        let page = handle.render();
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut names: Vec<String> = types.map(str::to_owned).collect();
        names.sort();
        names
    };
    let plain = names(PrometheusBuilder::new());
    assert!(plain.len() > 20);
    assert_eq!(plain, names(PrometheusBuilder::new().with_recommended_naming(true)));
}

#[test]
fn a_refresher_refreshes_until_it_is_dropped() {
    let atrion = Atrion::builder().build().expect("builds");
    let (exporter, handle) = exporter(collector(&atrion));
    let refresher = exporter.refresh_every(Duration::from_millis(1)).expect("a thread");
    work(&atrion, "a", 5);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("one");
    runtime.block_on(until("five requests", || {
        let completed = r#"atrion_route_requests_total{route="a",outcome="completed"} 5"#;
        (!lines(&handle.render(), completed).is_empty()).then_some(())
    }));
    drop(refresher);
}

/// What a stores' bill depends on.
#[test]
fn series_are_as_many_as_the_documentation_says() {
    let atrion = Atrion::builder().tally(true).build().expect("builds");
    let count = |atrion: &Atrion| {
        let (exporter, handle) = exporter(collector(atrion));
        exporter.refresh();
        let page = handle.render();
        page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
    };
    let empty = count(&atrion);
    work(&atrion, "a", 1);
    let one = count(&atrion) - empty;
    for i in 0..200 {
        work(&atrion, &format!("route {i}"), 1);
    }
    let all = count(&atrion);
    // The overflow route is always there and takes one of the 50 places.
    // Four gauges appear once there is something to say.
    let range = empty + 49 * one..=empty + 49 * (one + 4);
    assert!(range.contains(&all), "{all} is not in {range:?}");
    assert!(one <= 45, "{one} series for a route");
    let counters = instruments().filter(|i| i.kind == Kind::Counter).count();
    assert!(counters > 10);
    println!("{empty} series without routes, {one} for each route, {all} in all");
}
