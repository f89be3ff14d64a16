//! The routes a layer knows by name: a bounded cache of handles.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use atrion_engine::{Atrion, ROUTE_NAME_LIMIT, Route};
use papaya::{Equivalent, HashMap};

use crate::key::{Candidate, Name, Verb};
use crate::stats::Counters;

/// Name of the route that takes the requests without a name, behind the layer's prefix.
pub const UNMATCHED_ROUTE: &str = "(unmatched)";

/// Room that a verb needs in a name.
const LONGEST_VERB: usize = 8;

/// Maps names to handles, for all clones of a layer and all its services.
///
/// Look-ups take no lock and allocate nothing. Entries stay: each holds a handle, so the engine
/// does not evict a route that a layer knows, and `limit` bounds what a layer can hold.
pub(crate) struct Table {
    atrion: Atrion,
    prefix: Box<str>,
    limit: usize,
    routes: HashMap<Known, Route>,
    count: AtomicUsize,
    unmatched: OnceLock<Route>,
    /// The route of a layer that has only one.
    only: OnceLock<Route>,
}

#[derive(PartialEq, Eq)]
struct Known {
    verb: Verb,
    text: Box<str>,
}

struct Wanted<'a> {
    verb: Verb,
    text: &'a str,
}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Wanted { verb: self.verb, text: &self.text }.hash(state);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.verb.hash(state);
        self.text.hash(state);
    }
}

impl Equivalent<Known> for Wanted<'_> {
    fn equivalent(&self, known: &Known) -> bool {
        self.verb == known.verb && *self.text == *known.text
    }
}

impl Table {
    pub(crate) fn new(atrion: Atrion, prefix: &str, limit: usize) -> Self {
        Self {
            atrion,
            prefix: prefix.into(),
            limit,
            routes: HashMap::new(),
            count: AtomicUsize::new(0),
            unmatched: OnceLock::new(),
            only: OnceLock::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Calls `f` with the route of this name, or with the unmatched one and, if the name may earn
    /// its own, with the means to get it.
    #[inline]
    pub(crate) fn with_route<T>(
        self: &Arc<Self>,
        name: Option<&Name<'_>>,
        counters: &Counters,
        f: impl FnOnce(&Route, Option<Box<Candidate>>) -> T,
    ) -> T {
        if let Some(name) = name {
            let wanted = Wanted { verb: name.verb, text: &name.text };
            if let Some(route) = self.routes.pin().get(&wanted) {
                return f(route, None);
            }
        }
        self.with_new_route(name, counters, f)
    }

    /// Calls `f` with the route of the one name that the layer ever asks for, without looking it
    /// up each time.
    #[inline]
    pub(crate) fn with_only_route<T>(
        self: &Arc<Self>,
        name: &Name<'_>,
        counters: &Counters,
        f: impl FnOnce(&Route, Option<Box<Candidate>>) -> T,
    ) -> T {
        if let Some(route) = self.only.get() {
            return f(route, None);
        }
        self.with_route(Some(name), counters, |route, candidate| {
            // Not if there was no room for it: it may come later.
            if self.len() > 0 {
                self.only.get_or_init(|| route.clone());
            }
            f(route, candidate)
        })
    }

    #[cold]
    fn with_new_route<T>(
        self: &Arc<Self>,
        name: Option<&Name<'_>>,
        counters: &Counters,
        f: impl FnOnce(&Route, Option<Box<Candidate>>) -> T,
    ) -> T {
        let mut candidate = None;
        if let Some(name) = name.filter(|name| self.fits(&name.text)) {
            if self.len() >= self.limit {
                counters.over_limit.add_one();
            } else if name.proven {
                match self.add(name.verb, &name.text) {
                    Some(route) => return f(&route, None),
                    None => counters.over_limit.add_one(),
                }
            } else {
                let method = (*name.text).into();
                candidate = Some(Box::new(Candidate { table: Arc::clone(self), method }));
            }
        }
        counters.unmatched.add_one();
        f(self.unmatched(), candidate)
    }

    /// Whether the engine accepts a name of this length.
    fn fits(&self, text: &str) -> bool {
        !text.is_empty() && self.prefix.len() + LONGEST_VERB + text.len() <= ROUTE_NAME_LIMIT
    }

    /// Makes the route of this name and remembers it; `None` if there is no room here or in the
    /// engine. A route the engine has no room for is not remembered, so that it can come later.
    pub(crate) fn add(&self, verb: Verb, text: &str) -> Option<Route> {
        let taken =
            self.count.fetch_update(Relaxed, Relaxed, |n| (n < self.limit).then_some(n + 1));
        taken.ok()?;
        let name = format!("{}{}{text}", self.prefix, verb.prefix());
        let added = self.atrion.try_route(&name).ok().map(|route| {
            let known = Known { verb, text: text.into() };
            let new = self.routes.pin().try_insert(known, route.clone()).is_ok();
            (route, new)
        });
        if !matches!(added, Some((_, true))) {
            // Somebody else was quicker, or the engine is full: give the place back.
            self.count.fetch_sub(1, Relaxed);
        }
        added.map(|(route, _)| route)
    }

    fn unmatched(&self) -> &Route {
        self.unmatched
            .get_or_init(|| self.atrion.route(&format!("{}{UNMATCHED_ROUTE}", self.prefix)))
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("prefix", &self.prefix)
            .field("limit", &self.limit)
            .field("count", &self.len())
            .finish_non_exhaustive()
    }
}
