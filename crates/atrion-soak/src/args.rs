//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt as _};

pub(crate) const HELP: &str = "\
Three services with Atrion, a Redis, a PostgreSQL, a dashboard and its viewers, under load, while
everything fails and restarts at random; what must hold is checked all the time.

Usage: cargo xtask soak [OPTIONS]

  --minutes N   how long, 1 to 10080 (default 30)
  --seed N      what happens when; the same seed is the same schedule (default: another each time)
  --out FOLDER  where the report goes (default target/soak-report)
  --schedule    print what would happen when, and end
  --help        this text

Exit status: 0 if everything held, 1 if something did not, 2 if it could not run, 130 if interrupted.
";

/// The longest soak: a week.
const MAX_MINUTES: u32 = 7 * 24 * 60;

/// What this process is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    Help,
    Soak(Options),
    /// One of the services; the driver starts them, users do not.
    Node(NodeOptions),
}

/// The user's choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) minutes: u32,
    pub(crate) seed: Option<u64>,
    pub(crate) out: PathBuf,
    pub(crate) schedule: bool,
}

/// What a service has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeOptions {
    pub(crate) index: usize,
    pub(crate) seed: u64,
    pub(crate) dependency: u16,
    pub(crate) redis: u16,
    pub(crate) postgres: String,
}

impl NodeOptions {
    /// The arguments that start it.
    pub(crate) fn to_args(&self) -> Vec<String> {
        vec![
            format!("--node={}", self.index),
            format!("--seed={}", self.seed),
            format!("--dependency={}", self.dependency),
            format!("--redis={}", self.redis),
            format!("--postgres={}", self.postgres),
        ]
    }
}

/// Parses the arguments after the program's name; the error is a sentence for the user.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, String> {
    let sentence = |e: lexopt::Error| e.to_string();
    let mut parser = Parser::from_args(args);
    let mut options = Options { minutes: 30, seed: None, out: default_out(), schedule: false };
    let mut node = NodeOptions::default();
    let mut is_node = false;
    while let Some(arg) = parser.next().map_err(sentence)? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help),
            Arg::Long("minutes") => {
                options.minutes = parser.value().and_then(|v| v.parse()).map_err(sentence)?;
            }
            Arg::Long("seed") => {
                let seed = parser.value().and_then(|v| v.parse()).map_err(sentence)?;
                options.seed = Some(seed);
                node.seed = seed;
            }
            Arg::Long("out") => options.out = parser.value().map_err(sentence)?.into(),
            Arg::Long("schedule") => options.schedule = true,
            Arg::Long("node") => {
                is_node = true;
                node.index = parser.value().and_then(|v| v.parse()).map_err(sentence)?;
            }
            Arg::Long("dependency") => {
                node.dependency = parser.value().and_then(|v| v.parse()).map_err(sentence)?;
            }
            Arg::Long("redis") => {
                node.redis = parser.value().and_then(|v| v.parse()).map_err(sentence)?;
            }
            Arg::Long("postgres") => {
                node.postgres =
                    parser.value().and_then(lexopt::ValueExt::string).map_err(sentence)?;
            }
            other => return Err(sentence(other.unexpected())),
        }
    }
    if is_node {
        return Ok(Invocation::Node(node));
    }
    if !(1..=MAX_MINUTES).contains(&options.minutes) {
        return Err(format!("--minutes is {}, allowed is 1 to {MAX_MINUTES}", options.minutes));
    }
    Ok(Invocation::Soak(options))
}

/// Where the report goes unless told: `cargo xtask soak` names the workspace's target folder.
fn default_out() -> PathBuf {
    std::env::var_os("ATRION_SOAK_OUT").map_or_else(|| "target/soak-report".into(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_understood() {
        let Ok(Invocation::Soak(options)) = parsed("--minutes 7 --seed 9 --out here") else {
            panic!("a soak")
        };
        assert_eq!((options.minutes, options.seed), (7, Some(9)));
        assert_eq!(options.out, PathBuf::from("here"));
        assert_eq!(parsed("--help"), Ok(Invocation::Help));
        for (line, named) in [
            ("--minutes 0", "1 to 10080"),
            ("--minutes soon", "soon"),
            ("--seed -1", "-1"),
            ("extra", "extra"),
        ] {
            assert!(parsed(line).is_err_and(|why| why.contains(named)), "{line}");
        }
    }

    #[test]
    fn a_node_gets_what_it_is_started_with() {
        let node = NodeOptions {
            index: 2,
            seed: 5,
            dependency: 80,
            redis: 81,
            postgres: "postgres://a@b/c?sslmode=disable".to_owned(),
        };
        let args = node.to_args().into_iter().map(OsString::from);
        assert_eq!(parse(args), Ok(Invocation::Node(node)));
    }
}
