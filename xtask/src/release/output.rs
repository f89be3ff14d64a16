//! The folder of results: made beside its place, and moved there whole.

use std::fs;
use std::path::{Path, PathBuf};

use crate::release::Release;
use crate::release::changelog::{self, Source};
use crate::release::table::Outcome;
use crate::release::tools::stdout_of;
use crate::runner::Line;

/// Empties the place where results are gathered. If all of them are to be made anew, those of the
/// last run go as well: what is there is always of the last whole run, and that run was good.
pub(crate) fn begin(release: &Release, whole: bool) -> Result<(), String> {
    for folder in [Some(release.staging.clone()), whole.then(|| kept(release))] {
        if let Some(folder) = folder.filter(|folder| folder.exists()) {
            fs::remove_dir_all(&folder)
                .map_err(|e| format!("{} cannot be removed: {e}", folder.display()))?;
        }
    }
    fs::create_dir_all(&release.staging)
        .map_err(|e| format!("{} cannot be made: {e}", release.staging.display()))
}

/// Writes one file of the results.
pub(crate) fn write(release: &Release, name: &str, text: impl AsRef<[u8]>) -> Result<(), String> {
    let path = release.staging.join(name);
    fs::write(&path, text).map_err(|e| format!("{} cannot be written: {e}", path.display()))
}

/// Moves the results to their place, with the table of what was found.
pub(crate) fn keep(release: &Release, table: &str) -> Result<PathBuf, String> {
    write(release, "report.txt", table)?;
    let folder = kept(release);
    fs::rename(&release.staging, &folder)
        .map_err(|e| format!("{} cannot be made: {e}", folder.display()))?;
    Ok(folder)
}

/// Removes what was gathered.
pub(crate) fn discard(release: &Release) {
    // Nothing reads it, and the next run removes it too.
    let _ = fs::remove_dir_all(&release.staging);
}

fn kept(release: &Release) -> PathBuf {
    release.target.join("release-dry-run")
}

/// The step: the notes of this version, taken from the changelog of the commit.
pub(crate) fn notes(release: &Release) -> Outcome {
    let write_notes = || {
        let text = committed(&release.root, "CHANGELOG.md")?;
        let notes = changelog::notes(&text, release.version)?;
        write(release, "notes.md", &notes.text)?;
        let lines = notes.text.lines().count();
        let version = release.version;
        Ok(match notes.source {
            Source::Version => Outcome::Passed(format!("{lines} lines about {version}")),
            Source::Unreleased => Outcome::ByHand(format!(
                "{lines} lines from `Unreleased`, which becomes `## {version} - YYYY-MM-DD` on the \
                 day"
            )),
        })
    };
    write_notes().into()
}

/// A file as the last commit has it, so that the same commit gives the same results.
pub(crate) fn committed(root: &Path, file: &str) -> Result<String, String> {
    stdout_of(&Line::new("git").args(["show".to_owned(), format!("HEAD:{file}")]), root)
}
