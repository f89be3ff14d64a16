//! Every test there is, in one command.

use std::process::{ExitCode, Stdio};

use crate::manifest::{self, Crate};
use crate::runner::{Line, Runner};
use crate::{ci, demo, feature_sets, fuzz, golden, no_std, setup};

/// Runs setup and every test; the last line says how many passed and failed.
///
/// # Errors
///
/// A sentence if a tool is missing and cannot be installed, or the workspace cannot be read.
pub(crate) fn run(runner: &mut Runner) -> Result<bool, String> {
    setup::run(runner.root())?;
    steps(runner)?;
    fuzz::steps(runner)?;
    runner.print_times();
    runner.print_failures();
    let tally = runner.tally();
    if tally.ignored > 0 {
        println!("{} left out by their own mark", tally.ignored);
    }
    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    Ok(runner.all_passed())
}

/// The steps of the test lane; `true` if all passed. The fuzzer has a lane of its own.
///
/// # Errors
///
/// A sentence if the workspace cannot be read.
pub(crate) fn steps(runner: &mut Runner) -> Result<bool, String> {
    let crates = manifest::crates(runner.root())?;
    let before = runner.tally().failed;
    ci::boundary_step(runner);
    runner.tests(
        "all tests, every feature",
        &Line::cargo("test --workspace --all-features --no-fail-fast"),
    );
    page(runner);
    default_features(runner, &crates);
    for (title, line) in crates.iter().flat_map(feature_sets::checks) {
        runner.check(&title, &line);
    }
    no_std::run(runner);
    golden_vectors(runner);
    loom(runner, &crates);
    benches(runner, &crates);
    short_demos(runner);
    Ok(runner.tally().failed == before)
}

/// Studio's page in a real browser: what it shows, hostile names, actions, accessibility. The rest of
/// that suite (lost connections, clusters, ten thousand routes, pictures) takes minutes more.
fn page(runner: &mut Runner) {
    // The whole workspace is named so that nothing is built anew with other features.
    let line = Line::cargo("test --workspace --all-features --test browser --");
    let quick = ["pages::", "hostile::", "actions::", "accessibility::"];
    runner.tests("Studio's page in a browser", &line.args(quick));
}

/// Tests once more the crates whose default leaves features out: a test may only pass with
/// what an optional feature brings.
fn default_features(runner: &mut Runner, crates: &[Crate]) {
    let partial =
        |c: &&Crate| c.is_library() && c.features.iter().any(|f| !c.default_features.contains(f));
    let names: Vec<&str> =
        crates.iter().filter(partial).flat_map(|c| ["--package", c.name.as_str()]).collect();
    if !names.is_empty() {
        let line = Line::cargo("test --no-fail-fast --lib --tests").args(names);
        runner.tests("tests with default features", &line);
    }
}

/// The core against the recorded outputs of the published model.
fn golden_vectors(runner: &mut Runner) {
    let dir = runner.root().join("testdata").join("golden");
    runner.own("golden vectors", "cargo xtask golden testdata/golden", || {
        if golden::run(&dir) == ExitCode::SUCCESS {
            Ok(())
        } else {
            Err("a vector does not match, see above".to_owned())
        }
    });
}

/// The tests that explore interleavings, of the crates that know loom: targets `tests/loom*.rs`
/// and the library's own tests with `loom` in their path.
fn loom(runner: &mut Runner, crates: &[Crate]) {
    let knows_loom = |c: &&Crate| c.dependencies.iter().any(|d| d.name == "loom");
    for krate in crates.iter().filter(knows_loom) {
        let is_loom = |t: &&manifest::Target| t.kind == "test" && t.name.starts_with("loom");
        let mut selections: Vec<Vec<&str>> = vec![vec!["--lib", "loom"]];
        selections
            .extend(krate.targets.iter().filter(is_loom).map(|t| vec!["--test", t.name.as_str()]));
        for selection in selections {
            let line = Line::cargo("test --release --no-fail-fast --package")
                .args([krate.name.as_str()])
                .args(selection.iter().copied())
                .env("RUSTFLAGS", "--cfg loom")
                // Another flag for every crate: in one folder with the rest it would rebuild
                // everything each time.
                .env("CARGO_TARGET_DIR", "target/loom")
                // Preemptions explored per execution: loom's own advice is two or three, which
                // finds most bugs in a fraction of the time.
                .env("LOOM_MAX_PREEMPTIONS", "3");
            runner.tests(&format!("{}: interleavings", krate.name), &line);
        }
    }
}

/// Every benchmark's body runs once, so that none rots; with all features, as some need theirs.
fn benches(runner: &mut Runner, crates: &[Crate]) {
    for krate in crates {
        if krate.targets.iter().any(|t| t.kind == "bench") {
            let line =
                Line::cargo("test --benches --all-features --package").args([krate.name.as_str()]);
            runner.check(&format!("{}: every benchmark once", krate.name), &line);
        }
    }
}

/// The demonstrations with their own verdicts, in seconds instead of a minute and a half.
fn short_demos(runner: &mut Runner) {
    if runner.check("build of the demonstration", &demo::build()) {
        short_demo(runner, "the demonstration in short", &["--short"]);
        short_demo(runner, "the cluster's demonstration in short", &["--cluster", "--short"]);
    }
}

/// A verdict is never tried twice. Only when the demonstration itself says that the machine was
/// too busy to measure anything, so that there was no verdict, it is asked once more.
fn short_demo(runner: &mut Runner, title: &str, args: &[&str]) {
    let root = runner.root().to_path_buf();
    let again = format!("cargo xtask demo {}", args.join(" "));
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let line = demo::program(&root, &args);
    runner.own(title, &again, || {
        let once = || {
            let status = line.command(&root).stdin(Stdio::null()).status();
            status.map_err(|e| format!("cannot be started: {e}"))
        };
        let mut status = once()?;
        if status.code() == Some(demo::TOO_BUSY) {
            println!("    no verdict, the machine was too busy; once more");
            status = once()?;
        }
        if status.success() { Ok(()) } else { Err(format!("ended with {status}")) }
    });
}
