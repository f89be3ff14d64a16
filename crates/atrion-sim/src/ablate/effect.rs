//! Paired differences, and what may be concluded from them.

use std::collections::BTreeMap;

use atrion_core::math;
use serde::Serialize;

use super::{Case, Term};
use crate::report::Report;
use crate::scenario::Scenario;

/// A mean difference counts if it is this many standard errors away from zero ...
const ERRORS: f64 = 2.0;
/// ... or, in a single group out of dozens, this many.
const ERRORS_OF_A_GROUP: f64 = 3.0;
/// Goodput of a single group counts from this many points on.
const POINTS_OF_A_GROUP: f64 = 1.0;

/// What is compared of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measures {
    /// Percent of what was possible, at most 100.
    pub(super) goodput: f64,
    pub(super) calm_refused: Option<f64>,
    /// Percent of the most valuable class served; `None` if all are worth the same.
    pub(super) critical: Option<f64>,
    pub(super) transitions: f64,
    /// Requests that were let through to a dead dependency; `None` if it never was dead.
    pub(super) dead: Option<f64>,
    /// Seconds; what never recovered counts as the whole run.
    pub(super) recovery: Option<f64>,
    pub(super) fingerprint: u64,
}

impl Measures {
    pub(super) fn of(report: &Report, scenario: &Scenario) -> Self {
        let outage = |f: &crate::Fault| matches!(f.effect, crate::Effect::Outage { .. });
        let was_dead = scenario.faults().iter().any(outage);
        Self {
            goodput: math::min(report.goodput(), 100.0),
            calm_refused: report.calm_refused,
            critical: report.critical_served(),
            transitions: f64::from(report.transitions),
            dead: was_dead.then_some(report.sent_to_dead as f64),
            recovery: report.recovery_secs.map(|s| math::min(s, scenario.duration_secs())),
            fingerprint: report.fingerprint(),
        }
    }
}

/// The mean of paired differences, without minus with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// The mean.
    pub mean: f64,
    /// Its standard error; infinite for a single pair.
    pub error: f64,
    /// Pairs behind it.
    pub pairs: usize,
}

impl Effect {
    fn of(differences: &[f64]) -> Option<Self> {
        let n = differences.len() as f64;
        if differences.is_empty() {
            return None;
        }
        let mean = differences.iter().sum::<f64>() / n;
        let square: f64 = differences.iter().map(|d| (d - mean) * (d - mean)).sum();
        let error = if n > 1.0 { math::sqrt(square / (n - 1.0) / n) } else { f64::INFINITY };
        Some(Self { mean, error, pairs: differences.len() })
    }

    fn counts(&self, least: f64, errors: f64) -> bool {
        self.mean.abs() >= least && self.mean.abs() > errors * self.error
    }
}

/// What the removal of a term says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not one run was any different without it.
    NeverActs,
    /// Runs differ, but nothing measured changes beyond chance.
    NothingMeasurable,
    /// Something becomes worse without it, nothing better.
    Helps,
    /// Something becomes better without it, nothing worse.
    Costs,
    /// Both.
    Mixed,
}

impl Verdict {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NeverActs => "contributes nothing: no run differs",
            Self::NothingMeasurable => "contributes nothing measurable",
            Self::Helps => "helps",
            Self::Costs => "costs",
            Self::Mixed => "helps and costs",
        }
    }
}

/// The law without one term, compared with the whole law.
#[derive(Clone, Debug, Serialize)]
pub struct Without {
    /// The term.
    pub name: &'static str,
    /// How it was removed.
    pub removed_by: &'static str,
    /// Runs that differ in anything.
    pub differ: usize,
    /// Change of goodput in points, over fixed scenarios.
    pub goodput_fixed: Option<Effect>,
    /// The same over draws.
    pub goodput_draws: Option<Effect>,
    /// Change of what is refused in calm times, in points.
    pub calm_refused: Option<Effect>,
    /// Change of how much of the most valuable class is served, in points.
    pub critical: Option<Effect>,
    /// Change of the number of mode changes.
    pub transitions: Option<Effect>,
    /// Change of the requests let through to a dead dependency.
    pub sent_to_dead: Option<Effect>,
    /// Change of the seconds to recovery.
    pub recovery: Option<Effect>,
    /// The group of runs that loses most goodput without it, if one loses any.
    pub loses_most: Option<(String, Effect)>,
    /// The group that gains most without it, if one gains any.
    pub gains_most: Option<(String, Effect)>,
    /// What follows.
    pub verdict: Verdict,
}

impl Without {
    pub(super) fn of(term: &Term, index: usize, cases: &[Case]) -> Self {
        let pairs: Vec<(&Case, &Measures)> =
            cases.iter().filter_map(|c| Some((c, c.without.get(index)?))).collect();
        let effect = |of: &dyn Fn(&Measures) -> Option<f64>, draws: Option<bool>| {
            let differences: Vec<f64> = pairs
                .iter()
                .filter(|(case, _)| draws.is_none_or(|d| d == case.is_draw))
                .filter_map(|(case, without)| Some(of(without)? - of(&case.whole)?))
                .collect();
            Effect::of(&differences)
        };
        let goodput: &dyn Fn(&Measures) -> Option<f64> = &|m| Some(m.goodput);
        let groups = groups(&pairs);
        let extreme = |sign: f64| {
            let by = |e: &Effect| sign * e.mean;
            groups
                .iter()
                .filter(|(_, e)| by(e) > 0.0)
                .max_by(|a, b| by(a.1).total_cmp(&by(b.1)))
                .map(|(name, e)| (name.clone(), *e))
        };
        let mut result = Self {
            name: term.name,
            removed_by: term.removed_by,
            differ: pairs.iter().filter(|(c, w)| c.whole.fingerprint != w.fingerprint).count(),
            goodput_fixed: effect(goodput, Some(false)),
            goodput_draws: effect(goodput, Some(true)),
            calm_refused: effect(&|m| m.calm_refused, None),
            critical: effect(&|m| m.critical, None),
            transitions: effect(&|m| Some(m.transitions), None),
            sent_to_dead: effect(&|m| m.dead, None),
            recovery: effect(&|m| m.recovery, None),
            loses_most: extreme(-1.0),
            gains_most: extreme(1.0),
            verdict: Verdict::NothingMeasurable,
        };
        result.verdict = result.judge(&groups);
        result
    }

    fn judge(&self, groups: &BTreeMap<String, Effect>) -> Verdict {
        if self.differ == 0 {
            return Verdict::NeverActs;
        }
        // What is worse when it grows has the sign -1; the second number is the least that counts.
        let means = [
            (&self.goodput_fixed, 1.0, 0.05),
            (&self.goodput_draws, 1.0, 0.05),
            (&self.calm_refused, -1.0, 0.02),
            (&self.critical, 1.0, 0.05),
            (&self.transitions, -1.0, 0.02),
            (&self.sent_to_dead, -1.0, 1.0),
            (&self.recovery, -1.0, 0.05),
        ];
        let overall = means.into_iter().filter_map(|(effect, sign, least)| {
            let effect = effect.as_ref()?;
            effect.counts(least, ERRORS).then_some(sign * effect.mean)
        });
        let single = groups
            .values()
            .filter_map(|e| e.counts(POINTS_OF_A_GROUP, ERRORS_OF_A_GROUP).then_some(e.mean));
        let (mut worse, mut better) = (false, false);
        for change in overall.chain(single) {
            worse |= change < 0.0;
            better |= change > 0.0;
        }
        match (worse, better) {
            (true, true) => Verdict::Mixed,
            (true, false) => Verdict::Helps,
            (false, true) => Verdict::Costs,
            (false, false) => Verdict::NothingMeasurable,
        }
    }
}

/// Change of goodput by scenario, or by type of scenario for draws.
fn groups(pairs: &[(&Case, &Measures)]) -> BTreeMap<String, Effect> {
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (case, without) in pairs {
        let differences = all.entry(case.group.clone()).or_default();
        differences.push(without.goodput - case.whole.goodput);
    }
    all.into_iter().filter_map(|(name, d)| Some((name, Effect::of(&d)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ablate::TERMS;

    fn measures(goodput: f64, fingerprint: u64) -> Measures {
        Measures {
            goodput,
            calm_refused: None,
            critical: None,
            transitions: 0.0,
            dead: None,
            recovery: None,
            fingerprint,
        }
    }

    /// Cases whose goodput falls by these points without the first term.
    fn without(losses: &[f64]) -> Without {
        let cases: Vec<Case> = losses
            .iter()
            .enumerate()
            .map(|(i, loss)| Case {
                group: format!("g{}", i % 2),
                is_draw: false,
                whole: measures(90.0, 1),
                without: vec![measures(90.0 - loss, if *loss == 0.0 { 1 } else { 2 })],
            })
            .collect();
        Without::of(&TERMS[0], 0, &cases)
    }

    #[test]
    fn verdicts_follow_from_the_differences() {
        assert_eq!(without(&[0.0; 8]).verdict, Verdict::NeverActs);
        let noise = [0.5, -0.5, 0.4, -0.4, 0.1, -0.1];
        assert_eq!(without(&noise).verdict, Verdict::NothingMeasurable);
        assert_eq!(without(&[1.0, 1.1, 0.9, 1.0]).verdict, Verdict::Helps);
        assert_eq!(without(&[-1.0, -1.1, -0.9, -1.0]).verdict, Verdict::Costs);
        // Good for one group and bad for the other: the mean says nothing, the groups do.
        let both = without(&[5.0, -5.0, 5.1, -5.1, 4.9, -4.9]);
        assert_eq!(both.verdict, Verdict::Mixed);
        let (name, effect) = both.loses_most.expect("one loses");
        assert!(name == "g0" && (effect.mean + 5.0).abs() < 1e-9, "{name} {effect:?}");
        assert_eq!(both.gains_most.expect("one gains").0, "g1");
    }

    #[test]
    fn one_pair_proves_nothing() {
        let single = without(&[30.0]);
        assert_eq!((single.differ, single.verdict), (1, Verdict::NothingMeasurable));
        assert!(single.goodput_fixed.expect("a pair").error.is_infinite());
        assert_eq!(single.goodput_draws, None);
    }
}
