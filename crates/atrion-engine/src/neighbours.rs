//! The other nodes, as this instance sees them: which of its routes they talk about, and what it
//! has to know of routes that do not exist here yet.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use atrion_core::law::{LawConfig, OwnWord, Word};
use atrion_core::merge::Report;
use atrion_core::time::Timestamp;
use atrion_core::units::{Evidence, Ohms, PerSecond, UnitInterval};
use atrion_state::peers::{Node, NodeId, Notice, Peers, RouteId};
use crossbeam_queue::ArrayQueue;

use crate::instance::Instance;
use crate::route::{Route, RouteState};

/// New routes that are noted between two pulses; if there are more, all routes are gone through.
const NEW_NOTED: usize = 16_384;
/// The most routes unknown here of which complaints are remembered.
const STRANGE_ROUTES: usize = 65_536;

/// What a node without own evidence knows.
const STRANGER: OwnWord =
    OwnWord { scar: Ohms::ZERO, evidence: Evidence::ZERO, demand: PerSecond::ZERO };

pub(crate) struct Neighbours {
    peers: Arc<dyn Peers>,
    /// Routes that were made since the last pulse.
    new: ArrayQueue<Weak<RouteState>>,
    new_overflowed: AtomicBool,
    /// Only the pulse's side locks it.
    names: Mutex<Names>,
    /// What is said about routes that do not exist here. Read without a lock by whoever makes a
    /// route, so that it is warned before its first request.
    strange: papaya::HashMap<RouteId, Word>,
}

/// Which routes of this node other nodes mean.
#[derive(Default)]
struct Names {
    routes: HashMap<RouteId, Weak<RouteState>>,
    /// Swept when there are this many.
    sweep_at: usize,
}

impl Neighbours {
    pub(crate) fn new(peers: Arc<dyn Peers>) -> Self {
        Self {
            peers,
            new: ArrayQueue::new(NEW_NOTED),
            new_overflowed: AtomicBool::new(false),
            names: Mutex::new(Names::default()),
            strange: papaya::HashMap::new(),
        }
    }

    pub(crate) fn gamma(&self) -> UnitInterval {
        self.peers.gamma()
    }

    pub(crate) fn route_id(&self, name: &str) -> RouteId {
        self.peers.route_id(name)
    }

    pub(crate) fn nodes(&self, now: Timestamp) -> Vec<Node> {
        self.peers.nodes(now)
    }

    pub(crate) fn next_notice(&self) -> Option<Notice> {
        self.peers.poll_notice()
    }

    pub(crate) fn reports(&self, route: &str, now: Timestamp, reports: &mut Vec<Report>) {
        self.peers.reports(self.peers.route_id(route), now, reports);
    }

    pub(crate) fn voices(&self, route: &str, now: Timestamp) -> Vec<(NodeId, Report)> {
        self.peers.voices(self.peers.route_id(route), now)
    }

    /// The names of the routes here that somebody complains about.
    pub(crate) fn complained_about(&self, now: Timestamp) -> Vec<Arc<str>> {
        let troubled = self.peers.troubled(now);
        let names = self.names();
        let here = troubled.iter().filter_map(|id| names.routes.get(id).and_then(Weak::upgrade));
        here.map(|state| Arc::clone(&state.name)).collect()
    }

    /// Whether somebody complains about the route.
    pub(crate) fn is_complained_about(
        &self,
        route: &Route,
        now: Timestamp,
        reports: &mut Vec<Report>,
    ) -> bool {
        reports.clear();
        self.reports(route.name(), now, reports);
        reports.iter().any(Report::complains)
    }

    /// A route was made. If others complain about it, it is told before its first request.
    pub(crate) fn made(&self, route: &Route) {
        if self.new.push(Arc::downgrade(&route.0)).is_err() {
            self.new_overflowed.store(true, Relaxed);
        }
        if self.strange.is_empty() {
            return;
        }
        let id = self.route_id(route.name());
        if let Some(word) = self.strange.pin().get(&id) {
            route.hear_first(word, self.gamma());
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns which of the new routes the others mean by which number.
    pub(crate) fn meet_new_routes(&self, instance: &Instance) {
        let mut names = self.names();
        if self.new_overflowed.swap(false, Relaxed) {
            instance.registry.for_each(|route| {
                names.routes.insert(self.route_id(route.name()), Arc::downgrade(&route.0));
            });
        }
        while let Some(route) = self.new.pop() {
            if let Some(route) = route.upgrade() {
                names.routes.insert(self.route_id(&route.name), Arc::downgrade(&route));
            }
        }
        if names.routes.len() > names.sweep_at {
            names.routes.retain(|_, route| route.strong_count() > 0);
            names.sweep_at = 2 * names.routes.len() + 1_024;
        }
    }

    /// Adds the routes that others complain about to `routes`, and remembers what is said about
    /// those that do not exist here.
    pub(crate) fn complaints(&self, instance: &Instance, now: Timestamp, routes: &mut Vec<Route>) {
        let troubled = self.peers.troubled(now);
        let names = self.names();
        let (mut here, mut strange) = (Vec::new(), Vec::new());
        for id in troubled {
            match names.routes.get(&id).and_then(Weak::upgrade) {
                Some(state) => here.push(Route(state)),
                None => strange.push(id),
            }
        }
        drop(names);
        routes.append(&mut here);
        let known: HashSet<RouteId> = strange.iter().copied().collect();
        self.strange.pin().retain(|id, _| known.contains(id));
        let law = instance.hub.config.load();
        for id in strange.into_iter().take(STRANGE_ROUTES) {
            self.remember_with(id, now, law.law());
        }
    }

    /// Remembers what is said about a route that does not exist here.
    pub(crate) fn remember(&self, id: RouteId, now: Timestamp, law: &LawConfig) {
        if self.strange.len() < STRANGE_ROUTES {
            self.remember_with(id, now, law);
        }
    }

    fn remember_with(&self, id: RouteId, now: Timestamp, law: &LawConfig) {
        let mut reports = Vec::new();
        self.peers.reports(id, now, &mut reports);
        if !reports.iter().any(Report::complains) {
            self.strange.pin().remove(&id);
            return;
        }
        let mut votes = vec![Ohms::ZERO; reports.len() + 1];
        let word = Word::gather(&reports, &STRANGER, &mut votes, law);
        self.strange.pin().insert(id, word);
    }
}
