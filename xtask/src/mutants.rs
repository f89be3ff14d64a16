//! Mutation testing: the code is changed in one place at a time, and some test has to notice.
//!
//! What is left out and why stands in `.cargo/mutants.toml`, what the figures mean and which survivors
//! are accepted in `docs/mutants.md`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::demo::target_dir;
use crate::runner::Line;
use crate::setup;

/// Least share of the viable mutants that a test has to notice.
const GOAL: f64 = 0.90;

const HELP: &str = "\
Changes the code of the core, of the cluster's machine and of the licences in one place at a time, and
counts how often a test notices. Hours on a small machine.

Usage: cargo xtask mutants [OPTIONS]

  -p, --package NAME  only this one (may be repeated): atrion-core, atrion-cluster, atrion-license
  --shard K/N         every N-th mutant, beginning with the K-th: a sample of the whole (K from 0)
  --jobs N            mutants tried at once (default 1)
  --list              only list the mutants
";

/// A crate whose mutants are tried, with how its tests are run.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    package: &'static str,
    /// For `cargo mutants`.
    options: &'static [&'static str],
}

/// Only a crate's own tests run, and of those the ones without servers: what they let through, the
/// crate's tests let through. Documentation tests are left out, they take longer than all others.
const TARGETS: &[Target] = &[
    Target {
        package: "atrion-core",
        options: &["--features=serde", "--cargo-arg=--lib", "--cargo-arg=--tests"],
    },
    Target {
        package: "atrion-cluster",
        options: &[
            "--features=simulation",
            "--cargo-arg=--lib",
            "--cargo-arg=--test=simulation",
            "--cargo-arg=--test=wire",
        ],
    },
    Target {
        package: "atrion-license",
        options: &["--features=tool", "--cargo-arg=--lib", "--cargo-arg=--tests"],
    },
];

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    packages: Vec<String>,
    shard: Option<(u32, u32)>,
    jobs: Option<u32>,
    list: bool,
    help: bool,
}

fn parse(args: &[OsString]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        match arg {
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => options.help = true,
            lexopt::Arg::Long("list") => options.list = true,
            lexopt::Arg::Short('p') | lexopt::Arg::Long("package") => {
                let name = text(&mut parser)?;
                if !TARGETS.iter().any(|target| target.package == name) {
                    let known: Vec<&str> = TARGETS.iter().map(|t| t.package).collect();
                    return Err(format!("`{name}` is none of {}", known.join(", ")));
                }
                options.packages.push(name);
            }
            lexopt::Arg::Long("shard") => options.shard = Some(shard(&text(&mut parser)?)?),
            lexopt::Arg::Long("jobs") => {
                let text = text(&mut parser)?;
                let jobs = text.parse().ok().filter(|jobs| (1..=64).contains(jobs));
                options.jobs = Some(jobs.ok_or(format!("--jobs {text} is not within 1 to 64"))?);
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(options)
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    let value = parser.value().map_err(|e| e.to_string())?;
    value.into_string().map_err(|raw| format!("`{}` is no text", raw.display()))
}

fn shard(text: &str) -> Result<(u32, u32), String> {
    let pair = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    let valid = pair.filter(|(k, n)| k < n);
    valid.ok_or(format!("--shard {text} is not K/N with K from 0 to N-1"))
}

/// How the mutants of one crate fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcome {
    caught: u64,
    /// Never ended, which a test run notices as well.
    timeout: u64,
    missed: u64,
    /// Did not compile; no test is needed against those.
    unviable: u64,
}

impl Outcome {
    /// Reads the tool's `outcomes.json`.
    fn read(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let count = |key: &str| value.get(key).and_then(Value::as_u64);
        Some(Self {
            caught: count("caught")?,
            timeout: count("timeout")?,
            missed: count("missed")?,
            unviable: count("unviable")?,
        })
    }

    fn viable(self) -> u64 {
        self.caught + self.timeout + self.missed
    }

    /// Share of the viable mutants that were noticed; all of none.
    fn score(self) -> f64 {
        let viable = self.viable();
        if viable == 0 { 1.0 } else { (self.caught + self.timeout) as f64 / viable as f64 }
    }

    /// Between which bounds the score of all mutants lies if these are a sample of them: Wilson's
    /// interval at 95 %.
    fn interval(self) -> (f64, f64) {
        const Z: f64 = 1.96;
        let n = self.viable() as f64;
        if n == 0.0 {
            return (0.0, 1.0);
        }
        let share = self.score();
        let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let middle = share + Z * Z / (2.0 * n);
        let scale = 1.0 + Z * Z / n;
        ((middle - spread) / scale, (middle + spread) / scale)
    }
}

/// Tries the mutants the user asks for and prints the score of each crate; `false` if one is below the
/// goal.
///
/// # Errors
///
/// A sentence if the command line makes no sense, the tool cannot be had, or the tests fail without
/// any change.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    let options =
        parse(args).map_err(|why| format!("{why}; `cargo xtask mutants --help` lists them"))?;
    if options.help {
        print!("{HELP}");
        return Ok(true);
    }
    let tool = setup::cargo_mutants(root)?;
    let mut results = Vec::new();
    for target in TARGETS {
        let chosen = options.packages.is_empty();
        if chosen || options.packages.iter().any(|name| name == target.package) {
            results.push((target.package, try_all(root, &tool, target, &options)?));
        }
    }
    if options.list {
        return Ok(true);
    }
    println!("\nmutants noticed by tests, of those that compile (goal: {:.0} %)", 100.0 * GOAL);
    let mut good = true;
    for (package, outcome) in results {
        good &= outcome.score() >= GOAL;
        println!("{}", row(package, outcome, options.shard.is_some()));
    }
    println!("survivors: {}", folder(root, "CRATE").join("mutants.out/missed.txt").display());
    Ok(good)
}

fn row(package: &str, outcome: Outcome, is_sample: bool) -> String {
    let (low, high) = outcome.interval();
    let whole = if is_sample {
        format!("; all of them: {:.1} to {:.1} % at 95 %", 100.0 * low, 100.0 * high)
    } else {
        String::new()
    };
    format!(
        "  {package:15} {:5.1} %  ({} of {}; {} never ended; {} do not compile){whole}",
        100.0 * outcome.score(),
        outcome.caught + outcome.timeout,
        outcome.viable(),
        outcome.timeout,
        outcome.unviable
    )
}

/// Where the tool writes what it found in one crate.
fn folder(root: &Path, package: &str) -> PathBuf {
    target_dir(root).join("mutants").join(package)
}

fn try_all(
    root: &Path,
    tool: &Path,
    target: &Target,
    options: &Options,
) -> Result<Outcome, String> {
    let folder = folder(root, target.package);
    std::fs::create_dir_all(&folder)
        .map_err(|e| format!("{} cannot be made: {e}", folder.display()))?;
    let line = line(tool, &folder, target, options);
    println!("\n==> mutants of {}\n    {line}", target.package);
    let status = line
        .command(root)
        // Each try has a target folder of its own in its copy of the tree.
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    let out = folder.join("mutants.out");
    match status.code() {
        _ if options.list && status.success() => Ok(Outcome::default()),
        // All noticed; some missed; some never ended.
        Some(0 | 2 | 3) if !options.list => {
            let path = out.join("outcomes.json");
            let text = std::fs::read_to_string(&path)
                .map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
            Outcome::read(&text).ok_or_else(|| format!("{} has no counts", path.display()))
        }
        Some(4) => Err(format!(
            "the tests of {} fail without any change, so they cannot judge one; see {}",
            target.package,
            out.join("log/baseline.log").display()
        )),
        _ => Err(format!("`{line}` ended with {status}")),
    }
}

fn line(tool: &Path, folder: &Path, target: &Target, options: &Options) -> Line {
    let mut line = Line::new(&tool.display().to_string())
        .args(["mutants", "--profile=mutants", "--package", target.package])
        .args(target.options.iter().copied())
        // A counterexample is enough; how small it gets is for people. None is kept for later runs.
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
        // Of the simulated clusters a few: one mutant takes minutes otherwise.
        .env("ATRION_SEEDS", "5");
    if options.list {
        line = line.args(["--list"]);
    } else {
        line = line.args(["--output".to_owned(), folder.display().to_string()]);
    }
    if let Some((k, n)) = options.shard {
        line = line.args(["--sharding=round-robin".to_owned(), format!("--shard={k}/{n}")]);
    }
    if let Some(jobs) = options.jobs {
        line = line.args([format!("--jobs={jobs}")]);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Options, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let words =
            ["-p", "atrion-core", "--package=atrion-license", "--shard", "3/40", "--jobs=2"];
        let expected = Options {
            packages: vec!["atrion-core".to_owned(), "atrion-license".to_owned()],
            shard: Some((3, 40)),
            jobs: Some(2),
            ..Options::default()
        };
        assert_eq!(parsed(&words), Ok(expected));
        assert_eq!(parsed(&[]), Ok(Options::default()));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (words, named) in [
            (&["--package", "atrion"][..], "atrion-core, atrion-cluster"),
            (&["--shard", "4/4"], "4/4"),
            (&["--shard", "four"], "four"),
            (&["--jobs", "0"], "--jobs 0"),
            (&["--fast"], "--fast"),
            (&["atrion-core"], "atrion-core"),
        ] {
            let why = parsed(words).expect_err("must be refused");
            assert!(why.contains(named), "{words:?}: {why}");
        }
    }

    #[test]
    fn every_target_is_a_crate_of_this_workspace() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let crates = crate::manifest::crates(root).expect("readable");
        for target in TARGETS {
            assert!(crates.iter().any(|c| c.name == target.package), "{target:?}");
        }
    }

    #[test]
    fn the_score_counts_only_what_compiles() {
        let text = r#"{"caught": 85, "timeout": 5, "missed": 10, "unviable": 50, "other": []}"#;
        let outcome = Outcome::read(text).expect("counts");
        assert_eq!(outcome.viable(), 100);
        assert!((outcome.score() - 0.90).abs() < 1e-12);
        assert!((Outcome::default().score() - 1.0).abs() < 1e-12);
        assert_eq!(Outcome::read(r#"{"caught": 85}"#), None);
        assert_eq!(Outcome::read("interrupted"), None);
    }

    #[test]
    fn a_sample_says_how_far_off_it_may_be() {
        let outcome = Outcome { caught: 90, missed: 10, ..Outcome::default() };
        // From a table of Wilson's interval.
        let (low, high) = outcome.interval();
        assert!((low - 0.8256).abs() < 1e-3 && (high - 0.9448).abs() < 1e-3, "{low} to {high}");
        assert_eq!(Outcome::default().interval(), (0.0, 1.0));
        assert!(row("atrion-core", outcome, true).contains("82.6 to 94.5 %"));
    }
}
