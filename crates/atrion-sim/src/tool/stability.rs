//! `sim stability`: the map of stable, oscillating, deadlocked and chaotic settings.

use std::ffi::OsString;
use std::path::PathBuf;

use atrion_sim::stability::{Plan, Subject, sweep};

use crate::common::{Files, bar, read, say, whole};
use crate::file;

const HELP: &str = "\
Sweeps three numbers of a law and classifies every point: stable, oscillating, deadlock, chaotic.

Usage: cargo xtask sim stability [OPTIONS]

  --policy NAME    reference, the published model: decay, scar factor, damping (default); or atrion,
                   the shipped law: healing, trauma, queue in baselines
  --points N       points on each axis (default 20, so 8000 points; --quick: 7)
  --quick          343 points
  --seed N         seed of the callers' moments (default 1)
  --threads N      default: every core; does not change results
  --svg FILE       heat maps, a slice for each value of the third number
  --csv FILE       write every point
  --json FILE      the same with the axes
  --help           this text

Each point runs twice: 5 s of 70 % load, 20 s of twice the capacity, 5 s of outage, 40 s of 70 %
load; the second time one request is refused when the overload begins. Deadlock: nothing is admitted
in the last 25 s. Chaotic: the two runs part, and part further. Oscillating: two whole swings between
closed and open while nothing outside changes. Refused: the configuration does not allow the numbers.
";

const QUICK_POINTS: usize = 7;

#[derive(Debug)]
struct Asked {
    plan: Plan,
    files: Files,
    svg: Option<PathBuf>,
}

/// Carries out the command with the arguments after its name.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let Some(asked) = parse(args)? else { return say(HELP) };
    asked.plan.check().map_err(|e| e.to_string())?;
    asked.files.check()?;
    asked.svg.iter().try_for_each(|path| file::check_writable(path))?;
    let bar = bar(asked.plan.total() as u64, "points");
    let map = sweep(&asked.plan, &|| {
        bar.inc(1);
    });
    bar.finish_and_clear();
    let map = map.map_err(|e| e.to_string())?;
    say(&map.text())?;
    if let Some(path) = &asked.svg {
        file::write_whole(path, map.svg())?;
        say(&format!("wrote {}\n", path.display()))?;
    }
    asked.files.write(|| map.csv(), &map)
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Option<Asked>, String> {
    let with_value = ["--policy", "--points", "--seed", "--threads", "--svg", "--csv", "--json"];
    let Some(given) = read(args, &with_value, &["--quick"])? else { return Ok(None) };
    let plan = Plan::of(Subject::Reference);
    let mut asked = Asked { plan, files: Files::default(), svg: None };
    if given.iter().any(|(name, _)| *name == "--quick") {
        asked.plan.points = QUICK_POINTS;
    }
    for (name, value) in &given {
        match *name {
            "--policy" => asked.plan.subject = subject(value)?,
            "--points" => asked.plan.points = whole(name, value)?,
            "--seed" => asked.plan.seed = whole(name, value)?,
            "--threads" => asked.plan.threads = whole(name, value)?,
            "--svg" => asked.svg = Some(PathBuf::from(value)),
            "--csv" => asked.files.csv = Some(PathBuf::from(value)),
            "--json" => asked.files.json = Some(PathBuf::from(value)),
            _ => {}
        }
    }
    Ok(Some(asked))
}

fn subject(value: &OsString) -> Result<Subject, String> {
    let shown = value.to_string_lossy();
    Subject::ALL
        .into_iter()
        .find(|s| s.name() == shown)
        .ok_or_else(|| format!("--policy is `{shown}`, known are reference, atrion"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Option<Asked>, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn points_win_over_quick_wherever_they_stand() {
        let points = |words: &[&str]| parsed(words).unwrap().unwrap().plan.points;
        assert_eq!(points(&[]), 20);
        assert_eq!(points(&["--quick"]), 7);
        assert_eq!(points(&["--points", "3", "--quick"]), 3);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (words, named) in [
            (&["--policy", "aimd"][..], "`aimd`, known are reference, atrion"),
            (&["--points", "NaN"], "--points is `NaN`"),
            (&["--point", "3"], "no option --point"),
            (&["all"], "all"),
        ] {
            let why = parsed(words).expect_err("must be refused");
            assert!(why.contains(named), "{words:?}: {why}");
        }
    }
}
