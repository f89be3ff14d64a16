//! The programs that steps start, and what is made of how they end.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::release::Release;
use crate::release::table::Outcome;
use crate::runner::Line;
use crate::{ci, setup};

/// What a command prints on its standard output.
///
/// # Errors
///
/// A sentence with what it printed on the other one, if it fails or cannot be started.
pub(crate) fn stdout_of(line: &Line, dir: &Path) -> Result<String, String> {
    let output = line
        .command(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{line}` ended with {}: {}", output.status, said.trim()))
    }
}

/// Runs a command whose output is for the user.
///
/// # Errors
///
/// A sentence if it fails or cannot be started.
pub(crate) fn must_pass(line: &Line, dir: &Path) -> Result<(), String> {
    println!("    {line}");
    let status = line.command(dir).stdin(Stdio::null()).status();
    match status.map_err(|e| format!("`{line}` cannot be started: {e}"))? {
        status if status.success() => Ok(()),
        status => Err(format!("`{line}` ended with {status}")),
    }
}

/// A program of crates.io in exactly this version, kept in the target folder and built on first
/// use from its own locked sources.
///
/// # Errors
///
/// A sentence if it cannot be had.
pub(crate) fn cargo_tool(release: &Release, name: &str, version: &str) -> Result<PathBuf, String> {
    let home = release.target.join("tools").join(format!("{name}-{version}"));
    let program = home.join("bin").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        println!("    {name} {version} is missing; building it takes some minutes");
        let line = Line::cargo("install --locked --quiet --version")
            .args([version.to_owned(), "--root".to_owned(), home.display().to_string()])
            .args([name]);
        must_pass(&line, &release.root)
            .map_err(|why| format!("{name} {version} cannot be had, it needs a registry: {why}"))?;
    }
    Ok(program)
}

/// The step: licences, bans and sources, which need no network.
pub(crate) fn licences(release: &Release) -> Outcome {
    if let Err(why) = setup::cargo_deny(&release.root) {
        return Outcome::NotChecked(format!("cargo-deny is missing: {why}"));
    }
    must_pass(&Line::cargo(ci::DENY_RULES), &release.root)
        .map(|()| Outcome::Passed("licences, bans and sources as in deny.toml".to_owned()))
        .into()
}

/// The step: known vulnerabilities, where their database can be reached.
pub(crate) fn advisories(release: &Release) -> Outcome {
    if let Err(why) = setup::cargo_deny(&release.root) {
        return Outcome::NotChecked(format!("cargo-deny is missing: {why}"));
    }
    if !ci::fetch_advisories(&release.root) {
        return Outcome::NotChecked(
            "the database cannot be reached from here; where it can: cargo deny fetch db"
                .to_owned(),
        );
    }
    must_pass(&Line::cargo(ci::DENY_ADVISORIES), &release.root)
        .map(|()| Outcome::Passed("no advisory that deny.toml does not explain".to_owned()))
        .into()
}
