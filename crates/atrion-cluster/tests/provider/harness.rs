//! What all tests of the provider need.

use std::sync::Arc;
use std::time::Duration;

use atrion_cluster::{Builder, Client, RedisClusterProvider};
use atrion_commercial::test_util::{development_key, development_key_of};
use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Route};
use atrion_license::issue::Terms;
use atrion_state::license::{License, LicensePolicy};
use atrion_state::provider::{Health, StateProvider};
pub(crate) use atrion_testkit::wait::until;
use atrion_testkit::{RedisServer, Seen, logs};

/// The password of every server that has one; nothing may show it.
pub(crate) const PASSWORD: &str = "hunter2-s3cret";
/// The interval of all nodes here: everything is five times as fast as by default.
pub(crate) const INTERVAL: Duration = Duration::from_millis(20);

/// Makes a test of every function named, for each client.
macro_rules! for_each_client {
    ($($test:ident),* $(,)?) => {
        #[cfg(feature = "redis")]
        mod redis {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let run = super::$test(atrion_cluster::Client::Redis);
                crate::harness::in_time(stringify!($test), run).await;
            }
        )*}
        #[cfg(feature = "fred")]
        mod fred {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let run = super::$test(atrion_cluster::Client::Fred);
                crate::harness::in_time(stringify!($test), run).await;
            }
        )*}
    };
}
pub(crate) use for_each_client;

/// Runs a test. One that hangs says so, and one that gives a secret away fails.
pub(crate) async fn in_time(test: &str, run: impl Future<Output = ()>) {
    logs::tight(test, PASSWORD, run).await;
}

pub(crate) fn on(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

/// A development key that is good today.
pub(crate) fn key() -> String {
    logs::unshown(development_key())
}

/// A development key of these terms.
pub(crate) fn key_of(terms: &Terms) -> String {
    logs::unshown(development_key_of(terms))
}

/// A node's settings: quick, and with a name of its own.
pub(crate) fn node(client: Client, url: &str, name: &str) -> Builder {
    RedisClusterProvider::builder()
        .client(client)
        .url(url)
        .node(name)
        .cluster("suite")
        .sync_interval(INTERVAL)
        .operation_timeout(Duration::from_millis(300))
}

/// A node that shares, without an instance on top of it.
pub(crate) fn provider(builder: Builder) -> Arc<RedisClusterProvider> {
    let provider = Arc::new(builder.build().expect("valid"));
    let license = License { source: key().into(), policy: LicensePolicy::Strict };
    provider.license(&license).expect("a good licence");
    provider
}

/// A pod: an instance with its provider.
pub(crate) struct Pod {
    pub(crate) atrion: Atrion,
    pub(crate) provider: Arc<RedisClusterProvider>,
    pub(crate) seen: Arc<Seen>,
}

impl Pod {
    pub(crate) fn new(builder: Builder) -> Self {
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
        Self { atrion, provider, seen }
    }

    pub(crate) fn health(&self) -> Option<Health> {
        self.atrion.health()
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.health() == Some(Health::Healthy)
    }

    /// The names of the nodes it knows, its own first.
    pub(crate) fn names(&self) -> Vec<String> {
        self.atrion.nodes().iter().map(|node| node.name.to_string()).collect()
    }

    /// Its share of `route`'s resistance that the others' words make, in ohms.
    pub(crate) fn heard(&self, route: &str) -> f64 {
        self.atrion.route(route).explain(Priority::Normal).parts.cluster_scar
    }

    /// Fails every request until the breaker opens.
    pub(crate) async fn wound(&self, route: &str) {
        let route = self.atrion.route(route);
        until("the breaker opens", || {
            fail_once(&route);
            route.is_open()
        })
        .await;
    }
}

pub(crate) fn fail_once(route: &Route) {
    if let Ok(permit) = route.admit(Priority::Normal) {
        permit.failure();
    }
}

/// Waits until every pod has a link and knows all the others.
pub(crate) async fn together(pods: &[&Pod]) {
    until("every pod knows the others", || {
        pods.iter().all(|pod| pod.is_healthy() && pod.names().len() == pods.len())
    })
    .await;
}

/// How many clients the server has, the one that asks and those of replicas not counted.
pub(crate) fn clients(server: &RedisServer) -> usize {
    let list = server.command("CLIENT LIST").unwrap().text().unwrap_or_default();
    let others = list.lines().filter(|line| !line.contains("user=testkit"));
    others.filter(|line| !line.contains("flags=S") && !line.contains("flags=M")).count()
}
