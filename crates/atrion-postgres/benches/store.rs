//! What remembering costs over a real server on this machine: saving batches, restoring routes, and
//! what requests feel of it.

#![expect(clippy::unwrap_used, reason = "a bench is a test of a kind")]
#![allow(missing_docs, reason = "criterion makes a public function")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use atrion_commercial::test_util::development_key;
use atrion_core::flow::Priority;
use atrion_core::units::Ohms;
use atrion_core::vector::PhysicsVector;
use atrion_engine::Atrion;
use atrion_postgres::PostgresPersistenceAdapter;
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::license::{License, LicensePolicy};
use atrion_state::provider::{RouteVector, StateProvider};
use atrion_testkit::{PostgresOptions, PostgresServer};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

/// The goals: so many routes restored within two seconds, so many changes saved in one.
const ROUTES: u32 = 100_000;
const CHANGES_PER_SEC: u32 = 10_000;

/// How this ends where no server can be started, for who runs it among others.
const NO_SERVER: i32 = 4;

fn provider(server: &PostgresServer, node: &str) -> PostgresPersistenceAdapter {
    let provider = PostgresPersistenceAdapter::builder()
        .url(server.url())
        .application("bench")
        .node(node)
        .operation_timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let license = License { source: development_key().into(), policy: LicensePolicy::Strict };
    provider.license(&license).unwrap();
    provider
}

fn batch(routes: std::ops::Range<u32>) -> Vec<RouteVector> {
    let now = MonotonicClock::new().now();
    routes
        .map(|n| {
            let idle = PhysicsVector::idle(Ohms::from(1_u32), now);
            let vector = PhysicsVector { scar_tissue: Ohms::from(n % 500), ..idle };
            RouteVector::new(format!("api/v1/some/route/{n}"), vector)
        })
        .collect()
}

fn save(c: &mut Criterion, runtime: &Runtime, server: &PostgresServer) {
    let provider = provider(server, "saver");
    runtime.block_on(provider.connect()).unwrap();
    let mut group = c.benchmark_group("save");
    group.sample_size(20);
    for size in [64_u32, 1_024, 4_096] {
        group.throughput(Throughput::Elements(u64::from(size)));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter_batched(
                || batch(0..size),
                |batch| runtime.block_on(provider.update_vectors(&batch)).unwrap(),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn restore(c: &mut Criterion, runtime: &Runtime, server: &PostgresServer) {
    let writer = provider(server, "restorer");
    runtime.block_on(async {
        writer.connect().await.unwrap();
        for start in (0..ROUTES).step_by(4_096) {
            let end = (start + 4_096).min(ROUTES);
            writer.update_vectors(&batch(start..end)).await.unwrap();
        }
    });
    drop(writer);
    let mut group = c.benchmark_group("restore");
    group.sample_size(10);
    for (name, node) in [("own_rows", "restorer"), ("as_another_node", "a-new-one")] {
        group.bench_function(BenchmarkId::new(name, ROUTES), |b| {
            b.iter_batched(
                || provider(server, node),
                |provider| {
                    runtime.block_on(async {
                        provider.connect().await.unwrap();
                        assert_eq!(provider.snapshot().await.unwrap().len(), ROUTES as usize);
                    });
                    provider
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// One admission with its record, alone and while so many changes a second are saved.
fn request_path(c: &mut Criterion, runtime: &Runtime, server: &PostgresServer) {
    let atrion = Atrion::builder().build().unwrap();
    let route = atrion.route("checkout");
    let mut group = c.benchmark_group("admit_and_record");
    let mut measure = |name: &str| {
        group.bench_function(name, |b| {
            b.iter(|| {
                if let Ok(permit) = route.admit(Priority::Normal) {
                    permit.success();
                }
            });
        });
    };
    measure("alone");
    let (stop, saved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = Arc::new(provider(server, "busy"));
    runtime.block_on(writer.connect()).unwrap();
    let task = runtime.spawn({
        let (stop, saved) = (Arc::clone(&stop), Arc::clone(&saved));
        async move {
            let mut beat = tokio::time::interval(Duration::from_millis(100));
            while !stop.load(Relaxed) {
                beat.tick().await;
                writer.update_vectors(&batch(0..CHANGES_PER_SEC / 10)).await.unwrap();
                saved.fetch_add(u64::from(CHANGES_PER_SEC / 10), Relaxed);
            }
        }
    });
    let clock = MonotonicClock::new();
    let start = clock.now();
    measure("while_10000_changes_a_second_are_saved");
    let rate = saved.load(Relaxed) as f64 / clock.now().secs_since(start);
    println!("saved meanwhile: {rate:.0} changes a second");
    // Measured for seconds: what fell short of it is no figure of so many changes. Run once, as the
    // tests do, there is no rate.
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    assert!(!is_bench || rate > 0.9 * f64::from(CHANGES_PER_SEC), "only {rate:.0} a second");
    stop.store(true, Relaxed);
    runtime.block_on(task).unwrap();
    group.finish();
}

fn all(c: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = match PostgresServer::start_with(PostgresOptions::default().durable()) {
        Ok(server) => server,
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(NO_SERVER);
        }
    };
    save(c, &runtime, &server);
    restore(c, &runtime, &server);
    request_path(c, &runtime, &server);
}

criterion_group!(benches, all);
criterion_main!(benches);
