//! The figures, computed from the record.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::blame::{Delays, Failure, Refusals, delays, failures};
use super::record::{Phase, Published, Record};
use super::script::{first_to_fail, warning};
use super::wire::Ending;
use super::{INTERVAL, NODES, SHARED};
use crate::stats::percentile;

/// Service is full when so many percent of the requests are served ...
const FULL_PERCENT: f64 = 95.0;
/// ... in so many bins of this length in a row.
const FULL_BINS: usize = 5;
const BIN_NS: u64 = 100_000_000;

/// Everything that is reported. What a fault prevented from being measured is `None`.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) seed: u64,
    pub(crate) short: bool,
    pub(crate) sync_interval_ms: f64,

    /// From the opening of the first node's breaker until another node, which gets no requests on
    /// that route, holds it.
    pub(crate) warned_ms_p50: Option<f64>,
    pub(crate) warned_ms_p99: Option<f64>,
    /// Pairs of a failing route and a node that was to be warned, and those that was not.
    pub(crate) warnings: u64,
    pub(crate) warnings_missed: u64,

    pub(crate) dead_requests_shared: u64,
    pub(crate) dead_requests_alone: u64,
    pub(crate) recovery_s: Option<f64>,
    pub(crate) recovery_alone_s: Option<f64>,

    pub(crate) requests_failed_or_delayed_by_sync: u64,
    pub(crate) delays: Delays,
    /// The first few of the requests that failed while they should not have.
    pub(crate) failures: Vec<Failure>,

    /// The worst of all faults, and each.
    pub(crate) reconverged_intervals: Option<f64>,
    pub(crate) reconverged_ms: BTreeMap<Phase, Option<f64>>,

    /// Normal and above, at the nodes that do not lie.
    pub(crate) normal_requests_refused_under_liar: u64,
    pub(crate) normal_requests_under_liar: u64,
    pub(crate) bulk_percent_refused_under_liar: f64,
    pub(crate) bulk_requests_under_liar: u64,
    /// For how long after its first lie anything was refused.
    pub(crate) liar_bound_ms: f64,
    pub(crate) refusals_under_liar: Vec<Failure>,
    pub(crate) lies_told: u64,
    pub(crate) lies_heard: u64,

    pub(crate) bytes_per_changed_route: Option<f64>,
    /// The same when the routes are named for the first time.
    pub(crate) bytes_per_new_route: Option<f64>,

    /// The 99th percentile of a call of `admit`, at the slowest node.
    pub(crate) admit_p99_us_shared: f64,
    pub(crate) admit_p99_us_alone: f64,

    pub(crate) generator_lag_p99_ms: f64,
    pub(crate) node_stall_p99_ms: f64,
    pub(crate) clock_disagreement_ms: f64,
}

impl Figures {
    pub(crate) fn new(record: &Record, seed: u64, short: bool) -> Self {
        let (warned, warnings_missed) = warned(record);
        let ms = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1e6);
        // Whoever was not warned at all was warned later than all others.
        let mut all: Vec<Option<u64>> = warned.iter().copied().map(Some).collect();
        all.resize(warned.len() + warnings_missed, None);
        let reconverged_ms: BTreeMap<Phase, Option<f64>> =
            Phase::FAULTS.iter().map(|fault| (*fault, ms(record.agreed(*fault)))).collect();
        let delays = delays(record);
        let liar = Refusals::under_liar(record);
        let mut lags: Vec<u32> = record.requests.iter().map(|r| r.lag_us).collect();
        lags.sort_unstable();
        let mut stalls = record.stalls_us.clone();
        stalls.sort_unstable();
        let p99_ms = |sorted: &[u32]| f64::from(percentile(sorted, 0.99).unwrap_or(0)) / 1e3;
        let dead = |nodes: std::ops::Range<usize>| {
            let sum = |counts: &[u64]| counts.get(nodes.clone()).unwrap_or_default().iter().sum();
            let (before, after): (u64, u64) =
                (sum(&record.dead_before.per_node), sum(&record.dead_after.per_node));
            after.saturating_sub(before)
        };
        Self {
            seed,
            short,
            sync_interval_ms: interval_ms(),
            warned_ms_p50: percentile(&all, 0.5).and_then(ms),
            warned_ms_p99: percentile(&all, 0.99).and_then(ms),
            warnings: all.len() as u64,
            warnings_missed: warnings_missed as u64,
            dead_requests_shared: dead(0..SHARED),
            dead_requests_alone: dead(SHARED..NODES),
            recovery_s: recovery(record, 0..SHARED),
            recovery_alone_s: recovery(record, SHARED..NODES),
            requests_failed_or_delayed_by_sync: delays.failed_shared + delays.delayed_by_sync,
            delays,
            failures: failures(record, &Phase::FAULTS),
            liar_bound_ms: liar.bound_ms,
            refusals_under_liar: failures(record, &[Phase::Liar]),
            reconverged_intervals: worst(&reconverged_ms).map(|ms| ms / interval_ms()),
            reconverged_ms,
            normal_requests_refused_under_liar: liar.normal_refused,
            normal_requests_under_liar: liar.normal,
            bulk_percent_refused_under_liar: liar.bulk_percent(),
            bulk_requests_under_liar: liar.bulk,
            lies_told: record.lies,
            lies_heard: record.lies_heard,
            bytes_per_changed_route: per_route(record.repeated),
            bytes_per_new_route: per_route(record.introduced),
            admit_p99_us_shared: admit_us(record, 0..SHARED),
            admit_p99_us_alone: admit_us(record, SHARED..NODES),
            generator_lag_p99_ms: p99_ms(&lags),
            node_stall_p99_ms: p99_ms(&stalls),
            clock_disagreement_ms: record.clock_us as f64 / 1e3,
        }
    }
}

fn interval_ms() -> f64 {
    INTERVAL.as_secs_f64() * 1e3
}

/// How long each warning took, ascending, and how many never came.
fn warned(record: &Record) -> (Vec<u64>, usize) {
    let mut took = Vec::new();
    let mut missed = 0;
    let mut number = 0;
    while let Some(opened) = Record::first(&record.opened, first_to_fail(number), &warning(number))
    {
        for other in (0..SHARED).filter(|other| *other != first_to_fail(number)) {
            match Record::first(&record.held, other, &warning(number)) {
                // Told of the growing scar, it may hold the route before the breaker is open.
                Some(held) => took.push(held.saturating_sub(opened)),
                None => missed += 1,
            }
        }
        number += 1;
    }
    took.sort_unstable();
    (took, missed)
}

fn worst(reconverged: &BTreeMap<Phase, Option<f64>>) -> Option<f64> {
    reconverged.values().copied().try_fold(0.0, |worst, ms| {
        let ms = ms?;
        Some(if ms > worst { ms } else { worst })
    })
}

fn per_route(published: Published) -> Option<f64> {
    (published.changes > 0).then(|| published.bytes as f64 / published.changes as f64)
}

/// Seconds from the healing of the dependency until service is full and stays so for half a
/// second.
fn recovery(record: &Record, nodes: std::ops::Range<usize>) -> Option<f64> {
    let span = record.phases.get(&Phase::Recovery)?;
    let bins = usize::try_from(span.to.saturating_sub(span.from) / BIN_NS).ok()?;
    let mut count = vec![(0_u32, 0_u32); bins];
    for request in record.requests_in(Phase::Recovery, nodes) {
        let bin = usize::try_from((request.at - span.from) / BIN_NS).ok()?;
        if let Some((sent, good)) = count.get_mut(bin) {
            *sent += 1;
            *good += u32::from(request.ending == Ending::Good);
        }
    }
    let full = |(sent, good): &(u32, u32)| {
        *sent > 0 && 100.0 * f64::from(*good) >= FULL_PERCENT * f64::from(*sent)
    };
    let first = count.windows(FULL_BINS).position(|bins| bins.iter().all(full))?;
    Some(Duration::from_nanos(BIN_NS).as_secs_f64() * first as f64)
}

/// The worst percentile of any of these nodes.
fn admit_us(record: &Record, nodes: std::ops::Range<usize>) -> f64 {
    let of = record.admits.iter().filter(|(node, _)| nodes.contains(node));
    f64::from(of.map(|(_, stats)| stats.admit_p99_ns).max().unwrap_or(0)) / 1e3
}

#[cfg(test)]
mod tests;
