//! What a run consists of, and how long each part may take.

use std::time::Duration;

/// A part of a run. Each has goals of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Micro,
    Simulator,
    Wire,
    Memory,
    Scenarios,
    Service,
    Contest,
    Cluster,
    Store,
    Watch,
    Studio,
}

impl Stage {
    /// All of them, in the order in which they run: first what other work disturbs most.
    pub(crate) const ALL: [Self; 11] = [
        Self::Micro,
        Self::Simulator,
        Self::Wire,
        Self::Memory,
        Self::Scenarios,
        Self::Service,
        Self::Contest,
        Self::Cluster,
        Self::Store,
        Self::Watch,
        Self::Studio,
    ];

    /// The name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Micro => "micro",
            Self::Simulator => "simulator",
            Self::Wire => "wire",
            Self::Memory => "memory",
            Self::Scenarios => "scenarios",
            Self::Service => "service",
            Self::Contest => "contest",
            Self::Cluster => "cluster",
            Self::Store => "store",
            Self::Watch => "watch",
            Self::Studio => "studio",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Micro => "what one request costs, beside the crates of others",
            Self::Simulator => "what one simulated request costs, policy included",
            Self::Wire => "reading and writing the cluster's frames",
            Self::Memory => "bytes per route, allocations per request",
            Self::Scenarios => "overload, priorities, outage in simulated time, beside others",
            Self::Service => "a real service over HTTP, without and with Atrion",
            Self::Contest => "the crates of others before the same service, over HTTP",
            Self::Cluster => "three services that share a Redis, which fails",
            Self::Store => "a PostgreSQL that remembers 100,000 routes",
            Self::Watch => "the request path with each observer on and off",
            Self::Studio => "a page of 10,000 routes and its viewers",
        }
    }

    /// What it may take on two cores, building excluded. Beyond it, it is late, which the report
    /// says; at [`Stage::limit`] it is stopped.
    pub(crate) const fn budget(self, is_quick: bool) -> Duration {
        let (quick, full) = match self {
            Self::Micro => (100, 300),
            Self::Simulator | Self::Wire => (40, 90),
            Self::Memory | Self::Studio => (20, 60),
            Self::Scenarios => (80, 800),
            Self::Service | Self::Cluster => (70, 150),
            Self::Contest => (60, 120),
            Self::Store => (60, 150),
            Self::Watch => (40, 150),
        };
        Duration::from_secs(if is_quick { quick } else { full })
    }

    /// When a stage that waits for another program gives up.
    pub(crate) const fn limit(self, is_quick: bool) -> Duration {
        self.budget(is_quick).saturating_mul(4)
    }
}

impl std::str::FromStr for Stage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|stage| stage.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|stage| stage.name()).collect();
            format!("there is no stage `{name}`; the stages are {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_budgets_together_keep_the_promise() {
        let total = |is_quick| Stage::ALL.iter().map(|s| s.budget(is_quick)).sum::<Duration>();
        assert!(total(true) <= Duration::from_secs(10 * 60), "{:?}", total(true));
        assert!(total(false) <= Duration::from_secs(40 * 60), "{:?}", total(false));
    }

    #[test]
    fn every_stage_is_found_by_its_name() {
        for stage in Stage::ALL {
            assert_eq!(stage.name().parse(), Ok(stage));
        }
        let why = "mikro".parse::<Stage>().expect_err("no such stage");
        assert!(why.contains("mikro") && why.contains("scenarios"), "{why}");
    }
}
