//! Processes that end with their owner, and ports that are free.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Failure;
use crate::wait::wait_for;

/// How often another port is tried.
const TRIES: usize = 5;

/// A folder of its own that is removed with its owner.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one among the temporary files.
    ///
    /// # Errors
    /// [`Failure`] if the operating system refuses.
    pub fn new() -> Result<Self, Failure> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Short: the path of a socket has room for about a hundred bytes.
        let name = format!("atrion-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file or folder in it, as an argument of a program.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// What lies in it, or in a folder in it, in order.
    ///
    /// # Errors
    /// [`Failure`] if there is no such folder.
    pub fn names(&self, folder: &str) -> Result<Vec<String>, Failure> {
        let entries = fs::read_dir(self.0.join(folder))?.collect::<Result<Vec<_>, _>>()?;
        let mut names: Vec<String> =
            entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// Where a server's own words go.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in the folder for temporary files anyway.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that is killed with its owner.
pub(crate) struct Process(Child);

impl Process {
    /// Starts `redis-server` with a configuration file; what it says goes to `log`. The variable
    /// `ATRION_REDIS_SERVER` names another program: another version, or Valkey.
    pub(crate) fn redis(config: &Path, extra: &[&str], log: &Path) -> Result<Self, Failure> {
        let program = std::env::var_os("ATRION_REDIS_SERVER");
        Self::start(&program.unwrap_or_else(|| "redis-server".into()), config, extra, log)
    }

    fn start(program: &OsStr, config: &Path, extra: &[&str], log: &Path) -> Result<Self, Failure> {
        let mut line = Command::new(program);
        line.arg(config).args(extra);
        Self::spawn(line, &program.display().to_string(), log)
    }

    /// Starts what `line` says; what it says goes to `log`.
    pub(crate) fn spawn(mut line: Command, program: &str, log: &Path) -> Result<Self, Failure> {
        let output = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let child = line.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn();
        child.map(Self).map_err(|error| {
            Failure::new(if error.kind() == std::io::ErrorKind::NotFound {
                format!("`{program}` is not installed: run `cargo xtask setup`")
            } else {
                format!("`{program}` cannot be started: {error}")
            })
        })
    }

    /// Waits until `is_ready` says so; the error holds the log of one that ends instead.
    pub(crate) fn when_ready(
        mut self,
        what: &str,
        log: &Path,
        mut is_ready: impl FnMut() -> bool,
    ) -> Result<Self, Failure> {
        wait_for(&format!("starting {what}"), || {
            if self.has_ended() {
                let log = fs::read_to_string(log).unwrap_or_default();
                return Err(Failure::new(format!("{what} ended at once:\n{log}")));
            }
            Ok(is_ready().then_some(()))
        })?;
        Ok(self)
    }

    /// Stops it without ending it, and returns when it is so.
    pub(crate) fn stop(&self) -> Result<(), Failure> {
        // The children first once more afterwards: one may have been born in between.
        for _ in 0..2 {
            self.signal("STOP")?;
            self.signal_children("STOP")?;
        }
        wait_for("stopping a server", || Ok(self.is_stopped().then_some(())))
    }

    /// Lets it go on after [`stop`](Self::stop).
    pub(crate) fn cont(&self) -> Result<(), Failure> {
        self.signal_children("CONT")?;
        self.signal("CONT")
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Sends a signal by name, through the program `kill`: that needs no `unsafe`.
    pub(crate) fn signal(&self, name: &str) -> Result<(), Failure> {
        let process = self.0.id().to_string();
        match Command::new("kill").arg(format!("-{name}")).arg(process).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new(format!("`kill -{name}` ended with {status}"))),
            Err(error) => Err(Failure::new(format!("`kill` cannot be started: {error}"))),
        }
    }

    /// The processes that it has started and that are there.
    pub(crate) fn children(&self) -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id()));
        let lists = tasks.into_iter().flatten().flatten().map(|task| task.path().join("children"));
        let ids = lists.flat_map(|list| {
            let list = fs::read_to_string(list).unwrap_or_default();
            list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()
        });
        ids.collect()
    }

    /// Sends a signal to all of them; one that has ended meanwhile needs none.
    pub(crate) fn signal_children(&self, name: &str) -> Result<(), Failure> {
        for child in self.children() {
            let status = Command::new("kill")
                .arg(format!("-{name}"))
                .arg(child.to_string())
                .stderr(Stdio::null())
                .status();
            status.map_err(|e| Failure::new(format!("`kill` cannot be started: {e}")))?;
        }
        Ok(())
    }

    /// Whether all of its threads are stopped, as the kernel says. A signal to stop takes effect
    /// some time after it was sent.
    pub(crate) fn is_stopped(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id()));
        let Ok(tasks) = tasks else { return true };
        tasks.flatten().all(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a process runs. One that has ended and that nobody has asked for its end does not.
pub(crate) fn is_alive(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// A port that nobody listens on, nor on the one 10,000 above it, which a node of a Redis Cluster
/// takes for itself. Somebody else may take it before it is used; then a server does not start and
/// another port is tried.
pub(crate) fn free_port() -> Result<u16, Failure> {
    for _ in 0..100 {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let bus = port.checked_add(10_000);
        if bus.is_some_and(|bus| TcpListener::bind(("127.0.0.1", bus)).is_ok()) {
            return Ok(port);
        }
    }
    Err(Failure::new("no free port was found"))
}

/// Starts something on a free port. What does not come up is tried on another: somebody may have
/// taken the port in the meantime.
pub(crate) fn on_free_port<T>(
    mut start: impl FnMut(u16) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut outcome = start(free_port()?);
    for _ in 1..TRIES {
        if outcome.is_ok() {
            break;
        }
        outcome = start(free_port()?);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_server_is_said_with_its_remedy() {
        let folder = Folder::new().unwrap();
        let (config, log) = (folder.path().join("c"), folder.path().join("l"));
        let program = OsStr::new("a-server-that-nobody-has");
        let why = Process::start(program, &config, &[], &log).err().expect("missing").to_string();
        assert!(why.contains("run `cargo xtask setup`"), "{why}");
        let path = folder.path().to_path_buf();
        drop(folder);
        assert!(!path.exists());
    }
}
