//! What is measured of the runs.

use serde::Serialize;

use crate::report::{Bin, Report, Spread};
use crate::scenario::Scenario;
use crate::stability::changes;

/// A route is passing in a stretch in which at least this share is admitted.
const PASSING: f64 = 0.5;

/// What is measured of one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Changes of mode as the policy counts them.
    pub mode_changes: f64,
    /// Changes between closed and open as callers see them: see [`changes`].
    pub swings: f64,
    /// Percent of what was possible.
    pub goodput: f64,
    /// Share of the half seconds of the window in which at least half of the requests passed.
    pub duty: f64,
    /// Share of the window's requests that passed.
    pub admitted: f64,
    /// Requests that were let through to a dead dependency in the whole run.
    pub sent_to_dead: f64,
    /// Seconds from the end of the last fault until requests were served again: infinite if they
    /// were not; `None` if the run ends too soon after it.
    pub recovery_secs: Option<f64>,
}

impl Outcome {
    pub(super) fn of(report: &Report, scenario: &Scenario) -> Self {
        const STRETCH_SECS: f64 = 0.5;
        let (from, to) = scenario.window_secs();
        let index = |secs: f64| ((secs / report.bin_secs + 0.5) as usize).min(report.bins.len());
        let bins = report.bins.get(index(from)..index(to)).unwrap_or_default();
        let width = (STRETCH_SECS / report.bin_secs + 0.5) as usize;
        let passed = |bins: &[Bin]| {
            let asked: f64 = bins.iter().map(|b| b.asked).sum();
            let refused: f64 = bins.iter().map(|b| b.refused).sum();
            (asked > 0.0).then(|| 1.0 - refused / asked)
        };
        let shares: Vec<f64> = bins.chunks(width.max(1)).filter_map(passed).collect();
        let passing = shares.iter().filter(|share| **share >= PASSING).count();
        Self {
            mode_changes: f64::from(report.transitions),
            swings: changes(&shares) as f64,
            goodput: report.goodput(),
            duty: if shares.is_empty() { 0.0 } else { passing as f64 / shares.len() as f64 },
            admitted: 1.0 - report.shed() / 100.0,
            sent_to_dead: report.sent_to_dead as f64,
            recovery_secs: report.recovery_secs,
        }
    }
}

/// One policy over all seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Who.
    pub name: String,
    /// See [`Outcome::mode_changes`].
    pub mode_changes: Spread,
    /// See [`Outcome::swings`].
    pub swings: Spread,
    /// See [`Outcome::goodput`].
    pub goodput: Spread,
    /// See [`Outcome::duty`].
    pub duty: Spread,
    /// See [`Outcome::admitted`].
    pub admitted: Spread,
    /// See [`Outcome::sent_to_dead`].
    pub sent_to_dead: Spread,
    /// Over the runs that recovered; `None` if none did.
    pub recovery_secs: Option<Spread>,
    /// Runs that did not recover before their end.
    pub never: usize,
    /// The runs, in the order of the seeds.
    pub runs: Vec<Outcome>,
}

impl Row {
    pub(super) fn of(name: &str, runs: Vec<Outcome>) -> Self {
        let spread = |of: fn(&Outcome) -> f64| Spread::of(runs.iter().map(of)).unwrap_or_default();
        let finite = |r: &Outcome| r.recovery_secs.filter(|s| s.is_finite());
        Self {
            name: name.to_owned(),
            mode_changes: spread(|r| r.mode_changes),
            swings: spread(|r| r.swings),
            goodput: spread(|r| r.goodput),
            duty: spread(|r| r.duty),
            admitted: spread(|r| r.admitted),
            sent_to_dead: spread(|r| r.sent_to_dead),
            recovery_secs: Spread::of(runs.iter().filter_map(finite)),
            never: runs.iter().filter(|r| r.recovery_secs.is_some_and(f64::is_infinite)).count(),
            runs,
        }
    }
}
