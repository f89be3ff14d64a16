//! A cluster's scenario: what every node is, how many there are, and what happens to them.

use serde::{Deserialize, Serialize};

use super::check;
use super::parts::{NodeFault, Skew, Split, Trouble, Weather};
use crate::error::ScenarioError;
use crate::scenario::Scenario;

/// A scenario of several nodes that can be run. Valid by construction.
///
/// ```
/// use atrion_sim::cluster::{ClusterScenario, Trouble, TroubleKind};
/// use atrion_sim::scenario;
///
/// let scenario = ClusterScenario::builder(scenario::find("steady")?, 5)
///     .name("parted")
///     .trouble(Trouble::new(20.0, 30.0, TroubleKind::Partition { nodes: vec![0, 1] }))
///     .build()?;
/// assert_eq!(ClusterScenario::from_toml(&scenario.to_toml())?, scenario);
///
/// let stranger = Trouble::new(20.0, 30.0, TroubleKind::Crash { nodes: vec![5] });
/// let mistake = scenario.to_builder().trouble(stranger).build().unwrap_err();
/// assert_eq!(mistake.to_string(), "trouble[1].nodes[0] is 5, allowed is 0 to 4");
/// # Ok::<(), atrion_sim::ScenarioError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct ClusterScenario {
    raw: Raw,
    /// What each node is, with its share of the load and its own faults.
    nodes: Vec<Scenario>,
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    /// How many nodes.
    pub(super) nodes: u32,
    /// How often a node sends news, in seconds.
    #[serde(default = "interval")]
    pub(super) interval_secs: f64,
    #[serde(default)]
    pub(super) split: Split,
    #[serde(default)]
    pub(super) weather: Weather,
    /// What each node is, with the mean load of a node.
    pub(super) node: Scenario,
    #[serde(rename = "skew", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) skews: Vec<Skew>,
    #[serde(rename = "fault", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) faults: Vec<NodeFault>,
    #[serde(rename = "trouble", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) troubles: Vec<Trouble>,
}

const fn interval() -> f64 {
    0.1
}

impl TryFrom<Raw> for ClusterScenario {
    type Error = ScenarioError;

    fn try_from(raw: Raw) -> Result<Self, ScenarioError> {
        check::check(&raw)?;
        let factors = raw.split.factors(raw.nodes as usize);
        let mut nodes = Vec::with_capacity(factors.len());
        for (id, factor) in (0..).zip(factors) {
            let hits = |f: &&NodeFault| f.nodes.is_empty() || f.nodes.contains(&id);
            let faults = raw.faults.iter().filter(hits).map(|f| f.fault.clone());
            nodes.push(raw.node.for_node(factor, faults)?);
        }
        check::check_size(&raw, &nodes)?;
        Ok(Self { raw, nodes })
    }
}

impl From<ClusterScenario> for Raw {
    fn from(scenario: ClusterScenario) -> Self {
        scenario.raw
    }
}

impl ClusterScenario {
    /// Starts with so many nodes, each of which is `node`, with all of its load. Its name and its
    /// sentence are taken over.
    pub fn builder(node: Scenario, nodes: u32) -> ClusterScenarioBuilder {
        ClusterScenarioBuilder(Raw {
            name: node.name().to_owned(),
            description: node.description().to_owned(),
            nodes,
            interval_secs: interval(),
            split: Split::Even,
            weather: Weather::default(),
            node,
            skews: Vec::new(),
            faults: Vec::new(),
            troubles: Vec::new(),
        })
    }

    /// Reads a scenario from the text of a TOML file.
    ///
    /// # Errors
    /// [`ScenarioError`] with the field, its value and the allowed range, or with the line that
    /// is not TOML.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let raw: Raw =
            toml::from_str(text).map_err(|e| ScenarioError::Syntax(e.to_string().trim().into()))?;
        raw.try_into()
    }

    /// The scenario as the text of a TOML file.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.raw).unwrap_or_default()
    }

    /// A builder that starts from this scenario.
    pub fn to_builder(&self) -> ClusterScenarioBuilder {
        ClusterScenarioBuilder(self.raw.clone())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.raw.name
    }

    /// A sentence about it; may be empty.
    pub fn description(&self) -> &str {
        &self.raw.description
    }

    /// What each node is, with its share of the load and its own faults.
    pub fn nodes(&self) -> &[Scenario] {
        &self.nodes
    }

    /// Faults of the service.
    pub fn faults(&self) -> &[NodeFault] {
        &self.raw.faults
    }

    /// Troubles of hub, network and processes.
    pub fn troubles(&self) -> &[Trouble] {
        &self.raw.troubles
    }

    /// Clocks that are not the others'.
    pub fn skews(&self) -> &[Skew] {
        &self.raw.skews
    }

    /// How the network behaves when there is no trouble.
    pub fn weather(&self) -> Weather {
        self.raw.weather
    }

    /// Seconds between two pulses of a node.
    pub fn interval_secs(&self) -> f64 {
        self.raw.interval_secs
    }

    /// Seconds that a run takes in simulated time.
    pub fn duration_secs(&self) -> f64 {
        self.raw.node.duration_secs()
    }

    /// From the first beginning to the last end of whatever happens, within the run; `None` if
    /// nothing does.
    pub fn acting_secs(&self) -> Option<(f64, f64)> {
        let faults = self.raw.faults.iter().map(|f| (f.fault.from_secs, f.fault.to_secs));
        let own = self.raw.node.faults().iter().map(|f| (f.from_secs, f.to_secs));
        let troubles = self.raw.troubles.iter().map(|t| (t.from_secs, t.to_secs));
        let (from, to) = faults.chain(own).chain(troubles).reduce(|all, one| {
            (atrion_core::math::min(all.0, one.0), atrion_core::math::max(all.1, one.1))
        })?;
        Some((from, atrion_core::math::min(to, self.duration_secs())))
    }

    /// Whether nothing ever happens to this node itself: neither to its service nor to its
    /// process. What it refuses is harm that others did.
    pub fn is_bystander(&self, node: usize) -> bool {
        let well = self.nodes.get(node).is_some_and(|n| n.faults().is_empty());
        let harms = |t: &Trouble| {
            t.kind.harms_nodes() && t.kind.nodes().iter().any(|id| *id as usize == node)
        };
        well && !self.raw.troubles.iter().any(harms)
    }
}

/// Builds a [`ClusterScenario`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ClusterScenarioBuilder(Raw);

impl ClusterScenarioBuilder {
    /// Renames it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }

    /// A sentence about it.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.0.description = description.into();
        self
    }

    /// How the callers spread; evenly by default.
    pub fn split(mut self, split: Split) -> Self {
        self.0.split = split;
        self
    }

    /// How the network behaves when there is no trouble.
    pub const fn weather(mut self, weather: Weather) -> Self {
        self.0.weather = weather;
        self
    }

    /// Seconds between two pulses of a node, 0.001 to 60; 0.1 by default.
    pub const fn interval_secs(mut self, secs: f64) -> Self {
        self.0.interval_secs = secs;
        self
    }

    /// A clock that is not the others'.
    pub fn skew(mut self, skew: Skew) -> Self {
        self.0.skews.push(skew);
        self
    }

    /// Something happens to the service of some nodes; of all of them if none is named.
    pub fn fault(mut self, nodes: &[u32], fault: crate::scenario::Fault) -> Self {
        self.0.faults.push(NodeFault { nodes: nodes.to_vec(), fault });
        self
    }

    /// Something happens to hub, network or processes.
    pub fn trouble(mut self, trouble: Trouble) -> Self {
        self.0.troubles.push(trouble);
        self
    }

    /// The scenario, if everything in it makes sense.
    ///
    /// # Errors
    /// [`ScenarioError`] with the field, its value and what is allowed.
    pub fn build(self) -> Result<ClusterScenario, ScenarioError> {
        self.0.try_into()
    }
}
