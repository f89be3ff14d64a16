//! Which routes the manager forgets first.

use std::hash::RandomState;
use std::num::NonZeroUsize;
use std::sync::Arc;

use hashlink::LruCache;

type Order = LruCache<Arc<str>, (), RandomState>;

/// The routes in the order in which the pulse saw them change: those with own state, and those
/// that are known from hearsay only.
///
/// Hearsay never displaces own state, however many routes another node talks about: it goes first
/// when room is needed, and takes up no more than half of the places.
#[derive(Debug)]
pub(super) struct Recency {
    hearsay_limit: usize,
    own: Order,
    hearsay: Order,
}

impl Recency {
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        // The manager bounds both; the lists follow.
        let unbounded = || LruCache::with_hasher(usize::MAX, RandomState::new());
        Self { hearsay_limit: capacity.get().div_ceil(2), own: unbounded(), hearsay: unbounded() }
    }

    /// The route's own state changed.
    pub(super) fn changed(&mut self, route: &Arc<str>) {
        self.hearsay.remove(route);
        self.own.insert(Arc::clone(route), ());
    }

    /// Another node spoke of the route. Returns a route that has to go for it.
    pub(super) fn heard(&mut self, route: &Arc<str>) -> Option<Arc<str>> {
        if self.own.contains_key(route) {
            return None;
        }
        self.hearsay.insert(Arc::clone(route), ());
        if self.hearsay.len() <= self.hearsay_limit {
            return None;
        }
        self.hearsay.remove_lru().map(|(route, ())| route)
    }

    /// The next route to forget.
    pub(super) fn next_to_go(&mut self) -> Option<Arc<str>> {
        let (route, ()) = self.hearsay.remove_lru().or_else(|| self.own.remove_lru())?;
        Some(route)
    }

    pub(super) fn remove(&mut self, route: &str) {
        self.own.remove(route);
        self.hearsay.remove(route);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.own.len() + self.hearsay.len()
    }
}
