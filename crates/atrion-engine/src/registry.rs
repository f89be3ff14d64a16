//! Routes by name: lock-free look-ups, a bounded number, rest and eviction for the idle.
//!
//! A route that nobody holds or has used for a while is put to rest: of its state only what it
//! learned is kept, in a quarter of the space, until its name is looked up again.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atrion_core::time::Timestamp;
use hashlink::LinkedHashMap;
use hashlink::linked_hash_map::RawEntryMut;
use papaya::HashSet;

use crate::cell::Rest;
use crate::config::Config;
use crate::route::{Route, RouteState};
use crate::tally::RestedTally;

/// How many routes one new name looks at, at most, for one that may go.
const EVICTION_LOOKS: usize = 32;
/// References to a route that nobody holds a handle of: the set's and the ring's.
const OWN_REFERENCES: usize = 2;
/// Routes that one new name looks at for one that may rest. More than one, so that rest keeps up
/// with any flood of names.
const REST_LOOKS: usize = 2;
/// Routes looked at under one lock when all are gone through, so that new names wait shortly.
const SWEEP_LOOKS: usize = 256;
/// A visitor of those at rest who lost its way so many times gives up.
const LOST_LIMIT: u32 = 8;
/// Room for fewer routes than this is not worth giving back.
const ROOM_KEPT: usize = 1_024;

/// A route in the set, found by its name.
struct ByName(Route);

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Eq for ByName {}

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        self.0.name()
    }
}

/// Routes in the order the hand visits them, and those at rest, the longest first.
#[derive(Default)]
struct Ring {
    routes: Vec<Route>,
    hand: usize,
    resting: LinkedHashMap<Arc<str>, Resting, RandomState>,
    /// How many ever came to rest.
    rested: u64,
}

/// What is kept of a route at rest.
#[derive(Clone, Debug)]
pub(crate) struct Resting {
    pub(crate) cell: Rest,
    pub(crate) tally: RestedTally,
}

impl Ring {
    fn len(&self) -> usize {
        self.routes.len() + self.resting.len()
    }

    /// The route the hand points at, if there are any.
    fn candidate(&mut self) -> Option<&Route> {
        if self.hand >= self.routes.len() {
            self.hand = 0;
        }
        self.routes.get(self.hand)
    }
}

impl Ring {
    /// Adds to `some` up to `most` of those at rest, going back from the last of `met` that still
    /// is; from the back if none is. Answers with whether one was.
    fn resting_before(
        &mut self,
        met: &[(Arc<str>, Resting)],
        most: usize,
        some: &mut Vec<(Arc<str>, Resting)>,
    ) -> bool {
        let known = met.iter().rev().find(|(name, _)| self.resting.contains_key(name));
        let known = known.map(|(name, _)| Arc::clone(name));
        let is_known = known.is_some();
        let mut cursor = match known {
            Some(name) => match self.resting.raw_entry_mut().from_key(&name) {
                RawEntryMut::Occupied(entry) => {
                    let mut cursor = entry.cursor_mut();
                    cursor.move_prev();
                    cursor
                }
                RawEntryMut::Vacant(_) => return is_known,
            },
            None => self.resting.cursor_back_mut(),
        };
        while some.len() < most
            && let Some((name, rest)) = cursor.current()
        {
            some.push((Arc::clone(name), rest.clone()));
            cursor.move_prev();
        }
        is_known
    }
}

/// A route as a visitor finds it.
pub(crate) enum Found<'a> {
    Awake(&'a Route),
    Resting(&'a Arc<str>, &'a Resting),
}

pub(crate) struct Registry {
    by_name: HashSet<ByName>,
    ring: Mutex<Ring>,
    count: AtomicUsize,
    resting: AtomicUsize,
    evicted: AtomicU64,
    overflowed: AtomicU64,
}

/// What became of a new name.
pub(crate) enum Insertion {
    /// It has a route, possibly in place of the named one that was evicted.
    Added { route: Route, evicted: Option<Arc<str>> },
    /// There is no room.
    Full,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            by_name: HashSet::new(),
            ring: Mutex::new(Ring::default()),
            count: AtomicUsize::new(0),
            resting: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
        }
    }

    /// The route of this name, if it exists.
    #[inline]
    pub(crate) fn find(&self, name: &str) -> Option<Route> {
        let pinned = self.by_name.pin();
        let found = pinned.get(name)?;
        let state = &found.0.0;
        // Written only if unset, so that look-ups do not fight over the cache line.
        if !state.referenced.load(Relaxed) {
            state.referenced.store(true, Relaxed);
        }
        let route = found.0.clone();
        // Cloned first, looked at second; the other side marks first and counts second. One of
        // the two notices, so nobody is left with a handle on a route that was forgotten.
        (!route.0.evicted.load(SeqCst)).then_some(route)
    }

    /// The route of this name, if it exists; not a use that keeps it from being evicted.
    pub(crate) fn peek(&self, name: &str) -> Option<Route> {
        let route = self.by_name.pin().get(name)?.0.clone();
        (!route.0.evicted.load(SeqCst)).then_some(route)
    }

    /// Makes a route or wakes it, unless somebody else just did. Serialised: new names are rare,
    /// and the requests of known routes never come here.
    pub(crate) fn insert(
        &self,
        name: &str,
        config: &Config,
        now: Timestamp,
        make: impl FnOnce(Arc<str>, Option<&Resting>) -> RouteState,
    ) -> Insertion {
        let mut ring = self.ring();
        if let Some(route) = self.find(name) {
            return Insertion::Added { route, evicted: None };
        }
        let mut evicted = None;
        let route = if let Some((name, rest)) = ring.resting.remove_entry(name) {
            let route = Route(Arc::new(make(name, Some(&rest))));
            route.tick();
            route
        } else {
            if ring.len() >= config.route_limit() {
                evicted = self.evict_one(&mut ring, config, now);
                if evicted.is_none() {
                    self.overflowed.fetch_add(1, Relaxed);
                    return Insertion::Full;
                }
            }
            Route(Arc::new(make(Arc::from(name), None)))
        };
        self.by_name.pin().insert(ByName(route.clone()));
        ring.routes.push(route.clone());
        // Whoever makes room has moved the hand already; a second look would be no second chance.
        if evicted.is_none() {
            self.rest_some(&mut ring, config, now, REST_LOOKS);
        }
        self.count(&ring);
        Insertion::Added { route, evicted }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, ring: &Ring) {
        self.count.store(ring.len(), Relaxed);
        self.resting.store(ring.resting.len(), Relaxed);
    }

    /// Whoever rests goes first, the longest at rest before the others. Then second chance: the
    /// hand spares, once, what was looked up since it last passed, and takes the first route that
    /// nobody holds, uses or needs to remember.
    fn evict_one(&self, ring: &mut Ring, config: &Config, now: Timestamp) -> Option<Arc<str>> {
        if let Some((name, _)) = ring.resting.pop_front() {
            self.evicted.fetch_add(1, Relaxed);
            return Some(name);
        }
        for _ in 0..EVICTION_LOOKS.min(ring.routes.len()) {
            let candidate = ring.candidate()?;
            if candidate.0.referenced.swap(false, Relaxed) || !candidate.may_go(config, now) {
                ring.hand += 1;
                continue;
            }
            let gone = self.take(ring);
            self.evicted.fetch_add(1, Relaxed);
            return Some(Arc::clone(&gone.0.name));
        }
        None
    }

    /// Takes the route at the hand out.
    fn take(&self, ring: &mut Ring) -> Route {
        let gone = ring.routes.swap_remove(ring.hand);
        self.by_name.pin().remove(gone.name());
        gone
    }

    /// Moves the hand over up to `looks` routes and puts those to rest that may.
    fn rest_some(&self, ring: &mut Ring, config: &Config, now: Timestamp, looks: usize) {
        for _ in 0..looks.min(ring.routes.len()) {
            let Some(candidate) = ring.candidate() else { return };
            if candidate.0.referenced.swap(false, Relaxed) {
                ring.hand += 1;
                continue;
            }
            let Some(rest) = candidate.rest(config, now) else {
                ring.hand += 1;
                continue;
            };
            let gone = self.take(ring);
            ring.resting.insert(Arc::clone(&gone.0.name), rest);
            ring.rested += 1;
        }
        if ring.routes.capacity() > 4 * ring.routes.len() + ROOM_KEPT {
            let room = 2 * ring.routes.len();
            ring.routes.shrink_to(room);
        }
    }

    /// Puts routes to rest that may, among up to `looks` of them. Not for the request path.
    pub(crate) fn rest_idle(&self, config: &Config, now: Timestamp, looks: usize) {
        let mut left = looks.min(self.ring().routes.len());
        while left > 0 {
            let some = left.min(SWEEP_LOOKS);
            left -= some;
            let mut ring = self.ring();
            self.rest_some(&mut ring, config, now, some);
            self.count(&ring);
        }
    }

    /// Calls `f` with every route that is not at rest.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Route)) {
        for entry in &self.by_name.pin() {
            f(&entry.0);
        }
    }

    /// Calls `f` with every route, those at rest included, without holding a lock meanwhile.
    ///
    /// First those at rest, then those awake, then those that came to rest in between: so whoever
    /// exists throughout is met, if not twice.
    pub(crate) fn visit(&self, mut f: impl FnMut(Found<'_>)) {
        let before = self.ring().rested;
        self.visit_resting(usize::MAX, &mut f);
        self.for_each(|route| f(Found::Awake(route)));
        let since = self.ring().rested.wrapping_sub(before);
        self.visit_resting(usize::try_from(since).unwrap_or(usize::MAX), &mut f);
    }

    /// Visits those that came to rest last, up to `most`, some at a time.
    fn visit_resting(&self, most: usize, f: &mut impl FnMut(Found<'_>)) {
        // Backwards: who comes to rest meanwhile is behind, who is evicted far ahead.
        let mut left = most.min(self.resting());
        let mut lost = 0;
        let mut some: Vec<(Arc<str>, Resting)> = Vec::new();
        while left > 0 {
            let met = std::mem::take(&mut some);
            let found = self.ring().resting_before(&met, left.min(SWEEP_LOOKS), &mut some);
            if !found && !met.is_empty() {
                // All of them woke up or were evicted: some of the rest are met again.
                lost += 1;
                left = if lost < LOST_LIMIT { most.min(self.resting()) } else { 0 };
            }
            left = left.saturating_sub(some.len());
            if some.is_empty() {
                return;
            }
            for (name, rest) in &some {
                f(Found::Resting(name, rest));
            }
        }
    }

    /// The route of this name, awake or not.
    pub(crate) fn look<T>(&self, name: &str, f: impl FnOnce(Found<'_>) -> T) -> Option<T> {
        if let Some(route) = self.peek(name) {
            return Some(f(Found::Awake(&route)));
        }
        let ring = self.ring();
        let found =
            ring.resting.get_key_value(name).map(|(name, rest)| (name.clone(), rest.clone()));
        drop(ring);
        if let Some((name, rest)) = found {
            return Some(f(Found::Resting(&name, &rest)));
        }
        // It may have been woken between the two looks.
        self.peek(name).map(|route| f(Found::Awake(&route)))
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    pub(crate) fn resting(&self) -> usize {
        self.resting.load(Relaxed)
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Relaxed)
    }
}

impl Route {
    fn may_go(&self, config: &Config, now: Timestamp) -> bool {
        let idle = now.secs_since(self.0.cell.last_tick().max(self.0.created));
        idle >= config.route_idle_secs()
            && self.0.cell.is_forgettable(config.shadow(), idle)
            && self.retire()
    }

    /// What to keep of the route while it rests, if it may. Then it is retired.
    fn rest(&self, config: &Config, now: Timestamp) -> Option<Resting> {
        // Ticks alone are no use: somebody may tick all routes every second.
        let idle = now.secs_since(self.0.cell.last_done().max(self.0.created));
        // What the pulse is to share is shared first.
        if idle < config.route_idle_secs() || self.is_marked() || !self.retire() {
            return None;
        }
        // The last requests may not have been counted yet.
        self.tick();
        let cell = if self.is_marked() { None } else { self.0.cell.rest() };
        if cell.is_none() {
            self.0.evicted.store(false, SeqCst);
        }
        Some(Resting { cell: cell?, tally: RestedTally::of(self.tally()) })
    }

    /// Marks the route as gone if nobody has a handle on it, so that none will be given out.
    fn retire(&self) -> bool {
        let state = &self.0;
        if Arc::strong_count(state) != OWN_REFERENCES {
            return false;
        }
        state.evicted.store(true, SeqCst);
        fence(SeqCst);
        let alone = Arc::strong_count(state) == OWN_REFERENCES;
        if !alone {
            state.evicted.store(false, SeqCst);
        }
        alone
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::cell::{Cell, Inner};

    /// The parts of what `tests/memory.rs` measures.
    #[test]
    fn a_route_at_rest_takes_a_quarter_of_one_in_use() {
        let in_use = size_of::<RouteState>();
        println!(
            "in use {in_use} B, of that cell {} B, of that learned {} B; at rest {} B",
            size_of::<Cell>(),
            size_of::<Inner>(),
            size_of::<Resting>(),
        );
        assert!(size_of::<Resting>() <= 168 && 4 * size_of::<Resting>() < in_use);
    }
}
