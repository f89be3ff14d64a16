//! A service fitted to what was recorded.

use std::collections::BTreeMap;

use atrion_core::math;
use atrion_trace::{Outcome, Request};
use serde::Serialize;

use super::ReplayError;
use super::tiers::{Figures, quantile, success_secs};
use crate::distribution::Distribution;
use crate::report::Report;
use crate::scenario::{Effect, Fault, Service};

/// Samples from which mean and spread are taken: this share of the successes, the least crowded
/// ones, but no fewer than this many.
const SAMPLE_SHARE: f64 = 0.05;
const FEWEST_SAMPLES: usize = 100;
/// Stretches whose error rates are fitted one by one, and rates that are none.
const STRETCHES: usize = 50;
const LEAST_ERRORS: f64 = 0.005;
/// Most workers or cores that are tried.
pub(super) const MOST_WORKERS: u32 = 4096;
/// Latencies that a mean is worth taking of, and beyond which more of them weigh no more: calm
/// times must not drown the short ones that show the limit.
const FEWEST_PER_COUNT: u64 = 5;
const MOST_WEIGHT: u64 = 100;
/// A capacity that explains the latencies hardly better than none is none that the trace has shown:
/// by this much of their root mean square deviation, as a logarithm.
const NOT_SEEN: f64 = 0.02;

/// How the fitted service works on several requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Discipline {
    /// So many at a time, in order of arrival.
    Fifo,
    /// All at once, sharing so many cores.
    Sharing,
}

/// A service fitted to one route of a trace, and how well it fits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// How it works on several requests.
    pub discipline: Discipline,
    /// Workers or cores.
    pub workers: u32,
    /// The trace shows no queue, so that the capacity may be anything from `workers` up.
    pub is_lower_bound: bool,
    /// Mean service time in seconds.
    pub mean_secs: f64,
    /// Mean latency of the uncontended samples, in seconds: what the mean was corrected from.
    pub sampled_mean_secs: f64,
    /// Coefficient of variation of the samples; service times are drawn from a lognormal.
    pub cv: f64,
    /// Successes with the fewest requests in flight, from which mean and spread are taken.
    pub samples: usize,
    /// Requests in flight at most among the samples.
    pub samples_in_flight: u32,
    /// Share of failures by stretch: from, to (in seconds) and share. Nothing else that happened
    /// to the service over time is in the model.
    pub errors: Vec<(f64, f64, f64)>,
    /// Mean deviation of the model's median, 99th percentile and 99th percentiles over time from
    /// the recorded ones under the recorded load, as a share: 0.1 is 10 %.
    pub error: f64,
}

/// Service times as far as nobody was in the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    pub(super) mean_secs: f64,
    pub(super) cv: f64,
    pub(super) samples: usize,
    pub(super) in_flight: u32,
}

/// Takes mean and spread from the successes that had the fewest in flight beside them.
pub(super) fn times(requests: &[&Request], route: &str) -> Result<Times, ReplayError> {
    let mut samples: Vec<(u32, f64)> =
        requests.iter().filter_map(|r| Some((r.in_flight?, success_secs(r)?))).collect();
    samples.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let wanted = ((samples.len() as f64 * SAMPLE_SHARE) as usize).max(FEWEST_SAMPLES);
    let Some((in_flight, _)) = samples.get(wanted.min(samples.len()).saturating_sub(1)).copied()
    else {
        let problem = "none of its requests succeeded with a measured latency".to_owned();
        return Err(ReplayError::NoFit { route: route.to_owned(), problem });
    };
    let whole = samples.partition_point(|(n, _)| *n <= in_flight);
    let used: Vec<f64> = samples.iter().take(whole).map(|(_, secs)| *secs).collect();
    let n = used.len() as f64;
    let mean = used.iter().sum::<f64>() / n;
    let variance = used.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    let mean_secs = math::clamp(mean, 1e-6, 60.0);
    let cv = math::clamp(math::sqrt(variance) / mean_secs, 0.01, 10.0);
    Ok(Times { mean_secs, cv, samples: used.len(), in_flight })
}

impl Fit {
    /// A model with a larger error than this should not be relied on.
    pub const TRUSTED: f64 = 0.3;

    /// Whether the model is near enough to what was recorded to be relied on.
    pub fn is_trusted(&self) -> bool {
        self.error <= Self::TRUSTED
    }
}

impl Times {
    /// The service with these times.
    pub(super) fn service(&self, discipline: Discipline, workers: u32) -> Service {
        let service = match discipline {
            Discipline::Fifo => Service::fifo(workers, self.mean_secs),
            Discipline::Sharing => Service::sharing(workers, self.mean_secs),
        };
        service.with_distribution(Distribution::Lognormal { cv: self.cv })
    }
}

/// Share of failures, stretch by stretch, where there were any.
pub(super) fn errors(requests: &[&Request], arrivals: &[f64], secs: f64) -> Vec<(f64, f64, f64)> {
    let width = secs / STRETCHES as f64;
    let mut counts = [(0_u64, 0_u64); STRETCHES];
    for (request, at) in requests.iter().zip(arrivals) {
        let index = ((at / width) as usize).min(STRETCHES - 1);
        if let (Some((ended, failed)), Some((_, outcome))) = (counts.get_mut(index), request.end) {
            *ended += u64::from(outcome != Outcome::Cancelled);
            *failed += u64::from(outcome == Outcome::Failure);
        }
    }
    let share = |(ended, failed): (u64, u64)| failed as f64 / ended.max(1) as f64;
    let stretches = counts.iter().enumerate();
    stretches
        .map(|(n, c)| (n as f64 * width, (n + 1) as f64 * width, share(*c)))
        .filter(|(_, _, share)| *share > LEAST_ERRORS)
        .collect()
}

/// Failures as faults of a scenario.
pub(super) fn faults(errors: &[(f64, f64, f64)], secs: f64) -> Vec<Fault> {
    let fault = |(from, to, share): &(f64, f64, f64)| {
        Fault::new(*from, math::min(*to, secs), Effect::Errors { share: *share })
    };
    errors.iter().map(fault).filter(|f| f.to_secs > f.from_secs).collect()
}

/// Numbers of workers to try: fine where it matters, up to what never queues.
fn candidates(most_in_flight: u32) -> Vec<u32> {
    let most = most_in_flight.clamp(1, MOST_WORKERS);
    let mut all: Vec<u32> = Vec::new();
    let mut next = 1_u32;
    while next < most {
        all.push(next);
        next += (next / 10).max(1);
    }
    all.push(most);
    all
}

/// A capacity that explains the latencies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Capacity {
    pub(super) workers: u32,
    pub(super) mean_secs: f64,
    /// The trace shows no limit; this is the least that explains it as well as any.
    pub(super) is_lower_bound: bool,
}

/// Finds the capacity from latency against requests in flight at admission.
///
/// A request that is the n-th in flight takes `s * max(1, n / c)` on average where `c` work at a
/// time for `s` each: in order of arrival it waits for `n - c` others, which leave every `s / c`;
/// sharing, it gets a `c / n`-th of the speed. So the bend shows `c`, and both sides show `s`.
/// Decisions play no part in it, and neither does the chance in service times.
pub(super) fn capacity(requests: &[&Request]) -> Option<Capacity> {
    let mut by_count: BTreeMap<u32, (u64, f64)> = BTreeMap::new();
    for request in requests {
        if let (Some(n), Some(secs)) = (request.in_flight, success_secs(request)) {
            let (count, sum) = by_count.entry(n.clamp(1, MOST_WORKERS)).or_default();
            *count += 1;
            *sum += secs;
        }
    }
    if by_count.values().any(|(count, _)| *count >= FEWEST_PER_COUNT) {
        by_count.retain(|_, (count, _)| *count >= FEWEST_PER_COUNT);
    }
    by_count.retain(|_, (_, sum)| *sum > 0.0);
    let most = *by_count.keys().next_back()?;
    let workers = candidates(most);
    let tried: Vec<(f64, f64)> = workers.iter().map(|c| bend(&by_count, *c)).collect();
    let errors: Vec<f64> = tried.iter().map(|(_, error)| *error).collect();
    let (index, is_lower_bound) = best(&errors)?;
    let (mean_secs, _) = tried.get(index).copied()?;
    let mean_secs = math::clamp(mean_secs, 1e-6, 60.0);
    Some(Capacity { workers: workers.get(index).copied()?, mean_secs, is_lower_bound })
}

/// With so many workers: the mean service time that fits best, and the root mean square deviation
/// of the latencies' logarithms.
fn bend(by_count: &BTreeMap<u32, (u64, f64)>, workers: u32) -> (f64, f64) {
    let points = || {
        by_count.iter().map(|(n, (count, sum))| {
            let slower = math::max(f64::from(*n) / f64::from(workers), 1.0);
            let ln = math::ln(sum / *count as f64) - math::ln(slower);
            ((*count).min(MOST_WEIGHT) as f64, ln)
        })
    };
    let weights: f64 = points().map(|(weight, _)| weight).sum();
    let mean = points().map(|(weight, ln)| weight * ln).sum::<f64>() / weights;
    let square = points().map(|(weight, ln)| weight * (ln - mean) * (ln - mean)).sum::<f64>();
    (math::exp(mean), math::sqrt(square / weights))
}

/// Of errors for every candidate, fewest workers first, with the last never queueing: the index of
/// the best, and whether the trace shows no limit.
fn best(errors: &[f64]) -> Option<(usize, bool)> {
    let least = errors.iter().copied().fold(f64::INFINITY, math::min);
    let endless = errors.last().copied()?;
    let is_lower_bound = endless - least < NOT_SEEN;
    // Without a limit to be seen, the fewest workers that do as well as any.
    let enough = if is_lower_bound { least + NOT_SEEN } else { least };
    let index = errors.iter().position(|error| *error <= enough)?;
    Some((index, is_lower_bound))
}

/// What is compared of a recorded and a modelled run.
pub(super) struct Shape {
    p50: Option<f64>,
    p99: Option<f64>,
    over_time: Vec<Option<f64>>,
    bin_secs: f64,
}

impl Shape {
    /// Of the recorded run, in bins as the model has them.
    pub(super) fn recorded(
        requests: &[&Request],
        arrivals: &[f64],
        figures: &Figures,
        report: &Report,
    ) -> Self {
        let mut bins: Vec<Vec<f64>> = vec![Vec::new(); report.bins.len()];
        for (request, at) in requests.iter().zip(arrivals) {
            if let (Some(bin), Some(secs)) =
                (bins.get_mut((at / report.bin_secs) as usize), success_secs(request))
            {
                bin.push(secs);
            }
        }
        let over_time = bins.iter_mut().map(|bin| {
            bin.sort_unstable_by(f64::total_cmp);
            quantile(bin, 0.99)
        });
        Self {
            p50: figures.p50_secs,
            p99: figures.p99_secs,
            over_time: over_time.collect(),
            bin_secs: report.bin_secs,
        }
    }

    /// Mean deviation of a modelled run, as a share.
    pub(super) fn deviation(&self, report: &Report) -> f64 {
        debug_assert!((self.bin_secs - report.bin_secs).abs() < 1e-9, "the same bins");
        let apart = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) if a > 0.0 && b > 0.0 => Some((math::ln(a) - math::ln(b)).abs()),
            _ => None,
        };
        let latency = report.latency;
        let pairs = self.over_time.iter().zip(&report.bins);
        let over_time: Vec<f64> =
            pairs.filter_map(|(r, m)| apart(*r, m.p99_secs.map(f64::from))).collect();
        let parts = [
            apart(self.p50, latency.map(|l| l.p50_secs)),
            apart(self.p99, latency.map(|l| l.p99_secs)),
            (!over_time.is_empty()).then(|| over_time.iter().sum::<f64>() / over_time.len() as f64),
        ];
        let known: Vec<f64> = parts.iter().flatten().copied().collect();
        if known.is_empty() {
            return f64::INFINITY;
        }
        math::exp(known.iter().sum::<f64>() / known.len() as f64) - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_grow_up_to_what_never_queues() {
        assert_eq!(candidates(0), [1]);
        assert_eq!(candidates(3), [1, 2, 3]);
        let many = candidates(1_000_000);
        assert_eq!(many.last(), Some(&MOST_WORKERS));
        assert!(many.len() < 100 && many.is_sorted(), "{many:?}");
    }

    #[test]
    fn a_capacity_is_told_from_none() {
        assert_eq!(best(&[0.9, 0.1, 0.05, 0.3, 0.8]), Some((2, false)));
        assert_eq!(best(&[0.9, 0.4, 0.11, 0.1, 0.1]), Some((2, true)));
        assert_eq!(best(&[]), None);
    }
}
