//! The last word of every other node about every route.
//!
//! A register is replaced only by a word with a higher stamp, so the state is a join of everything
//! that was heard: order, duplicates, replays and losses that are made good change nothing.

mod bounds;
mod peer;
mod queries;
mod route;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use atrion_core::merge::{Report, VotingRules};
use atrion_state::peers::{NodeId, RouteId};
use hashlink::LinkedHashSet;

use super::config::Limits;
use super::time::Elapsed;
use crate::wire::{Change, Frame};
pub(crate) use peer::{Peer, Presence};
pub(crate) use queries::stored;
use route::{Register, Route, Said};

/// Where a frame comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// From the channel, just now.
    Live,
    /// From a node's stored state, where it was put so long ago.
    Stored(Duration),
}

/// What a frame brought about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The node was not heard of before, or had left.
    pub(crate) joined: bool,
    /// The node took its leave.
    pub(crate) left: bool,
    /// What it stored has to be read.
    pub(crate) gap: Option<Gap>,
}

/// Why a node's stored state has to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// It was met in the middle of its life, and what it stored before has not been read yet.
    Unread,
    /// Frames were lost.
    Lost,
}

/// Counters; see [`Stats`](super::event::Stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) changes: u64,
    pub(crate) older: u64,
    pub(crate) duplicates: u64,
    pub(crate) lost: u64,
    pub(crate) refused_registers: u64,
    pub(crate) evicted_registers: u64,
    pub(crate) refused_nodes: u64,
}

/// What was known of a node when its stored state was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Horizon {
    incarnation: u64,
    sequence: u64,
}

/// The registers of all other nodes.
#[derive(Debug)]
pub(crate) struct Registers {
    limits: Limits,
    lifetime: Duration,
    voting: VotingRules,
    peers: HashMap<NodeId, Peer>,
    routes: HashMap<RouteId, Route>,
    held: usize,
    /// Registers that say that a route was forgotten, the oldest first; each at most once.
    graves: VecDeque<(NodeId, RouteId)>,
    troubled: HashSet<RouteId>,
    changed: LinkedHashSet<RouteId, RandomState>,
    /// Who gave way last.
    victim: Option<NodeId>,
    pub(crate) counts: Counts,
}

impl Registers {
    pub(crate) fn new(limits: Limits, lifetime: Duration, voting: VotingRules) -> Self {
        Self {
            limits,
            lifetime,
            voting,
            peers: HashMap::new(),
            routes: HashMap::new(),
            held: 0,
            graves: VecDeque::new(),
            troubled: HashSet::new(),
            changed: LinkedHashSet::with_hasher(RandomState::new()),
            victim: None,
            counts: Counts::default(),
        }
    }

    /// Forgets everything but the counters.
    pub(crate) fn clear(&mut self) {
        let counts = self.counts;
        *self = Self { counts, ..Self::new(self.limits, self.lifetime, self.voting) };
    }

    /// How many registers there are.
    pub(crate) fn len(&self) -> usize {
        self.held
    }

    /// How many nodes are believed to be alive.
    pub(crate) fn live(&self) -> usize {
        self.peers.values().filter(|peer| !peer.has_left()).count()
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.peers.iter().filter(|(_, peer)| !peer.has_left()).map(|(id, peer)| (*id, peer))
    }

    pub(crate) fn peer(&self, node: NodeId) -> Option<&Peer> {
        self.peers.get(&node)
    }

    /// A new session begins: what was published in between was not heard.
    pub(crate) fn reconnected(&mut self) {
        for peer in self.peers.values_mut() {
            peer.listening = false;
            peer.synced = false;
        }
    }

    /// The index names a node. `false` if there is no room for it.
    pub(crate) fn discover(&mut self, node: NodeId, now: Elapsed) -> bool {
        self.peers.contains_key(&node) || self.admit(node, now)
    }

    /// Joins what a node said. Frames of this node itself must not come here.
    pub(crate) fn take(&mut self, frame: &Frame, source: Source, now: Elapsed) -> Taken {
        if !self.discover(frame.node, now) {
            return Taken::default();
        }
        let Some(peer) = self.peers.get_mut(&frame.node) else { return Taken::default() };
        if frame.stamp.incarnation < peer.incarnation {
            self.counts.duplicates += u64::from(source == Source::Live);
            return Taken::default();
        }
        if frame.stamp.incarnation > peer.incarnation {
            let words = peer.reborn(frame.stamp.incarnation);
            self.drop_words(frame.node, words);
        }
        let taken = self.heard(frame, source, now);
        let Some(peer) = self.peers.get(&frame.node) else { return taken };
        if frame.stamp.sequence > peer.floor {
            self.join(frame, source, now);
        }
        taken
    }

    /// Notes that the frame was heard at all, and its node's comings and goings.
    fn heard(&mut self, frame: &Frame, source: Source, now: Elapsed) -> Taken {
        let mut taken = Taken::default();
        let Some(peer) = self.peers.get_mut(&frame.node) else { return taken };
        peer.top = peer.top.max(frame.stamp.sequence);
        if let Some(name) = &frame.node_name
            && frame.stamp.sequence >= peer.named
        {
            peer.named = frame.stamp.sequence;
            peer.name = Arc::clone(name);
        }
        if source == Source::Live {
            let sequence = frame.stamp.sequence;
            match peer.listen(sequence, now) {
                peer::Heard::Again => self.counts.duplicates += 1,
                peer::Heard::Next => {}
                peer::Heard::After(lost) => {
                    taken.gap = Some(if lost == 0 { Gap::Unread } else { Gap::Lost });
                    self.counts.lost = self.counts.lost.saturating_add(lost);
                }
            }
        }
        if frame.leaving && frame.stamp.sequence > peer.floor {
            peer.floor = frame.stamp.sequence;
            let floor = peer.floor;
            let words: Vec<_> = peer.routes.iter().copied().collect();
            for route in words {
                self.remove_if(frame.node, route, |register| register.sequence <= floor);
            }
        }
        if let Some(peer) = self.peers.get_mut(&frame.node) {
            let left = peer.floor > 0 && peer.top <= peer.floor;
            taken.gap = taken.gap.filter(|_| !left);
            let before = peer.presence;
            peer.presence = match source {
                _ if left => Presence::Left,
                Source::Live => Presence::Heard,
                Source::Stored(_) if peer.has_left() => Presence::Stored,
                Source::Stored(_) => before,
            };
            taken.joined = before != Presence::Heard && peer.presence == Presence::Heard;
            taken.left = before == Presence::Heard && left;
        }
        taken
    }

    fn join(&mut self, frame: &Frame, source: Source, now: Elapsed) {
        let stored = match source {
            Source::Live => Duration::ZERO,
            Source::Stored(age) => age,
        };
        let age = stored.saturating_add(Duration::from_millis(u64::from(frame.age_millis)));
        let observed_at = now.minus(age);
        let (node, sequence) = (frame.node, frame.stamp.sequence);
        let mut place = 0;
        // What goes makes room for what comes.
        for route in &frame.forgotten {
            let said = Said::Forgotten;
            let register = Register { node, sequence, observed_at: now, said, buried: false };
            self.write(*route, register, &mut place, now);
        }
        for change in &frame.changes {
            let complains_until = complains_until(change, observed_at, &self.voting);
            let said = Said::Word { change: *change, complains_until };
            let register = Register { node, sequence, observed_at, said, buried: false };
            self.write(change.route, register, &mut place, now);
        }
        for (id, name) in &frame.names {
            if let Some(route) = self.routes.get_mut(id)
                && route.name.is_none()
            {
                route.name = Some(Arc::clone(name));
                note_change(&mut self.changed, *id, route);
            }
        }
    }

    /// `place` is where the node's register was in the route before.
    fn write(&mut self, id: RouteId, mut register: Register, place: &mut usize, now: Elapsed) {
        let node = register.node;
        let is_word = register.complains_until().is_some();
        if let Some(route) = self.routes.get_mut(&id)
            && let Some(held) = route.register_near(node, place)
        {
            if register.sequence <= held.sequence {
                self.counts.older += u64::from(is_word);
                return;
            }
            register.buried = held.buried;
            let before = held.complains_until();
            *held = register;
            route.replaced(before, register.complains_until());
            note_trouble(&mut self.troubled, id, route);
            note_change(&mut self.changed, id, route);
        } else if self.make_room(node, now) {
            let route = self.routes.entry(id).or_default();
            route.insert(register);
            self.held += 1;
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.routes.insert(id);
            }
            self.settle(id);
        } else {
            self.counts.refused_registers += 1;
            return;
        }
        self.counts.changes += u64::from(is_word);
        if !is_word && !register.buried {
            self.bury(node, id, now);
        }
    }

    /// Brings the sets up to date with a route whose registers changed.
    fn settle(&mut self, id: RouteId) {
        let Some(route) = self.routes.get_mut(&id) else { return };
        if route.is_empty() {
            self.routes.remove(&id);
            self.troubled.remove(&id);
            self.changed.remove(&id);
        } else {
            note_trouble(&mut self.troubled, id, route);
            note_change(&mut self.changed, id, route);
        }
    }
}

/// The moment until which a word is a complaint, as [`Report::complains`] says of its decayed scar.
fn complains_until(change: &Change, observed_at: Elapsed, voting: &VotingRules) -> Elapsed {
    let report = Report::of(&change.vector(atrion_core::time::Timestamp::ZERO), 0.0);
    if !report.complains() {
        return Elapsed::NEVER;
    }
    if report.stance.is_looking() {
        return Elapsed::FOREVER;
    }
    let factor = report.scar.get() / COMPLAINT_OHMS;
    observed_at.plus_secs(atrion_core::math::ln(factor) / voting.healing_per_sec)
}

/// A scar below this is no complaint; `complains_until` is tested against
/// [`Report::complains`].
const COMPLAINT_OHMS: f64 = 0.5;

fn note_trouble(troubled: &mut HashSet<RouteId>, id: RouteId, route: &mut Route) {
    let complains = route.complains_until > Elapsed::NEVER;
    if complains != route.in_troubled {
        route.in_troubled = complains;
        if complains {
            troubled.insert(id);
        } else {
            troubled.remove(&id);
        }
    }
}

fn note_change(changed: &mut LinkedHashSet<RouteId, RandomState>, id: RouteId, route: &mut Route) {
    if !route.in_changed {
        route.in_changed = true;
        changed.insert(id);
    }
}

#[cfg(test)]
mod tests;
