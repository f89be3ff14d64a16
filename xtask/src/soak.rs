//! Builds the soak and runs it.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use crate::demo::{release_program, target_dir};
use crate::runner::Line;
use crate::setup;

/// Runs the soak with the user's arguments; `false` if something did not hold.
///
/// # Errors
///
/// A sentence if it cannot be built or started, or if a server is needed and cannot be had.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    let needs_servers =
        !args.iter().any(|arg| arg == "--help" || arg == "-h" || arg == "--schedule");
    if needs_servers {
        setup::redis(root)?;
        setup::postgres(root)?;
    }
    println!("==> building the soak");
    let line = Line::cargo("build --release --package atrion-soak");
    let status =
        line.command(root).status().map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    if !status.success() {
        return Err(format!("the soak does not build; again: {line}"));
    }
    let line = release_program(root, "atrion-soak", &[]);
    // In the user's folder, so that a relative `--out FOLDER` lands where it is meant to.
    let here = std::env::current_dir().map_err(|e| format!("no current folder: {e}"))?;
    let status = line
        .command(&here)
        .args(args)
        .stdin(Stdio::inherit())
        .env("ATRION_SOAK_OUT", target_dir(root).join("soak-report"))
        .status()
        .map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    Ok(status.success())
}
