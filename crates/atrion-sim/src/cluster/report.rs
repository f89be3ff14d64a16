//! What came of a cluster's run, and the means over several.

use atrion_cluster::simulation::Hub;
use atrion_core::math;
use atrion_core::time::Timestamp;

use super::converge::Convergence;
use super::node::Node;
use super::run::Sharing;
use super::scenario::ClusterScenario;
use super::watch::{Bin, Worth, recovery_secs};
use crate::report::{Report, Spread};
use crate::scenario::Scenario;

/// Requests of one worth that bystanders were asked for, and refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Harm {
    /// The first class of this worth.
    pub class: String,
    /// In volts.
    pub volts: f64,
    /// Requests.
    pub asked: u64,
    /// Of them refused.
    pub refused: u64,
}

impl Harm {
    /// Percent refused; 0 if there were no requests.
    pub fn percent(&self) -> f64 {
        if self.asked == 0 { 0.0 } else { 100.0 * self.refused as f64 / self.asked as f64 }
    }
}

/// What came of one run of a cluster. Figures are `None` where they make no sense.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterReport {
    /// The scenario's name.
    pub scenario: String,
    /// How much was shared, in words.
    pub sharing: String,
    /// The run's seed.
    pub seed: u64,
    /// Simulated seconds.
    pub duration_secs: f64,
    /// What came of each node.
    pub nodes: Vec<Report>,
    /// Requests of all nodes, repeated ones included.
    pub requests: u64,
    /// Requests that came while a node's dependency was dead, and those of them that were sent
    /// there.
    pub asked_dead: u64,
    /// See [`asked_dead`](Self::asked_dead).
    pub sent_to_dead: u64,
    /// The same of all nodes but the first to open a breaker.
    pub others_asked_dead: u64,
    /// See [`others_asked_dead`](Self::others_asked_dead).
    pub others_sent_to_dead: u64,
    /// Requests that found no process.
    pub lost: u64,
    /// For each node but the first to open a breaker: intervals until it had word of an open
    /// breaker, or had opened its own. Infinite for those that never had; empty if nobody opened,
    /// and where somebody lies.
    pub known_intervals: Vec<f64>,
    /// The same until it acted: held or opened a route.
    pub held_intervals: Vec<f64>,
    /// Requests sent to a dead dependency per second, all nodes together, once every breaker had
    /// two seconds to open.
    pub probes_per_sec: Option<f64>,
    /// Seconds from the end of everything until half a second begins in which 95 % of the normal
    /// and more important requests are admitted; infinite if none does.
    pub recovery_secs: Option<f64>,
    /// Seconds from the end of a trouble that kept news back until everybody has heard of
    /// everybody; the worst if there are several, infinite if they do not.
    pub convergence_secs: Option<f64>,
    /// What nodes to which nothing ever happens were made to refuse since anything happened, by
    /// worth, the cheapest first. Empty if there are no such nodes.
    pub harm: Vec<Harm>,
    /// Frames published.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames put on their way to a receiver.
    pub deliveries: u64,
}

impl ClusterReport {
    /// A number that two runs share only if everything counted is the same, to the last bit.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut mix = |word: u64| {
            hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
            hash ^= hash >> 29;
        };
        self.nodes.iter().map(Report::fingerprint).for_each(&mut mix);
        for count in [self.sent_to_dead, self.lost, self.frames, self.bytes, self.deliveries] {
            mix(count);
        }
        for harm in &self.harm {
            mix(harm.refused);
        }
        let maybe = [self.recovery_secs, self.convergence_secs];
        let figures = self.known_intervals.iter().chain(&self.held_intervals);
        for figure in figures.copied().chain(maybe.into_iter().flatten()) {
            mix(figure.to_bits());
        }
        hash
    }

    /// Frames that a node publishes per second.
    pub fn frames_per_node_sec(&self) -> f64 {
        self.frames as f64 / (self.nodes.len() as f64 * self.duration_secs)
    }
}

pub(super) fn gather(
    scenario: &ClusterScenario,
    sharing: Sharing,
    seed: u64,
    nodes: &[Node],
    reports: Vec<Report>,
    hub: &Hub,
    convergence: &Convergence,
) -> ClusterReport {
    let watched = || nodes.iter().map(|node| &node.watched);
    let end = scenario.duration_secs();
    let probing = watched().map(|w| w.probing_secs(end)).fold(0.0, math::max);
    let probes: u64 = watched().map(|w| w.probes).sum();
    let lies = scenario.troubles().iter().any(|t| t.kind.acts_on() == "the process");
    let intervals = |told: fn(&Node) -> Option<Timestamp>| {
        if lies { Vec::new() } else { intervals(scenario, nodes, told) }
    };
    let first = opener(nodes).map(|(_, id)| id);
    let others = || nodes.iter().enumerate().filter(|(id, _)| Some(*id) != first).map(|(_, n)| n);
    ClusterReport {
        scenario: scenario.name().to_owned(),
        sharing: sharing.to_string(),
        seed,
        duration_secs: end,
        requests: reports.iter().map(|r| r.requests).sum(),
        nodes: reports,
        asked_dead: watched().map(|w| w.asked_dead).sum(),
        sent_to_dead: watched().map(|w| w.sent_dead).sum(),
        others_asked_dead: others().map(|n| n.watched.asked_dead).sum(),
        others_sent_to_dead: others().map(|n| n.watched.sent_dead).sum(),
        lost: watched().map(|w| w.lost).sum(),
        known_intervals: intervals(|node| node.watched.known_at),
        held_intervals: intervals(|node| node.watched.held_at),
        probes_per_sec: (probing > 0.0).then(|| probes as f64 / probing),
        recovery_secs: recovery_secs(watched().map(|w| -> &[Bin] { &w.bins })),
        convergence_secs: convergence.secs(),
        harm: harm(scenario, nodes),
        frames: hub.frames(),
        bytes: hub.bytes(),
        deliveries: hub.deliveries(),
    }
}

/// For each node but the first to open a breaker: intervals from there until it was told.
fn intervals(
    scenario: &ClusterScenario,
    nodes: &[Node],
    told: fn(&Node) -> Option<Timestamp>,
) -> Vec<f64> {
    let Some((first, opener)) = opener(nodes) else { return Vec::new() };
    let others = nodes.iter().enumerate().filter(|(id, _)| *id != opener);
    let secs = others.map(|(_, node)| told(node).map_or(f64::INFINITY, |at| at.secs_since(first)));
    let mut all: Vec<f64> = secs.map(|secs| secs / scenario.interval_secs()).collect();
    all.sort_by(f64::total_cmp);
    all
}

/// The first node to open a breaker, and when.
fn opener(nodes: &[Node]) -> Option<(Timestamp, usize)> {
    let opened = nodes.iter().enumerate();
    opened.filter_map(|(id, node)| Some((node.watched.opened_at?, id))).min()
}

fn harm(scenario: &ClusterScenario, nodes: &[Node]) -> Vec<Harm> {
    let mut all: Vec<Harm> = Vec::new();
    for (_, node) in nodes.iter().enumerate().filter(|(id, _)| scenario.is_bystander(*id)) {
        for worth in &node.watched.worths {
            add(scenario, &mut all, worth);
        }
    }
    all.sort_by(|a, b| a.volts.total_cmp(&b.volts));
    all
}

fn add(scenario: &ClusterScenario, all: &mut Vec<Harm>, worth: &Worth) {
    let same = |volts: f64| volts.to_bits() == worth.volts.to_bits();
    if let Some(harm) = all.iter_mut().find(|harm| same(harm.volts)) {
        harm.asked += worth.asked;
        harm.refused += worth.refused;
        return;
    }
    let mut classes = scenario.nodes().iter().flat_map(Scenario::classes);
    let class = classes.find(|class| same(class.volts));
    let class = class.map(|class| class.name.clone()).unwrap_or_default();
    let (asked, refused) = (worth.asked, worth.refused);
    all.push(Harm { class, volts: worth.volts, asked, refused });
}

/// One way of sharing in one scenario, over several seeds. Figures are `None` where they make no
/// sense.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSummary {
    /// The scenario's name.
    pub scenario: String,
    /// How much was shared, in words.
    pub sharing: String,
    /// Runs behind the figures.
    pub runs: usize,
    /// Median and 99th percentile of the intervals until the others knew, over all runs.
    pub known: Option<(f64, f64)>,
    /// The same until they acted.
    pub held: Option<(f64, f64)>,
    /// Requests sent to a dead dependency; `None` if none was ever dead.
    pub sent_to_dead: Option<Spread>,
    /// Percent of the requests of all nodes but the first to open a breaker that were sent to a dead
    /// dependency, of those that came meanwhile.
    pub others_sent_percent: Option<Spread>,
    /// Probes per second of all nodes together.
    pub probes_per_sec: Option<Spread>,
    /// Seconds until requests were served again.
    pub recovery_secs: Option<Spread>,
    /// Seconds until everybody had heard of everybody.
    pub convergence_secs: Option<Spread>,
    /// Percent that bystanders refused, by the name of the class.
    pub harm: Vec<(String, Spread)>,
    /// Frames that a node publishes per second.
    pub frames_per_node_sec: Spread,
    /// Bytes of a frame; `None` if there was none.
    pub bytes_per_frame: Option<Spread>,
}

impl ClusterSummary {
    /// The means of reports of one scenario under one way of sharing; `None` if there are none.
    pub fn of(reports: &[ClusterReport]) -> Option<Self> {
        let first = reports.first()?;
        let maybe = |f: fn(&ClusterReport) -> Option<f64>| Spread::of(reports.iter().filter_map(f));
        let percentiles = |f: fn(&ClusterReport) -> &[f64]| {
            let mut all: Vec<f64> = reports.iter().flat_map(f).copied().collect();
            all.sort_by(f64::total_cmp);
            Some((quantile(&all, 0.5)?, quantile(&all, 0.99)?))
        };
        let class = |(index, harm): (usize, &Harm)| {
            let all = reports.iter().filter_map(|r| r.harm.get(index)).map(Harm::percent);
            (harm.class.clone(), Spread::of(all).unwrap_or_default())
        };
        Some(Self {
            scenario: first.scenario.clone(),
            sharing: first.sharing.clone(),
            runs: reports.len(),
            known: percentiles(|r| &r.known_intervals),
            held: percentiles(|r| &r.held_intervals),
            sent_to_dead: maybe(|r| (r.asked_dead > 0).then_some(r.sent_to_dead as f64)),
            others_sent_percent: maybe(|r| {
                let (sent, asked) = (r.others_sent_to_dead as f64, r.others_asked_dead as f64);
                (r.others_asked_dead > 0).then(|| 100.0 * sent / asked)
            }),
            probes_per_sec: maybe(|r| r.probes_per_sec),
            recovery_secs: maybe(|r| r.recovery_secs),
            convergence_secs: maybe(|r| r.convergence_secs),
            harm: first.harm.iter().enumerate().map(class).collect(),
            frames_per_node_sec: maybe(|r| Some(r.frames_per_node_sec())).unwrap_or_default(),
            bytes_per_frame: maybe(|r| (r.frames > 0).then(|| r.bytes as f64 / r.frames as f64)),
        })
    }
}

/// The smallest value that this share of the values does not exceed.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64 + 0.999_999) as usize;
    sorted.get(rank.saturating_sub(1).min(sorted.len().checked_sub(1)?)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), Some(50.0));
        assert_eq!(quantile(&values, 0.99), Some(99.0));
        assert_eq!(quantile(&values[..1], 0.99), Some(1.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn no_reports_make_no_summary() {
        assert_eq!(ClusterSummary::of(&[]), None);
    }
}
