//! What this node itself says: served from memory while the store is away.

use std::hash::RandomState;
use std::sync::Arc;

use atrion_core::vector::PhysicsVector;
use atrion_state::peers::RouteId;
use hashlink::LruCache;

/// The last word about one route.
#[derive(Clone, Debug)]
pub(crate) struct OwnWord {
    pub(crate) name: Arc<str>,
    pub(crate) vector: PhysicsVector,
    /// The session in which the name was last told to the others.
    pub(crate) announced: u64,
}

/// What became of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It stands in the place of an earlier one.
    Stands,
    /// It is the first about its route; the route that made room for it, if any.
    New(Option<RouteId>),
    /// A newer one is held.
    Older,
}

/// The own words, bounded: the least recently used route makes room for a new one.
#[derive(Debug)]
pub(crate) struct OwnWords {
    words: LruCache<RouteId, OwnWord, RandomState>,
    max: usize,
}

impl OwnWords {
    pub(crate) fn new(max: usize) -> Self {
        Self { words: LruCache::with_hasher(max, RandomState::new()), max }
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// Between two words of one time the later call wins. A different name with the same id, which
    /// somebody would have to search for, takes the other's place, so that the two are never
    /// confused.
    pub(crate) fn write(&mut self, id: RouteId, name: &str, vector: PhysicsVector) -> Written {
        if let Some(word) = self.words.get_mut(&id) {
            if *word.name != *name {
                *word = OwnWord { name: Arc::from(name), vector, announced: 0 };
            } else if vector.timestamp < word.vector.timestamp {
                return Written::Older;
            } else {
                word.vector = vector;
            }
            return Written::Stands;
        }
        let evicted = if self.words.len() >= self.max { self.words.remove_lru() } else { None };
        self.words.insert(id, OwnWord { name: Arc::from(name), vector, announced: 0 });
        Written::New(evicted.map(|(id, _)| id))
    }

    /// Using a route keeps it.
    pub(crate) fn read(&mut self, id: RouteId, name: &str) -> Option<PhysicsVector> {
        self.words.get(&id).filter(|word| *word.name == *name).map(|word| word.vector)
    }

    pub(crate) fn peek(&self, id: RouteId) -> Option<&OwnWord> {
        self.words.peek(&id)
    }

    /// Whether the name has to be told, which is noted as done.
    pub(crate) fn announce(&mut self, id: RouteId, session: u64) -> bool {
        self.words
            .peek_mut(&id)
            .is_some_and(|word| std::mem::replace(&mut word.announced, session) != session)
    }

    pub(crate) fn forget(&mut self, id: RouteId, name: &str) -> bool {
        let held = self.words.peek(&id).is_some_and(|word| *word.name == *name);
        held && self.words.remove(&id).is_some()
    }

    /// The least recently used first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RouteId, &OwnWord)> {
        self.words.iter().map(|(id, word)| (*id, word))
    }

    pub(crate) fn clear(&mut self) {
        self.words = LruCache::with_hasher(self.max, RandomState::new());
    }
}
