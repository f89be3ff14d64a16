//! What Studio costs the process it is in: a program of its own, which counts the processor time of
//! Studio's threads.

use std::process::Command;

use atrion_state::clock::{Clock as _, MonotonicClock};
use serde_json::Value;

use super::{Outcome, Setting};
use crate::child;
use crate::figure::Figure;
use crate::progress::Bar;
use crate::stage::Stage;
use crate::verdict::Measured;

/// A goal, and where its figure is in what the program writes.
#[rustfmt::skip]
const READINGS: &[(&str, &str)] = &[
    ("studio.viewers", "/100_viewers_10_percent_busy/percent_of_a_core"),
    ("studio.viewers.busy", "/100_viewers_100_percent_busy/percent_of_a_core"),
    ("studio.viewer", "/1_viewers_100_percent_busy/percent_of_a_core"),
    ("studio.bytes", "/100_viewers_100_percent_busy/kb_per_s_each"),
];

pub(super) fn run(setting: &Setting<'_>) -> Result<Outcome, String> {
    let log = setting.draft.log(Stage::Studio.name());
    let bar = Bar::seconds(Stage::Studio.name(), Stage::Studio.budget(setting.is_quick));
    let clock = MonotonicClock::new();
    let start = clock.now();
    bar.say("building");
    let words = ["bench", "--no-run", "--package", "atrion-studio", "--bench", "viewers"];
    let program = child::build(setting.root, &words, "viewers", &log)?;
    let building = clock.now().since(start);
    bar.say("");
    let file = setting.draft.scratch(Stage::Studio.name())?.join("viewers.json");
    let mut command = Command::new(program);
    command.arg("--bench").arg(if setting.is_quick { "3" } else { "10" });
    command.arg("--json").arg(&file);
    let status = child::run(command, &log, Stage::Studio.limit(setting.is_quick), &bar)?;
    if let Some(why_not) = child::why_not_here(status, "the viewers' benchmark", &log)? {
        return Ok(Outcome { why_not, building, ..Outcome::default() });
    }
    let unreadable = |why: String| format!("the viewers' figures cannot be read: {why}");
    let text = std::fs::read_to_string(&file).map_err(|e| unreadable(e.to_string()))?;
    let figures: Value = serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
    Ok(Outcome { measured: read(&figures)?, building, ..Outcome::default() })
}

fn read(figures: &Value) -> Result<Vec<Measured>, String> {
    READINGS
        .iter()
        .map(|(goal, path)| {
            let value = figures.pointer(path).and_then(Value::as_f64);
            let value = value.ok_or_else(|| format!("the viewers' figures have no {path}"))?;
            let figure = Figure::once(path, value).map_err(|e| e.to_string())?;
            Ok(Measured::new(goal, figure))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals;
    use serde_json::json;

    #[test]
    fn every_goal_of_the_stage_is_read() {
        let read: Vec<&str> = READINGS.iter().map(|(goal, _)| *goal).collect();
        let asked: Vec<&str> = goals::of_stage(Stage::Studio).map(|g| g.id).collect();
        assert_eq!(read, asked);
    }

    #[test]
    fn figures_are_found_and_those_that_are_missing_are_named() {
        let crowd = |percent| json!({"percent_of_a_core": percent, "kb_per_s_each": 7.0});
        let whole = json!({
            "1_viewers_100_percent_busy": crowd(1.0),
            "100_viewers_10_percent_busy": crowd(2.0),
            "100_viewers_100_percent_busy": crowd(3.0),
        });
        let values: Vec<f64> =
            read(&whole).expect("whole").iter().map(|m| m.ours.value()).collect();
        assert_eq!(values, [2.0, 3.0, 1.0, 7.0]);
        let why = read(&json!({})).expect_err("empty");
        assert!(why.contains("no /100_viewers_10_percent_busy"), "{why}");
    }
}
