//! The demonstrations: real processes, sockets and, for the cluster, a real Redis. They judge
//! themselves; here their figures are read.

use std::process::Command;

use atrion_state::clock::{Clock as _, MonotonicClock};
use serde_json::Value;

use super::{Outcome, Setting};
use crate::child;
use crate::figure::Figure;
use crate::goals;
use crate::progress::Bar;
use crate::stage::Stage;
use crate::verdict::Measured;

/// Exit statuses after which there are figures: kept, missed, too busy to tell.
const WITH_FIGURES: [i32; 3] = [0, 1, TOO_BUSY];
const TOO_BUSY: i32 = 3;
/// Names another server than `redis-server`.
const SERVER_VARIABLE: &str = "ATRION_REDIS_SERVER";

/// A goal, where its figure is in the demonstration's file, and whose figure stands beside it.
struct Reading {
    goal: &'static str,
    ours: &'static str,
    peer: Option<(&'static str, &'static str)>,
    /// What the demonstration leaves out when it never happened.
    or_never: bool,
    /// Its own check of the same figure, if it also asks whether there was anything to count.
    check: Option<&'static str>,
}

const fn reading(
    goal: &'static str,
    ours: &'static str,
    peer: Option<(&'static str, &'static str)>,
) -> Reading {
    Reading { goal, ours, peer, or_never: false, check: None }
}

/// A count of what went wrong: nothing is wrong, too, where nothing happened.
const fn counted(goal: &'static str, ours: &'static str, check: &'static str) -> Reading {
    Reading { check: Some(check), ..reading(goal, ours, None) }
}

/// What builds the crates of others in.
const PEERS: [&str; 2] = ["--features", "peers"];
/// Their names in the demonstration's file, and ours.
const CRATES: &[&str] = &["tower", "tr-aimd", "cl-aimd"];
const OURS: &str = "protected";

const UNPROTECTED: &str = "unprotected";
const ALONE: &str = "alone";

#[rustfmt::skip]
const SERVICE_READINGS: &[Reading] = &[
    reading("service.calm", "/protected/shed_while_calm", None),
    reading("service.overload", "/protected/overload_goodput_percent", Some((UNPROTECTED, "/unprotected/overload_goodput_percent"))),
    reading("service.top", "/protected/overload_served_percent/critical", Some((UNPROTECTED, "/unprotected/overload_served_percent/critical"))),
    reading("service.reach", "/protected/dead_dependency_percent", Some((UNPROTECTED, "/unprotected/dead_dependency_percent"))),
    Reading { or_never: true, ..reading("service.recovery", "/protected/recovery_seconds", Some((UNPROTECTED, "/unprotected/recovery_seconds"))) },
];

#[rustfmt::skip]
const CLUSTER_READINGS: &[Reading] = &[
    Reading { or_never: true, ..reading("cluster.warned", "/warned_ms_p99", None) },
    counted("cluster.unwarned", "/warnings_missed", "warnings that never came"),
    reading("cluster.dead", "/dead_requests_shared", Some((ALONE, "/dead_requests_alone"))),
    Reading { or_never: true, ..reading("cluster.recovery", "/recovery_s", Some((ALONE, "/recovery_alone_s"))) },
    counted("cluster.delayed", "/requests_failed_or_delayed_by_sync", "requests failed or delayed by sync"),
    Reading { or_never: true, ..reading("cluster.converged", "/reconverged_intervals", None) },
    counted("cluster.lied.normal", "/normal_requests_refused_under_liar", "normal and above refused under a liar"),
    counted("cluster.lied.bulk", "/bulk_percent_refused_under_liar", "bulk refused under a liar"),
    Reading { or_never: true, ..reading("cluster.bytes", "/bytes_per_changed_route", None) },
    reading("cluster.admit", "/admit_p99_us_shared", Some((ALONE, "/admit_p99_us_alone"))),
];

/// A service without and with Atrion.
pub(super) fn service(setting: &Setting<'_>) -> Result<Outcome, String> {
    show(Stage::Service, &[], SERVICE_READINGS, setting)
}

/// The crates of others before the same service.
pub(super) fn contest(setting: &Setting<'_>) -> Result<Outcome, String> {
    let (figures, outcome, excuse) = figures(Stage::Contest, &["--peers"], &PEERS, setting)?;
    Ok(Outcome { measured: contested(&figures, excuse.as_ref())?, ..outcome })
}

/// Services that share a Redis; without a server there is nothing to measure, which is said.
pub(super) fn cluster(setting: &Setting<'_>) -> Result<Outcome, String> {
    if let Err(why_not) = redis() {
        return Ok(Outcome { why_not, ..Outcome::default() });
    }
    show(Stage::Cluster, &["--cluster"], CLUSTER_READINGS, setting)
}

/// Whether there is a server to start.
fn redis() -> Result<(), String> {
    let program = std::env::var_os(SERVER_VARIABLE).unwrap_or_else(|| "redis-server".into());
    let name = program.to_string_lossy().into_owned();
    let version = Command::new(&program).arg("--version").output();
    if version.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    Err(format!("`{name}` is missing; `cargo xtask setup` installs redis-server"))
}

fn show(
    stage: Stage,
    args: &[&str],
    readings: &[Reading],
    setting: &Setting<'_>,
) -> Result<Outcome, String> {
    let (figures, outcome, excuse) = figures(stage, args, &[], setting)?;
    Ok(Outcome { measured: read(readings, &figures, excuse.as_ref())?, ..outcome })
}

/// Lets the demonstration run; the last of the three is why what it missed says nothing, if so.
fn figures(
    stage: Stage,
    args: &[&str],
    features: &[&str],
    setting: &Setting<'_>,
) -> Result<(Value, Outcome, Option<String>), String> {
    let log = setting.draft.log(stage.name());
    let bar = Bar::seconds(stage.name(), stage.budget(setting.is_quick));
    let clock = MonotonicClock::new();
    let start = clock.now();
    bar.say("building");
    let words = ["build", "--release", "--package", "atrion-demo"];
    let words = [&words[..], features].concat();
    let program = child::build(setting.root, &words, "atrion-demo", &log)?;
    let building = clock.now().since(start);
    bar.say("");
    let scratch = setting.draft.scratch(stage.name())?;
    let file = scratch.join("figures.json");
    let mut command = Command::new(program);
    command.args(args).args(setting.is_quick.then_some("--short"));
    command.arg("--seed").arg(setting.seed.to_string()).arg("--json").arg(&file);
    command.env("ATRION_DEMO_OUT", &scratch);
    let status = child::run(command, &log, stage.limit(setting.is_quick), &bar)?;
    let code = child::must_end_with(status, &WITH_FIGURES, "the demonstration", &log)?;
    let unreadable = |why: String| format!("the demonstration's figures cannot be read: {why}");
    let text = std::fs::read_to_string(&file).map_err(|e| unreadable(e.to_string()))?;
    let figures: Value = serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
    let excuse = (code == TOO_BUSY)
        .then(|| "the machine was too busy to measure it; again when nothing else runs".to_owned());
    let mut plots = Vec::new();
    if let Ok(svg) = std::fs::read_to_string(scratch.join("demo.svg")) {
        plots.push((format!("{}.svg", stage.name()), svg));
    }
    Ok((figures, Outcome { building, plots, ..Outcome::default() }, excuse))
}

/// Every protection beside ours, with its spread.
fn contested(figures: &Value, excuse: Option<&String>) -> Result<Vec<Measured>, String> {
    let spread = |overload: &str, name: &str| {
        let of = |what| number(figures, &format!("/{overload}/{name}/{what}"), false);
        let (value, low, high) = (of("goodput_percent")?, of("goodput_low")?, of("goodput_high")?);
        Figure::try_new(name, value.value(), low.value(), high.value()).map_err(|e| e.to_string())
    };
    let once = |overload: &str, name: &str, what: &str| {
        number(figures, &format!("/{overload}/{name}/{what}"), what == "p99_ms")
    };
    let beside = |goal: &'static str, overload: &str, what: &str| {
        let mut measured = Measured::new(goal, once(overload, OURS, what)?);
        for name in CRATES {
            measured = measured.peer(*name, once(overload, name, what)?);
        }
        Ok::<_, String>(measured)
    };
    let mut measured = Vec::new();
    for (overload, goodput, best, top) in [
        ("x3", "contest.goodput3x", "contest.best3x", "contest.top3x"),
        ("x10", "contest.goodput10x", "contest.best10x", "contest.top10x"),
    ] {
        let ours = spread(overload, OURS)?;
        let mut whole = Measured::new(goodput, ours);
        let mut first: Option<(&str, Figure)> = None;
        for name in CRATES {
            let figure = spread(overload, name)?;
            whole = whole.peer(*name, figure);
            if first.is_none_or(|(_, best)| figure.value() > best.value()) {
                first = Some((name, figure));
            }
        }
        measured.push(whole);
        let (name, figure) = first.ok_or("there are no crates of others")?;
        let note = format!("the best crate is `{name}`");
        measured.push(Measured::new(best, ours).peer(goals::BEST_CRATE, figure).note(note));
        measured.push(beside(top, overload, "top_served_percent")?);
    }
    measured.push(beside("contest.p99", "x10", "p99_ms")?);
    Ok(measured.into_iter().map(|m| Measured { excuse: excuse.cloned(), ..m }).collect())
}

fn read(
    readings: &[Reading],
    figures: &Value,
    excuse: Option<&String>,
) -> Result<Vec<Measured>, String> {
    readings
        .iter()
        .map(|reading| {
            let figure = |path| number(figures, path, reading.or_never);
            let mut measured = Measured::new(reading.goal, figure(reading.ours)?);
            if let Some((name, path)) = reading.peer {
                measured = measured.peer(name, figure(path)?);
            }
            let doubt = reading.check.map(|name| doubt(figures, name)).transpose()?.flatten();
            Ok(Measured { excuse: excuse.cloned(), doubt, ..measured })
        })
        .collect()
}

/// What the demonstration itself has against a figure.
fn doubt(figures: &Value, name: &str) -> Result<Option<String>, String> {
    let mut checks = figures.get("checks").and_then(Value::as_array).into_iter().flatten();
    let check = checks.find(|c| c.get("figure").is_some_and(|f| f == name));
    let met = check.and_then(|check| check.get("met")).and_then(Value::as_bool);
    match met {
        Some(true) => Ok(None),
        Some(false) => Ok(Some("the demonstration saw too little to count it".to_owned())),
        None => Err(format!("the demonstration has no check of `{name}`")),
    }
}

/// The number at `path`; what never happened is infinite where it may be.
fn number(figures: &Value, path: &str, or_never: bool) -> Result<Figure, String> {
    let value = match figures.pointer(path) {
        Some(Value::Null) if or_never => f64::INFINITY,
        Some(value) => value.as_f64().ok_or_else(|| {
            format!("the demonstration's figure {path} is `{value}`, a number is needed")
        })?,
        None => return Err(format!("the demonstration's figures have no {path}")),
    };
    Figure::once(path, value).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Verdict, judge};
    use serde_json::json;

    #[test]
    fn every_reading_is_of_a_goal_of_its_stage() {
        for (stage, readings) in
            [(Stage::Service, SERVICE_READINGS), (Stage::Cluster, CLUSTER_READINGS)]
        {
            let read: Vec<&str> = readings.iter().map(|r| r.goal).collect();
            let asked: Vec<&str> = goals::of_stage(stage).map(|g| g.id).collect();
            assert_eq!(read, asked, "{stage:?}");
        }
    }

    fn run(recovery: &Value) -> Value {
        json!({
            "shed_while_calm": 0, "overload_goodput_percent": 101.5,
            "overload_served_percent": {"critical": 100.0}, "dead_dependency_percent": 0.76,
            "recovery_seconds": recovery,
        })
    }

    #[test]
    fn figures_are_found_and_what_never_happened_is_infinite() {
        let figures = json!({"protected": run(&json!(0.5)), "unprotected": run(&Value::Null)});
        let measured = read(SERVICE_READINGS, &figures, None).expect("whole");
        let recovery = &measured[4];
        assert!((recovery.ours.value() - 0.5).abs() < 1e-9);
        assert!(recovery.peers[0].figure.value().is_infinite());
        assert_eq!(measured[1].peers[0].name, UNPROTECTED);
    }

    #[test]
    fn the_best_of_the_crates_is_the_one_to_beat() {
        let of = |goodput: f64| {
            json!({"goodput_percent": goodput, "goodput_low": goodput - 1.0,
                "goodput_high": goodput + 1.0, "p99_ms": null, "top_served_percent": goodput})
        };
        let overload = |ours: f64| json!({"protected": of(ours), "tower": of(98.0), "tr-aimd": of(60.0), "cl-aimd": of(99.0)});
        let figures = json!({"x3": overload(99.5), "x10": overload(90.0)});
        let measured = contested(&figures, None).expect("whole");
        let mut asked: Vec<&str> = goals::of_stage(Stage::Contest).map(|g| g.id).collect();
        let mut read: Vec<&str> = measured.iter().map(|m| m.goal).collect();
        asked.sort_unstable();
        read.sort_unstable();
        assert_eq!(read, asked);
        let verdict = |goal: &str| {
            let found = measured.iter().find(|m| m.goal == goal).expect("measured");
            judge(goals::find(goal).expect("a goal"), found).verdict
        };
        assert_eq!(verdict("contest.best3x"), Verdict::Met);
        assert_eq!(verdict("contest.best10x"), Verdict::Missed);
        assert_eq!(verdict("contest.goodput10x"), Verdict::Missed);
        assert_eq!(verdict("contest.p99"), Verdict::Missed, "beyond the objective is infinite");
        let best = measured.iter().find(|m| m.goal == "contest.best3x").expect("measured");
        assert!(best.note.contains("cl-aimd"), "{}", best.note);
        let why = contested(&json!({"x3": {}}), None).expect_err("nothing there");
        assert!(why.contains("/x3/protected/goodput_percent"), "{why}");
    }

    #[test]
    fn a_busy_machine_excuses_what_was_missed_only() {
        let figures = json!({"protected": run(&json!(9.0)), "unprotected": run(&json!(1.0))});
        let why = "too busy".to_owned();
        let measured = read(SERVICE_READINGS, &figures, Some(&why)).expect("whole");
        let verdict = |index: usize| {
            judge(goals::find(measured[index].goal).expect("a goal"), &measured[index]).verdict
        };
        assert_eq!(verdict(0), Verdict::Met);
        assert_eq!(verdict(4), Verdict::Unmeasured(why.clone()));
    }

    #[test]
    fn figures_that_are_missing_or_no_numbers_are_named() {
        let figures = json!({"protected": run(&json!("soon")), "unprotected": run(&Value::Null)});
        let why = read(SERVICE_READINGS, &figures, None).expect_err("no number");
        assert!(why.contains("/protected/recovery_seconds is `\"soon\"`"), "{why}");
        let why = read(CLUSTER_READINGS, &figures, None).expect_err("another file");
        assert!(why.contains("have no /warned_ms_p99"), "{why}");
        let null = json!({"warned_ms_p99": 3.0, "warnings_missed": null});
        let why = read(CLUSTER_READINGS, &null, None).expect_err("null is no count");
        assert!(why.contains("/warnings_missed is `null`"), "{why}");
    }

    #[test]
    fn a_lie_that_nobody_heard_is_no_lie_withstood() {
        let figures = |met: bool| json!({"refused": 0, "checks": [{"figure": "x", "met": !met}, {"figure": "y", "met": met}]});
        let readings = [counted("cluster.lied.normal", "/refused", "y")];
        let verdict = |met| {
            let measured = read(&readings, &figures(met), None).expect("whole");
            judge(goals::find(measured[0].goal).expect("a goal"), &measured[0]).verdict
        };
        assert_eq!(verdict(true), Verdict::Met);
        assert!(matches!(verdict(false), Verdict::Unmeasured(why) if why.contains("too little")));
        let gone = [counted("cluster.lied.normal", "/refused", "z")];
        let why = read(&gone, &figures(true), None).expect_err("no such check");
        assert!(why.contains("no check of `z`"), "{why}");
    }
}
