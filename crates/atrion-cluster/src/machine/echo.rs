//! Whether this node's own frames come back, and whose else they may be.

use std::collections::VecDeque;
use std::time::Duration;

use atrion_core::merge::Stamp;
use atrion_core::units::UnitInterval;
use atrion_state::peers::NodeId;

use super::time::Elapsed;

/// Frames by this node's id that it did not send, so often
const CONFLICTS: usize = 3;
/// within so long, mean that another process goes by it.
const CONFLICTS_WITHIN: Duration = Duration::from_secs(10);
/// They are acted on this often at most, because each time all own words are told anew.
const CONFLICT_EVERY: Duration = Duration::from_millis(300);
/// So many ids that were given up are remembered.
const MAX_FORMER: usize = 8;

/// Watches whether what was published is heard again on the own subscription: if not, the link
/// only looks alive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Echo {
    committed: u64,
    heard: u64,
    /// Since when something committed has not been heard.
    missing_since: Option<Elapsed>,
}

impl Echo {
    pub(crate) fn committed(&mut self, sequence: u64, now: Elapsed) {
        self.committed = self.committed.max(sequence);
        if self.heard < sequence {
            self.missing_since.get_or_insert(now);
        }
    }

    pub(crate) fn heard(&mut self, sequence: u64, now: Elapsed) {
        self.heard = self.heard.max(sequence);
        self.missing_since = (self.heard < self.committed).then_some(now);
    }

    /// Frames were dropped on this side, own ones perhaps among them: that says nothing about the
    /// link.
    pub(crate) fn excuse(&mut self, now: Elapsed) {
        self.missing_since = self.missing_since.map(|_| now);
    }

    pub(crate) fn deadline(&self, patience: Duration) -> Option<Elapsed> {
        self.missing_since.map(|since| since.plus(patience))
    }
}

/// Who this node is, and how far its words have got.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) node: NodeId,
    pub(crate) stamp: Stamp,
    /// What an earlier life of this node has stored was looked at.
    pub(crate) looked_back: bool,
    /// What it was before, with the incarnation it had then.
    former: VecDeque<(NodeId, u64)>,
    conflicts: VecDeque<Elapsed>,
    /// The newest stamp that has yet to be outdone, and when it will be.
    rival: Option<(Elapsed, Stamp)>,
}

/// Whose a frame is that bears this node's id, or bore it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This one's, now or formerly.
    Own,
    /// Another node's altogether.
    Other,
    /// Nobody's but this one's, by its id; yet this one did not send it, or in an earlier life.
    Conflict,
}

impl Identity {
    pub(crate) fn new(node: NodeId, incarnation: u64) -> Self {
        Self {
            node,
            stamp: Stamp { incarnation, sequence: 0 },
            looked_back: false,
            former: VecDeque::new(),
            conflicts: VecDeque::new(),
            rival: None,
        }
    }

    pub(crate) fn next(&mut self) -> Stamp {
        self.stamp.sequence = self.stamp.sequence.saturating_add(1);
        self.stamp
    }

    pub(crate) fn owner(&self, node: NodeId, stamp: Stamp) -> Owner {
        if node == self.node {
            // An older incarnation's words are replaced by this one's everywhere: no harm.
            return if stamp > self.stamp { Owner::Conflict } else { Owner::Own };
        }
        let former = self.former.contains(&(node, stamp.incarnation));
        if former { Owner::Own } else { Owner::Other }
    }

    /// Somebody speaks in this node's name: to be acted on as soon as may be.
    pub(crate) fn note_conflict(&mut self, theirs: Stamp, now: Elapsed) {
        let last = self.conflicts.back().map_or(now, |last| last.plus(CONFLICT_EVERY).max(now));
        let (at, newest) = self.rival.unwrap_or((last, theirs));
        self.rival = Some((at, newest.max(theirs)));
    }

    /// When there is something to be acted on.
    pub(crate) fn conflict_at(&self) -> Option<Elapsed> {
        self.rival.map(|(at, _)| at)
    }

    pub(crate) fn take_conflict(&mut self, now: Elapsed) -> Option<Stamp> {
        let (_, theirs) = self.rival.take_if(|(at, _)| *at <= now)?;
        // It may have been outdone, or concern an id that was given up.
        Some(theirs).filter(|theirs| *theirs > self.stamp)
    }

    /// Makes this node's words newer than those of the other life. Returns the id that was given
    /// up if there is another process behind it.
    pub(crate) fn conflict(
        &mut self,
        theirs: Stamp,
        now: Elapsed,
        draw: UnitInterval,
        is_taken: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        self.conflicts.push_back(now);
        self.conflicts.retain(|at| now.since(*at) < CONFLICTS_WITHIN);
        let (old, incarnation) = (self.node, self.stamp.incarnation);
        self.stamp.sequence = 0;
        if self.conflicts.len() < CONFLICTS && theirs.incarnation < u64::MAX {
            self.stamp.incarnation = theirs.incarnation + 1;
            return None;
        }
        self.conflicts.clear();
        self.conflicts.push_back(now);
        self.rival = None;
        self.former.push_back((old, incarnation));
        if self.former.len() > MAX_FORMER {
            self.former.pop_front();
        }
        let mut id = old.0 ^ draw.get().to_bits();
        // Bounded by the number of nodes; a free id is found at once for all practical purposes.
        loop {
            id = scrambled(id);
            if NodeId(id) != old && !is_taken(NodeId(id)) {
                break;
            }
        }
        self.node = NodeId(id);
        // A life of its own: what came before was the other's.
        self.stamp.incarnation = incarnation.max(1);
        Some(old)
    }
}

/// Splitmix64: every bit of the result depends on every bit of the input, one to one.
fn scrambled(id: u64) -> u64 {
    let id = id.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ (id >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Elapsed {
        Elapsed::START.plus(Duration::from_millis(millis))
    }

    #[test]
    fn what_was_committed_has_to_be_heard() {
        let patience = Duration::from_secs(1);
        let mut echo = Echo::default();
        echo.heard(1, at(0)); // before the server has answered
        echo.committed(1, at(1));
        assert_eq!(echo.deadline(patience), None);
        echo.committed(2, at(10));
        echo.committed(3, at(20));
        assert_eq!(echo.deadline(patience), Some(at(1_010)));
        echo.heard(2, at(500));
        assert_eq!(echo.deadline(patience), Some(at(1_500)));
        echo.excuse(at(700));
        assert_eq!(echo.deadline(patience), Some(at(1_700)));
        echo.heard(3, at(800));
        assert_eq!(echo.deadline(patience), None);
    }

    #[test]
    fn a_former_life_is_outdone_and_a_double_avoided() {
        let mut me = Identity::new(NodeId(7), 100);
        let theirs = Stamp { incarnation: 200, sequence: 9 };
        assert_eq!(me.owner(NodeId(7), theirs), Owner::Conflict);
        assert_eq!(me.conflict(theirs, at(0), UnitInterval::HALF, |_| false), None);
        assert_eq!(me.owner(NodeId(7), theirs), Owner::Own);
        assert_eq!(me.next(), Stamp { incarnation: 201, sequence: 1 });

        let more = Stamp { incarnation: 300, sequence: 1 };
        assert_eq!(me.conflict(more, at(1), UnitInterval::HALF, |_| false), None);
        let gone = me.conflict(more, at(2), UnitInterval::HALF, |_| false);
        assert_eq!(gone, Some(NodeId(7)));
        assert_ne!(me.node, NodeId(7));
        // What it published under the old id is still its own, what the double does is not.
        assert_eq!(me.owner(NodeId(7), Stamp { incarnation: 301, sequence: 4 }), Owner::Own);
        assert_eq!(me.owner(NodeId(7), Stamp { incarnation: 302, sequence: 4 }), Owner::Other);
    }

    #[test]
    fn an_incarnation_that_cannot_be_outdone_is_given_up_at_once() {
        let mut me = Identity::new(NodeId(7), 100);
        let end = Stamp { incarnation: u64::MAX, sequence: u64::MAX };
        let taken = std::cell::Cell::new(0);
        let gone =
            me.conflict(end, at(0), UnitInterval::ZERO, |_| taken.replace(taken.get() + 1) < 3);
        assert_eq!(gone, Some(NodeId(7)));
        assert_eq!(taken.get(), 4);
        assert_eq!(me.stamp, Stamp { incarnation: 100, sequence: 0 });
    }

    /// The first two outputs of `SplitMix64` from a state of zero, as its author gives them.
    #[test]
    fn ids_are_scrambled_as_published() {
        assert_eq!(scrambled(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(scrambled(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
        let old = 0xffff_0000_ffff_0000;
        let mut me = Identity::new(NodeId(old), u64::MAX);
        let end = Stamp { incarnation: u64::MAX, sequence: 9 };
        assert!(me.conflict(end, at(0), UnitInterval::HALF, |_| false).is_some());
        assert_eq!(me.node, NodeId(scrambled(old ^ 0.5_f64.to_bits())));
    }

    #[test]
    fn three_conflicts_within_ten_seconds_are_a_double() {
        let mut me = Identity::new(NodeId(7), 100);
        for (millis, incarnation) in [(0, 200), (5_000, 300), (10_000, 400)] {
            let theirs = Stamp { incarnation, sequence: 1 };
            assert_eq!(me.conflict(theirs, at(millis), UnitInterval::HALF, |_| false), None);
        }
        let theirs = Stamp { incarnation: 500, sequence: 1 };
        assert!(me.conflict(theirs, at(14_999), UnitInterval::HALF, |_| false).is_some());
    }

    #[test]
    fn eight_former_ids_are_remembered() {
        let mut me = Identity::new(NodeId(7), 100);
        let end = Stamp { incarnation: u64::MAX, sequence: 9 };
        for second in 0..20 {
            me.conflict(end, at(1_000 * second), UnitInterval::HALF, |_| false);
            assert_eq!(me.former.len(), MAX_FORMER.min(second as usize + 1));
        }
    }

    #[test]
    fn a_rival_is_only_who_is_ahead() {
        let mut me = Identity::new(NodeId(7), 100);
        assert_eq!(me.conflict_at(), None);
        me.note_conflict(me.stamp, at(5));
        assert_eq!(me.conflict_at(), Some(at(5)));
        assert_eq!(me.take_conflict(at(4)), None);
        assert_eq!(me.take_conflict(at(5)), None, "it says what this node says");
        let ahead = Stamp { incarnation: 100, sequence: 1 };
        me.note_conflict(ahead, at(6));
        assert_eq!(me.take_conflict(at(6)), Some(ahead));
    }
}
