//! What all tests of the page need: an instance, its Studio, and somebody who looks.

use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use atrion_commercial::test_util::development_key as key;
use atrion_engine::Atrion;
use atrion_studio::{Builder, Server, Studio};
use atrion_testkit::Browser;
use atrion_testkit::browser::Theme;
use serde_json::Value;

use crate::traffic::Traffic;

/// How often viewers are told what changed: everything is four times as fast as by default.
pub(crate) const INTERVAL: Duration = Duration::from_millis(250);
/// How long a whole test may take. A browser on a loaded machine needs its time.
const PATIENCE: Duration = Duration::from_secs(900);

/// Runs a test; one that hangs says so.
pub(crate) async fn in_time(test: impl Future<Output = ()>) {
    assert!(tokio::time::timeout(PATIENCE, test).await.is_ok(), "hangs for {PATIENCE:?}");
}

/// Makes a test of every function named.
macro_rules! tests {
    ($($test:ident),* $(,)?) => { mod run {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            crate::harness::in_time(super::$test()).await;
        }
    )*} };
}
pub(crate) use tests;

/// An instance that counts by priority, as the page wants it.
pub(crate) fn instance() -> Atrion {
    Atrion::builder().tally(true).build().expect("valid")
}

/// A Studio with a licence, told as often as the tests want it.
pub(crate) fn studio(atrion: &Atrion) -> Builder {
    Studio::builder(atrion).license(key()).interval(INTERVAL).instance("checkout-7d9f")
}

/// An instance under traffic, its Studio, and a browser that looks at it.
pub(crate) struct Stage {
    pub(crate) atrion: Atrion,
    pub(crate) studio: Studio,
    pub(crate) server: Option<Server>,
    pub(crate) addr: SocketAddr,
    pub(crate) browser: Browser,
    _traffic: Traffic,
}

impl Stage {
    /// With the usual traffic and everything allowed.
    pub(crate) async fn new() -> Self {
        Self::with(|studio| studio.actions(true).preview(true).history(true)).await
    }

    /// With the usual traffic and what `settle` makes of Studio.
    pub(crate) async fn with(settle: impl FnOnce(Builder) -> Builder) -> Self {
        let atrion = instance();
        let traffic = Traffic::usual(&atrion);
        Self::of(atrion, traffic, settle).await
    }

    /// Of an instance and its traffic.
    pub(crate) async fn of(
        atrion: Atrion,
        traffic: Traffic,
        settle: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let studio = settle(studio(&atrion)).build().expect("valid");
        let server = studio.serve(([127, 0, 0, 1], 0)).expect("a free port");
        let addr = server.addr();
        let browser = Browser::start().await.expect("run `cargo xtask setup`");
        browser.look(1360, 860, Theme::Light).await.expect("a size");
        Self { atrion, studio, server: Some(server), addr, browser, _traffic: traffic }
    }

    pub(crate) fn url(&self, place: &str) -> String {
        format!("http://{}/{place}", self.addr)
    }

    /// Loads the page anew at a place such as `#/events`.
    pub(crate) async fn open(&self, place: &str) {
        // A fragment alone would not load anything.
        self.browser.open("about:blank").await.expect("a page");
        self.browser.open(&self.url(place)).await.expect("the page");
    }

    /// Goes to another place on the page that is loaded.
    pub(crate) async fn go(&self, place: &str) {
        self.run(&format!("location.hash = {place:?}")).await;
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.browser.run(script).await.expect("the script runs")
    }

    /// Waits until an expression is true on the page.
    pub(crate) async fn until(&self, expression: &str) -> Value {
        match self.browser.until(expression).await {
            Ok(seen) => seen,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits until the page shows a text anywhere.
    pub(crate) async fn reads(&self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", Value::from(text))).await;
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.browser.click(selector).await.expect("it can be clicked");
    }

    /// The page's address of a route, once the page knows it.
    pub(crate) async fn place_of(&self, name: &str) -> String {
        self.open("#/routes").await;
        let name = Value::from(name);
        let find = format!(
            "[...document.querySelectorAll('.grid tbody a')]
                .find((a) => a.textContent === {name})?.hash"
        );
        self.until(&find).await.as_str().expect("an address").to_owned()
    }

    /// Ends it all; nothing may have been complained of.
    pub(crate) async fn finish(self) {
        self.finish_but(|_| false).await;
    }

    /// Ends it all; nothing may have been complained of but what a test did on purpose.
    pub(crate) async fn finish_but(self, meant: impl Fn(&str) -> bool) {
        let complaints = self.browser.complaints().await.expect("they can be read");
        let complaints: Vec<&String> = complaints.iter().filter(|line| !meant(line)).collect();
        assert!(complaints.is_empty(), "the browser complains:\n{complaints:#?}");
        self.browser.close().await.expect("the browser ends");
    }
}

/// Refused connections, which the browser writes to the console by itself.
pub(crate) fn of_the_network(line: &str) -> bool {
    line.contains("net::ERR_") || line.contains("Failed to load resource")
}
