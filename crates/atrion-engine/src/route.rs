//! Route handles.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use atrion_core::breaker::{Decision, Mode, RouteState as Reported};
use atrion_core::law::{BreakerMode, LawConfig, Phase, WALL_OHMS, Word};
use atrion_core::math;
use atrion_core::telemetry::Telemetry;
use atrion_core::time::Timestamp;
use atrion_core::units::{Ohms, UnitInterval, Volts};

use crate::cell::{Calm, Cell, Counts, Env, Force, Refusal, Ticket};
use crate::hub::Hub;
use crate::lanes::Lanes;
use crate::observer::{Event, Interest};
use crate::permit::{Outcome, OwnedPermit, Permit};
use crate::shed::{Parts, Reason, Shed};
use crate::tally::Tallies;
use crate::tap::Influence;

/// Bounds of a retry hint.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(60));
/// A hint is stretched by up to this fraction, at random.
const RETRY_JITTER: f64 = 0.5;

/// A handle on one route: cheap to clone, to share and to keep. Resolve it once, use it for every
/// request. While a handle exists its route is never evicted.
#[derive(Clone)]
pub struct Route(pub(crate) Arc<RouteState>);

pub(crate) struct RouteState {
    pub(crate) cell: Cell,
    pub(crate) name: Arc<str>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) created: Timestamp,
    /// Looked up since the eviction hand last passed.
    pub(crate) referenced: AtomicBool,
    /// Being forgotten: whoever finds it now looks again.
    pub(crate) evicted: AtomicBool,
    /// Noted as changed for the next pulse.
    pub(crate) marked: AtomicBool,
    /// Whether a refusal was told since the last tick.
    pub(crate) shed_told: AtomicBool,
    /// What was admitted and refused by tier, if somebody counts.
    pub(crate) tallies: Option<Box<Tallies>>,
    /// Whether it is recorded, and as what.
    #[cfg(feature = "trace")]
    pub(crate) tap: crate::tap::Tap,
}

impl Env for Route {
    #[inline]
    fn now(&self) -> Timestamp {
        self.0.hub.now()
    }

    fn with_law<R>(&self, f: impl FnOnce(&LawConfig) -> R) -> R {
        f(self.0.hub.config.load().law())
    }

    fn stress(&self, reported: &Reported, now: Timestamp) -> f64 {
        let config = self.0.hub.config.load();
        let decision = reported.decision(now, config.physics());
        if decision.mode == Mode::CircuitBreaker {
            return WALL_OHMS;
        }
        math::max(decision.resistance().get() - config.physics().base_ohms(), 0.0)
    }

    fn draw(&self) -> f64 {
        self.0.hub.draw()
    }

    fn scar_changed(&self) {
        self.mark();
    }

    fn lanes(&self) -> Option<Lanes> {
        self.0.hub.lanes.pop()
    }

    fn mode_changed(&self, mode: BreakerMode, at: Timestamp) {
        self.tap_influence(Influence::Mode(mode), at);
        let event = || Event::ModeChanged { route: self.clone(), mode, at };
        self.0.hub.tell(Interest::MODES, event);
    }

    fn held_changed(&self, held: bool, at: Timestamp) {
        self.tap_influence(Influence::Held(held), at);
        self.mark();
        self.0.hub.tell(Interest::MODES, || Event::Held { route: self.clone(), held, at });
    }

    fn shared_secs(&self) -> Option<f64> {
        self.0.hub.process.as_ref()?.service_secs()
    }

    fn ticked(&self, at: Timestamp) {
        // Read first, so that a route that refuses nobody is left in its cache line.
        if self.0.shed_told.load(Relaxed) {
            self.0.shed_told.store(false, Relaxed);
        }
        self.0.hub.tell(Interest::TICKS, || Event::Ticked { route: self.clone(), at });
    }

    fn after_tick(&self, now: Timestamp) {
        self.0.hub.leases.reap(now);
    }

    fn shadowed(&self, volts: f64, refusal: &Refusal) {
        if self.0.hub.relays.want(Interest::SHEDS | Interest::FIRST_SHEDS) {
            let voltage = Volts::try_new(volts).unwrap_or(Volts::ZERO);
            self.tell_shed(self.dress(voltage, refusal), true);
        }
    }
}

/// What a route would say to a voltage, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Explanation {
    /// The voltage asked about.
    pub voltage: Volts,
    /// The refusal it would get; `None` if it would flow.
    pub refusal: Option<Shed>,
    /// What the resistance is made of.
    pub parts: Parts,
    /// The breaker's mode.
    pub mode: BreakerMode,
    /// Whether the route knows its service yet.
    pub phase: Phase,
    /// C: how many requests the service works on at once, as learned.
    pub parallelism: Option<f64>,
    /// R0: latency without a queue, in seconds, as learned.
    pub service_secs: Option<f64>,
    /// X: the highest throughput the service has shown, per second.
    pub capacity_rate: Option<f64>,
    /// Moving error rate, 0 to 1.
    pub error_rate: f64,
    /// What reported telemetry says, part by part; `None` if nobody reports.
    pub reported: Option<Decision>,
    /// Counters of the route.
    pub counts: Counts,
}

impl Route {
    /// The name it was resolved by, or that of the overflow route.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Asks for leave to do work of priority or voltage `v`.
    ///
    /// Compares the voltage with the resistance as of this very arrival. Takes a few atomic
    /// operations; never waits, never allocates, does no I/O.
    ///
    /// # Errors
    /// [`Shed`] if the voltage does not overcome the resistance, with the reason, the parts of
    /// the resistance and when to retry.
    #[inline]
    pub fn admit(&self, v: impl Into<Volts>) -> Result<Permit<'_>, Shed> {
        let v = v.into();
        self.admitted(v).map(|ticket| Permit::new(self, ticket))
    }

    /// Like [`admit`](Self::admit), with a permit that can be moved anywhere.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    #[inline]
    pub fn admit_owned(&self, v: impl Into<Volts>) -> Result<OwnedPermit, Shed> {
        let v = v.into();
        self.admitted(v).map(|ticket| OwnedPermit::new(self.clone(), ticket))
    }

    #[inline]
    pub(crate) fn admitted(&self, v: Volts) -> Result<Ticket, Shed> {
        let cell = &self.0.cell;
        let ticket = match cell.admit_calm(v.get()) {
            Calm::Counted(ticket) => ticket,
            Calm::Measured { in_flight, place } => cell.measure(v.get(), in_flight, place, self),
            Calm::Not => self.admit_slow(v)?,
        };
        let ticket = if ticket.is_plain() { ticket } else { self.admitted_with_more(v, ticket)? };
        Ok(self.tap_admitted(v, ticket))
    }

    /// There is more to an admission: the process's element, or somebody who counts.
    #[inline(never)]
    fn admitted_with_more(&self, v: Volts, ticket: Ticket) -> Result<Ticket, Shed> {
        let ticket = if ticket.is_in_series() { self.join(v, ticket)? } else { ticket };
        if let Some(tallies) = &self.0.tallies
            && tallies.admit(v, self.0.cell.lanes())
        {
            self.tell_admitted(v, ticket);
        }
        Ok(ticket)
    }

    #[cold]
    #[inline(never)]
    fn admit_slow(&self, v: Volts) -> Result<Ticket, Shed> {
        self.0.cell.admit_slow(v.get(), self).map_err(|refusal| self.shed(v, &refusal))
    }

    /// R: what the next arrival would have to overcome.
    pub fn resistance(&self) -> Ohms {
        ohms(self.0.cell.resistance() + self.process_ohms())
    }

    /// Whether [`admit`](Self::admit) would grant leave now. Reads the published state and
    /// nothing else: no clock, no permit, no effect. For choosing among routes and for hints;
    /// the decision that counts is `admit`'s.
    #[inline]
    pub fn would_flow(&self, v: impl Into<Volts>) -> bool {
        let volts = v.into().get();
        self.0.cell.would_flow(volts) && (!self.0.cell.has_series() || self.would_join(volts))
    }

    #[cold]
    pub(crate) fn shed(&self, voltage: Volts, refusal: &Refusal) -> Shed {
        let shed = self.dress(voltage, refusal);
        self.tap_refused(&shed);
        self.tell_shed(shed, false);
        if let Some(tallies) = &self.0.tallies
            && tallies.refuse(voltage, refusal.reason)
        {
            self.tell_refused(&shed);
        }
        shed
    }

    fn tell_shed(&self, shed: Shed, shadow: bool) {
        let mut kinds = Interest::SHEDS;
        if !self.0.shed_told.load(Relaxed) && !self.0.shed_told.swap(true, Relaxed) {
            kinds |= Interest::FIRST_SHEDS;
        }
        self.0.hub.tell(kinds, || Event::Shed { route: self.clone(), shed, shadow });
    }

    #[cold]
    fn tell_admitted(&self, voltage: Volts, ticket: Ticket) {
        let reason = ticket.shadow_reason();
        self.0.hub.tell(Interest::DECISIONS, || Event::Decision {
            route: self.clone(),
            voltage,
            admitted: true,
            resistance: ohms(self.0.cell.resistance_met(ticket) + self.process_ohms()),
            reason,
            shadow: reason.is_some(),
            at: ticket.started().unwrap_or_else(|| self.0.hub.now()),
        });
    }

    fn tell_refused(&self, shed: &Shed) {
        self.0.hub.tell(Interest::DECISIONS, || Event::Decision {
            route: self.clone(),
            voltage: shed.voltage,
            admitted: false,
            resistance: shed.resistance(),
            reason: Some(shed.reason),
            shadow: false,
            at: self.0.hub.now(),
        });
    }

    fn dress(&self, voltage: Volts, refusal: &Refusal) -> Shed {
        let secs = refusal.wait_secs * (1.0 + RETRY_JITTER * self.0.hub.draw());
        let wait = Duration::try_from_secs_f64(secs).unwrap_or(RETRY_AFTER.1);
        Shed {
            reason: refusal.reason,
            voltage,
            parts: refusal.parts,
            retry_after: wait.clamp(RETRY_AFTER.0, RETRY_AFTER.1),
        }
    }

    #[inline]
    pub(crate) fn end(&self, ticket: Ticket, outcome: Outcome) {
        self.tap_ended(ticket, outcome);
        if ticket.is_in_series() {
            self.part(ticket, outcome);
        }
        match outcome {
            Outcome::Success => self.0.cell.succeed(ticket, self),
            Outcome::Failure => self.0.cell.fail(ticket, self),
            Outcome::Cancelled => self.0.cell.cancel(ticket, self),
        }
    }

    /// What [`admit`](Self::admit) would say now, with everything behind it. Admits nothing.
    /// May wait for the length of a tick; not meant for the request path.
    pub fn explain(&self, v: impl Into<Volts>) -> Explanation {
        let voltage = v.into();
        self.tick();
        self.0.hub.tick_process();
        let (mut parts, mut refusal) = self.0.cell.peek(voltage.get(), self);
        self.add_process(voltage, &mut parts, &mut refusal);
        let config = self.0.hub.config.load();
        let now = self.0.hub.now();
        let inner = self.0.cell.inner();
        let element = &inner.element;
        Explanation {
            voltage,
            refusal: refusal.map(|r| self.dress(voltage, &r)),
            parts,
            mode: element.breaker().mode(),
            phase: element.phase(),
            parallelism: element.parallelism(),
            service_secs: element.service_secs(),
            capacity_rate: element.capacity_rate(),
            error_rate: element.breaker().error_rate(),
            reported: inner.reported.as_ref().map(|r| r.decision(now, config.physics())),
            counts: self.0.cell.counts(),
        }
    }

    /// Takes in what the caller measured of this route: the way in for those who have telemetry
    /// instead of permits. Answers with mode, resistance and its parts as of now, and with how the
    /// resistance moves until the next report. May wait for the length of a tick.
    ///
    /// - *Report* once per interval, ten times a second or so: saturation (requests in flight over
    ///   those that are worked on at once), [`in_flight`] itself, successes and failures since the
    ///   last report. What shares a pool is reported under one name.
    /// - *Ask* [`Decision::flow_after`] for every request, with the number of requests that passed
    ///   since the report. [`Decision::flow`] knows only the moment of the report: in a surge it
    ///   lets everything through until the next one, and then nothing.
    /// - An open circuit lets [`Decision::probes`] requests look until the next report;
    ///   `flow_after` lets them pass, and what the next reports say decides whether it closes.
    ///   Without them it closes when reports, of a health check say, are good, or with time.
    ///
    /// The longer the interval, the more work may be on its way before anybody knows that the
    /// service has become slower: `docs/simulation.md` has figures beside those of permits, which
    /// need none of this. By default only reported saturation and errors act (see
    /// [`PhysicsConfig`](atrion_core::config::PhysicsConfig)): latency alone cannot tell a slow
    /// dependency from lost capacity. What is reported also weighs on [`admit`](Self::admit), for
    /// as long as it is fresh; there, a circuit that reports opened lets nothing through.
    ///
    /// [`in_flight`]: atrion_core::telemetry::TelemetryBuilder::in_flight
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use atrion_core::{flow::Priority, telemetry::Telemetry};
    /// use atrion_engine::Atrion;
    ///
    /// let atrion = Atrion::builder().build()?;
    /// let pool = atrion.route("db");
    /// // Once per interval: 12 of 16 connections in use, 90 queries done, one of them failed.
    /// let sample = Telemetry::builder().saturation(12.0 / 16.0).in_flight(12).outcomes(89, 1);
    /// let decision = pool.update_physics(&sample.build()?);
    /// # let (mut admitted, since) = (0, Duration::from_millis(3));
    /// // For every request, until the next report:
    /// if decision.flow_after(Priority::Normal, admitted, since).passes() {
    ///     admitted += 1;
    ///     // ... run the query ...
    /// }
    /// # assert_eq!(admitted, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update_physics(&self, sample: &Telemetry) -> Decision {
        let config = self.0.hub.config.load();
        let decision = self.change(|inner, now, _| {
            let physics = config.physics();
            let (state, decision) = match &inner.reported {
                Some(state) => state.report(sample, now, physics),
                None => Reported::new(now, physics).report(sample, now, physics),
            };
            inner.reported = Some(Box::new(state));
            inner.stress_ohms = self.stress(&state, now);
            decision
        });
        self.mark();
        self.tap_influence(Influence::Reported, self.0.hub.now());
        decision
    }

    /// The route's counters.
    pub fn counts(&self) -> Counts {
        self.0.cell.counts()
    }

    /// Whether the breaker is open, so that only probes pass.
    pub fn is_open(&self) -> bool {
        self.0.cell.is_open()
    }

    /// Whether the route holds its requests back because of what other nodes say, so that only
    /// probes pass until it has seen for itself.
    pub fn is_held(&self) -> bool {
        self.0.cell.is_held()
    }

    /// Shadows the route, or ends that: decisions are computed, counted and observable, and
    /// everything is admitted.
    pub fn set_shadow(&self, shadow: bool) {
        self.change(|inner, _, _| inner.shadow = shadow);
        self.tap_influence(Influence::Shadowed, self.0.hub.now());
    }

    /// Opens (refuses everything) or closes (admits everything) the route by hand for `expiry`.
    /// Learning goes on underneath.
    pub fn force(&self, force: Force, expiry: Duration) {
        self.change(|inner, now, _| inner.force = Some((force, now.saturating_add(expiry))));
        self.tap_influence(Influence::Forced, self.0.hub.now());
    }

    /// Ends a manual override before its expiry.
    pub fn release(&self) {
        self.change(|inner, _, _| inner.force = None);
        self.tap_influence(Influence::Forced, self.0.hub.now());
    }

    /// Forgets scars, breaker, override and everything learned, as if the route were new.
    /// Work in flight stays counted.
    pub fn reset(&self) {
        let config = self.0.hub.config.load();
        self.0.cell.reset(self.0.hub.now(), config.law());
        self.tap_influence(Influence::Reset, self.0.hub.now());
    }

    /// Changes the locked state and publishes it. May wait for the length of a tick.
    pub(crate) fn change<T>(
        &self,
        f: impl FnOnce(&mut crate::cell::Inner, Timestamp, &LawConfig) -> T,
    ) -> T {
        let now = self.0.hub.now();
        let config = self.0.hub.config.load();
        let mut inner = self.0.cell.inner();
        let out = f(&mut inner, now, config.law());
        self.0.cell.publish(&inner, 0, config.law());
        out
    }

    /// What others say about this new route.
    pub(crate) fn hear_first(&self, word: &Word, gamma: UnitInterval) {
        self.0.cell.hear_first(word, gamma, self.0.hub.now(), self);
    }

    /// Brings the state up to date if that is due.
    pub(crate) fn tick_if_due(&self) {
        let now = self.0.hub.now();
        if self.0.cell.is_due(now) {
            self.0.cell.tick(now, self);
        }
    }

    /// Whether the breaker is open and its next probe is due.
    pub(crate) fn wants_probe(&self) -> bool {
        self.0.cell.wants_probe(self.0.hub.now())
    }

    /// Brings the state up to date without traffic: decay, expiry of overrides.
    pub(crate) fn tick(&self) {
        self.0.cell.tick(self.0.hub.now(), self);
    }
}

impl Explanation {
    /// Whether the voltage would flow.
    pub const fn flows(&self) -> bool {
        self.refusal.is_none()
    }

    /// The reason of the refusal.
    pub fn reason(&self) -> Option<Reason> {
        self.refusal.map(|shed| shed.reason)
    }
}

/// Two handles are equal if they are handles on the same route of the same instance.
impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Route {}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// A computed resistance as a quantity. It is finite and not negative by construction; should it
/// ever not be, it is the wall, never nothing.
pub(crate) fn ohms(computed: f64) -> Ohms {
    const WALL: u32 = WALL_OHMS as u32;
    Ohms::try_new(computed).unwrap_or(Ohms::from(WALL))
}
