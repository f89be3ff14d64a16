//! What a cluster's scenario is made of besides the service that every node is.

use serde::{Deserialize, Serialize};

use crate::scenario::Fault;

/// How the callers spread over the nodes. The rates of the scenario are the mean of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Split {
    /// Every node gets the same.
    #[default]
    Even,
    /// Node `i` gets a share like `1/(i+1)^exponent`.
    Skewed {
        /// 0 (even) to 10.
        exponent: f64,
    },
    /// Each node gets a share like its weight.
    Weights {
        /// One for each node, 0 to 1e6, not all of them 0. A node of weight 0 is never asked.
        weights: Vec<f64>,
    },
}

impl Split {
    /// Multiples of the mean load, one for each node.
    pub(crate) fn factors(&self, nodes: usize) -> Vec<f64> {
        let weights: Vec<f64> = match self {
            Self::Even => vec![1.0; nodes],
            Self::Skewed { exponent } => (1..=nodes)
                .map(|i| atrion_core::math::exp(-exponent * atrion_core::math::ln(i as f64)))
                .collect(),
            Self::Weights { weights } => weights.clone(),
        };
        let mean = weights.iter().sum::<f64>() / nodes as f64;
        weights.into_iter().map(|weight| weight / mean).collect()
    }
}

/// A fault of the service on some nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeFault {
    /// On which nodes; on all of them if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<u32>,
    /// What happens, and when.
    #[serde(flatten)]
    pub fault: Fault,
}

/// A trouble of hub, network or processes, from one moment to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// Seconds from the start.
    pub from_secs: f64,
    /// Seconds from the start; it is over then.
    pub to_secs: f64,
    /// What happens.
    #[serde(flatten)]
    pub kind: TroubleKind,
}

impl Trouble {
    /// `kind` in `[from_secs, to_secs)`.
    pub const fn new(from_secs: f64, to_secs: f64, kind: TroubleKind) -> Self {
        Self { from_secs, to_secs, kind }
    }
}

/// What may happen to hub, network and processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum TroubleKind {
    /// The network behaves like this.
    Weather(Weather),
    /// The hub's servers do not see each other: frames of these nodes do not reach the others.
    Partition {
        /// The one side.
        nodes: Vec<u32>,
    },
    /// These nodes do not reach the hub: nothing is answered, nothing arrives.
    Cut {
        /// Which.
        nodes: Vec<u32>,
    },
    /// The hub is killed: connections break, new ones are refused.
    HubDown {
        /// It comes back without what it held.
        #[serde(default)]
        emptied: bool,
    },
    /// The hub hangs: it takes calls and answers them at the end, if anybody still waits.
    HubHung,
    /// The hub loses what it holds at the beginning, and serves on.
    HubEmptied,
    /// These processes die at the beginning, and others take their places, with their names and
    /// without their memory, at the end.
    Crash {
        /// Which.
        nodes: Vec<u32>,
    },
    /// These nodes claim an outage that is none, with a million requests of evidence. At the end
    /// their processes are replaced.
    Lie {
        /// Which.
        nodes: Vec<u32>,
    },
    /// The clocks of these nodes leap at the beginning, and back at the end.
    ClockStep {
        /// Which.
        nodes: Vec<u32>,
        /// By how much, -1800 to 1800 s.
        secs: f64,
    },
}

impl TroubleKind {
    /// The nodes it is about, if it is about some only.
    pub(crate) fn nodes(&self) -> &[u32] {
        match self {
            Self::Partition { nodes }
            | Self::Cut { nodes }
            | Self::Crash { nodes }
            | Self::Lie { nodes }
            | Self::ClockStep { nodes, .. } => nodes,
            Self::Weather(_) | Self::HubDown { .. } | Self::HubHung | Self::HubEmptied => &[],
        }
    }

    /// What only one trouble at a time can act on.
    pub(crate) const fn acts_on(&self) -> &'static str {
        match self {
            Self::Weather(_) => "the network",
            Self::Partition { .. } => "the sides of the hub",
            Self::Cut { .. } => "the way to the hub",
            Self::HubDown { .. } | Self::HubHung | Self::HubEmptied => "the hub",
            Self::Crash { .. } | Self::Lie { .. } => "the process",
            Self::ClockStep { .. } => "the clock",
        }
    }

    /// Whether it keeps news from somebody, so that there is something to catch up with.
    pub(crate) const fn parts(&self) -> bool {
        !matches!(self, Self::Lie { .. } | Self::ClockStep { .. })
    }

    /// Whether it is about the processes themselves: their callers see it.
    pub(crate) const fn harms_nodes(&self) -> bool {
        matches!(self, Self::Crash { .. } | Self::Lie { .. })
    }
}

/// How the network between nodes and hub behaves. Calls arrive or time out; what gets lost are
/// frames, as a server drops them for those who read too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weather {
    /// Chance that a frame does not reach one of its receivers, 0 to 1.
    #[serde(default)]
    pub loss: f64,
    /// Chance that a frame arrives twice, 0 to 1.
    #[serde(default)]
    pub duplication: f64,
    /// Shortest way between node and hub in seconds, 0 to 10. A call takes two of them.
    pub min_delay_secs: f64,
    /// Longest way, likewise; the spread reorders frames.
    pub max_delay_secs: f64,
}

impl Default for Weather {
    /// Nothing is lost, and every way takes 0.5 to 1.5 ms: a data centre.
    fn default() -> Self {
        Self { loss: 0.0, duplication: 0.0, min_delay_secs: 0.0005, max_delay_secs: 0.0015 }
    }
}

/// A clock that is not the others'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skew {
    /// Whose.
    pub node: u32,
    /// How far it is ahead, -1800 to 1800 s.
    #[serde(default)]
    pub offset_secs: f64,
    /// How much too fast it runs, in millionths, -10,000 to 10,000.
    #[serde(default)]
    pub drift_ppm: f64,
}
