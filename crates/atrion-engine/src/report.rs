//! Reports: what a route is doing, for people and dashboards to look at.

use std::sync::Arc;
use std::time::Duration;

use atrion_core::breaker::Decision;
use atrion_core::flow::Priority;
use atrion_core::law::{BreakerMode, Gate, Phase, WALL_OHMS};
use atrion_core::math;
use atrion_core::time::Timestamp;
use atrion_core::units::Volts;

use crate::cell::{Cell, Counts, Force, Snapshot};
use crate::hub::Hub;
use crate::instance::{Atrion, Instance, new_cell};
use crate::registry::{Found, Resting};
use crate::route::Route;
use crate::shed::Parts;
use crate::tally::Tally;

/// A manual override, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Forced {
    /// What it does.
    pub force: Force,
    /// When it ends, on the instance's clock.
    pub until: Timestamp,
}

/// Everything there is to see of a route at one moment: a copy, whose taking changes no decision.
///
/// Unlike [`Route::explain`] it does not bring the route up to date first: it says what the next
/// request would find published. All points in time are on the instance's clock.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct RouteReport {
    /// The route's name.
    pub name: Arc<str>,
    /// When the report was made.
    pub at: Timestamp,
    /// Nobody has a handle on the route or has used it for a while: what is said is what it knew
    /// when it came to rest.
    pub resting: bool,
    /// The breaker's mode.
    pub mode: BreakerMode,
    /// The route holds its requests back because of what other nodes say.
    pub held: bool,
    /// The route decides, and admits everything.
    pub shadow: bool,
    /// Requests take longer than they do without a queue.
    pub congested: bool,
    /// The manual override, if there is one.
    pub forced: Option<Forced>,
    /// The parts of the resistance that the next arrival would meet, in ohms.
    pub parts: Parts,
    /// R: their sum, in ohms, up to [`WALL_OHMS`].
    pub resistance: f64,
    /// This node's own scar, in ohms, whatever [`parts`](Self::parts) make of it together with what
    /// other nodes say.
    pub own_scar: f64,
    /// What reported telemetry says, part by part; `None` if nobody reports.
    pub reported: Option<Decision>,
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
    /// M of the reported telemetry, per second; zero if nobody reports.
    pub momentum: f64,
    /// What arrivals compare with.
    pub gate: Gate,
    /// v_g: the traffic's mean voltage; zero before the first request.
    pub ground_volts: f64,
    /// Requests in flight up to which the traffic's mean voltage passes, as far as saturation and
    /// scars go. For other voltages see [`limit_for`](Self::limit_for).
    pub limit: f64,
    /// When the next probe may pass; `None` unless only probes do.
    pub next_probe: Option<Timestamp>,
    /// The route's counters.
    pub counts: Counts,
    /// What was admitted and refused by tier; `None` unless it is
    /// [asked for](crate::Builder::tally).
    pub tally: Option<Tally>,
    /// For how long no request has ended, or the route has existed without any; of a resting one
    /// the least that it can be.
    pub idle_for: Duration,
}

impl RouteReport {
    /// Requests in flight up to which this voltage passes, as far as saturation and scars go: an
    /// open, held or forced route does not ask.
    pub fn limit_for(&self, v: impl Into<Volts>) -> f64 {
        self.gate.limit(v.into().get(), self.ground())
    }

    fn ground(&self) -> f64 {
        if self.ground_volts > 0.0 { self.ground_volts } else { Priority::default().volts().get() }
    }
}

/// What a report has from elsewhere than the cell.
struct Besides {
    name: Arc<str>,
    resting: bool,
    /// Time that the route was idle before what its cell remembers, s.
    idle_secs: f64,
    tally: Option<Tally>,
}

fn put_together(cell: &Cell, besides: Besides, hub: &Hub) -> RouteReport {
    let at = hub.now();
    let config = hub.config.load();
    let seen: Snapshot = cell.snapshot();
    let process = hub.process.as_ref().map_or(0.0, Cell::added_to_routes);
    let parts = Parts { process, ..seen.parts };
    let forced = seen.forced.filter(|(_, until)| at < *until);
    let physics = config.physics();
    let momentum = seen.reported.map_or(0.0, |state| state.momentum(at, physics).get());
    let mut report = RouteReport {
        name: besides.name,
        at,
        resting: besides.resting,
        mode: seen.mode,
        held: seen.held,
        shadow: seen.shadow,
        congested: seen.congested,
        forced: forced.map(|(force, until)| Forced { force, until }),
        resistance: math::min(parts.total(), WALL_OHMS),
        parts,
        own_scar: seen.own_scar,
        momentum,
        reported: seen.reported.map(|state| state.decision(at, physics)),
        phase: seen.phase,
        parallelism: seen.parallelism,
        service_secs: seen.service_secs,
        capacity_rate: seen.capacity_rate,
        error_rate: seen.error_rate,
        gate: seen.gate,
        ground_volts: seen.ground_volts,
        limit: 0.0,
        next_probe: seen.next_probe,
        counts: seen.counts,
        tally: besides.tally,
        idle_for: at
            .since(seen.last_done)
            .saturating_add(Duration::from_secs_f64(besides.idle_secs)),
    };
    report.limit = report.gate.limit(report.ground(), report.ground());
    report
}

impl Route {
    /// What the route is doing: a copy, whose taking changes no decision. May wait for the length
    /// of a tick; not meant for the request path.
    pub fn report(&self) -> RouteReport {
        let besides = Besides {
            name: Arc::clone(&self.0.name),
            resting: false,
            idle_secs: 0.0,
            tally: self.tally(),
        };
        put_together(&self.0.cell, besides, &self.0.hub)
    }

    /// What was admitted and refused by tier; `None` unless it is
    /// [asked for](crate::Builder::tally).
    pub fn tally(&self) -> Option<Tally> {
        let tallies = self.0.tallies.as_ref().filter(|_| self.0.hub.watching.tally)?;
        Some(tallies.read(self.0.cell.lanes()))
    }
}

impl Instance {
    fn report_of(&self, found: &Found<'_>) -> RouteReport {
        match *found {
            Found::Awake(route) => route.report(),
            Found::Resting(name, rest) => self.report_at_rest(name, rest),
        }
    }

    /// The route is not woken: this is a copy of it, made for the occasion.
    fn report_at_rest(&self, name: &Arc<str>, rest: &Resting) -> RouteReport {
        let config = self.hub.config.load();
        let cell = new_cell(&self.hub, Some(rest), &config);
        let besides = Besides {
            name: Arc::clone(name),
            resting: true,
            idle_secs: config.route_idle_secs(),
            tally: self.hub.watching.tally.then(|| rest.tally.tally()),
        };
        put_together(&cell, besides, &self.hub)
    }
}

impl Atrion {
    /// What the route of this name is doing; `None` if there is none. Makes no route, wakes none
    /// and changes no decision.
    ///
    /// ```
    /// use atrion_core::flow::Priority;
    /// use atrion_engine::Atrion;
    ///
    /// let atrion = Atrion::builder().tally(true).build()?;
    /// let route = atrion.route("api/checkout");
    /// if let Ok(permit) = route.admit(Priority::High) {
    ///     permit.success();
    /// }
    /// let report = atrion.report("api/checkout").expect("it exists");
    /// assert_eq!(report.counts.completed, 1);
    /// assert_eq!(report.tally.expect("asked for").admitted(Priority::High), 1);
    /// assert!(atrion.report("api/chekcout").is_none());
    /// # Ok::<(), atrion_engine::BuildError>(())
    /// ```
    pub fn report(&self, name: &str) -> Option<RouteReport> {
        let instance = self.instance();
        let known = instance.registry.look(name, |found| instance.report_of(&found));
        let overflow = self.overflow_route();
        known.or_else(|| (overflow.name() == name).then(|| overflow.report()))
    }

    /// Calls `f` with a report of every route, the [overflow route](Self::overflow_route) first and
    /// those [at rest](crate::Stats::resting) included.
    ///
    /// Nothing is collected and no lock is held while `f` runs, so it may take its time, and may use
    /// the instance. A route waits for `f` at no time; the reports of later routes are made later.
    /// Makes no route, wakes none and changes no decision. A route that comes to rest or wakes up
    /// during the visit may be met twice.
    pub fn visit_reports(&self, mut f: impl FnMut(RouteReport)) {
        f(self.overflow_route().report());
        let instance = self.instance();
        instance.registry.visit(|found| f(instance.report_of(&found)));
    }
}
