//! What must hold, how often it was looked at, and what did not hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// So many violations of one invariant are kept with their words.
const KEPT: usize = 10;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Invariant {
    NoPanic,
    NobodyEnds,
    Answers,
    Conservation,
    InFlightLimit,
    InFlightReturns,
    Numbers,
    Scars,
    Priorities,
    BadInput,
    OverridesEnd,
    Viewers,
    FullService,
    NodesAgree,
    Remembered,
    Bounds,
    Descriptors,
    Threads,
    Memory,
}

impl Invariant {
    pub(crate) const ALL: [Self; 19] = [
        Self::NoPanic,
        Self::NobodyEnds,
        Self::Answers,
        Self::Conservation,
        Self::InFlightLimit,
        Self::InFlightReturns,
        Self::Numbers,
        Self::Scars,
        Self::Priorities,
        Self::BadInput,
        Self::OverridesEnd,
        Self::Viewers,
        Self::FullService,
        Self::NodesAgree,
        Self::Remembered,
        Self::Bounds,
        Self::Descriptors,
        Self::Threads,
        Self::Memory,
    ];

    /// What it says.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::NoPanic => "no node panics",
            Self::NobodyEnds => "no process ends that was not killed",
            Self::Answers => "every answer is a known one, and a refusal says when to retry",
            Self::Conservation => "admitted + refused = asked",
            Self::InFlightLimit => "in flight stays within the limit",
            Self::InFlightReturns => "in flight returns to 0 when the load stops",
            Self::Numbers => "every number is finite and in its domain",
            Self::Scars => "scars are in [0, max]",
            Self::Priorities => "critical is not starved while others are served",
            Self::BadInput => "bad telemetry and configuration are refused and change nothing",
            Self::OverridesEnd => "manual overrides end by themselves",
            Self::Viewers => "what viewers get is whole and in order",
            Self::FullService => "full service returns after the faults",
            Self::NodesAgree => "nodes agree on scars after quiet",
            Self::Remembered => "what was acknowledged is in PostgreSQL",
            Self::Bounds => "routes, registers, queues are bounded",
            Self::Descriptors => "open file descriptors are flat",
            Self::Threads => "threads are flat",
            Self::Memory => "resident memory is flat",
        }
    }
}

/// One line of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) checks: u64,
    pub(crate) violations: u64,
    /// The first few, in words.
    pub(crate) examples: Vec<String>,
}

/// The book of all invariants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger(BTreeMap<Invariant, Line>);

impl Ledger {
    /// Counts a look at `invariant`; `words` say what was seen if it did not hold.
    pub(crate) fn check(
        &mut self,
        invariant: Invariant,
        holds: bool,
        words: impl FnOnce() -> String,
    ) {
        let line = self.0.entry(invariant).or_default();
        line.checks += 1;
        if !holds {
            line.violations += 1;
            if line.examples.len() < KEPT {
                line.examples.push(words());
            }
        }
    }

    /// Counts a violation that somebody else has found, whose look was counted already.
    pub(crate) fn violated(&mut self, invariant: Invariant, words: String) {
        self.check(invariant, false, || words);
    }

    /// Adds what another book says. Its violations are told to be so by other means, so only the
    /// looks count.
    pub(crate) fn add_checks(&mut self, other: &Self) {
        for (invariant, line) in &other.0 {
            self.0.entry(*invariant).or_default().checks += line.checks - line.violations;
        }
    }

    pub(crate) fn line(&self, invariant: Invariant) -> Line {
        self.0.get(&invariant).cloned().unwrap_or_default()
    }

    pub(crate) fn checks(&self) -> u64 {
        self.0.values().map(|line| line.checks).sum()
    }

    pub(crate) fn violations(&self) -> u64 {
        self.0.values().map(|line| line.violations).sum()
    }

    /// The invariants that nobody has looked at.
    pub(crate) fn unseen(&self) -> Vec<Invariant> {
        Invariant::ALL.into_iter().filter(|i| self.line(*i).checks == 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_and_violations_are_counted_by_name_and_few_are_kept() {
        let mut ledger = Ledger::default();
        for n in 0..100 {
            ledger.check(Invariant::Scars, n % 2 == 0, || format!("look {n}"));
        }
        let line = ledger.line(Invariant::Scars);
        assert_eq!((line.checks, line.violations), (100, 50));
        assert_eq!(line.examples.len(), KEPT);
        assert_eq!(line.examples[0], "look 1");
        assert_eq!(ledger.unseen().len(), Invariant::ALL.len() - 1);
    }

    #[test]
    fn what_others_have_looked_at_adds_up_without_their_violations() {
        let (mut own, mut other) = (Ledger::default(), Ledger::default());
        other.check(Invariant::Numbers, true, String::new);
        other.check(Invariant::Numbers, false, || "told on its own".to_owned());
        own.add_checks(&other);
        own.violated(Invariant::Numbers, "told on its own".to_owned());
        let line = own.line(Invariant::Numbers);
        assert_eq!((line.checks, line.violations), (2, 1));
    }

    #[test]
    fn every_invariant_is_listed_once() {
        let mut all = Invariant::ALL.to_vec();
        all.dedup();
        assert_eq!(all.len(), Invariant::ALL.len());
        assert_eq!(all.last(), Some(&Invariant::Memory));
    }
}
