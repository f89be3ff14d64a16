//! How soon latencies are within the objective again after a small step, at services whose
//! requests take microseconds.

use std::cell::RefCell;
use std::rc::Rc;

use atrion_core::time::Timestamp;
use atrion_sim::policy::{
    Arrival, Choice, Completion, Context, Outcome, Policy, Release, Tick, Verdict,
};
use atrion_sim::{Class, Effect, Fault, Scenario, Service, run};

use super::{Found, ORACLE, OURS, Plan, Source};
use crate::figure::Figure;
use crate::verdict::Measured;

const REACTION: &str = "scenarios.reaction";
const GOODPUT: &str = "scenarios.reaction.goodput";

/// Workers, and seconds that a request takes.
const SERVICES: [(u32, f64); 3] = [(2, 1e-5), (4, 3e-5), (16, 1e-4)];
/// Load before and after the step, as a share of the capacity.
const CALM: f64 = 0.7;
const STEP: f64 = 1.4;
/// Seconds to learn in, and seconds from the step to the end.
const BEFORE_SECS: f64 = 2.0;
const AFTER_SECS: f64 = 0.5;
/// Latencies are looked at in stretches of this length.
const STRETCH_SECS: f64 = 0.005;

pub(super) struct Reaction;

impl Source for Reaction {
    fn name(&self) -> &'static str {
        "reaction at microseconds"
    }

    fn steps(&self, plan: &Plan) -> usize {
        SERVICES.len() * plan.policies(false).len()
    }

    fn measure(&self, plan: &Plan) -> Result<Found, String> {
        let mut seen: Vec<(String, Seen)> = Vec::new();
        for (workers, mean_secs) in SERVICES {
            let scenario = scenario(workers, mean_secs).map_err(|e| e.to_string())?;
            let choices = plan.policies(false);
            let done = plan.on_all_cores(&choices, |choice| {
                let done = watch(&scenario, choice, &plan.seeds);
                plan.bar.step();
                done
            })?;
            for (choice, new) in choices.iter().zip(done) {
                match seen.iter_mut().find(|(name, _)| name == choice.name()) {
                    Some((_, all)) => all.extend(&new),
                    None => seen.push((choice.name().to_owned(), new)),
                }
            }
        }
        let measured = vec![
            beside(REACTION, &seen, plan.seeds.len(), |seen| &seen.reaction_ms)?,
            beside(GOODPUT, &seen, plan.seeds.len(), |seen| &seen.goodput)?,
        ];
        Ok(Found { measured, ..Found::default() })
    }
}

/// A calm service of microseconds, then a step that stays.
fn scenario(workers: u32, mean_secs: f64) -> Result<Scenario, atrion_sim::ScenarioError> {
    let end = BEFORE_SECS + AFTER_SECS;
    let step = Effect::Load { factor: STEP / CALM, class: None };
    Scenario::builder("a step at microseconds", Service::fifo(workers, mean_secs))
        .class(Class::new("all", CALM))
        .fault(Fault::new(BEFORE_SECS, end, step))
        .duration_secs(end)
        .build()
}

/// What was seen of one policy, a value for each service and seed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    /// Milliseconds from the step on until latencies are within the objective for good.
    reaction_ms: Vec<f64>,
    goodput: Vec<f64>,
}

impl Seen {
    fn extend(&mut self, more: &Self) {
        self.reaction_ms.extend(&more.reaction_ms);
        self.goodput.extend(&more.goodput);
    }
}

fn watch(scenario: &Scenario, choice: &Choice, seeds: &[u64]) -> Result<Seen, String> {
    let mut seen = Seen::default();
    for seed in seeds {
        let inner = choice.make(&Context::of(scenario, *seed)).map_err(|e| e.to_string())?;
        let mut watched = Watched { inner, arrived: Vec::new(), served: Served::default() };
        let report = run(scenario, &mut watched, *seed);
        let served = watched.served.borrow();
        seen.reaction_ms.push(settled_ms(&served, scenario.deadline_secs()));
        seen.goodput.push(report.goodput());
    }
    Ok(seen)
}

/// Completions from the step on: seconds since it, and seconds since the request asked.
type Served = Rc<RefCell<Vec<(f64, f64)>>>;

/// A policy, and a look at how long its requests take.
struct Watched {
    inner: Box<dyn Policy>,
    /// When the request in each slot asked.
    arrived: Vec<Timestamp>,
    served: Served,
}

impl Policy for Watched {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        let slot = arrival.slot as usize;
        if slot >= self.arrived.len() {
            self.arrived.resize(slot + 1, Timestamp::ZERO);
        }
        if let Some(place) = self.arrived.get_mut(slot) {
            *place = arrival.now;
        }
        self.inner.arrive(arrival)
    }

    fn done(&mut self, completion: &Completion) {
        let since = completion.now.secs_since(Timestamp::ZERO) - BEFORE_SECS;
        if let Some(asked) = self.arrived.get(completion.slot as usize)
            && since >= 0.0
            && completion.outcome == Outcome::Success
        {
            self.served.borrow_mut().push((since, completion.now.secs_since(*asked)));
        }
        self.inner.done(completion);
    }

    fn tick(&mut self, tick: &Tick) {
        self.inner.tick(tick);
    }

    fn release(&mut self, now: Timestamp) -> Option<Release> {
        self.inner.release(now)
    }

    fn holds(&self) -> bool {
        self.inner.holds()
    }

    fn transitions(&self) -> u32 {
        self.inner.transitions()
    }
}

/// Milliseconds until the end of the last stretch whose p99 is above the objective; infinite if
/// that is the last one of all, or if one serves nobody.
fn settled_ms(served: &[(f64, f64)], objective_secs: f64) -> f64 {
    let count = (AFTER_SECS / STRETCH_SECS).round() as usize;
    let mut stretches: Vec<Vec<f64>> = vec![Vec::new(); count];
    for (since, latency) in served {
        if let Some(stretch) = stretches.get_mut((since / STRETCH_SECS) as usize) {
            stretch.push(*latency);
        }
    }
    let is_late = |stretch: &mut Vec<f64>| {
        stretch.sort_unstable_by(f64::total_cmp);
        let p99 = stretch.get(stretch.len() * 99 / 100);
        p99.is_none_or(|secs| *secs > objective_secs)
    };
    match stretches.iter_mut().rposition(is_late) {
        None => 0.0,
        Some(last) if last + 1 == count => f64::INFINITY,
        Some(last) => 1e3 * STRETCH_SECS * (last + 1) as f64,
    }
}

/// Over all services and seeds, the mean with the least and the greatest.
fn beside(
    goal: &'static str,
    seen: &[(String, Seen)],
    seeds: usize,
    values: impl Fn(&Seen) -> &Vec<f64>,
) -> Result<Measured, String> {
    let figure = |seen: &Seen| Figure::mean_of(goal, values(seen)).map_err(|e| e.to_string());
    let (_, ours) =
        seen.iter().find(|(name, _)| name == OURS).ok_or("the simulator does not know atrion")?;
    let mut measured = Measured::new(goal, figure(ours)?);
    for (name, seen) in seen.iter().filter(|(name, _)| name != OURS && name != ORACLE) {
        measured = measured.peer(name.clone(), figure(seen)?);
    }
    let each = SERVICES.iter().zip(values(ours).chunks(seeds.max(1)));
    let means: Vec<String> = each
        .map(|((workers, secs), values)| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            format!("{mean:.1} at {workers} workers of {:.0} us", 1e6 * secs)
        })
        .collect();
    Ok(measured.note(format!("mean and range over three services: {}", means.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Served requests in every stretch, `late` of 100 above the objective of 1 s in those before
    /// `until` seconds.
    fn served(until: f64, late: usize) -> Vec<(f64, f64)> {
        let stretches = (AFTER_SECS / STRETCH_SECS).round() as usize;
        (0..stretches)
            .flat_map(|stretch| {
                let since = (stretch as f64 + 0.5) * STRETCH_SECS;
                (0..100).map(move |i| (since, if since < until && i < late { 2.0 } else { 0.5 }))
            })
            .collect()
    }

    #[test]
    fn it_is_settled_after_the_last_late_stretch() {
        assert!(settled_ms(&served(0.0, 100), 1.0).abs() < 1e-9);
        assert!((settled_ms(&served(0.02, 100), 1.0) - 20.0).abs() < 1e-9);
        assert!(settled_ms(&served(0.02, 1), 1.0) > 0.0, "the 99th of 100 is late");
        assert!(settled_ms(&served(1.0, 50), 1.0).is_infinite());
        assert!(settled_ms(&[], 1.0).is_infinite(), "nobody was served");
        let mut relapse = served(0.01, 100);
        relapse.extend((0..50).map(|_| (0.3, 9.0)));
        assert!(settled_ms(&relapse, 1.0) > 300.0);
    }

    #[test]
    fn a_policy_that_is_watched_decides_as_before() {
        let scenario = scenario(4, 3e-5).expect("valid").to_builder();
        let scenario = scenario.duration_secs(2.02).build().expect("shorter");
        for name in ["static", "delay"] {
            let choice = Choice::parse(name).expect("known");
            let context = Context::of(&scenario, 5);
            let mut plain = choice.make(&context).expect("it builds");
            let inner = choice.make(&context).expect("it builds");
            let mut watched = Watched { inner, arrived: Vec::new(), served: Served::default() };
            let prints = [
                run(&scenario, &mut plain, 5).fingerprint(),
                run(&scenario, &mut watched, 5).fingerprint(),
            ];
            assert_eq!(prints[0], prints[1], "{name}, seed 5");
            assert!(!watched.served.borrow().is_empty(), "{name} was watched");
        }
    }
}
