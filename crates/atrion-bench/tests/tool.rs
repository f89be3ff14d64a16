//! The program as users run it, with its cheapest stage.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test may say so"
)]

use std::process::{Command, Output};

use atrion_testkit::Folder;
use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atrion-bench")).args(args).output().expect("it starts")
}

fn text(output: &Output) -> (String, String) {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (of(&output.stdout), of(&output.stderr))
}

#[test]
fn a_run_leaves_a_whole_report_in_every_form() {
    let folder = Folder::new().unwrap();
    let (out, json) = (folder.file("a b"), folder.file("copy.json"));
    let args = ["--quick", "--only", "memory", "--seed", "5", "--out", &out, "--json", &json];
    let output = bench(&args);
    let (said, err) = text(&output);
    assert!(output.status.success(), "{said}{err}");
    assert!(said.contains("==> 1/1 memory") && said.contains("goals met"), "{said}");
    assert!(err.is_empty(), "no bar where there is no terminal: {err}");
    assert_eq!(folder.names("").unwrap(), ["a b", "copy.json"], "nothing else is left");
    assert_eq!(folder.names("a b").unwrap(), ["logs", "report.csv", "report.json", "report.md"]);

    let copy = std::fs::read_to_string(&json).unwrap();
    assert_eq!(copy, std::fs::read_to_string(folder.path().join("a b/report.json")).unwrap());
    let report: Value = serde_json::from_str(&copy).expect("it is JSON");
    assert_eq!((&report["schema"], &report["version"]), (&"atrion-bench-report".into(), &1.into()));
    assert_eq!((&report["mode"], &report["seed"]), (&"quick".into(), &5.into()));
    assert!(report["command"].as_str().is_some_and(|c| c.contains("--only memory --seed 5")));
    let rows = report["rows"].as_array().expect("rows");
    let ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(ids, ["memory.rest", "memory.route", "memory.calm", "memory.overload"]);
    for row in &rows[..2] {
        assert!(row["ours"]["value"].as_f64().is_some_and(|bytes| bytes > 16.0), "{row}");
    }
    for row in &rows[2..] {
        assert_eq!((&row["ours"]["value"], &row["verdict"]), (&0.0.into(), &"met".into()), "{row}");
    }
    let markdown = std::fs::read_to_string(folder.path().join("a b/report.md")).unwrap();
    assert!(
        markdown.contains("| memory per idle route, its name left out | <= 256 B |"),
        "{markdown}"
    );

    // Again into the same folder: the new report takes the place of the old one.
    let output = bench(&args);
    assert!(output.status.success(), "{}", text(&output).1);
    assert_eq!(folder.names("").unwrap(), ["a b", "copy.json"]);
}

#[test]
fn a_cluster_without_redis_is_not_passed_over_in_silence() {
    let folder = Folder::new().unwrap();
    let out = folder.file("out");
    let output = Command::new(env!("CARGO_BIN_EXE_atrion-bench"))
        .args(["--quick", "--only", "cluster", "--out", &out])
        .env("ATRION_REDIS_SERVER", "a-server-that-nobody-has")
        .output()
        .expect("it starts");
    let (said, err) = text(&output);
    assert!(output.status.success(), "a server that is not there breaks nothing: {err}");
    assert!(said.contains("0 goals met, 0 missed, 10 not measured"), "{said}");
    let markdown = std::fs::read_to_string(folder.path().join("out/report.md")).unwrap();
    let why = "`a-server-that-nobody-has` is missing; `cargo xtask setup` installs redis-server";
    assert!(markdown.contains(why), "{markdown}");
}

#[test]
fn a_stage_that_breaks_is_named_and_fails_the_command() {
    let folder = Folder::new().unwrap();
    let out = folder.file("out");
    let output = Command::new(env!("CARGO_BIN_EXE_atrion-bench"))
        .args(["--quick", "--only", "wire,memory", "--out", &out])
        .env("CARGO", "a-cargo-that-nobody-has")
        .output()
        .expect("it starts");
    let (said, _) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the stage `wire` broke: `cargo bench --no-run"), "{said}");
    let report = std::fs::read_to_string(folder.path().join("out/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).expect("it is JSON");
    assert_eq!(report["stages"][0]["state"], "broken");
    assert_eq!(report["stages"][1]["state"], "done", "the others go on");
    assert_eq!(report["rows"][0]["remark"], "the stage `wire` broke");
}

#[test]
fn mistakes_are_named_before_anything_is_measured() {
    let folder = Folder::new().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    std::fs::create_dir(folder.path().join("home")).unwrap();
    std::fs::write(folder.path().join("home/thesis"), "").unwrap();
    let (file, home) = (folder.file("file"), folder.file("home"));
    let nowhere = folder.file("no/such/a.json");
    for (args, named) in [
        (&["--fats"][..], "--fats"),
        (&["--only", "mikro"], "there is no stage `mikro`"),
        (&["--seed", "one"], "--seed is `one`"),
        (&["--out", &file], "--out `"),
        (&["--out", &home], "holds `thesis`"),
        (&["--json", &nowhere], "there is no folder"),
    ] {
        let output = bench(args);
        let (out, err) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {out}");
        assert!(err.contains(named) && out.is_empty(), "{args:?}: {err}{out}");
    }
    assert_eq!(folder.names("").unwrap(), ["file", "home"]);
}

#[test]
fn the_list_names_stages_and_goals() {
    let (out, _) = text(&bench(&["--list"]));
    for name in ["scenarios (at most", "micro.admit.failsafe", "<= 0.25 x failsafe"] {
        assert!(out.contains(name), "{name}: {out}");
    }
}
