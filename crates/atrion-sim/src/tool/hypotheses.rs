//! `sim hypotheses`: H1, H2 and H3, with verdicts.

use std::ffi::OsString;
use std::path::PathBuf;

use atrion_sim::hypotheses::{Plan, csv, run as test_all};

use crate::common::{Files, bar, read, say, seeds, whole};

const HELP: &str = "\
Tests the three hypotheses of the stability analysis on the published model and the shipped law.

Usage: cargo xtask sim hypotheses [OPTIONS]

  --seed N         first seed (default 1)
  --seeds K        runs of each policy (default 30); a verdict needs two at least
  --threads N      default: every core; does not change results
  --csv FILE       write every run
  --json FILE      the same with the verdicts
  --help           this text

H1: momentum, under a tenth of a binary breaker's mode changes. H2: decay, passable again within 60 s
without health checks. H3: scars, under a tenth of a failing route's traffic. Goodput and duty cycle
(share of time in which at least half passes) stand beside, and each law runs again without the term.
";

/// Carries out the command with the arguments after its name.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let Some((plan, files)) = parse(args)? else { return say(HELP) };
    plan.check().map_err(|e| e.to_string())?;
    files.check()?;
    let bar = bar(plan.steps() as u64, "steps");
    let trials = test_all(&plan, &|| {
        bar.inc(1);
    });
    bar.finish_and_clear();
    let trials = trials.map_err(|e| e.to_string())?;
    let texts: Vec<String> = trials.iter().map(atrion_sim::hypotheses::Trial::text).collect();
    say(&texts.join("\n"))?;
    files.write(|| csv(&trials, &plan.seeds), &trials)
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Option<(Plan, Files)>, String> {
    let with_value = ["--seed", "--seeds", "--threads", "--csv", "--json"];
    let Some(given) = read(args, &with_value, &[])? else { return Ok(None) };
    let mut plan = Plan::default();
    let mut files = Files::default();
    let (mut first, mut count) = (1_u64, plan.seeds.len() as u64);
    for (name, value) in &given {
        match *name {
            "--seed" => first = whole(name, value)?,
            "--seeds" => count = whole(name, value)?,
            "--threads" => plan.threads = whole(name, value)?,
            "--csv" => files.csv = Some(PathBuf::from(value)),
            _ => files.json = Some(PathBuf::from(value)),
        }
    }
    plan.seeds = seeds(first, count)?;
    Ok(Some((plan, files)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_and_nonsense_is_refused() {
        let parsed = |words: &[&str]| parse(words.iter().map(OsString::from));
        let (plan, _) = parsed(&["--seed", "5", "--seeds", "2"]).unwrap().unwrap();
        assert_eq!(plan.seeds, [5, 6]);
        for (words, named) in
            [(&["--seeds", "0"][..], "--seeds is 0"), (&["--policy", "x"], "no option --policy")]
        {
            let why = parsed(words).expect_err("must be refused");
            assert!(why.contains(named), "{words:?}: {why}");
        }
    }
}
