//! The clusters that come with the crate.

use atrion_core::flow::Priority;

use super::parts::{Skew, Split, Trouble, TroubleKind, Weather};
use super::scenario::{ClusterScenario, ClusterScenarioBuilder};
use crate::distribution::Distribution;
use crate::error::ScenarioError;
use crate::scenario::{self, Class, Effect, Fault, Preset, Scenario, Service};

/// What the blending study gave every node: requests per second, their service time, and how many
/// of them are of which tier.
const RATE: f64 = 20.0;
const MEAN_SECS: f64 = 0.02;
/// Far more than such a node ever needs: what is studied here is not overload.
const WORKERS: u32 = 64;
const TIERS: [(&str, Priority, f64); 5] = [
    ("bulk", Priority::Bulk, 0.2),
    ("low", Priority::Low, 0.2),
    ("normal", Priority::Normal, 0.4),
    ("high", Priority::High, 0.15),
    ("critical", Priority::Critical, 0.05),
];
/// When things happen, and how long a run is, in seconds.
const FROM: f64 = 5.0;
const TO: f64 = 35.0;
const END: f64 = 45.0;
/// The same where quiet nodes need time to have had requests at all: in the preset of this name.
const QUIET: &str = "warned";
const QUIET_FROM: f64 = 40.0;
const QUIET_TO: f64 = 100.0;
const QUIET_END: f64 = 110.0;
/// Nodes of a preset of which nothing else is said.
const NODES: u32 = 3;

type Script = fn(ClusterScenarioBuilder, u32) -> ClusterScenarioBuilder;

/// Name, sentence, number of nodes unless said otherwise, and how it is made.
type Known = (&'static str, &'static str, u32, Script);

const CLUSTERS: &[Known] = &[
    (QUIET, "a busy node sees an outage that the quiet ones have yet to meet", NODES, |b, n| {
        let mut weights = vec![0.1; n as usize];
        if let Some(first) = weights.first_mut() {
            *first = 50.0;
        }
        let outage = Fault::new(QUIET_FROM, QUIET_TO, outage());
        b.fault(&[], outage).split(Split::Weights { weights })
    }),
    ("outage", "the dependency of all nodes is dead for 30 s", NODES, |b, _| dead(b, &[], FROM)),
    ("zone", "the dependency of more than half of the nodes is dead for 30 s", 5, |b, n| {
        dead(b, &first(n / 2 + 1), FROM)
    }),
    ("first", "the dependency dies for one node 5 s before it does for all", NODES, |b, n| {
        let others: Vec<u32> = (1..n).collect();
        dead(dead(b, &[0], FROM), &others, FROM + 5.0)
    }),
    ("liar", "one node claims an outage that is none, for 30 s", NODES, |b, n| {
        b.trouble(Trouble::new(FROM, TO, TroubleKind::Lie { nodes: vec![n - 1] }))
    }),
    ("partition", "half of the nodes do not hear the other half in an outage", 5, |b, n| {
        let nodes = first(n / 2);
        dead(b, &[], FROM).trouble(Trouble::new(10.0, 30.0, TroubleKind::Partition { nodes }))
    }),
    ("cut", "half of the nodes do not reach the hub in an outage", 5, |b, n| {
        let nodes = first(n / 2);
        dead(b, &[], FROM).trouble(Trouble::new(10.0, 30.0, TroubleKind::Cut { nodes }))
    }),
    ("killed", "the hub is killed in an outage and comes back after 5 s", NODES, |b, _| {
        let kind = TroubleKind::HubDown { emptied: false };
        dead(b, &[], FROM).trouble(Trouble::new(15.0, 20.0, kind))
    }),
    ("emptied", "the same, and it comes back empty", NODES, |b, _| {
        let kind = TroubleKind::HubDown { emptied: true };
        dead(b, &[], FROM).trouble(Trouble::new(15.0, 20.0, kind))
    }),
    ("hung", "the hub hangs for 5 s in an outage", NODES, |b, _| {
        dead(b, &[], FROM).trouble(Trouble::new(15.0, 20.0, TroubleKind::HubHung))
    }),
    ("crash", "a node dies in an outage, and another takes its place after 2 s", NODES, |b, n| {
        let nodes = vec![n - 1];
        dead(b, &[], FROM).trouble(Trouble::new(15.0, 17.0, TroubleKind::Crash { nodes }))
    }),
    ("lossy", "an outage while 30 % of the frames are lost, late or doubled", NODES, |b, _| {
        let bad =
            Weather { loss: 0.3, duplication: 0.3, min_delay_secs: 0.001, max_delay_secs: 0.2 };
        dead(b, &[], FROM).trouble(Trouble::new(FROM, TO, TroubleKind::Weather(bad)))
    }),
    ("clocks", "an outage among clocks that differ by minutes, drift and leap", NODES, |b, n| {
        let skew = |node: u32| Skew {
            node,
            offset_secs: 60.0 * f64::from(node % 20),
            drift_ppm: 100.0 * f64::from(node % 3) - 100.0,
        };
        let leap = TroubleKind::ClockStep { nodes: vec![0], secs: -30.0 };
        let b = dead(b, &[], FROM).trouble(Trouble::new(12.0, 25.0, leap));
        (0..n).fold(b, |b, node| b.skew(skew(node)))
    }),
    ("calm", "nothing happens: what sharing costs on the wire", NODES, |b, _| b),
];

/// Shorter names.
const ALIASES: &[(&str, &str, &str)] =
    &[("outage50", "outage@cluster50", "the outage, seen by 50 nodes")];

/// All clusters that come with the crate, as `NAME@clusterN`; the names that no scenario of one
/// node has stand for their usual number of nodes.
pub fn presets() -> Vec<Preset> {
    let clusters = CLUSTERS.iter().map(|&(name, about, ..)| Preset { name, about });
    clusters.chain(ALIASES.iter().map(|&(name, _, about)| Preset { name, about })).collect()
}

/// Whether this name means a cluster.
pub fn is_cluster(name: &str) -> bool {
    let known = CLUSTERS.iter().any(|c| c.0 == name) && scenario::find(name).is_err();
    split(name).is_some() || known || ALIASES.iter().any(|a| a.0 == name)
}

/// The cluster `NAME` or `NAME@clusterN` of N nodes. NAME may also be a scenario of one node, which
/// every node is then, with all of its load: `step5x@cluster3`.
///
/// ```
/// assert_eq!(atrion_sim::cluster::find("liar@cluster5")?.nodes().len(), 5);
/// let mistake = atrion_sim::cluster::find("liar@cluster0").unwrap_err();
/// assert_eq!(mistake.to_string(), "nodes is 0, allowed is 1 to 400");
/// # Ok::<(), atrion_sim::ScenarioError>(())
/// ```
///
/// # Errors
/// [`ScenarioError::Unknown`] with all names, or what is wrong with the number of nodes.
pub fn find(name: &str) -> Result<ClusterScenario, ScenarioError> {
    let full = ALIASES.iter().find(|a| a.0 == name).map_or(name, |a| a.1);
    let (script, nodes) = match split(full) {
        Some((script, nodes)) => (script, Some(count(nodes)?)),
        None => (full, None),
    };
    let Some((_, about, usual, make)) = CLUSTERS.iter().find(|c| c.0 == script) else {
        return of_single(name, script, nodes.unwrap_or(NODES));
    };
    let nodes = nodes.unwrap_or(*usual);
    if nodes == 0 {
        // Scripts count on somebody being there.
        super::check::node_count(nodes)?;
    }
    let end = if script == QUIET { QUIET_END } else { END };
    let builder = ClusterScenario::builder(node(end)?, nodes).name(name).description(*about);
    make(builder, nodes).build()
}

/// A scenario of one node, on every node.
fn of_single(name: &str, script: &str, nodes: u32) -> Result<ClusterScenario, ScenarioError> {
    let unknown = |_| ScenarioError::Unknown {
        name: name.to_owned(),
        known: presets().iter().map(|p| p.name).collect::<Vec<_>>().join(", "),
    };
    let single = scenario::find(script).map_err(unknown)?;
    ClusterScenario::builder(single, nodes).name(name).build()
}

fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once("@cluster")
}

fn count(digits: &str) -> Result<u32, ScenarioError> {
    digits.parse().map_err(|_| {
        ScenarioError::malformed("nodes", format!("`{digits}` is not a number of nodes"))
    })
}

fn first(nodes: u32) -> Vec<u32> {
    (0..nodes).collect()
}

/// What every node is.
fn node(duration_secs: f64) -> Result<Scenario, ScenarioError> {
    let service = Service::fifo(WORKERS, MEAN_SECS).with_distribution(Distribution::Constant);
    let class = |(name, priority, share): (&str, Priority, f64)| {
        let class = Class::new(name, 0.0).on_route("payments").with_priority(priority);
        Class { load: None, rate_per_sec: Some(RATE * share), ..class }
    };
    Scenario::builder("node", service)
        .classes(TIERS.map(class).to_vec())
        .duration_secs(duration_secs)
        .build()
}

/// These nodes' dependency is dead until [`TO`].
fn dead(builder: ClusterScenarioBuilder, nodes: &[u32], from: f64) -> ClusterScenarioBuilder {
    builder.fault(nodes, Fault::new(from, TO, outage()))
}

const fn outage() -> Effect {
    Effect::Outage { min_secs: MEAN_SECS, max_secs: MEAN_SECS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_in_every_size_and_survives_a_file() {
        for (name, ..) in CLUSTERS {
            for nodes in [2, 3, 50] {
                let full = format!("{name}@cluster{nodes}");
                let scenario = find(&full).unwrap_or_else(|e| panic!("{full}: {e}"));
                let text = scenario.to_toml();
                let read = ClusterScenario::from_toml(&text);
                let read = read.unwrap_or_else(|e| panic!("{full}: {e}\n{text}"));
                assert_eq!(read, scenario, "{full}\n{text}");
            }
        }
    }

    #[test]
    fn names_of_one_node_are_not_taken_over() {
        assert!(!is_cluster("outage") && is_cluster("outage50") && is_cluster("outage@cluster4"));
        assert!(is_cluster("liar") && !is_cluster("step5x") && is_cluster("step5x@cluster2"));
        for name in ["nosuch@cluster3", "liar@cluster", "liar@cluster-1", "liar@cluster401"] {
            assert!(find(name).is_err(), "{name}");
        }
    }
}
