//! Random services that nobody tuned anything for: `cargo xtask sim draws`, the held-out family.

use atrion_sim::Candidate;
use atrion_sim::draws::{Family, Options, Study, Table, evaluate};
use atrion_sim::policy::{Choice, entries};

use super::{Found, OURS, Plan, Source};
use crate::figure::Figure;
use crate::verdict::Measured;

/// How many, quick and full.
const QUICK: u32 = 60;
const FULL: u32 = 300;

pub(super) struct Draws;

impl Source for Draws {
    fn name(&self) -> &'static str {
        "services never tuned for"
    }

    fn steps(&self, plan: &Plan) -> usize {
        count(plan) as usize
    }

    fn measure(&self, plan: &Plan) -> Result<Found, String> {
        let options = Options { threads: plan.threads, ..Options::default() };
        let first = plan.seeds.first().copied().unwrap_or(1);
        let names: Vec<&str> = plan.choices.iter().map(Choice::name).collect();
        let candidates = candidates(&names)?;
        let step = || plan.bar.step();
        let study = evaluate(Family::HeldOut, count(plan), first, &candidates, &options, &step)
            .map_err(|e| e.to_string())?;
        found(&study)
    }
}

fn count(plan: &Plan) -> u32 {
    if plan.is_quick { QUICK } else { FULL }
}

/// Ourselves as we come, and every policy that is somebody else's way of doing it.
fn candidates(names: &[&str]) -> Result<Vec<Candidate>, String> {
    let mut all = Vec::new();
    let is_oracle = |name: &str| Choice::parse(name).is_ok_and(|choice| choice.is_oracle());
    for entry in entries().iter().filter(|e| names.contains(&e.name) && !is_oracle(e.name)) {
        let candidate = Candidate::parse(entry.name).map_err(|e| e.to_string())?;
        if entry.name == OURS || candidate.is_peer() {
            all.push(candidate);
        }
    }
    Ok(all)
}

fn found(study: &Study) -> Result<Found, String> {
    let tables = study.tables();
    let all = tables.iter().find(|table| table.group == "all").ok_or("no draw was judged")?;
    let remark = format!(
        "held-out draws {} to {}, {} of them hopeless even for the best limit",
        study.first,
        study.first + all.draws as u64 + all.hopeless as u64 - 1,
        all.hopeless
    );
    let mean = beside("scenarios.draws.mean", study, all, |row| Some(row.mean))?;
    let worst = beside("scenarios.draws.worst", study, all, |row| Some(row.worst))?;
    let close = beside("scenarios.draws.close", study, all, |row| row.near_best_peer)?;
    let measured = vec![mean.note(remark), worst, close];
    Ok(Found { measured, ..Found::default() })
}

fn beside(
    goal: &'static str,
    study: &Study,
    all: &Table,
    value: impl Fn(&atrion_sim::draws::Row) -> Option<f64>,
) -> Result<Measured, String> {
    let figure = |name: &str| {
        let row = all.rows.iter().find(|row| row.policy == name);
        // What was not measured is no number, and refused as one.
        let value = row.and_then(&value).unwrap_or(f64::NAN);
        Figure::once(goal, value).map_err(|e| e.to_string())
    };
    let mut measured = Measured::new(goal, figure(OURS)?);
    for (name, is_peer) in study.policies.iter().zip(&study.peers) {
        if *is_peer {
            measured = measured.peer(name, figure(name)?);
        }
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_the_others_and_not_what_needs_to_know_the_service() {
        let names: Vec<&str> = entries().iter().map(|e| e.name).collect();
        let all = candidates(&names).expect("known");
        assert_eq!(all.iter().filter(|c| !c.is_peer()).count(), 1);
        let labels: Vec<&str> = all.iter().map(Candidate::label).collect();
        assert!(labels.contains(&OURS) && labels.contains(&"gradient2"));
        assert!(!labels.contains(&"process") && !labels.contains(&"unlimited"));
    }

    #[test]
    fn a_study_becomes_three_figures_with_the_peers_beside() {
        let few = candidates(&[OURS, "aimd", "gradient2"]).expect("known");
        let options = Options { threads: 2, most_requests: 2000.0 };
        let study = evaluate(Family::HeldOut, 4, 1, &few, &options, &|| ()).expect("it runs");
        let found = found(&study).expect("judged");
        let goals: Vec<&str> = found.measured.iter().map(|m| m.goal).collect();
        assert_eq!(
            goals,
            ["scenarios.draws.mean", "scenarios.draws.worst", "scenarios.draws.close"]
        );
        assert!(found.measured.iter().all(|m| m.peers.len() == 2));
        assert!(found.measured[0].ours.value() > found.measured[1].ours.value() - 1e-9);
    }
}
