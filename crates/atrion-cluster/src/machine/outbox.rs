//! What has yet to be published, and in which portions.

use std::hash::RandomState;
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_state::peers::RouteId;
use hashlink::LinkedHashSet;

use super::own::{OwnWord, OwnWords};
use crate::wire::{CHANGE_BYTES, MAX_FRAME_BYTES, MAX_NAME_BYTES};

/// Words in one frame share one age: they differ by no more than this,
const SLACK: Duration = Duration::from_millis(100);
/// or by this part of their age. Old words differ little in what is left of them: between words
/// that are a minute old 4 s are 1/1000 of a scar.
const SLACK_SHARE: u32 = 16;
/// What one name takes besides its text, generously.
const NAME_OVERHEAD: usize = 16;
/// What changes and names may take of a frame; the rest is for the header, the node's name and the
/// routes that are forgotten.
const BUDGET: usize = MAX_FRAME_BYTES * 3 / 4;
const _: () = assert!(CHANGE_BYTES + MAX_NAME_BYTES + NAME_OVERHEAD < BUDGET);

/// The routes whose last word the store does not have yet. The words themselves are in
/// [`OwnWords`], so the latest is sent and memory is bounded by theirs.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// In the order of their first unsent change: a busy route neither starves others nor is
    /// starved.
    pending: LinkedHashSet<RouteId, RandomState>,
    forgotten: LinkedHashSet<RouteId, RandomState>,
    max_forgotten: usize,
    max_changes: usize,
    flight: Portion,
}

/// What goes into one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Portion {
    pub(crate) changes: Vec<RouteId>,
    pub(crate) forgotten: Vec<RouteId>,
    /// When the oldest of the changes was true.
    pub(crate) oldest: Timestamp,
}

impl Outbox {
    pub(crate) fn new(max_routes: usize, max_changes: usize) -> Self {
        Self {
            pending: LinkedHashSet::with_hasher(RandomState::new()),
            forgotten: LinkedHashSet::with_hasher(RandomState::new()),
            max_forgotten: max_routes,
            max_changes,
            flight: Portion::default(),
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.pending.len() + self.forgotten.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.forgotten.is_empty()
    }

    pub(crate) fn changed(&mut self, id: RouteId) {
        self.forgotten.remove(&id);
        // A route that waits keeps its place, which `insert` would change.
        if !self.pending.contains(&id) {
            self.pending.insert(id);
        }
    }

    pub(crate) fn forget(&mut self, id: RouteId) {
        self.pending.remove(&id);
        if self.forgotten.len() >= self.max_forgotten {
            self.forgotten.pop_front();
        }
        self.forgotten.insert(id);
    }

    /// Everything has to be said again: the newest first, so that what was true at about the same
    /// time is told together.
    pub(crate) fn all(&mut self, own: &OwnWords) {
        self.flight = Portion::default();
        let mut all: Vec<_> = own.iter().map(|(id, word)| (word.vector.timestamp, id)).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        self.pending = LinkedHashSet::with_hasher(RandomState::new());
        self.pending.extend(all.into_iter().map(|(_, id)| id));
    }

    /// Takes the next portion out. It counts as unsent until it is confirmed.
    pub(crate) fn cut(&mut self, own: &OwnWords, session: u64, now: Timestamp) -> Portion {
        let mut portion = Portion { oldest: now, ..Portion::default() };
        let mut span = None;
        let mut bytes = 0;
        for id in self.pending.iter().take(2 * self.max_changes) {
            let Some(word) = own.peek(*id) else { continue };
            let Some(wider) = widened(span, word.vector.timestamp, now) else { continue };
            bytes += bytes_of(word, session);
            if bytes > BUDGET || portion.changes.len() >= self.max_changes {
                break;
            }
            span = Some(wider);
            portion.changes.push(*id);
        }
        if let Some((oldest, _)) = span {
            portion.oldest = oldest;
        }
        for id in &portion.changes {
            self.pending.remove(id);
        }
        while portion.forgotten.len() < self.max_changes
            && let Some(id) = self.forgotten.pop_front()
        {
            portion.forgotten.push(id);
        }
        self.flight.clone_from(&portion);
        portion
    }

    /// The store has what was cut last.
    pub(crate) fn confirm(&mut self) {
        self.flight = Portion::default();
    }

    /// Whether it has is not known: all of it waits again, in front.
    pub(crate) fn restore(&mut self, own: &OwnWords) {
        let flight = std::mem::take(&mut self.flight);
        for id in flight.changes.into_iter().rev() {
            if own.peek(id).is_some() {
                self.pending.insert(id);
                self.pending.to_front(&id);
            }
        }
        for id in flight.forgotten {
            if own.peek(id).is_none() && self.forgotten.len() < self.max_forgotten {
                self.forgotten.insert(id);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.max_forgotten, self.max_changes);
    }
}

/// The span of time with `at` in it, if it is short enough to be told as one.
fn widened(
    span: Option<(Timestamp, Timestamp)>,
    at: Timestamp,
    now: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    let (oldest, newest) = span.unwrap_or((at, at));
    let (oldest, newest) = (oldest.min(at), newest.max(at));
    let slack = SLACK.max(now.since(newest) / SLACK_SHARE);
    (newest.since(oldest) <= slack).then_some((oldest, newest))
}

fn bytes_of(word: &OwnWord, session: u64) -> usize {
    let name = if word.announced == session { 0 } else { word.name.len() + NAME_OVERHEAD };
    CHANGE_BYTES + name
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
