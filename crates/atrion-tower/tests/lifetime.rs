//! From admission to the last byte: how long a permit lives and what it is told at the end.
//! Mock services and virtual time.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use atrion_engine::{Atrion, Outcome};
use atrion_tower::{
    AtrionLayer, AtrionService, CallError, CallLayer, Hold, RouteKey, Server, ServerBody,
    TrackedBody,
};
use bytes::Bytes;
use common::{Broken, Script, error_rate, instance, ledger};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use tokio_test::task::{self, Spawn};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};
use tower::{Layer, Service, service_fn};
use tower_test::mock;

type Mock<B> = mock::Mock<Request<()>, Response<B>>;
type Handle<B> = mock::Handle<Request<()>, Response<B>>;

const ROUTE: &str = "r";

fn protected<B>(atrion: &Atrion) -> (Spawn<AtrionService<Mock<B>, Server>>, Handle<B>) {
    protected_by(&AtrionLayer::server(atrion).key(RouteKey::fixed(ROUTE)))
}

fn protected_by<B>(
    layer: &AtrionLayer<Server>,
) -> (Spawn<AtrionService<Mock<B>, Server>>, Handle<B>) {
    let (service, handle) = mock::pair();
    (task::spawn(layer.layer(service)), handle)
}

/// Polls the service ready and calls it.
macro_rules! call {
    ($service:expr) => {{
        assert_ready_ok!($service.enter(|cx, mut s| s.poll_ready(cx)));
        task::spawn($service.call(Request::new(())))
    }};
}

/// Sends the response to the request that waits at the mock.
macro_rules! respond {
    ($handle:expr, $response:expr) => {{
        let mut next = task::spawn($handle.next_request());
        let (_, reply) = assert_ready!(next.poll()).expect("a request");
        reply.send_response($response);
    }};
}

#[test]
fn the_permit_lives_until_the_body_ends_and_not_only_until_the_head() {
    let (atrion, clock) = instance();
    let (mut service, mut handle) = protected::<Script>(&atrion);
    let mut future = call!(service);
    assert_pending!(future.poll());
    assert_eq!(ledger(&atrion, ROUTE), (1, 0, 0));

    let (feed, body) = Script::new();
    respond!(handle, Response::new(body));
    let response = assert_ready_ok!(future.poll());
    drop(future);
    assert_eq!(ledger(&atrion, ROUTE), (1, 0, 0), "the head is not the end");

    let mut body = task::spawn(response.into_body());
    assert_pending!(body.enter(|cx, b| http_body::Body::poll_frame(b, cx)));
    feed.data("first");
    clock.advance(Duration::from_millis(5));
    assert_ready!(body.enter(|cx, b| http_body::Body::poll_frame(b, cx)));
    assert_eq!(ledger(&atrion, ROUTE), (1, 0, 0), "nor is the first frame");
    drop(feed);
    assert!(assert_ready!(body.enter(|cx, b| http_body::Body::poll_frame(b, cx))).is_none());
    assert_eq!(ledger(&atrion, ROUTE), (0, 1, 0), "the end is, before the body is dropped");
}

#[test]
fn a_dropped_response_future_frees_the_slot() {
    let (atrion, _) = instance();
    let (mut service, _handle) = protected::<Script>(&atrion);
    let mut future = call!(service);
    assert_pending!(future.poll());
    assert_eq!(ledger(&atrion, ROUTE), (1, 0, 0));
    drop(future);
    assert_eq!(ledger(&atrion, ROUTE), (0, 0, 1));
    drop(call!(service));
    assert_eq!(ledger(&atrion, ROUTE), (0, 0, 2), "even if it was never polled");
}

/// Runs one request to the point where its response is there.
fn served<B: http_body::Body<Data = Bytes>>(
    atrion: &Atrion,
    layer: &AtrionLayer<Server>,
    method: &str,
    response: Response<B>,
) -> ServerBody<B> {
    let mut response = Some(response);
    let inner = service_fn(move |_: Request<()>| {
        let response = response.take().expect("called once");
        async move { Ok::<_, Broken>(response) }
    });
    let mut service = layer.layer(inner);
    let request = Request::builder().method(method).uri("/x").body(()).expect("valid");
    let mut future = task::spawn(service.call(request));
    let body = assert_ready_ok!(future.poll()).into_body();
    assert_eq!(atrion.routes().len(), 1);
    body
}

fn fixed(atrion: &Atrion) -> AtrionLayer<Server> {
    AtrionLayer::server(atrion).key(RouteKey::fixed(ROUTE))
}

#[test]
fn a_body_dropped_before_its_end_is_cancelled_but_a_failure_stays_one() {
    for (status, rate) in [(StatusCode::OK, false), (StatusCode::BAD_GATEWAY, true)] {
        let (atrion, clock) = instance();
        let (_feed, script) = Script::new();
        let mut response = Response::new(script);
        *response.status_mut() = status;
        let body = served(&atrion, &fixed(&atrion), "GET", response);
        assert_eq!(ledger(&atrion, ROUTE).0, 1);
        drop(body);
        assert_eq!(ledger(&atrion, ROUTE).0, 0);
        assert_eq!(error_rate(&atrion, &clock, ROUTE) > 0.0, rate, "{status}");
    }
}

#[test]
fn a_body_is_over_once_as_much_came_as_was_announced() {
    // Servers frame by `content-length` and drop the body without reading its end.
    for by_header in [true, false] {
        let (atrion, _) = instance();
        let (feed, script) = Script::new();
        let response = if by_header {
            Response::builder().header("content-length", "10").body(script).expect("valid")
        } else {
            Response::new(script.with_exact_size(10))
        };
        let mut body = task::spawn(served(&atrion, &fixed(&atrion), "GET", response));
        feed.data("12345");
        assert_ready!(body.enter(|cx, b| http_body::Body::poll_frame(b, cx)));
        assert_eq!(ledger(&atrion, ROUTE), (1, 0, 0));
        feed.data("67890");
        assert_ready!(body.enter(|cx, b| http_body::Body::poll_frame(b, cx)));
        assert_eq!(ledger(&atrion, ROUTE), (0, 1, 0));
        drop(body);
        assert_eq!(ledger(&atrion, ROUTE), (0, 1, 0));
    }
}

#[test]
fn responses_without_a_body_are_over_at_the_head() {
    let empty = || Response::new(Script::new().1);
    let with =
        |status: u16| Response::builder().status(status).body(Script::new().1).expect("valid");
    for (method, response) in [("HEAD", empty()), ("GET", with(204)), ("GET", with(304))] {
        let (atrion, _) = instance();
        let _body = served(&atrion, &fixed(&atrion), method, response);
        assert_eq!(ledger(&atrion, ROUTE), (0, 1, 0), "{method}");
    }
    let (atrion, _) = instance();
    let _body = served(&atrion, &fixed(&atrion), "GET", Response::new(Empty::<Bytes>::new()));
    assert_eq!(ledger(&atrion, ROUTE), (0, 1, 0));
}

#[test]
fn the_last_frame_of_a_body_that_knows_its_end_is_its_end() {
    let (atrion, _) = instance();
    let full = Full::new(Bytes::from_static(b"all of it"));
    let mut body = task::spawn(served(&atrion, &fixed(&atrion), "GET", Response::new(full)));
    assert_eq!(ledger(&atrion, ROUTE), (1, 0, 0));
    assert_ready!(body.enter(|cx, b| http_body::Body::poll_frame(b, cx)));
    assert_eq!(ledger(&atrion, ROUTE), (0, 1, 0));
}

#[test]
fn a_body_that_breaks_is_a_failure() {
    let (atrion, clock) = instance();
    let (feed, script) = Script::new();
    let mut body = task::spawn(served(&atrion, &fixed(&atrion), "GET", Response::new(script)));
    feed.fail();
    let frame = assert_ready!(body.enter(|cx, b| http_body::Body::poll_frame(b, cx)));
    assert_eq!(frame.expect("a frame").unwrap_err(), Broken);
    assert_eq!(ledger(&atrion, ROUTE).0, 0);
    assert!(error_rate(&atrion, &clock, ROUTE) > 0.0);
}

#[test]
fn held_to_the_head_only_an_endless_body_holds_nothing() {
    let (atrion, _) = instance();
    let layer = fixed(&atrion).hold(Hold::Head);
    let _body = served(&atrion, &layer, "GET", Response::new(Script::new().1));
    assert_eq!(ledger(&atrion, ROUTE), (0, 1, 0));
}

#[test]
fn errors_of_the_inner_service_are_failures_and_reach_the_caller() {
    let (atrion, clock) = instance();
    let (mut service, mut handle) = protected::<Script>(&atrion);
    let mut future = call!(service);
    assert_pending!(future.poll());
    let mut next = task::spawn(handle.next_request());
    let (_, reply) = assert_ready!(next.poll()).expect("a request");
    reply.send_error("the database is gone");
    let error = assert_ready_err!(future.poll());
    assert_eq!(error.to_string(), "the database is gone");
    assert_eq!(ledger(&atrion, ROUTE).0, 0);
    assert!(error_rate(&atrion, &clock, ROUTE) > 0.0);
}

#[test]
fn panicking_handlers_give_the_permit_back_and_count_as_failures() {
    for in_call in [true, false] {
        let (atrion, clock) = instance();
        let inner = service_fn(move |_: Request<()>| {
            assert!(!in_call, "the handler's own panic, in call");
            async move {
                assert!(in_call, "the handler's own panic, in its future");
                Ok::<_, Broken>(Response::new(Full::<Bytes>::default()))
            }
        });
        let mut service = fixed(&atrion).layer(inner);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut future = task::spawn(service.call(Request::new(())));
            let _ = future.poll();
        }));
        assert!(outcome.is_err());
        assert_eq!(ledger(&atrion, ROUTE).0, 0);
        assert!(error_rate(&atrion, &clock, ROUTE) > 0.0, "in call: {in_call}");
    }
}

#[test]
fn a_body_that_panics_gives_the_permit_back() {
    struct Bomb;
    impl http_body::Body for Bomb {
        type Data = Bytes;
        type Error = Broken;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Broken>>> {
            panic!("the body's own panic")
        }
    }
    let (atrion, clock) = instance();
    let body = served(&atrion, &fixed(&atrion), "GET", Response::new(Bomb));
    assert_eq!(ledger(&atrion, ROUTE).0, 1);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut body = task::spawn(body);
        let _ = body.enter(|cx, b| http_body::Body::poll_frame(b, cx));
    }));
    assert!(outcome.is_err());
    assert_eq!(ledger(&atrion, ROUTE).0, 0);
    assert!(error_rate(&atrion, &clock, ROUTE) > 0.0);
}

#[test]
fn readiness_is_the_inner_services_and_takes_no_permit() {
    let (atrion, _) = instance();
    let (mut service, mut handle) = protected::<Script>(&atrion);
    atrion.route(ROUTE);
    handle.allow(0);
    assert_pending!(service.enter(|cx, mut s| s.poll_ready(cx)));
    handle.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.enter(|cx, mut s| s.poll_ready(cx)));
    let mut idle = (*service).clone();
    assert_eq!(ledger(&atrion, ROUTE), (0, 0, 0), "ready or cloned, nothing is taken");
    let future = task::spawn(service.call(Request::new(())));
    assert_eq!(ledger(&atrion, ROUTE), (1, 0, 0));
    drop(future);
    let mut idle_poll = task::spawn(std::future::poll_fn(|cx| idle.poll_ready(cx)));
    assert_pending!(idle_poll.poll());
}

#[test]
fn errors_of_readiness_pass_through() {
    let (atrion, _) = instance();
    let (mut service, mut handle) = protected::<Script>(&atrion);
    handle.send_error("gone for good");
    let error = assert_ready_err!(service.enter(|cx, mut s| s.poll_ready(cx)));
    assert_eq!(error.to_string(), "gone for good");
}

#[test]
fn after_a_refusal_the_ready_service_serves_the_next_request() {
    let (atrion, _) = instance();
    let layer = AtrionLayer::server(&atrion).key(RouteKey::raw_path());
    common::close(&atrion, "GET /closed");
    let (mut service, mut handle) = protected_by::<Full<Bytes>>(&layer);
    handle.allow(1);
    assert_ready_ok!(service.enter(|cx, mut s| s.poll_ready(cx)));
    let closed = Request::get("/closed").body(()).expect("valid");
    let mut refused = task::spawn(service.call(closed));
    assert_eq!(assert_ready_ok!(refused.poll()).status(), StatusCode::SERVICE_UNAVAILABLE);
    let open = Request::get("/open").body(()).expect("valid");
    let mut served = task::spawn(service.call(open));
    assert_pending!(served.poll());
    respond!(handle, Response::new(Full::default()));
    assert_ready_ok!(served.poll());
}

#[test]
fn grpc_calls_are_judged_by_their_trailers() {
    let grpc = |body| {
        Response::builder().header("content-type", "application/grpc").body(body).expect("valid")
    };
    for (status, failure) in [("0", false), ("5", false), ("13", true), ("14", true)] {
        let (atrion, clock) = instance();
        let (feed, script) = Script::new();
        let mut body = task::spawn(served(&atrion, &fixed(&atrion), "POST", grpc(script)));
        feed.data("message");
        assert_ready!(body.enter(|cx, b| http_body::Body::poll_frame(b, cx)));
        assert_eq!(ledger(&atrion, ROUTE).0, 1);
        feed.trailers(status);
        assert_ready!(body.enter(|cx, b| http_body::Body::poll_frame(b, cx)));
        assert_eq!(ledger(&atrion, ROUTE).0, 0);
        assert_eq!(error_rate(&atrion, &clock, ROUTE) > 0.0, failure, "{status}");
    }
    // Cut off before the trailers.
    let (atrion, clock) = instance();
    let (feed, script) = Script::new();
    let mut body = task::spawn(served(&atrion, &fixed(&atrion), "POST", grpc(script)));
    drop(feed);
    assert_ready!(body.enter(|cx, b| http_body::Body::poll_frame(b, cx)));
    assert!(error_rate(&atrion, &clock, ROUTE) > 0.0);
}

#[test]
fn a_client_gets_typed_errors_and_its_own_bodies() {
    let (atrion, _) = instance();
    let layer = AtrionLayer::client(&atrion);
    let (service, mut handle) = mock::pair::<Request<()>, Response<Full<Bytes>>>();
    let mut service = task::spawn(layer.layer(service));
    let request = || Request::get("http://stock:80/7").body(()).expect("valid");
    handle.allow(2);

    assert_ready_ok!(service.enter(|cx, mut s| s.poll_ready(cx)));
    let mut future = task::spawn(service.call(request()));
    assert_pending!(future.poll());
    respond!(handle, Response::new(Full::from("three")));
    let body: TrackedBody<_> = assert_ready_ok!(future.poll()).into_body();
    let mut all = task::spawn(body.collect());
    assert_eq!(assert_ready_ok!(all.poll()).to_bytes(), "three");
    assert_eq!(ledger(&atrion, "stock:80"), (0, 1, 0));

    common::close(&atrion, "stock:80");
    assert_ready_ok!(service.enter(|cx, mut s| s.poll_ready(cx)));
    let mut future = task::spawn(service.call(request()));
    let error = assert_ready_err!(future.poll());
    let refusal = error.overloaded().expect("refused");
    assert_eq!(refusal.route().name(), "stock:80");
    assert!(refusal.retry_after() >= Duration::from_secs(60));
    assert!(refusal.to_string().contains("forced_open"), "{refusal}");
    let boxed = CallError::<std::io::Error>::from(refusal.clone()).into_boxed();
    assert!(boxed.downcast_ref::<atrion_tower::Overloaded>().is_some());
    let mut next = task::spawn(handle.next_request());
    assert_pending!(next.poll(), "nothing was sent");
}

#[test]
fn calls_of_any_kind_can_be_protected() {
    let (atrion, clock) = instance();
    let layer = CallLayer::new(atrion.route(ROUTE));
    let (service, mut handle) = mock::pair::<&'static str, u32>();
    let mut service = task::spawn(layer.layer(service));
    handle.allow(3);
    assert_ready_ok!(service.enter(|cx, mut s| s.poll_ready(cx)));
    let mut served = task::spawn(service.call("one"));
    assert_pending!(served.poll());
    assert_eq!(ledger(&atrion, ROUTE), (1, 0, 0));
    let (_, reply) = assert_ready!(task::spawn(handle.next_request()).poll()).expect("a request");
    reply.send_response(1);
    assert_eq!(assert_ready_ok!(served.poll()), 1);
    assert_eq!(ledger(&atrion, ROUTE), (0, 1, 0));

    assert_ready_ok!(service.enter(|cx, mut s| s.poll_ready(cx)));
    drop(service.call("given up"));
    assert_eq!(ledger(&atrion, ROUTE), (0, 1, 1));
    let _ = assert_ready!(task::spawn(handle.next_request()).poll());

    assert_ready_ok!(service.enter(|cx, mut s| s.poll_ready(cx)));
    let mut failed = task::spawn(service.call("two"));
    assert_pending!(failed.poll());
    let (_, reply) = assert_ready!(task::spawn(handle.next_request()).poll()).expect("a request");
    reply.send_error("no");
    assert!(assert_ready_err!(failed.poll()).into_inner().is_some());
    assert!(error_rate(&atrion, &clock, ROUTE) > 0.0);

    common::close(&atrion, ROUTE);
    let mut refused = task::spawn(layer.layer(service_fn(async |(): ()| Ok::<_, Broken>(()))));
    let mut refused = task::spawn(refused.call(()));
    assert!(assert_ready_err!(refused.poll()).overloaded().is_some());
}

#[test]
fn a_refusal_further_down_is_not_held_against_the_service() {
    let shed = || {
        let response = Response::builder().status(503).header("x-atrion-retry-after-ms", "20");
        response.body(Full::<Bytes>::default()).expect("valid")
    };
    let (atrion, clock) = instance();
    let _body = served(&atrion, &fixed(&atrion), "GET", shed());
    assert_eq!(ledger(&atrion, ROUTE), (0, 0, 1));
    assert!(error_rate(&atrion, &clock, ROUTE) == 0.0);

    let (atrion, clock) = instance();
    let layer = fixed(&atrion).downstream_shed(Outcome::Failure);
    let _body = served(&atrion, &layer, "GET", shed());
    assert!(error_rate(&atrion, &clock, ROUTE) > 0.0);
}
