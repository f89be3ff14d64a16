//! A real axum server on loopback, with a real client.
#![cfg(feature = "axum")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use atrion_core::flow::Priority;
use atrion_engine::Atrion;
use atrion_tower::{AtrionLayer, DECISION_HEADER, RETRY_AFTER_MS, Server, UNMATCHED_ROUTE};
use axum::body::Body;
use axum::routing::{any, get, post};
use axum::{Router, serve};
use bytes::Bytes;
use common::{Script, close, counts, instance, ledger};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc, oneshot};
use tower::ServiceExt;

/// A server at work; it ends with the test's runtime.
struct Site {
    addr: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Site {
    async fn start(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let addr = listener.local_addr().expect("bound");
        tokio::spawn(async move { serve(listener, app).await });
        Self { addr, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.addr))
    }

    async fn send(&self, request: http::request::Builder) -> Response<Incoming> {
        let request = request.body(Full::default()).expect("valid");
        self.client.request(request).await.expect("an answer")
    }

    async fn get(&self, path: &str) -> Response<Incoming> {
        self.send(self.request("GET", path)).await
    }
}

async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn router() -> Router {
    Router::new()
        .route("/users/{id}", get(|| async { "a user" }))
        .route("/anything", any(|| async { "anything" }))
        .route("/upload", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/healthz", get(|| async { "well" }))
}

fn names(atrion: &Atrion) -> Vec<String> {
    let mut names: Vec<_> = atrion.routes().iter().map(|r| r.name().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn requests_are_counted_under_their_matched_path() {
    let (atrion, _) = instance();
    let site = Site::start(router().layer(AtrionLayer::server(&atrion))).await;
    for path in ["/users/1", "/users/2?x=y", "/users/%2e%2e"] {
        assert_eq!(text(site.get(path).await).await, "a user");
    }
    let head = site.send(site.request("HEAD", "/users/1")).await;
    assert_eq!(head.status(), StatusCode::OK);
    let body = Request::post(format!("http://{}/upload", site.addr)).body(Full::from("12345"));
    let upload = site.client.request(body.expect("valid")).await.expect("an answer");
    assert_eq!(text(upload).await, "5");
    assert_eq!(names(&atrion), ["GET /users/{id}", "HEAD /users/{id}", "POST /upload"]);
    // Completed, not cancelled, although servers stop reading a body once it is framed.
    assert_eq!(ledger(&atrion, "GET /users/{id}"), (0, 3, 0));
    assert_eq!(ledger(&atrion, "HEAD /users/{id}"), (0, 1, 0));
    assert_eq!(ledger(&atrion, "POST /upload"), (0, 1, 0));
}

#[tokio::test]
async fn hostile_paths_and_methods_share_one_route() {
    let (atrion, _) = instance();
    let layer = AtrionLayer::server(&atrion);
    let site = Site::start(router().layer(layer.clone())).await;
    for i in 0..100 {
        let _ = site.get(&format!("/wp-admin/{i}")).await.into_body().collect().await;
        let grpc = site.request("POST", &format!("/a.B/M{i}"));
        let grpc = grpc.header("content-type", "application/grpc");
        let _ = site.send(grpc).await.into_body().collect().await;
        let brew = site.request(&format!("BREW{i}"), "/anything");
        assert_eq!(text(site.send(brew).await).await, "anything");
    }
    assert_eq!(names(&atrion), [UNMATCHED_ROUTE, "OTHER /anything"]);
    assert_eq!((layer.stats().known_routes, layer.stats().unmatched), (1, 200));
}

#[tokio::test]
async fn a_refusal_says_why_and_when_to_retry() {
    let (atrion, _) = instance();
    let site = Site::start(router().layer(AtrionLayer::server(&atrion))).await;
    close(&atrion, "GET /users/{id}");
    let refused = site.get("/users/1").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let number = |name: &str| -> u64 {
        refused.headers()[name].to_str().expect("text").parse().expect("a number")
    };
    let (secs, millis) = (number(header::RETRY_AFTER.as_str()), number(RETRY_AFTER_MS));
    assert_eq!(secs, millis.div_ceil(1000));
    assert!(secs >= 1);
    assert_eq!(refused.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert!(!refused.headers().contains_key(DECISION_HEADER), "off by default");
    let problem = text(refused).await;
    assert!(problem.contains(r#""reason":"forced_open""#), "{problem}");
    assert!(problem.contains(&format!(r#""retry_after_ms":{millis}"#)), "{problem}");
    assert_eq!(counts(&atrion, "GET /users/{id}").shed, 1);
    assert_eq!(text(site.get("/anything").await).await, "anything", "others are not affected");
}

#[tokio::test]
async fn the_decision_falls_before_the_body_is_sent() {
    let (atrion, _) = instance();
    let site = Site::start(router().layer(AtrionLayer::server(&atrion))).await;
    close(&atrion, "POST /upload");
    let mut stream = TcpStream::connect(site.addr).await.expect("loopback");
    let head = b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head).await.expect("written");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer though no body was sent");
    assert_eq!(&answer, b"HTTP/1.1 503");
}

#[tokio::test]
async fn exempt_paths_pass_a_closed_door() {
    let (atrion, _) = instance();
    let layer = AtrionLayer::server(&atrion).exempt("/anything").exempt_below("/users");
    let site = Site::start(router().layer(layer.clone())).await;
    for route in ["GET /healthz", "GET /anything", "GET /users/{id}"] {
        close(&atrion, route);
        assert_eq!(counts(&atrion, route).shed, 0);
    }
    for path in ["/healthz", "/anything", "/users/1"] {
        assert_eq!(site.get(path).await.status(), StatusCode::OK, "{path}");
    }
    assert_eq!(layer.stats().exempt, 3);
    let strict = AtrionLayer::server(&atrion).without_exemptions();
    let site = Site::start(router().layer(strict)).await;
    assert_eq!(site.get("/healthz").await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// Answers with the voltage that the refused request had.
fn telling_voltages(atrion: &Atrion) -> AtrionLayer<Server> {
    AtrionLayer::server(atrion)
        .answer_with(|shed| Response::new(Bytes::from(shed.voltage().get().to_string())))
}

#[tokio::test]
async fn priority_headers_count_only_from_trusted_callers() {
    let (atrion, _) = instance();
    close(&atrion, "GET /anything");
    let ask = async |site: &Site, name: &str, value: &str, secret: &str| {
        let request = site.request("GET", "/anything").header("x-secret", secret);
        let response = site.send(request.header(name, value)).await;
        assert!(response.headers().contains_key(header::RETRY_AFTER), "added to own answers");
        text(response).await
    };
    let untrusting = Site::start(router().layer(telling_voltages(&atrion))).await;
    assert_eq!(ask(&untrusting, "x-atrion-voltage", "99", "").await, "20");
    assert_eq!(ask(&untrusting, "X-Atrion-Tier", "critical", "").await, "20");

    let layer = telling_voltages(&atrion)
        .priority_with(|_| Priority::Low)
        .trust_headers(|head| head.headers.get("x-secret").is_some_and(|v| v == "sesame"));
    let trusting = Site::start(router().layer(layer.clone())).await;
    assert_eq!(ask(&trusting, "x-atrion-voltage", "99", "sesame").await, "99");
    assert_eq!(ask(&trusting, "X-Atrion-Tier", "high", "sesame").await, "50");
    assert_eq!(ask(&trusting, "x-atrion-voltage", "99", "wrong").await, "5");
    assert_eq!(layer.stats().malformed_headers, 0);
    for bad in ["NaN", "inf", "-1", "1e9", "rubbish"] {
        assert_eq!(ask(&trusting, "x-atrion-voltage", bad, "sesame").await, "5", "{bad}");
    }
    assert_eq!(layer.stats().malformed_headers, 5);
}

#[tokio::test]
async fn all_layer_calls_and_clones_share_their_state() {
    let (atrion, _) = instance();
    let layer = AtrionLayer::server(&atrion);
    let (one, two) = (router().layer(layer.clone()), router().layer(layer.clone()));
    let get = || Request::get("/anything").body(Body::empty()).expect("valid");
    let held = one.clone().oneshot(get()).await.expect("infallible");
    assert_eq!(ledger(&atrion, "GET /anything"), (1, 0, 0));
    let other = two.clone().oneshot(get()).await.expect("infallible");
    assert_eq!(ledger(&atrion, "GET /anything"), (2, 0, 0), "counted together");
    drop((held, other));
    close(&atrion, "GET /anything");
    for app in [one.clone(), one, two] {
        let response = app.oneshot(get()).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(layer.stats().known_routes, 1);
}

/// A handler that streams what the test feeds it.
fn streaming(body: Script) -> Router {
    let body = Arc::new(Mutex::new(Some(body)));
    let handler = async move || Body::new(body.lock().await.take().expect("called once"));
    Router::new().route("/stream", get(handler))
}

async fn next_frame(body: &mut Incoming) -> Bytes {
    body.frame().await.expect("a frame").expect("intact").into_data().expect("data")
}

#[tokio::test]
async fn a_stream_holds_its_permit_to_the_end() {
    let (atrion, _) = instance();
    let (feed, body) = Script::new();
    let site = Site::start(streaming(body).layer(AtrionLayer::server(&atrion))).await;
    let mut body = site.get("/stream").await.into_body();
    assert_eq!(ledger(&atrion, "GET /stream"), (1, 0, 0));
    feed.data("first");
    assert_eq!(next_frame(&mut body).await, "first");
    assert_eq!(ledger(&atrion, "GET /stream"), (1, 0, 0));
    drop(feed);
    assert!(body.frame().await.is_none());
    assert_eq!(ledger(&atrion, "GET /stream"), (0, 1, 0));
}

#[tokio::test]
async fn a_client_that_hangs_up_in_mid_stream_cancels() {
    let (atrion, _) = instance();
    let (feed, body) = Script::new();
    let site = Site::start(streaming(body).layer(AtrionLayer::server(&atrion))).await;
    let mut body = site.get("/stream").await.into_body();
    feed.data("first");
    assert_eq!(next_frame(&mut body).await, "first");
    drop(body);
    feed.dropped().await;
    assert_eq!(ledger(&atrion, "GET /stream"), (0, 0, 1));
}

#[tokio::test]
async fn a_client_that_hangs_up_before_the_answer_cancels() {
    let (atrion, _) = instance();
    let (entered, mut was_entered) = mpsc::unbounded_channel();
    let handler = async move || {
        let (held, gone) = oneshot::channel::<()>();
        entered.send(gone).expect("the test waits");
        std::future::pending::<()>().await;
        drop(held);
    };
    let app = Router::new().route("/slow", get(handler)).layer(AtrionLayer::server(&atrion));
    let site = Site::start(app).await;
    let mut stream = TcpStream::connect(site.addr).await.expect("loopback");
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    let gone = was_entered.recv().await.expect("entered");
    assert_eq!(ledger(&atrion, "GET /slow"), (1, 0, 0));
    drop(stream);
    gone.await.expect_err("the handler is dropped");
    assert_eq!(ledger(&atrion, "GET /slow"), (0, 0, 1));
}

#[tokio::test]
async fn a_panicking_handler_holds_nothing_and_the_server_goes_on() {
    let (atrion, clock) = instance();
    let panics = async || -> &'static str { panic!("the handler's own panic") };
    let app = router().route("/bug", get(panics)).layer(AtrionLayer::server(&atrion));
    let site = Site::start(app).await;
    let request = site.request("GET", "/bug").body(Full::default()).expect("valid");
    site.client.request(request).await.expect_err("the connection breaks");
    assert_eq!(ledger(&atrion, "GET /bug").0, 0);
    assert!(common::error_rate(&atrion, &clock, "GET /bug") > 0.0);
    assert_eq!(text(site.get("/anything").await).await, "anything");
}

#[tokio::test]
async fn the_decision_header_tells_shadow_from_light() {
    let (atrion, _) = instance();
    let layer = AtrionLayer::server(&atrion).decision_header(true);
    let site = Site::start(router().layer(layer)).await;
    let route = atrion.route("GET /anything");
    let ask = async || {
        let response = site.get("/anything").await;
        (response.status().as_u16(), response.headers()[DECISION_HEADER].clone())
    };
    assert_eq!(ask().await, (200, "admit".parse().expect("valid")));
    close(&atrion, "GET /anything");
    assert_eq!(ask().await, (503, "shed".parse().expect("valid")));
    route.set_shadow(true);
    assert_eq!(ask().await, (200, "shadow-shed".parse().expect("valid")));
    assert_eq!((route.counts().shed, route.counts().shadow_shed), (1, 1));
    assert_eq!(route.counts().in_flight, 0);
}

#[test]
fn layers_and_futures_can_go_where_servers_send_them() {
    fn movable<T: Send + Sync + Clone + 'static>(_: &T) {}
    let (atrion, _) = instance();
    movable(&AtrionLayer::server(&atrion));
    movable(&AtrionLayer::client(&atrion));
    let service = tower::Layer::layer(&AtrionLayer::server(&atrion), router());
    movable(&service);
}
