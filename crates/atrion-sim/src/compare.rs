//! Several policies in one scenario, and the best static limit in hindsight.

use atrion_core::math;
use atrion_engine::BuildError;

use crate::policy::{Choice, Context, PerRoute, Static};
use crate::report::Report;
use crate::scenario::Scenario;
use crate::world::run;

/// Limits that the oracle tries, as multiples of the true parallelism.
const MULTIPLES: [f64; 12] = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0];
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
        let (limit, reports) = oracle(scenario, seeds, progress);
        return Ok(Evaluation { policy: format!("{}:{limit}", choice.name()), reports });
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
pub fn oracle(
    scenario: &Scenario,
    seeds: &[u64],
    mut progress: impl FnMut(),
) -> (u32, Vec<Report>) {
    let routes = scenario.routes().len();
    let (mut best, mut best_work) = ((0, Vec::new()), -1.0);
    let mut last = 0;
    for multiple in MULTIPLES {
        let wanted = math::max(1.0, multiple * scenario.parallelism() + 0.5) as u32;
        let limit = wanted.max(last + 1);
        last = limit;
        let mut reports = Vec::with_capacity(seeds.len());
        for seed in seeds {
            let mut policy = PerRoute::new(routes, |_| Static::new(limit));
            reports.push(run(scenario, &mut policy, *seed));
            progress();
        }
        let work: f64 = reports.iter().map(|r| r.good_work).sum();
        if work > best_work {
            (best, best_work) = ((limit, reports), work);
        }
    }
    best
}
