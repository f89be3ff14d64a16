//! Redis shares, PostgreSQL remembers: one provider of both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use atrion_cluster::{Limits, RedisClusterProvider};
use atrion_engine::Atrion;
use atrion_state::composed::Composed;
use atrion_state::contract::{self, Fixture};
use atrion_state::provider::{Health, StateProvider};
use atrion_testkit::{PostgresServer, RedisServer, Traffic};

use crate::harness::{
    connected, key, licensed, node, provider, scarred, stored_scar, tests, until,
};

tests!(
    every_clause_of_the_contract_holds,
    pods_warn_each_other_and_remember,
    each_goes_on_without_the_other,
    what_is_remembered_is_restored_late,
);

const CAPACITY: usize = 64;

fn redis(server: &RedisServer, name: &str, cluster: &str) -> RedisClusterProvider {
    let limits = Limits {
        max_own_routes: CAPACITY,
        max_routes_per_node: CAPACITY,
        max_registers: CAPACITY,
        ..Limits::default()
    };
    RedisClusterProvider::builder()
        .url(format!("redis://127.0.0.1:{}", server.port()))
        .node(name)
        .cluster(cluster)
        .limits(limits)
        .sync_interval(Duration::from_millis(20))
        .operation_timeout(Duration::from_millis(500))
        .build()
        .expect("valid")
}

async fn every_clause_of_the_contract_holds() {
    let (sharing, remembering) = (RedisServer::start().unwrap(), PostgresServer::start().unwrap());
    let count = AtomicU32::new(0);
    let report = contract::run_all(|| async {
        let name = format!("clause-{}", count.fetch_add(1, Relaxed));
        let one = |pod: &str| {
            let store = node(&remembering.url(), pod).application(&*name).max_routes(CAPACITY);
            let both = redis(&sharing, pod, &name).remembered_by(store.build().expect("valid"));
            licensed(&both);
            Arc::new(both)
        };
        Fixture::new(one("one")).with_peer(one("two") as Arc<_>).with_capacity(CAPACITY)
    })
    .await;
    report.assert_holds();
    assert_eq!(report.skipped().count(), 0, "{report}");
}

struct Pod {
    atrion: Atrion,
    provider: Arc<Composed>,
}

fn pod(sharing: &RedisServer, store: atrion_postgres::Builder, name: &str) -> Pod {
    let store = store.build().expect("valid");
    let provider = Arc::new(redis(sharing, name, "suite").remembered_by(store));
    let built = Atrion::builder().provider(Arc::clone(&provider)).license(key()).build();
    Pod { atrion: built.expect("valid"), provider }
}

impl Pod {
    async fn healthy(&self, what: &str) {
        until(what, || self.atrion.health() == Some(Health::Healthy)).await;
    }

    async fn wound(&self, route: &str) {
        let route = self.atrion.route(route);
        until("the breaker opens", || {
            if let Ok(permit) = route.admit(atrion_core::flow::Priority::Normal) {
                permit.failure();
            }
            route.is_open()
        })
        .await;
    }
}

async fn pods_warn_each_other_and_remember() {
    let (sharing, remembering) = (RedisServer::start().unwrap(), PostgresServer::start().unwrap());
    let one = pod(&sharing, node(&remembering.url(), "one"), "one");
    let two = pod(&sharing, node(&remembering.url(), "two"), "two");
    one.healthy("the first pod").await;
    two.healthy("the second pod").await;
    one.wound("payments").await;
    until("the other is warned", || two.atrion.route("payments").is_held()).await;
    until("it is remembered", || {
        stored_scar(&remembering, "one", "payments").is_some_and(|scar| scar > 100.0)
    })
    .await;
    one.atrion.disconnect().await;
    let again = pod(&sharing, node(&remembering.url(), "one"), "one");
    let payments = again.atrion.route("payments");
    until("its next life remembers", || payments.is_open()).await;
    again.atrion.disconnect().await;
    two.atrion.disconnect().await;
}

async fn each_goes_on_without_the_other() {
    let (sharing, remembering) = (RedisServer::start().unwrap(), PostgresServer::start().unwrap());
    let little = Duration::from_millis(500);
    let one = pod(&sharing, node(&remembering.url(), "one").operation_timeout(little), "one");
    let two = pod(&sharing, node(&remembering.url(), "two").operation_timeout(little), "two");
    one.healthy("the first pod").await;
    two.healthy("the second pod").await;
    let traffic = Traffic::start(&one.atrion, "steady");

    // PostgreSQL hangs: warnings still arrive.
    remembering.stop().unwrap();
    one.wound("while-forgetful").await;
    until("the other is warned", || two.atrion.route("while-forgetful").is_held()).await;
    until("who is ill is said", || {
        one.provider
            .trouble()
            .is_some_and(|said| said.starts_with("remembering: ") && !said.contains("sharing: "))
    })
    .await;
    remembering.cont().unwrap();
    one.healthy("it remembers again").await;
    until("what happened meanwhile is remembered", || {
        stored_scar(&remembering, "one", "while-forgetful").is_some()
    })
    .await;

    // Redis hangs: everything is still remembered.
    sharing.stop().unwrap();
    one.wound("while-alone").await;
    until("it is remembered", || stored_scar(&remembering, "one", "while-alone").is_some()).await;
    until("who is ill is said", || {
        one.provider.trouble().is_some_and(|said| said.starts_with("sharing: "))
    })
    .await;
    sharing.cont().unwrap();
    one.healthy("it shares again").await;
    until("the other is told", || two.atrion.route("while-alone").is_held()).await;
    until("requests flow", || traffic.sent() > 2_000).await;
    traffic.assert_unharmed();
    one.atrion.disconnect().await;
    two.atrion.disconnect().await;
}

async fn what_is_remembered_is_restored_late() {
    let sharing = RedisServer::start().unwrap();
    let mut remembering = PostgresServer::start().unwrap();
    let before = connected(node(&remembering.url(), "one")).await;
    before.update_vector("payments", scarred(450.0)).await.expect("committed");
    drop(before);
    remembering.kill();
    let one = pod(&sharing, node(&remembering.url(), "one"), "one");
    until("it starts without", || one.atrion.health() == Some(Health::Degraded)).await;
    let two = pod(&sharing, node(&remembering.url(), "two"), "two");
    one.wound("orders").await;
    until("it shares meanwhile", || two.atrion.route("orders").is_held()).await;
    remembering.restart().unwrap();
    remembering.sql("UPDATE atrion.vectors SET observed_at = clock_timestamp()").unwrap();
    let payments = one.atrion.route("payments");
    until("what was remembered comes late", || payments.is_open()).await;
    one.healthy("both serve").await;
    drop(provider(node(&remembering.url(), "unused")));
    one.atrion.disconnect().await;
    two.atrion.disconnect().await;
}
