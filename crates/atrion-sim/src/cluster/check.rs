//! What a cluster's scenario may say.

use super::parts::{Skew, Split, Trouble, TroubleKind, Weather};
use super::scenario::Raw;
use crate::error::{ScenarioError, check as in_range};
use crate::scenario::Scenario;

/// Nodes a cluster may have.
const MOST_NODES: u32 = 400;
/// Requests of a run, retries not counted.
const MOST_REQUESTS: f64 = 2e7;
/// Frames put on their way to a receiver, if everybody speaks at every pulse.
const MOST_DELIVERIES: f64 = 2e8;
const MOST_TROUBLES: usize = 100;
const CLOCK_SECS: (f64, f64) = (-1800.0, 1800.0);

pub(super) fn check(raw: &Raw) -> Result<(), ScenarioError> {
    if raw.name.trim().is_empty() {
        return Err(ScenarioError::malformed("name", "must not be empty"));
    }
    node_count(raw.nodes)?;
    in_range(|| "interval_secs".into(), raw.interval_secs, "s", (1e-3, 60.0))?;
    split(&raw.split, raw.nodes)?;
    weather("weather", raw.weather)?;
    skews(&raw.skews, raw.nodes)?;
    for (index, fault) in raw.faults.iter().enumerate() {
        nodes(&format!("fault[{index}].nodes"), &fault.nodes, raw.nodes)?;
    }
    for (name, count) in [("fault", raw.faults.len()), ("trouble", raw.troubles.len())] {
        let field = || format!("number of entries `{name}`");
        in_range(field, count as f64, "", (0.0, MOST_TROUBLES as f64))?;
    }
    for (index, t) in raw.troubles.iter().enumerate() {
        trouble(index, t, raw)?;
        for (earlier, other) in raw.troubles.iter().enumerate().take(index) {
            apart((index, t), (earlier, other))?;
        }
    }
    Ok(())
}

pub(super) fn node_count(nodes: u32) -> Result<(), ScenarioError> {
    in_range(|| "nodes".into(), f64::from(nodes), "", (1.0, f64::from(MOST_NODES)))
}

/// Runs that would not end in a lifetime, or in which nobody ever asks, are none.
pub(super) fn check_size(raw: &Raw, nodes: &[Scenario]) -> Result<(), ScenarioError> {
    let requests: f64 = nodes.iter().map(Scenario::expected_requests).sum();
    let field = || "expected number of requests of all nodes".to_owned();
    in_range(field, requests, "", (1.0, MOST_REQUESTS))?;
    let pairs = f64::from(raw.nodes) * f64::from(raw.nodes);
    let most = pairs * raw.node.duration_secs() / raw.interval_secs;
    let field = || "number of deliveries (nodes squared, times duration over interval)".to_owned();
    in_range(field, most, "", (0.0, MOST_DELIVERIES))
}

fn split(split: &Split, nodes: u32) -> Result<(), ScenarioError> {
    match split {
        Split::Even => Ok(()),
        Split::Skewed { exponent } => {
            in_range(|| "split.exponent".into(), *exponent, "", (0.0, 10.0))
        }
        Split::Weights { weights } => {
            let wanted = f64::from(nodes);
            let field = || "number of entries `split.weights`".to_owned();
            in_range(field, weights.len() as f64, "", (wanted, wanted))?;
            for (index, weight) in weights.iter().enumerate() {
                in_range(|| format!("split.weights[{index}]"), *weight, "", (0.0, 1e6))?;
            }
            if weights.iter().all(|weight| *weight <= 0.0) {
                return Err(ScenarioError::malformed("split.weights", "must not all be 0"));
            }
            Ok(())
        }
    }
}

fn weather(at: &str, w: Weather) -> Result<(), ScenarioError> {
    in_range(|| format!("{at}.loss"), w.loss, "", (0.0, 1.0))?;
    in_range(|| format!("{at}.duplication"), w.duplication, "", (0.0, 1.0))?;
    in_range(|| format!("{at}.min_delay_secs"), w.min_delay_secs, "s", (0.0, 10.0))?;
    in_range(|| format!("{at}.max_delay_secs"), w.max_delay_secs, "s", (w.min_delay_secs, 10.0))
}

fn skews(skews: &[Skew], count: u32) -> Result<(), ScenarioError> {
    for (index, skew) in skews.iter().enumerate() {
        let at = |name: &'static str| move || format!("skew[{index}].{name}");
        in_range(at("node"), f64::from(skew.node), "", (0.0, f64::from(count) - 1.0))?;
        in_range(at("offset_secs"), skew.offset_secs, "s", CLOCK_SECS)?;
        in_range(at("drift_ppm"), skew.drift_ppm, "ppm", (-1e4, 1e4))?;
        if skews.iter().take(index).any(|other| other.node == skew.node) {
            let problem = format!("node {} has another skew already", skew.node);
            return Err(ScenarioError::malformed(at("node")(), problem));
        }
    }
    Ok(())
}

/// Each exists, and none is named twice.
fn nodes(at: &str, nodes: &[u32], count: u32) -> Result<(), ScenarioError> {
    for (index, node) in nodes.iter().enumerate() {
        let field = || format!("{at}[{index}]");
        in_range(field, f64::from(*node), "", (0.0, f64::from(count) - 1.0))?;
        if nodes.iter().take(index).any(|other| other == node) {
            return Err(ScenarioError::malformed(field(), format!("node {node} is named twice")));
        }
    }
    Ok(())
}

fn trouble(index: usize, t: &Trouble, raw: &Raw) -> Result<(), ScenarioError> {
    let at = |name: &'static str| move || format!("trouble[{index}].{name}");
    let end = raw.node.duration_secs();
    in_range(at("from_secs"), t.from_secs, "s", (0.0, end))?;
    in_range(at("to_secs"), t.to_secs, "s", (0.0, 1e6))?;
    if t.to_secs <= t.from_secs {
        return Err(ScenarioError::Conflict {
            field: at("to_secs")(),
            value: t.to_secs,
            relation: "above",
            other: at("from_secs")(),
            other_value: t.from_secs,
        });
    }
    let named = t.kind.nodes();
    nodes(&at("nodes")(), named, raw.nodes)?;
    let all = named.len() == raw.nodes as usize;
    let problem = match &t.kind {
        TroubleKind::Partition { .. } if all => "must leave a node on the other side",
        TroubleKind::Lie { .. } if all => "must leave a node that does not lie",
        TroubleKind::Partition { .. }
        | TroubleKind::Cut { .. }
        | TroubleKind::Crash { .. }
        | TroubleKind::Lie { .. }
        | TroubleKind::ClockStep { .. }
            if named.is_empty() =>
        {
            "at least one node is needed"
        }
        TroubleKind::Weather(w) => return weather(&format!("trouble[{index}]"), *w),
        TroubleKind::ClockStep { secs, .. } => {
            return in_range(at("secs"), *secs, "s", CLOCK_SECS);
        }
        _ => return Ok(()),
    };
    Err(ScenarioError::malformed(at("nodes")(), problem))
}

/// Two troubles that need the same thing must not meet.
fn apart(one: (usize, &Trouble), other: (usize, &Trouble)) -> Result<(), ScenarioError> {
    let ((index, t), (earlier, o)) = (one, other);
    let meet = t.from_secs < o.to_secs && o.from_secs < t.to_secs;
    let what = t.kind.acts_on();
    let (mine, theirs) = (t.kind.nodes(), o.kind.nodes());
    // A partition concerns everybody: a node is on one side of one wall.
    let whole = mine.is_empty() || matches!(t.kind, TroubleKind::Partition { .. });
    let shares = whole || mine.iter().any(|node| theirs.contains(node));
    if !meet || what != o.kind.acts_on() || !shares {
        return Ok(());
    }
    let problem = format!("acts on {what} at the same time as trouble[{earlier}]");
    Err(ScenarioError::malformed(format!("trouble[{index}]"), problem))
}
