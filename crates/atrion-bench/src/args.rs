//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::stage::Stage;

pub(crate) const HELP: &str = "\
Measures everything in one run: what a request costs beside the crates of others, overload, priorities
and outages in simulated time beside the algorithms of others, a real service over HTTP, a cluster with
a Redis of its own, memory and allocations. Each figure stands beside its goal and the best peer.

Usage: cargo xtask bench [OPTIONS]

  --quick        at most 10 minutes on two cores; without it, at most 40. What has to be built is built
                 first and does not count
  --only STAGE   only this stage; again, or with commas, for several
  --list         the stages, what each may take, and all goals
  --seed N       first seed of whatever is random (default 1)
  --out DIR      where the report goes (default target/bench-report)
  --json FILE    write the report as JSON there, too
  --help         this text

A missed goal is no failure. Exit status: 0 if everything was measured, 1 if a stage broke, 2 if the
command line or a place makes no sense.
";

/// Seeds that a run uses at most, so that the last one is a number, too.
const MOST_SEEDS: u64 = 1000;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    Help,
    List,
    Run(Options),
}

/// The user's choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) is_quick: bool,
    pub(crate) stages: Vec<Stage>,
    pub(crate) seed: u64,
    /// `None`: the usual place.
    pub(crate) out: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
}

/// Reads the arguments after the program's name; the error is a sentence for the user.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, String> {
    use lexopt::Arg::{Long, Short};
    let mut parser = lexopt::Parser::from_args(args);
    let mut options =
        Options { is_quick: false, stages: Vec::new(), seed: 1, out: None, json: None };
    let mut list = false;
    let text = |e: lexopt::Error| e.to_string();
    while let Some(arg) = parser.next().map_err(text)? {
        match arg {
            Short('h') | Long("help") => return Ok(Invocation::Help),
            Long("list") => list = true,
            Long("quick") => options.is_quick = true,
            Long("only") => {
                let value = parser.value().map_err(text)?;
                for name in value.to_string_lossy().split(',') {
                    let stage = name.parse().map_err(|why| format!("--only: {why}"))?;
                    if !options.stages.contains(&stage) {
                        options.stages.push(stage);
                    }
                }
            }
            Long("seed") => options.seed = seed(&parser.value().map_err(text)?)?,
            Long("out") => options.out = Some(place("--out", parser.value().map_err(text)?)?),
            Long("json") => options.json = Some(place("--json", parser.value().map_err(text)?)?),
            other => return Err(other.unexpected().to_string()),
        }
    }
    if options.stages.is_empty() {
        options.stages = Stage::ALL.to_vec();
    }
    options.stages.sort_unstable();
    Ok(if list { Invocation::List } else { Invocation::Run(options) })
}

fn seed(value: &OsString) -> Result<u64, String> {
    let shown = value.to_string_lossy();
    let most = u64::MAX - MOST_SEEDS;
    let number: Option<u64> = shown.parse().ok().filter(|n| *n <= most);
    number.ok_or_else(|| format!("--seed is `{shown}`, allowed is a whole number from 0 to {most}"))
}

fn place(option: &str, value: OsString) -> Result<PathBuf, String> {
    if value.is_empty() {
        return Err(format!("{option} is empty, a path is needed"));
    }
    Ok(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Invocation, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn without_options_everything_is_measured_in_full() {
        let expected = Options {
            is_quick: false,
            stages: Stage::ALL.to_vec(),
            seed: 1,
            out: None,
            json: None,
        };
        assert_eq!(parsed(&[]), Ok(Invocation::Run(expected)));
    }

    #[test]
    fn options_are_read_and_stages_run_in_their_own_order() {
        let words = [
            "--quick",
            "--only",
            "memory,micro",
            "--only=memory",
            "--seed",
            "0",
            "--out",
            "a b",
            "--json",
            "c.json",
        ];
        let expected = Options {
            is_quick: true,
            stages: vec![Stage::Micro, Stage::Memory],
            seed: 0,
            out: Some("a b".into()),
            json: Some("c.json".into()),
        };
        assert_eq!(parsed(&words), Ok(Invocation::Run(expected)));
        assert_eq!(parsed(&["--quick", "--list"]), Ok(Invocation::List));
        assert_eq!(parsed(&["--list", "-h"]), Ok(Invocation::Help));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (words, named) in [
            (&["--fast"][..], "--fast"),
            (&["micro"], "micro"),
            (&["--only", "micor"], "there is no stage `micor`; the stages are micro"),
            (&["--only", ""], "there is no stage ``"),
            (&["--only"], "--only"),
            (&["--seed", "-1"], "--seed is `-1`, allowed is a whole number from 0 to"),
            (&["--seed", "1.5"], "--seed is `1.5`"),
            (&["--seed", "18446744073709551615"], "--seed is `18446744073709551615`"),
            (&["--out", ""], "--out is empty"),
            (&["--json="], "--json is empty"),
            (&["--quick=yes"], "--quick"),
        ] {
            let why = parsed(words).expect_err("must be refused");
            assert!(why.contains(named), "{words:?}: {why}");
        }
    }
}
