//! A client of a stock service behind a breaker of `tower-resilience`.
#![allow(warnings, reason = "an excerpt of somebody's program")]

use std::io;
use std::time::Duration;

use tower::util::BoxService;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_resilience_circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer};

async fn stock(id: u32) -> io::Result<u32> {
    Ok(id)
}

pub async fn items(id: u32) -> Result<u32, BoxError> {
    let breaker = CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .wait_duration_in_open(Duration::from_secs(30))
        .build()?;
    let mut service = breaker.layer(service_fn(stock));
    match service.ready().await?.call(id).await {
        Ok(items) => Ok(items),
        Err(CircuitBreakerError::OpenCircuit) => Err("not asked: the stock service fails".into()),
        Err(CircuitBreakerError::Inner(why)) => Err(why.into()),
    }
}

pub fn in_a_stack() -> Result<BoxService<u32, u32, CircuitBreakerError<io::Error>>, BoxError> {
    let service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::builder().sliding_window_size(20).build()?)
        .service(service_fn(stock));
    Ok(service.boxed())
}

pub fn was_asked(error: &CircuitBreakerError<io::Error>) -> bool {
    !error.is_circuit_open()
}
