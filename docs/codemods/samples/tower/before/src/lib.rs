//! Services behind `tower`'s limits.
#![allow(warnings, reason = "an excerpt of somebody's program")]

use std::convert::Infallible;

use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::load_shed::error::Overloaded;
use tower::util::BoxService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

async fn length(text: String) -> Result<usize, Infallible> {
    Ok(text.len())
}

pub fn with_methods() -> BoxService<String, usize, BoxError> {
    let service =
        ServiceBuilder::new().load_shed().concurrency_limit(64).service(service_fn(length));
    service.boxed()
}

pub fn with_layers() -> BoxService<String, usize, BoxError> {
    let service = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(64))
        .service(service_fn(length));
    service.boxed()
}

pub fn is_refusal(error: &BoxError) -> bool {
    error.is::<Overloaded>()
}
