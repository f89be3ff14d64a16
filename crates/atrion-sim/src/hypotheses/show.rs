//! Verdicts in sentences, with the figures they rest on.

use std::fmt::Write as _;

use super::{Finding, Row, Trial};
use crate::report::Spread;
use crate::table::{align, quoted};

impl Trial {
    /// The verdict in a sentence.
    pub fn verdict(&self) -> String {
        let mut out = format!("the claim {}", self.claim.words());
        let credit = match (self.claim, self.credit) {
            (_, None) => format!("; this law has no {}", self.term),
            (Finding::Holds, Some(Finding::Holds)) => format!(", and {} is why", self.term),
            (Finding::Holds, Some(Finding::Fails)) => {
                format!(", but not because of {}: without it nothing is lost", self.term)
            }
            (_, Some(Finding::Holds)) => format!("; {} helps all the same", self.term),
            (_, Some(Finding::Fails)) => format!("; {} changes nothing about it", self.term),
            (_, Some(Finding::Undecided)) => {
                format!("; whether {} is why remains undecided", self.term)
            }
        };
        out.push_str(&credit);
        if let Some(points) = self.price {
            let other = if self.name == "H1" {
                "a binary breaker".to_owned()
            } else {
                format!("the law without {}", self.term)
            };
            let _ = write!(out, "; {other} has {points:.1} points more goodput");
        }
        out
    }

    /// A table with the verdict above it.
    pub fn text(&self) -> String {
        let heading = [
            "",
            "mode changes",
            "swings",
            "goodput %",
            "duty",
            "admitted",
            "to dead",
            "recovery s",
            "never",
        ];
        let mut lines = vec![heading.map(str::to_owned).to_vec()];
        lines.extend(self.rows.iter().map(line));
        let runs = self.rows.first().map_or(0, |r| r.runs.len());
        format!(
            "{} ({}), {} law: {}\n  verdict: {}\n{}({runs} seeds: mean, standard deviation)\n",
            self.name,
            self.term,
            self.subject,
            self.sentence,
            self.verdict(),
            align(&lines)
        )
    }
}

fn line(row: &Row) -> Vec<String> {
    let of = |s: Spread, decimals: usize| format!("{:.decimals$} ({:.decimals$})", s.mean, s.sd);
    vec![
        row.name.clone(),
        of(row.mode_changes, 1),
        of(row.swings, 1),
        of(row.goodput, 1),
        of(row.duty, 2),
        of(row.admitted, 3),
        of(row.sent_to_dead, 0),
        row.recovery_secs.map_or_else(|| "-".to_owned(), |s| of(s, 1)),
        row.never.to_string(),
    ]
}

/// One line for each law, hypothesis, policy and seed; an unknown recovery is empty.
pub fn csv(trials: &[Trial], seeds: &[u64]) -> String {
    let mut out = String::from(
        "hypothesis,subject,claim,policy,seed,mode_changes,swings,goodput_percent,duty,admitted,\
         sent_to_dead,recovery_secs\r\n",
    );
    for trial in trials {
        for row in &trial.rows {
            for (run, seed) in row.runs.iter().zip(seeds) {
                let recovery = run.recovery_secs.map_or(String::new(), |s| s.to_string());
                let _ = write!(
                    out,
                    "{},{},{},{},{seed},{},{},{},{},{},{},{recovery}\r\n",
                    trial.name,
                    trial.subject,
                    quoted(trial.claim.words()),
                    quoted(&row.name),
                    run.mode_changes,
                    run.swings,
                    run.goodput,
                    run.duty,
                    run.admitted,
                    run.sent_to_dead
                );
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(claim: Finding, credit: Option<Finding>, price: Option<f64>) -> Trial {
        Trial {
            name: "H1",
            subject: "reference",
            sentence: "few changes",
            term: "momentum",
            claim,
            credit,
            price,
            rows: Vec::new(),
        }
    }

    #[test]
    fn verdicts_say_what_is_not_shown_as_well() {
        use Finding::{Fails, Holds, Undecided};
        for (claim, credit, price, sentence) in [
            (Holds, Some(Holds), None, "the claim holds, and momentum is why"),
            (
                Holds,
                Some(Fails),
                Some(40.0),
                "the claim holds, but not because of momentum: without it nothing is lost; a binary \
                 breaker has 40.0 points more goodput",
            ),
            (Fails, Some(Fails), None, "the claim fails; momentum changes nothing about it"),
            (Fails, None, None, "the claim fails; this law has no momentum"),
            (
                Undecided,
                Some(Undecided),
                None,
                "the claim is undecided; whether momentum is why remains undecided",
            ),
        ] {
            assert_eq!(trial(claim, credit, price).verdict(), sentence);
        }
    }
}
