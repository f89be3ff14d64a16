//! Builds the program that measures everything, and runs it.

use std::ffi::OsString;
use std::path::Path;

use crate::demo;
use crate::runner::Line;

/// Runs the program of `atrion-bench` with the user's arguments, in the user's folder, so that
/// `--json FILE` lands where it is meant to. `false` if it reported a failure.
///
/// It is a program of its own, so that the project's commands need not compile the simulator and
/// plots before they start. It builds what it measures itself, stage by stage.
///
/// # Errors
///
/// A sentence if it cannot be built or started.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    let build = Line::cargo("build --release --quiet --package atrion-bench");
    let status =
        build.command(root).status().map_err(|e| format!("`{build}` cannot be started: {e}"))?;
    if !status.success() {
        return Err(format!("the measuring program does not build; again: {build}"));
    }
    let here = std::env::current_dir().map_err(|e| format!("no current folder: {e}"))?;
    let line = demo::release_program(root, "atrion-bench", &[]);
    let status = line
        .command(&here)
        .args(args)
        .env("ATRION_BENCH_OUT", demo::target_dir(root).join("bench-report"))
        .status()
        .map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    Ok(status.success())
}
