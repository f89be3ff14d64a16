//! Who decides about admission: the shipped engine, and what others have published.
//!
//! | name | what | where it was published |
//! |---|---|---|
//! | `atrion` | the shipped request path under a clock moved by hand | this repository |
//! | `reported`, `reported:MS` | the shipped engine, told telemetry instead of taking permits | this repository |
//! | `unlimited` | no control | |
//! | `static`, `static:N` | a fixed number in flight | |
//! | `aimd`, `vegas`, `gradient2` | adaptive concurrency limits | Netflix, concurrency-limits |
//! | `vegas-1s`, `gradient2-1s` | the same, once a second | the same, `WindowedLimit` |
//! | `sre` | client-side throttling | Google, *Site Reliability Engineering*, chapter 21 |
//! | `bbr` | shedding by capacity times lowest latency under high CPU | go-zero, after Sentinel |
//! | `sentinel`, `sentinel-cpu` | the original of that, by load average or CPU | Sentinel, system rule |
//! | `codel` | controlled delay in a queue before the service | RFC 8289 |
//! | `delay` | the same idea adapted to services, newest first | Facebook, *Fail at Scale* |
//! | `cinnamon` | PI control of a priority threshold | Uber, *PID Controller for Cinnamon* |
//! | `reference` | Atrion's published model, mistakes included | RFC-0001, version 2.0.0 |
//! | `breaker` | circuit breaker on failures and slow calls | resilience4j |
//! | `recloser`, `tr-breaker` | circuit breakers on failures | crates `recloser` and `tower-resilience-circuitbreaker`, restated |
//!
//! With the feature `peers` there are also real crates, unchanged: module `peers`. All of
//! them, with their sources, settings and what is checked, are in `docs/peers.md`.
//!
//! Each has a file of its own that names its source and its settings. They are written anew from
//! the descriptions. What a policy cannot know in real life and is told here (see [`Context`])
//! is told to the peers only, and helps them.

mod aimd;
mod atrion;
mod bbr;
mod breaker;
mod cinnamon;
mod codel;
mod controlled_delay;
mod deadlines;
mod fixed;
mod gradient2;
mod limiter;
#[cfg(feature = "peers")]
pub mod peers;
mod recloser;
mod reference;
mod registry;
mod reported;
mod routes;
mod sentinel;
mod sre;
mod tower_breaker;
mod vegas;

use atrion_core::time::Timestamp;

pub use aimd::{Aimd, AimdSettings};
pub use atrion::Engine;
pub use bbr::{Bbr, BbrSettings};
pub use breaker::{Breaker, BreakerSettings};
pub use cinnamon::{Cinnamon, CinnamonSettings};
pub use codel::{Codel, CodelSettings};
pub use controlled_delay::{ControlledDelay, ControlledDelaySettings};
pub use fixed::{STATIC_LIMIT_MAX, Static, Unlimited};
pub use gradient2::{Gradient2, Gradient2Settings};
pub use limiter::{Limit, Limiter, Sample, Windowed};
pub use recloser::{Recloser, RecloserSettings};
pub use reference::{ModelConfig, ModelMode, Pressures, Reference, ReferenceModel, TunerConfig};
pub use registry::{Choice, Entry, entries};
pub use reported::Reported;
pub use routes::PerRoute;
pub use sentinel::{Sentinel, SentinelTrigger};
pub use sre::{Sre, SreSettings};
pub use tower_breaker::{TowerBreaker, TowerBreakerSettings};
pub use vegas::{Vegas, VegasSettings};

use crate::scenario::Scenario;

/// A request asks.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Simulated time.
    pub now: Timestamp,
    /// Names the request until it ends; a small number that is used again afterwards.
    pub slot: u32,
    /// Index of its route.
    pub route: usize,
    /// What it is worth, in volts.
    pub volts: f64,
}

/// What a request is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the service.
    Admit,
    /// It is sent away.
    Refuse,
    /// The policy keeps it; see [`Policy::release`].
    Hold,
}

/// How admitted work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well, however late.
    Success,
    /// It failed in a way that speaks against the service.
    Failure,
}

/// Admitted work ended.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// Simulated time.
    pub now: Timestamp,
    /// The name it had as an [`Arrival`].
    pub slot: u32,
    /// Index of its route.
    pub route: usize,
    /// Seconds since it went on to the service.
    pub latency_secs: f64,
    /// How it ended.
    pub outcome: Outcome,
}

/// A tenth of a second went by.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Simulated time.
    pub now: Timestamp,
    /// Share of the service's time that was spent working since the last tick, 0 to 1: what a
    /// perfect gauge of the processor would show.
    pub utilisation: f64,
    /// Requests that run or want to, for each core (or worker, if there are more for each of those).
    pub load: f64,
}

/// What becomes of a request that was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Which one.
    pub slot: u32,
    /// Whether it goes on to the service.
    pub admitted: bool,
}

/// An admission policy before one service.
///
/// Calls come in the order of simulated time. Each admitted request ends in exactly one
/// [`done`](Self::done).
///
/// ```
/// use atrion_sim::policy::{Arrival, Completion, Policy, Verdict};
/// use atrion_sim::{run, scenario};
///
/// /// Admits only what is worth more than 10 V.
/// struct Proud;
///
/// impl Policy for Proud {
///     fn arrive(&mut self, arrival: &Arrival) -> Verdict {
///         if arrival.volts > 10.0 { Verdict::Admit } else { Verdict::Refuse }
///     }
///
///     fn done(&mut self, _completion: &Completion) {}
/// }
///
/// let report = run(&scenario::find("tiers")?, &mut Proud, 1);
/// let (low, critical) = report.shed_by_worth();
/// assert_eq!((low, critical), (100.0, 0.0));
/// # Ok::<(), atrion_sim::ScenarioError>(())
/// ```
pub trait Policy {
    /// A request asks.
    fn arrive(&mut self, arrival: &Arrival) -> Verdict;

    /// Admitted work ended.
    fn done(&mut self, completion: &Completion);

    /// Upkeep, ten times a second.
    fn tick(&mut self, _tick: &Tick) {}

    /// Decides about one held request; asked after every other call until there is none to decide
    /// about. Only of policies that [hold](Self::holds).
    fn release(&mut self, _now: Timestamp) -> Option<Release> {
        None
    }

    /// Whether it ever answers [`Verdict::Hold`].
    fn holds(&self) -> bool {
        false
    }

    /// How often it changed its mode (breakers: opened or closed) so far.
    fn transitions(&self) -> u32 {
        0
    }
}

impl<P: Policy + ?Sized> Policy for Box<P> {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        (**self).arrive(arrival)
    }
    fn done(&mut self, completion: &Completion) {
        (**self).done(completion);
    }
    fn tick(&mut self, tick: &Tick) {
        (**self).tick(tick);
    }
    fn release(&mut self, now: Timestamp) -> Option<Release> {
        (**self).release(now)
    }
    fn holds(&self) -> bool {
        (**self).holds()
    }
    fn transitions(&self) -> u32 {
        (**self).transitions()
    }
}

/// What policies are made from. `atrion` uses the seed and the names of the routes only.
#[derive(Clone, Debug)]
pub struct Context {
    /// Seed of whatever chance a policy needs.
    pub seed: u64,
    /// Names of the routes.
    pub routes: Vec<String>,
    /// The callers' deadline in seconds: what peers get as their timeout or objective.
    pub deadline_secs: f64,
    /// How many requests the service truly works on at once.
    pub parallelism: f64,
    /// Mean time in seconds that a request takes on an idle service.
    pub mean_secs: f64,
}

impl Context {
    /// The context that a scenario gives.
    pub fn of(scenario: &Scenario, seed: u64) -> Self {
        Self {
            seed,
            routes: scenario.routes().to_vec(),
            deadline_secs: scenario.deadline_secs(),
            parallelism: scenario.parallelism(),
            mean_secs: scenario.service().mean_secs,
        }
    }

    /// A seed for each route.
    fn route_seed(&self, route: usize) -> u64 {
        self.seed.wrapping_mul(97).wrapping_add(route as u64)
    }
}

/// What the policies' own tests are made of.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// An arrival of 20 V at `secs`.
    pub(crate) fn arrival(secs: f64, slot: u32) -> Arrival {
        Arrival { now: Timestamp::ZERO.add_secs(secs), slot, route: 0, volts: 20.0 }
    }

    /// A success at `secs`.
    pub(crate) fn success(secs: f64, slot: u32, latency_secs: f64) -> Completion {
        let now = Timestamp::ZERO.add_secs(secs);
        Completion { now, slot, route: 0, latency_secs, outcome: Outcome::Success }
    }

    /// A failure at `secs`.
    pub(crate) fn failure(secs: f64, slot: u32) -> Completion {
        Completion { outcome: Outcome::Failure, ..success(secs, slot, 0.01) }
    }
}
