//! Whether everybody has heard of everybody since the last trouble.

use std::collections::HashMap;
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_state::peers::NodeId;
use atrion_state::provider::StateProvider as _;

use super::node::Node;

/// Of all troubles that are over: how long it took until everybody had caught up.
#[derive(Debug, Default)]
pub(super) struct Convergence {
    /// When the trouble was over after which somebody has yet to catch up.
    since: Option<Timestamp>,
    /// The longest it took.
    worst_secs: Option<f64>,
}

impl Convergence {
    /// A trouble is over. Answers whether to look from now on; `false` if somebody looks already.
    pub(super) const fn begin(&mut self, now: Timestamp) -> bool {
        self.since.replace(now).is_none()
    }

    /// Answers whether to look again.
    pub(super) fn look<'a>(
        &mut self,
        nodes: impl Iterator<Item = &'a Node>,
        now: Timestamp,
    ) -> bool {
        let Some(since) = self.since else { return false };
        if silence(nodes, now) >= now.since(since) {
            return true;
        }
        let took = now.secs_since(since);
        self.worst_secs = Some(atrion_core::math::max(took, self.worst_secs.unwrap_or(0.0)));
        self.since = None;
        false
    }

    /// Seconds that it took at worst, infinite if somebody never caught up; `None` if nothing kept
    /// anybody from hearing of the others.
    pub(super) fn secs(&self) -> Option<f64> {
        if self.since.is_some() { Some(f64::INFINITY) } else { self.worst_secs }
    }
}

/// How long somebody has not heard of somebody at most; for ever if not at all.
fn silence<'a>(nodes: impl Iterator<Item = &'a Node>, now: Timestamp) -> Duration {
    let alive: Vec<_> =
        nodes.filter_map(|node| Some((node.clock.shows(now), node.link()?.1))).collect();
    let ids: Vec<NodeId> =
        alive.iter().map(|(_, provider)| provider.with_core(|core, _| core.node())).collect();
    let mut worst = Duration::ZERO;
    for ((local, provider), own) in alive.iter().zip(&ids) {
        let Some(peers) = provider.peers() else { continue };
        let heard: HashMap<NodeId, Duration> =
            peers.nodes(*local).iter().map(|node| (node.id, node.silent_for)).collect();
        for other in ids.iter().filter(|other| *other != own) {
            worst = worst.max(heard.get(other).copied().unwrap_or(Duration::MAX));
        }
    }
    worst
}
