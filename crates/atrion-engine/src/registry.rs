//! Routes by name: lock-free look-ups, a bounded number, and eviction of the idle.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst, fence};
use std::sync::{Arc, Mutex, PoisonError};

use atrion_core::time::Timestamp;
use papaya::HashSet;

use crate::config::Config;
use crate::route::{Route, RouteState};

/// How many routes one new name looks at, at most, for one that may go.
const EVICTION_LOOKS: usize = 32;
/// References to a route that nobody holds a handle of: the set's and the ring's.
const OWN_REFERENCES: usize = 2;

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

/// Routes in the order the eviction hand visits them.
#[derive(Default)]
struct Ring {
    routes: Vec<Route>,
    hand: usize,
}

pub(crate) struct Registry {
    by_name: HashSet<ByName>,
    ring: Mutex<Ring>,
    count: AtomicUsize,
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

    /// Makes a route, unless somebody else just did. Serialised: new names are rare, and the
    /// requests of known routes never come here.
    pub(crate) fn insert(
        &self,
        name: &str,
        config: &Config,
        now: Timestamp,
        make: impl FnOnce(&str) -> RouteState,
    ) -> Insertion {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = self.find(name) {
            return Insertion::Added { route, evicted: None };
        }
        let mut evicted = None;
        if ring.routes.len() >= config.route_limit() {
            evicted = self.evict_one(&mut ring, config, now);
            if evicted.is_none() {
                self.overflowed.fetch_add(1, Relaxed);
                return Insertion::Full;
            }
        }
        let route = Route(Arc::new(make(name)));
        self.by_name.pin().insert(ByName(route.clone()));
        ring.routes.push(route.clone());
        self.count.store(ring.routes.len(), Relaxed);
        Insertion::Added { route, evicted }
    }

    /// Second chance: the hand spares, once, what was looked up since it last passed, and takes
    /// the first route that nobody holds, uses or needs to remember.
    fn evict_one(&self, ring: &mut Ring, config: &Config, now: Timestamp) -> Option<Arc<str>> {
        for _ in 0..EVICTION_LOOKS.min(ring.routes.len()) {
            if ring.hand >= ring.routes.len() {
                ring.hand = 0;
            }
            let candidate = ring.routes.get(ring.hand)?;
            if candidate.0.referenced.swap(false, Relaxed) || !candidate.may_go(config, now) {
                ring.hand += 1;
                continue;
            }
            let gone = ring.routes.swap_remove(ring.hand);
            self.by_name.pin().remove(gone.name());
            self.evicted.fetch_add(1, Relaxed);
            return Some(Arc::clone(&gone.0.name));
        }
        None
    }

    /// Calls `f` with every route.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Route)) {
        for entry in &self.by_name.pin() {
            f(&entry.0);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Relaxed)
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
        let state = &self.0;
        let idle = now.secs_since(state.cell.last_tick().max(state.created));
        if Arc::strong_count(state) != OWN_REFERENCES
            || idle < config.route_idle_secs()
            || !state.cell.is_forgettable(config.shadow(), idle)
        {
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
