//! A client of a stock service behind a breaker of `tower-resilience`.
#![allow(warnings, reason = "an excerpt of somebody's program")]

#[path = "../../../../protection.rs"]
mod protection;

use std::io;
use std::time::Duration;

use atrion::CallError;
use tower::util::BoxService;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

async fn stock(id: u32) -> io::Result<u32> {
    Ok(id)
}

pub async fn items(id: u32) -> Result<u32, BoxError> {
    let breaker = atrion::tower::CallLayer::new(crate::protection::route("breaker"));
    let mut service = breaker.layer(service_fn(stock));
    match service.ready().await?.call(id).await {
        Ok(items) => Ok(items),
        Err(CallError::Overloaded(_)) => Err("not asked: the stock service fails".into()),
        Err(CallError::Inner(why)) => Err(why.into()),
    }
}

pub fn in_a_stack() -> Result<BoxService<u32, u32, CallError<io::Error>>, BoxError> {
    let service = ServiceBuilder::new()
        .layer(atrion::tower::CallLayer::new(crate::protection::route("service")))
        .service(service_fn(stock));
    Ok(service.boxed())
}

pub fn was_asked(error: &CallError<io::Error>) -> bool {
    !error.overloaded().is_some()
}
