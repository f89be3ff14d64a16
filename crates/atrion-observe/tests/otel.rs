//! The instruments through the SDK, collected for real.
#![cfg(feature = "otel")]

use std::collections::BTreeMap;
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::Atrion;
use atrion_observe::{Collector, Kind, OtelInstruments, TopConfig, instruments};
use atrion_state::clock::ManualClock;
use atrion_state::in_memory::InMemoryProvider;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, InMemoryMetricExporterBuilder, PeriodicReader, SdkMeterProvider,
    Temporality,
};

/// A provider that collects when it is told to, and what it exported.
struct Sdk {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

/// By name and attributes, `a=b` and in order.
type Points = BTreeMap<(String, String), f64>;

impl Sdk {
    fn new(temporality: Temporality) -> Self {
        let exporter = InMemoryMetricExporterBuilder::new().with_temporality(temporality).build();
        let reader = PeriodicReader::builder(exporter.clone())
            .with_interval(Duration::from_secs(3600))
            .build();
        Self { provider: SdkMeterProvider::builder().with_reader(reader).build(), exporter }
    }

    fn collect(&self) -> Vec<(String, String, String, bool, Points)> {
        self.exporter.reset();
        self.provider.force_flush().expect("collects");
        let all = self.exporter.get_finished_metrics().expect("exported");
        let scopes = all.iter().flat_map(|m| m.scope_metrics());
        scopes
            .flat_map(|scope| scope.metrics())
            .map(|metric| {
                let (monotonic, points) = points(metric);
                let text = |text: &str| text.to_owned();
                let (name, unit) = (text(metric.name()), text(metric.unit()));
                (name, unit, text(metric.description()), monotonic, points)
            })
            .collect()
    }

    fn points(&self) -> Points {
        self.collect().into_iter().flat_map(|(.., points)| points).collect()
    }
}

fn points(metric: &Metric) -> (bool, Points) {
    let key = |mut attributes: Vec<String>| {
        attributes.sort();
        (metric.name().to_owned(), attributes.join(","))
    };
    let written = |a: &opentelemetry::KeyValue| format!("{}={}", a.key, a.value);
    match metric.data() {
        AggregatedMetrics::U64(MetricData::Sum(sum)) => {
            let points = sum
                .data_points()
                .map(|p| (key(p.attributes().map(written).collect()), p.value() as f64));
            (sum.is_monotonic(), points.collect())
        }
        AggregatedMetrics::F64(MetricData::Gauge(gauge)) => {
            let points = gauge
                .data_points()
                .map(|p| (key(p.attributes().map(written).collect()), p.value()));
            (false, points.collect())
        }
        other => panic!("{} is {other:?}", metric.name()),
    }
}

fn work(atrion: &Atrion, route: &str, times: u32) {
    let route = atrion.route(route);
    for _ in 0..times {
        route.admit(Priority::High).expect("calm").success();
    }
}

fn point(points: &Points, name: &str, attributes: &str) -> Option<f64> {
    points.get(&(name.to_owned(), attributes.to_owned())).copied()
}

#[test]
fn what_is_collected_is_what_the_table_says() {
    let sdk = Sdk::new(Temporality::Cumulative);
    let atrion =
        Atrion::builder().tally(true).provider(InMemoryProvider::new()).build().expect("builds");
    work(&atrion, "GET /a", 3);
    let meter = sdk.provider.meter("atrion");
    let told = OtelInstruments::new(&atrion, &meter);
    let metrics = sdk.collect();
    assert!(metrics.len() > 25, "{} instruments", metrics.len());
    for (name, unit, help, monotonic, _) in &metrics {
        let of_table = instruments().find(|i| i.name == name).expect("is in the table");
        assert_eq!((&**unit, &**help), (of_table.unit, of_table.help), "{name}");
        assert_eq!(*monotonic, of_table.kind == Kind::Counter, "{name}");
    }
    let points = sdk.points();
    let requests = "atrion.route.requests";
    assert_eq!(point(&points, requests, "outcome=completed,route=GET /a"), Some(3.0));
    let admitted = "atrion.route.admitted";
    assert_eq!(point(&points, admitted, "route=GET /a,tier=high"), Some(3.0));
    assert_eq!(point(&points, "atrion.provider.health", "state=disconnected"), Some(1.0));

    // Each collection reads anew.
    work(&atrion, "GET /a", 2);
    let points = sdk.points();
    assert_eq!(point(&points, requests, "outcome=completed,route=GET /a"), Some(5.0));

    drop(told);
    work(&atrion, "GET /a", 2);
    assert!(sdk.points().is_empty(), "it is over");
}

#[test]
fn an_instance_does_not_outlive_its_instruments_because_of_the_sdk() {
    let sdk = Sdk::new(Temporality::Cumulative);
    let atrion = Atrion::builder().build().expect("builds");
    let route = atrion.route("a");
    let told = OtelInstruments::new(&atrion, &sdk.provider.meter("atrion"));
    drop((told, atrion));
    assert!(sdk.points().is_empty());
    route.admit(Priority::Normal).expect("a handle works on").success();
}

/// Differences are computed by the SDK from what it was told last. A series that is not told for a
/// while and comes back would be counted a second time from zero.
#[test]
fn deltas_add_up_though_routes_take_turns() {
    let sdk = Sdk::new(Temporality::Delta);
    let clock = ManualClock::new();
    let atrion = Atrion::builder().clock(clock.clone()).build().expect("builds");
    let top = TopConfig::builder().limit(1).min_stay(Duration::ZERO).build().expect("in range");
    let collector = Collector::with_clock(&atrion, top, clock.clone());
    let told = OtelInstruments::of(collector, &sdk.provider.meter("atrion"));
    let (mut done, mut sum, mut turns) = (0, 0.0, 0);
    let mut before = String::new();
    for round in 0..12_u32 {
        let busy = if round % 4 < 2 { "a" } else { "b" };
        work(&atrion, busy, 5_000);
        done += 5_000;
        clock.advance(Duration::from_secs(120));
        let points = sdk.points();
        let completed = points
            .iter()
            .filter(|((name, at), _)| name == "atrion.route.requests" && at.contains("completed"));
        sum += completed.map(|(_, value)| value).sum::<f64>();
        let shown = points.keys().find(|(name, _)| name == "atrion.route.resistance");
        let shown = shown.map(|(_, at)| at.clone()).unwrap_or_default();
        turns += u32::from(shown != before);
        before = shown;
    }
    assert!(turns >= 4, "the place changed hands {turns} times");
    assert!((sum - f64::from(done)).abs() < 0.5, "{sum} of {done}");
    drop(told);
}
