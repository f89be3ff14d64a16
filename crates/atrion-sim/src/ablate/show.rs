//! The ablation as text and as CSV.

use std::fmt::Write as _;

use super::{Ablation, Effect, FIXTURES, Without};
use crate::table::{align, quoted};

impl Ablation {
    /// A table of the terms, and what could not be removed.
    pub fn text(&self) -> String {
        let heading = [
            "without",
            "differ",
            "goodput fixed",
            "goodput draws",
            "calm harm",
            "critical",
            "modes",
            "to dead",
            "recovery s",
            "verdict",
        ];
        let mut lines = vec![heading.map(str::to_owned).to_vec()];
        lines.extend(self.terms.iter().map(|t| {
            vec![
                t.name.to_owned(),
                format!("{}/{}", t.differ, self.fixed + self.draws),
                shown(t.goodput_fixed, 2),
                shown(t.goodput_draws, 2),
                shown(t.calm_refused, 2),
                shown(t.critical, 2),
                shown(t.transitions, 2),
                shown(t.sent_to_dead, 0),
                shown(t.recovery, 2),
                t.verdict.words().to_owned(),
            ]
        }));
        let mut out = format!(
            "{} runs of fixed scenarios and {} draws; the whole law: {:.1} % of what was possible.\n\
             Change without the term: mean, and its standard error; `*` beyond two of them.\n\n{}",
            self.fixed,
            self.draws,
            self.goodput,
            align(&lines)
        );
        out.push_str("\nGoodput, the groups that change most, and how the term was removed\n");
        for term in &self.terms {
            out.push_str(&extremes(term));
        }
        out.push_str("\nNot removed\n");
        for fixture in FIXTURES {
            let _ = writeln!(out, "  {}: {}", fixture.name, fixture.why);
        }
        out
    }

    /// One line for each term; what cannot be said is empty.
    pub fn csv(&self) -> String {
        let names = [
            "goodput_fixed",
            "goodput_draws",
            "calm_refused",
            "critical",
            "transitions",
            "sent_to_dead",
            "recovery_secs",
        ];
        let mut out = String::from("term,removed_by,runs_that_differ,runs");
        for name in names {
            let _ = write!(out, ",{name},{name}_error");
        }
        out.push_str(",verdict\r\n");
        for t in &self.terms {
            let runs = self.fixed + self.draws;
            let _ = write!(out, "{},{},{},{runs}", quoted(t.name), quoted(t.removed_by), t.differ);
            for effect in [
                t.goodput_fixed,
                t.goodput_draws,
                t.calm_refused,
                t.critical,
                t.transitions,
                t.sent_to_dead,
                t.recovery,
            ] {
                let _ = match effect {
                    None => write!(out, ",,"),
                    Some(e) if e.error.is_finite() => write!(out, ",{},{}", e.mean, e.error),
                    Some(e) => write!(out, ",{},", e.mean),
                };
            }
            let _ = write!(out, ",{}\r\n", quoted(t.verdict.words()));
        }
        out
    }
}

/// A single pair has no standard error.
fn error(effect: &Effect, decimals: usize) -> String {
    if effect.error.is_finite() { format!("{:.decimals$}", effect.error) } else { "?".to_owned() }
}

fn shown(effect: Option<Effect>, decimals: usize) -> String {
    effect.map_or_else(
        || "-".to_owned(),
        |e| {
            let star = if e.mean.abs() > 2.0 * e.error { "*" } else { " " };
            format!("{:+.decimals$} ({}){star}", e.mean, error(&e, decimals))
        },
    )
}

fn extremes(term: &Without) -> String {
    let of = |group: &Option<(String, Effect)>| {
        group.as_ref().map_or_else(
            || "none".to_owned(),
            |(name, e)| format!("{name} {:+.1} ({})", e.mean, error(e, 1)),
        )
    };
    format!(
        "  {}: loses {}; gains {}   [{}]\n",
        term.name,
        of(&term.loses_most),
        of(&term.gains_most),
        term.removed_by
    )
}
