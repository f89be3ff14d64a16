//! What several of the test programs need.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(unreachable_pub, reason = "the module is compiled into each test program")]

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use atrion_engine::{Atrion, Counts, Force};
use atrion_state::clock::ManualClock;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// An instance on virtual time with fixed draws.
pub fn instance() -> (Atrion, ManualClock) {
    let clock = ManualClock::new();
    let atrion = Atrion::builder().clock(clock.clone()).seed(7).build().expect("valid");
    (atrion, clock)
}

/// Refuses everything on a route for a minute.
pub fn close(atrion: &Atrion, route: &str) {
    atrion.route(route).force(Force::Open, Duration::from_secs(60));
}

/// The counts of a route that must exist already.
pub fn counts(atrion: &Atrion, route: &str) -> Counts {
    let routes = atrion.routes();
    let found = routes.iter().find(|r| r.name() == route);
    found.unwrap_or_else(|| panic!("no route {route:?} among {routes:?}")).counts()
}

/// In flight, completed, cancelled.
pub fn ledger(atrion: &Atrion, route: &str) -> (u32, u32, u32) {
    let counts = counts(atrion, route);
    (counts.in_flight, counts.completed, counts.cancelled)
}

/// Failures show as a moving error rate above zero.
pub fn error_rate(atrion: &Atrion, clock: &ManualClock, route: &str) -> f64 {
    let route = atrion.route(route);
    // Results are counted at ticks; two of them, so that the last result is in the first.
    for _ in 0..2 {
        clock.advance(Duration::from_secs(1));
        atrion.tick();
    }
    route.explain(atrion_core::flow::Priority::Normal).error_rate
}

/// A body that ends, or goes on, when the test says so.
#[derive(Debug)]
pub struct Script {
    frames: mpsc::UnboundedReceiver<Result<Frame<Bytes>, Broken>>,
    hint: SizeHint,
}

/// The error of a [`Script`].
#[derive(Debug, PartialEq, Eq)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

/// The hand that feeds a [`Script`]; dropping it ends the body.
pub struct Feed(mpsc::UnboundedSender<Result<Frame<Bytes>, Broken>>);

impl Feed {
    pub fn data(&self, text: &'static str) {
        self.send(Ok(Frame::data(Bytes::from_static(text.as_bytes()))));
    }

    pub fn trailers(&self, grpc_status: &'static str) {
        let value = http::HeaderValue::from_static(grpc_status);
        let name = http::HeaderName::from_static("grpc-status");
        self.send(Ok(Frame::trailers([(name, value)].into_iter().collect())));
    }

    /// Waits until nobody reads the body any more.
    pub async fn dropped(&self) {
        self.0.closed().await;
    }

    pub fn fail(&self) {
        self.send(Err(Broken));
    }

    fn send(&self, frame: Result<Frame<Bytes>, Broken>) {
        self.0.send(frame).expect("the body lives");
    }
}

impl Script {
    pub fn new() -> (Feed, Self) {
        let (feed, frames) = mpsc::unbounded_channel();
        (Feed(feed), Self { frames, hint: SizeHint::default() })
    }

    pub fn with_exact_size(mut self, bytes: u64) -> Self {
        self.hint = SizeHint::with_exact(bytes);
        self
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.frames.poll_recv(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
