//! The best static limit in hindsight.

use atrion_core::math;

use crate::policy::StaticLimit;
use crate::scenario::{Model, Scenario};
use crate::world::{Report, run};

/// Limits tried, as multiples of the service's own parallelism.
const MULTIPLES: [f64; 12] = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0];

/// A dozen distinct limits around what the service can work on at once.
pub fn limits(model: &Model) -> Vec<u32> {
    let mut limits: Vec<u32> = Vec::new();
    for multiple in MULTIPLES {
        let wanted = math::max(1.0, multiple * model.parallelism() + 0.5) as u32;
        let next = limits.last().map_or(1, |last| last + 1);
        limits.push(wanted.max(next));
    }
    limits
}

/// The limit whose goodput, summed over the seeds, is highest, and its reports.
pub fn best(scenario: &Scenario, seeds: &[u64]) -> (u32, Vec<Report>) {
    let mut best: Option<(u32, Vec<Report>)> = None;
    for limit in limits(&scenario.model) {
        let reports: Vec<Report> =
            seeds.iter().map(|s| run_routes(scenario, *s, |_| StaticLimit::new(limit))).collect();
        let good = |r: &[Report]| r.iter().map(|r| r.good).sum::<u64>();
        if best.as_ref().is_none_or(|(_, b)| good(&reports) > good(b)) {
            best = Some((limit, reports));
        }
    }
    best.expect("there are limits")
}

/// Runs a scenario with one fresh policy per route.
pub fn run_routes<P: crate::policy::Policy>(
    scenario: &Scenario,
    seed: u64,
    make: impl Fn(u64) -> P,
) -> Report {
    let routes = scenario.classes.iter().map(|c| c.route).max().unwrap_or(0) + 1;
    let mut policies: Vec<P> =
        (0..routes as u64).map(|route| make(seed.wrapping_mul(97).wrapping_add(route))).collect();
    run(scenario, &mut policies, seed)
}

/// The mean of one figure over reports.
pub fn mean(reports: &[Report], figure: impl Fn(&Report) -> f64) -> f64 {
    reports.iter().map(figure).sum::<f64>() / reports.len() as f64
}
