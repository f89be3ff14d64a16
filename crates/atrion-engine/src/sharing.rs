//! The engine's side of the pulse: what changed is handed to the provider, what the provider
//! remembers is taken back, and what other nodes say is heard.

use std::collections::HashSet;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use atrion_core::merge::Report;
use atrion_core::time::Timestamp;
use atrion_core::units::Ohms;
use atrion_core::vector::PhysicsVector;
use atrion_state::clock::Clock;
use atrion_state::provider::{RemoteVector, RouteVector};
use atrion_state::pulse::{Collector, PulseEvent, PulseSource};

use crate::cell::{HEALED_OHMS, Heard};
use crate::hub::Hub;
use crate::instance::Instance;
use crate::neighbours::Neighbours;
use crate::observer::{Event, Interest};
use crate::route::{Route, RouteState};

/// Routes that one pulse looks at for some that may rest.
const REST_LOOKS: usize = 256;

/// The instance's clock, lent to the pulse.
#[derive(Debug)]
pub(crate) struct HubClock(pub(crate) Arc<Hub>);

impl Clock for HubClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// The routes of one instance, as the pulse sees them.
pub(crate) struct Shared {
    instance: Arc<Instance>,
    visits: Mutex<Visits>,
}

/// What only the pulse touches.
#[derive(Default)]
struct Visits {
    /// Routes whose state moves without traffic, or about which others complain. Weak, so that
    /// they can be evicted.
    restless: Vec<Weak<RouteState>>,
    /// Scratch space.
    reports: Vec<Report>,
    votes: Vec<Ohms>,
}

impl Shared {
    pub(crate) fn new(instance: Arc<Instance>) -> Self {
        instance.hub.share();
        Self { instance, visits: Mutex::new(Visits::default()) }
    }

    fn visits(&self) -> MutexGuard<'_, Visits> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn neighbours(&self) -> Option<&Neighbours> {
        self.instance.hub.neighbours.get()
    }

    /// Reports every route that has seen anything; the store may know nothing.
    fn report_all(&self, visits: &mut Visits, now: Timestamp, changes: &mut Collector<'_>) {
        let mut fits = true;
        self.instance.registry.for_each(|route| {
            if route.vector().evidence.get() > 0.0 {
                fits &= self.report(route, visits, now, changes);
            }
        });
        if !fits {
            self.instance.hub.note_overflow();
        }
    }

    /// Brings one route up to date, with what others say of it, and reports it. `false` if there
    /// was no room and it stays marked.
    fn report(
        &self,
        route: &Route,
        visits: &mut Visits,
        now: Timestamp,
        changes: &mut Collector<'_>,
    ) -> bool {
        self.hear(route, visits, now);
        // The mark goes first: a change from here on marks the route again, one before is seen.
        route.clear_mark();
        let (vector, restless) = route.observation();
        let taken = changes.push(&route.0.name, vector);
        if !taken {
            route.mark();
        } else if restless {
            visits.restless.push(Arc::downgrade(&route.0));
        }
        taken
    }

    /// Lets the route hear what others say of it, if there are others.
    fn hear(&self, route: &Route, visits: &mut Visits, now: Timestamp) {
        let Some(neighbours) = self.neighbours() else {
            return route.tick();
        };
        visits.reports.clear();
        neighbours.reports(&route.0.name, now, &mut visits.reports);
        let heard = Heard { reports: &visits.reports, gamma: neighbours.gamma() };
        route.0.cell.hear(&heard, &mut visits.votes, now, route);
    }

    /// The routes to visit: those that were restless before, and those that others complain about.
    fn to_visit(&self, visits: &mut Visits, now: Timestamp) -> Vec<Route> {
        let restless = std::mem::take(&mut visits.restless);
        let mut routes: Vec<Route> = restless.iter().filter_map(Weak::upgrade).map(Route).collect();
        if let Some(neighbours) = self.neighbours() {
            neighbours.complaints(&self.instance, now, &mut routes);
        }
        let mut seen = HashSet::with_capacity(routes.len());
        routes.retain(|route| seen.insert(Arc::as_ptr(&route.0)));
        routes
    }
}

impl PulseSource for Shared {
    /// Visits the routes that changed, those that heal and those that others complain about, not
    /// all routes; all of them only after a connection, or if more changed at once than could be
    /// noted.
    fn collect(&self, now: Timestamp, changes: &mut Collector<'_>) {
        let hub = &self.instance.hub;
        hub.refill();
        self.instance.registry.rest_idle(&hub.config.load(), now, REST_LOOKS);
        let mut visits = self.visits();
        let visits = &mut *visits;
        if let Some(neighbours) = self.neighbours() {
            neighbours.meet_new_routes(&self.instance);
            while let Some(notice) = neighbours.next_notice() {
                hub.tell(Interest::CLUSTER, || Event::Cluster(notice));
            }
        }
        if changes.wants_all() || hub.take_overflow() {
            // The restless ones stay on their list: a held route has seen nothing to report.
            return self.report_all(visits, now, changes);
        }
        for route in self.to_visit(visits, now) {
            self.report(&route, visits, now, changes);
        }
        while changes.room() > 0 {
            let Some(route) = hub.take_changed() else { break };
            if let Some(state) = route.upgrade() {
                let route = Route(state);
                if route.is_marked() {
                    self.report(&route, visits, now, changes);
                }
            }
        }
    }

    /// Restores scars, healed by the time since they were written. A route that has already seen
    /// traffic knows better and keeps its own.
    fn warm_start(&self, vectors: Vec<RouteVector>, now: Timestamp) {
        for RouteVector { route, vector } in vectors {
            if vector.scar_tissue.get() > HEALED_OHMS
                && let Ok(route) = self.instance.try_route(&route)
            {
                route.restore(&vector, now);
            }
        }
    }

    /// Somebody said something about a route: whoever has it hears of it at once, not only at
    /// the next pulse.
    fn apply_remote(&self, remote: &RemoteVector, now: Timestamp) {
        let Some(neighbours) = self.neighbours() else { return };
        let mut visits = self.visits();
        let visits = &mut *visits;
        let Some(route) = self.instance.registry.peek(&remote.route) else {
            let config = self.instance.hub.config.load();
            return neighbours.remember(neighbours.route_id(&remote.route), now, config.law());
        };
        let is_visited = route.0.cell.is_hearing();
        if is_visited || neighbours.is_complained_about(&route, now, &mut visits.reports) {
            self.hear(&route, visits, now);
        }
        if !is_visited && route.0.cell.is_hearing() {
            visits.restless.push(Arc::downgrade(&route.0));
        }
    }

    fn on_event(&self, event: &PulseEvent) {
        self.instance.hub.tell(Interest::CLUSTER, || Event::Pulse(event.clone()));
    }
}

impl Route {
    /// The route's state as it is shared: own observation only, nothing heard from others.
    pub fn vector(&self) -> PhysicsVector {
        self.observation().0
    }

    fn observation(&self) -> (PhysicsVector, bool) {
        let now = self.0.hub.now();
        let config = self.0.hub.config.load();
        self.0.cell.vector(now, config.law())
    }

    fn restore(&self, vector: &PhysicsVector, now: Timestamp) {
        let age = now.secs_since(vector.timestamp);
        self.change(|inner, now, law| {
            let breaker = inner.element.breaker_mut();
            if breaker.evidence(law) <= 0.0 {
                let healed = atrion_core::math::decay(law.healing_per_sec(), age);
                breaker.restore_scar(vector.scar_tissue.get() * healed, now, law);
            }
        });
        self.mark();
    }

    /// Notes that the shared state changed.
    pub(crate) fn mark(&self) {
        if self.0.hub.is_shared() && !self.0.marked.swap(true, AcqRel) {
            self.0.hub.note_changed(Arc::downgrade(&self.0));
        }
    }

    fn clear_mark(&self) {
        self.0.marked.swap(false, AcqRel);
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.0.marked.load(std::sync::atomic::Ordering::Acquire)
    }
}
