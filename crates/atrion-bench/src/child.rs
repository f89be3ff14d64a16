//! Other programs: built by cargo, run with their words in a file, stopped when they hang.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use atrion_state::clock::{Clock as _, MonotonicClock};

use crate::progress::Bar;

/// How a program ends that cannot measure on this machine.
const NOT_HERE: i32 = 4;
/// How often a program that runs is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Of a long log, the end that is shown.
const SHOWN_BYTES: i64 = 2000;

/// Starts a program and waits for it, `limit` at most; everything it says is added to `log`.
///
/// # Errors
/// A sentence if it cannot be started or had to be stopped.
pub(crate) fn run(
    mut command: Command,
    log: &Path,
    limit: Duration,
    bar: &Bar,
) -> Result<ExitStatus, String> {
    let name = command.get_program().display().to_string();
    let (out, err) = (append(log)?, append(log)?);
    let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
    let child = child.map_err(|e| format!("`{name}` cannot be started: {e}"))?;
    wait(child, limit, bar)
        .map_err(|why| format!("`{name}` {why}; the end of what it said:\n{}", tail(log)))
}

fn wait(mut child: Child, limit: Duration, bar: &Bar) -> Result<ExitStatus, String> {
    let clock = MonotonicClock::new();
    let start = clock.now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(e) => return Err(format!("cannot be waited for: {e}")),
        }
        let passed = clock.now().since(start);
        bar.at(passed);
        if passed > limit {
            // It may end by itself in this very moment; then there is nothing to stop.
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("did not end within {} s and was stopped", limit.as_secs()));
        }
        std::thread::sleep(LOOK);
    }
}

/// Refuses a program's ending that is none of the allowed ones, with the end of what it said.
pub(crate) fn must_end_with(
    status: ExitStatus,
    allowed: &[i32],
    what: &str,
    log: &Path,
) -> Result<i32, String> {
    match status.code() {
        Some(code) if allowed.contains(&code) => Ok(code),
        _ => Err(format!("{what} ended with {status}; the end of what it said:\n{}", tail(log))),
    }
}

/// The last line of a program that says it cannot measure here: a server is missing, the system has no
/// such counter. `None` if it did measure.
///
/// # Errors
/// A sentence if it ended in another way.
pub(crate) fn why_not_here(
    status: ExitStatus,
    what: &str,
    log: &Path,
) -> Result<Option<String>, String> {
    let code = must_end_with(status, &[0, NOT_HERE], what, log)?;
    Ok((code == NOT_HERE).then(|| tail(log).lines().next_back().unwrap_or_default().to_owned()))
}

/// Builds with `cargo WORDS` and gives the program called `name` among what was built.
///
/// # Errors
/// A sentence with the command that repeats it.
pub(crate) fn build(
    root: &Path,
    words: &[&str],
    name: &str,
    log: &Path,
) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let again = format!("cargo {}", words.join(" "));
    let mut child = Command::new(cargo)
        .args(words)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(append(log)?)
        .spawn()
        .map_err(|e| format!("`{again}` cannot be started: {e}"))?;
    let mut program = None;
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines) {
        let line = line.map_err(|e| format!("what `{again}` says cannot be read: {e}"))?;
        program = executable(&line, name).or(program);
    }
    let status = child.wait().map_err(|e| format!("`{again}` cannot be waited for: {e}"))?;
    must_end_with(status, &[0], &format!("`{again}`"), log)?;
    program.ok_or_else(|| format!("`{again}` built no program `{name}`"))
}

/// The program called `name`, if this line of cargo's is about it.
fn executable(line: &str, name: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let is_it = message.get("target")?.get("name")?.as_str()? == name;
    if is_it { message.get("executable")?.as_str().map(PathBuf::from) } else { None }
}

fn append(log: &Path) -> Result<File, String> {
    let file = File::options().create(true).append(true).open(log);
    file.map_err(|e| format!("{} cannot be written: {e}", log.display()))
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
        file.seek(SeekFrom::End(-length.min(SHOWN_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_else(|e| format!("({} cannot be read: {e})", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn cargo_is_understood() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"wire","kind":["bench"]},
            "executable":"/a b/wire-1"}"#;
        assert_eq!(executable(line, "wire"), Some(PathBuf::from("/a b/wire-1")));
        assert_eq!(executable(line, "wires"), None);
        let library = line.replace("\"/a b/wire-1\"", "null");
        assert_eq!(executable(&library, "wire"), None);
        assert_eq!(executable("Compiling wire", "wire"), None);
    }

    #[test]
    fn what_does_not_build_is_said_with_the_command_that_repeats_it() {
        let folder = Folder::new("build");
        let log = folder.path().join("log");
        let why = build(folder.path(), &["build", "--package", "gone"], "gone", &log)
            .expect_err("there is nothing to build");
        assert!(why.contains("`cargo build --package gone` ended with"), "{why}");
        assert!(why.contains("Cargo.toml"), "cargo's own words: {why}");
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_hangs_is_stopped_and_quoted() {
        let folder = Folder::new("hang");
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo before; exec sleep 60"]);
        let why = run(command, &log, Duration::from_millis(300), &Bar::hidden())
            .expect_err("it does not end by itself");
        assert!(why.contains("did not end within 0 s and was stopped"), "{why}");
        assert!(why.ends_with("before"), "{why}");
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_cannot_measure_here_says_why() {
        let folder = Folder::new("not-here");
        let ended = |script: &str| {
            let log = folder.path().join("log");
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            let limit = Duration::from_secs(60);
            let status = run(command, &log, limit, &Bar::hidden()).expect("it ran");
            why_not_here(status, "sh", &log)
        };
        let why_not = ended("echo preparing; echo no server >&2; exit 4");
        assert_eq!(why_not, Ok(Some("no server".to_owned())));
        assert_eq!(ended("exit 0"), Ok(None));
        assert!(ended("exit 1").expect_err("it broke").starts_with("sh ended with"));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_dies_is_quoted() {
        let folder = Folder::new("die");
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2; exit 7"]);
        let status = run(command, &log, Duration::from_secs(60), &Bar::hidden()).expect("it ran");
        assert_eq!(must_end_with(status, &[0, 7], "sh", &log), Ok(7));
        let why = must_end_with(status, &[0, 1], "sh", &log).expect_err("7 is not allowed");
        assert!(why.starts_with("sh ended with") && why.ends_with("why"), "{why}");
        let absent = Command::new("a-program-that-nobody-has");
        let why = run(absent, &log, Duration::from_secs(1), &Bar::hidden()).expect_err("absent");
        assert!(why.contains("a-program-that-nobody-has"), "{why}");
    }
}
