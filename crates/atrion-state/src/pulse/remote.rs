//! Which remote vectors are passed on.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use atrion_core::time::Timestamp;
use hashlink::LruCache;

use crate::provider::{MAX_ROUTE_BYTES, RemoteVector};

/// What became of a remote vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Older,
    Stale,
    NameTooLong,
}

/// Passes on only what is newer than the last of its route and not too old.
///
/// The memory is bounded: for a route that was forgotten an older vector may pass once, which is
/// what a cache in front of the physics must bear anyway.
#[derive(Debug)]
pub(super) struct RemoteFilter {
    max_age: Duration,
    newest: LruCache<Arc<str>, Timestamp, RandomState>,
}

impl RemoteFilter {
    pub(super) fn new(capacity: usize, max_age: Duration) -> Self {
        Self { max_age, newest: LruCache::with_hasher(capacity, RandomState::new()) }
    }

    /// Judges a vector and corrects its timestamp: nothing was observed in the future, and a
    /// provider that claims so must not shut out what others will say later.
    pub(super) fn judge(&mut self, remote: &mut RemoteVector, now: Timestamp) -> Verdict {
        if remote.route.len() > MAX_ROUTE_BYTES {
            return Verdict::NameTooLong;
        }
        let observed = remote.vector.timestamp.min(now);
        if now.since(observed) > self.max_age {
            return Verdict::Stale;
        }
        if let Some(newest) = self.newest.get_mut(&*remote.route) {
            // If the clock was put back, what was remembered before lies in the future too.
            if observed < (*newest).min(now) {
                return Verdict::Older;
            }
            *newest = observed;
        } else {
            self.newest.insert(Arc::clone(&remote.route), observed);
        }
        remote.vector.timestamp = observed;
        Verdict::Accepted
    }
}
