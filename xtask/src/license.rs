//! Licence keys: development keys for anybody, and the vendor's tool.

use std::ffi::OsString;
use std::path::Path;

use crate::runner::Line;

/// Builds the tool of `atrion-license` and runs it with `args`, in the user's folder.
///
/// It is a program of its own, so that the project's commands need not compile cryptography
/// before they start. Nothing but the tool's own answer goes to the standard output.
///
/// # Errors
///
/// A sentence if it cannot be started.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    let here = std::env::current_dir().map_err(|e| format!("no current folder: {e}"))?;
    let line = Line::cargo("run --quiet --package atrion-license --features tool --manifest-path")
        .args([root.join("Cargo.toml").display().to_string(), "--".to_owned()]);
    let args = if args.is_empty() { &["help".into()] } else { args };
    let status = line
        .command(&here)
        .args(args)
        .status()
        .map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    Ok(status.success())
}
