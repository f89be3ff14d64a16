//! What this process has written and what it has recalled: served from memory whatever the store
//! does. Pure.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::Arc;

use atrion_core::vector::PhysicsVector;
use atrion_state::provider::RouteVector;
use hashlink::{LinkedHashSet, LruCache};

/// One route's last word.
#[derive(Clone, Copy, Debug)]
struct Word {
    vector: PhysicsVector,
    /// Where in the life of this process it was written; 0 for what was recalled.
    sequence: u64,
}

/// A word on its way to the store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Saying {
    pub(crate) route: Arc<str>,
    pub(crate) vector: PhysicsVector,
    pub(crate) sequence: u64,
}

/// What became of a batch.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Taken {
    /// The last word of each route in the batch, by name: whoever writes several rows takes them
    /// in one order, so that no two wait for each other.
    pub(crate) sayings: Vec<Saying>,
    /// Routes whose rows are to go: they made room for others.
    pub(crate) forgotten: Vec<Arc<str>>,
    /// Vectors older than what is held.
    pub(crate) older: u64,
    /// Routes that made room.
    pub(crate) evicted: u64,
}

/// The last word of a bounded number of routes; the least recently used goes first.
#[derive(Debug)]
pub(crate) struct Memory {
    words: LruCache<Arc<str>, Word, RandomState>,
    max: usize,
    sequence: u64,
    forgotten: LinkedHashSet<Arc<str>, RandomState>,
}

impl Memory {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            words: LruCache::with_hasher(max, RandomState::new()),
            max,
            sequence: 0,
            forgotten: LinkedHashSet::with_hasher(RandomState::new()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// Takes a batch in, its elements one after the other, and says what the store has to know of
    /// it: for a route whose newer word is held, that one.
    pub(crate) fn take(&mut self, batch: &[RouteVector]) -> Taken {
        let mut taken = Taken::default();
        for change in batch {
            match self.write(&change.route, change.vector) {
                Some(evicted) => taken.evicted += evicted,
                None => taken.older += 1,
            }
        }
        let mut sayings = BTreeMap::new();
        for change in batch {
            if let Some(word) = self.words.peek(&*change.route) {
                sayings.insert(Arc::clone(&change.route), (word.vector, word.sequence));
            }
        }
        taken.sayings = sayings
            .into_iter()
            .map(|(route, (vector, sequence))| Saying { route, vector, sequence })
            .collect();
        taken.forgotten = self.forgotten.drain().collect();
        taken
    }

    /// `None` if a newer one is held, else how many routes made room. A word that was recalled
    /// yields to any that is written.
    fn write(&mut self, route: &Arc<str>, vector: PhysicsVector) -> Option<u64> {
        if let Some(held) = self.words.get_mut(&**route) {
            if held.sequence > 0 && vector.timestamp < held.vector.timestamp {
                return None;
            }
            self.sequence += 1;
            *held = Word { vector, sequence: self.sequence };
            return Some(0);
        }
        self.forgotten.remove(&**route);
        let evicted = self.make_room();
        self.sequence += 1;
        self.words.insert(Arc::clone(route), Word { vector, sequence: self.sequence });
        Some(evicted)
    }

    fn make_room(&mut self) -> u64 {
        if self.words.len() < self.max {
            return 0;
        }
        let Some((route, _)) = self.words.remove_lru() else { return 0 };
        self.forget_in_store(route);
        1
    }

    fn forget_in_store(&mut self, route: Arc<str>) {
        if self.forgotten.len() >= self.max {
            self.forgotten.pop_front();
        }
        self.forgotten.insert(route);
    }

    /// The rows of these routes may still be there.
    pub(crate) fn not_forgotten(&mut self, routes: Vec<Arc<str>>) {
        for route in routes {
            if self.words.peek(&*route).is_none() {
                self.forget_in_store(route);
            }
        }
    }

    /// Takes in what was recalled, the most important first, where this process has not written
    /// anything itself and as far as there is room.
    pub(crate) fn recall(&mut self, recalled: Vec<RouteVector>) {
        let room = self.max.saturating_sub(self.words.len());
        let mut fresh = Vec::new();
        for RouteVector { route, vector } in recalled {
            match self.words.peek_mut(&*route) {
                Some(held) if held.sequence == 0 => held.vector = vector,
                Some(_) => {}
                None if fresh.len() < room => fresh.push((route, vector)),
                None => {}
            }
        }
        // The most important is the most recently used.
        for (route, vector) in fresh.into_iter().rev() {
            self.words.insert(route, Word { vector, sequence: 0 });
        }
    }

    /// Using a route keeps it.
    pub(crate) fn get(&mut self, route: &str) -> Option<PhysicsVector> {
        self.words.get(route).map(|word| word.vector)
    }

    pub(crate) fn snapshot(&self) -> Vec<RouteVector> {
        self.words
            .iter()
            .map(|(route, word)| RouteVector::new(Arc::clone(route), word.vector))
            .collect()
    }

    /// Forgets everything but how far the numbers have got.
    pub(crate) fn clear(&mut self) {
        let sequence = self.sequence;
        *self = Self { sequence, ..Self::new(self.max) };
    }
}

#[cfg(test)]
mod tests {
    use atrion_core::time::Timestamp;
    use atrion_core::units::Ohms;

    use super::*;

    fn change(route: &str, millis: u64, ohms: u32) -> RouteVector {
        let idle = PhysicsVector::idle(Ohms::ZERO, Timestamp::from_millis(millis));
        RouteVector::new(route, PhysicsVector { scar_tissue: Ohms::from(ohms), ..idle })
    }

    fn said(taken: &Taken) -> Vec<(&str, f64, u64)> {
        let sayings = taken.sayings.iter();
        sayings.map(|s| (&*s.route, s.vector.scar_tissue.get(), s.sequence)).collect()
    }

    #[test]
    fn the_store_hears_one_word_for_each_route_in_the_order_of_their_names() {
        let mut memory = Memory::new(8);
        let batch = [change("b", 2, 1), change("a", 2, 2), change("b", 2, 3), change("a", 1, 4)];
        let taken = memory.take(&batch);
        assert_eq!(said(&taken), [("a", 2.0, 2), ("b", 3.0, 3)]);
        assert_eq!(taken.older, 1);
    }

    #[test]
    fn a_word_that_comes_late_sends_the_newer_one_again() {
        let mut memory = Memory::new(8);
        memory.take(&[change("a", 9, 1)]);
        let taken = memory.take(&[change("a", 8, 2)]);
        assert_eq!(said(&taken), [("a", 1.0, 1)]);
    }

    #[test]
    fn the_rows_of_routes_that_made_room_go_unless_they_come_back() {
        let mut memory = Memory::new(2);
        let batch = [change("a", 1, 1), change("b", 1, 1), change("c", 1, 1)];
        let taken = memory.take(&batch);
        assert_eq!(taken.forgotten, [Arc::from("a")]);
        assert_eq!(taken.evicted, 1);
        memory.not_forgotten(taken.forgotten);
        let taken = memory.take(&[change("a", 2, 1)]);
        assert_eq!(taken.forgotten, [Arc::from("b")], "a is back");
        assert_eq!(memory.len(), 2);
    }

    #[test]
    fn what_was_recalled_yields_to_what_is_written_and_takes_no_ones_room() {
        let mut memory = Memory::new(2);
        memory.take(&[change("own", 1, 1)]);
        memory.recall(vec![change("own", 900, 7), change("x", 900, 8), change("y", 900, 9)]);
        assert_eq!(memory.get("own").map(|v| v.scar_tissue.get()), Some(1.0));
        assert_eq!(memory.get("x").map(|v| v.scar_tissue.get()), Some(8.0));
        assert_eq!(memory.get("y"), None);
        // Its time is of another process; that this one is earlier says nothing.
        let taken = memory.take(&[change("x", 2, 3)]);
        assert_eq!(said(&taken), [("x", 3.0, 2)]);
    }

    #[test]
    fn numbers_go_on_after_everything_was_forgotten() {
        let mut memory = Memory::new(2);
        memory.take(&[change("a", 1, 1)]);
        memory.clear();
        assert_eq!((memory.len(), memory.get("a")), (0, None));
        assert_eq!(said(&memory.take(&[change("a", 1, 1)])), [("a", 1.0, 2)]);
    }
}
