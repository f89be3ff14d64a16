//! The report for programs. The schema is described in `docs/bench.md`.

use serde::Serialize;

use super::{Report, remark};
use crate::figure::Figure;
use crate::goals::{Bound, Goal};
use crate::machine::Machine;

/// What the file says it is.
const SCHEMA: &str = "atrion-bench-report";
/// Goes up whenever a reader of the last one would misread this one.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct File<'r> {
    schema: &'static str,
    version: u32,
    atrion: &'static str,
    mode: &'static str,
    seed: u64,
    command: &'r str,
    date: &'r str,
    machine: &'r Machine,
    stages: Vec<StageEntry<'r>>,
    rows: Vec<RowEntry<'r>>,
    plots: &'r [String],
}

#[derive(Serialize)]
struct StageEntry<'r> {
    name: &'static str,
    state: &'static str,
    secs: f64,
    budget_secs: f64,
    building_secs: f64,
    broke: Option<&'r str>,
}

#[derive(Serialize)]
struct RowEntry<'r> {
    id: &'static str,
    stage: &'static str,
    what: &'static str,
    unit: &'static str,
    better: &'static str,
    goal: Option<GoalEntry>,
    ours: Option<FigureEntry>,
    peer: Option<PeerEntry<'r>>,
    ratio: Option<FigureEntry>,
    verdict: &'static str,
    within_spread: bool,
    remark: Option<&'r str>,
}

#[derive(Serialize)]
struct GoalEntry {
    bound: f64,
    of_peer: Option<&'static str>,
}

/// What never happened is `null`.
#[derive(Serialize)]
struct FigureEntry {
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

#[derive(Serialize)]
struct PeerEntry<'r> {
    name: &'r str,
    figure: FigureEntry,
}

/// The whole report.
///
/// # Errors
/// A sentence if it cannot be put into JSON.
pub(crate) fn json(report: &Report) -> Result<String, String> {
    let file = File {
        schema: SCHEMA,
        version: VERSION,
        atrion: env!("CARGO_PKG_VERSION"),
        mode: report.mode(),
        seed: report.seed,
        command: &report.command,
        date: &report.date,
        machine: &report.machine,
        stages: report.stages.iter().map(stage).collect(),
        rows: report.rows.iter().map(row).collect(),
        plots: &report.plots,
    };
    let text = serde_json::to_string_pretty(&file)
        .map_err(|e| format!("the report cannot be written as JSON: {e}"))?;
    Ok(text + "\n")
}

fn stage(stage: &super::StageReport) -> StageEntry<'_> {
    StageEntry {
        name: stage.stage.name(),
        state: stage.state(),
        secs: stage.took.as_secs_f64(),
        budget_secs: stage.budget.as_secs_f64(),
        building_secs: stage.building.as_secs_f64(),
        broke: stage.broke.as_deref(),
    }
}

fn row(row: &crate::verdict::Row) -> RowEntry<'_> {
    let Goal { id, stage, what, unit, better, .. } = *row.goal;
    let goal = match row.goal.bound {
        Bound::None => None,
        Bound::Value(bound) => Some(GoalEntry { bound, of_peer: None }),
        Bound::Ratio { peer, bound } => Some(GoalEntry { bound, of_peer: Some(peer) }),
    };
    RowEntry {
        id,
        stage: stage.name(),
        what,
        unit,
        better: better.word(),
        goal,
        ours: row.ours.map(figure),
        peer: row.peer.as_ref().map(|p| PeerEntry { name: &p.name, figure: figure(p.figure) }),
        ratio: row.ratio.map(figure),
        verdict: row.verdict.word(),
        within_spread: row.is_close,
        remark: remark(row),
    }
}

fn figure(figure: Figure) -> FigureEntry {
    let finite = |x: f64| x.is_finite().then_some(x);
    FigureEntry {
        value: finite(figure.value()),
        low: finite(figure.low()),
        high: finite(figure.high()),
    }
}

#[cfg(test)]
mod tests {
    use crate::report::tests::sample;
    use serde_json::{Value, json};

    #[test]
    fn the_file_is_what_it_was() {
        let text = super::json(&sample()).expect("it can be written");
        assert!(text.ends_with("}\n"));
        let mut file: Value = serde_json::from_str(&text).expect("it can be read");
        assert_eq!(file["atrion"].take(), json!(env!("CARGO_PKG_VERSION")));
        let (rows, stages) = (file["rows"].take(), file["stages"].take());
        assert_eq!(
            file,
            json!({
                "schema": "atrion-bench-report", "version": 1, "atrion": null, "mode": "quick",
                "seed": 7, "command": "cargo xtask bench --quick --seed 7",
                "date": "2026-01-02T03:04:05Z",
                "machine": {"cpu": "A CPU | with a bar", "cores": 2, "os": "linux 6.1 x86_64",
                    "rustc": "rustc 1.95.0", "commit": "0123456789ab", "load_before": 0.25},
                "stages": null, "rows": null, "plots": ["outage.svg"],
            })
        );
        assert_eq!(
            rows[2],
            json!({
                "id": "scenarios.outage.recovery", "stage": "scenarios",
                "what": "hard outage: full service after it heals", "unit": "s", "better": "less",
                "goal": {"bound": 1.0, "of_peer": null},
                "ours": {"value": 1.5, "low": 0.5, "high": null},
                "peer": {"name": "breaker", "figure": {"value": 20.0, "low": 20.0, "high": 20.0}},
                "ratio": {"value": 0.075, "low": 0.025, "high": null},
                "verdict": "missed", "within_spread": true, "remark": "beside breakers",
            })
        );
        assert_eq!(rows[1]["ours"], Value::Null);
        assert_eq!(rows[1]["verdict"], json!("not measured"));
        assert_eq!(
            stages[2],
            json!({"name": "service", "state": "broken", "secs": 0.1, "budget_secs": 40.0,
                "building_secs": 0.5, "broke": "it fell\nover"})
        );
        assert_eq!(
            (rows.as_array().map(Vec::len), stages.as_array().map(Vec::len)),
            (Some(4), Some(3))
        );
    }
}
