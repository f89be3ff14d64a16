//! Goals that are held in simulated time, before every policy that the simulator knows.

mod draws;
mod incidents;
mod reaction;
mod steps;
mod tiers;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use atrion_sim::policy::{Choice, entries};
use atrion_sim::{Evaluation, Report, Scenario, evaluate, runs, scenario};

use super::{Outcome, Setting};
use crate::figure::Figure;
use crate::goals::{self, Better};
use crate::progress::Bar;
use crate::stage::Stage;
use crate::verdict::{Measured, best};

/// Runs of each policy in each scenario.
const SEEDS_QUICK: u64 = 3;
const SEEDS_FULL: u64 = 10;

/// Ourselves among the policies, and ourselves with the process in series.
const OURS: &str = "atrion";
const PROCESS: &str = "process";
/// Ourselves without permits: neither a peer nor what the goals are about.
const TOLD: [&str; 2] = ["reported", "threshold"];
/// The upper reference, which is no peer: it knows the future.
const ORACLE: &str = "oracle";

/// Where rows come from. Another family of scenarios is another source in [`SOURCES`], and its
/// goals are lines in `goals.rs`; a goal that no source measures is reported as not measured.
trait Source: Sync {
    /// What it is, for the progress bar.
    fn name(&self) -> &'static str;

    /// Steps of the progress bar that measuring takes.
    fn steps(&self, plan: &Plan) -> usize;

    /// Measures; calls `plan.bar` once for each step.
    ///
    /// # Errors
    /// A sentence if it broke.
    fn measure(&self, plan: &Plan) -> Result<Found, String>;
}

/// What a source found.
#[derive(Debug, Default)]
struct Found {
    measured: Vec<Measured>,
    /// Plots by file name.
    plots: Vec<(String, String)>,
}

/// All sources, in the order in which they run.
const SOURCES: &[&dyn Source] =
    &[&steps::Steps, &tiers::Tiers, &reaction::Reaction, &incidents::Incidents, &draws::Draws];

/// What sources share.
struct Plan<'a> {
    is_quick: bool,
    seeds: Vec<u64>,
    bar: &'a Bar,
    /// Everybody, the oracle last.
    choices: Vec<Choice>,
    threads: usize,
}

pub(super) fn run(setting: &Setting<'_>) -> Result<Outcome, String> {
    let count = if setting.is_quick { SEEDS_QUICK } else { SEEDS_FULL };
    let idle = Bar::steps(Stage::Scenarios.name(), 0);
    let plan = Plan {
        is_quick: setting.is_quick,
        seeds: (setting.seed..setting.seed + count).collect(),
        bar: &idle,
        choices: everybody()?,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let steps = SOURCES.iter().map(|source| source.steps(&plan)).sum();
    let bar = Bar::steps(Stage::Scenarios.name(), steps);
    let plan = Plan { bar: &bar, ..plan };
    let mut outcome =
        Outcome { why_not: "no source of rows measures it".to_owned(), ..Outcome::default() };
    for source in SOURCES {
        bar.say(source.name());
        let broken = |why| format!("{}: {why}", source.name());
        let found = source.measure(&plan).map_err(broken)?;
        outcome.measured.extend(found.measured);
        outcome.plots.extend(found.plots);
    }
    Ok(outcome)
}

/// Every policy of the simulator that is somebody else's, and ourselves.
fn everybody() -> Result<Vec<Choice>, String> {
    let names = entries().iter().map(|entry| entry.name).filter(|name| !TOLD.contains(name));
    let choices: Result<Vec<Choice>, String> =
        names.map(|name| Choice::parse(name).map_err(|e| e.to_string())).collect();
    let mut choices = choices?;
    choices.sort_by_key(Choice::is_oracle);
    Ok(choices)
}

fn preset(name: &str) -> Result<Scenario, String> {
    scenario::find(name).map_err(|e| e.to_string())
}

/// What everybody did in one scenario, by policy, the oracle under its plain name.
type Everybody = BTreeMap<&'static str, Vec<Report>>;

impl Plan<'_> {
    /// Steps of [`compare`](Self::compare).
    fn runs(&self, with_oracle: bool) -> usize {
        self.policies(with_oracle).iter().map(|c| runs(c, self.seeds.len())).sum()
    }

    fn policies(&self, with_oracle: bool) -> Vec<Choice> {
        self.choices.iter().filter(|c| with_oracle || !c.is_oracle()).cloned().collect()
    }

    /// Runs everybody in one scenario, with every seed.
    fn compare(&self, scenario: &Scenario, with_oracle: bool) -> Result<Everybody, String> {
        let choices = self.policies(with_oracle);
        let done = self.on_all_cores(&choices, |choice| {
            let step = || self.bar.step();
            evaluate(scenario, choice, &self.seeds, step).map_err(|e| e.to_string())
        })?;
        let name = |choice: &Choice| {
            entries().iter().map(|e| e.name).find(|name| *name == choice.name()).unwrap_or(OURS)
        };
        Ok(choices.iter().map(name).zip(done.into_iter().map(|e: Evaluation| e.reports)).collect())
    }

    /// `work` on each item, in their order, the last ones first: they are the longest.
    fn on_all_cores<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<R, String> + Sync,
    ) -> Result<Vec<R>, String> {
        let left = AtomicUsize::new(items.len());
        let done = Mutex::new(Vec::with_capacity(items.len()));
        let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        let worker = || {
            while let Ok(after) = take() {
                let index = after - 1;
                if let Some(item) = items.get(index) {
                    let result = work(item);
                    // A worker that panicked takes the whole stage with it anyway.
                    let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    done.push((index, result));
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.min(items.len()) {
                scope.spawn(worker);
            }
            worker();
        });
        let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// A figure of each report of a policy.
fn figure(
    goal: &str,
    reports: &[Report],
    value: impl Fn(&Report) -> f64,
) -> Result<Figure, String> {
    let values: Vec<f64> = reports.iter().map(value).collect();
    Figure::mean_of(goal, &values).map_err(|e| e.to_string())
}

/// Our figure with those of the peers that `counts` lets stand.
fn beside(
    goal: &'static str,
    everybody: &Everybody,
    value: impl Fn(&Report) -> f64,
    counts: impl Fn(&str, &[Report]) -> bool,
) -> Result<Measured, String> {
    let ours = everybody.get(OURS).ok_or("the simulator does not know atrion")?;
    let mut measured = Measured::new(goal, figure(goal, ours, &value)?);
    for (name, reports) in everybody {
        if ![OURS, PROCESS, ORACLE].contains(name) && counts(name, reports) {
            measured = measured.peer(*name, figure(goal, reports, &value)?);
        }
    }
    Ok(measured)
}

/// What the best peer at a goal pays for it: its goodput beside ours.
fn price(everybody: &Everybody, measured: &Measured) -> String {
    let goodput = |name: &str| {
        let reports = everybody.get(name).map_or(&[][..], Vec::as_slice);
        format!("{name} {:.1} %", mean(reports, Report::goodput))
    };
    let better = goals::find(measured.goal).map_or(Better::More, |goal| goal.better);
    let peer = best(better, &measured.peers).map(|peer| format!(", {}", goodput(&peer.name)));
    format!("goodput there: {}{}", goodput(OURS), peer.unwrap_or_default())
}

/// For goals at which every peer is held.
fn anybody(_: &str, _: &[Report]) -> bool {
    true
}

fn mean(reports: &[Report], value: impl Fn(&Report) -> f64) -> f64 {
    reports.iter().map(value).sum::<f64>() / reports.len() as f64
}

/// A plot over time of a few policies, the first seed.
fn plot(scenario: &Scenario, everybody: &Everybody, names: &[&str]) -> Result<String, String> {
    let evaluations: Vec<Evaluation> = names
        .iter()
        .filter_map(|name| {
            let reports = everybody.get(name)?.clone();
            Some(Evaluation { policy: (*name).to_owned(), reports })
        })
        .collect();
    atrion_sim::svg::plot(scenario, &evaluations)
        .map_err(|e| format!("the plot cannot be drawn: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan for tests: few policies, one seed.
    pub(super) fn plan<'a>(bar: &'a Bar, policies: &[&str]) -> Plan<'a> {
        let choices = policies.iter().map(|name| Choice::parse(name).expect("known"));
        Plan { is_quick: true, seeds: vec![1], bar, choices: choices.collect(), threads: 2 }
    }

    fn report(good_work: f64) -> Report {
        Report { good_work, ideal_work: 100.0, ..Report::default() }
    }

    #[test]
    fn the_oracle_is_no_peer_and_neither_are_we() {
        let everybody = Everybody::from([
            (OURS, vec![report(90.0), report(92.0)]),
            (ORACLE, vec![report(99.0)]),
            ("aimd", vec![report(60.0)]),
            ("sre", vec![report(70.0)]),
        ]);
        let counts = |name: &str, _: &[Report]| name != "aimd";
        let measured = beside("scenarios.routes", &everybody, Report::goodput, counts);
        let measured = measured.expect("all there");
        assert!((measured.ours.value() - 91.0).abs() < 1e-9);
        assert_eq!((measured.ours.low(), measured.ours.high()), (90.0, 92.0));
        let names: Vec<&str> = measured.peers.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["sre"]);
        let nobody = Everybody::new();
        assert!(beside("scenarios.routes", &nobody, Report::goodput, anybody).is_err());
        let nan = Everybody::from([(OURS, vec![report(f64::NAN)])]);
        let why = beside("scenarios.routes", &nan, Report::goodput, anybody).expect_err("NaN");
        assert!(why.contains("scenarios.routes is not a number"), "{why}");
    }

    #[test]
    fn a_peer_that_wins_by_serving_few_is_shown_to() {
        let everybody = Everybody::from([
            (OURS, vec![report(90.0)]),
            ("aimd", vec![report(60.0)]),
            ("sre", vec![report(1.0), report(3.0)]),
        ]);
        let figure = |x| Figure::once("x", x).expect("a number");
        let measured = Measured::new("scenarios.low12x", figure(99.0));
        assert_eq!(price(&everybody, &measured), "goodput there: atrion 90.0 %");
        let beside = measured.peer("aimd", figure(50.0)).peer("sre", figure(100.0));
        assert_eq!(price(&everybody, &beside), "goodput there: atrion 90.0 %, sre 2.0 %");
    }

    #[test]
    fn work_is_done_once_in_order_and_errors_come_out() {
        let bar = Bar::hidden();
        let plan = plan(&bar, &[]);
        let items: Vec<usize> = (0..50).collect();
        let doubled = plan.on_all_cores(&items, |n| Ok(2 * n)).expect("all done");
        assert_eq!(doubled, items.iter().map(|n| 2 * n).collect::<Vec<_>>());
        let failed =
            plan.on_all_cores(&items, |n| if *n == 7 { Err("7".to_owned()) } else { Ok(*n) });
        assert_eq!(failed, Err("7".to_owned()));
    }

    #[test]
    fn everybody_is_compared_and_the_oracle_has_a_plain_name() {
        let bar = Bar::hidden();
        let plan = plan(&bar, &["static", OURS, ORACLE]);
        let short = preset("steady").expect("there").to_builder();
        let short = short.duration_secs(4.0).window_secs(2.0, 4.0).build().expect("valid");
        let all = plan.compare(&short, true).expect("it runs");
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), [OURS, ORACLE, "static"]);
        assert!(all.values().all(|reports| reports.len() == 1));
        let without = plan.compare(&short, false).expect("it runs");
        assert_eq!(without.keys().copied().collect::<Vec<_>>(), [OURS, "static"]);
        assert_eq!(plan.runs(true), 2 + runs(&plan.choices[2], 1));
    }

    #[test]
    fn all_policies_take_part_the_oracle_last() {
        let all = everybody().expect("known");
        assert_eq!(all.len(), entries().len() - TOLD.len());
        assert!(all.last().is_some_and(Choice::is_oracle));
    }

    #[test]
    fn every_source_has_steps_to_show() {
        let bar = Bar::hidden();
        let plan = plan(&bar, &[OURS, ORACLE]);
        for source in SOURCES {
            assert!(source.steps(&plan) > 0, "{}", source.name());
        }
    }
}
