//! Feeds parsers with spoilt input. See the README.

mod drive;
mod mutate;
mod targets;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use lexopt::{Arg, Parser, ValueExt};

use crate::drive::Plan;
use crate::targets::{TARGETS, Target};

const HELP: &str = "\
Feeds parsers with spoilt input.

Usage: cargo xtask fuzz [TARGET] [OPTIONS]

  --seconds N   how long each target runs (default 60)
  --seed N      which inputs are drawn (default 1)
  --input HEX   only this input, as a failure printed it
  --list        the names of the targets
  --help        this text

Exit status: 0 nothing found, 1 something found, 2 the command line makes no sense.
";

/// What the command line asks for.
#[derive(Debug)]
enum Command {
    Help,
    List,
    Once(&'static Target, Vec<u8>),
    Run(Vec<&'static Target>, Plan),
}

/// Parses the arguments after the program's name; the error is a sentence for the user.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let sentence = |e: lexopt::Error| e.to_string();
    let mut parser = Parser::from_args(args);
    let (mut target, mut input) = (None, None);
    let mut plan = Plan { seconds: 60, seed: 1 };
    while let Some(arg) = parser.next().map_err(sentence)? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Long("list") => return Ok(Command::List),
            Arg::Long("seconds") => {
                plan.seconds = parser.value().and_then(|v| v.parse()).map_err(sentence)?;
            }
            Arg::Long("seed") => {
                plan.seed = parser.value().and_then(|v| v.parse()).map_err(sentence)?;
            }
            Arg::Long("input") => {
                let hex = parser.value().and_then(ValueExt::string).map_err(sentence)?;
                let bytes = HEX.decode(hex.as_bytes());
                input = Some(bytes.map_err(|e| format!("--input is no hex: {e}"))?);
            }
            Arg::Value(name) if target.is_none() => {
                let found = TARGETS.iter().find(|t| name == *t.name);
                target = Some(found.ok_or_else(|| {
                    let known: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
                    let name = name.display();
                    format!("there is no target `{name}`; the targets are {}", known.join(", "))
                })?);
            }
            other => return Err(sentence(other.unexpected())),
        }
    }
    match (target, input) {
        (Some(target), Some(input)) => Ok(Command::Once(target, input)),
        (None, Some(_)) => Err("`--input` needs a target".to_owned()),
        (Some(target), None) => Ok(Command::Run(vec![target], plan)),
        (None, None) => Ok(Command::Run(TARGETS.iter().collect(), plan)),
    }
}

/// The seeds of a target.
fn corpus(target: &Target) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/fuzz").join(target.name)
}

fn main() -> ExitCode {
    let command = match parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(why) => {
            eprintln!("fuzz: {why}; --help lists the options");
            return ExitCode::from(2);
        }
    };
    let found = match command {
        Command::Help => {
            print!("{HELP}");
            Ok(())
        }
        Command::List => {
            for target in TARGETS {
                println!("{}", target.name);
            }
            Ok(())
        }
        Command::Once(target, input) => {
            println!("{}: {}", target.name, (target.run)(&input));
            Ok(())
        }
        Command::Run(targets, plan) => targets.into_iter().try_for_each(|target| {
            let report = drive::run(target, &corpus(target), plan)?;
            println!("{}: {report}", target.name);
            Ok::<(), String>(())
        }),
    };
    match found {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("fuzz: {why}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_understood() {
        let all = parsed("--seconds 3 --seed 9");
        assert!(
            matches!(all, Ok(Command::Run(t, Plan { seconds: 3, seed: 9 })) if t.len() == TARGETS.len())
        );
        assert!(
            matches!(parsed("license-key"), Ok(Command::Run(t, _)) if t[0].name == "license-key")
        );
        assert!(
            matches!(parsed("license-key --input 00fF"), Ok(Command::Once(_, b)) if b == [0, 255])
        );
        for (line, named) in [
            ("licence", "license-key"),
            ("--input 00", "needs a target"),
            ("license-key --input 0", "no hex"),
            ("license-key --seconds soon", "soon"),
            ("license-key extra", "extra"),
        ] {
            assert!(parsed(line).is_err_and(|why| why.contains(named)), "{line}");
        }
    }

    #[test]
    fn every_seed_of_every_target_is_accepted_by_it() {
        for target in TARGETS {
            let seeds = drive::seeds(&corpus(target)).expect("readable");
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            let outcomes: Vec<&str> = seeds.iter().map(|seed| (target.run)(seed)).collect();
            assert!(outcomes.contains(&"accepted"), "{}: {outcomes:?}", target.name);
        }
    }
}
