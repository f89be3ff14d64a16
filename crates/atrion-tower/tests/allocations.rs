//! A request through the layer allocates nothing of its own: not on a known route, not with its
//! priority read from headers, not when its body is tracked.

mod common;

use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use atrion_tower::{AtrionLayer, RouteKey};
use bytes::Bytes;
use common::{instance, ledger};
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer, Service};

fn allocations(f: impl FnOnce()) -> u64 {
    allocation_counter::measure(f).count_total
}

/// Answers at once, and allocates nothing itself.
#[derive(Clone)]
struct AtOnce;

impl Service<Request<()>> for AtOnce {
    type Response = Response<Full<Bytes>>;
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Full::new(Bytes::from_static(b"done")))))
    }
}

/// One request from readiness to the last byte.
fn serve<S, B>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Response = Response<B>>,
    B: Body,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let Poll::Ready(Ok(response)) = pin!(service.call(request)).as_mut().poll(&mut cx) else {
        panic!("the service answers at once");
    };
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut cx) {}
}

#[test]
fn a_known_route_costs_no_allocation() {
    let counted = allocations(|| drop(std::hint::black_box(Box::new([0u8; 64]))));
    assert!(counted > 0, "the counter works");

    let (atrion, clock) = instance();
    let grpc = ("content-type", "application/grpc");
    let path = "http://stock.internal/pkg.Service/Method";
    let requests = |header: (&'static str, &'static str)| -> Vec<Request<()>> {
        let request = || Request::get(path).header(header.0, header.1).body(());
        (0..1000).map(|_| request().expect("valid")).collect()
    };
    let server = AtrionLayer::server(&atrion).trust_headers(|_| true);
    let keys = [RouteKey::raw_path(), RouteKey::authority(), RouteKey::fixed("fixed")];
    for (i, key) in keys.into_iter().enumerate() {
        let mut service = server.clone().key(key).prefix(&format!("{i} ")).layer(AtOnce);
        for header in [("x-atrion-tier", "high"), ("x-atrion-voltage", "42.5"), grpc] {
            // The first request makes the route.
            requests(header).into_iter().take(10).for_each(|r| serve(&mut service, r));
            let requests = requests(header);
            let count = allocations(|| {
                for request in requests {
                    serve(&mut service, request);
                    clock.advance(std::time::Duration::from_micros(100));
                }
            });
            // Dropping a request's headers frees memory and allocates none.
            assert_eq!(count, 0, "key {i}, {header:?}");
        }
    }
    assert_eq!(ledger(&atrion, "2 fixed"), (0, 3030, 0));

    let mut client = AtrionLayer::client(&atrion).layer(AtOnce);
    requests(grpc).into_iter().take(10).for_each(|r| serve(&mut client, r));
    let requests = requests(grpc);
    let count = allocations(|| requests.into_iter().for_each(|r| serve(&mut client, r)));
    assert_eq!(count, 0, "client");
    assert_eq!(ledger(&atrion, "stock.internal"), (0, 1010, 0));
}
