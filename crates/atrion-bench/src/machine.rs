//! What was measured on what.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

/// The machine and the code. What cannot be found out is "unknown".
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    pub(crate) os: String,
    pub(crate) rustc: String,
    /// The commit of the workspace; `+` if there were changes beside it.
    pub(crate) commit: String,
    /// Processes that wanted to run in the minute before, on average; well above 0 means that
    /// others were at work. `None` where the system does not say.
    pub(crate) load_before: Option<f64>,
}

/// Processes that want to run, for each core, from which on times are no longer this program's own.
const BUSY_LOAD: f64 = 0.25;

impl Machine {
    /// A warning, if others were at work when the run began.
    pub(crate) fn warning(&self) -> Option<String> {
        let load = self.load_before.filter(|load| *load > BUSY_LOAD * self.cores as f64)?;
        Some(format!(
            "The load average was {load:.2} on {} cores when the run began: others were at work, and \
             times are longer than on an idle machine. Simulated figures do not depend on it.",
            self.cores
        ))
    }

    /// This machine, and the workspace at `root`.
    pub(crate) fn here(root: &Path) -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            cpu: cpu().unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            os: os(),
            rustc: said(root, "rustc", &["--version"]).unwrap_or_else(unknown),
            commit: commit(root).unwrap_or_else(unknown),
            load_before: load(),
        }
    }
}

fn cpu() -> Option<String> {
    let named = std::fs::read_to_string("/proc/cpuinfo").ok().as_deref().and_then(model);
    named.or_else(|| said(Path::new("."), "sysctl", &["-n", "machdep.cpu.brand_string"]))
}

/// The processor's name in the words of Linux.
fn model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn os() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let text = format!("{} {} {}", std::env::consts::OS, kernel.trim(), std::env::consts::ARCH);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn commit(root: &Path) -> Option<String> {
    let commit = said(root, "git", &["rev-parse", "--short=12", "HEAD"])?;
    // No answer means no changes.
    let changes = said(root, "git", &["status", "--porcelain"]).map_or("", |_| "+");
    Some(format!("{commit}{changes}"))
}

fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok().filter(|load: &f64| load.is_finite())
}

/// What a program answers, if it does.
fn said(dir: &Path, program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_named_as_linux_names_it() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC 7R13: twice\nmodel name\t: other\n";
        assert_eq!(model(text), Some("AMD EPYC 7R13: twice".to_owned()));
        assert_eq!(model("processor\t: 0\n"), None);
        assert_eq!(model("model name\t:\n"), None);
    }

    #[test]
    fn this_machine_has_a_compiler_and_cores() {
        let machine = Machine::here(Path::new(env!("CARGO_MANIFEST_DIR")));
        assert!(machine.cores >= 1);
        assert!(machine.rustc.starts_with("rustc "), "{}", machine.rustc);
        assert!(machine.os.starts_with(std::env::consts::OS), "{}", machine.os);
    }

    #[test]
    fn a_busy_machine_is_warned_of() {
        let with = |load_before| {
            let here = Machine::here(Path::new(env!("CARGO_MANIFEST_DIR")));
            Machine { load_before, cores: 2, ..here }.warning()
        };
        assert_eq!((with(None), with(Some(0.5))), (None, None));
        assert!(with(Some(7.0)).is_some_and(|w| w.contains("was 7.00 on 2 cores")));
    }

    #[test]
    fn a_program_that_is_absent_or_fails_said_nothing() {
        assert_eq!(said(Path::new("."), "a-program-that-nobody-has", &[]), None);
        assert_eq!(said(Path::new("."), "rustc", &["--no-such-option"]), None);
    }
}
