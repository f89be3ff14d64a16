//! A service as the driver sees it: a process that is started, killed, paused and measured.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, timeout};

use crate::args::NodeOptions;
use crate::memory::Sample;
use crate::wire::Listening;

/// How long a service may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured of one process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) generation: u32,
    /// Resident memory, in KiB.
    pub(crate) memory: Vec<Sample>,
    pub(crate) descriptors: Vec<Sample>,
    pub(crate) threads: Vec<Sample>,
}

/// A running service. It ends when its standard input does, so not even a killed driver leaves one
/// behind.
pub(crate) struct NodeProcess {
    child: Child,
    /// Closed when this goes.
    _input: ChildStdin,
    pub(crate) listening: Listening,
    pub(crate) paused: bool,
    began: Instant,
    pub(crate) measured: Measured,
}

impl NodeProcess {
    /// Starts another process of this program and waits until it listens.
    ///
    /// # Errors
    ///
    /// A sentence if it does not.
    pub(crate) async fn start(
        options: &NodeOptions,
        license: &str,
        log: &Path,
        generation: u32,
    ) -> Result<Self, String> {
        let name = format!("node {}", options.index);
        let failed = |e: std::io::Error| format!("{name} cannot be started: {e}");
        let log = OpenOptions::new().create(true).append(true).open(log).map_err(failed)?;
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(options.to_args())
            .env("ATRION_LICENSE_KEY", license)
            // Memory that was given back is to be seen as such: few arenas of the allocator.
            .env("MALLOC_ARENA_MAX", "2")
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            // Ctrl-C is for the driver, which decides what it means.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{name} has no standard input or output"));
        };
        let mut lines = BufReader::new(output).lines();
        let line = match timeout(PATIENCE, lines.next_line()).await {
            Ok(Ok(Some(line))) => line,
            Ok(_) => return Err(format!("{name} ended at its start")),
            Err(_) => return Err(format!("{name} did not listen within {PATIENCE:?}")),
        };
        let listening =
            serde_json::from_str(&line).map_err(|e| format!("{name} said `{line}`: {e}"))?;
        let measured = Measured { generation, ..Measured::default() };
        let began = Instant::now();
        Ok(Self { child, _input: input, listening, paused: false, began, measured })
    }

    /// Why it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(e) => Some(e.to_string()),
        }
    }

    /// Kills it without a chance to tidy up.
    pub(crate) async fn kill(mut self) -> Measured {
        // It may have ended already; it is gone in any case.
        drop(self.child.kill().await);
        self.measured
    }

    /// Stops all of its threads, or lets them go on.
    ///
    /// # Errors
    ///
    /// A sentence if the signal cannot be sent.
    pub(crate) async fn pause(&mut self, paused: bool) -> Result<(), String> {
        let Some(id) = self.child.id() else { return Ok(()) };
        let signal = if paused { "-STOP" } else { "-CONT" };
        let status = Command::new("kill").args([signal, &id.to_string()]).status().await;
        self.paused = paused;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`kill {signal}` ended with {status}")),
            Err(e) => Err(format!("`kill` cannot be started: {e}")),
        }
    }

    /// Notes its resident memory as the kernel tells it.
    pub(crate) fn measure_memory(&mut self) {
        let value = self.status("VmRSS:");
        self.note(|measured| &mut measured.memory, value);
    }

    /// Notes its descriptors and threads, which depend on the load: to be asked when there is none.
    pub(crate) fn measure_quiet(&mut self) {
        let threads = self.status("Threads:");
        let folder = self.child.id().map(|id| fs::read_dir(format!("/proc/{id}/fd")));
        let descriptors = folder.and_then(Result::ok).map(|entries| entries.count() as f64);
        self.note(|measured| &mut measured.threads, threads);
        self.note(|measured| &mut measured.descriptors, descriptors);
    }

    fn status(&self, name: &str) -> Option<f64> {
        let id = self.child.id()?;
        field(&fs::read_to_string(format!("/proc/{id}/status")).ok()?, name)
    }

    fn note(&mut self, to: fn(&mut Measured) -> &mut Vec<Sample>, value: Option<f64>) {
        let secs = self.began.elapsed().as_secs_f64();
        if let Some(value) = value {
            to(&mut self.measured).push(Sample { secs, value });
        }
    }
}

/// A number of a line of `/proc/…/status`.
fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What a service says on its standard error, read as it grows.
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    read: u64,
    rest: String,
}

impl Log {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: 0, rest: String::new() }
    }

    /// The lines that are new.
    pub(crate) fn news(&mut self) -> Vec<String> {
        let Ok(mut file) = File::open(&self.path) else { return Vec::new() };
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(self.read)).and_then(|_| file.read_to_end(&mut bytes));
        if read.is_err() {
            return Vec::new();
        }
        self.read += bytes.len() as u64;
        self.rest.push_str(&String::from_utf8_lossy(&bytes));
        let Some(end) = self.rest.rfind('\n') else { return Vec::new() };
        let rest = self.rest.split_off(end + 1);
        let lines = std::mem::replace(&mut self.rest, rest);
        lines.lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_kernel_s_is_a_number() {
        let status = "Name:\tatrion-soak\nVmRSS:\t   30516 kB\nThreads:\t9\n";
        assert_eq!(field(status, "VmRSS:"), Some(30_516.0));
        assert_eq!(field(status, "Threads:"), Some(9.0));
        assert_eq!(field(status, "VmSwap:"), None);
    }

    #[test]
    fn a_log_is_read_line_by_line_as_it_grows() {
        let path = std::env::temp_dir().join(format!("atrion-soak-log-{}", std::process::id()));
        let mut log = Log::new(path.clone());
        assert!(log.news().is_empty());
        fs::write(&path, "one\ntw").expect("written");
        assert_eq!(log.news(), ["one"]);
        fs::write(&path, "one\ntwo\nthree\n").expect("written");
        assert_eq!(log.news(), ["two", "three"]);
        assert!(log.news().is_empty());
        fs::remove_file(path).expect("removed");
    }
}
