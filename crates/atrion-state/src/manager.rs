//! The founding RFC's `StateManager`: a local cache in front of the pulse.
//!
//! Reading and writing never wait: reads are lock-free, and a write stores the vector, marks the
//! route as changed and returns. The pulse, which the manager feeds as a
//! [`PulseSource`], does the rest in the background. The provider belongs to the pulse, not to the
//! manager, so that nothing that can fail or hang is within reach of the request path.
//!
//! ```
//! use std::num::NonZeroUsize;
//! use atrion_core::{time::Timestamp, units::{Evidence, Ohms}, vector::PhysicsVector};
//! use atrion_state::manager::StateManager;
//!
//! let manager = StateManager::with_capacity(NonZeroUsize::new(1_000).unwrap());
//! let vector = PhysicsVector {
//!     scar_tissue: Ohms::try_new(2.5)?,
//!     evidence: Evidence::try_new(40.0)?,
//!     ..PhysicsVector::idle(Ohms::try_new(12.5)?, Timestamp::from_secs(1))
//! };
//! assert_eq!(manager.get_local("api/checkout"), None); // cold start
//! assert!(manager.sync("api/checkout", vector));
//! assert_eq!(manager.get_local("api/checkout"), Some(vector));
//! # Ok::<(), atrion_core::error::OutOfRange>(())
//! ```

mod recency;

use std::hash::RandomState;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use atrion_core::time::Timestamp;
use atrion_core::vector::PhysicsVector;
use crossbeam_queue::ArrayQueue;

use crate::dirty::DirtyMark;
use crate::in_memory::DEFAULT_CAPACITY;
use crate::provider::{MAX_ROUTE_BYTES, RemoteVector, RouteVector};
use crate::pulse::{Collector, PulseSource};
use recency::Recency;

/// Caches the state of routes, this node's own and the others', and remembers what changed.
///
/// # Bounds
///
/// At most [`capacity`](StateManager::capacity) routes are cached (more by at most the number of
/// threads that create routes at the same instant). When a pulse collects and fewer than one
/// sixteenth of the places are free, routes are forgotten: those known from hearsay only first,
/// which never have more than half of the places, then those that changed longest ago. A new
/// route that finds no place is refused and counted ([`StateManager::refused`]); the caller's own
/// protection does not depend on this cache.
#[derive(Debug)]
pub struct StateManager {
    slots: papaya::HashMap<Arc<str>, Arc<Slot>, RandomState>,
    changed: ArrayQueue<Arc<Slot>>,
    capacity: NonZeroUsize,
    /// Only the pulse's side locks it.
    recency: Mutex<Recency>,
    refused: AtomicU64,
    /// A change found no place in `changed`; everything is marked once that is empty.
    overflowed: AtomicBool,
    evictions: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    route: Arc<str>,
    local: ArcSwapOption<PhysicsVector>,
    remote: ArcSwapOption<PhysicsVector>,
    mark: DirtyMark,
    removed: AtomicBool,
}

impl StateManager {
    /// An empty cache for [`DEFAULT_CAPACITY`] routes.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// An empty cache for `capacity` routes. 16 bytes for each are taken at once, for the list of
    /// what changed; the rest as routes arrive.
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self {
            slots: papaya::HashMap::with_hasher(RandomState::new()),
            changed: ArrayQueue::new(capacity.get()),
            capacity,
            recency: Mutex::new(Recency::new(capacity)),
            refused: AtomicU64::new(0),
            overflowed: AtomicBool::new(false),
            evictions: AtomicU64::new(0),
        }
    }

    /// This node's own state of `route`, `None` if there is none (cold start). Lock-free: a keyed
    /// hash of the name and a few dependent loads, some tens of nanoseconds while they hit the
    /// cache.
    pub fn get_local(&self, route: &str) -> Option<PhysicsVector> {
        self.read(route, |slot| &slot.local)
    }

    /// What the other nodes say about `route`, as the provider merged it. Lock-free.
    pub fn get_remote(&self, route: &str) -> Option<PhysicsVector> {
        self.read(route, |slot| &slot.remote)
    }

    /// Caches this node's own state of `route` and marks it for the next pulse. Never waits.
    ///
    /// The last call stands, whatever its timestamp: this node is the author of its own state.
    /// `false` if the route was refused for want of room or for a name longer than
    /// [`MAX_ROUTE_BYTES`]; nothing was stored then.
    pub fn sync(&self, route: &str, vector: PhysicsVector) -> bool {
        let Some(slot) = self.slot(route) else {
            return false;
        };
        slot.local.store(Some(Arc::new(vector)));
        self.mark(slot);
        true
    }

    /// Takes up to `at_most` of the routes that changed since they were last taken, oldest change
    /// first, with their present state. For programs that drive a provider themselves; a pulse
    /// does it through [`PulseSource`].
    pub fn take_changes(&self, at_most: usize) -> Vec<RouteVector> {
        let mut changes = Vec::new();
        while changes.len() < at_most
            && let Some(change) = self.take_change()
        {
            changes.push(change);
        }
        changes
    }

    /// Caches what other nodes say about a route, unless something newer is cached. `false` if it
    /// was older or the route was refused.
    pub fn apply_remote(&self, remote: &RemoteVector) -> bool {
        let Some(slot) = self.slot(&remote.route) else {
            return false;
        };
        let displaced = self.recency().heard(&slot.route);
        if let Some(route) = displaced {
            self.forget_hearsay(&route);
        }
        let new = Arc::new(remote.vector);
        let newer = |held: &Option<Arc<PhysicsVector>>| {
            held.as_ref().is_none_or(|held| held.timestamp <= new.timestamp)
        };
        let before =
            slot.remote.rcu(|held| if newer(held) { Some(Arc::clone(&new)) } else { held.clone() });
        newer(&before)
    }

    /// Fills the cache with what a store held when the program started. Routes that already have
    /// own state keep it. Nothing is marked as changed: the store has it.
    pub fn warm_start(&self, vectors: impl IntoIterator<Item = RouteVector>) {
        for RouteVector { route, vector } in vectors {
            let Some(slot) = self.slot(&route) else {
                continue;
            };
            self.recency().changed(&slot.route);
            let restored = Arc::new(vector);
            slot.local.rcu(|held| held.clone().or_else(|| Some(Arc::clone(&restored))));
        }
    }

    /// Forgets a route; a change of it that was not taken yet is not reported any more. A write
    /// at the same instant may be lost with it.
    pub fn remove(&self, route: &str) {
        self.recency().remove(route);
        self.drop_slot(route);
    }

    /// How many routes are cached.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is cached.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many routes can be cached.
    pub fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }

    /// How many calls were refused for want of room or for the route's name.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many routes were forgotten to make room.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    fn read(
        &self,
        route: &str,
        part: impl FnOnce(&Slot) -> &ArcSwapOption<PhysicsVector>,
    ) -> Option<PhysicsVector> {
        let slots = self.slots.pin();
        let slot = slots.get(route)?;
        part(slot).load().as_deref().copied()
    }

    /// The slot of a route, made if there is room.
    fn slot(&self, route: &str) -> Option<Arc<Slot>> {
        let slots = self.slots.pin();
        if let Some(slot) = slots.get(route) {
            return Some(Arc::clone(slot));
        }
        if route.len() > MAX_ROUTE_BYTES || slots.len() >= self.capacity.get() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let route: Arc<str> = Arc::from(route);
        let slot = slots.get_or_insert_with(Arc::clone(&route), || Arc::new(Slot::new(route)));
        Some(Arc::clone(slot))
    }

    fn mark(&self, slot: Arc<Slot>) {
        if slot.mark.set()
            && let Err(slot) = self.changed.push(slot)
        {
            // Full of removed routes, which needs a manager that nobody collects from.
            slot.mark.clear();
            self.overflowed.store(true, Ordering::Release);
        }
    }

    fn take_change(&self) -> Option<RouteVector> {
        loop {
            let Some(slot) = self.changed.pop() else {
                if self.overflowed.swap(false, Ordering::AcqRel) {
                    self.mark_all();
                    continue;
                }
                return None;
            };
            slot.mark.clear();
            if slot.removed.load(Ordering::Acquire) {
                continue;
            }
            let Some(vector) = slot.local.load().as_deref().copied() else {
                continue;
            };
            self.recency().changed(&slot.route);
            return Some(RouteVector::new(Arc::clone(&slot.route), vector));
        }
    }

    fn mark_all(&self) {
        for slot in self.slots.pin().values() {
            if slot.local.load().is_some() {
                self.mark(Arc::clone(slot));
            }
        }
    }

    /// Whether there was one.
    fn drop_slot(&self, route: &str) -> bool {
        let slots = self.slots.pin();
        let removed = slots.remove(route);
        if let Some(slot) = removed {
            slot.removed.store(true, Ordering::Release);
        }
        removed.is_some()
    }

    /// Own state that arrived since, and that the pulse has not seen yet, stays.
    fn forget_hearsay(&self, route: &str) {
        let hearsay_only =
            self.slots.pin().get(route).is_some_and(|slot| slot.local.load().is_none());
        if hearsay_only && self.drop_slot(route) {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn recency(&self) -> MutexGuard<'_, Recency> {
        // Its contents only steer eviction; a panic elsewhere cannot leave them harmful.
        self.recency.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for the routes that will come before the next pulse; returns who had to go.
    fn evict(&self) -> Vec<Arc<str>> {
        let capacity = self.capacity.get();
        // At least one place, but never the only one.
        let reserve = (capacity / 16).max(1).min(capacity - 1);
        let mut surplus = self.slots.len().saturating_sub(capacity - reserve);
        let mut recency = self.recency();
        let mut evicted = Vec::new();
        while surplus > 0
            && let Some(route) = recency.next_to_go()
        {
            if self.drop_slot(&route) {
                self.evictions.fetch_add(1, Ordering::Relaxed);
                evicted.push(route);
                surplus -= 1;
            }
        }
        evicted
    }
}

impl Default for StateManager {
    fn default() -> Self {
        Self::new()
    }
}

impl Slot {
    fn new(route: Arc<str>) -> Self {
        Self {
            route,
            local: ArcSwapOption::empty(),
            remote: ArcSwapOption::empty(),
            mark: DirtyMark::default(),
            removed: AtomicBool::new(false),
        }
    }
}

impl PulseSource for StateManager {
    /// Reports the changed routes, oldest change first, for as long as there is room; what finds
    /// none stays marked. Then makes room in the cache.
    fn collect(&self, _now: Timestamp, changes: &mut Collector<'_>) {
        if changes.wants_all() {
            self.mark_all();
        }
        while changes.room() > 0
            && let Some(RouteVector { route, vector }) = self.take_change()
        {
            changes.push(&route, vector);
        }
        for route in self.evict() {
            changes.forget(&route);
        }
    }

    fn warm_start(&self, vectors: Vec<RouteVector>, _now: Timestamp) {
        Self::warm_start(self, vectors);
    }

    fn apply_remote(&self, remote: &RemoteVector, _now: Timestamp) {
        Self::apply_remote(self, remote);
    }
}

#[cfg(test)]
mod tests;
