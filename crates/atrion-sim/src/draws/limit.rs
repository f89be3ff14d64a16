//! The best static limit of one run in hindsight, at half the price of trying them all.

use atrion_core::math;

use crate::policy::{PerRoute, Static};
use crate::report::Report;
use crate::scenario::Scenario;
use crate::world::run;

/// Limits, as multiples of the true parallelism: those of [`crate::oracle`].
const MULTIPLES: [f64; 12] = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0];
/// Where the search begins: every third.
const FIRST: [usize; 4] = [1, 4, 7, 10];

/// The ladder of limits for a scenario, all different.
fn ladder(scenario: &Scenario) -> Vec<u32> {
    let mut limits: Vec<u32> = Vec::with_capacity(MULTIPLES.len());
    for multiple in MULTIPLES {
        let wanted = math::max(1.0, multiple * scenario.parallelism() + 0.5) as u32;
        limits.push(wanted.max(limits.last().map_or(1, |last| last + 1)));
    }
    limits
}

/// The search: every third limit, then uphill from the best of them. Goodput rises with the limit
/// until the service is busy and falls once answers are late, so the hill has one top but for
/// noise. A limit that refused nobody stands for all larger ones.
struct Search<'a> {
    scenario: &'a Scenario,
    seed: u64,
    limits: Vec<u32>,
    tried: Vec<Option<f64>>,
    best: Option<(usize, Report)>,
    /// The least index at which nobody was refused.
    free_from: usize,
}

impl Search<'_> {
    /// Goodput at this index; nothing beyond the ends.
    fn try_at(&mut self, index: usize) -> Option<f64> {
        let limit = *self.limits.get(index)?;
        if let Some(known) = self.tried.get(index).copied().flatten() {
            return Some(known);
        }
        if index > self.free_from {
            return self.tried.get(self.free_from).copied().flatten();
        }
        let routes = self.scenario.routes().len();
        let mut policy = PerRoute::new(routes, |_| Static::new(limit));
        let report = run(self.scenario, &mut policy, self.seed);
        let work = report.good_work;
        if report.admitted == report.requests {
            self.free_from = index;
        }
        if let Some(place) = self.tried.get_mut(index) {
            *place = Some(work);
        }
        if self.best.as_ref().is_none_or(|(_, best)| work > best.good_work) {
            self.best = Some((index, report));
        }
        Some(work)
    }

    fn climb(&mut self) {
        for index in FIRST {
            self.try_at(index);
        }
        loop {
            let Some(top) = self.best.as_ref().map(|(index, _)| *index) else { return };
            if let Some(below) = top.checked_sub(1) {
                self.try_at(below);
            }
            self.try_at(top + 1);
            if self.best.as_ref().is_none_or(|(index, _)| *index == top) {
                return;
            }
        }
    }
}

/// The limit with the highest goodput that the search finds, and its report.
pub(crate) fn best(scenario: &Scenario, seed: u64) -> Option<(u32, Report)> {
    let limits = ladder(scenario);
    let tried = vec![None; limits.len()];
    let free_from = usize::MAX;
    let mut search = Search { scenario, seed, limits, tried, best: None, free_from };
    search.climb();
    let (index, report) = search.best?;
    search.limits.get(index).map(|limit| (*limit, report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::{Draw, Family};

    #[test]
    fn the_search_finds_nearly_what_trying_all_finds() {
        let (mut short, mut worst) = (0.0, 0.0);
        for number in 1..=12 {
            let draw = Draw::new(Family::Training, number, 10_000.0).expect("valid");
            let (_, all) = crate::oracle(draw.scenario(), &[draw.seed()], || ());
            let full = all.first().map_or(0.0, Report::goodput);
            let found = best(draw.scenario(), draw.seed()).map_or(0.0, |(_, r)| r.goodput());
            assert!(found <= full + 1e-9, "draw {number}: {found} % above the best, {full} %");
            short += (full - found) / 12.0;
            worst = math::max(worst, full - found);
        }
        assert!(short < 0.2 && worst < 3.0, "mean {short} and at most {worst} points short");
    }
}
