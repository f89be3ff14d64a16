//! The report of a run, in every form.

mod csv;
mod json;
mod markdown;
pub(crate) mod svg;
mod text;

use std::time::Duration;

use crate::figure::Figure;
use crate::machine::Machine;
use crate::stage::Stage;
use crate::verdict::{Row, Verdict};

pub(crate) use csv::csv;
pub(crate) use json::json;
pub(crate) use markdown::markdown;
pub(crate) use text::{closing, listing, table};

/// Everything that is reported.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) is_quick: bool,
    pub(crate) seed: u64,
    /// The command that repeats it.
    pub(crate) command: String,
    /// When it began, UTC.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) stages: Vec<StageReport>,
    pub(crate) rows: Vec<Row>,
    /// File names of its plots.
    pub(crate) plots: Vec<String>,
}

/// How a stage went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StageReport {
    pub(crate) stage: Stage,
    /// Without building.
    pub(crate) took: Duration,
    pub(crate) building: Duration,
    pub(crate) budget: Duration,
    /// Why it broke, if it did.
    pub(crate) broke: Option<String>,
}

impl StageReport {
    /// How it went, in a word.
    pub(crate) fn state(&self) -> &'static str {
        match &self.broke {
            Some(_) => "broken",
            None if self.took > self.budget => "late",
            None => "done",
        }
    }
}

impl Report {
    /// What the run was called.
    pub(crate) const fn mode(&self) -> &'static str {
        if self.is_quick { "quick" } else { "full" }
    }

    /// How many lines have this verdict.
    pub(crate) fn count(&self, word: &str) -> usize {
        self.rows.iter().filter(|row| row.verdict.word() == word).count()
    }

    /// The stages that broke.
    pub(crate) fn broken(&self) -> Vec<&'static str> {
        let broken = self.stages.iter().filter(|s| s.broke.is_some());
        broken.map(|s| s.stage.name()).collect()
    }
}

/// A number with three digits that count, and none that do not.
fn number(x: f64) -> String {
    if x.is_infinite() {
        return "never".to_owned();
    }
    let size = x.abs();
    let decimals = match size {
        // Goals are close to 100 %: 99.96 must not look like 100.
        _ if (99.95..100.0).contains(&size) => 2,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{x:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A value with its spread, if it has one, and its unit.
fn with_spread(figure: Figure, unit: &str) -> String {
    let (value, low, high) = (number(figure.value()), number(figure.low()), number(figure.high()));
    let spread = if low == high { String::new() } else { format!(" [{low}, {high}]") };
    format!("{value} {unit}").trim_end().to_owned() + &spread
}

/// A line of the table as text: what, goal, ours, best peer, ratio, verdict.
fn cells(row: &Row) -> [String; 6] {
    let ours = row.ours.map_or_else(|| "-".to_owned(), |f| with_spread(f, row.goal.unit));
    let peer = row.peer.as_ref().map_or_else(
        || "-".to_owned(),
        |peer| format!("{} {}", peer.name, with_spread(peer.figure, row.goal.unit)),
    );
    let ratio = row.ratio.map_or_else(|| "-".to_owned(), |r| format!("{:.2} x", r.value()));
    let verdict = match (&row.verdict, row.is_close) {
        (Verdict::Missed, false) => "MISSED".to_owned(),
        (Verdict::Missed, true) => "MISSED, within the spread".to_owned(),
        (verdict, true) => format!("{}, within the spread", verdict.word()),
        (verdict, false) => verdict.word().to_owned(),
    };
    let goal = row.goal.text();
    [
        row.goal.what.to_owned(),
        if goal.is_empty() { "-".to_owned() } else { goal },
        ours,
        peer,
        ratio,
        verdict,
    ]
}

/// What there is to say beside a line, if anything.
fn remark(row: &Row) -> Option<&str> {
    match &row.verdict {
        Verdict::Unmeasured(why) => Some(why),
        _ => Some(row.note.as_str()).filter(|note| !note.is_empty()),
    }
}

/// A duration in seconds.
fn secs(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::verdict::{Measured, rows};

    /// A small report that never changes.
    pub(crate) fn sample() -> Report {
        let figure = |value, low, high| Figure::try_new("x", value, low, high).expect("in order");
        let mut all = rows(
            Stage::Wire,
            &[Measured::new("wire.decode", figure(23.4, 22.0, 25.0))],
            "a reason, with a comma | and a bar",
        );
        all.truncate(2);
        let outage = [
            Measured::new("scenarios.steady", figure(0.0, 0.0, 0.0))
                .peer("sre", figure(0.0, 0.0, 0.0)),
            Measured::new("scenarios.outage.recovery", figure(1.5, 0.5, f64::INFINITY))
                .peer("breaker", figure(20.0, 20.0, 20.0))
                .note("beside breakers"),
        ];
        let of_outage = rows(Stage::Scenarios, &outage, "");
        all.extend(of_outage.into_iter().filter(|row| row.ours.is_some()));
        let stage = |stage, took, broke: Option<&str>| StageReport {
            stage,
            took: Duration::from_millis(took),
            building: Duration::from_millis(500),
            budget: Duration::from_secs(40),
            broke: broke.map(str::to_owned),
        };
        Report {
            is_quick: true,
            seed: 7,
            command: "cargo xtask bench --quick --seed 7".to_owned(),
            date: "2026-01-02T03:04:05Z".to_owned(),
            machine: Machine {
                cpu: "A CPU | with a bar".to_owned(),
                cores: 2,
                os: "linux 6.1 x86_64".to_owned(),
                rustc: "rustc 1.95.0".to_owned(),
                commit: "0123456789ab".to_owned(),
                load_before: Some(0.25),
            },
            stages: vec![
                stage(Stage::Wire, 12_340, None),
                stage(Stage::Scenarios, 41_000, None),
                stage(Stage::Service, 100, Some("it fell\nover")),
            ],
            rows: all,
            plots: vec!["outage.svg".to_owned()],
        }
    }

    #[test]
    fn numbers_show_what_counts() {
        for (x, text) in [
            (0.0, "0"),
            (0.123_456, "0.123"),
            (7.0, "7"),
            (7.04, "7.04"),
            (12.345, "12.3"),
            (99.87, "99.9"),
            (99.96, "99.96"),
            (99.997, "100"),
            (100.0, "100"),
            (650.24, "650.2"),
            (-3.5, "-3.5"),
            (f64::INFINITY, "never"),
        ] {
            assert_eq!(number(x), text);
        }
    }

    #[test]
    fn a_stage_is_late_beyond_its_budget() {
        let states: Vec<&str> = sample().stages.iter().map(StageReport::state).collect();
        assert_eq!(states, ["done", "late", "broken"]);
    }
}
