//! The tool that changes the code to see whether a test notices. It is built from crates.io, from its own
//! locked sources, and kept in the target folder: it touches nothing else.

use std::path::{Path, PathBuf};

use super::{is_version, must_run};
use crate::demo::target_dir;
use crate::runner::Line;

/// The version whose list of mutants the figures in `docs/mutants.md` are about.
const VERSION: &str = "27.1.0";

/// Installs the pinned version unless it is there, and tells where.
///
/// # Errors
///
/// A sentence that says how to install it by hand.
pub(super) fn install(root: &Path) -> Result<PathBuf, String> {
    let home = target_dir(root).join("tools").join("cargo-mutants");
    let program = home.join("bin").join(format!("cargo-mutants{}", std::env::consts::EXE_SUFFIX));
    let is_there = || is_version(&program, &["mutants", "--version"], VERSION);
    if is_there() {
        return Ok(program);
    }
    println!("    cargo-mutants {VERSION} is missing; building it takes some minutes");
    let line = Line::cargo("install --locked --force cargo-mutants --version")
        .args([format!("={VERSION}"), "--root".to_owned(), home.display().to_string()])
        // Its own sources bring no settings of ours, and nothing of ours is built for it.
        .env("CARGO_TARGET_DIR", home.join("build").display().to_string());
    must_run(root, &line).map_err(|why| {
        format!(
            "{why}. It is fetched from crates.io: with a network, run this command again; without \
             one, build version {VERSION} elsewhere and copy it to {}",
            program.display()
        )
    })?;
    if is_there() {
        Ok(program)
    } else {
        Err(format!(
            "{} was installed and is not version {VERSION}; remove {} and run this again",
            program.display(),
            home.display()
        ))
    }
}
