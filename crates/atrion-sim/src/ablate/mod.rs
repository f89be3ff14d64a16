//! Ablation: what each term of the shipped law contributes, found by removing it.
//!
//! Every run is made twice with the same seed, with and without the term, so differences are
//! paired: callers ask at the same moments, and the k-th admitted request does the same work.
//!
//! ```
//! use atrion_sim::ablate::{self, Plan};
//!
//! let scenarios = vec![atrion_sim::scenario::find("outage@fifo1")?];
//! let plan = Plan { scenarios, seeds: vec![1], draws: 0, ..Plan::quick() };
//! let ablation = ablate::run(&plan, &|| ())?;
//! let scar = ablation.terms.iter().find(|t| t.name == "scar").unwrap();
//! assert!(scar.sent_to_dead.as_ref().unwrap().mean > 100.0, "{scar:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod effect;
mod show;
mod terms;

use atrion_engine::Config;
use serde::Serialize;

pub use effect::{Effect, Verdict, Without};
pub use terms::{FIXTURES, Fixture, TERMS, Term};

use crate::candidate::Candidate;
use crate::draws::{Draw, Family, Options};
use crate::error::StudyError;
use crate::parallel;
use crate::policy::Context;
use crate::scenario::{Scenario, find};
use crate::world::run as simulate;
use effect::Measures;

/// Scenarios of the fixed set, each on each of the services.
const SCENARIOS: [&str; 12] = [
    "steady",
    "step2x",
    "step10x",
    "flash",
    "oscillation",
    "gray",
    "half",
    "retries",
    "tiers",
    "coldstart",
    "outage",
    "errors",
];
const SERVICES: [&str; 5] = ["fifo", "fifo1", "sharing", "waiting", "contention"];
const MOST_DRAWS: u32 = 100_000;

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Fixed scenarios.
    pub scenarios: Vec<Scenario>,
    /// Seeds of each of them.
    pub seeds: Vec<u64>,
    /// The family that draws are taken from.
    pub family: Family,
    /// Draws, 0 to 100,000.
    pub draws: u32,
    /// Number of the first draw.
    pub first_draw: u64,
    /// Threads, and how many requests runs of draws are squeezed towards.
    pub options: Options,
}

impl Plan {
    /// Twelve scenarios on five services with three seeds, and 200 training draws.
    ///
    /// # Errors
    /// [`StudyError::Scenario`] if a preset is gone, which a test rules out.
    pub fn full() -> Result<Self, StudyError> {
        let names = SERVICES.iter().flat_map(|service| {
            SCENARIOS.iter().map(move |scenario| format!("{scenario}@{service}"))
        });
        let scenarios: Result<Vec<Scenario>, _> = names.map(|name| find(&name)).collect();
        Ok(Self { scenarios: scenarios?, seeds: vec![1, 2, 3], draws: 200, ..Self::quick() })
    }

    /// No fixed scenario, 40 short training draws.
    pub fn quick() -> Self {
        Self {
            scenarios: Vec::new(),
            seeds: vec![1],
            family: Family::Training,
            draws: 40,
            first_draw: 1,
            options: Options { most_requests: 30_000.0, ..Options::default() },
        }
    }

    /// Comparisons that it makes for each term.
    pub fn cases(&self) -> usize {
        self.scenarios.len() * self.seeds.len() + self.draws as usize
    }

    fn check(&self) -> Result<(), StudyError> {
        self.options.check()?;
        StudyError::check("draws", f64::from(self.draws), (0.0, f64::from(MOST_DRAWS)))?;
        if self.cases() == 0 {
            return Err(StudyError::Nothing { what: "scenario with a seed, nor a draw," });
        }
        Ok(())
    }

    /// Scenario, seed, and the group that the case is shown with.
    fn case(&self, index: usize) -> Result<(Scenario, u64, String), StudyError> {
        let fixed = self.scenarios.len() * self.seeds.len();
        if let (Some(scenario), Some(seed)) = (
            self.scenarios.get(index / self.seeds.len().max(1)),
            self.seeds.get(index % self.seeds.len().max(1)),
        ) && index < fixed
        {
            return Ok((scenario.clone(), *seed, scenario.name().to_owned()));
        }
        let number = self.first_draw + (index - fixed) as u64;
        let draw = Draw::new(self.family, number, self.options.most_requests)?;
        Ok((draw.scenario().clone(), draw.seed(), format!("draws: {}", draw.kind().name())))
    }
}

/// One comparison: the whole law, and the law without each of the terms.
#[derive(Clone, Debug)]
struct Case {
    group: String,
    is_draw: bool,
    whole: Measures,
    without: Vec<Measures>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Ablation {
    /// Comparisons of fixed scenarios.
    pub fixed: usize,
    /// Comparisons of draws.
    pub draws: usize,
    /// Goodput of the whole law in percent of what was possible, over fixed scenarios and draws.
    pub goodput: f64,
    /// One entry for each of [`TERMS`], in their order.
    pub terms: Vec<Without>,
}

/// Removes each term in turn; `progress` is called after each of [`Plan::cases`].
///
/// # Errors
/// [`StudyError`] if there is nothing to run, a number is out of range, or the engine cannot be
/// built.
pub fn run(plan: &Plan, progress: &(dyn Fn() + Sync)) -> Result<Ablation, StudyError> {
    plan.check()?;
    let mut policies = vec![Candidate::with_config("whole", Config::default())];
    for term in TERMS {
        policies.push(Candidate::with_law(term.name, &term.without()?)?);
    }
    let fixed = plan.scenarios.len() * plan.seeds.len();
    let cases = parallel::map(plan.cases(), plan.options.threads, |index| {
        let (scenario, seed, group) = plan.case(index)?;
        let context = Context::of(&scenario, seed);
        let mut measures = Vec::with_capacity(policies.len());
        for policy in &policies {
            let report = simulate(&scenario, policy.make(&context)?.as_mut(), seed);
            measures.push(Measures::of(&report, &scenario));
        }
        progress();
        let without = measures.split_off(1);
        let whole = measures.pop().ok_or(StudyError::Nothing { what: "policy" })?;
        Ok::<_, StudyError>(Case { group, is_draw: index >= fixed, whole, without })
    })?;
    let goodput = cases.iter().map(|c| c.whole.goodput).sum::<f64>() / cases.len() as f64;
    let terms = TERMS.iter().enumerate().map(|(index, term)| Without::of(term, index, &cases));
    Ok(Ablation { fixed, draws: cases.len() - fixed, goodput, terms: terms.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_plan_is_valid() {
        let plan = Plan::full().expect("presets");
        assert_eq!(plan.cases(), 12 * 5 * 3 + 200);
        assert!(plan.check().is_ok());
        let (scenario, seed, group) = plan.case(4).expect("a case");
        assert_eq!((scenario.name(), seed, group.as_str()), ("step2x@fifo", 2, "step2x@fifo"));
        let (.., group) = plan.case(plan.cases() - 1).expect("a case");
        assert!(group.starts_with("draws: "), "{group}");
    }

    #[test]
    fn nothing_to_run_is_refused() {
        let refused = |plan: &Plan| run(plan, &|| ()).expect_err("refused").to_string();
        let none = Plan { draws: 0, ..Plan::quick() };
        assert!(refused(&none).starts_with("no scenario with a seed, nor a draw, was given"));
        let seedless = Plan { seeds: Vec::new(), draws: 0, ..Plan::full().expect("presets") };
        assert!(refused(&seedless).starts_with("no scenario"));
        let many = Plan { draws: 100_001, ..Plan::quick() };
        assert!(refused(&many).starts_with("draws is 100001, allowed is 0 to"));
    }
}
