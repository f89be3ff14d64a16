//! The program behind `cargo xtask sim`.
//!
//! Exit status: 0 for success, 2 for a command line, a scenario or a file that makes no sense.

mod ablate;
mod args;
#[cfg(feature = "cluster")]
mod cluster;
mod common;
mod draws;
mod file;
mod hypotheses;
mod replay;
mod speed;
mod stability;

use std::ffi::OsString;
use std::process::ExitCode;

use atrion_engine::Config;
use atrion_sim::{Evaluation, Scenario, Summary, evaluate, policy, runs, scenario, table};
use indicatif::ProgressBar;

use crate::args::{HELP, Invocation, Options};
use crate::common::{bar, say};
use crate::file::Subject;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let command = args.first().map(|first| first.to_string_lossy().into_owned());
    let rest = || args.iter().skip(1).cloned();
    let done = match command.as_deref() {
        Some("ablate") => ablate::run(rest()),
        Some("draws") => draws::run(rest()),
        Some("hypotheses") => hypotheses::run(rest()),
        Some("stability") => stability::run(rest()),
        _ => args::parse(args.clone()).and_then(|asked| carry_out(&asked)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("sim: {why}");
            ExitCode::from(2)
        }
    }
}

fn carry_out(invocation: &Invocation) -> Result<(), String> {
    match invocation {
        Invocation::Help => say(HELP),
        Invocation::List => say(&list()),
        Invocation::Print(names) => {
            let all: Result<Vec<Subject>, String> =
                names.iter().map(|name| file::subject(name)).collect();
            let texts: Vec<String> = all?.iter().map(Subject::to_toml).collect();
            say(&texts.join("\n"))
        }
        Invocation::Speed(options) => measure(options),
        Invocation::Run(options) => run(options),
        Invocation::ReplayHelp => say(replay::HELP),
        Invocation::Replay(options) => replay::run(options),
    }
}

fn list() -> String {
    let (scenarios, services) = scenario::presets();
    let lines = |title: &str, entries: Vec<(&str, &str)>| {
        let lines: Vec<String> =
            entries.iter().map(|(name, about)| format!("  {name:<12} {about}\n")).collect();
        format!("{title}\n{}", lines.concat())
    };
    let presets = |all: Vec<scenario::Preset>| all.iter().map(|p| (p.name, p.about)).collect();
    let policies = policy::entries().iter().map(|entry| (entry.name, entry.about)).collect();
    [
        lines("Scenarios", presets(scenarios)),
        #[cfg(feature = "cluster")]
        lines(
            "Clusters, as NAME@clusterN of N nodes; a scenario of one node may be on each of them",
            presets(atrion_sim::cluster::presets()),
        ),
        lines("Services: any scenario runs on any of them as SCENARIO@SERVICE", presets(services)),
        lines("Policies", policies),
    ]
    .join("\n")
}

fn subjects(options: &Options) -> Result<Vec<Subject>, String> {
    options.scenarios.iter().map(|name| file::subject(name)).collect()
}

fn run(options: &Options) -> Result<(), String> {
    let subjects = subjects(options)?;
    for path in options.csv.iter().chain(&options.svg).chain(&options.record) {
        file::check_writable(path)?;
    }
    #[cfg(feature = "cluster")]
    cluster::check(options, &subjects)?;
    let all = subjects.iter().map(|subject| runs_of(subject, options)).sum::<Result<usize, _>>()?;
    let bar = bar(all as u64, "runs");
    let mut rows = Vec::new();
    #[cfg(feature = "cluster")]
    let mut clusters = Vec::new();
    for subject in &subjects {
        match subject {
            Subject::Single(scenario) => rows.extend(run_single(scenario, options, &bar)?),
            #[cfg(feature = "cluster")]
            Subject::Cluster(scenario) => {
                let rows = cluster::evaluate(scenario, options, &bar)?;
                let table = atrion_sim::cluster::text(&rows);
                let text = format!("{}\n{table}\n", cluster::headline(scenario, options));
                bar.suspend(|| say(&text))?;
                clusters.extend(rows);
            }
        }
    }
    bar.finish_and_clear();
    if let Some(path) = &options.csv {
        let mut text = String::new();
        #[cfg(feature = "cluster")]
        if !clusters.is_empty() {
            text = atrion_sim::cluster::csv(&clusters);
        }
        if text.is_empty() {
            text = table::csv(&rows);
        }
        file::write_whole(path, &text)?;
    }
    if let (Some(path), Some(Subject::Single(scenario))) = (&options.record, subjects.first()) {
        let seed = options.seeds.first().copied().unwrap_or(1);
        let recorded = atrion_sim::replay::record(scenario, &Config::default(), seed);
        let (_, bytes) = recorded.map_err(|e| e.to_string())?;
        file::write_whole(path, &bytes)?;
    }
    for path in options.csv.iter().chain(&options.svg).chain(&options.record) {
        say(&format!("wrote {}\n", path.display()))?;
    }
    Ok(())
}

/// Runs behind the table of one subject.
fn runs_of(subject: &Subject, options: &Options) -> Result<usize, String> {
    Ok(match subject {
        Subject::Single(_) => options.policies.iter().map(|p| runs(p, options.seeds.len())).sum(),
        #[cfg(feature = "cluster")]
        Subject::Cluster(_) => cluster::sharings()?.len() * options.seeds.len(),
    })
}

fn run_single(
    scenario: &Scenario,
    options: &Options,
    bar: &ProgressBar,
) -> Result<Vec<Summary>, String> {
    let mut evaluations: Vec<Evaluation> = Vec::new();
    for choice in &options.policies {
        bar.set_message(format!("{} {}", scenario.name(), choice.name()));
        let done = evaluate(scenario, choice, &options.seeds, || bar.inc(1));
        evaluations.push(done.map_err(|e| e.to_string())?);
    }
    let summaries: Vec<Summary> =
        evaluations.iter().filter_map(|e| Summary::of(&e.policy, &e.reports)).collect();
    let text = format!("{}\n{}\n", headline(scenario, options), table::text(&summaries));
    bar.suspend(|| say(&text))?;
    if let Some(path) = &options.svg {
        let svg = atrion_sim::svg::plot(scenario, &evaluations);
        let svg = svg.map_err(|e| format!("the plot cannot be drawn: {e}"))?;
        file::write_whole(path, &svg)?;
    }
    Ok(summaries)
}

fn headline(scenario: &Scenario, options: &Options) -> String {
    let (first, last) = (options.seeds.first(), options.seeds.last());
    format!(
        "{}: {} (capacity {:.0}/s, deadline {:.0} ms, {:.0} s, seeds {} to {})",
        scenario.name(),
        scenario.description(),
        scenario.capacity_per_sec(),
        1000.0 * scenario.deadline_secs(),
        scenario.duration_secs(),
        first.copied().unwrap_or_default(),
        last.copied().unwrap_or_default(),
    )
}

fn measure(options: &Options) -> Result<(), String> {
    for subject in &subjects(options)? {
        match subject {
            Subject::Single(scenario) => say(&measure_single(scenario, options)?)?,
            #[cfg(feature = "cluster")]
            Subject::Cluster(scenario) => {
                let seed = options.seeds.first().copied().unwrap_or(1);
                say(&cluster::measure(scenario, seed)?)?;
            }
        }
    }
    Ok(())
}

fn measure_single(scenario: &Scenario, options: &Options) -> Result<String, String> {
    let mut text = format!("{}: nanoseconds per simulated request\n", scenario.name());
    for choice in options.policies.iter().filter(|choice| !choice.is_oracle()) {
        let seed = options.seeds.first().copied().unwrap_or(1);
        let s = speed::measure(scenario, choice, seed)?;
        let share = 100.0 * s.admitted as f64 / s.requests.max(1) as f64;
        let line = format!(
            "  {:<12} {:>7.0} ns   {} requests, {share:.0} % admitted\n",
            s.policy, s.nanos, s.requests
        );
        text.push_str(&line);
    }
    Ok(text)
}
