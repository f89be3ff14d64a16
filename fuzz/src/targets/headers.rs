//! The head of an HTTP request, as strangers send it through the middleware.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::LazyLock;
use std::task::{Context, Poll};

use atrion_core::flow::Priority;
use atrion_engine::Atrion;
use atrion_state::blocking::block_on;
use atrion_state::clock::ManualClock;
use atrion_tower::AtrionLayer;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Empty;
use tower_layer::Layer as _;
use tower_service::Service;

use super::Target;

/// Lines: method and path, and then headers.
pub(super) const HEADERS: Target = Target {
    name: "headers",
    words: &[
        b"GET /",
        b"POST /a/b?c=d",
        b"x-atrion-voltage: ",
        b"x-atrion-tier: ",
        b"content-type: application/grpc",
        b"grpc-status: 14",
        b"critical",
        b"bulk",
        b"100",
        b"1e6",
        b"nan",
        b"-1",
        b"99999999999999999999999999999999",
        b"\n",
        b"*",
        b"/healthz",
        b"//",
        b"%2e%2e",
    ],
    run: headers,
};

static ATRION: LazyLock<Atrion> = LazyLock::new(|| {
    Atrion::builder().clock(ManualClock::new()).seed(1).tally(true).build().expect("valid")
});

#[derive(Clone)]
struct Inner;

impl Service<Request<Bytes>> for Inner {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(Empty::new())))
    }
}

fn headers(bytes: &[u8]) -> &'static str {
    let Some(request) = request(bytes) else { return "no request" };
    let layer = AtrionLayer::server(&ATRION).trust_headers(|_| true);
    let mut service = layer.layer(Inner);
    let before = ATRION.stats();
    let answer = block_on(service.call(request));
    let Ok(answer) = answer;
    let status = answer.status();
    // A handler that answers at once is never in anybody's way.
    assert!(status.is_success(), "{status}");
    drop(answer);
    assert!(ATRION.stats().routes <= 4_096, "names are bounded: {before:?}");
    ATRION.visit_reports(|report| {
        assert_eq!(report.counts.in_flight, 0, "{}: everybody is out", report.name);
        let most = Priority::Critical.volts().get();
        assert!(report.ground_volts <= most, "nobody is above the ceiling: {report:?}");
    });
    "accepted"
}

fn request(bytes: &[u8]) -> Option<Request<Bytes>> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, path) = first.split_once(' ')?;
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = path.parse::<Uri>().ok()?;
    for line in lines.take(64) {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (line.get(..at)?, line.get(at + 1..)?);
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            request.headers_mut().append(name, value);
        }
    }
    Some(request)
}
