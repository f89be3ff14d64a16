//! What the other nodes say about one route.

use std::sync::Arc;

use atrion_state::peers::NodeId;

use crate::machine::time::Elapsed;
use crate::wire::Change;

/// One node's last word about one route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Register {
    pub(crate) node: NodeId,
    /// Of the frame that said it, in the present incarnation of its node.
    pub(crate) sequence: u64,
    /// When it was true, on this machine's clock.
    pub(crate) observed_at: Elapsed,
    pub(crate) said: Said,
    /// It waits in the queue of forgotten ones, even if it has been written again since.
    pub(crate) buried: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Said {
    Word {
        change: Change,
        /// It is a complaint until then.
        complains_until: Elapsed,
    },
    /// The node has nothing to say any more. Kept for a while, or else an older word that arrives
    /// late would stand.
    Forgotten,
}

impl Register {
    /// `None` if it is no word at all.
    pub(crate) fn complains_until(&self) -> Option<Elapsed> {
        match self.said {
            Said::Word { complains_until, .. } => Some(complains_until),
            Said::Forgotten => None,
        }
    }

    pub(crate) fn word(&self) -> Option<&Change> {
        match &self.said {
            Said::Word { change, .. } => Some(change),
            Said::Forgotten => None,
        }
    }
}

/// All registers of one route.
#[derive(Debug)]
pub(crate) struct Route {
    /// Known once somebody has told it.
    pub(crate) name: Option<Arc<str>>,
    /// In ascending order of the node.
    registers: Vec<Register>,
    /// The latest of the registers' ends of complaint.
    pub(crate) complains_until: Elapsed,
    pub(crate) in_troubled: bool,
    pub(crate) in_changed: bool,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            name: None,
            registers: Vec::new(),
            complains_until: Elapsed::NEVER,
            in_troubled: false,
            in_changed: false,
        }
    }
}

impl Route {
    pub(crate) fn is_empty(&self) -> bool {
        self.registers.is_empty()
    }

    pub(crate) fn registers(&self) -> &[Register] {
        &self.registers
    }

    /// The words, without what was forgotten.
    pub(crate) fn words(&self) -> impl Iterator<Item = (&Register, &Change)> {
        self.registers.iter().filter_map(|register| Some((register, register.word()?)))
    }

    fn find(&self, node: NodeId) -> Result<usize, usize> {
        self.registers.binary_search_by_key(&node, |register| register.node)
    }

    /// The same, tried at `place` first, where it then is. All routes of a busy cluster have the
    /// same nodes, so a node's register is where it was in the route before; a search in a long
    /// list is one cache miss for each step.
    ///
    /// After writing to it, call [`replaced`](Self::replaced).
    pub(crate) fn register_near(
        &mut self,
        node: NodeId,
        place: &mut usize,
    ) -> Option<&mut Register> {
        if self.registers.get(*place).is_none_or(|register| register.node != node) {
            *place = self.find(node).ok()?;
        }
        self.registers.get_mut(*place)
    }

    /// After writing to it, call [`replaced`](Self::replaced).
    pub(crate) fn register_mut(&mut self, node: NodeId) -> Option<&mut Register> {
        let place = self.find(node).ok()?;
        self.registers.get_mut(place)
    }

    /// The node must not have one yet.
    pub(crate) fn insert(&mut self, register: Register) {
        if let Err(place) = self.find(register.node) {
            self.registers.insert(place, register);
        }
        let until = register.complains_until().unwrap_or(Elapsed::NEVER);
        self.complains_until = self.complains_until.max(until);
    }

    pub(crate) fn remove_if(&mut self, node: NodeId, test: impl Fn(&Register) -> bool) -> bool {
        let Ok(place) = self.find(node) else { return false };
        if !self.registers.get(place).is_some_and(test) {
            return false;
        }
        self.registers.remove(place);
        self.recompute();
        true
    }

    /// A register's end of complaint was `before` and is `after`.
    pub(crate) fn replaced(&mut self, before: Option<Elapsed>, after: Option<Elapsed>) {
        let after = after.unwrap_or(Elapsed::NEVER);
        if after >= self.complains_until {
            self.complains_until = after;
        } else if before == Some(self.complains_until) {
            self.recompute();
        }
    }

    fn recompute(&mut self) {
        let all = self.registers.iter().filter_map(Register::complains_until);
        self.complains_until = all.max().unwrap_or(Elapsed::NEVER);
    }
}
