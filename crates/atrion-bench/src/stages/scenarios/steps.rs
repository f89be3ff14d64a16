//! Overload by steps, against the best static limit in hindsight.

use atrion_sim::Report;

use super::{Everybody, Found, ORACLE, OURS, Plan, Source, beside, mean, plot, preset};
use crate::figure::Figure;
use crate::verdict::{Measured, Peer};

const STEPS: [(&str, &str); 4] = [
    ("scenarios.step1.5x", "step1.5x"),
    ("scenarios.step2x", "step2x"),
    ("scenarios.step5x", "step5x"),
    ("scenarios.step10x", "step10x"),
];
const LATENCY: &str = "scenarios.step.p99";
/// The step that is plotted, and who is shown.
const PLOTTED: &str = "step5x";
const SHOWN: [&str; 6] = [OURS, ORACLE, "delay", "gradient2", "cinnamon", "unlimited"];

pub(super) struct Steps;

impl Source for Steps {
    fn name(&self) -> &'static str {
        "steps"
    }

    fn steps(&self, plan: &Plan) -> usize {
        STEPS.len() * plan.runs(true)
    }

    fn measure(&self, plan: &Plan) -> Result<Found, String> {
        let mut found = Found::default();
        let mut slowest: Option<Measured> = None;
        for (goal, name) in STEPS {
            let scenario = preset(name)?;
            let everybody = plan.compare(&scenario, true)?;
            let (row, latency) = rows_of(goal, name, &everybody)?;
            let is_slower = |s: &Measured| latency.ours.value() > s.ours.value();
            if slowest.as_ref().is_none_or(is_slower) {
                slowest = Some(latency);
            }
            found.measured.push(row);
            if name == PLOTTED {
                let svg = plot(&scenario, &everybody, &SHOWN)?;
                found.plots.push((format!("{PLOTTED}.svg"), svg));
            }
        }
        found.measured.extend(slowest);
        Ok(found)
    }
}

/// Goodput of one step, and the latency at it of ourselves and of the peer that does best there:
/// who admits next to nothing is fast, too.
fn rows_of(
    goal: &'static str,
    name: &str,
    everybody: &Everybody,
) -> Result<(Measured, Measured), String> {
    let oracle = everybody.get(ORACLE).ok_or("the simulator does not know the oracle")?;
    // Against the oracle under the same seed: the luck of the draw cancels out.
    let share = |report: &Report| {
        let best = oracle.iter().find(|o| o.seed == report.seed).map_or(0.0, Report::goodput);
        100.0 * report.goodput() / best
    };
    let told = mean(oracle, Report::goodput);
    let goodput = beside(goal, everybody, share, |_, _| true)?
        .note(format!("the limit itself reaches {told:.1} % of what was possible"));
    let p99 = |report: &Report| {
        report.latency.map_or(f64::INFINITY, |l| l.p99_secs / report.deadline_secs)
    };
    let best = best_of(&goodput.peers).map(|p| p.name.clone());
    let is_best = |other: &str, _: &[Report]| best.as_deref() == Some(other);
    let note = format!("at {name}; beside the peer with the highest goodput there");
    let latency = beside(LATENCY, everybody, p99, is_best)?.note(note);
    Ok((goodput, latency))
}

fn best_of(peers: &[Peer]) -> Option<&Peer> {
    let value = |p: &&Peer| Figure::value(p.figure);
    peers.iter().max_by(|a, b| value(a).total_cmp(&value(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use atrion_sim::report::Latency;

    fn report(seed: u64, good: f64, p99: f64) -> Report {
        Report {
            seed,
            good_work: good,
            ideal_work: 100.0,
            deadline_secs: 2.0,
            latency: Some(Latency { p99_secs: p99, ..Latency::default() }),
            ..Report::default()
        }
    }

    #[test]
    fn goodput_is_held_against_the_oracle_seed_by_seed() {
        let everybody = Everybody::from([
            (OURS, vec![report(1, 45.0, 1.0), report(2, 90.0, 1.0)]),
            (ORACLE, vec![report(1, 50.0, 1.0), report(2, 100.0, 1.0)]),
            ("aimd", vec![report(1, 25.0, 0.1), report(2, 50.0, 0.1)]),
            ("delay", vec![report(1, 40.0, 1.6), report(2, 80.0, 1.6)]),
        ]);
        let (goodput, latency) = rows_of("scenarios.step2x", "step2x", &everybody).expect("whole");
        assert_eq!((goodput.ours.low(), goodput.ours.high()), (90.0, 90.0));
        assert!(goodput.note.contains("75.0 %"), "{}", goodput.note);
        assert!((latency.ours.value() - 0.5).abs() < 1e-9);
        let peers: Vec<&str> = latency.peers.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(peers, ["delay"], "not the fast one that serves few");
    }

    #[test]
    fn who_serves_nobody_has_no_latency_to_show() {
        let mut nobody = report(1, 0.0, 0.0);
        nobody.latency = None;
        let everybody =
            Everybody::from([(OURS, vec![nobody]), (ORACLE, vec![report(1, 50.0, 1.0)])]);
        let (_, latency) = rows_of("scenarios.step2x", "step2x", &everybody).expect("whole");
        assert!(latency.ours.value().is_infinite());
    }

    #[test]
    fn an_oracle_that_serves_nobody_is_no_reference() {
        let everybody = Everybody::from([
            (OURS, vec![report(1, 0.0, 1.0)]),
            (ORACLE, vec![report(1, 0.0, 1.0)]),
        ]);
        let why = rows_of("scenarios.step2x", "step2x", &everybody).expect_err("0 of 0");
        assert!(why.contains("not a number"), "{why}");
    }
}
