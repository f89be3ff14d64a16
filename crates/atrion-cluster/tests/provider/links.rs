//! One pod whose way to Redis is in trouble, and one whose way is not.

use std::sync::Arc;

use atrion_cluster::{Builder, RedisClusterProvider, Stats};
use atrion_core::units::{Evidence, Ohms};
use atrion_core::vector::PhysicsVector;
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::peers::Notice;
use atrion_state::provider::{Health, StateProvider};
use atrion_testkit::Traffic;

use crate::harness::{Pod, node, provider, until};

/// A scar that nobody overlooks, of just now.
pub(crate) fn scar() -> PhysicsVector {
    let idle = PhysicsVector::idle(Ohms::ZERO, MonotonicClock::new().now());
    let evidence = Evidence::try_new(100.0).expect("finite");
    PhysicsVector { scar_tissue: Ohms::from(200_u32), evidence, ..idle }
}

/// Whether somebody told `provider` of a scar of `route`.
pub(crate) fn hears(provider: &RedisClusterProvider, route: &str) -> bool {
    let peers = provider.peers().expect("it shares");
    let mut reports = Vec::new();
    peers.reports(peers.route_id(route), MonotonicClock::new().now(), &mut reports);
    reports.iter().any(|report| report.scar.get() > 0.0)
}

/// A pod under trouble with requests running, and a peer that writes and listens.
pub(crate) struct Stage {
    pub(crate) pod: Pod,
    pub(crate) peer: Arc<RedisClusterProvider>,
    traffic: Traffic,
    round: u32,
}

impl Stage {
    /// Both connected and acquainted.
    pub(crate) async fn set(pod: Builder, peer: Builder) -> Self {
        let (pod, peer) = (Pod::new(pod), provider(peer));
        peer.connect().await.expect("never fails");
        let traffic = Traffic::start(&pod.atrion, "steady");
        let stage = Self { pod, peer, traffic, round: 0 };
        stage.healthy("at the start").await;
        stage
    }

    /// The usual two on one server.
    pub(crate) async fn on(client: atrion_cluster::Client, troubled: &str, sound: &str) -> Self {
        Self::set(node(client, troubled, "pod"), node(client, sound, "peer")).await
    }

    pub(crate) async fn degraded(&self, trouble: &str) {
        until(&format!("{trouble} is noticed"), || self.pod.health() == Some(Health::Degraded))
            .await;
        let said = self.pod.provider.trouble();
        assert!(said.is_some_and(|said| !said.is_empty()), "{trouble}: the operator is told why");
    }

    pub(crate) async fn healthy(&self, trouble: &str) {
        until(&format!("{trouble}: the link is back"), || {
            self.pod.is_healthy() && self.peer.health() == Health::Healthy
        })
        .await;
    }

    /// Both write a route that the other has not heard of.
    pub(crate) async fn write(&mut self) {
        self.round += 1;
        let (ours, theirs) = self.names();
        self.pod.provider.update_vector(&ours, scar()).await.expect("memory serves");
        self.peer.update_vector(&theirs, scar()).await.expect("memory serves");
    }

    /// Both have heard of the other's last word.
    pub(crate) async fn heard(&self, trouble: &str) {
        let (ours, theirs) = self.names();
        until(&format!("{trouble}: the pod hears of what was said meanwhile"), || {
            hears(&self.pod.provider, &theirs)
        })
        .await;
        until(&format!("{trouble}: the peer hears of what was said meanwhile"), || {
            hears(&self.peer, &ours)
        })
        .await;
    }

    fn names(&self) -> (String, String) {
        (format!("ours/{}", self.round), format!("theirs/{}", self.round))
    }

    pub(crate) fn stats(&self) -> Stats {
        self.pod.provider.stats()
    }

    /// How often the operator was told that the link is down.
    pub(crate) fn downs(&self) -> usize {
        self.pod.seen.count(|notice| matches!(notice, Notice::LinkDown { .. }))
    }

    /// Waits until requests were sent in this state.
    pub(crate) async fn some_traffic(&self) {
        self.traffic.flows().await;
    }

    /// Ends it: no request felt anything.
    pub(crate) async fn assert_unharmed(self) {
        self.some_traffic().await;
        self.traffic.assert_unharmed();
    }
}
