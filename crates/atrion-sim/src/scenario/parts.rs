//! What a scenario is made of: a service, classes of callers, faults.
//!
//! These are plain descriptions; [`ScenarioBuilder::build`](super::ScenarioBuilder::build) checks
//! them all.

use atrion_core::flow::Priority;
use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;

/// A service: CPU shared by all requests on it, a wait (a pool of workers, or a dependency), and
/// CPU again. Either part may be absent.
///
/// With `cpu_share` 0 and `workers` it is a queue served in order of arrival; with `cpu_share` 1
/// it is pure processor sharing: with `n` requests on `c` cores each gets `min(1, c/n)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Mean time a request of cost 1 takes on an idle service, in seconds: 1e-6 to 60.
    pub mean_secs: f64,
    /// How service times spread.
    #[serde(default)]
    pub distribution: Distribution,
    /// Cores that requests share equally, 1 to 4096. Needed if `cpu_share` is above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Share of a request's time that is CPU, 0 to 1; the rest is waiting.
    #[serde(default)]
    pub cpu_share: f64,
    /// Workers (or connections of a pool) that the waiting part occupies, served in order of
    /// arrival, 1 to 65,536. Without, waiting is a pure delay that any number can do at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// Places in the queue before the workers, 0 to 10 million; who finds it full fails at once.
    /// Without, the queue has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_limit: Option<u32>,
    /// Moments in which nothing runs and nobody is admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pauses: Option<Pauses>,
    /// Loss of capacity under crowding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contention: Option<Contention>,
}

impl Service {
    /// `workers` serving in order of arrival, lognormal with a coefficient of variation of 1.
    pub fn fifo(workers: u32, mean_secs: f64) -> Self {
        Self {
            mean_secs,
            distribution: Distribution::default(),
            cores: None,
            cpu_share: 0.0,
            workers: Some(workers),
            queue_limit: None,
            pauses: None,
            contention: None,
        }
    }

    /// `cores` shared equally by all requests.
    pub fn sharing(cores: u32, mean_secs: f64) -> Self {
        Self { cores: Some(cores), cpu_share: 1.0, workers: None, ..Self::fifo(1, mean_secs) }
    }

    /// Shared cores and a dependency that only makes wait.
    pub fn waiting(cores: u32, mean_secs: f64, cpu_share: f64) -> Self {
        Self { cpu_share, ..Self::sharing(cores, mean_secs) }
    }

    /// Shared cores before a pool that is the bottleneck: a fifth CPU, the rest in the pool.
    pub fn pooled(workers: u32, mean_secs: f64) -> Self {
        Self { cpu_share: 0.2, workers: Some(workers), ..Self::sharing(workers, mean_secs) }
    }

    /// This service with another distribution.
    #[must_use]
    pub fn with_distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }
}

/// Pauses as collectors of garbage make them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pauses {
    /// Seconds from the start of one to the start of the next, 0.001 to 3600.
    pub every_secs: f64,
    /// Shortest pause in seconds, 0 to 600; must be shorter than the time between two.
    pub min_secs: f64,
    /// Longest pause in seconds, likewise.
    pub max_secs: f64,
}

/// Beyond `knee` requests on the cores everything slows by `1/(1 + strength*((n-knee)/knee)^2)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contention {
    /// Requests on the cores up to which nothing is lost, 1 to 1e6.
    pub knee: f64,
    /// How much is lost, 0 to 1000; at 1 half of the capacity at twice the knee.
    pub strength: f64,
}

/// Callers of one kind: an open loop, Poisson, whatever becomes of their requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Their name in results and faults.
    pub name: String,
    /// The route they call. Routes share the service.
    #[serde(default = "default_route")]
    pub route: String,
    /// What their requests are worth, in volts, 0 to 1e6; 20 is normal.
    #[serde(default = "default_volts")]
    pub volts: f64,
    /// Work they ask for in calm times as a share of the service's capacity, 0 to 1000.
    /// This or `rate_per_sec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Requests per second in calm times, 0 to 1e7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_sec: Option<f64>,
    /// Service time of their requests as a multiple of the service's mean, 0.001 to 1000.
    #[serde(default = "one")]
    pub cost: f64,
    /// Callers give up after this many seconds, 1e-6 to 3600. The service does not learn of it
    /// and goes on working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<f64>,
    /// Asking again after a refusal, a failure or a timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
}

impl Class {
    /// Normal callers on the route `service` that ask for this share of the capacity.
    pub fn new(name: impl Into<String>, load: f64) -> Self {
        Self {
            name: name.into(),
            route: default_route(),
            volts: default_volts(),
            load: Some(load),
            rate_per_sec: None,
            cost: 1.0,
            timeout_secs: None,
            retries: None,
        }
    }

    /// These callers with another priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.volts = priority.volts().get();
        self
    }

    /// These callers on another route.
    #[must_use]
    pub fn on_route(mut self, route: impl Into<String>) -> Self {
        self.route = route.into();
        self
    }

    /// These callers with dearer or cheaper requests.
    #[must_use]
    pub fn with_cost(mut self, cost: f64) -> Self {
        self.cost = cost;
        self
    }

    /// These callers, giving up after a while.
    #[must_use]
    pub fn with_timeout(mut self, secs: f64) -> Self {
        self.timeout_secs = Some(secs);
        self
    }

    /// These callers, asking again.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = Some(retries);
        self
    }
}

/// How callers ask again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// How often at most, 1 to 100.
    pub attempts: u32,
    /// Mean wait before each, exponentially distributed, in seconds: 0 to 600.
    pub backoff_secs: f64,
    /// Retries per fresh request that are allowed on average, 0 to 100; without, all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
}

/// Something that happens from one moment to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Seconds from the start.
    pub from_secs: f64,
    /// Seconds from the start; it is over then.
    pub to_secs: f64,
    /// What happens.
    #[serde(flatten)]
    pub effect: Effect,
}

impl Fault {
    /// `effect` in `[from_secs, to_secs)`.
    pub const fn new(from_secs: f64, to_secs: f64, effect: Effect) -> Self {
        Self { from_secs, to_secs, effect }
    }
}

/// What may happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Effect {
    /// Callers ask this many times as often: an overload step, a flash crowd, a lull.
    Load {
        /// Multiple of the calm rate, 0 to 10,000.
        factor: f64,
        /// Only this class.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<String>,
    },
    /// The rate goes linearly from the calm one to a multiple.
    Ramp {
        /// Multiple of the calm rate at the end, 0 to 10,000.
        factor: f64,
        /// Only this class.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<String>,
    },
    /// The rate changes between two multiples.
    Oscillation {
        /// The first multiple, 0 to 10,000.
        high: f64,
        /// The second one, likewise.
        low: f64,
        /// Seconds that each lasts, 0.001 to 3600.
        half_period_secs: f64,
        /// Only this class.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<String>,
    },
    /// Gray failure: some requests are slower (their wait, or all of them where there is no
    /// wait). With a share of 1, a slow dependency.
    Gray {
        /// Share of the requests, 0 to 1.
        share: f64,
        /// How many times slower, 1 to 10,000.
        factor: f64,
    },
    /// The bottleneck works this many times as fast.
    Capacity {
        /// 0.001 to 1000; 0.5 loses half.
        factor: f64,
    },
    /// The dependency is dead: every request fails after a short while, without any work.
    Outage {
        /// Shortest time to the failure in seconds, 0 to 600.
        min_secs: f64,
        /// Longest, likewise.
        max_secs: f64,
    },
    /// A share of the requests fails after having been served.
    Errors {
        /// 0 to 1.
        share: f64,
    },
    /// Nothing moves; requests are still taken in.
    Hang,
    /// Service times spread differently.
    Spread {
        /// The distribution while it lasts.
        distribution: Distribution,
    },
}

fn default_route() -> String {
    "service".to_owned()
}

fn default_volts() -> f64 {
    Priority::Normal.volts().get()
}

const fn one() -> f64 {
    1.0
}
