//! Builds the demonstration in release mode and runs it.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use crate::runner::Line;
use crate::setup;

/// What the demonstration exits with when the machine was too busy for a verdict.
pub(crate) const TOO_BUSY: i32 = 3;

/// The command that builds the demonstration.
pub(crate) fn build() -> Line {
    Line::cargo("build --release --package atrion-demo")
}

/// The demonstration itself, with its arguments.
pub(crate) fn program(root: &Path, args: &[String]) -> Line {
    release_program(root, "atrion-demo", args)
}

/// A program that was built in release mode, with its arguments.
pub(crate) fn release_program(root: &Path, name: &str, args: &[String]) -> Line {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = target_dir(root).join("release").join(name);
    Line::new(&path.display().to_string()).args(args.iter().cloned())
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir(root: &Path) -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// Runs the demonstration with the user's arguments; `false` if it reported a failure.
///
/// # Errors
///
/// A sentence if it cannot be built or started, or if `redis-server` is needed and cannot be had.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    if args.iter().any(|arg| arg == "--cluster") {
        setup::redis(root)?;
    }
    println!("==> building the demonstration");
    // The crates of others are built for who compares them only.
    let peers = args.iter().any(|arg| arg == "--peers");
    let line = if peers { build().args(["--features", "peers"]) } else { build() };
    let status =
        line.command(root).status().map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    if !status.success() {
        return Err(format!("the demonstration does not build; again: {line}"));
    }
    let line = program(root, &[]);
    // In the user's folder, so that a relative `--json FILE` lands where it is meant to.
    let here = std::env::current_dir().map_err(|e| format!("no current folder: {e}"))?;
    let status = line
        .command(&here)
        .args(args)
        .stdin(Stdio::inherit())
        .env("ATRION_DEMO_OUT", target_dir(root).join("demo"))
        .status()
        .map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    Ok(status.success())
}
