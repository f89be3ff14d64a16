//! What a page takes of the machine's memory, as the kernel counts it.

use std::collections::HashMap;
use std::fs;

use crate::Failure;

/// Bytes that a page takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The heap of its scripts, after a collection.
    pub heap: u64,
    /// The process that renders the page: its own memory, and its share of what is shared.
    pub renderer: u64,
}

/// The processes whose command line names `path`.
pub(super) fn processes(path: &str) -> Vec<u32> {
    all().filter(|&process| command_line(process).contains(path)).collect()
}

/// The memory of the page in the browser whose profile is below `path`.
pub(super) fn of_page(path: &str, heap: u64) -> Result<Memory, Failure> {
    let browser = processes(path);
    let parents: HashMap<u32, u32> =
        all().filter_map(|process| Some((process, parent(process)?))).collect();
    let ours = |process: u32| {
        std::iter::successors(Some(process), |at| parents.get(at).copied())
            .any(|at| browser.contains(&at))
    };
    let renderers =
        all().filter(|&process| ours(process) && command_line(process).contains("--type=renderer"));
    // A spare one may be waiting for a next page; the page's is the largest.
    let largest = renderers.filter_map(proportional).max();
    let renderer = largest.ok_or_else(|| Failure::new("no process renders the page"))?;
    Ok(Memory { heap, renderer })
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn command_line(process: u32) -> String {
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

fn proportional(process: u32) -> Option<u64> {
    let sums = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = sums.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
