//! What is read from the registers, and what time takes from them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use atrion_core::merge::{Report, lower_median};
use atrion_core::time::Timestamp;
use atrion_core::units::Ohms;
use atrion_core::vector::PhysicsVector;
use atrion_state::peers::{NodeId, RouteId};

use super::route::Route;
use super::{Horizon, Presence, Registers, Source, note_change};
use crate::machine::time::Elapsed;
use crate::wire::Frame;

/// What is missing from a node's stored state is dropped only if it is at least this old and so has
/// no vote any more: the node may be in the middle of storing everything anew.
const SETTLED: Duration = Duration::from_secs(10);

/// What all say about a route, put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Merged {
    /// Its timestamp means nothing.
    pub(crate) vector: PhysicsVector,
    /// When the newest observation was made.
    pub(crate) observed_at: Elapsed,
}

impl Registers {
    /// Appends the last words about a route, aged to `now`.
    pub(crate) fn reports(&self, id: RouteId, now: Elapsed, reports: &mut Vec<Report>) {
        reports.extend(self.words(id, now).map(|(_, report)| report));
    }

    /// The last words about a route with who said them, aged to `now`, in the order of the nodes.
    pub(crate) fn voices(&self, id: RouteId, now: Elapsed) -> Vec<(NodeId, Report)> {
        self.words(id, now).collect()
    }

    fn words(&self, id: RouteId, now: Elapsed) -> impl Iterator<Item = (NodeId, Report)> {
        let words = self.routes.get(&id).into_iter().flat_map(Route::words);
        words.map(move |(register, change)| {
            let age_secs = now.secs_since(register.observed_at);
            (register.node, Report::of(&change.vector(Timestamp::ZERO), age_secs))
        })
    }

    /// Routes that somebody complains about.
    pub(crate) fn troubled(&self, now: Elapsed) -> Vec<RouteId> {
        let complains =
            |id: &&RouteId| self.routes.get(id).is_some_and(|route| route.complains_until > now);
        self.troubled.iter().filter(complains).copied().collect()
    }

    /// How many routes each node complains about.
    pub(crate) fn complaints(&self, now: Elapsed) -> HashMap<NodeId, usize> {
        let mut complaints = HashMap::new();
        let troubled = self.troubled.iter().filter_map(|id| self.routes.get(id));
        for register in troubled.flat_map(Route::registers) {
            if register.complains_until().is_some_and(|until| until > now) {
                *complaints.entry(register.node).or_default() += 1;
            }
        }
        complaints
    }

    pub(crate) fn name(&self, id: RouteId) -> Option<&Arc<str>> {
        self.routes.get(&id)?.name.as_ref()
    }

    /// All routes somebody has a word about.
    pub(crate) fn routes(&self) -> impl Iterator<Item = RouteId> {
        self.routes.keys().copied()
    }

    /// The newest word, with the lower median of the votes for its scar, all as of the moment of
    /// that newest word: so it changes only with the registers, not with time.
    pub(crate) fn merged(&self, id: RouteId) -> Option<Merged> {
        let route = self.routes.get(&id)?;
        let (newest, word) =
            route.words().max_by_key(|(register, _)| (register.observed_at, register.node))?;
        let mut vector = word.vector(Timestamp::ZERO);
        let observed_at = newest.observed_at;
        let votes = route.words().filter_map(|(register, word)| {
            let age_secs = observed_at.secs_since(register.observed_at);
            self.voting.vote(&Report::of(&word.vector(Timestamp::ZERO), age_secs))
        });
        let mut votes: Vec<Ohms> = votes.collect();
        if let Some(median) = lower_median(&mut votes) {
            vector.scar_tissue = median;
        }
        Some(Merged { vector, observed_at })
    }

    /// The next route whose merged view changed.
    pub(crate) fn pop_changed(&mut self) -> Option<RouteId> {
        let id = self.changed.pop_front()?;
        if let Some(route) = self.routes.get_mut(&id) {
            route.in_changed = false;
        }
        Some(id)
    }

    /// The route's name has become known by other ways.
    pub(crate) fn touch(&mut self, id: RouteId) {
        if let Some(route) = self.routes.get_mut(&id) {
            note_change(&mut self.changed, id, route);
        }
    }

    /// What is known of a node before its stored state is read.
    pub(crate) fn horizon(&self, node: NodeId) -> Option<Horizon> {
        self.peers
            .get(&node)
            .map(|peer| Horizon { incarnation: peer.incarnation, sequence: peer.last })
    }

    /// All of a node's stored state, or only a part if not `complete`, has been joined; `stored`
    /// are the routes in it. Words that are no longer there are dropped.
    pub(crate) fn read(
        &mut self,
        node: NodeId,
        stored: &HashSet<RouteId>,
        horizon: Option<Horizon>,
        complete: bool,
        now: Elapsed,
    ) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.synced = true;
        let Some(horizon) = horizon.filter(|h| complete && h.incarnation == peer.incarnation)
        else {
            return;
        };
        let missing: Vec<_> = peer.routes.iter().copied().filter(|r| !stored.contains(r)).collect();
        for route in missing {
            self.remove_if(node, route, |register| {
                register.word().is_some()
                    && register.sequence <= horizon.sequence
                    && now.since(register.observed_at) >= SETTLED
            });
        }
    }

    /// Takes away what time has ended. Returns the nodes that fell silent.
    pub(crate) fn sweep(&mut self, now: Elapsed) -> Vec<(NodeId, Arc<str>)> {
        while self.unbury(now, false) {}
        let routes = &mut self.routes;
        self.troubled.retain(|id| {
            let Some(route) = routes.get_mut(id) else { return false };
            route.in_troubled = route.complains_until > now;
            route.in_troubled
        });
        let silent: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| now.since(peer.heard_at) >= self.lifetime)
            .map(|(id, _)| *id)
            .collect();
        let mut gone = Vec::new();
        for node in silent {
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            let (name, was_heard) = (Arc::clone(&peer.name), peer.presence == Presence::Heard);
            let words = peer.reborn(peer.incarnation);
            self.drop_words(node, words);
            self.peers.remove(&node);
            if was_heard {
                gone.push((node, name));
            }
        }
        gone
    }
}

/// How long ago a stored frame was put there.
pub(crate) fn stored(frame: &Frame, server_millis: u64) -> Source {
    Source::Stored(Duration::from_millis(server_millis.saturating_sub(frame.sent_millis)))
}
