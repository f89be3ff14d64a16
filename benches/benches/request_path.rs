//! What one request costs: Atrion beside the crates a user would otherwise reach for.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use atrion_core::flow::Priority;
use atrion_core::law::{Element, Latencies, LawConfig, Phase, Sample, Window};
use atrion_core::time::Timestamp;
use atrion_engine::{Atrion, Route};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

/// A route that has learned its service: start-up is over and nothing is shed.
fn warmed_up() -> Route {
    let atrion = Atrion::builder().build().expect("defaults are valid");
    let route = atrion.route("bench");
    let until = now() + Duration::from_millis(1500);
    while now() < until {
        for _ in 0..1000 {
            if let Ok(permit) = route.admit(Priority::Normal) {
                permit.success();
            }
        }
    }
    route
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    Instant::now()
}

fn one_atrion(route: &Route) {
    if let Ok(permit) = black_box(route).admit(Priority::Normal) {
        permit.success();
    }
}

/// Nanoseconds per iteration and thread with `threads` threads doing `work` at once.
fn on_threads(threads: usize, iterations: u64, work: impl Fn() + Sync) -> Duration {
    let barrier = Barrier::new(threads);
    let total = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let start = now();
                    for _ in 0..iterations {
                        work();
                    }
                    start.elapsed()
                })
            })
            .collect();
        workers.into_iter().map(|w| w.join().expect("benchmark thread")).sum::<Duration>()
    });
    total / threads as u32
}

fn decision(c: &mut Criterion) {
    let route = warmed_up();
    let atomic = AtomicU32::new(7);
    let mut group = c.benchmark_group("decision read");
    group.bench_function("relaxed load and compare", |b| {
        b.iter(|| black_box(&atomic).load(Relaxed) < black_box(20));
    });
    group.bench_function("atrion would_flow", |b| {
        b.iter(|| black_box(&route).would_flow(black_box(Priority::Normal)));
    });
    group.finish();
}

fn admit_and_record(c: &mut Criterion) {
    let route = warmed_up();
    let recloser = recloser::Recloser::default();
    let governor = governor::RateLimiter::direct(governor::Quota::per_second(
        std::num::NonZeroU32::new(u32::MAX).expect("not zero"),
    ));
    let failsafe = failsafe::Config::new().build();
    let mut group = c.benchmark_group("admit and record");
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::new("atrion", threads), |b| {
            b.iter_custom(|n| on_threads(threads, n, || one_atrion(&route)));
        });
        group.bench_function(BenchmarkId::new("recloser", threads), |b| {
            b.iter_custom(|n| {
                on_threads(threads, n, || {
                    let _ = black_box(recloser.call(|| Ok::<(), ()>(())));
                })
            });
        });
        group.bench_function(BenchmarkId::new("governor", threads), |b| {
            b.iter_custom(|n| {
                on_threads(threads, n, || {
                    let _ = black_box(governor.check());
                })
            });
        });
        group.bench_function(BenchmarkId::new("failsafe", threads), |b| {
            use failsafe::CircuitBreaker as _;
            b.iter_custom(|n| {
                on_threads(threads, n, || {
                    let _ = black_box(failsafe.call(|| Ok::<(), ()>(())));
                })
            });
        });
    }
    group.finish();
}

fn lookup(c: &mut Criterion) {
    let mut group = c.benchmark_group("route by name");
    for routes in [1usize, 1_000, 100_000] {
        let config = atrion_engine::Config::builder().route_limit(routes).build().expect("valid");
        let atrion = Atrion::builder().config(config).build().expect("valid");
        let names: Vec<String> = (0..routes).map(|i| format!("api/v1/resource/{i}")).collect();
        for name in &names {
            atrion.route(name);
        }
        let mut at = 0;
        group.bench_function(BenchmarkId::from_parameter(routes), |b| {
            b.iter(|| {
                at = (at + 7919) % routes;
                black_box(names.get(at).map(|name| atrion.route(name)))
            });
        });
    }
    group.finish();
}

fn tick(c: &mut Criterion) {
    let law = LawConfig::default();
    let mut element = Element::new(Timestamp::ZERO, &law);
    let mut now = Timestamp::ZERO;
    // Past the start-up, which knows less and does less.
    while element.phase() != Phase::Running {
        now = now.saturating_add(Duration::from_millis(20));
        element.sample(&Sample { secs: 0.02, ln: -3.9, in_flight: 1, marked: true });
        element.tick(&Window { successes: 1, ..Window::default() }, false, now, 0.5, &law);
    }
    let latencies = Latencies { count: 40, sum_secs: 0.8, sum_ln: -156.0 };
    let window =
        Window { in_flight: 8, successes: 40, uncontended: latencies, ..Window::default() };
    c.bench_function("physics tick", |b| {
        b.iter(|| {
            now = now.saturating_add(Duration::from_millis(50));
            element.tick(black_box(&window), false, now, 0.5, &law)
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(30);
    targets = decision, admit_and_record, lookup, tick
}
criterion_main!(benches);
