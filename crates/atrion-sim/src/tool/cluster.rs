//! Clusters on the command line.

use atrion_sim::cluster::{self, ClusterScenario, ClusterSummary, Sharing};
use atrion_state::clock::{Clock as _, MonotonicClock};
use indicatif::ProgressBar;

use crate::args::Options;
use crate::file::Subject;

/// The ways of sharing that are compared: none, and the lowest, the usual and the highest weight
/// of the others' word.
const GAMMAS: [f64; 3] = [0.0, 0.3, 1.0];

pub(crate) fn sharings() -> Result<Vec<Sharing>, String> {
    let gammas = GAMMAS.iter().map(|gamma| Sharing::gamma(*gamma).map_err(|e| e.to_string()));
    std::iter::once(Ok(Sharing::Alone)).chain(gammas).collect()
}

/// Refuses at once what could not be written: clusters have other columns, and no plots.
pub(crate) fn check(options: &Options, subjects: &[Subject]) -> Result<(), String> {
    let clusters = subjects.iter().filter(|s| matches!(s, Subject::Cluster(_))).count();
    if clusters > 0 && options.svg.is_some() {
        return Err("--svg plots a scenario of one node, not a cluster".to_owned());
    }
    if options.csv.is_some() && clusters > 0 && clusters < subjects.len() {
        return Err(
            "--csv takes clusters or scenarios of one node, not both in one file".to_owned()
        );
    }
    Ok(())
}

/// Runs a cluster under every way of sharing with every seed.
pub(crate) fn evaluate(
    scenario: &ClusterScenario,
    options: &Options,
    bar: &ProgressBar,
) -> Result<Vec<ClusterSummary>, String> {
    let mut rows = Vec::new();
    for sharing in sharings()? {
        let mut reports = Vec::with_capacity(options.seeds.len());
        for seed in &options.seeds {
            bar.set_message(format!("{} {sharing}", scenario.name()));
            reports.push(cluster::run(scenario, sharing, *seed).map_err(|e| e.to_string())?);
            bar.inc(1);
        }
        rows.extend(ClusterSummary::of(&reports));
    }
    Ok(rows)
}

pub(crate) fn headline(scenario: &ClusterScenario, options: &Options) -> String {
    let (first, last) = (options.seeds.first(), options.seeds.last());
    format!(
        "{}: {} ({} nodes, interval {:.0} ms, {:.0} s, seeds {} to {})",
        scenario.name(),
        scenario.description(),
        scenario.nodes().len(),
        1000.0 * scenario.interval_secs(),
        scenario.duration_secs(),
        first.copied().unwrap_or_default(),
        last.copied().unwrap_or_default(),
    )
}

/// How long a simulated request takes under every way of sharing.
pub(crate) fn measure(scenario: &ClusterScenario, seed: u64) -> Result<String, String> {
    let clock = MonotonicClock::new();
    let mut text = format!("{}: nanoseconds per simulated request\n", scenario.name());
    for sharing in sharings()? {
        let start = clock.now();
        let report = cluster::run(scenario, sharing, seed).map_err(|e| e.to_string())?;
        let nanos = clock.now().nanos_since(start) as f64;
        let nanos = nanos / report.requests.max(1) as f64;
        let (requests, deliveries) = (report.requests, report.deliveries);
        let name = sharing.to_string();
        let line = format!(
            "  {name:<12} {nanos:>7.0} ns   {requests} requests, {deliveries} frames delivered\n"
        );
        text.push_str(&line);
    }
    Ok(text)
}
