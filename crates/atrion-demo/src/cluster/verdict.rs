//! Whether the cluster kept its promises.

use serde::Serialize;

use super::figures::Figures;
use crate::verdict::Verdict;

/// A warning may take one interval and so many milliseconds.
const WARNED_SLACK_MS: f64 = 5.0;
/// Intervals until all nodes agree again.
const RECONVERGED: f64 = 3.0;
/// Seconds until full service after the dependency healed.
const RECOVERY: f64 = 1.5;
/// Percent of the lowest tier that one liar may cost.
const BULK_PERCENT: f64 = 2.0;
/// Bytes in a frame for each route that changed.
const BYTES: f64 = 32.0;

/// Requests sent this much later than intended make the figures worthless,
const LAG_MS: f64 = 25.0;
/// and so do stalls of the nodes' processes,
const STALL_MS: f64 = 60.0;
/// and a calendar that was set while the processes were started.
const CLOCK_MS: f64 = 1.0;

/// The figure of the first promise.
const WARNED: &str = "another node is warned (p99)";

/// One figure and its goal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Check {
    pub(crate) figure: &'static str,
    pub(crate) measured: String,
    pub(crate) goal: String,
    pub(crate) met: bool,
}

/// Every promise, in the order of the phases; the same in the short form.
pub(crate) fn checks(figures: &Figures) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |figure, measured: String, goal: String, met| {
        checks.push(Check { figure, measured, goal, met });
    };
    let limit = figures.sync_interval_ms + WARNED_SLACK_MS;
    check(
        WARNED,
        number(figures.warned_ms_p99, "ms"),
        format!("<= {limit:.0} ms"),
        at_most(figures.warned_ms_p99, limit),
    );
    check(
        "warnings that never came",
        format!("{} of {}", figures.warnings_missed, figures.warnings),
        "0".to_owned(),
        figures.warnings_missed == 0 && figures.warnings > 0,
    );
    check(
        "requests to the dead dependency",
        figures.dead_requests_shared.to_string(),
        format!("< {} (alone)", figures.dead_requests_alone),
        figures.dead_requests_shared < figures.dead_requests_alone,
    );
    check(
        "full service after it healed",
        number(figures.recovery_s, "s"),
        format!("<= {RECOVERY} s"),
        at_most(figures.recovery_s, RECOVERY),
    );
    check(
        "requests failed or delayed by sync",
        figures.requests_failed_or_delayed_by_sync.to_string(),
        "0".to_owned(),
        figures.requests_failed_or_delayed_by_sync == 0 && figures.delays.requests_shared > 0,
    );
    check(
        "all nodes agree again (worst)",
        number(figures.reconverged_intervals, "intervals"),
        format!("<= {RECONVERGED:.0} intervals"),
        at_most(figures.reconverged_intervals, RECONVERGED),
    );
    check(
        "normal and above refused under a liar",
        format!(
            "{} of {}",
            figures.normal_requests_refused_under_liar, figures.normal_requests_under_liar
        ),
        "0".to_owned(),
        figures.normal_requests_refused_under_liar == 0
            && figures.normal_requests_under_liar > 0
            && is_heard(figures),
    );
    check(
        "bulk refused under a liar",
        format!("{:.1} %", figures.bulk_percent_refused_under_liar),
        format!("<= {BULK_PERCENT:.0} %"),
        figures.bulk_percent_refused_under_liar <= BULK_PERCENT && is_heard(figures),
    );
    check(
        "bytes per changed route",
        number(figures.bytes_per_changed_route, ""),
        format!("<= {BYTES:.0}"),
        at_most(figures.bytes_per_changed_route, BYTES),
    );
    checks
}

/// A liar whom nobody hears proves nothing.
fn is_heard(figures: &Figures) -> bool {
    figures.lies_told > 0 && 10 * figures.lies_heard >= 9 * figures.lies_told
}

fn at_most(figure: Option<f64>, limit: f64) -> bool {
    figure.is_some_and(|figure| figure <= limit)
}

/// A figure with its unit.
pub(crate) fn number(figure: Option<f64>, unit: &str) -> String {
    let text = figure.map_or("never".to_owned(), |figure| format!("{figure:.1} {unit}"));
    text.trim_end().to_owned()
}

/// Why the machine could not be trusted to measure anything, if so.
pub(crate) fn too_busy(figures: &Figures) -> Option<String> {
    let Figures { generator_lag_p99_ms: lag, node_stall_p99_ms: stall, .. } = figures;
    if *lag > LAG_MS {
        return Some(format!("requests were sent up to {lag:.0} ms late (99th percentile)"));
    }
    if *stall > STALL_MS {
        return Some(format!("processes stalled for {stall:.0} ms (99th percentile)"));
    }
    if is_late_by_stalls_alone(figures) {
        return Some(format!("processes stalled for {stall:.0} ms, more than a warning was late"));
    }
    let clock = figures.clock_disagreement_ms;
    (clock > CLOCK_MS).then(|| format!("the calendar was set by {clock:.0} ms at the start"))
}

/// Whether the only promise missed is the warning, and by no more than the processes stalled: one
/// that does not run hears nothing.
fn is_late_by_stalls_alone(figures: &Figures) -> bool {
    let limit = figures.sync_interval_ms + WARNED_SLACK_MS;
    let explained =
        figures.warned_ms_p99.is_some_and(|p99| p99 - figures.node_stall_p99_ms <= limit);
    let checks = checks(figures);
    let mut missed = checks.iter().filter(|check| !check.met).map(|check| check.figure);
    explained && missed.next() == Some(WARNED) && missed.next().is_none()
}

/// A busy machine excuses a missed promise; it takes nothing from a kept one.
pub(crate) fn judge(checks: &[Check], figures: &Figures) -> Verdict {
    if checks.iter().all(|check| check.met) {
        Verdict::Met
    } else if too_busy(figures).is_some() {
        Verdict::TooBusy
    } else {
        Verdict::Missed
    }
}

#[cfg(test)]
mod tests;
