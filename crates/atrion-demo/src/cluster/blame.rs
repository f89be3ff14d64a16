//! Which requests fared badly because nodes share what they know, and not because the machine is
//! busy: nodes that share nothing get the same load at the same time.

use serde::Serialize;

use super::record::{Phase, Record};
use super::wire::{Ending, Request};
use super::{NODES, SHARED};
use crate::plan::TIERS;
use crate::stats::percentile;

/// A request is delayed if it takes so much longer than all but one in a thousand did while
/// nothing happened, at the same node.
const DELAY_US: u32 = 5_000;
/// So many standard deviations more at the nodes that share than at those that do not are chance.
const CHANCE: f64 = 3.0;
/// So many failures are listed one by one.
const FAILURES_SHOWN: usize = 20;

/// A request that failed or was refused.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) phase: Phase,
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

/// What the faults did to requests. The nodes that share nothing get the same load at the same
/// time on the same machine: what delays theirs, too, is not the sharing.
pub(crate) fn delays(record: &Record) -> Delays {
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

/// The first few of the requests that failed in these phases at the nodes that share.
pub(crate) fn failures(record: &Record, phases: &[Phase]) -> Vec<Failure> {
    let of = |phase: &Phase| {
        let phase = *phase;
        let from = record.phases.get(&phase).map_or(0, |span| span.from);
        let failed = record.requests_in(phase, 0..SHARED);
        let failed = failed.filter(|r| matches!(r.ending, Ending::Refused | Ending::Failed));
        failed.map(move |request| Failure {
            phase,
            after_ms: (request.at - from) as f64 / 1e6,
            node: request.node,
            tier: TIERS.get(request.tier).map_or("", |tier| tier.name),
            why: request.why.clone(),
        })
    };
    phases.iter().flat_map(of).take(FAILURES_SHOWN).collect()
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
pub(crate) struct Refusals {
    pub(crate) normal: u64,
    pub(crate) normal_refused: u64,
    pub(crate) bulk: u64,
    pub(crate) bulk_refused: u64,
    /// When the last request was refused for failures, since the liar was started.
    pub(crate) bound_ms: f64,
}

impl Refusals {
    pub(crate) fn under_liar(record: &Record) -> Self {
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
        let from = record.phases.get(&Phase::Liar).map_or(0, |span| span.from);
        let last = record.requests_in(Phase::Liar, honest.clone());
        let last = last.filter(|r| r.ending == Ending::Refused).map(|r| r.at - from).max();
        Self {
            bound_ms: last.unwrap_or(0) as f64 / 1e6,
            normal: count(honest.clone(), false, None),
            normal_refused: refused(false),
            bulk: count(honest.clone(), true, None),
            bulk_refused: refused(true),
        }
    }

    pub(crate) fn bulk_percent(&self) -> f64 {
        if self.bulk == 0 { 100.0 } else { 100.0 * self.bulk_refused as f64 / self.bulk as f64 }
    }
}
