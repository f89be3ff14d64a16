//! Runs steps one after the other, counts what passed, and says how to repeat what failed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::tally::Tally;

/// One command line with the environment it needs, printable as what a user would type.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    program: String,
    args: Vec<String>,
    envs: Vec<(String, String)>,
}

impl Line {
    pub(crate) fn new(program: &str) -> Self {
        Self { program: program.to_owned(), args: Vec::new(), envs: Vec::new() }
    }

    /// A command of the cargo that runs this tool, with its words separated by blanks.
    pub(crate) fn cargo(words: &str) -> Self {
        Self::new("cargo").args(words.split_whitespace())
    }

    pub(crate) fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl Into<String>) -> Self {
        self.envs.push((key.to_owned(), value.into()));
        self
    }

    /// The process to start, in `dir`.
    pub(crate) fn command(&self, dir: &Path) -> Command {
        let program = match self.program.as_str() {
            // `cargo run` names the very binary, so a toolchain chosen by `+name` stays chosen.
            "cargo" => std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            other => other.into(),
        };
        let mut command = Command::new(program);
        command.args(&self.args).current_dir(dir);
        command.envs(self.envs.iter().map(|(k, v)| (k, v)));
        command
    }

    /// Runs it in silence; `false` if it fails, cannot be started, or has not ended after `limit`
    /// and is stopped. For what needs a network that may not be there.
    pub(crate) fn succeeds_within(&self, dir: &Path, limit: Duration) -> bool {
        const LOOK: Duration = Duration::from_millis(100);
        let mut command = self.command(dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return false };
        for _ in 0..limit.as_millis() / LOOK.as_millis() {
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::sleep(LOOK),
                Err(_) => break,
            }
        }
        child.kill().and_then(|()| child.wait()).is_ok_and(|_| false)
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (key, value) in &self.envs {
            write!(f, "{key}={} ", quoted(value))?;
        }
        f.write_str(&self.program)?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// `word` as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A step that did not succeed.
#[derive(Debug)]
struct Failure {
    title: String,
    why: String,
    again: String,
}

/// Collects the outcome of a series of steps.
#[derive(Debug)]
pub(crate) struct Runner {
    root: PathBuf,
    tally: Tally,
    failures: Vec<Failure>,
    times: Vec<(String, Duration)>,
}

impl Runner {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            tally: Tally::default(),
            failures: Vec::new(),
            times: Vec::new(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Runs one command that is one check: it passes when it exits with 0.
    pub(crate) fn check(&mut self, title: &str, line: &Line) -> bool {
        let begun = announce(title, &line.to_string());
        let outcome = line
            .command(&self.root)
            .stdin(Stdio::null())
            .status()
            .map_err(|e| format!("cannot be started: {e}"))
            .and_then(exit_sentence);
        self.note_time(title, begun);
        self.settle(title, &line.to_string(), &outcome)
    }

    /// Runs one check of this tool's own; `again` is the command that repeats it.
    pub(crate) fn own(
        &mut self,
        title: &str,
        again: &str,
        check: impl FnOnce() -> Result<(), String>,
    ) -> bool {
        let begun = announce(title, again);
        let outcome = check();
        self.note_time(title, begun);
        self.settle(title, again, &outcome)
    }

    /// Runs test binaries and counts the tests they report, passing their output on.
    ///
    /// A run that fails without a failed test (it did not compile, a binary was killed) counts
    /// as one failure, so that it cannot go unseen in the totals.
    pub(crate) fn tests(&mut self, title: &str, line: &Line) -> bool {
        let begun = announce(title, &line.to_string());
        let (seen, outcome) = match run_counting(line, &self.root) {
            Ok(done) => done,
            Err(why) => (Tally::default(), Err(why)),
        };
        self.note_time(title, begun);
        self.tally.passed += seen.passed;
        self.tally.failed += seen.failed;
        self.tally.ignored += seen.ignored;
        if let Err(why) = &outcome {
            self.tally.failed += u64::from(seen.failed == 0);
            self.remember(title, &line.to_string(), why);
        }
        outcome.is_ok()
    }

    fn note_time(&mut self, title: &str, begun: Instant) {
        let took = begun.elapsed();
        println!("    took {:.1} s", took.as_secs_f64());
        self.times.push((title.to_owned(), took));
    }

    /// Prints where the time went, the longest step first, those below a second left out.
    pub(crate) fn print_times(&self) {
        let mut long: Vec<_> = self.times.iter().filter(|(_, took)| took.as_secs() > 0).collect();
        long.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        println!();
        for (title, took) in long {
            println!("{:8.1} s  {title}", took.as_secs_f64());
        }
    }

    fn settle(&mut self, title: &str, again: &str, outcome: &Result<(), String>) -> bool {
        match outcome {
            Ok(()) => self.tally.passed += 1,
            Err(why) => {
                self.tally.failed += 1;
                self.remember(title, again, why);
            }
        }
        outcome.is_ok()
    }

    fn remember(&mut self, title: &str, again: &str, why: &str) {
        println!("    FAILED: {why}\n    again: {again}");
        self.failures.push(Failure {
            title: title.to_owned(),
            why: why.to_owned(),
            again: again.to_owned(),
        });
    }

    /// Whether every step so far succeeded.
    pub(crate) fn all_passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// Prints what failed and how to repeat it.
    pub(crate) fn print_failures(&self) {
        for failure in &self.failures {
            println!("\nfailed: {} ({})", failure.title, failure.why);
            println!("  again: {}", failure.again);
        }
    }

    /// What was counted so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a step took is shown, never decided upon")]
fn announce(title: &str, line: &str) -> Instant {
    println!("\n==> {title}\n    {line}");
    Instant::now()
}

fn exit_sentence(status: ExitStatus) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(format!("ended with {status}")) }
}

/// Runs `line`, passing its output on line by line and counting the result lines of test
/// binaries in it.
fn run_counting(line: &Line, root: &Path) -> Result<(Tally, Result<(), String>), String> {
    let mut child = line
        .command(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot be started: {e}"))?;
    let mut seen = Tally::default();
    if let Some(out) = child.stdout.take() {
        for text in BufReader::new(out).split(b'\n') {
            let text = text.map_err(|e| format!("its output cannot be read: {e}"))?;
            let text = String::from_utf8_lossy(&text);
            println!("{text}");
            seen.read_line(&text);
        }
    }
    let status = child.wait().map_err(|e| format!("cannot be waited for: {e}"))?;
    Ok((seen, exit_sentence(status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_prints_as_a_shell_would_read_it() {
        let line = Line::cargo("test -p a").args(["it's"]).env("RUSTFLAGS", "--cfg loom");
        assert_eq!(line.to_string(), r"RUSTFLAGS='--cfg loom' cargo test -p a 'it'\''s'");
    }

    #[test]
    fn what_fails_or_is_not_there_does_not_succeed() {
        let succeeds = |line: &Line| line.succeeds_within(Path::new("."), Duration::from_secs(600));
        assert!(succeeds(&Line::new("rustc").args(["--version"])));
        assert!(!succeeds(&Line::new("rustc").args(["--no-such-flag"])));
        assert!(!succeeds(&Line::new("a-program-that-nobody-has")));
        let long = Line::new("rustc").args(["-"]);
        assert!(!long.succeeds_within(Path::new("."), Duration::ZERO), "stopped at once");
    }

    #[test]
    fn a_check_counts_once_and_a_failure_is_kept() {
        let mut runner = Runner::new(Path::new("."));
        assert!(runner.own("good", "again", || Ok(())));
        assert!(!runner.own("bad", "again", || Err("because".to_owned())));
        assert_eq!((runner.tally().passed, runner.tally().failed), (1, 1));
        assert!(!runner.all_passed());
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure() {
        let mut runner = Runner::new(Path::new("."));
        let absent = Line::new("a-program-that-nobody-has");
        assert!(!runner.check("check", &absent));
        assert!(!runner.tests("tests", &absent));
        assert_eq!(runner.tally().failed, 2);
    }
}
