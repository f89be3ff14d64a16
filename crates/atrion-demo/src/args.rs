//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::ValueExt as _;

use crate::cluster;
use crate::guard::Guard;

pub(crate) const HELP: &str = "\
A real service under overload, a slow and a dead dependency, without and with Atrion; or, with
--cluster, three services that warn each other over a Redis of their own, which fails.

Usage: cargo xtask demo [OPTIONS]

  --cluster     services that share what they know: a dependency that fails for one of them first,
                an outage, Redis killed, hung, emptied and cut off, and a node that lies
  --peers       the crates of others and Atrion, one after the other before the same service, under
                three and ten times what it can do
  --short       the same in half a minute: every phase shorter, every bound the same
  --seed N      seed of arrivals, tiers and service times (default 7)
  --json FILE   write the figures as JSON
  --svg FILE    write the plot there (default target/demo/demo.svg; no plot with --cluster)
  --help        this text
";

/// What this process is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    Help,
    Show(Options),
    Part(Role),
}

/// The user's choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) cluster: bool,
    pub(crate) peers: bool,
    pub(crate) short: bool,
    pub(crate) seed: u64,
    pub(crate) json: Option<PathBuf>,
    pub(crate) svg: PathBuf,
}

/// A helper process; the conductor starts them, users do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Dependency {
        seed: u64,
    },
    Service {
        seed: u64,
        guard: Guard,
        dependency: u16,
    },
    Generator,
    /// A part of the cluster's demonstration.
    Cluster(cluster::Role),
}

impl Role {
    /// The arguments that start this role.
    pub(crate) fn to_args(self) -> Vec<String> {
        match self {
            Self::Dependency { seed } => vec!["--part=dependency".into(), format!("--seed={seed}")],
            Self::Service { seed, guard, dependency } => vec![
                "--part=service".into(),
                format!("--guard={}", guard.name()),
                format!("--seed={seed}"),
                format!("--dependency={dependency}"),
            ],
            Self::Generator => vec!["--part=generator".into()],
            Self::Cluster(role) => role.to_args(),
        }
    }
}

/// Where the plot goes unless told: `cargo xtask demo` names the workspace's target folder.
fn default_svg() -> PathBuf {
    std::env::var_os("ATRION_DEMO_OUT")
        .map_or_else(|| PathBuf::from("target/demo"), PathBuf::from)
        .join("demo.svg")
}

/// Parses the arguments after the program's name; the error is a sentence for the user.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, String> {
    use lexopt::Arg::{Long, Short};
    let mut parser = lexopt::Parser::from_args(args);
    let mut options = Options {
        cluster: false,
        peers: false,
        short: false,
        seed: 7,
        json: None,
        svg: default_svg(),
    };
    let (mut part, mut guard) = (None, Guard::Nothing);
    let (mut dependency, mut index, mut redis, mut origin) = (0, 0, None, 0);
    let sentence = |e: lexopt::Error| e.to_string();
    while let Some(arg) = parser.next().map_err(sentence)? {
        match arg {
            Short('h') | Long("help") => return Ok(Invocation::Help),
            Long("cluster") => options.cluster = true,
            Long("peers") => options.peers = true,
            Long("guard") => {
                let name = parser.value().map_err(sentence)?;
                guard = name.to_string_lossy().parse()?;
            }
            Long("short") => options.short = true,
            Long("seed") => options.seed = number(&mut parser)?,
            Long("json") => options.json = Some(parser.value().map_err(sentence)?.into()),
            Long("svg") => options.svg = parser.value().map_err(sentence)?.into(),
            Long("part") => part = Some(parser.value().map_err(sentence)?),
            Long("dependency") => dependency = number(&mut parser)?,
            Long("index") => index = number(&mut parser)?,
            Long("redis") => redis = Some(number(&mut parser)?),
            Long("origin") => origin = number(&mut parser)?,
            other => return Err(other.unexpected().to_string()),
        }
    }
    let seed = options.seed;
    let Some(part) = part else {
        return if options.cluster && options.peers {
            Err("--cluster and --peers are two demonstrations; ask for one".to_owned())
        } else {
            Ok(Invocation::Show(options))
        };
    };
    let clustered = |part| Role::Cluster(cluster::Role { part, seed, origin });
    let role = match part.to_str() {
        Some("dependency") => Role::Dependency { seed },
        Some("service") => Role::Service { seed, guard, dependency },
        Some("generator") => Role::Generator,
        Some("node") => clustered(cluster::Part::Node { index, dependency, redis }),
        Some("callee") => clustered(cluster::Part::Callee),
        Some("store") => clustered(cluster::Part::Store),
        Some("load") => clustered(cluster::Part::Load),
        Some("liar") => {
            clustered(cluster::Part::Liar { redis: redis.ok_or("the liar needs --redis")? })
        }
        _ => return Err(format!("there is no part `{}`", part.display())),
    };
    Ok(Invocation::Part(role))
}

fn number<N>(parser: &mut lexopt::Parser) -> Result<N, String>
where
    N: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let value = parser.value().map_err(|e| e.to_string())?;
    value.parse().map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Invocation, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn without_options_it_shows_the_long_form() {
        let Ok(Invocation::Show(options)) = parsed(&[]) else { panic!("must show") };
        assert!(!options.short);
        assert_eq!(options.json, None);
        assert!(options.svg.ends_with("demo.svg"));
    }

    #[test]
    fn options_are_read() {
        let words = ["--short", "--seed=9", "--json", "a.json", "--svg", "b.svg"];
        let expected = Options {
            cluster: false,
            peers: false,
            short: true,
            seed: 9,
            json: Some("a.json".into()),
            svg: "b.svg".into(),
        };
        assert_eq!(parsed(&words), Ok(Invocation::Show(expected)));
        assert_eq!(parsed(&["--short", "-h"]), Ok(Invocation::Help));
    }

    #[test]
    fn every_role_survives_its_own_command_line() {
        let clustered = |part| Role::Cluster(cluster::Role { part, seed: 5, origin: u64::MAX });
        for role in [
            clustered(cluster::Part::Node { index: 2, dependency: 7, redis: Some(9) }),
            clustered(cluster::Part::Node { index: 5, dependency: 7, redis: None }),
            clustered(cluster::Part::Callee),
            clustered(cluster::Part::Store),
            clustered(cluster::Part::Load),
            clustered(cluster::Part::Liar { redis: 9 }),
            Role::Dependency { seed: 3 },
            Role::Service { seed: 4, guard: Guard::ResilienceAimd, dependency: 65_535 },
            Role::Service { seed: 4, guard: Guard::Nothing, dependency: 1 },
            Role::Generator,
        ] {
            let args = role.to_args().into_iter().map(OsString::from);
            assert_eq!(parse(args), Ok(Invocation::Part(role)));
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (words, named) in [
            (&["--sed", "3"][..], "sed"),
            (&["--seed", "three"], "three"),
            (&["--seed"], "seed"),
            (&["--json"], "json"),
            (&["fast"], "fast"),
            (&["--part", "conductor"], "conductor"),
            (&["--part", "liar"], "redis"),
            (&["--part", "service", "--guard", "armour"], "armour"),
            (&["--cluster", "--peers"], "two demonstrations"),
        ] {
            let why = parsed(words).expect_err("must be refused");
            assert!(why.contains(named), "{words:?}: {why}");
        }
    }
}
