//! What is told of the other nodes.

use std::sync::Arc;

use atrion_core::merge::Report;
use atrion_core::time::Timestamp;
use atrion_state::peers::{Node, RouteId};
use atrion_state::provider::RemoteVector;

use super::ClusterCore;
use super::own::OwnWord;
use super::time::Elapsed;

impl ClusterCore {
    pub(crate) fn remote(&self, id: RouteId, reading: Timestamp) -> Option<RemoteVector> {
        let own = || self.own.peek(id).map(|word| &word.name);
        let name = self.registers.name(id).or_else(own)?;
        let merged = self.registers.merged(id)?;
        let age = self.time.at(reading).since(merged.observed_at);
        let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        let mut vector = merged.vector;
        vector.timestamp = Timestamp::from_nanos(reading.as_nanos().saturating_sub(age));
        Some(RemoteVector::new(Arc::clone(name), vector))
    }

    pub(crate) fn list_nodes(&self, now: Elapsed) -> Vec<Node> {
        let mut own = Node::new(self.identity.node, Arc::clone(&self.config.node_name));
        own.is_self = true;
        own.routes = self.own.len();
        let complains = |word: &OwnWord| Report::of(&word.vector, 0.0).complains();
        own.complaints = self.own.iter().filter(|(_, word)| complains(word)).count();
        own.frames = self.stats.frames_out;
        let complaints = self.registers.complaints(now);
        let mut others: Vec<Node> = self
            .registers
            .peers()
            .map(|(id, peer)| {
                let mut node = Node::new(id, Arc::clone(&peer.name));
                node.silent_for = now.since(peer.heard_at);
                node.routes = peer.routes.len();
                node.complaints = complaints.get(&id).copied().unwrap_or_default();
                (node.frames, node.lost) = (peer.frames, peer.lost);
                node
            })
            .collect();
        others.sort_unstable_by_key(|node| node.id);
        std::iter::once(own).chain(others).collect()
    }
}
