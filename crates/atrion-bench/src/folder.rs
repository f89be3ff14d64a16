//! Where a report goes: whole or not at all, and from one run at a time.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Files that a report consists of, beside its plots.
const FILES: [&str; 3] = ["report.md", "report.csv", "report.json"];
/// The folder in it with what other programs said.
pub(crate) const LOGS: &str = "logs";
const OWNER: &str = "run-by";

/// A folder that is being filled beside the one it will become.
///
/// Until [`publish`](Self::publish) the earlier report stands untouched; whoever is interrupted
/// leaves it so.
#[derive(Debug)]
pub(crate) struct Draft {
    target: PathBuf,
    part: PathBuf,
    /// Whether it stays when the value goes: published, or all there is of a finished run.
    stays: bool,
}

impl Draft {
    /// Begins a report that will be the folder `target`.
    ///
    /// # Errors
    /// A sentence if it cannot be written, holds something else than a report, or is being written
    /// by another run.
    pub(crate) fn begin(target: &Path) -> Result<Self, String> {
        let name = target.file_name().ok_or_else(|| {
            format!("--out is `{}`, which is no name for a folder", target.display())
        })?;
        only_reports(target)?;
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let unwritable =
            |e: std::io::Error| format!("--out `{}` cannot be written: {e}", target.display());
        fs::create_dir_all(&parent).map_err(unwritable)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".part");
        let part = parent.join(hidden);
        match fs::create_dir(&part) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                take_over(target, &part)?;
                fs::create_dir(&part).map_err(unwritable)?;
            }
            Err(e) => return Err(unwritable(e)),
        }
        let draft = Self { target: target.to_path_buf(), part, stays: false };
        fs::write(draft.part.join(OWNER), std::process::id().to_string()).map_err(unwritable)?;
        fs::create_dir(draft.part.join(LOGS)).map_err(unwritable)?;
        Ok(draft)
    }

    /// The file in which a stage keeps what other programs said.
    pub(crate) fn log(&self, stage: &str) -> PathBuf {
        self.part.join(LOGS).join(format!("{stage}.log"))
    }

    /// A folder for files that are no part of the report.
    ///
    /// # Errors
    /// A sentence if it cannot be made.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.part.join("scratch").join(name);
        fs::create_dir_all(&folder)
            .map_err(|e| format!("{} cannot be made: {e}", folder.display()))?;
        Ok(folder)
    }

    /// Adds a file.
    ///
    /// # Errors
    /// A sentence if it cannot be written.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let file = self.part.join(name);
        fs::write(&file, text).map_err(|e| format!("{} cannot be written: {e}", file.display()))
    }

    /// Puts the report in its place; an earlier one there is gone.
    ///
    /// # Errors
    /// A sentence if that cannot be done, with the place where the report is instead.
    pub(crate) fn publish(mut self) -> Result<(), String> {
        self.stays = true;
        self.put_in_place().map_err(|why| {
            format!("{why}; until the next run the report is in {}", self.part.display())
        })
    }

    fn put_in_place(&self) -> Result<(), String> {
        let failed = |e: std::io::Error| {
            format!("the report cannot be put into {}: {e}", self.target.display())
        };
        match fs::remove_dir_all(self.part.join("scratch")) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        only_reports(&self.target)?;
        let old = self.part.with_extension("old");
        let had_one = self.target.exists();
        if had_one {
            // One that a run left behind which ended between the two renamings.
            let _ = fs::remove_dir_all(&old);
            fs::rename(&self.target, &old).map_err(failed)?;
        }
        fs::remove_file(self.part.join(OWNER)).map_err(failed)?;
        fs::rename(&self.part, &self.target).map_err(failed)?;
        if had_one {
            fs::remove_dir_all(&old).map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.stays {
            // Nothing depends on it: the next run clears what an ended one left.
            let _ = fs::remove_dir_all(&self.part);
        }
    }
}

/// Refuses a place that holds anything that no report ever did: it would be deleted.
fn only_reports(target: &Path) -> Result<(), String> {
    let unreadable =
        |e: std::io::Error| format!("--out `{}` cannot be read: {e}", target.display());
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(unreadable(e)),
    };
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let is_ours = FILES.iter().any(|file| name == *file)
            || name == LOGS
            || Path::new(&name).extension().is_some_and(|e| e == "svg");
        if !is_ours {
            return Err(format!(
                "--out `{}` holds `{}`, which is no part of a report; choose another folder",
                target.display(),
                name.display()
            ));
        }
    }
    Ok(())
}

/// Clears what an ended run left; refuses if it has not ended.
fn take_over(target: &Path, part: &Path) -> Result<(), String> {
    let owner = fs::read_to_string(part.join(OWNER)).unwrap_or_default();
    if lives(owner.trim()) {
        return Err(format!(
            "another run (process {}) is writing `{}`; wait for it, name another --out, or, if it \
             has ended, remove {}",
            if owner.is_empty() { "unknown" } else { owner.trim() },
            target.display(),
            part.display()
        ));
    }
    fs::remove_dir_all(part).map_err(|e| format!("{} cannot be removed: {e}", part.display()))
}

/// Whether a run with this process number may still be there. Where that cannot be told, yes.
fn lives(owner: &str) -> bool {
    if !cfg!(target_os = "linux") || owner.parse::<u32>().is_err() {
        return true;
    }
    // The number may have gone to another program since.
    fs::read(format!("/proc/{owner}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).contains("atrion"))
}

/// Refuses at once what could not be written after a long run.
///
/// # Errors
/// A sentence that says why not.
pub(crate) fn check_file(option: &str, file: &Path) -> Result<(), String> {
    let why = if file.file_name().is_none() || file.is_dir() {
        "which is no name for a file".to_owned()
    } else if !folder_of(file).is_dir() {
        format!("and there is no folder `{}`", folder_of(file).display())
    } else {
        return Ok(());
    };
    Err(format!("{option} is `{}`, {why}", file.display()))
}

/// Writes the whole file or nothing: into a neighbour first, which then takes its name.
///
/// # Errors
/// A sentence if that cannot be done.
pub(crate) fn write_whole(file: &Path, text: &str) -> Result<(), String> {
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let part = folder_of(file).join(name);
    let written = fs::File::create(&part)
        .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()))
        .and_then(|()| fs::rename(&part, file));
    written.map_err(|e| {
        let _ = fs::remove_file(&part);
        format!("{} cannot be written: {e}", file.display())
    })
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_report_appears_whole_and_replaces_the_last_one() {
        let folder = Folder::new("publish");
        let target = folder.path().join("a b");
        for text in ["first", "second"] {
            let draft = Draft::begin(&target).expect("free");
            draft.write("report.md", text).expect("written");
            fs::write(draft.scratch("x").expect("made").join("y"), "z").expect("written");
            fs::write(draft.log("micro"), "said").expect("written");
            draft.publish().expect("in its place");
            assert_eq!(names(folder.path()), ["a b"], "nothing else is left");
            assert_eq!(names(&target), ["logs", "report.md"]);
            assert_eq!(fs::read_to_string(target.join("report.md")).expect("there"), text);
        }
    }

    #[test]
    fn whoever_gives_up_leaves_the_last_report_alone() {
        let folder = Folder::new("give-up");
        let target = folder.path().join("out");
        let draft = Draft::begin(&target).expect("free");
        draft.write("report.md", "first").expect("written");
        draft.publish().expect("in its place");
        let draft = Draft::begin(&target).expect("free");
        draft.write("report.md", "half").expect("written");
        drop(draft);
        assert_eq!(names(folder.path()), ["out"]);
        assert_eq!(fs::read_to_string(target.join("report.md")).expect("there"), "first");
    }

    #[test]
    fn a_second_run_in_the_same_folder_is_refused() {
        let folder = Folder::new("second");
        let target = folder.path().join("out");
        let first = Draft::begin(&target).expect("free");
        let why = Draft::begin(&target).expect_err("taken");
        let process = format!("another run (process {})", std::process::id());
        assert!(why.contains(&process) && why.contains(".out.part"), "{why}");
        drop(first);
        Draft::begin(&target).expect("free again");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_killed_run_left_is_cleared() {
        let folder = Folder::new("killed");
        let part = folder.path().join(".out.part");
        fs::create_dir(&part).expect("made");
        fs::write(part.join("report.md"), "half").expect("written");
        // Beyond the largest process number of Linux.
        fs::write(part.join(OWNER), "4194305").expect("written");
        let draft = Draft::begin(&folder.path().join("out")).expect("the other one is dead");
        assert_eq!(names(&draft.part), [LOGS, OWNER]);
    }

    #[test]
    fn a_folder_with_anything_else_in_it_is_not_touched() {
        let folder = Folder::new("foreign");
        let target = folder.path().join("home");
        fs::create_dir(&target).expect("made");
        fs::write(target.join("thesis.md"), "years").expect("written");
        let why = Draft::begin(&target).expect_err("not ours");
        assert!(why.contains("`thesis.md`"), "{why}");
        assert_eq!(names(folder.path()), ["home"]);
        // Nor if it comes while the run goes on.
        fs::remove_file(target.join("thesis.md")).expect("removed");
        let draft = Draft::begin(&target).expect("empty");
        fs::write(target.join("thesis.md"), "years").expect("written");
        draft.write("report.md", "an hour's work").expect("written");
        let why = draft.publish().expect_err("not ours");
        assert!(why.contains("`thesis.md`") && why.contains(".home.part"), "{why}");
        let kept = fs::read_to_string(folder.path().join(".home.part/report.md"));
        assert_eq!(kept.expect("it is there"), "an hour's work");
        assert_eq!(names(&target), ["thesis.md"]);
    }

    #[test]
    fn places_that_cannot_be_written_are_named_at_once() {
        let folder = Folder::new("unwritable");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        for target in [file.clone(), file.join("out"), PathBuf::from("/")] {
            let why = Draft::begin(&target).expect_err("impossible");
            assert!(
                why.contains(&format!("--out `{}`", target.display())) || why.contains("--out is"),
                "{why}"
            );
        }
        for (file, named) in [
            (folder.path().to_path_buf(), "no name for a file"),
            (folder.path().join("no/a.json"), "there is no folder"),
            (PathBuf::from("/"), "no name for a file"),
        ] {
            let why = check_file("--json", &file).expect_err("impossible");
            assert!(why.starts_with("--json is `") && why.contains(named), "{why}");
        }
        check_file("--json", &folder.path().join("a.json")).expect("possible");
    }
}
