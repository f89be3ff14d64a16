//! The program behind `cargo xtask sim`.
//!
//! Exit status: 0 for success, 2 for a command line, a scenario or a file that makes no sense.

mod args;
mod file;
mod replay;
mod speed;

use std::io::Write as _;
use std::process::ExitCode;

use atrion_engine::Config;
use atrion_sim::{Evaluation, Scenario, Summary, evaluate, policy, runs, scenario, table};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{HELP, Invocation, Options};

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)).and_then(|asked| carry_out(&asked)) {
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
            let all: Result<Vec<Scenario>, String> =
                names.iter().map(|name| file::scenario(name)).collect();
            let texts: Vec<String> = all?.iter().map(Scenario::to_toml).collect();
            say(&texts.join("\n"))
        }
        Invocation::Speed(options) => measure(options),
        Invocation::Run(options) => run(options),
        Invocation::ReplayHelp => say(replay::HELP),
        Invocation::Replay(options) => replay::run(options),
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
        lines("Services: any scenario runs on any of them as SCENARIO@SERVICE", presets(services)),
        lines("Policies", policies),
    ]
    .join("\n")
}

fn scenarios(options: &Options) -> Result<Vec<Scenario>, String> {
    options.scenarios.iter().map(|name| file::scenario(name)).collect()
}

fn run(options: &Options) -> Result<(), String> {
    let scenarios = scenarios(options)?;
    for path in options.csv.iter().chain(&options.svg).chain(&options.record) {
        file::check_writable(path)?;
    }
    let per_scenario: usize = options.policies.iter().map(|p| runs(p, options.seeds.len())).sum();
    let bar = bar(per_scenario * scenarios.len());
    let mut rows = Vec::new();
    for scenario in &scenarios {
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
        rows.extend(summaries);
        if let Some(path) = &options.svg {
            let svg = atrion_sim::svg::plot(scenario, &evaluations);
            let svg = svg.map_err(|e| format!("the plot cannot be drawn: {e}"))?;
            file::write_whole(path, svg.as_bytes())?;
        }
    }
    bar.finish_and_clear();
    if let Some(path) = &options.csv {
        file::write_whole(path, table::csv(&rows).as_bytes())?;
    }
    if let (Some(path), Some(scenario)) = (&options.record, scenarios.first()) {
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

fn bar(length: usize) -> ProgressBar {
    let bar = ProgressBar::new(length as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} runs, {eta} left  {msg}")
    {
        bar.set_style(style);
    }
    bar
}

fn measure(options: &Options) -> Result<(), String> {
    for scenario in &scenarios(options)? {
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
        say(&text)?;
    }
    Ok(())
}
