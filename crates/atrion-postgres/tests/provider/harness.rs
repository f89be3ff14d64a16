//! What all tests of the provider need.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::units::{Evidence, Ohms};
use atrion_core::vector::PhysicsVector;
use atrion_engine::{Atrion, Event, Observer};
use atrion_license::issue::{Issuer, Terms};
use atrion_license::{SystemWallClock, Tier, WallClock};
use atrion_postgres::{Builder, PostgresPersistenceAdapter};
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::license::{License, LicensePolicy};
use atrion_state::provider::{Health, RouteVector, StateProvider};
use atrion_state::pulse::PulseEvent;
use atrion_testkit::PostgresServer;
use tokio::time::{sleep, timeout};

use crate::logs;
use crate::traffic::Traffic;

/// The password of every server that has one; nothing may show it.
pub(crate) const PASSWORD: &str = "hunter2-s3cret";
/// How long anything at all may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on a runtime of its own. One that hangs says so, and one that gives a secret away
/// fails.
pub(crate) fn in_time(test: &str, run: impl Future<Output = ()>) {
    logs::listen();
    logs::forbid(PASSWORD);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let ended = runtime.block_on(async { timeout(Duration::from_secs(240), run).await });
    assert!(ended.is_ok(), "{test} hangs");
    logs::assert_tight();
}

/// Makes a test of every function named.
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        mod tests {$(
            #[test]
            fn $test() {
                crate::harness::in_time(stringify!($test), super::$test());
            }
        )*}
    };
}
pub(crate) use tests;

/// Looks every two milliseconds until `look` says yes, and panics with `what` after a minute. The
/// only waiting by the clock in these tests: what is waited for happens in other processes and tells
/// nobody.
pub(crate) async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let waiting = async {
        while !look() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "{what}: not within {PATIENCE:?}");
}

/// A development key that is good today, as `cargo xtask license dev` makes it.
pub(crate) fn key() -> String {
    let id = "test-suite".parse().expect("an identifier");
    key_of(&Terms::new(Tier::Development, id, "the test suite", SystemWallClock.now()))
}

/// A development key of these terms.
pub(crate) fn key_of(terms: &Terms) -> String {
    let key = Issuer::development().map(|issuer| issuer.issue(terms));
    let key = key.expect("the development key is part of the crate").expect("allowed");
    forbid_key(&key);
    key
}

/// No part of `key` may be shown.
pub(crate) fn forbid_key(key: &str) {
    key.split('.').filter(|part| part.len() > 20).for_each(logs::forbid);
}

/// A node's settings: a name of its own, and more patience than a busy machine takes.
pub(crate) fn node(url: &str, name: &str) -> Builder {
    PostgresPersistenceAdapter::builder()
        .url(url)
        .node(name)
        .application("suite")
        .sync_interval(Duration::from_millis(20))
        .operation_timeout(Duration::from_secs(20))
}

pub(crate) fn provider(builder: Builder) -> Arc<PostgresPersistenceAdapter> {
    let provider = Arc::new(builder.build().expect("valid"));
    licensed(&*provider);
    provider
}

pub(crate) fn licensed(provider: &dyn StateProvider) {
    let license = License { source: key().into(), policy: LicensePolicy::Strict };
    provider.license(&license).expect("a good licence");
}

/// A provider that is connected.
pub(crate) async fn connected(builder: Builder) -> Arc<PostgresPersistenceAdapter> {
    let provider = provider(builder);
    provider.connect().await.expect("the server is there");
    assert_eq!(provider.health(), Health::Healthy);
    provider
}

/// A route's state of just now.
pub(crate) fn scarred(ohms: f64) -> PhysicsVector {
    let idle = PhysicsVector::idle(Ohms::ZERO, MonotonicClock::new().now());
    let ohms = Ohms::try_new(ohms).expect("finite");
    let evidence = Evidence::try_new(100.0).expect("finite");
    PhysicsVector { scar_tissue: ohms, resistance: ohms, evidence, ..idle }
}

/// Many routes' states of just now, each with a number in it.
pub(crate) fn batch(routes: u32, ohms: f64) -> Vec<RouteVector> {
    (0..routes)
        .map(|n| RouteVector::new(format!("route/{n}"), scarred(ohms + f64::from(n))))
        .collect()
}

/// What an instance's observer was told.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Vec<Event>>);

impl Observer for Seen {
    fn event(&self, event: &Event) {
        self.events().push(event.clone());
    }
}

impl Seen {
    pub(crate) fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was said of the store's troubles.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let events = self.events();
        let said = events.iter().filter_map(|event| match event {
            Event::Pulse(PulseEvent::Unhealthy { reason, .. }) => Some(reason.clone()),
            _ => None,
        });
        said.collect()
    }
}

/// A service: an instance with its provider, and requests running.
pub(crate) struct Service {
    pub(crate) atrion: Atrion,
    pub(crate) provider: Arc<PostgresPersistenceAdapter>,
    pub(crate) seen: Arc<Seen>,
    traffic: Traffic,
}

impl Service {
    pub(crate) fn start(builder: Builder) -> Self {
        Self::with_key(builder, &key())
    }

    pub(crate) fn with_key(builder: Builder, key: &str) -> Self {
        let provider = Arc::new(builder.build().expect("valid"));
        let seen = Arc::new(Seen::default());
        let atrion = Atrion::builder()
            .provider(Arc::clone(&provider))
            .license(key)
            .observer(Arc::clone(&seen))
            .build()
            .expect("valid");
        let traffic = Traffic::start(&atrion, "steady");
        Self { atrion, provider, seen, traffic }
    }

    pub(crate) async fn healthy(&self, what: &str) {
        until(&format!("{what}: all is well"), || self.atrion.health() == Some(Health::Healthy))
            .await;
    }

    /// Waits until trouble is noticed; gives what is said of it.
    pub(crate) async fn degraded(&self, what: &str) -> String {
        until(&format!("{what}: it is noticed"), || {
            self.atrion.health() == Some(Health::Degraded) && self.provider.trouble().is_some()
        })
        .await;
        let trouble = self.provider.trouble().unwrap_or_default();
        assert!(!logs::leaks(&trouble), "{trouble}");
        trouble
    }

    /// Fails every request of `route` until its breaker opens.
    pub(crate) async fn wound(&self, route: &str) {
        let route = self.atrion.route(route);
        until("the breaker opens", || {
            if let Ok(permit) = route.admit(Priority::Normal) {
                permit.failure();
            }
            route.is_open()
        })
        .await;
    }

    /// Waits until requests were sent in this state, so that it is not over too soon for them.
    pub(crate) async fn some_traffic(&self) {
        let enough = self.traffic.sent() + 2_000;
        until("requests flow", || self.traffic.sent() >= enough).await;
    }

    /// Ends it: no request felt anything.
    pub(crate) async fn assert_unharmed(self) {
        self.some_traffic().await;
        self.traffic.assert_unharmed();
        self.atrion.disconnect().await;
    }
}

/// The scar stored of a route, as of when it was observed; `None` if there is no row.
pub(crate) fn stored_scar(server: &PostgresServer, node: &str, route: &str) -> Option<f64> {
    let sql = format!(
        "SELECT scar FROM atrion.readable WHERE application = 'suite' AND node = '{node}' \
         AND route = '{route}'"
    );
    server.sql(&sql).ok()?.parse().ok()
}
