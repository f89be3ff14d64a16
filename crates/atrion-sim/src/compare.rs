//! Several policies in one scenario, and the best static limit (or quota) in hindsight.

use std::convert::Infallible;

use atrion_core::math;
use atrion_engine::BuildError;

use crate::policy::{Choice, Context, PerRoute, Policy, Static};
use crate::report::Report;
use crate::scenario::Scenario;
use crate::world::run;

/// Limits that the oracle tries, as multiples of the true parallelism.
const MULTIPLES: [f64; 12] = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0];
/// Quotas that the oracle of `governor` tries, as multiples of the true capacity.
const QUOTAS: [f64; MULTIPLES.len()] =
    [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2];
/// Seeds that the oracle searches with: the same as the runs it reports.
const ORACLE_RUNS: usize = MULTIPLES.len();

/// What one policy did in one scenario.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The policy's name; the oracle's with the limit it found, such as `oracle:28`.
    pub policy: String,
    /// One report for each seed, in their order.
    pub reports: Vec<Report>,
}

/// The number of simulated runs behind an evaluation, for progress bars.
pub fn runs(choice: &Choice, seeds: usize) -> usize {
    if choice.is_oracle() { seeds * ORACLE_RUNS } else { seeds }
}

/// Runs one policy in one scenario with every seed; `progress` is called after each run.
///
/// # Errors
/// [`BuildError`] if the engine cannot be built.
pub fn evaluate(
    scenario: &Scenario,
    choice: &Choice,
    seeds: &[u64],
    mut progress: impl FnMut(),
) -> Result<Evaluation, BuildError> {
    if choice.is_oracle() {
        let (number, reports) = match choice.quota_of_oracle(1) {
            None => oracle(scenario, seeds, progress),
            Some(_) => best_quota(scenario, choice, seeds, progress)?,
        };
        return Ok(Evaluation { policy: format!("{}:{number}", choice.name()), reports });
    }
    let mut reports = Vec::with_capacity(seeds.len());
    for seed in seeds {
        let mut policy = choice.make(&Context::of(scenario, *seed))?;
        reports.push(run(scenario, policy.as_mut(), *seed));
        progress();
    }
    Ok(Evaluation { policy: choice.name().to_owned(), reports })
}

/// The static limit whose goodput over these seeds is highest, of a dozen around the true
/// parallelism, with its reports. `progress` is called after each run.
///
/// Nobody can set it in reality: it is chosen for this scenario after having seen it.
pub fn oracle(scenario: &Scenario, seeds: &[u64], progress: impl FnMut()) -> (u32, Vec<Report>) {
    let routes = scenario.routes().len();
    let make =
        |limit, _: &Context| Ok::<_, Infallible>(PerRoute::new(routes, |_| Static::new(limit)));
    match best(scenario, seeds, MULTIPLES, scenario.parallelism(), make, progress) {
        Ok(best) => best,
        Err(never) => match never {},
    }
}

/// The same for the quota of `governor`, around the true capacity.
fn best_quota(
    scenario: &Scenario,
    choice: &Choice,
    seeds: &[u64],
    progress: impl FnMut(),
) -> Result<(u32, Vec<Report>), BuildError> {
    let make = |rate, context: &Context| {
        choice.quota_of_oracle(rate).as_ref().unwrap_or(choice).make(context)
    };
    best(scenario, seeds, QUOTAS, scenario.capacity_per_sec(), make, progress)
}

/// The number, of these multiples of `of`, whose policy has the highest goodput.
fn best<P: Policy, E>(
    scenario: &Scenario,
    seeds: &[u64],
    multiples: [f64; ORACLE_RUNS],
    of: f64,
    make: impl Fn(u32, &Context) -> Result<P, E>,
    mut progress: impl FnMut(),
) -> Result<(u32, Vec<Report>), E> {
    let (mut best, mut best_work) = ((0, Vec::new()), -1.0);
    let mut last = 0;
    for multiple in multiples {
        let wanted = math::max(1.0, multiple * of + 0.5) as u32;
        let number = wanted.max(last + 1);
        last = number;
        let mut reports = Vec::with_capacity(seeds.len());
        for seed in seeds {
            let mut policy = make(number, &Context::of(scenario, *seed))?;
            reports.push(run(scenario, &mut policy, *seed));
            progress();
        }
        let work: f64 = reports.iter().map(|r| r.good_work).sum();
        if work > best_work {
            (best, best_work) = ((number, reports), work);
        }
    }
    Ok(best)
}
