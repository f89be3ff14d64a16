//! The instance: one per process, usually.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use atrion_core::breaker::Decision;
use atrion_core::error::OutOfRange;
use atrion_core::telemetry::Telemetry;
use atrion_core::units::Volts;
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::provider::{
    Health, License, LicensePolicy, LicenseRefused, LicenseSource, Node, ProviderError,
    StateProvider, Vitals,
};
use atrion_state::pulse::{FlushReport, PulseConfig, PulseStats};

use crate::cell::{Cell, Setup};
use crate::config::{Config, ROUTE_NAME_LIMIT};
use crate::error::{BuildError, ObserveError, RouteNameError};
use crate::hub::{Hub, Time, Watching};
use crate::neighbours::Neighbours;
use crate::observer::{Event, Interest, Observer, ObserverHealth};
use crate::process::ProcessCircuit;
use crate::pulse::Pulse;
use crate::registry::{Insertion, Registry, Resting};
use crate::relay::Subscription;
use crate::route::{Route, RouteState};
use crate::select::select;
use crate::tally::Tallies;
use crate::tap::Influence;

/// Name of the route that takes the requests of names that cannot have their own.
pub const OVERFLOW_ROUTE: &str = "(overflow)";

/// Admission control for the routes of one process. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Atrion(Arc<Handle>);

/// What the user's handles share. The pulse holds the instance, not this: when the last handle
/// goes, the pulse delivers what waits and ends.
struct Handle {
    instance: Arc<Instance>,
    pulse: Pulse,
    provider: Option<Arc<dyn StateProvider>>,
    license_policy: LicensePolicy,
}

/// What handles and the pulse share.
pub(crate) struct Instance {
    pub(crate) hub: Arc<Hub>,
    pub(crate) registry: Registry,
    overflow: Route,
    bad_names: AtomicU64,
}

impl Instance {
    pub(crate) fn try_route(&self, name: &str) -> Result<Route, RouteNameError> {
        if let Some(route) = self.registry.find(name) {
            return Ok(route);
        }
        match name.len() {
            0 => return Err(RouteNameError::Empty),
            1..=ROUTE_NAME_LIMIT => {}
            length => return Err(RouteNameError::TooLong { length }),
        }
        let config = self.hub.config.load();
        let now = self.hub.now();
        let limit = config.route_limit();
        let insertion = self
            .registry
            .insert(name, &config, now, |name, rest| new_state(&self.hub, name, rest, &config));
        match insertion {
            Insertion::Added { route, evicted } => {
                if let Some(name) = evicted {
                    self.hub.tell(Interest::INSTANCE, || Event::Evicted { name });
                }
                if let Some(neighbours) = self.hub.neighbours.get() {
                    neighbours.made(&route);
                }
                Ok(route)
            }
            Insertion::Full => Err(RouteNameError::Full { limit }),
        }
    }
}

/// Counters of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Routes that exist now, the overflow route not included.
    pub routes: usize,
    /// How many of them are at rest: nobody has a handle on them or has used them for a while.
    pub resting: usize,
    /// Routes forgotten to make room.
    pub evicted: u64,
    /// Look-ups that found no room and got the overflow route.
    pub overflowed: u64,
    /// Look-ups with an empty or overlong name, which got the overflow route.
    pub bad_names: u64,
    /// How the observers fare, all together and those included that were detached.
    pub observer: ObserverHealth,
}

impl Atrion {
    pub(crate) fn provider(&self) -> Option<&Arc<dyn StateProvider>> {
        self.0.provider.as_ref()
    }

    /// Starts building; every setting has a default.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The route of this name; made if it does not exist.
    ///
    /// Never fails: an empty or overlong name, and a new name when all routes are in use, get the
    /// overflow route and are counted (see [`Stats`]). Use [`try_route`](Self::try_route) to be
    /// told instead. Keep the handle: resolving is cheap, using it is cheaper.
    pub fn route(&self, name: &str) -> Route {
        if let Some(route) = self.0.instance.registry.find(name) {
            return route;
        }
        match self.try_route(name) {
            Ok(route) => route,
            Err(error) => {
                if !matches!(error, RouteNameError::Full { .. }) {
                    self.0.instance.bad_names.fetch_add(1, Relaxed);
                }
                self.0.instance.overflow.clone()
            }
        }
    }

    /// The route of this name; made if it does not exist.
    ///
    /// # Errors
    /// [`RouteNameError`] for an empty or overlong name, or if there is no room.
    pub fn try_route(&self, name: &str) -> Result<Route, RouteNameError> {
        self.0.instance.try_route(name)
    }

    /// Takes in what the caller measured of a route, and answers with mode, resistance and its
    /// parts: [`Route::update_physics`] by name, the method of the founding RFC.
    ///
    /// ```
    /// use atrion_core::{flow::Priority, telemetry::Telemetry};
    /// use atrion_engine::Atrion;
    ///
    /// let atrion = Atrion::builder().build()?;
    /// let sample = Telemetry::builder().saturation(0.4).outcomes(99, 1).build()?;
    /// let decision = atrion.update_physics("api/search", &sample)?;
    /// assert!(decision.flow(Priority::Normal).passes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RouteNameError`] as [`try_route`](Self::try_route). A sample is valid by construction.
    pub fn update_physics(
        &self,
        route: &str,
        sample: &Telemetry,
    ) -> Result<Decision, RouteNameError> {
        self.try_route(route).map(|route| route.update_physics(sample))
    }

    /// Chooses among routes by their resistance: softmax, `Pr(j) ~ exp(-beta R_j)`, over those
    /// that would let `v` flow now, so that better routes get more and none is forgotten. `None`
    /// if none would.
    ///
    /// `beta_per_ohm` says how sharply: a route with 1/beta more ohms gets e times less. Reads
    /// published state only; the decision that counts is [`Route::admit`]'s.
    ///
    /// # Errors
    /// [`OutOfRange`] unless `beta_per_ohm` is in `[0, 1e6]`.
    pub fn select_route<'r>(
        &self,
        routes: &'r [Route],
        v: impl Into<Volts>,
        beta_per_ohm: f64,
    ) -> Result<Option<&'r Route>, OutOfRange> {
        select(routes, v.into(), beta_per_ohm, self.0.instance.hub.draw())
    }

    /// The route that takes the requests of names that cannot have their own.
    pub fn overflow_route(&self) -> &Route {
        &self.0.instance.overflow
    }

    /// Handles on all routes that are awake, in no particular order. Not the overflow route, nor those
    /// at rest (see [`Stats::resting`]), which a handle would wake: to look at all of them, use
    /// [`visit_reports`](Self::visit_reports).
    pub fn routes(&self) -> Vec<Route> {
        let mut routes = Vec::with_capacity(self.0.instance.registry.len());
        self.0.instance.registry.for_each(|route| routes.push(route.clone()));
        routes
    }

    /// What the process's own element has learned; `None` unless it was
    /// [asked for](Builder::process_circuit). May wait for the length of a tick.
    pub fn process_circuit(&self) -> Option<ProcessCircuit> {
        self.0.instance.hub.process_circuit()
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.0.instance.hub.config.load_full()
    }

    /// Replaces the whole configuration at once. It is valid by construction (see
    /// [`Config::builder`]); what was learned stays, and every route follows at once.
    pub fn reload(&self, config: Config) {
        self.0.instance.hub.config.store(Arc::new(config));
        let now = self.0.instance.hub.now();
        let republish = |route: &Route| {
            route.change(|_, _, _| ());
            route.tap_influence(Influence::Reloaded, now);
        };
        self.0.instance.registry.for_each(republish);
        republish(&self.0.instance.overflow);
        self.0.instance.hub.republish_process();
        self.0.instance.hub.tell(Interest::INSTANCE, || Event::Reloaded);
    }

    /// Brings every route up to date without traffic: scars heal, overrides expire. Routes that
    /// nobody holds or has used for [`Config::route_idle_secs`] come to rest, where they take less
    /// memory. Call it now and then (the pulse does), or never: a route also catches up when its
    /// next request comes, and every new route puts idle ones to rest.
    pub fn tick(&self) {
        let Instance { hub, registry, overflow, .. } = &*self.0.instance;
        hub.refill();
        registry.rest_idle(&hub.config.load(), hub.now(), usize::MAX);
        registry.for_each(Route::tick);
        overflow.tick();
        hub.tick_process();
    }

    /// Delivers what changed to the provider now, without waiting for the next pulse.
    ///
    /// Needs no runtime beyond what the provider needs:
    /// [`block_on`](atrion_state::blocking::block_on) serves. Without a provider there is nothing
    /// to deliver, and the report is empty.
    ///
    /// # Errors
    /// What the provider answered, if the caller drives the pulse. What was not delivered waits
    /// for the next flush. (A pulse on tokio tries again by itself and reports what is left.)
    pub async fn flush(&self) -> Result<FlushReport, ProviderError> {
        self.0.pulse.flush().await
    }

    /// Takes in what other nodes said since the last [`flush`](Self::flush), at once and without
    /// delivering anything. For callers that drive the pulse themselves: with it, a warning need not
    /// wait for their next flush. A pulse on tokio listens by itself, and then this does nothing, as
    /// before the first flush and without a provider.
    pub async fn listen(&self) {
        self.0.pulse.listen().await;
    }

    /// Delivers what changed and disconnects from the provider. Protection goes on; what changes
    /// from now on is not shared any more.
    pub async fn disconnect(&self) -> FlushReport {
        self.0.pulse.stop().await
    }

    /// How the provider's link to its store is; `None` without a provider. Never waits. Requests
    /// are protected whatever it says: a readiness probe should look at it only to tell people.
    pub fn health(&self) -> Option<Health> {
        self.0.provider.as_ref().map(StateProvider::health)
    }

    /// What the provider tells of itself: its licence, what it refused. `None` without a provider.
    /// Never waits.
    pub fn vitals(&self) -> Option<Vitals> {
        self.0.provider.as_ref().map(StateProvider::vitals)
    }

    /// The nodes of the cluster that are believed to be alive, this one first. Empty unless the
    /// provider can tell nodes apart.
    pub fn nodes(&self) -> Vec<Node> {
        let hub = &self.0.instance.hub;
        hub.neighbours.get().map(|n| n.nodes(hub.now())).unwrap_or_default()
    }

    /// Replaces the licence while the program runs: takes effect at once, without a restart and
    /// without touching a request. Does nothing without a provider that needs one.
    ///
    /// # Errors
    /// [`LicenseRefused`] if the policy is strict and the new one does not cover the provider,
    /// which keeps the one it had.
    pub fn replace_license(&self, source: impl Into<LicenseSource>) -> Result<(), LicenseRefused> {
        let license = License { source: source.into(), policy: self.0.license_policy };
        self.0.provider.as_ref().map_or(Ok(()), |provider| provider.license(&license))
    }

    /// How the exchange with the provider fares.
    pub fn pulse_stats(&self) -> PulseStats {
        self.0.pulse.stats()
    }

    /// Tells one more observer what happens from now on, on a thread of its own, until the answer is
    /// dropped. May be called at any time; requests do not wait for it.
    ///
    /// # Errors
    /// [`ObserveError`] if there are 16 observers already, those included that were detached and
    /// have not returned from their last event yet; or if the system refuses a thread.
    pub fn observe(&self, observer: impl Observer) -> Result<Subscription, ObserveError> {
        let hub = &self.0.instance.hub;
        let relay = hub.relays.attach(Box::new(observer))?;
        Ok(Subscription::new(hub, relay))
    }

    pub(crate) fn instance(&self) -> &Instance {
        &self.0.instance
    }

    /// Counters of the instance.
    pub fn stats(&self) -> Stats {
        Stats {
            routes: self.0.instance.registry.len(),
            resting: self.0.instance.registry.resting(),
            evicted: self.0.instance.registry.evicted(),
            overflowed: self.0.instance.registry.overflowed(),
            bad_names: self.0.instance.bad_names.load(Relaxed),
            observer: self.0.instance.hub.relays.health(),
        }
    }
}

impl std::fmt::Debug for Atrion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Atrion").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// A new cell, or the one that rested.
pub(crate) fn new_cell(hub: &Hub, rest: Option<&Resting>, config: &Config) -> Cell {
    let now = hub.now();
    let setup = Setup {
        shadow: config.shadow(),
        series: hub.process.is_some(),
        watched: hub.watching.is_on(),
    };
    match rest {
        Some(rest) => Cell::woken(&rest.cell, setup, now, config.law()),
        None => Cell::new(setup, now, config.law()),
    }
}

fn new_state(
    hub: &Arc<Hub>,
    name: Arc<str>,
    rest: Option<&Resting>,
    config: &Config,
) -> RouteState {
    let tallies = hub.watching.is_on().then(|| {
        let tally = rest.map(|rest| rest.tally.tally()).unwrap_or_default();
        Box::new(Tallies::of(&tally, hub.watching.one_in))
    });
    RouteState {
        cell: new_cell(hub, rest, config),
        name,
        hub: Arc::clone(hub),
        created: hub.now(),
        referenced: AtomicBool::new(true),
        evicted: AtomicBool::new(false),
        marked: AtomicBool::new(false),
        shed_told: AtomicBool::new(false),
        tallies,
        #[cfg(feature = "trace")]
        tap: crate::tap::Tap::default(),
    }
}

/// Builds an [`Atrion`]. Every setting has a default; `Atrion::builder().build()?` protects.
#[derive(Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    config: Config,
    clock: Option<Box<dyn Clock>>,
    observers: Vec<Box<dyn Observer>>,
    watching: Watching,
    provider: Option<Arc<dyn StateProvider>>,
    license: License,
    pulse: Option<PulseConfig>,
    seed: Option<u64>,
    process_circuit: bool,
}

impl Builder {
    /// Starts with this configuration instead of the default one.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Reads the time from here instead of the machine's monotonic clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    /// Tells this observer what happens, on a thread of its own. Call it again for another one, up
    /// to 16; [`Atrion::observe`] attaches observers later.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Counts what each route admits and refuses by tier: see [`Tally`](crate::Tally), in
    /// [`RouteReport::tally`](crate::RouteReport::tally).
    ///
    /// Off by default. Costs each request one more atomic addition, and each route in use 64 bytes.
    pub const fn tally(mut self, on: bool) -> Self {
        self.watching.tally = on;
        self
    }

    /// Tells one decision in `one_in` as [`Event::Decision`], to observers that
    /// [want it](crate::Interest::DECISIONS). Zero, the default, tells none; one tells all.
    ///
    /// Counted for each route and tier by itself, admissions and refusals apart: the first is told,
    /// and then every `one_in`-th. So the rare ones are told too, and `one_in` times what is told is
    /// about what there was. (On a very busy route each thread counts its admissions by itself.)
    /// Nothing is drawn at random and nothing allocated. Costs as much as [`tally`](Self::tally),
    /// and the telling of those that are told.
    pub const fn sample_decisions(mut self, one_in: u32) -> Self {
        self.watching.one_in = one_in;
        self
    }

    /// Remembers and shares scars through this provider. Without one, nothing is exchanged and
    /// no task runs: the default is a process of its own, in memory.
    ///
    /// Built inside a tokio runtime (feature `tokio`), the instance starts its pulse there.
    /// Otherwise call [`Atrion::flush`] now and then, about every 100 ms.
    pub fn provider(mut self, provider: impl StateProvider) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Exchanges with the provider as this says, and not as the provider suggests.
    pub fn pulse(mut self, config: PulseConfig) -> Self {
        self.pulse = Some(config);
        self
    }

    /// The licence key that a commercial provider needs: the key itself, or where it is. Unless
    /// told, it is read from the environment variable `ATRION_LICENSE_KEY`. Free providers do not
    /// look at it.
    ///
    /// A missing, invalid or expired licence never stops the application (see
    /// [`license_policy`](Self::license_policy)).
    pub fn license(mut self, source: impl Into<LicenseSource>) -> Self {
        self.license.source = source.into();
        self
    }

    /// What a licence that is not good does: by default the instance is built and runs, the
    /// provider keeps to memory and says so.
    pub const fn license_policy(mut self, policy: LicensePolicy) -> Self {
        self.license.policy = policy;
        self
    }

    /// Puts one element of the whole process in series with every route's: a request then flows
    /// if its voltage overcomes both resistances together.
    ///
    /// For routes that share a bottleneck, a processor or a pool. By themselves they keep what each
    /// has learned to be its own, whatever the priorities; with this, the higher priority goes
    /// first across routes, and a surge of low priority on one route costs the others nothing.
    /// The price: a surge of *high* priority on one starves the low ones on all. Leave it off if
    /// the routes lead to different places, such as the dependencies of a client.
    ///
    /// Off by default; costs the request path a few more atomic operations, on counters that all
    /// routes share.
    pub const fn process_circuit(mut self, on: bool) -> Self {
        self.process_circuit = on;
        self
    }

    /// Fixes the sequence of random draws (jitter of probes and retry hints).
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds the instance.
    ///
    /// # Errors
    /// [`BuildError`] if there are more than 16 observers or the thread of one cannot be started, or
    /// if the provider needs a licence, this one is not good and the policy is
    /// [`LicensePolicy::Strict`].
    pub fn build(self) -> Result<Atrion, BuildError> {
        if let Some(provider) = &self.provider {
            provider.license(&self.license)?;
        }
        let time = match self.clock {
            Some(clock) => Time::Custom(clock),
            None => Time::Monotonic(MonotonicClock::new()),
        };
        let seed = self.seed.unwrap_or_else(random_seed);
        let hub = Arc::new(Hub::new(time, self.config, self.process_circuit, self.watching, seed));
        for observer in self.observers {
            hub.relays.attach(observer)?;
        }
        let overflow = new_state(&hub, OVERFLOW_ROUTE.into(), None, &hub.config.load());
        let instance = Arc::new(Instance {
            overflow: Route(Arc::new(overflow)),
            registry: Registry::new(),
            bad_names: AtomicU64::new(0),
            hub,
        });
        let pulse = match &self.provider {
            Some(provider) => {
                if let Some(peers) = provider.peers() {
                    instance.hub.neighbours.get_or_init(|| Neighbours::new(peers));
                }
                let config = self.pulse.unwrap_or_else(|| provider.pulse());
                Pulse::start(Arc::clone(provider), Arc::clone(&instance), config, seed)
            }
            None => Pulse::none(),
        };
        let (provider, license_policy) = (self.provider, self.license.policy);
        Ok(Atrion(Arc::new(Handle { instance, pulse, provider, license_policy })))
    }
}

/// Different in every process and instance: the standard library's hash keys are random.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u8)
}
