//! The element of the whole process, in series with those of its routes.

use atrion_core::breaker::RouteState as Reported;
use atrion_core::law::{BreakerMode, LawConfig, Phase};
use atrion_core::time::Timestamp;
use atrion_core::units::{Ohms, Volts};

use crate::cell::{Cell, Env, Refusal, Ticket};
use crate::hub::Hub;
use crate::lanes::Lanes;
use crate::permit::Outcome;
use crate::route::{Route, ohms};
use crate::shed::{Parts, Reason, Shed};

/// What the process's cell needs from outside. Nobody is told of it by itself: what it does shows
/// in the refusals of the routes.
struct Surroundings<'h>(&'h Hub);

impl Env for Surroundings<'_> {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn with_law<R>(&self, f: impl FnOnce(&LawConfig) -> R) -> R {
        f(self.0.config.load().law())
    }

    fn stress(&self, _: &Reported, _: Timestamp) -> f64 {
        0.0
    }

    fn draw(&self) -> f64 {
        self.0.draw()
    }

    fn scar_changed(&self) {}

    fn lanes(&self) -> Option<Lanes> {
        None
    }

    fn mode_changed(&self, _: BreakerMode, _: Timestamp) {}

    fn held_changed(&self, _: bool, _: Timestamp) {}

    fn shared_secs(&self) -> Option<f64> {
        None
    }

    fn ticked(&self, _: Timestamp) {}

    fn shadowed(&self, _: f64, _: &Refusal) {}
}

/// What the process's element has learned.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProcessCircuit {
    /// Requests in flight on all routes together.
    pub in_flight: u32,
    /// What it adds to the resistance that the next arrival meets on its route.
    pub resistance: Ohms,
    /// Whether it knows the process yet.
    pub phase: Phase,
    /// C: how many requests the process works on at once, as learned.
    pub parallelism: Option<f64>,
    /// R0: mean latency without a queue over all routes, in seconds, as learned.
    pub service_secs: Option<f64>,
    /// X: the highest throughput that the process has shown, per second.
    pub capacity_rate: Option<f64>,
    /// Whether requests take longer than their routes take without a queue.
    pub congested: bool,
}

impl Hub {
    pub(crate) fn tick_process(&self) {
        if let Some(process) = &self.process {
            process.tick(self.now(), &Surroundings(self));
        }
    }

    /// After a change of the configuration.
    pub(crate) fn republish_process(&self) {
        if let Some(process) = &self.process {
            process.publish(&process.inner(), 0, self.config.load().law());
        }
    }

    pub(crate) fn process_circuit(&self) -> Option<ProcessCircuit> {
        self.tick_process();
        let process = self.process.as_ref()?;
        let resistance = ohms(process.added_to_routes());
        let inner = process.inner();
        let element = &inner.element;
        Some(ProcessCircuit {
            in_flight: process.counts().in_flight,
            resistance,
            phase: element.phase(),
            parallelism: element.parallelism(),
            service_secs: element.service_secs(),
            capacity_rate: element.capacity_rate(),
            congested: element.is_congested(),
        })
    }
}

impl Route {
    /// A request that the route has admitted asks the process.
    #[inline(never)]
    pub(crate) fn join(&self, volts: Volts, ticket: Ticket) -> Result<Ticket, Shed> {
        let Some(process) = &self.0.hub.process else { return Ok(ticket) };
        let cell = &self.0.cell;
        if cell.insists(ticket) {
            return Ok(process.join_anyway(ticket));
        }
        let env = Surroundings(&self.0.hub);
        let short = match process.join(ticket, volts.get(), cell, &env) {
            Ok(ticket) => return Ok(ticket),
            Err(short) => short,
        };
        let mut parts = cell.parts_met(ticket);
        parts.process = short.ohms;
        let refusal = Refusal { reason: Reason::Saturated, parts, wait_secs: short.wait_secs };
        if cell.is_shadowed() {
            cell.count_shadowed();
            self.shadowed(volts.get(), &refusal);
            return Ok(process.join_anyway(ticket.shadowed(refusal.reason)));
        }
        cell.take_back(ticket);
        Err(self.shed(volts, &refusal))
    }

    /// A request that the process took in is over.
    #[inline(never)]
    pub(crate) fn part(&self, ticket: Ticket, outcome: Outcome) {
        let Some(process) = &self.0.hub.process else { return };
        let env = Surroundings(&self.0.hub);
        match outcome {
            Outcome::Success => process.part(ticket, &self.0.cell, &env),
            Outcome::Failure | Outcome::Cancelled => process.part_unjudged(ticket, &env),
        }
    }

    /// Whether the process would let `volts` flow that the route lets flow.
    #[cold]
    pub(crate) fn would_join(&self, volts: f64) -> bool {
        let cell = &self.0.cell;
        cell.is_forced_closed()
            || cell.is_shadowed()
            || self
                .0
                .hub
                .process
                .as_ref()
                .is_none_or(|process| process.would_join(volts, cell.resistance()).is_ok())
    }

    /// Adds what the process would say to what the route would.
    pub(crate) fn add_process(
        &self,
        voltage: Volts,
        parts: &mut Parts,
        refusal: &mut Option<Refusal>,
    ) {
        let Some(process) = &self.0.hub.process else { return };
        let route_ohms = parts.total();
        parts.process = process.added_to_routes();
        if refusal.is_some() || self.0.cell.is_forced_closed() {
            return;
        }
        if let Err(short) = process.would_join(voltage.get(), route_ohms) {
            parts.process = short.ohms;
            let wait_secs = short.wait_secs;
            *refusal = Some(Refusal { reason: Reason::Saturated, parts: *parts, wait_secs });
        }
    }

    /// Ohms of the process for the next arrival.
    pub(crate) fn process_ohms(&self) -> f64 {
        self.0.hub.process.as_ref().map_or(0.0, Cell::added_to_routes)
    }
}
