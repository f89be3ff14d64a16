//! Who has to make room when it runs out, and how registers go.

use std::collections::HashMap;
use std::hash::RandomState;
use std::time::Duration;

use atrion_state::peers::{NodeId, RouteId};
use hashlink::LinkedHashSet;

use super::route::Register;
use super::{Peer, Registers};
use crate::machine::time::Elapsed;

/// For how long it is remembered that a route was forgotten: longer than what was read before can
/// take to arrive.
const GRAVE: Duration = Duration::from_secs(10);

/// Traces looked at for one of a certain node: a bound on what a frame can cost.
const MOST_LOOKED_AT: usize = 64;

impl Registers {
    pub(super) fn bury(&mut self, node: NodeId, id: RouteId, now: Elapsed) {
        if let Some(register) = self.routes.get_mut(&id).and_then(|r| r.register_mut(node)) {
            register.buried = true;
            self.graves.push_back((node, id));
        }
        if self.graves.len() > self.limits.max_registers {
            self.unbury(now, true);
        }
    }

    /// Removes the oldest trace of a forgotten route if it is old enough or `anyway`. `false` if
    /// there is none to be removed.
    pub(super) fn unbury(&mut self, now: Elapsed, anyway: bool) -> bool {
        while let Some((node, id)) = self.graves.pop_front() {
            let Some(route) = self.routes.get_mut(&id) else { continue };
            let Some(register) = route.register_mut(node) else { continue };
            register.buried = false;
            if register.complains_until().is_some() {
                continue;
            }
            if !anyway && now.since(register.observed_at) < GRAVE {
                register.buried = true;
                self.graves.push_front((node, id));
                return false;
            }
            self.remove_if(node, id, |_| true);
            return true;
        }
        false
    }

    /// Removes an old trace of a route that this node forgot, if there is one among the oldest of all.
    fn unbury_one_of(&mut self, node: NodeId) -> bool {
        loop {
            let mut oldest = self.graves.iter().take(MOST_LOOKED_AT);
            let Some(at) = oldest.position(|(of, _)| *of == node) else { return false };
            let Some((_, id)) = self.graves.remove(at) else { return false };
            let Some(register) = self.routes.get_mut(&id).and_then(|r| r.register_mut(node)) else {
                continue;
            };
            register.buried = false;
            if register.complains_until().is_none() {
                self.remove_if(node, id, |_| true);
                return true;
            }
        }
    }

    /// Whether the node may have one more register, after making room for it if need be.
    pub(super) fn make_room(&mut self, node: NodeId, now: Elapsed) -> bool {
        let holds =
            |peers: &HashMap<NodeId, Peer>, id| peers.get(&id).map_or(0, |p| p.routes.len());
        let own = holds(&self.peers, node);
        if own >= self.limits.max_routes_per_node {
            // What it let go of is no reason to refuse what it came to instead.
            return self.unbury_one_of(node);
        }
        if self.held < self.limits.max_registers || self.unbury(now, true) {
            return true;
        }
        let share = self.limits.max_registers / self.live().max(1);
        if own >= share {
            return false;
        }
        let still = self.victim.filter(|victim| holds(&self.peers, *victim) > share);
        let most = || self.peers.iter().max_by_key(|(id, peer)| (peer.routes.len(), **id));
        self.victim = still.or_else(|| most().map(|(id, _)| *id));
        let Some(victim) = self.victim.filter(|victim| *victim != node) else { return false };
        let first = self.peers.get(&victim).and_then(|peer| peer.routes.front().copied());
        first.is_some_and(|route| {
            self.counts.evicted_registers += 1;
            self.remove_if(victim, route, |_| true)
        })
    }

    /// Makes a place in the table of nodes.
    pub(super) fn admit(&mut self, node: NodeId, now: Elapsed) -> bool {
        if self.peers.len() >= self.limits.max_nodes {
            let gone = self.peers.iter().find(|(_, peer)| peer.has_left()).map(|(id, _)| *id);
            let Some(gone) = gone else {
                self.counts.refused_nodes += 1;
                return false;
            };
            self.peers.remove(&gone);
        }
        self.peers.insert(node, Peer::new(now));
        true
    }

    pub(super) fn remove_if(
        &mut self,
        node: NodeId,
        id: RouteId,
        test: impl Fn(&Register) -> bool,
    ) -> bool {
        let Some(route) = self.routes.get_mut(&id) else { return false };
        if !route.remove_if(node, test) {
            return false;
        }
        self.held -= 1;
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.routes.remove(&id);
        }
        self.settle(id);
        true
    }

    pub(super) fn drop_words(&mut self, node: NodeId, words: LinkedHashSet<RouteId, RandomState>) {
        for route in words {
            self.remove_if(node, route, |_| true);
        }
    }
}
