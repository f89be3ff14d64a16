//! What watching costs: the request path with each adapter on and off, and a collection by itself.

use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Builder, Force};
use atrion_observe::{Collector, MetricsExporter, OtelInstruments, TopConfig, TracingObserver};
use criterion::{Criterion, criterion_group, criterion_main};
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

fn admitted(c: &mut Criterion, name: &str, atrion: &Atrion) {
    let route = atrion.route("a");
    c.bench_function(&format!("admit and record/{name}"), |b| {
        b.iter(|| {
            if let Ok(permit) = route.admit(Priority::Normal) {
                permit.success();
            }
        });
    });
}

fn refused(c: &mut Criterion, name: &str, atrion: &Atrion) {
    let route = atrion.route("b");
    route.force(Force::Open, Duration::from_secs(36_000));
    c.bench_function(&format!("refuse/{name}"), |b| {
        b.iter(|| route.admit(Priority::Normal).is_err());
    });
}

fn built(builder: Builder) -> Atrion {
    builder.build().expect("builds")
}

fn request_path(c: &mut Criterion) {
    for (name, builder) in [
        ("nothing", Atrion::builder()),
        ("tally", Atrion::builder().tally(true)),
        ("tracing", Atrion::builder().observer(TracingObserver::new())),
        (
            "tracing, one decision in 1000",
            Atrion::builder().sample_decisions(1000).observer(TracingObserver::new()),
        ),
    ] {
        let atrion = built(builder);
        admitted(c, name, &atrion);
        refused(c, name, &atrion);
    }

    let atrion = built(Atrion::builder());
    let recorder = PrometheusBuilder::new().build_recorder();
    let collector = Collector::new(&atrion, TopConfig::default());
    let exporter = MetricsExporter::with_recorder(collector, recorder);
    let refresher = exporter.refresh_every(Duration::from_secs(1)).expect("a thread");
    admitted(c, "metrics, every second", &atrion);
    drop(refresher);

    let atrion = built(Atrion::builder());
    let reader = PeriodicReader::builder(InMemoryMetricExporter::default())
        .with_interval(Duration::from_secs(1))
        .build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let instruments = OtelInstruments::new(&atrion, &provider.meter("atrion"));
    admitted(c, "otel, every second", &atrion);
    drop(instruments);
}

fn collection(c: &mut Criterion) {
    for routes in [100, 10_000] {
        let atrion = built(Atrion::builder().tally(true));
        for i in 0..routes {
            if let Ok(permit) = atrion.route(&format!("route {i}")).admit(Priority::Normal) {
                permit.success();
            }
        }
        let collector = Collector::new(&atrion, TopConfig::default());
        c.bench_function(&format!("collect/{routes} routes"), |b| b.iter(|| collector.collect()));
        let recorder = PrometheusBuilder::new().build_recorder();
        let exporter = MetricsExporter::with_recorder(collector, recorder);
        c.bench_function(&format!("refresh/{routes} routes"), |b| b.iter(|| exporter.refresh()));
    }
}

criterion_group!(benches, request_path, collection);
criterion_main!(benches);
