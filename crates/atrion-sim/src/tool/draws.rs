//! `sim draws`: policies on services nobody tuned them for.

use std::ffi::OsString;
use std::path::PathBuf;

use atrion_sim::Candidate;
use atrion_sim::draws::{Family, Options, evaluate};
use lexopt::Arg::{Long, Short};

use crate::common::{self, Files, bar, names, number, say, whole};

const HELP: &str = "\
Policies on random services under random scenarios, judged by the best static limit in hindsight.

Usage: cargo xtask sim draws [OPTIONS]

  --family NAME    training, for choosing (default), or held-out, for reporting only: whoever has
                   looked at held-out draws while choosing reports on others, with another --seed
  --count N        draws (default 300)
  --seed N         number of the first draw (default 1); the same draws everywhere
  --policy NAME..  who decides (default: atrion unlimited aimd gradient2 bbr; see sim --list)
  --config FILE    a further engine with this configuration (TOML); may be given several times
  --law A=X[,B=Y]  a further engine with these numbers of its law; may be given several times
  --requests N     runs are squeezed towards this many requests (default 100000); changes results
  --threads N      default: every core; does not change results
  --csv FILE       write a line for each draw and policy
  --json FILE      write everything, with the tables
  --help           this text

Goodput is in percent of the best static limit's. `near best peer`: draws within 2 points of the
best of the other policies that are not Atrion's. `calm harm`: refused before anything happened;
`more harm`: draws with half a point more of it than the best limit.
";

const DEFAULT_POLICIES: [&str; 5] = ["atrion", "unlimited", "aimd", "gradient2", "bbr"];

#[derive(Debug)]
struct Asked {
    family: Family,
    count: u32,
    seed: u64,
    candidates: Vec<Candidate>,
    options: Options,
    files: Files,
}

/// Carries out the command with the arguments after its name.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let Some(asked) = parse(args)? else { return say(HELP) };
    asked.options.check().map_err(|e| e.to_string())?;
    asked.files.check()?;
    let bar = bar(u64::from(asked.count), "draws");
    let study =
        evaluate(asked.family, asked.count, asked.seed, &asked.candidates, &asked.options, &|| {
            bar.inc(1);
        });
    bar.finish_and_clear();
    let study = study.map_err(|e| e.to_string())?;
    say(&study.text())?;
    let tables = study.tables();
    asked.files.write(|| study.csv(), &serde_json::json!({ "study": study, "tables": tables }))
}

/// `None` is a call for help.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Option<Asked>, String> {
    let mut parser = lexopt::Parser::from_args(args);
    let text = |e: lexopt::Error| e.to_string();
    let mut asked = Asked {
        family: Family::Training,
        count: 300,
        seed: 1,
        candidates: Vec::new(),
        options: Options::default(),
        files: Files::default(),
    };
    let mut configs = Vec::new();
    while let Some(arg) = parser.next().map_err(text)? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Long("policy") => {
                for name in names(&mut parser)? {
                    asked.candidates.push(Candidate::parse(&name).map_err(|e| e.to_string())?);
                }
            }
            Long(name) => {
                let name = format!("--{name}");
                let known = [
                    "--family",
                    "--count",
                    "--seed",
                    "--requests",
                    "--threads",
                    "--csv",
                    "--json",
                    "--config",
                    "--law",
                ];
                if !known.contains(&name.as_str()) {
                    return Err(format!("there is no option {name}"));
                }
                let value = parser.value().map_err(text)?;
                option(&mut asked, &mut configs, &name, &value)?;
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    if asked.candidates.is_empty() {
        let all: Result<Vec<_>, _> = DEFAULT_POLICIES.into_iter().map(Candidate::parse).collect();
        asked.candidates = all.map_err(|e| e.to_string())?;
    }
    asked.candidates.extend(configs);
    Ok(Some(asked))
}

fn option(
    asked: &mut Asked,
    configs: &mut Vec<Candidate>,
    name: &str,
    value: &OsString,
) -> Result<(), String> {
    match name {
        "--family" => asked.family = common::family(value)?,
        "--count" => asked.count = whole(name, value)?,
        "--seed" => asked.seed = whole(name, value)?,
        "--requests" => asked.options.most_requests = number(name, value, "a number")?,
        "--threads" => asked.options.threads = whole(name, value)?,
        "--csv" => asked.files.csv = Some(PathBuf::from(value)),
        "--json" => asked.files.json = Some(PathBuf::from(value)),
        "--config" => configs.push(common::configured(&PathBuf::from(value))?),
        _ => configs.push(common::with_numbers(&value.to_string_lossy())?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Option<Asked>, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn engines_with_other_numbers_come_after_the_policies() {
        let words = ["--law", "queue_min=4,start_limit=8", "--policy", "atrion,sre", "bbr"];
        let asked = parsed(&words).expect("valid").expect("no help");
        let labels: Vec<&str> = asked.candidates.iter().map(Candidate::label).collect();
        assert_eq!(labels, ["atrion", "sre", "bbr", "queue_min=4,start_limit=8"]);
        assert!(parsed(&["--help"]).expect("valid").is_none());
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (words, named) in [
            (&["--policy", "atrium"][..], "no policy `atrium`"),
            (&["--policy", "oracle"], "`oracle`"),
            (&["--family", "secret"], "`secret`, known are training, held-out"),
            (&["--count", "-1"], "--count is `-1`"),
            (&["--requests", "many"], "`many`, which is not a number"),
            (&["--law", "queue_min"], "not NAME=VALUE"),
            (&["--law", "queue_mini=4"], "queue_mini"),
            (&["--law", "queue_min=-4"], "law.queue_min is -4"),
            (&["--law", "queue_min=NaN"], "law.queue_min is NaN"),
            (&["--config", "/nowhere/x.toml"], "/nowhere/x.toml cannot be read"),
            (&["--fast"], "no option --fast"),
            (&["fast"], "fast"),
        ] {
            let why = parsed(words).expect_err("must be refused");
            assert!(why.contains(named), "{words:?}: {why}");
        }
    }
}
