//! The other side of the pulse: whoever has the state.

use std::sync::Arc;

use atrion_core::time::Timestamp;
use atrion_core::vector::PhysicsVector;

use super::Pulse;
use super::event::PulseEvent;
use crate::provider::{RemoteVector, RouteVector};

/// What the pulse visits: the engine, or a [`StateManager`](crate::manager::StateManager).
///
/// All methods are called by whoever drives the pulse, one at a time, never from the request
/// path. They must not block. A panic in one of them is caught by the driver and counted.
pub trait PulseSource: Send + Sync + 'static {
    /// The *compute* step of a pulse: let idle routes decay, evict, and hand every route that
    /// changed since the last pulse to `changes`.
    ///
    /// A route that [`Collector::push`] refuses stays the source's to report again. If
    /// [`Collector::wants_all`], the store may have lost what it knew, and every route worth
    /// sharing should be reported, changed or not.
    fn collect(&self, now: Timestamp, changes: &mut Collector<'_>);

    /// What the store held when the provider was first connected. Own state that is newer stays.
    /// Does nothing unless overridden.
    fn warm_start(&self, vectors: Vec<RouteVector>, now: Timestamp) {
        let _ = (vectors, now);
    }

    /// What the other nodes say about a route, newer than what was said before. Does nothing
    /// unless overridden.
    fn apply_remote(&self, remote: &RemoteVector, now: Timestamp) {
        let _ = (remote, now);
    }

    /// Something worth telling an operator. Does nothing unless overridden.
    fn on_event(&self, event: &PulseEvent) {
        let _ = event;
    }
}

impl<S: PulseSource + ?Sized> PulseSource for Arc<S> {
    fn collect(&self, now: Timestamp, changes: &mut Collector<'_>) {
        S::collect(self, now, changes);
    }

    fn warm_start(&self, vectors: Vec<RouteVector>, now: Timestamp) {
        S::warm_start(self, vectors, now);
    }

    fn apply_remote(&self, remote: &RemoteVector, now: Timestamp) {
        S::apply_remote(self, remote, now);
    }

    fn on_event(&self, event: &PulseEvent) {
        S::on_event(self, event);
    }
}

/// Where a [`PulseSource`] puts its changes.
#[derive(Debug)]
pub struct Collector<'a> {
    pulse: &'a mut Pulse,
    wants_all: bool,
}

impl<'a> Collector<'a> {
    pub(super) fn new(pulse: &'a mut Pulse, wants_all: bool) -> Self {
        Self { pulse, wants_all }
    }

    /// Hands over the present vector of a route. `false` if the buffer is full: keep the route
    /// marked and report it at the next pulse. A vector of a route that already waits is always
    /// taken.
    pub fn push(&mut self, route: &Arc<str>, vector: PhysicsVector) -> bool {
        self.pulse.handle_change(route, vector)
    }

    /// The route was evicted: what waits of it is not sent any more.
    pub fn forget(&mut self, route: &str) {
        self.pulse.handle_forget(route);
    }

    /// How many more routes fit at the moment.
    pub fn room(&self) -> usize {
        self.pulse.room()
    }

    /// Whether every route should be reported, changed or not: after each connection.
    pub fn wants_all(&self) -> bool {
        self.wants_all
    }
}
