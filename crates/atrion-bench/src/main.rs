//! The program behind `cargo xtask bench`: every goal measured in one run, beside what others do.
//!
//! The goals are data (`goals.rs`), apart from how they are measured (`stages`) and from what is
//! said about the figures (`verdict.rs`). Each stage is on its own: one that breaks is reported,
//! and the others go on.
//!
//! Exit status: 0 if everything was measured, whatever the figures say; 1 if a stage broke; 2 if
//! the command line or a place makes no sense.

mod args;
mod child;
mod criterion;
mod figure;
mod folder;
mod goals;
mod machine;
mod progress;
mod report;
mod stage;
mod stages;
#[cfg(test)]
mod testing;
mod verdict;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use atrion_license::{SystemWallClock, WallClock as _};
use atrion_state::clock::{Clock as _, MonotonicClock};

use crate::args::{HELP, Invocation, Options};
use crate::folder::Draft;
use crate::machine::Machine;
use crate::report::{Report, StageReport};
use crate::stage::Stage;
use crate::stages::{Outcome, Setting};
use crate::verdict::rows;

/// Where the report goes unless told: `cargo xtask bench` names the workspace's target folder.
const OUT_VARIABLE: &str = "ATRION_BENCH_OUT";

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match args::parse(words.clone()).and_then(|asked| carry_out(&asked, &words)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::from(2)
        }
    }
}

/// `false` if a stage broke.
fn carry_out(invocation: &Invocation, words: &[OsString]) -> Result<bool, String> {
    match invocation {
        Invocation::Help => say(HELP).map(|()| true),
        Invocation::List => say(&report::listing()).map(|()| true),
        Invocation::Run(options) => run(options, words),
    }
}

/// Prints; a reader that has heard enough is no error.
fn say(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("nothing can be printed: {e}"))
        }
        _ => Ok(()),
    }
}

fn run(options: &Options, words: &[OsString]) -> Result<bool, String> {
    let root = workspace()?;
    let out = options.out.clone().unwrap_or_else(|| {
        std::env::var_os(OUT_VARIABLE).map_or_else(|| root.join("target/bench-report"), Into::into)
    });
    if let Some(file) = &options.json {
        folder::check_file("--json", file)?;
    }
    let draft = Draft::begin(&out)?;
    let mut report = Report {
        is_quick: options.is_quick,
        seed: options.seed,
        command: command(words),
        date: SystemWallClock.now().to_string(),
        machine: Machine::here(&root),
        stages: Vec::new(),
        rows: Vec::new(),
        plots: Vec::new(),
    };
    let is_quick = options.is_quick;
    let setting = Setting { root: &root, is_quick, seed: options.seed, draft: &draft };
    for (index, stage) in options.stages.iter().enumerate() {
        let place = format!("{}/{}", index + 1, options.stages.len());
        measure(*stage, &place, &setting, &mut report)?;
    }
    let json = report::json(&report)?;
    draft.write("report.md", &report::markdown(&report))?;
    draft.write("report.csv", &report::csv(&report))?;
    draft.write("report.json", &json)?;
    // First of all: what follows may fail, and the figures are there.
    say(&format!("\n{}", report::table(&report)))?;
    draft.publish()?;
    if let Some(file) = &options.json {
        folder::write_whole(file, &json)?;
    }
    let place = format!("the report is in {}", out.display());
    say(&format!("\n{}", report::closing(&report, &place)))?;
    Ok(report.broken().is_empty())
}

/// Runs one stage and adds what came of it to the report.
fn measure(
    stage: Stage,
    place: &str,
    setting: &Setting<'_>,
    report: &mut Report,
) -> Result<(), String> {
    let budget = stage.budget(setting.is_quick);
    let (name, about) = (stage.name(), stage.about());
    say(&format!("==> {place} {name}: {about} (at most {} s)\n", budget.as_secs()))?;
    let clock = MonotonicClock::new();
    let start = clock.now();
    let outcome = stages::run(stage, setting);
    let passed = clock.now().since(start);
    let (outcome, broke) = match outcome {
        Ok(outcome) => (outcome, None),
        Err(why) => {
            let why_not = format!("the stage `{name}` broke");
            (Outcome { why_not, ..Outcome::default() }, Some(why))
        }
    };
    for (file, svg) in outcome.plots {
        setting.draft.write(&file, &svg)?;
        report.plots.push(file);
    }
    report.rows.extend(rows(stage, &outcome.measured, &outcome.why_not));
    let took: Duration = passed.saturating_sub(outcome.building);
    let entry = StageReport { stage, took, building: outcome.building, budget, broke };
    let why = entry.broke.as_ref().map_or(String::new(), |why| format!(": {why}"));
    say(&format!("    {} in {:.1} s{why}\n", entry.state(), passed.as_secs_f64()))?;
    report.stages.push(entry);
    Ok(())
}

/// The workspace this program was built in: it has what is to be built and measured.
fn workspace() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    if root.join("Cargo.toml").is_file() && root.join("benches").is_dir() {
        Ok(root.to_path_buf())
    } else {
        Err(format!(
            "the workspace this program was built in ({}) is gone; go to the repository and run \
             `cargo xtask bench` there",
            root.display()
        ))
    }
}

/// The command as a user would type it.
fn command(words: &[OsString]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    let quoted = words.iter().map(|word| {
        let word = word.to_string_lossy();
        if !word.is_empty() && word.chars().all(plain) {
            word.into_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    ["cargo xtask bench".to_owned()].into_iter().chain(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_typed_again() {
        let words = ["--quick", "--out", "a 'b'", ""].map(OsString::from);
        assert_eq!(command(&words), r"cargo xtask bench --quick --out 'a '\''b'\''' ''");
        assert_eq!(command(&[]), "cargo xtask bench");
    }

    #[test]
    fn the_workspace_is_found() {
        assert!(workspace().expect("it is here").join("crates/atrion-bench").is_dir());
    }
}
