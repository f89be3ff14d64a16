//! Services behind `tower`'s limits.
#![allow(warnings, reason = "an excerpt of somebody's program")]

#[path = "../../../../protection.rs"]
mod protection;

use std::convert::Infallible;

use atrion::tower::Overloaded;
use tower::util::BoxService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

async fn length(text: String) -> Result<usize, Infallible> {
    Ok(text.len())
}

pub fn with_methods() -> BoxService<String, usize, BoxError> {
    let service = ServiceBuilder::new()
        .map_err(atrion::tower::CallError::into_boxed)
        .layer(atrion::tower::CallLayer::new(crate::protection::route("service")))
        .service(service_fn(length));
    service.boxed()
}

pub fn with_layers() -> BoxService<String, usize, BoxError> {
    let service = ServiceBuilder::new()
        .map_err(atrion::tower::CallError::into_boxed)
        .layer(atrion::tower::CallLayer::new(crate::protection::route("service")))
        .service(service_fn(length));
    service.boxed()
}

pub fn is_refusal(error: &BoxError) -> bool {
    error.is::<Overloaded>()
}
