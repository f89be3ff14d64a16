//! What the driver and the services say to each other: JSON over HTTP, on a port of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ledger::Ledger;

/// The first line on a service's standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listening {
    /// Requests of its users.
    pub(crate) port: u16,
    /// Orders of the driver.
    pub(crate) orders: u16,
    pub(crate) studio: u16,
}

/// From the driver to a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Order {
    /// Answered with [`Done::state`]; what was counted since the last time is taken along.
    Look,
    Force {
        route: usize,
        open: bool,
        millis: u32,
    },
    Reset {
        route: usize,
    },
    Reload {
        preset: usize,
    },
    ReloadBad,
    Poison {
        seed: u64,
    },
    /// Have this route fail until its breaker opens, and have that remembered.
    Witness {
        route: String,
    },
    /// What is known of these routes.
    Hear {
        routes: Vec<String>,
    },
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) state: Option<State>,
    /// Of [`Order::Witness`].
    pub(crate) witness: Option<Witness>,
    /// Of [`Order::Hear`]: by route.
    pub(crate) heard: BTreeMap<String, Heard>,
}

/// How a service is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Looks since it was last asked.
    pub(crate) ledger: Ledger,
    pub(crate) in_flight: u64,
    pub(crate) forced: u32,
    pub(crate) closed_off: u32,
    pub(crate) routes: usize,
    pub(crate) evicted: u64,
    pub(crate) overflowed: u64,
    pub(crate) healthy: bool,
    pub(crate) trouble: Option<String>,
    pub(crate) nodes: usize,
    pub(crate) refused: u64,
    pub(crate) saved: u64,
    pub(crate) frames_in: u64,
}

/// What came of having a route fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Witness {
    /// The flush succeeded, and both stores were well before and after.
    pub(crate) acknowledged: bool,
    pub(crate) scar_ohms: f64,
}

/// What a node knows of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Heard {
    pub(crate) own_scar_ohms: f64,
    /// What the others say, healed to now, by their names.
    pub(crate) others: BTreeMap<String, f64>,
}

/// What a node calls itself.
pub(crate) fn node_name(index: usize) -> String {
    format!("soak-{index}")
}

/// The cluster of all nodes, and the application in PostgreSQL.
pub(crate) const CLUSTER: &str = "soak";

/// What a violation looks like on a service's standard error.
pub(crate) const VIOLATION: &str = "VIOLATION ";
