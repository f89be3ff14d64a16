//! One run at a time: a file that holds the number of the process that runs.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Held while a run goes on; the file goes with it.
#[derive(Debug)]
pub(crate) struct Lock(PathBuf);

impl Drop for Lock {
    fn drop(&mut self) {
        // What is left behind is taken over by the next run.
        let _ = fs::remove_file(&self.0);
    }
}

/// Takes the lock of the target folder. One that a dead process left is taken over.
///
/// # Errors
///
/// A sentence if another run goes on, or may.
pub(crate) fn take(target: &Path) -> Result<Lock, String> {
    fs::create_dir_all(target).map_err(|e| format!("{} cannot be made: {e}", target.display()))?;
    let path = target.join("release.lock");
    if create(&path)? {
        return Ok(Lock(path));
    }
    let holder = fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
    if lives(&holder) != Some(false) {
        return Err(format!(
            "another `cargo xtask release` is running (process {holder}); wait for it, or stop it. \
             If there is none, remove {}",
            path.display()
        ));
    }
    fs::remove_file(&path).map_err(|e| format!("{} cannot be removed: {e}", path.display()))?;
    if create(&path)? {
        return Ok(Lock(path));
    }
    Err("another `cargo xtask release` has just begun; wait for it".to_owned())
}

/// `false` if the file is there already.
fn create(path: &Path) -> Result<bool, String> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            let written = write!(file, "{}", std::process::id());
            written.map(|()| true).map_err(|e| format!("{} cannot be written: {e}", path.display()))
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(format!("{} cannot be made: {e}", path.display())),
    }
}

/// Whether a process with this number lives, if that can be known.
fn lives(id: &str) -> Option<bool> {
    let number = id.parse::<u32>().ok()?;
    let quiet = |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()
    };
    if !cfg!(unix) {
        return None;
    }
    // Signal 0 is sent to nobody. It is refused for processes of others, which live.
    let status = quiet(Command::new("sh").args(["-c", &format!("kill -0 {number}")]))?;
    if status.success() {
        return Some(true);
    }
    Some(quiet(Command::new("ps").args(["-p", &number.to_string()]))?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("atrion-lock-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_second_run_is_told_of_the_first_and_a_third_may_run() {
        let target = folder("two");
        let first = take(&target).expect("free");
        let why = take(&target).expect_err("held");
        assert!(why.contains(&std::process::id().to_string()), "{why}");
        drop(first);
        drop(take(&target).expect("free again"));
        fs::remove_dir_all(&target).expect("ours");
    }

    #[test]
    #[cfg(unix)]
    fn what_a_dead_process_left_is_taken_over() {
        let target = folder("dead");
        fs::create_dir_all(&target).expect("a folder");
        let mut child = Command::new("true").spawn().expect("a process");
        let id = child.id();
        child.wait().expect("it ends");
        fs::write(target.join("release.lock"), id.to_string()).expect("written");
        drop(take(&target).expect("its holder is gone"));
        fs::remove_dir_all(&target).expect("ours");
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_over() {
        let target = folder("odd");
        fs::create_dir_all(&target).expect("a folder");
        fs::write(target.join("release.lock"), "nobody").expect("written");
        let why = take(&target).expect_err("who holds it cannot be known");
        assert!(why.contains("release.lock"), "{why}");
        fs::remove_dir_all(&target).expect("ours");
    }
}
