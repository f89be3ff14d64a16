//! A dead dependency, calm, and how often the mode changes.

use atrion_core::math;
use atrion_sim::{Report, Scenario};

use super::{Found, OURS, Plan, Source, anybody, beside, mean, plot, preset};
use crate::figure::Figure;
use crate::verdict::Measured;

const REACH: &str = "scenarios.outage.reach";
const RECOVERY: &str = "scenarios.outage.recovery";
const STEADY: &str = "scenarios.steady";
const FLAPPING: &str = "scenarios.flapping";

/// The incidents that tempt a policy to change its mode more than it has to.
const INCIDENTS: [&str; 5] = ["outage", "errors", "gray", "oscillation", "hang"];
/// Percent of the requests at a dead dependency up to which somebody counts as leaving it alone.
/// Whoever goes on sending needs no time to come back.
const LEFT_ALONE: f64 = 10.0;

pub(super) struct Incidents;

impl Source for Incidents {
    fn name(&self) -> &'static str {
        "outage, calm, flapping"
    }

    fn steps(&self, plan: &Plan) -> usize {
        (INCIDENTS.len() + 1) * plan.runs(false)
    }

    fn measure(&self, plan: &Plan) -> Result<Found, String> {
        let mut found = Found::default();
        let rows = &mut found.measured;
        let mut restless: Option<Measured> = None;
        for name in INCIDENTS {
            let scenario = preset(name)?;
            let everybody = plan.compare(&scenario, false)?;
            if name == "outage" {
                let reach = |report: &Report| reach(report, &scenario);
                rows.push(beside(REACH, &everybody, reach, anybody)?);
                let leaves = |_: &str, reports: &[Report]| mean(reports, reach) <= LEFT_ALONE;
                let recovery = |r: &Report| r.recovery_secs.unwrap_or(f64::NAN);
                rows.push(beside(RECOVERY, &everybody, recovery, leaves)?.note(format!(
                    "beside peers that send at most {LEFT_ALONE} % to the dead dependency"
                )));
                let svg = plot(&scenario, &everybody, &[OURS, "breaker", "sre"])?;
                found.plots.push(("outage.svg".to_owned(), svg));
            }
            // Who never changes its mode anywhere has none.
            let has_modes =
                |_: &str, all: &[Report]| all.iter().any(|report| report.transitions > 0);
            let modes = |report: &Report| f64::from(report.transitions);
            let row = beside(FLAPPING, &everybody, modes, has_modes)?;
            let row = row.note(format!("worst at {name}, of {}", INCIDENTS.join(", ")));
            let is_worse = |w: &Measured| Figure::high(row.ours) > Figure::high(w.ours);
            if restless.as_ref().is_none_or(is_worse) {
                restless = Some(row);
            }
        }
        let everybody = plan.compare(&preset("steady")?, false)?;
        rows.push(beside(STEADY, &everybody, Report::shed, anybody)?);
        rows.extend(restless.map(worst_run));
        Ok(found)
    }
}

/// Percent of the requests that asked while the dependency was dead and were sent to it.
fn reach(report: &Report, scenario: &Scenario) -> f64 {
    let (from, to) = scenario.acting_secs().unwrap_or_default();
    let bin = |secs: f64| math::floor(secs / report.bin_secs + 0.5) as usize;
    let bins = report.bins.get(bin(from)..bin(to)).unwrap_or_default();
    // All requests of this scenario cost 1, so that work asked for is requests.
    let asked: f64 = bins.iter().map(|b| b.asked).sum();
    100.0 * report.sent_to_dead as f64 / asked
}

/// The goal is about each incident, so that the worst run counts and not the mean.
fn worst_run(measured: Measured) -> Measured {
    let worst = |figure: Figure| {
        Figure::try_new(FLAPPING, figure.high(), figure.low(), figure.high()).unwrap_or(figure)
    };
    let ours = worst(measured.ours);
    let peers = measured.peers.into_iter().map(|mut peer| {
        peer.figure = worst(peer.figure);
        peer
    });
    Measured { ours, peers: peers.collect(), ..measured }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atrion_sim::report::Bin;

    #[test]
    fn reach_is_of_what_asked_while_it_was_dead() {
        let scenario = preset("outage").expect("there");
        let (from, to) = scenario.acting_secs().expect("it has a fault");
        let bins = (0..1001)
            .map(|i| {
                let is_dead = f64::from(i) * 0.1 >= from - 0.05 && f64::from(i) * 0.1 < to - 0.05;
                Bin { asked: if is_dead { 2.0 } else { 100.0 }, ..Bin::default() }
            })
            .collect();
        let asked = 2.0 * (to - from) / 0.1;
        let report =
            Report { bin_secs: 0.1, bins, sent_to_dead: (asked / 4.0) as u64, ..Report::default() };
        assert!((reach(&report, &scenario) - 25.0).abs() < 0.1, "{}", reach(&report, &scenario));
        assert!(reach(&Report::default(), &scenario).is_nan(), "nobody asked");
    }

    #[test]
    fn of_mode_changes_the_worst_run_counts() {
        let ours = Figure::mean_of("x", &[2.0, 2.0, 8.0]).expect("finite");
        let row = worst_run(Measured::new(FLAPPING, ours).peer("breaker", ours));
        assert!((row.ours.value() - 8.0).abs() < 1e-9 && (row.ours.low() - 2.0).abs() < 1e-9);
        assert!((row.peers[0].figure.value() - 8.0).abs() < 1e-9);
    }
}
