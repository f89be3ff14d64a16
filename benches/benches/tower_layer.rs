//! What a layer adds to one call of a service that does nothing.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Instant;

use atrion_engine::Atrion;
use atrion_tower::{AtrionLayer, RouteKey};
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_resilience_circuitbreaker::CircuitBreakerLayer;

type Body = String;

async fn nothing(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::new()))
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    Instant::now()
}

fn bench<S>(c: &mut Criterion, name: &str, mut service: S)
where
    S: Service<Request<Body>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without I/O");
    let mut group = c.benchmark_group("tower layer");
    group.bench_function(name, |b| {
        b.iter_custom(|calls| {
            runtime.block_on(async {
                let start = now();
                for _ in 0..calls {
                    let request = Request::new(Body::new());
                    let Ok(ready) = service.ready().await else { continue };
                    black_box(ready.call(request).await.is_ok());
                }
                start.elapsed()
            })
        });
    });
    group.finish();
}

fn layers(c: &mut Criterion) {
    let atrion = Atrion::builder().build().expect("defaults are valid");
    bench(c, "none", service_fn(nothing));
    let layer = AtrionLayer::client(&atrion).key(RouteKey::fixed("bench"));
    bench(c, "atrion (client)", layer.layer(service_fn(nothing)));
    let limit = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(64))
        .service(service_fn(nothing));
    bench(c, "load shed + concurrency limit", limit);
    let breaker = CircuitBreakerLayer::builder().build().expect("defaults are valid");
    bench(c, "tower-resilience breaker", breaker.layer(service_fn(nothing)));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_secs(2))
        .measurement_time(std::time::Duration::from_secs(2))
        .sample_size(30);
    targets = layers
}
criterion_main!(benches);
