//! The figures, computed from the record.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::record::{Phase, Published, Record};
use super::script::{first_to_fail, warning};
use super::wire::{Ending, Request};
use super::{INTERVAL, NODES, SHARED};
use crate::plan::TIERS;
use crate::stats::percentile;

/// A request is delayed if it takes so much longer than all but one in a thousand did while
/// nothing happened, at the same node.
const DELAY_US: u32 = 5_000;
/// So many standard deviations more at the nodes that share than at those that do not are chance.
const CHANCE: f64 = 3.0;
/// Service is full when so many percent of the requests are served ...
const FULL_PERCENT: f64 = 95.0;
/// ... in so many bins of this length in a row.
const FULL_BINS: usize = 5;
const BIN_NS: u64 = 100_000_000;
/// So many failures are listed one by one.
const FAILURES_SHOWN: usize = 10;

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
    pub(crate) links_lost: u64,
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
    pub(crate) lies_told: u64,
    pub(crate) lies_heard: u64,

    pub(crate) bytes_per_changed_route: Option<f64>,
    /// The same when the routes are named for the first time.
    pub(crate) bytes_per_new_route: Option<f64>,

    /// The 99.9th percentile of a call of `admit` during the faults.
    pub(crate) admit_p999_us_shared: f64,
    pub(crate) admit_p999_us_alone: f64,

    pub(crate) generator_lag_p99_ms: f64,
    pub(crate) node_stall_p99_ms: f64,
    pub(crate) clock_disagreement_ms: f64,
}

/// A request that failed during a fault.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) fault: Phase,
    /// How long after it began.
    pub(crate) after_ms: f64,
    pub(crate) node: usize,
    pub(crate) tier: &'static str,
    pub(crate) why: String,
}

/// Requests during the faults, at the nodes that share and at those that do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Delays {
    pub(crate) requests_shared: u64,
    pub(crate) requests_alone: u64,
    /// Answered with an error, or refused because of failures. The dependency is healthy all the
    /// time, so there is no other cause for one: each counts.
    pub(crate) failed_shared: u64,
    pub(crate) failed_alone: u64,
    /// Late, not answered, or refused because too many others were late.
    pub(crate) delayed_shared: u64,
    pub(crate) delayed_alone: u64,
    /// More than chance explains.
    pub(crate) delayed_by_sync: u64,
    /// The slowest of the limits beyond which a request counts as delayed.
    pub(crate) limit_ms: f64,
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
            links_lost: record.links_lost,
            failures: failures(record),
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
            admit_p999_us_shared: admit_us(record, 0..SHARED),
            admit_p999_us_alone: admit_us(record, SHARED..NODES),
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

/// What the faults did to requests. The nodes that share nothing get the same load at the same
/// time on the same machine: what delays theirs, too, is not the sharing.
fn delays(record: &Record) -> Delays {
    let mut delays = Delays::default();
    for node in 0..NODES {
        let mut calm: Vec<u32> = record
            .requests_in(Phase::Calm, node..node + 1)
            .filter(|r| r.ending == Ending::Good)
            .map(|r| r.latency_us)
            .collect();
        calm.sort_unstable();
        let limit = percentile(&calm, 0.999).unwrap_or(0).saturating_add(DELAY_US);
        let limit_ms = f64::from(limit) / 1e3;
        if limit_ms > delays.limit_ms {
            delays.limit_ms = limit_ms;
        }
        let shared = node < SHARED;
        for fault in Phase::FAULTS {
            for request in record.requests_in(fault, node..node + 1) {
                delays.count(request, limit, shared);
            }
        }
    }
    delays.delayed_by_sync = beyond_chance(delays.delayed_shared, delays.delayed_alone);
    delays
}

fn failures(record: &Record) -> Vec<Failure> {
    let of = |fault: Phase| {
        let from = record.phases.get(&fault).map_or(0, |span| span.from);
        let failed = record.requests_in(fault, 0..SHARED);
        let failed = failed.filter(|r| matches!(r.ending, Ending::Refused | Ending::Failed));
        failed.map(move |request| Failure {
            fault,
            after_ms: (request.at - from) as f64 / 1e6,
            node: request.node,
            tier: TIERS.get(request.tier).map_or("", |tier| tier.name),
            why: request.why.clone(),
        })
    };
    Phase::FAULTS.into_iter().flat_map(of).take(FAILURES_SHOWN).collect()
}

/// By how much `shared` is more than `alone`, if it is more than two equal causes explain.
fn beyond_chance(shared: u64, alone: u64) -> u64 {
    let excess = shared.saturating_sub(alone);
    let chance = CHANCE * ((shared + alone) as f64).sqrt();
    if excess as f64 > chance { excess } else { 0 }
}

impl Delays {
    fn count(&mut self, request: &Request, limit_us: u32, shared: bool) {
        let (requests, failed, delayed) = if shared {
            (&mut self.requests_shared, &mut self.failed_shared, &mut self.delayed_shared)
        } else {
            (&mut self.requests_alone, &mut self.failed_alone, &mut self.delayed_alone)
        };
        *requests += 1;
        match request.ending {
            Ending::Good => *delayed += u64::from(request.latency_us > limit_us),
            Ending::TimedOut | Ending::Saturated => *delayed += 1,
            Ending::Refused | Ending::Failed => *failed += 1,
        }
    }
}

/// What the nodes that do not lie refuse while one lies. As many nodes that share nothing tell how
/// many are refused because the machine is busy.
#[derive(Default)]
struct Refusals {
    normal: u64,
    normal_refused: u64,
    bulk: u64,
    bulk_refused: u64,
}

impl Refusals {
    fn under_liar(record: &Record) -> Self {
        let bulk = |request: &Request| request.tier + 1 == TIERS.len();
        let honest = 0..SHARED - 1;
        let count = |nodes: std::ops::Range<usize>, low: bool, ending: Option<Ending>| {
            let all = record.requests_in(Phase::Liar, nodes).filter(|r| bulk(r) == low);
            all.filter(|r| ending.is_none_or(|ending| r.ending == ending)).count() as u64
        };
        let refused = |low| {
            let saturated = |nodes| count(nodes, low, Some(Ending::Saturated));
            let alone = saturated(SHARED..SHARED + honest.len());
            count(honest.clone(), low, Some(Ending::Refused))
                + beyond_chance(saturated(honest.clone()), alone)
        };
        Self {
            normal: count(honest.clone(), false, None),
            normal_refused: refused(false),
            bulk: count(honest.clone(), true, None),
            bulk_refused: refused(true),
        }
    }

    fn bulk_percent(&self) -> f64 {
        if self.bulk == 0 { 100.0 } else { 100.0 * self.bulk_refused as f64 / self.bulk as f64 }
    }
}

/// The worst percentile of any of these nodes.
fn admit_us(record: &Record, nodes: std::ops::Range<usize>) -> f64 {
    let of = record.admits.iter().filter(|(node, _)| nodes.contains(node));
    f64::from(of.map(|(_, stats)| stats.admit_p999_ns).max().unwrap_or(0)) / 1e3
}

#[cfg(test)]
mod tests;
