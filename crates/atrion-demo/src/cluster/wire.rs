//! What the processes of the cluster's demonstration say to each other. Points in time are
//! nanoseconds on the [`SharedClock`](super::clock::SharedClock).

use serde::{Deserialize, Serialize};

/// The service's everyday route, on which the load goes on all the time.
pub(crate) const SHOP: &str = "shop";

/// The dependency fails for these requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    /// Only for this node; for all if there is none.
    pub(crate) node: Option<usize>,
    pub(crate) route: String,
}

/// A service to send requests to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) node: usize,
    pub(crate) port: u16,
}

/// What is done to Redis, or between it and the last node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    /// The process is killed.
    Kill,
    /// It is started again on the same port, with nothing in it; killed before if it runs.
    Restart,
    /// The process is stopped without ending: connections stay open, nobody answers.
    Stop,
    /// It goes on.
    Continue,
    /// Whatever the last node and Redis send to each other is held back.
    Part,
    /// It arrives.
    Heal,
}

/// From the conductor to a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Order {
    /// Dependency: fail for these requests from now on, and for no others. Answered with
    /// [`Event::Dead`].
    Fail { rules: Vec<Rule> },
    /// Store: answered with [`Event::Done`].
    Store { deed: Deed },
    /// Load: requests on [`SHOP`] to these services from now on, and to no others, each at this
    /// rate.
    Aim { targets: Vec<Target>, per_second: f64 },
    /// Load: a row of requests on one route.
    Burst { target: Target, route: String, count: u32, gap_ms: u64 },
    /// Node: have these routes, as services do that resolve them when they start.
    Know { routes: Vec<String> },
    /// Node: let this many routes fail at once.
    Scar { routes: u32 },
    /// Node: answered with [`Event::Stats`].
    Stats,
}

/// From a part to the conductor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Event {
    /// Store: where Redis is, and the proxy before it.
    Store { redis: u16, proxy: u16 },
    /// Store: it was done then. Of a restart: when Redis answered.
    Done { at: u64 },
    /// Dependency: requests on [`SHOP`] that came while it failed for them, of each node, since it
    /// started.
    Dead { at: u64, per_node: Vec<u64> },
    /// Load: requests that ended.
    Ended { requests: Vec<Request> },
    /// Node: the breaker of a route opened or closed.
    Mode { route: String, open: bool, at: u64 },
    /// Node: a route holds its requests back because of what others said, or no longer.
    Held { route: String, held: bool, at: u64 },
    /// Node: how long its process was not running, at most, within the last while.
    Stall { micros: u32 },
    /// Node: counters.
    Stats(Stats),
    /// Liar: it lies since then, and has done so this often.
    Lied { since: u64, frames: u64 },
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    Good,
    /// Refused because too many others were being worked on, whatever the cause of that.
    Saturated,
    /// Refused because of failures: own ones, or what others say of theirs.
    Refused,
    /// Answered with an error, or not answered because the connection broke.
    Failed,
    /// Not answered in time.
    TimedOut,
}

/// One request on [`SHOP`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) node: usize,
    /// Index into [`TIERS`](crate::plan::TIERS).
    pub(crate) tier: usize,
    pub(crate) ending: Ending,
    /// What the answer said, of requests that were refused or failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
    /// When it was to be sent.
    pub(crate) at: u64,
    /// From then to its end.
    pub(crate) latency_us: u32,
    /// How much later it was sent.
    pub(crate) lag_us: u32,
}

/// Counters of a node since it started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stats {
    pub(crate) bytes_out: u64,
    pub(crate) changes_out: u64,
    pub(crate) frames_out: u64,
    /// Routes that wait to be published.
    pub(crate) pending: u64,
    pub(crate) peers: Vec<Peer>,
    /// The 99th percentile of what a call of `admit` took since this was last asked.
    pub(crate) admit_p99_ns: u32,
}

/// Another node as a node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) frames: u64,
    pub(crate) complaints: usize,
    pub(crate) silent_ms: u64,
}
