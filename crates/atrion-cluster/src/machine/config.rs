//! What the machine is told when it is made.

use std::sync::Arc;
use std::time::Duration;

use atrion_core::merge::{DEFAULT_GAMMA, VotingRules};
use atrion_core::units::UnitInterval;
use atrion_state::peers::NodeId;

/// Settings of a [`ClusterCore`](super::ClusterCore).
///
/// Plain data: whoever takes it from a user has validated it. No value makes the machine panic, but
/// an interval of zero keeps it busy.
#[derive(Clone, Debug, PartialEq)]
pub struct CoreConfig {
    /// The cluster's name, as it is registered under a licence.
    pub cluster: Arc<str>,
    /// Who this node is.
    pub node: NodeId,
    /// What it calls itself.
    pub node_name: Arc<str>,
    /// The age of this process in the life of its node: milliseconds of the wall clock at its start
    /// will do, see [`Stamp`](atrion_core::merge::Stamp).
    pub incarnation: u64,
    /// The weight of the cluster's word. The machine hands it on and does not use it.
    pub gamma: UnitInterval,
    /// News is sent at most this often.
    pub interval: Duration,
    /// A node without news says this often that it is alive.
    pub heartbeat: Duration,
    /// No call of the transport may take longer.
    pub operation_timeout: Duration,
    /// A node that is silent for so long is gone, with all its registers.
    pub lifetime: Duration,
    /// What is stored of a node outlives it by this.
    pub ttl: Duration,
    /// What the subscription shows counts votes by these.
    pub voting: VotingRules,
    /// Bounds of memory.
    pub limits: Limits,
}

impl CoreConfig {
    /// The defaults for a node: gamma 0.3, news every 100 ms, a heartbeat every second, 1 s for a
    /// call, gone after a minute, stored for two.
    pub fn new(cluster: impl Into<Arc<str>>, node: NodeId) -> Self {
        Self {
            cluster: cluster.into(),
            node,
            node_name: Arc::from(""),
            incarnation: 1,
            gamma: DEFAULT_GAMMA,
            interval: Duration::from_millis(100),
            heartbeat: Duration::from_secs(1),
            operation_timeout: Duration::from_secs(1),
            lifetime: Duration::from_secs(60),
            ttl: Duration::from_secs(120),
            voting: VotingRules::default(),
            limits: Limits::default(),
        }
    }
}

/// Bounds of a [`ClusterCore`](super::ClusterCore)'s memory. Values below 1 count as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Routes of this node. The least recently used makes room for a new one.
    pub max_own_routes: usize,
    /// Changes in one frame.
    pub max_changes: usize,
    /// Other nodes.
    pub max_nodes: usize,
    /// Routes of one other node, and fields read of what it stored.
    pub max_routes_per_node: usize,
    /// Registers of all nodes together, at about 100 bytes each. A node that holds more than its
    /// fair share of them gets no new one when they run out.
    pub max_registers: usize,
    /// Events that wait to be polled; further ones are counted and dropped.
    pub max_events: usize,
}

impl Default for Limits {
    /// 100,000 own routes, 1,024 changes, 1,024 nodes of 100,000 routes, a million registers, 256
    /// events.
    fn default() -> Self {
        Self {
            max_own_routes: 100_000,
            max_changes: 1_024,
            max_nodes: 1_024,
            max_routes_per_node: 100_000,
            max_registers: 1_000_000,
            max_events: 256,
        }
    }
}

impl Limits {
    /// With every bound at least 1, and no more changes than a frame holds.
    pub(crate) fn sane(self) -> Self {
        Self {
            max_own_routes: self.max_own_routes.max(1),
            max_changes: self.max_changes.clamp(1, crate::wire::MAX_CHANGES),
            max_nodes: self.max_nodes.max(1),
            max_routes_per_node: self.max_routes_per_node.max(1),
            max_registers: self.max_registers.max(1),
            max_events: self.max_events.max(1),
        }
    }
}
