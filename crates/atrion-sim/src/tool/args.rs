//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::ValueExt as _;

use atrion_sim::policy::Choice;

use crate::replay;

pub(crate) const HELP: &str = "\
Simulates services under overload and failure, before Atrion and before what others use.

Usage: cargo xtask sim [SCENARIO|FILE.toml].. [OPTIONS]
       cargo xtask sim draws [OPTIONS]       on random services nobody tuned for
       cargo xtask sim ablate [OPTIONS]      what each term of the law contributes
       cargo xtask sim stability [OPTIONS]   the map of stable, oscillating, deadlocked and chaotic
                                             settings
       cargo xtask sim hypotheses [OPTIONS]  H1 to H3 of the stability analysis
       cargo xtask sim replay TRACE.. [OPTIONS]       see replay --help

  SCENARIO         a name from --list, on another service with NAME@SERVICE; several are run one
                   after the other (default: steady step5x tiers gray outage)
                   NAME@clusterN is a cluster of N nodes: alone, and with gamma 0, 0.3 and 1
  FILE.toml        a scenario of your own; --print shows how one looks
  --policy NAME..  who decides, separated by spaces or commas (default: all)
  --seed N         first seed (default 1); the same seed gives the same result everywhere
  --seeds K        runs of each policy, with seeds N to N+K-1 (default 3)
  --csv FILE       write the figures
  --svg FILE       write a plot of the first seed; for one scenario
  --record FILE    write a trace of the engine in the first seed; for one scenario
  --list           the scenarios, services and policies there are
  --print          the scenarios as TOML, instead of running them
  --speed          how long a simulated request takes, instead of the tables
  --help           this text

Goodput is in percent of what was possible, latencies are in deadlines of the callers; `calm harm`
is what was refused while the load fitted and nothing had happened yet, `after` what was refused
when all was over. `oracle` is the best static limit in hindsight.
Of clusters: times until the others know and act are in intervals of sharing, `harm` is what nodes
refused to which nothing happens; --policy does not matter.
";

const MOST_SEEDS: u64 = 10_000;
const DEFAULT_SCENARIOS: [&str; 5] = ["steady", "step5x", "tiers", "gray", "outage"];

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Invocation {
    Help,
    List,
    Print(Vec<String>),
    Speed(Options),
    Run(Options),
    Replay(replay::Options),
    ReplayHelp,
}

/// The user's choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Names or files.
    pub(crate) scenarios: Vec<String>,
    pub(crate) policies: Vec<Choice>,
    pub(crate) seeds: Vec<u64>,
    pub(crate) csv: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) record: Option<PathBuf>,
}

/// Reads the arguments after the program's name; the error is a sentence for the user.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, String> {
    use lexopt::Arg::{Long, Short, Value};
    let mut args = args.into_iter().peekable();
    if args.next_if(|first| first == "replay").is_some() {
        let options = replay::parse(args)?;
        return Ok(options.map_or(Invocation::ReplayHelp, Invocation::Replay));
    }
    let mut parser = lexopt::Parser::from_args(args);
    let (mut scenarios, mut policies) = (Vec::new(), Vec::new());
    let (mut seed, mut count) = (1_u64, 3_u64);
    let (mut csv, mut svg, mut record) = (None, None, None);
    let (mut list, mut print, mut speed) = (false, false, false);
    let text = |e: lexopt::Error| e.to_string();
    while let Some(arg) = parser.next().map_err(text)? {
        match arg {
            Short('h') | Long("help") => return Ok(Invocation::Help),
            Long("list") => list = true,
            Long("print") => print = true,
            Long("speed") => speed = true,
            Long("policy") => {
                for value in parser.values().map_err(text)? {
                    for name in value.to_string_lossy().split(',').filter(|n| !n.is_empty()) {
                        policies.push(Choice::parse(name).map_err(|e| e.to_string())?);
                    }
                }
            }
            Long("seed") => seed = number("--seed", &parser.value().map_err(text)?)?,
            Long("seeds") => count = number("--seeds", &parser.value().map_err(text)?)?,
            Long("csv") => csv = Some(parser.value().map_err(text)?.into()),
            Long("record") => record = Some(parser.value().map_err(text)?.into()),
            Long("svg") => svg = Some(parser.value().map_err(text)?.into()),
            Value(name) => scenarios.push(name.string().map_err(text)?),
            other => return Err(other.unexpected().to_string()),
        }
    }
    if count == 0 || count > MOST_SEEDS {
        return Err(format!("--seeds is {count}, allowed is 1 to {MOST_SEEDS}"));
    }
    let end = seed.checked_add(count).ok_or_else(|| format!("--seed is {seed}, too large"))?;
    if scenarios.is_empty() {
        scenarios = DEFAULT_SCENARIOS.map(str::to_owned).to_vec();
    }
    if svg.is_some() && scenarios.len() != 1 {
        return Err(format!("--svg plots one scenario, {} are to be run", scenarios.len()));
    }
    if record.is_some() && scenarios.len() != 1 {
        return Err(format!("--record records one scenario, {} are to be run", scenarios.len()));
    }
    if policies.is_empty() {
        policies = all_policies()?;
    }
    let options = Options { scenarios, policies, seeds: (seed..end).collect(), csv, svg, record };
    Ok(match (list, print, speed) {
        (true, ..) => Invocation::List,
        (_, true, _) => Invocation::Print(options.scenarios),
        (_, _, true) => Invocation::Speed(options),
        _ => Invocation::Run(options),
    })
}

fn all_policies() -> Result<Vec<Choice>, String> {
    let names = atrion_sim::policy::entries().iter().map(|entry| entry.name);
    names.map(|name| Choice::parse(name).map_err(|e| e.to_string())).collect()
}

fn number(option: &str, value: &OsString) -> Result<u64, String> {
    let shown = value.to_string_lossy().into_owned();
    value.parse().map_err(|_| format!("{option} is `{shown}`, which is not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Invocation, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn policies_come_with_spaces_and_commas() {
        let words = ["tiers", "--policy", "atrion", "sre,bbr", "--seed", "7", "--seeds", "2"];
        let Ok(Invocation::Run(options)) = parsed(&words) else { panic!("a run") };
        let names: Vec<&str> = options.policies.iter().map(Choice::name).collect();
        assert_eq!(names, ["atrion", "sre", "bbr"]);
        assert_eq!((options.scenarios, options.seeds), (vec!["tiers".to_owned()], vec![7, 8]));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (words, named) in [
            (&["--policy", "atrium"][..], "no policy `atrium`; known are atrion"),
            (&["--policy", "static:0"], "static:0"),
            (&["--seeds", "0"], "--seeds is 0, allowed is 1 to"),
            (&["--seeds", "many"], "`many`"),
            (&["--seed", "18446744073709551615"], "too large"),
            (&["--svg", "x.svg"], "plots one scenario"),
            (&["--record", "x.trace"], "records one scenario"),
            (&["replay"], "needs a trace"),
            (&["--fast"], "--fast"),
        ] {
            let why = parsed(words).expect_err("must be refused");
            assert!(why.contains(named), "{words:?}: {why}");
        }
    }
}
