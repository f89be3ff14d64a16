//! What all tests of the provider need.

use std::sync::Arc;
use std::time::Duration;

use atrion_commercial::test_util::{development_key, development_key_of};
use atrion_core::flow::Priority;
use atrion_core::units::{Evidence, Ohms};
use atrion_core::vector::PhysicsVector;
use atrion_engine::Atrion;
use atrion_license::issue::Terms;
use atrion_postgres::{Builder, PostgresPersistenceAdapter};
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::license::{License, LicensePolicy};
use atrion_state::provider::{Health, RouteVector, StateProvider};
pub(crate) use atrion_testkit::wait::until;
use atrion_testkit::{PostgresServer, Seen, Traffic, logs};

/// The password of every server that has one; nothing may show it.
pub(crate) const PASSWORD: &str = "hunter2-s3cret";

/// Runs a test on a runtime of its own. One that hangs says so, and one that gives a secret away
/// fails.
pub(crate) fn in_time(test: &str, run: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(logs::tight(test, PASSWORD, run));
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

/// A development key that is good today.
pub(crate) fn key() -> String {
    logs::unshown(development_key())
}

/// A development key of these terms.
pub(crate) fn key_of(terms: &Terms) -> String {
    logs::unshown(development_key_of(terms))
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

    /// Waits until requests were sent in this state.
    pub(crate) async fn some_traffic(&self) {
        self.traffic.flows().await;
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
