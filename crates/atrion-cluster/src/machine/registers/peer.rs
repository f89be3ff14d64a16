//! One other node.

use std::hash::RandomState;
use std::sync::Arc;

use atrion_state::peers::RouteId;
use hashlink::LinkedHashSet;

use crate::machine::time::Elapsed;

/// What is known of another node besides its words.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: Arc<str>,
    /// Zero until something was heard.
    pub(crate) incarnation: u64,
    /// Words up to this sequence number no longer count: the node took its leave.
    pub(crate) floor: u64,
    /// The highest sequence number heard on the channel.
    pub(crate) last: u64,
    /// The highest sequence number of anything, stored words included.
    pub(crate) top: u64,
    /// The sequence number of the frame that told the name.
    pub(crate) named: u64,
    /// Something was heard on the channel in this session and this incarnation.
    pub(crate) listening: bool,
    /// What it stored was read in this session and this incarnation.
    pub(crate) synced: bool,
    pub(crate) heard_at: Elapsed,
    pub(crate) frames: u64,
    pub(crate) lost: u64,
    pub(crate) presence: Presence,
    /// The routes it has a register of, the oldest first.
    pub(crate) routes: LinkedHashSet<RouteId, RandomState>,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It has left something behind not long ago; it was not heard itself.
    Stored,
    /// It was heard.
    Heard,
    /// It took its leave and has not come back.
    Left,
}

/// How a frame follows the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It or a later one was heard before.
    Again,
    /// Nothing is missing in between.
    Next,
    /// Something is: so many frames are known to be lost.
    After(u64),
}

impl Peer {
    pub(crate) fn has_left(&self) -> bool {
        self.presence == Presence::Left
    }

    pub(crate) fn new(now: Elapsed) -> Self {
        Self {
            name: Arc::from(""),
            incarnation: 0,
            floor: 0,
            last: 0,
            top: 0,
            named: 0,
            listening: false,
            synced: false,
            heard_at: now,
            frames: 0,
            lost: 0,
            presence: Presence::Stored,
            routes: LinkedHashSet::with_hasher(RandomState::new()),
        }
    }

    /// It has started anew. Returns what it had words about, none of which counts any more.
    pub(crate) fn reborn(&mut self, incarnation: u64) -> LinkedHashSet<RouteId, RandomState> {
        self.incarnation = incarnation;
        (self.floor, self.last, self.top, self.named) = (0, 0, 0, 0);
        (self.listening, self.synced) = (false, false);
        std::mem::replace(&mut self.routes, LinkedHashSet::with_hasher(RandomState::new()))
    }

    /// A frame of the present incarnation arrived on the channel.
    pub(crate) fn listen(&mut self, sequence: u64, now: Elapsed) -> Heard {
        let first = !std::mem::replace(&mut self.listening, true);
        if sequence <= self.last {
            return Heard::Again;
        }
        let missing = sequence - self.last - 1;
        self.last = sequence;
        self.heard_at = now;
        self.frames = self.frames.saturating_add(1);
        if missing == 0 || (first && self.synced) {
            return Heard::Next;
        }
        // What was sent before this node listened is not lost, it was never to be heard.
        let lost = if first { 0 } else { missing };
        self.lost = self.lost.saturating_add(lost);
        Heard::After(lost)
    }
}
