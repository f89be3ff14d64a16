//! The engine's side of the pulse: what changed is handed to the provider, what the provider
//! remembers is taken back.

use std::mem;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use atrion_core::time::Timestamp;
use atrion_core::units::{Evidence, PerSecond};
use atrion_core::vector::{PhysicsVector, Stance};
use atrion_state::clock::Clock;
use atrion_state::provider::RouteVector;
use atrion_state::pulse::{Collector, PulseEvent, PulseSource};

use crate::cell::Env;
use crate::hub::Hub;
use crate::instance::Instance;
use crate::observer::Event;
use crate::route::{Route, RouteState, ohms};

/// A scar below this is healed for all purposes, in ohms.
const HEALED_OHMS: f64 = 1e-4;

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
    /// Routes whose scars are healing: they change without traffic.
    healing: Mutex<Vec<Weak<RouteState>>>,
}

impl Shared {
    pub(crate) fn new(instance: Arc<Instance>) -> Self {
        instance.hub.share();
        Self { instance, healing: Mutex::new(Vec::new()) }
    }

    fn healing(&self) -> std::sync::MutexGuard<'_, Vec<Weak<RouteState>>> {
        self.healing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports one route; `false` if there was no room and it stays marked.
    fn report(&self, route: &Route, changes: &mut Collector<'_>) -> bool {
        route.tick();
        // The mark goes first: a change from here on marks the route again, one before is seen.
        route.clear_mark();
        let vector = route.vector();
        let taken = changes.push(&route.0.name, vector);
        if !taken {
            route.mark();
        } else if vector.scar_tissue.get() > HEALED_OHMS {
            self.healing().push(Arc::downgrade(&route.0));
        }
        taken
    }
}

impl PulseSource for Shared {
    /// Visits the routes that changed and those that heal, not all routes; all of them only
    /// after a connection, or if more changed at once than could be noted.
    fn collect(&self, _: Timestamp, changes: &mut Collector<'_>) {
        let hub = &self.instance.hub;
        hub.refill();
        if changes.wants_all() || hub.take_overflow() {
            let mut fits = true;
            self.instance.registry.for_each(|route| {
                if route.vector().evidence.get() > 0.0 {
                    fits &= self.report(route, changes);
                }
            });
            if !fits {
                hub.note_overflow();
            }
            return;
        }
        // Ticking marks what has changed by then; the marked ones are reported below.
        for route in mem::take(&mut *self.healing()) {
            if let Some(state) = route.upgrade() {
                let route = Route(state);
                route.tick();
                route.mark();
            }
        }
        while changes.room() > 0 {
            let Some(route) = hub.take_changed() else { break };
            if let Some(state) = route.upgrade() {
                self.report(&Route(state), changes);
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

    fn on_event(&self, event: &PulseEvent) {
        self.instance.hub.tell(Event::Pulse(event.clone()));
    }
}

impl Route {
    /// The route's state as it is shared: own observation only, nothing heard from others.
    pub fn vector(&self) -> PhysicsVector {
        let now = self.0.hub.now();
        let (parts, scar, evidence) = self.with_law(|law| self.0.cell.observation(law));
        PhysicsVector {
            resistance: ohms(parts.total()),
            momentum: PerSecond::ZERO,
            scar_tissue: ohms(scar),
            timestamp: now,
            evidence: Evidence::try_new(evidence).unwrap_or(Evidence::ZERO),
            demand: PerSecond::ZERO,
            stance: Stance { open: self.is_open(), ..Stance::CALM },
        }
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
}
