//! Whether the protected run kept its promises.

use serde::Serialize;

use crate::figures::{Comparison, RunFigures};

/// Good answers at three times the capacity, in percent of the capacity, at least.
const OVERLOAD_GOODPUT: f64 = 95.0;
/// One in so many requests of the top tier may be missed.
const TOP_TIER_ONE_IN: u64 = 1000;
/// Requests that reach the dead dependency after the first second, in percent, at most.
const DEAD_DEPENDENCY: f64 = 2.0;
/// Seconds until full service after the dependency healed, at most.
const RECOVERY: f64 = 2.0;

/// Requests sent this much later than intended make the figures worthless.
const LAG_MS: f64 = 25.0;
/// So do stalls of the service's process.
const STALL_MS: f64 = 60.0;
/// And a capacity that changed by this much, in percent, between the start and the end.
const DRIFT_PERCENT: f64 = 8.0;

/// One promise and how it was kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Check {
    pub(crate) promise: String,
    pub(crate) measured: String,
    pub(crate) met: bool,
}

/// The outcome of the demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Every promise was kept.
    Met,
    /// At least one was not, and the machine is no excuse.
    Missed,
    /// At least one was not, and the machine was too busy to blame Atrion for it.
    TooBusy,
}

/// Every promise, in the order of the phases. They are the same in the short form, whose phases
/// are shorter but measured in the same way.
pub(crate) fn checks(comparison: &Comparison) -> Vec<Check> {
    let Comparison { unprotected, protected, .. } = comparison;
    let check = |promise: &str, measured: String, met: bool| Check {
        promise: promise.to_owned(),
        measured,
        met,
    };
    // In a sample of fewer than two thousand requests a single miss is the finest step there is.
    let allowed = (protected.top_tier_sent / TOP_TIER_ONE_IN).max(1);
    let recovery = protected.recovery_seconds;
    // What the machine can do is measured at both ends; the overload lies in between.
    let (before, after) = (comparison.capacity_per_second, comparison.capacity_after_per_second);
    let lost = if after > 0.0 && after < before { before / after } else { 1.0 };
    let goodput = protected.overload_goodput_percent * lost;
    let told = protected.shed_sample.as_ref();
    vec![
        check(
            "nothing is shed while calm",
            format!("{} shed", protected.shed_while_calm),
            protected.shed_while_calm == 0,
        ),
        check(
            "3x overload: goodput at least 95 % of the capacity",
            format!("{goodput:.1} %"),
            goodput >= OVERLOAD_GOODPUT,
        ),
        check(
            "3x overload: goodput better than unprotected",
            format!(
                "{:.1} % against {:.1} %",
                protected.overload_goodput_percent, unprotected.overload_goodput_percent
            ),
            protected.overload_goodput_percent > unprotected.overload_goodput_percent,
        ),
        check(
            "3x overload: at least 99.9 % of the top tier served",
            format!("{} of {} missed", protected.top_tier_missed, protected.top_tier_sent),
            protected.top_tier_sent > 0 && protected.top_tier_missed <= allowed,
        ),
        check(
            "a refusal says why and when to come back",
            told.map_or("no refusal seen".to_owned(), |s| {
                format!("{}, Retry-After {}: {}", s.status, s.retry_after, s.body.trim())
            }),
            told.is_some_and(|s| {
                s.status == 503 && s.retry_after.parse::<u32>().is_ok() && !s.body.is_empty()
            }),
        ),
        check(
            "outage: at most 2 % reach the dead dependency after the first second",
            format!("{:.2} %", protected.dead_dependency_percent),
            protected.dead_dependency_percent <= DEAD_DEPENDENCY,
        ),
        check(
            "outage: fewer reach the dead dependency than unprotected",
            format!(
                "{:.2} % against {:.2} %",
                protected.dead_dependency_percent, unprotected.dead_dependency_percent
            ),
            protected.dead_dependency_percent < unprotected.dead_dependency_percent,
        ),
        check(
            "full service within 2 s after the dependency heals",
            recovery.map_or("not restored".to_owned(), |s| format!("{s:.2} s")),
            recovery.is_some_and(|s| s <= RECOVERY),
        ),
    ]
}

/// Why the machine could not be trusted to measure anything, if so.
pub(crate) fn too_busy(comparison: &Comparison) -> Option<String> {
    let runs = [&comparison.unprotected, &comparison.protected];
    let worst = |of: fn(&RunFigures) -> f64| {
        runs.iter().map(|run| of(run)).fold(0.0, |a, b| if b > a { b } else { a })
    };
    Busy {
        lag_p99_ms: worst(|run| run.generator_lag_p99_ms),
        stall_p99_ms: worst(|run| run.service_stall_p99_ms),
        before: comparison.capacity_per_second,
        after: comparison.capacity_after_per_second,
    }
    .why()
}

/// What tells that a machine had no time for what was measured.
pub(crate) struct Busy {
    /// How late requests were sent.
    pub(crate) lag_p99_ms: f64,
    /// How long the service's process stalled.
    pub(crate) stall_p99_ms: f64,
    /// The capacity before and after.
    pub(crate) before: f64,
    pub(crate) after: f64,
}

impl Busy {
    /// Why nothing measured is worth anything, if so.
    pub(crate) fn why(&self) -> Option<String> {
        if self.lag_p99_ms > LAG_MS {
            let lag = self.lag_p99_ms;
            return Some(format!("requests were sent up to {lag:.0} ms late (99th percentile)"));
        }
        if self.stall_p99_ms > STALL_MS {
            let stall = self.stall_p99_ms;
            return Some(format!(
                "the service's process stalled for {stall:.0} ms (99th percentile)"
            ));
        }
        let drift = 100.0 * (self.after / self.before - 1.0);
        (drift.abs() > DRIFT_PERCENT)
            .then(|| format!("the capacity changed by {drift:+.0} % between start and end"))
    }
}

/// A busy machine excuses a missed promise; it takes nothing from a kept one.
pub(crate) fn judge(checks: &[Check], comparison: &Comparison) -> Verdict {
    if checks.iter().all(|check| check.met) {
        Verdict::Met
    } else if too_busy(comparison).is_some() {
        Verdict::TooBusy
    } else {
        Verdict::Missed
    }
}

#[cfg(test)]
mod tests;
