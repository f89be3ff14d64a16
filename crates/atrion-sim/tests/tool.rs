//! The program as users run it.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failing test may say so")]

use std::process::{Command, Output};

use atrion_testkit::Folder;

fn sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atrion-sim")).args(args).output().expect("it starts")
}

fn text(output: &Output) -> (String, String) {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (of(&output.stdout), of(&output.stderr))
}

#[test]
fn a_run_prints_a_table_and_writes_whole_files() {
    let folder = Folder::new().unwrap();
    let (csv, svg) = (folder.file("a b.csv"), folder.file("a.svg"));
    let args =
        ["flash", "--policy", "atrion", "static", "--seeds", "1", "--csv", &csv, "--svg", &svg];
    let output = sim(&args);
    let (out, err) = text(&output);
    assert!(output.status.success(), "{err}");
    assert!(
        out.contains("flash") && out.contains("\natrion ") && out.contains("\nstatic "),
        "{out}"
    );
    assert_eq!(folder.names("").unwrap(), ["a b.csv", "a.svg"], "nothing else is left");
    assert!(std::fs::read_to_string(&csv).unwrap().starts_with("scenario,policy,runs,"));
    assert!(std::fs::read_to_string(&svg).unwrap().contains("</svg>"));
    assert_eq!(text(&sim(&args)).0, out, "the same seed, the same table");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let folder = Folder::new().unwrap();
    let (out, _) = text(&sim(&["trickle@sharing", "--print"]));
    let file = folder.file("mine.toml");
    std::fs::write(&file, out).unwrap();
    let (out, err) = text(&sim(&[&file, "--policy", "atrion", "--seeds", "1"]));
    assert!(out.contains("trickle@sharing"), "{out}{err}");
}

#[test]
fn mistakes_are_named_before_anything_runs() {
    let folder = Folder::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.file(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let good = "name='x'\nduration_secs=1\n[service]\nmean_secs=0.01\nworkers=4\n";
    let none = file("none.toml", good);
    let unknown = file("unknown.toml", &format!("{good}wrokers=3\n"));
    let zero = file("zero.toml", &good.replace("workers=4", "workers=0"));
    let rate = file("rate.toml", &format!("{good}[[class]]\nname='a'\nrate_per_sec=inf\n"));
    let cut = file("cut.toml", "name='x");
    for (args, named) in [
        (&["nosuch"][..], "no scenario `nosuch`"),
        (&["steady@nosuch"], "@nosuch"),
        (&["missing.toml"], "missing.toml cannot be read"),
        (&[none.as_str()], "at least one class"),
        (&[unknown.as_str()], "wrokers"),
        (&[zero.as_str()], "service.workers is 0, allowed is 1 to 65536"),
        (&[rate.as_str()], "class[0].rate_per_sec is inf /s"),
        (&[cut.as_str()], "not a scenario"),
        (&["steady", "--csv", "/no/such/folder/a.csv"], "there is no folder"),
        (&["steady", "--policy", "x"], "no policy `x`"),
    ] {
        let output = sim(args);
        let (out, err) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {out}");
        assert!(err.contains(named) && out.is_empty(), "{args:?}: {err}{out}");
    }
}

#[cfg(feature = "cluster")]
#[test]
fn a_cluster_is_compared_with_nodes_that_share_nothing() {
    let folder = Folder::new().unwrap();
    let csv = folder.file("a.csv");
    let (out, err) = text(&sim(&["liar@cluster3", "--seeds", "1", "--csv", &csv]));
    for row in ["3 nodes", "\nalone ", "\ngamma 0 ", "\ngamma 0.3 ", "\ngamma 1 ", "harm bulk"] {
        assert!(out.contains(row), "{row}: {out}{err}");
    }
    assert!(std::fs::read_to_string(&csv).unwrap().starts_with("scenario,sharing,runs,"));
    let (printed, _) = text(&sim(&["emptied", "--print"]));
    let file = folder.file("mine.toml");
    std::fs::write(&file, printed).unwrap();
    let (out, err) = text(&sim(&[&file, "--seeds", "1", "--speed"]));
    assert!(out.contains("gamma 0.3") && out.contains("frames delivered"), "{out}{err}");
    let (list, _) = text(&sim(&["--list"]));
    assert!(list.contains("NAME@clusterN") && list.contains("outage50"), "{list}");
    for (args, named) in [
        (&["liar@cluster0"][..], "nodes is 0, allowed is 1 to 400"),
        (&["nosuch@cluster3"], "no scenario `nosuch@cluster3`; known are warned"),
        (&["liar", "--svg", "a.svg"], "not a cluster"),
        (&["liar", "steady", "--csv", "a.csv"], "not both in one file"),
    ] {
        let output = sim(args);
        let (out, err) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {out}");
        assert!(err.contains(named) && out.is_empty(), "{args:?}: {err}{out}");
    }
}

#[test]
fn the_list_names_everything() {
    let (out, _) = text(&sim(&["--list"]));
    for name in ["step5x", "retries", "@SERVICE", "contention", "gradient2", "cinnamon"] {
        assert!(out.contains(name), "{name}: {out}");
    }
}

#[test]
fn draws_print_a_table_and_write_whole_files() {
    let folder = Folder::new().unwrap();
    let (csv, json) = (folder.file("d.csv"), folder.file("d.json"));
    let args = [
        "draws",
        "--count",
        "3",
        "--requests",
        "2000",
        "--family",
        "held-out",
        "--seed",
        "11",
        "--policy",
        "atrion",
        "aimd",
        "--law",
        "queue_min=4",
        "--csv",
        &csv,
        "--json",
        &json,
    ];
    let (out, err) = text(&sim(&args));
    assert!(out.starts_with("held-out draws 11 to 13,"), "{out}{err}");
    assert!(out.contains("\nqueue_min=4 ") && out.contains("\naimd "), "{out}");
    assert_eq!(folder.names("").unwrap(), ["d.csv", "d.json"], "nothing else is left");
    assert_eq!(std::fs::read_to_string(&csv).unwrap().lines().count(), 1 + 3 * 4);
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(json["study"]["draws"].as_array().unwrap().len(), 3);
    assert_eq!(json["tables"][0]["rows"][2]["policy"], "queue_min=4");
}

#[test]
fn draws_that_cannot_be_made_say_why_and_write_nothing() {
    let folder = Folder::new().unwrap();
    let csv = folder.file("d.csv");
    for (args, named) in [
        (&["--count", "0"][..], "draws is 0, allowed is 1 to"),
        (&["--threads", "0"], "threads is 0"),
        (&["--requests", "NaN"], "most_requests is NaN"),
        (&["--policy", "aimd", "aimd"], "`aimd` was given twice"),
        (&["--csv", "/nowhere/at/all.csv"], "there is no folder"),
    ] {
        let output = sim(&[&["draws", "--csv", &csv], args].concat());
        let (_, err) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(err.contains(named), "{args:?}: {err}");
    }
    assert!(folder.names("").unwrap().is_empty());
}

#[test]
fn an_ablation_and_a_map_are_printed_and_written_whole() {
    let folder = Folder::new().unwrap();
    let (a, m, s) = (folder.file("a.csv"), folder.file("m.json"), folder.file("m.svg"));
    let (out, err) =
        text(&sim(&["ablate", "--quick", "--draws", "2", "--requests", "2000", "--csv", &a]));
    assert!(out.contains("\nburst allowance ") && out.contains("momentum: not part"), "{out}{err}");
    assert!(std::fs::read_to_string(&a).unwrap().lines().count() > 10);
    let args = ["stability", "--policy", "atrion", "--points", "2", "--json", &m, "--svg", &s];
    let (out, err) = text(&sim(&args));
    assert!(out.starts_with("atrion: 8 points over lambda"), "{out}{err}");
    let map: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&m).unwrap()).unwrap();
    assert_eq!(map["cells"].as_array().unwrap().len(), 8);
    assert_eq!(folder.names("").unwrap(), ["a.csv", "m.json", "m.svg"], "nothing else is left");
}

#[test]
fn studies_that_cannot_be_made_say_why() {
    for (args, named) in [
        (&["ablate", "--draws", "0", "--quick"][..], "nor a draw, was given"),
        (&["ablate", "--quick", "--requests", "inf"], "most_requests is inf"),
        (&["stability", "--points", "0"], "points is 0, allowed is 1 to 100"),
        (&["stability", "--points", "2", "--svg", "/nowhere/m.svg"], "there is no folder"),
    ] {
        let output = sim(args);
        let (_, err) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(err.contains(named), "{args:?}: {err}");
    }
}

#[test]
fn hypotheses_come_with_a_verdict_for_each_law() {
    let folder = Folder::new().unwrap();
    let csv = folder.file("h.csv");
    let (out, err) = text(&sim(&["hypotheses", "--seeds", "2", "--csv", &csv]));
    assert_eq!(out.matches("\n  verdict: the claim ").count(), 6, "{out}{err}");
    // Two laws: 4 and 3 policies for H1, 2 and 3 for H2, 2 and 2 for H3, with two seeds each.
    assert_eq!(std::fs::read_to_string(&csv).unwrap().lines().count(), 1 + 16 * 2);
    assert_eq!(folder.names("").unwrap(), ["h.csv"], "nothing else is left");
}

#[test]
fn a_recorded_run_is_replayed_and_whole_files_are_written() {
    let folder = Folder::new().unwrap();
    let trace = folder.file("a.trace");
    let args = ["flash", "--policy", "atrion", "--seeds", "1", "--record", &trace];
    let (out, err) = text(&sim(&args));
    assert!(out.contains("wrote") && out.contains("a.trace"), "{out}{err}");
    let config = folder.file("b.toml");
    std::fs::write(&config, "[law]\nerror_critical = 0.3\n").unwrap();
    let (csv, json, svg) = (folder.file("r.csv"), folder.file("r.json"), folder.file("r.svg"));
    let what = ["replay", &trace, "--config", "default", &config, "--policy", "reference"];
    let into = ["--csv", &csv, "--json", &json, "--svg", &svg];
    let args = [&what[..], &into].concat();
    let output = sim(&args);
    let (out, err) = text(&output);
    assert!(output.status.success(), "{err}");
    assert!(out.contains("100.00") && out.contains("never") && out.contains("fitted: "), "{out}");
    assert_eq!(folder.names("").unwrap(), ["a.trace", "b.toml", "r.csv", "r.json", "r.svg"]);
    let figures: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let route = &figures[0]["routes"][0];
    assert_eq!(route["open_loop"][0]["newly_refused"], 0);
    let runs = route["model"]["runs"].as_array().unwrap();
    let names: Vec<&str> = runs.iter().map(|run| run[0].as_str().unwrap()).collect();
    assert_eq!(names, ["default", &config, "reference"]);
    let good = |run: usize| runs[run][1]["good"].as_u64().unwrap();
    assert!(good(2) < good(0) / 2, "the published model keeps little of a flash crowd: {runs:?}");
    assert!(std::fs::read_to_string(&svg).unwrap().contains("</svg>"));
    assert_eq!(text(&sim(&args)).0, out, "the same trace, the same table");
}

#[test]
fn traces_that_cannot_be_replayed_are_named_and_nothing_is_written() {
    let folder = Folder::new().unwrap();
    let good = folder.file("good.trace");
    let args = ["flash", "--policy", "atrion", "--seeds", "1", "--record", &good];
    assert!(sim(&args).status.success());
    let bytes = std::fs::read(&good).unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.file(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let cut = file("cut.trace", &bytes[..100]);
    let version = file("version.trace", &[&bytes[..8], &[9, 0], &bytes[10..]].concat());
    let mut spoilt = bytes.clone();
    spoilt[1000] ^= 1;
    let spoilt = file("spoilt.trace", &spoilt);
    let empty = file("empty.trace", b"");
    let other = file("other.trace", b"name = 'x'");
    let config = file("bad.toml", b"[law]\nprobe_secs = -1.0\n");
    let csv = folder.file("r.csv");
    let before = folder.names("").unwrap();
    for (args, named) in [
        (&[cut.as_str()][..], "before its first whole block"),
        (&[version.as_str()], "has version 9, this program reads version 1"),
        (&[spoilt.as_str()], "block 0 of the trace, at byte 12, is damaged: its checksum"),
        (&[empty.as_str()], "empty.trace: the trace is empty"),
        (&[other.as_str()], "this is not a trace"),
        (&["missing.trace"], "missing.trace cannot be read"),
        (&[good.as_str(), "--config", &config], "probe_secs is -1"),
        (&[good.as_str(), "--config", "missing.toml"], "missing.toml cannot be read"),
        (&[good.as_str(), "--route", "nosuch"], "no route `nosuch`; it has service"),
        (&[good.as_str(), "--json", "/no/such/folder/a.json"], "there is no folder"),
        (&[good.as_str(), spoilt.as_str()], "spoilt.trace"),
    ] {
        let args = [&["replay"], args, &["--csv", &csv]].concat();
        let output = sim(&args);
        let (out, err) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {out}");
        assert!(err.contains(named) && out.is_empty(), "{args:?}: {err}{out}");
    }
    assert_eq!(folder.names("").unwrap(), before, "nothing is written");
    // A recording that was killed is replayed up to its last whole block.
    let killed = file("killed.trace", &bytes[..bytes.len() - 3]);
    let (out, err) = text(&sim(&["replay", &killed, "--open"]));
    assert!(out.contains("the recording was cut off"), "{out}{err}");
}
