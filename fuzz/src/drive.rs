//! Runs one target for a while and reports what it found.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use data_encoding::HEXLOWER;

use crate::mutate::Mutator;
use crate::targets::Target;

/// How long one input may take, in seconds.
const HANG_SECS: u32 = 10;
/// How many inputs of each outcome join the pool.
const KEPT_PER_OUTCOME: u64 = 16;

/// How long, and from which seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seconds: u32,
    pub(crate) seed: u64,
}

/// What came of a run in which nothing was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    outcomes: BTreeMap<&'static str, u64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} inputs", self.outcomes.values().sum::<u64>())?;
        let mut separator = ": ";
        for (outcome, count) in &self.outcomes {
            write!(f, "{separator}{outcome} {count}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// The files of a folder, ordered by name.
///
/// # Errors
///
/// A sentence if one cannot be read.
pub(crate) fn seeds(dir: &Path) -> Result<Vec<Vec<u8>>, String> {
    let wrong = |e: std::io::Error| format!("{}: {e}", dir.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(wrong)? {
        paths.push(entry.map_err(wrong)?.path());
    }
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).map_err(wrong)).collect()
}

/// What the worker is at, so that a hang can be reported.
#[derive(Default)]
struct Current {
    /// How many inputs were begun. Apart from the input: whoever only looks whether the worker gets
    /// on must not queue for a lock that the worker takes a million times a second.
    begun: AtomicU64,
    input: Mutex<Vec<u8>>,
}

/// Runs `target` on its seeds and then on spoilt ones until the time is over.
///
/// # Errors
///
/// A sentence with the input in hex if the target panics or hangs, or the seeds cannot be read.
pub(crate) fn run(target: &'static Target, corpus: &Path, plan: Plan) -> Result<Report, String> {
    let pool = seeds(corpus)?;
    let stop = Arc::new(AtomicBool::new(false));
    let current = Arc::new(Current::default());
    let (send, receive) = mpsc::channel();
    let worker = Worker { target, plan, stop: Arc::clone(&stop), current: Arc::clone(&current) };
    thread::spawn(move || send.send(worker.work(pool)));
    let (mut elapsed, mut last, mut stuck) = (0, 0, 0);
    loop {
        match receive.recv_timeout(Duration::from_secs(1)) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => return Err("the worker died".to_owned()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        elapsed += 1;
        stop.store(elapsed >= plan.seconds, Ordering::Relaxed);
        let begun = current.begun.load(Ordering::Relaxed);
        stuck = if begun == last { stuck + 1 } else { 0 };
        last = begun;
        if stuck >= HANG_SECS {
            let input = current.input.lock().unwrap_or_else(PoisonError::into_inner);
            return Err(finding(target, &input, plan, "takes more than ten seconds"));
        }
    }
}

fn finding(target: &Target, input: &[u8], plan: Plan, what: &str) -> String {
    let name = target.name;
    format!(
        "{name} {what} (seed {}) on an input of {} bytes\n  again: cargo xtask fuzz {name} --input {}",
        plan.seed,
        input.len(),
        HEXLOWER.encode(input)
    )
}

struct Worker {
    target: &'static Target,
    plan: Plan,
    stop: Arc<AtomicBool>,
    current: Arc<Current>,
}

impl Worker {
    fn work(&self, mut pool: Vec<Vec<u8>>) -> Result<Report, String> {
        let mut report = Report::default();
        for seed in &pool {
            *report.outcomes.entry(self.attempt(seed)?).or_default() += 1;
        }
        let mut mutator = Mutator::new(self.plan.seed, self.target.words);
        while !self.stop.load(Ordering::Relaxed) {
            let input = mutator.draw(&pool);
            let seen = report.outcomes.entry(self.attempt(&input)?).or_default();
            *seen += 1;
            if *seen <= KEPT_PER_OUTCOME {
                pool.push(input);
            }
        }
        Ok(report)
    }

    fn attempt(&self, input: &[u8]) -> Result<&'static str, String> {
        self.current.begun.fetch_add(1, Ordering::Relaxed);
        input.clone_into(&mut self.current.input.lock().unwrap_or_else(PoisonError::into_inner));
        let run = AssertUnwindSafe(|| (self.target.run)(input));
        catch_unwind(run).map_err(|_| finding(self.target, input, self.plan, "panics"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PICKY: Target = Target {
        name: "picky",
        words: &[b"boom"],
        run: |input| {
            assert!(!input.starts_with(b"boom"), "found");
            "accepted"
        },
    };

    fn folder(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("atrion-fuzz-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        path
    }

    #[test]
    fn a_panic_is_found_and_printed_to_be_repeated() {
        let dir = folder("panic");
        std::fs::write(dir.join("a"), b"seed").expect("written");
        let why = run(&PICKY, &dir, Plan { seconds: 60, seed: 1 }).expect_err("found quickly");
        assert!(why.contains("picky panics (seed 1)"), "{why}");
        assert!(why.contains("--input 626f6f6d"), "{why}");
        std::fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn a_seed_that_fails_is_found_first() {
        let dir = folder("seed");
        std::fs::write(dir.join("a"), b"boom!").expect("written");
        let why = run(&PICKY, &dir, Plan { seconds: 0, seed: 1 }).expect_err("the seed itself");
        assert!(why.ends_with("626f6f6d21"), "{why}");
        std::fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let found = run(&PICKY, Path::new("/no/such/folder"), Plan { seconds: 0, seed: 1 });
        assert!(found.is_err_and(|why| why.contains("/no/such/folder")));
    }
}
