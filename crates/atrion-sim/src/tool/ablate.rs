//! `sim ablate`: what each term of the shipped law contributes.

use std::ffi::OsString;
use std::path::PathBuf;

use atrion_sim::ablate::{Plan, run as ablate};

use crate::common::{Files, bar, family, number, read, say, seeds, whole};

const HELP: &str = "\
Removes each term of the shipped law in turn, by configuration, and shows what becomes worse.

Usage: cargo xtask sim ablate [OPTIONS]

  --quick          40 draws of some 30,000 requests and no fixed scenario, instead of 60 fixed
                   scenarios with three seeds each and 200 draws
  --draws N        draws (see sim draws)
  --family NAME    training (default) or held-out
  --first N        number of the first draw (default 1)
  --seed N         first seed of the fixed scenarios (default 1)
  --seeds K        seeds of each of them (default 3)
  --requests N     runs of draws are squeezed towards this many requests (default 30000)
  --threads N      default: every core; does not change results
  --csv FILE       write the table
  --json FILE      write everything
  --help           this text
";

/// Carries out the command with the arguments after its name.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let Some((plan, files)) = parse(args)? else { return say(HELP) };
    files.check()?;
    let bar = bar(plan.cases() as u64, "comparisons");
    let ablation = ablate(&plan, &|| {
        bar.inc(1);
    });
    bar.finish_and_clear();
    let ablation = ablation.map_err(|e| e.to_string())?;
    say(&ablation.text())?;
    files.write(|| ablation.csv(), &ablation)
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Option<(Plan, Files)>, String> {
    let with_value = [
        "--draws",
        "--family",
        "--first",
        "--seed",
        "--seeds",
        "--requests",
        "--threads",
        "--csv",
        "--json",
    ];
    let Some(given) = read(args, &with_value, &["--quick"])? else { return Ok(None) };
    let quick = given.iter().any(|(name, _)| *name == "--quick");
    let mut plan = if quick { Plan::quick() } else { Plan::full().map_err(|e| e.to_string())? };
    let mut files = Files::default();
    let (mut first_seed, mut count) = (1_u64, plan.seeds.len() as u64);
    for (name, value) in &given {
        match *name {
            "--draws" => plan.draws = whole(name, value)?,
            "--family" => plan.family = family(value)?,
            "--first" => plan.first_draw = whole(name, value)?,
            "--seed" => first_seed = whole(name, value)?,
            "--seeds" => count = whole(name, value)?,
            "--requests" => plan.options.most_requests = number(name, value, "a number")?,
            "--threads" => plan.options.threads = whole(name, value)?,
            "--csv" => files.csv = Some(PathBuf::from(value)),
            "--json" => files.json = Some(PathBuf::from(value)),
            _ => {}
        }
    }
    plan.seeds = seeds(first_seed, count)?;
    Ok(Some((plan, files)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Option<(Plan, Files)>, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn options_change_the_plan() {
        let (plan, _) = parsed(&["--quick", "--draws", "7", "--first", "9"]).unwrap().unwrap();
        assert_eq!((plan.cases(), plan.first_draw), (7, 9));
        let (plan, files) = parsed(&["--seeds", "2", "--csv", "x.csv"]).unwrap().unwrap();
        assert_eq!((plan.cases(), plan.seeds), (12 * 5 * 2 + 200, vec![1, 2]));
        assert_eq!(files.csv, Some("x.csv".into()));
        assert!(parsed(&["-h"]).unwrap().is_none());
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (words, named) in [
            (&["--seeds", "0"][..], "--seeds is 0"),
            (&["--seed", "18446744073709551615"], "too large"),
            (&["--draws", "many"], "--draws is `many`"),
            (&["--family", "all"], "`all`"),
            (&["--slow"], "no option --slow"),
            (&["--quick=yes"], "yes"),
        ] {
            let why = parsed(words).expect_err("must be refused");
            assert!(why.contains(named), "{words:?}: {why}");
        }
    }
}
