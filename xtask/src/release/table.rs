//! What a step found, and the table of all of them.

use std::time::{Duration, Instant};

/// How a step ended. The text says what was looked at, or what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed(String),
    Failed(String),
    /// Something that is needed cannot be had here, so nothing is known.
    NotChecked(String),
    /// Nothing is wrong, and something is left that only a person can decide.
    ByHand(String),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Failed(_) => "FAILED",
            Self::NotChecked(_) => "NOT CHECKED",
            Self::ByHand(_) => "by hand",
        }
    }

    pub(crate) fn remark(&self) -> &str {
        match self {
            Self::Passed(text)
            | Self::Failed(text)
            | Self::NotChecked(text)
            | Self::ByHand(text) => text,
        }
    }
}

/// A `Failed` for every error that is a sentence.
impl From<Result<Outcome, String>> for Outcome {
    fn from(result: Result<Outcome, String>) -> Self {
        result.unwrap_or_else(Self::Failed)
    }
}

/// One step with how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) step: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

/// Runs a step and keeps the time.
#[expect(clippy::disallowed_methods, reason = "how long a step took is shown, never decided upon")]
pub(crate) fn timed(step: &'static str, run: impl FnOnce() -> Outcome) -> Row {
    let begun = Instant::now();
    let outcome = run();
    Row { step, outcome, took: begun.elapsed() }
}

/// The table: one line a step, with the first line of its remark.
pub(crate) fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.step.len()).max().unwrap_or(0).max("step".len());
    let mut text = format!("{:width$}  {:11}  {:>7}\n", "step", "verdict", "seconds");
    for row in rows {
        let remark = row.outcome.remark().lines().next().unwrap_or_default();
        let (word, seconds) = (row.outcome.word(), row.took.as_secs_f64());
        let line = format!("{:width$}  {word:11}  {seconds:7.1}  {remark}", row.step);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The last line: what the table amounts to.
pub(crate) fn sentence(rows: &[Row]) -> String {
    let named = |wanted: &str| -> Vec<&str> {
        rows.iter().filter(|r| r.outcome.word() == wanted).map(|r| r.step).collect()
    };
    let (failed, open, by_hand) = (named("FAILED"), named("NOT CHECKED"), named("by hand"));
    let mut parts = Vec::new();
    if !failed.is_empty() {
        parts.push(format!("failed: {}", failed.join(", ")));
    }
    if !open.is_empty() {
        parts.push(format!("not checked: {}", open.join(", ")));
    }
    if !by_hand.is_empty() {
        parts.push(format!("left to a person: {}", by_hand.join(", ")));
    }
    let passed = rows.len() - failed.len() - open.len() - by_hand.len();
    if parts.is_empty() {
        return format!("all {passed} steps passed");
    }
    format!("{passed} of {} steps passed; {}", rows.len(), parts.join("; "))
}

/// Whether any step failed.
pub(crate) fn any_failed(rows: &[Row]) -> bool {
    rows.iter().any(|row| matches!(row.outcome, Outcome::Failed(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: &'static str, outcome: Outcome) -> Row {
        Row { step, outcome, took: Duration::from_millis(1500) }
    }

    #[test]
    fn a_line_has_step_verdict_seconds_and_the_first_line_of_the_remark() {
        let rows = [
            row("tree", Outcome::Passed("clean".to_owned())),
            row("manifests", Outcome::Failed("two faults\nthe first\nthe second".to_owned())),
        ];
        assert_eq!(
            table(&rows),
            "step       verdict      seconds\n\
             tree       passed           1.5  clean\n\
             manifests  FAILED           1.5  two faults\n"
        );
        assert!(any_failed(&rows));
    }

    #[test]
    fn what_was_not_checked_never_counts_as_passed() {
        let rows = [
            row("a", Outcome::Passed(String::new())),
            row("b", Outcome::NotChecked("no network".to_owned())),
            row("c", Outcome::ByHand("a date".to_owned())),
        ];
        assert_eq!(sentence(&rows), "1 of 3 steps passed; not checked: b; left to a person: c");
        assert!(!any_failed(&rows));
        assert_eq!(sentence(&rows[..1]), "all 1 steps passed");
    }
}
