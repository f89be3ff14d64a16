//! What has yet to be sent: the latest vector of each changed route, bounded.

use std::hash::RandomState;
use std::sync::Arc;

use atrion_core::vector::PhysicsVector;
use hashlink::{LinkedHashMap, LruCache};

use super::config::DeadBand;
use crate::provider::{MAX_ROUTE_BYTES, RouteVector};

/// Vectors on their way to the provider, shared between the machine and the driver.
pub(super) type Batch = Arc<[RouteVector]>;

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    Buffered,
    Coalesced,
    Full,
    NameTooLong,
}

/// The coalescing buffer with the memory of what was delivered.
///
/// Invariants: a route waits at most once, in the place of its first unsent change, so a busy
/// route neither starves others nor is starved; `pending + in flight <= capacity`; `delivered`
/// holds a vector only while the store is *known* to hold it. A batch whose outcome is unknown
/// leaves no such memory behind, or else a route could return into the dead band of a value that
/// the store no longer has.
#[derive(Debug)]
pub(super) struct Buffer {
    capacity: usize,
    max_batch: usize,
    /// Halved when a batch is refused for good, so that what is refused gets separated from what
    /// is not; doubled when one is accepted.
    batch_limit: usize,
    band: DeadBand,
    pending: LinkedHashMap<Arc<str>, PhysicsVector, RandomState>,
    in_flight: usize,
    delivered: LruCache<Arc<str>, PhysicsVector, RandomState>,
}

impl Buffer {
    pub(super) fn new(capacity: usize, max_batch: usize, band: DeadBand) -> Self {
        Self {
            capacity,
            max_batch,
            batch_limit: max_batch,
            band,
            pending: LinkedHashMap::with_hasher(RandomState::new()),
            in_flight: 0,
            delivered: LruCache::with_hasher(capacity, RandomState::new()),
        }
    }

    /// Routes that wait to be put into a batch.
    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Routes that wait or are in flight.
    pub(super) fn len(&self) -> usize {
        self.pending.len() + self.in_flight
    }

    /// How many more routes fit.
    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.len())
    }

    pub(super) fn offer(&mut self, route: &Arc<str>, vector: PhysicsVector) -> Offer {
        if let Some(waiting) = self.pending.get_mut(&**route) {
            *waiting = vector;
            return Offer::Coalesced;
        }
        if route.len() > MAX_ROUTE_BYTES {
            return Offer::NameTooLong;
        }
        if self.room() == 0 {
            return Offer::Full;
        }
        self.pending.insert(Arc::clone(route), vector);
        Offer::Buffered
    }

    /// Takes a batch out of the first `*round` routes that wait, leaving out those within the
    /// dead band of what was delivered. Returns it with the number left out.
    pub(super) fn next_batch(&mut self, round: &mut usize) -> (Batch, u64) {
        debug_assert_eq!(self.in_flight, 0, "one batch at a time");
        let mut batch = Vec::new();
        let mut left_out = 0;
        while *round > 0 && batch.len() < self.batch_limit {
            let Some((route, vector)) = self.pending.pop_front() else {
                *round = 0;
                break;
            };
            *round -= 1;
            let known = self.delivered.peek(&*route);
            if known.is_some_and(|known| self.band.contains(known, &vector)) {
                left_out += 1;
                continue;
            }
            self.delivered.remove(&*route);
            batch.push(RouteVector { route, vector });
        }
        self.in_flight = batch.len();
        (batch.into(), left_out)
    }

    /// The store holds the batch.
    pub(super) fn confirm(&mut self, batch: &Batch) {
        self.in_flight = 0;
        self.batch_limit = self.batch_limit.saturating_mul(2).min(self.max_batch);
        for change in &**batch {
            self.delivered.insert(Arc::clone(&change.route), change.vector);
        }
    }

    /// The batch failed or its outcome is unknown: everything in it waits again, in its order,
    /// unless a newer vector of the route waits already.
    ///
    /// It waits at the front if trying again may help. A batch that the store refuses for good
    /// goes to the back, so that it does not hold up the others.
    pub(super) fn restore(&mut self, batch: &Batch, try_again: bool) {
        self.in_flight = 0;
        if try_again {
            for change in batch.iter().rev() {
                if self.restore_one(change) {
                    self.pending.to_front(&*change.route);
                }
            }
        } else {
            self.batch_limit = (self.batch_limit / 2).max(1);
            for change in &**batch {
                self.restore_one(change);
            }
        }
    }

    fn restore_one(&mut self, change: &RouteVector) -> bool {
        if self.pending.contains_key(&*change.route) {
            return false;
        }
        self.pending.insert(Arc::clone(&change.route), change.vector);
        true
    }

    /// The route no longer exists; a batch in flight is not affected.
    pub(super) fn forget(&mut self, route: &str) {
        self.pending.remove(route);
        self.delivered.remove(route);
    }

    /// The store may have lost everything: nothing counts as delivered any more.
    pub(super) fn forget_delivered(&mut self) {
        self.delivered = LruCache::with_hasher(self.capacity, RandomState::new());
    }
}
