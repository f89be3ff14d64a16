//! The fuzzer: parsers fed with spoilt input.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use crate::runner::{Line, Runner};

/// How long each target runs as part of the tests, in seconds.
const SECONDS: u32 = 7;

/// The command that builds the fuzzer and runs it.
fn line() -> Line {
    Line::cargo("run --quiet --profile fuzz --package atrion-fuzz --")
}

/// Runs the fuzzer with the user's arguments; `false` if it found something.
///
/// # Errors
///
/// A sentence if it cannot be started.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    let line = line();
    let status = line
        .command(root)
        .args(args)
        .status()
        .map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    Ok(status.success())
}

/// Runs each target for some seconds, as a check of its own.
///
/// # Errors
///
/// A sentence if the targets cannot be listed.
pub(crate) fn steps(runner: &mut Runner) -> Result<bool, String> {
    let list = line().args(["--list"]);
    let output = list
        .command(runner.root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("`{list}` cannot be started: {e}"))?;
    let targets = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || targets.trim().is_empty() {
        return Err(format!("`{list}` ended with {} and lists no target", output.status));
    }
    let seconds = SECONDS.to_string();
    let mut good = true;
    for target in targets.lines() {
        let line = line().args([target, "--seconds", seconds.as_str()]);
        good &= runner.check(&format!("fuzz {target}"), &line);
    }
    Ok(good)
}
