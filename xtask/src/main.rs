//! The project's commands, run as `cargo xtask COMMAND` from any folder of the workspace.
//!
//! Each command prints what it does, each failing step prints the command that repeats it, and
//! the last line says how it ended. Exit status: 0 for success, 1 for a failure, 2 for a command
//! line or a place that makes no sense.

mod bench;
mod boundary;
mod ci;
mod demo;
mod dependencies;
mod example;
mod feature_sets;
mod fuzz;
mod golden;
mod license;
mod manifest;
mod miri;
mod mutants;
mod no_std;
mod program;
mod release;
mod runner;
mod setup;
mod sim;
mod soak;
mod tally;
mod test;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::runner::Runner;

const HELP: &str = "\
The project's commands.

Usage: cargo xtask COMMAND

  setup            install what is missing to build and test
  demo [OPTIONS]   show a real service under overload and outage, without and with Atrion; with
                   --cluster three of them that share a Redis, and what happens to it
                   (cargo xtask demo --help lists the options)
  example [NAME] [OPTIONS]
                   run one of the programs in examples/, with what it needs; without a name, list
                   them
  sim [SCENARIO|FILE.toml].. [OPTIONS]
                   simulate a service under overload and failure, before Atrion and before what
                   others use (cargo xtask sim --help lists the options, --list the scenarios)
  sim draws | ablate | stability | hypotheses
                   judge the law over many runs (docs/simulation.md)
  bench [OPTIONS]  measure everything in one run, beside what others use, and hold it against the
                   goals; --quick within ten minutes (cargo xtask bench --help lists the options)
  test             run everything: unit, integration, property and documentation tests, feature
                   combinations, no_std, golden vectors, loom, benches once, the demos in short,
                   each fuzz target for some seconds
  fuzz [TARGET] [--seconds N]
                   feed parsers with spoilt input, each target for N seconds (default 60)
  mutants [OPTIONS]
                   change core, cluster and licence code in one place at a time and count how often a
                   test notices; hours (cargo xtask mutants --help lists the options)
  soak [--minutes N] [--seed N]
                   real services under load for N minutes (default 30), with faults and restarts of
                   everything, and what must hold checked (cargo xtask soak --help lists the options)
  license dev [--days N] [--licensee NAME]
                   print a development licence key
  license COMMAND  the vendor's tool; cargo xtask license help lists its commands
  golden DIR       compare the physics with recorded outputs of the published reference model
  release --dry-run | --bless-api
                   check all that a release needs and leave packages, SBOM and notes; nothing is
                   published (docs/release.md)
  ci [LANE]        run one lane or all: fmt, clippy, doc, deny, boundary, fuzz, test, miri
  help             this text
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Setup,
    Demo(Vec<OsString>),
    Example(Vec<OsString>),
    Sim(Vec<OsString>),
    Bench(Vec<OsString>),
    Test,
    Ci(Vec<ci::Lane>),
    Fuzz(Vec<OsString>),
    Mutants(Vec<OsString>),
    Soak(Vec<OsString>),
    License(Vec<OsString>),
    Release(Vec<OsString>),
    Golden(PathBuf),
    Help,
}

/// Parses the arguments after the program's name; the error is a sentence for the user.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = lexopt::Parser::from_args(args);
    let Some(first) = parser.next().map_err(|e| e.to_string())? else {
        return Ok(Command::Help);
    };
    let name = match first {
        lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => return Ok(Command::Help),
        lexopt::Arg::Value(name) => name.to_string_lossy().into_owned(),
        other => return Err(other.unexpected().to_string()),
    };
    let rest: Vec<OsString> = parser.raw_args().map_err(|e| e.to_string())?.collect();
    let at_most = |count: usize| {
        rest.get(count)
            .map_or(Ok(()), |extra| Err(format!("`{name}` does not take `{}`", extra.display())))
    };
    match name.as_str() {
        "setup" => at_most(0).map(|()| Command::Setup),
        "demo" => Ok(Command::Demo(rest)),
        "example" => Ok(Command::Example(rest)),
        "sim" => Ok(Command::Sim(rest)),
        "bench" => Ok(Command::Bench(rest)),
        "fuzz" => Ok(Command::Fuzz(rest)),
        "mutants" => Ok(Command::Mutants(rest)),
        "soak" => Ok(Command::Soak(rest)),
        "license" => Ok(Command::License(rest)),
        "release" => Ok(Command::Release(rest)),
        "test" => at_most(0).map(|()| Command::Test),
        "ci" => {
            at_most(1)?;
            let lanes = match rest.first() {
                None => ci::Lane::ALL.to_vec(),
                Some(lane) => vec![lane.to_string_lossy().parse()?],
            };
            Ok(Command::Ci(lanes))
        }
        "golden" => {
            at_most(1)?;
            let dir = rest.first().ok_or("`golden` needs the folder with the vectors")?;
            Ok(Command::Golden(PathBuf::from(dir)))
        }
        "help" => Ok(Command::Help),
        unknown => Err(format!("there is no command `{unknown}`")),
    }
}

/// The workspace this tool was built in, if it still stands there.
fn workspace_root() -> Result<PathBuf, String> {
    let built_in = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = built_in.parent().map(Path::to_path_buf).unwrap_or_default();
    if root.join("Cargo.toml").is_file() && root.join("crates").is_dir() {
        Ok(root)
    } else {
        Err(format!(
            "the workspace this tool was built in ({}) is gone; go to the repository and run `cargo xtask` there",
            root.display()
        ))
    }
}

fn run() -> Result<ExitCode, String> {
    let command = parse(std::env::args_os().skip(1))
        .map_err(|why| format!("{why}; `cargo xtask help` lists the commands"))?;
    if command == Command::Help {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Golden(dir) = command {
        return Ok(golden::run(&dir));
    }
    let root = workspace_root()?;
    let passed = match command {
        Command::Help | Command::Golden(_) => Ok(true),
        Command::Setup => setup::run(&root).map(|()| true),
        Command::Demo(args) => demo::run(&root, &args),
        Command::Example(args) => example::run(&root, &args),
        Command::Sim(args) => sim::run(&root, &args),
        Command::Bench(args) => bench::run(&root, &args),
        Command::Fuzz(args) => fuzz::run(&root, &args),
        Command::Mutants(args) => mutants::run(&root, &args),
        Command::Soak(args) => soak::run(&root, &args),
        Command::License(args) => license::run(&root, &args),
        Command::Release(args) => release::run(&root, &args),
        Command::Test => test::run(&mut Runner::new(&root)),
        Command::Ci(lanes) => ci::run(&root, &lanes),
    }?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn main() -> ExitCode {
    if let Some(rustdoc) = std::env::var_os(release::WRAPPED_RUSTDOC) {
        return release::as_rustdoc(&rustdoc);
    }
    match run() {
        Ok(code) => code,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Command, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn nothing_and_help_print_the_help() {
        for words in [&[][..], &["help"], &["--help"], &["-h"]] {
            assert_eq!(parsed(words), Ok(Command::Help), "{words:?}");
        }
    }

    #[test]
    fn the_demo_gets_its_options_unread() {
        let expected = Command::Demo(vec!["--short".into(), "--json".into(), "a b".into()]);
        assert_eq!(parsed(&["demo", "--short", "--json", "a b"]), Ok(expected));
    }

    #[test]
    fn the_simulator_gets_its_options_unread() {
        let expected = Command::Sim(vec!["tiers".into(), "--policy".into(), "sre".into()]);
        assert_eq!(parsed(&["sim", "tiers", "--policy", "sre"]), Ok(expected));
    }

    #[test]
    fn the_measuring_gets_its_options_unread() {
        let expected = Command::Bench(vec!["--quick".into(), "--only".into(), "wire".into()]);
        assert_eq!(parsed(&["bench", "--quick", "--only", "wire"]), Ok(expected));
    }

    #[test]
    fn the_others_get_their_options_unread() {
        let expected = Command::Fuzz(vec!["license-key".into(), "--seconds".into(), "5".into()]);
        assert_eq!(parsed(&["fuzz", "license-key", "--seconds", "5"]), Ok(expected));
        let expected = Command::License(vec!["dev".into(), "--days=7".into()]);
        assert_eq!(parsed(&["license", "dev", "--days=7"]), Ok(expected));
        let expected = Command::Release(vec!["--dry-run".into()]);
        assert_eq!(parsed(&["release", "--dry-run"]), Ok(expected));
    }

    #[test]
    fn the_mutants_get_their_options_unread() {
        let expected = Command::Mutants(vec!["--shard".into(), "0/40".into()]);
        assert_eq!(parsed(&["mutants", "--shard", "0/40"]), Ok(expected));
    }

    #[test]
    fn the_soak_gets_its_options_unread() {
        let expected = Command::Soak(vec!["--minutes".into(), "1".into()]);
        assert_eq!(parsed(&["soak", "--minutes", "1"]), Ok(expected));
    }

    #[test]
    fn ci_without_a_lane_runs_them_all() {
        assert_eq!(parsed(&["ci"]), Ok(Command::Ci(ci::Lane::ALL.to_vec())));
        assert_eq!(parsed(&["ci", "deny"]), Ok(Command::Ci(vec![ci::Lane::Deny])));
    }

    #[test]
    fn golden_needs_one_folder() {
        assert_eq!(parsed(&["golden", "a b"]), Ok(Command::Golden("a b".into())));
        assert!(parsed(&["golden"]).is_err_and(|why| why.contains("folder")));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (words, named) in [
            (&["tset"][..], "tset"),
            (&["test", "--fast"], "--fast"),
            (&["ci", "clipy"], "clipy"),
            (&["ci", "fmt", "doc"], "doc"),
            (&["--verbose"], "verbose"),
        ] {
            let why = parsed(words).expect_err("must be refused");
            assert!(why.contains(named), "{words:?}: {why}");
        }
    }
}
