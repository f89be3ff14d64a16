//! Whose stored state has to be read, and when.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use atrion_state::peers::NodeId;

use super::time::Elapsed;

/// A node's state is read at most this often: on a channel that loses a third of all frames that
/// repairs within a second or two, and costs little.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Reads that are due, each node at most once.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    due: BTreeSet<(Elapsed, NodeId)>,
    nodes: HashMap<NodeId, Times>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    due: Option<Elapsed>,
    read: Option<Elapsed>,
}

impl Reads {
    /// Reads the node's state at that time, or earlier if it already is to be, but not sooner than
    /// its last reading allows.
    pub(crate) fn schedule(&mut self, node: NodeId, at: Elapsed) {
        let times = self.nodes.entry(node).or_default();
        let at = times.read.map_or(at, |read| at.max(read.plus(READ_EVERY)));
        if times.due.is_some_and(|due| due <= at) {
            return;
        }
        if let Some(due) = times.due.replace(at) {
            self.due.remove(&(due, node));
        }
        self.due.insert((at, node));
    }

    /// When the next is due.
    pub(crate) fn next(&self) -> Option<Elapsed> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the next one that is due.
    pub(crate) fn take(&mut self, now: Elapsed) -> Option<NodeId> {
        let (_, node) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.due.pop_first();
        self.nodes.insert(node, Times { due: None, read: Some(now) });
        Some(node)
    }

    /// The node is gone.
    pub(crate) fn forget(&mut self, node: NodeId) {
        if let Some(due) = self.nodes.remove(&node).and_then(|times| times.due) {
            self.due.remove(&(due, node));
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Elapsed {
        Elapsed::START.plus(Duration::from_millis(millis))
    }

    #[test]
    fn a_node_is_read_once_for_many_gaps_and_not_too_often() {
        let (mut reads, node) = (Reads::default(), NodeId(1));
        reads.schedule(node, at(50));
        reads.schedule(node, at(20));
        reads.schedule(node, at(90));
        assert_eq!((reads.next(), reads.len()), (Some(at(20)), 1));
        assert_eq!(reads.take(at(19)), None);
        assert_eq!(reads.take(at(20)), Some(node));
        assert_eq!(reads.take(at(20)), None);
        reads.schedule(node, at(30));
        assert_eq!(reads.next(), Some(at(1_020)));
        reads.schedule(NodeId(2), at(40));
        assert_eq!(reads.take(at(5_000)), Some(NodeId(2)));
        reads.forget(node);
        assert_eq!(reads.next(), None);
    }

    #[test]
    fn after_clearing_nothing_is_due_and_nothing_was_read() {
        let (mut reads, node) = (Reads::default(), NodeId(1));
        reads.schedule(node, at(20));
        assert_eq!(reads.take(at(20)), Some(node));
        reads.schedule(node, at(30));
        reads.clear();
        assert_eq!((reads.next(), reads.len()), (None, 0));
        reads.schedule(node, at(40));
        assert_eq!(reads.next(), Some(at(40)));
    }
}
