//! Criterion's benchmarks: run as programs of their own, read from what criterion writes.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use atrion_state::clock::{Clock as _, MonotonicClock};

use super::{Outcome, Setting};
use crate::child;
use crate::criterion::{self, Estimate, Estimates};
use crate::figure::Figure;
use crate::progress::Bar;
use crate::stage::Stage;
use crate::verdict::Measured;

/// A benchmark program.
struct Program {
    package: &'static str,
    bench: &'static str,
    features: &'static [&'static str],
}

/// How a goal's figure comes from estimates.
struct Reading {
    goal: &'static str,
    /// Full name of our benchmark.
    ours: &'static str,
    /// Names of peers and their benchmarks.
    peers: &'static [(&'static str, &'static str)],
    what: What,
}

/// Which figure of a benchmark counts.
#[derive(Clone, Copy)]
enum What {
    /// Nanoseconds of an iteration.
    Nanos,
    /// The same, less those of this benchmark.
    NanosBeyond(&'static str),
    /// Nanoseconds of each element.
    NanosEach,
    /// Million elements per second.
    MillionsPerSecond,
    /// Elements per second.
    PerSecond,
    /// Milliseconds of an iteration.
    Millis,
    /// Seconds of an iteration.
    Seconds,
}

const fn program(package: &'static str, bench: &'static str) -> Program {
    Program { package, bench, features: &[] }
}

const REQUEST_PATH: Program = program("atrion-benches", "request_path");
const TOWER_LAYER: Program = program("atrion-benches", "tower_layer");
const SIMULATOR: Program = program("atrion-benches", "simulator");
const WIRE: Program = program("atrion-cluster", "wire");
const STORE: Program = program("atrion-postgres", "store");
const WATCH: Program =
    Program { features: &["--all-features"], ..program("atrion-observe", "cost") };

const ADMIT: &str = "admit and record/atrion/1";
const LAYER: &str = "tower layer/atrion (client)";
const NO_LAYER: What = What::NanosBeyond("tower layer/none");

#[rustfmt::skip]
const MICRO_READINGS: &[Reading] = &[
    Reading { goal: "micro.read", ours: "decision read/atrion would_flow", peers: &[("relaxed load", "decision read/relaxed load and compare")], what: What::Nanos },
    Reading { goal: "micro.read.atomic", ours: "decision read/atrion would_flow", peers: &[("relaxed load", "decision read/relaxed load and compare")], what: What::Nanos },
    Reading { goal: "micro.admit.recloser", ours: ADMIT, peers: &[("recloser", "admit and record/recloser/1")], what: What::Nanos },
    Reading { goal: "micro.admit.governor", ours: ADMIT, peers: &[("governor", "admit and record/governor/1")], what: What::Nanos },
    Reading { goal: "micro.admit.failsafe", ours: ADMIT, peers: &[("failsafe", "admit and record/failsafe/1")], what: What::Nanos },
    Reading { goal: "micro.admit.threads", ours: "admit and record/atrion/2", peers: &[("one thread", ADMIT)], what: What::Nanos },
    Reading {
        goal: "micro.admit.threads.peers",
        ours: "admit and record/atrion/2",
        peers: &[("recloser", "admit and record/recloser/2"), ("governor", "admit and record/governor/2"), ("failsafe", "admit and record/failsafe/2")],
        what: What::Nanos,
    },
    Reading { goal: "micro.layer.breaker", ours: LAYER, peers: &[("tower-resilience breaker", "tower layer/tower-resilience breaker")], what: NO_LAYER },
    Reading { goal: "micro.layer.limit", ours: LAYER, peers: &[("LoadShed + ConcurrencyLimit", "tower layer/load shed + concurrency limit")], what: NO_LAYER },
    Reading { goal: "micro.tick", ours: "physics tick", peers: &[], what: What::Nanos },
    Reading { goal: "micro.lookup.1000", ours: "route by name/1000", peers: &[], what: What::Nanos },
    Reading { goal: "micro.lookup.100000", ours: "route by name/100000", peers: &[], what: What::Nanos },
];

#[rustfmt::skip]
const SIMULATOR_READINGS: &[Reading] = &[
    Reading { goal: "simulator.steady", ours: "simulated request/atrion/steady", peers: &[("static", "simulated request/static/steady")], what: What::NanosEach },
    Reading { goal: "simulator.step5x", ours: "simulated request/atrion/step5x", peers: &[("static", "simulated request/static/step5x")], what: What::NanosEach },
    Reading { goal: "simulator.retries", ours: "simulated request/atrion/retries", peers: &[("static", "simulated request/static/retries")], what: What::NanosEach },
    Reading { goal: "simulator.tiers", ours: "simulated request/atrion/tiers", peers: &[("static", "simulated request/static/tiers")], what: What::NanosEach },
];

#[rustfmt::skip]
const WIRE_READINGS: &[Reading] = &[
    Reading { goal: "wire.decode", ours: "wire, 1024 changed routes/decode/open", peers: &[], what: What::MillionsPerSecond },
    Reading { goal: "wire.decode.authenticated", ours: "wire, 1024 changed routes/decode/authenticated", peers: &[], what: What::MillionsPerSecond },
    Reading { goal: "wire.encode", ours: "wire, 1024 changed routes/encode/open", peers: &[], what: What::MillionsPerSecond },
];

#[rustfmt::skip]
const STORE_READINGS: &[Reading] = &[
    Reading { goal: "store.restore", ours: "restore/own_rows/100000", peers: &[], what: What::Seconds },
    Reading { goal: "store.restore.other", ours: "restore/as_another_node/100000", peers: &[], what: What::Seconds },
    Reading { goal: "store.save", ours: "save/4096", peers: &[], what: What::PerSecond },
    Reading { goal: "store.save.interval", ours: "save/64", peers: &[], what: What::PerSecond },
    Reading { goal: "store.admit", ours: "admit_and_record/while_10000_changes_a_second_are_saved", peers: &[("alone", "admit_and_record/alone")], what: What::Nanos },
];

const UNWATCHED: &[(&str, &str)] = &[("nothing", "admit and record/nothing")];

#[rustfmt::skip]
const WATCH_READINGS: &[Reading] = &[
    Reading { goal: "watch.tracing", ours: "admit and record/tracing", peers: UNWATCHED, what: What::Nanos },
    Reading { goal: "watch.metrics", ours: "admit and record/metrics, every second", peers: UNWATCHED, what: What::Nanos },
    Reading { goal: "watch.otel", ours: "admit and record/otel, every second", peers: UNWATCHED, what: What::Nanos },
    Reading { goal: "watch.tally", ours: "admit and record/tally", peers: UNWATCHED, what: What::Nanos },
    Reading { goal: "watch.sampled", ours: "admit and record/tracing, one decision in 1000", peers: UNWATCHED, what: What::Nanos },
    Reading { goal: "watch.refuse", ours: "refuse/tally", peers: &[("nothing", "refuse/nothing")], what: What::Nanos },
    Reading { goal: "watch.collect", ours: "collect/10000 routes", peers: &[], what: What::Millis },
];

/// What a request costs, beside the crates of others.
pub(super) fn micro(setting: &Setting<'_>) -> Result<Outcome, String> {
    let (estimates, building, _) = measure(Stage::Micro, &[REQUEST_PATH, TOWER_LAYER], setting)?;
    let plot = crate::report::svg::bars("nanoseconds, medians", &medians(&estimates))?;
    Ok(Outcome {
        measured: read(MICRO_READINGS, &estimates)?,
        building,
        plots: vec![("micro.svg".to_owned(), plot)],
        ..Outcome::default()
    })
}

/// What a simulated request costs.
pub(super) fn simulator(setting: &Setting<'_>) -> Result<Outcome, String> {
    let (estimates, building, _) = measure(Stage::Simulator, &[SIMULATOR], setting)?;
    let measured = read(SIMULATOR_READINGS, &estimates)?;
    Ok(Outcome { measured, building, ..Outcome::default() })
}

/// What frames cost.
pub(super) fn wire(setting: &Setting<'_>) -> Result<Outcome, String> {
    let (estimates, building, _) = measure(Stage::Wire, &[WIRE], setting)?;
    let measured = read(WIRE_READINGS, &estimates)?;
    Ok(Outcome { measured, building, ..Outcome::default() })
}

/// What remembering costs; without a server there is nothing to measure, which is said.
pub(super) fn store(setting: &Setting<'_>) -> Result<Outcome, String> {
    let (estimates, building, why_not) = measure(Stage::Store, &[STORE], setting)?;
    if let Some(why_not) = why_not {
        return Ok(Outcome { why_not, building, ..Outcome::default() });
    }
    let measured = read(STORE_READINGS, &estimates)?;
    Ok(Outcome { measured, building, ..Outcome::default() })
}

/// What watching costs.
pub(super) fn watch(setting: &Setting<'_>) -> Result<Outcome, String> {
    let (estimates, building, _) = measure(Stage::Watch, &[WATCH], setting)?;
    let measured = read(WATCH_READINGS, &estimates)?;
    Ok(Outcome { measured, building, ..Outcome::default() })
}

fn medians(estimates: &Estimates) -> Vec<(String, Figure)> {
    estimates.iter().map(|(name, estimate)| (name.clone(), estimate.nanos)).collect()
}

/// Builds all programs, then runs one after the other. The last of the three is why nothing was
/// measured, if a server is missing.
fn measure(
    stage: Stage,
    programs: &[Program],
    setting: &Setting<'_>,
) -> Result<(Estimates, Duration, Option<String>), String> {
    let log = setting.draft.log(stage.name());
    let bar = Bar::seconds(stage.name(), stage.budget(setting.is_quick));
    let clock = MonotonicClock::new();
    let start = clock.now();
    bar.say("building");
    let built: Result<Vec<PathBuf>, String> = programs
        .iter()
        .map(|p| {
            let words = ["bench", "--no-run", "--package", p.package, "--bench", p.bench];
            let words = [&words[..], p.features].concat();
            child::build(setting.root, &words, p.bench, &log)
        })
        .collect();
    let building = clock.now().since(start);
    let home = setting.draft.scratch(stage.name())?;
    for program in built? {
        let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        bar.say(name.clone());
        let mut command = Command::new(&program);
        command.args(["--bench", "--noplot"]).args(lengths(setting.is_quick));
        command.current_dir(setting.root).env("CRITERION_HOME", &home);
        let status = child::run(command, &log, stage.limit(setting.is_quick), &bar)?;
        let what = format!("the benchmark {name}");
        if let Some(why_not) = child::why_not_here(status, &what, &log)? {
            return Ok((Estimates::new(), building, Some(why_not)));
        }
    }
    Ok((criterion::read(&home)?, building, None))
}

/// For how long each benchmark is measured. In full as long as the benchmark itself says.
fn lengths(is_quick: bool) -> &'static [&'static str] {
    if is_quick {
        &["--warm-up-time", "0.5", "--measurement-time", "1", "--sample-size", "20"]
    } else {
        &[]
    }
}

fn read(readings: &[Reading], estimates: &Estimates) -> Result<Vec<Measured>, String> {
    readings
        .iter()
        .map(|reading| {
            let figure = |name: &str| {
                let estimate = criterion::get(estimates, name)?;
                reading.what.of(&estimate, estimates).map_err(|why| format!("`{name}` {why}"))
            };
            let mut measured = Measured::new(reading.goal, figure(reading.ours)?);
            for (name, benchmark) in reading.peers {
                measured = measured.peer(*name, figure(benchmark)?);
            }
            Ok(measured)
        })
        .collect()
}

impl What {
    fn of(self, estimate: &Estimate, all: &Estimates) -> Result<Figure, String> {
        let each = || estimate.per_element().ok_or("does not say how many elements it works on");
        match self {
            Self::Nanos => Ok(estimate.nanos),
            Self::NanosBeyond(baseline) => {
                Ok(estimate.nanos.beyond(criterion::get(all, baseline)?.nanos))
            }
            Self::NanosEach => Ok(each()?),
            // A thousand nanoseconds, and it is one per microsecond: a million per second.
            Self::MillionsPerSecond => {
                each()?.inverse(1e3).ok_or_else(|| "takes no time at all".to_owned())
            }
            Self::PerSecond => {
                each()?.inverse(1e9).ok_or_else(|| "takes no time at all".to_owned())
            }
            Self::Millis => Ok(estimate.nanos.times(1e-6)),
            Self::Seconds => Ok(estimate.nanos.times(1e-9)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals;

    fn estimate(value: f64, elements: Option<u64>) -> Estimate {
        let nanos = Figure::try_new("x", value, 0.9 * value, 1.1 * value).expect("in order");
        Estimate { nanos, elements }
    }

    #[test]
    fn every_reading_is_of_a_goal_of_its_stage_and_brings_the_peer_it_names() {
        for (stage, readings) in [
            (Stage::Micro, MICRO_READINGS),
            (Stage::Simulator, SIMULATOR_READINGS),
            (Stage::Wire, WIRE_READINGS),
            (Stage::Store, STORE_READINGS),
            (Stage::Watch, WATCH_READINGS),
        ] {
            let read: Vec<&str> = readings.iter().map(|r| r.goal).collect();
            let asked: Vec<&str> = goals::of_stage(stage).map(|g| g.id).collect();
            assert_eq!(read, asked, "{stage:?}");
            for reading in readings {
                let goal = goals::find(reading.goal).expect("a goal");
                if let goals::Bound::Ratio { peer, .. } = goal.bound {
                    assert!(reading.peers.iter().any(|(name, _)| *name == peer), "{}", goal.id);
                }
            }
        }
    }

    #[test]
    fn figures_are_taken_from_medians() {
        let all = Estimates::from([
            ("none".to_owned(), estimate(20.0, None)),
            ("layer".to_owned(), estimate(50.0, None)),
            ("frame".to_owned(), estimate(10_000.0, Some(500))),
        ]);
        let of = |what: What, name: &str| what.of(&all[name], &all).expect("readable").value();
        assert!((of(What::Nanos, "layer") - 50.0).abs() < 1e-9);
        assert!((of(What::NanosBeyond("none"), "layer") - 30.0).abs() < 1e-9);
        assert!((of(What::NanosEach, "frame") - 20.0).abs() < 1e-9);
        assert!((of(What::MillionsPerSecond, "frame") - 50.0).abs() < 1e-9);
        assert!((of(What::PerSecond, "frame") - 50e6).abs() < 1e-3);
        assert!((of(What::Millis, "frame") - 0.01).abs() < 1e-9);
        assert!((of(What::Seconds, "frame") - 1e-5).abs() < 1e-12);
    }

    #[test]
    fn what_criterion_did_not_leave_is_named() {
        let why = read(WIRE_READINGS, &Estimates::new()).expect_err("nothing was measured");
        assert!(why.contains("`wire, 1024 changed routes/decode/open`"), "{why}");
        let silent = Estimates::from([(WIRE_READINGS[0].ours.to_owned(), estimate(5.0, None))]);
        let why = read(WIRE_READINGS, &silent).expect_err("no number of elements");
        assert!(why.contains("does not say how many elements"), "{why}");
        let why = What::NanosBeyond("gone").of(&estimate(5.0, None), &silent).expect_err("gone");
        assert!(why.contains("`gone`"), "{why}");
    }
}
