//! The collector: reads an instance into the aggregator. It decides nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atrion_core::law::BreakerMode;
use atrion_core::time::Timestamp;
use atrion_engine::{Atrion, Force, RouteReport};
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::peers::{Node, NodeId};
use atrion_state::pulse::PulseStats;

use crate::aggregate::Aggregator;
use crate::sample::{Gauges, Reading, TallyReading};
use crate::snapshot::{ClusterRow, ProviderRow, Snapshot};
use crate::top::TopConfig;

/// Reads an [`Atrion`] when asked to, and remembers what its counters stood at. Cheap to clone;
/// all clones are one.
///
/// Requests do not notice: what is read is what they have published. A collection holds each
/// route's lock for some tens of nanoseconds, one after the other.
///
/// It holds the instance, which lives as long as it does.
#[derive(Clone)]
pub struct Collector(Arc<Inner>);

struct Inner {
    atrion: Atrion,
    clock: Box<dyn Clock>,
    names_limit: usize,
    state: Mutex<State>,
}

struct State {
    aggregator: Aggregator,
    exchange: Exchange,
    latest: Arc<Snapshot>,
}

impl Collector {
    /// A collector of this instance.
    pub fn new(atrion: &Atrion, top: TopConfig) -> Self {
        Self::with_clock(atrion, top, MonotonicClock::new())
    }

    /// One that reads the time from here. It need not be the instance's clock.
    pub fn with_clock(atrion: &Atrion, top: TopConfig, clock: impl Clock) -> Self {
        let state = State {
            aggregator: Aggregator::new(top),
            exchange: Exchange::default(),
            latest: Arc::default(),
        };
        Self(Arc::new(Inner {
            atrion: atrion.clone(),
            clock: Box::new(clock),
            names_limit: top.names(),
            state: Mutex::new(state),
        }))
    }

    /// The instance.
    pub fn atrion(&self) -> &Atrion {
        &self.0.atrion
    }

    /// Reads everything. Whoever comes while another collects waits for it.
    pub fn collect(&self) -> Arc<Snapshot> {
        let Inner { atrion, clock, names_limit, .. } = &*self.0;
        let mut state = self.state();
        let now = clock.now();
        let mut tallied = false;
        state.aggregator.begin(now);
        atrion.visit_reports(|report| {
            tallied |= report.tally.is_some();
            state.aggregator.observe(&report.name, &reading(&report), &gauges(&report));
        });
        state.aggregator.finish();
        let provider = atrion.health().map(|health| {
            let pulse = atrion.pulse_stats();
            let nodes = atrion.nodes();
            ProviderRow {
                health,
                vitals: atrion.vitals().unwrap_or_default(),
                pulse,
                since_delivery: state.exchange.since_delivery(&pulse, now),
                cluster: (!nodes.is_empty()).then(|| state.exchange.cluster(&nodes)),
            }
        });
        let snapshot = Arc::new(Snapshot {
            at: now,
            routes: state.aggregator.rows().cloned().collect(),
            other: *state.aggregator.other(),
            tallied,
            names_limit: *names_limit,
            stats: atrion.stats(),
            process: atrion.process_circuit(),
            provider,
        });
        state.latest = Arc::clone(&snapshot);
        snapshot
    }

    /// What the last collection found; empty before the first.
    pub fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state().latest)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A collection that panicked was cut short; the next one finishes its round.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").field("atrion", &self.0.atrion).finish_non_exhaustive()
    }
}

fn reading(report: &RouteReport) -> Reading {
    let counts = report.counts;
    Reading {
        completed: counts.completed,
        cancelled: counts.cancelled,
        refused: counts.shed,
        shadow_refused: counts.shadow_shed,
        tally: report.tally.map(|tally| TallyReading {
            admitted_by_tier: tally.admitted,
            refused_by_tier: tally.refused,
            refused_by_reason: tally.reasons,
        }),
    }
}

fn gauges(report: &RouteReport) -> Gauges {
    let forced = report.forced.map(|forced| forced.force);
    Gauges {
        in_flight: report.counts.in_flight,
        open: report.mode == BreakerMode::Open,
        held: report.held,
        shadow: report.shadow,
        forced_open: forced == Some(Force::Open),
        forced_closed: forced == Some(Force::Closed),
        resting: report.resting,
        resistance: report.resistance,
        parts: report.parts,
        own_scar: report.own_scar,
        parallelism: report.parallelism,
        service_secs: report.service_secs,
        capacity_rate: report.capacity_rate,
        error_rate: report.error_rate,
        momentum: report.momentum,
        next_probe_secs: report.next_probe.map(|at| at.secs_since(report.at)),
    }
}

/// What has to be remembered of the provider and the nodes between two collections.
#[derive(Debug, Default)]
struct Exchange {
    /// Calls that the provider had accepted, and when that was first found.
    accepted: Option<(u64, Timestamp)>,
    /// Frames taken in and lost of each node that is alive.
    nodes: HashMap<NodeId, (u64, u64)>,
    frames: u64,
    lost: u64,
}

impl Exchange {
    fn since_delivery(&mut self, pulse: &PulseStats, now: Timestamp) -> Duration {
        let accepted = pulse.batches.wrapping_add(pulse.heartbeats);
        match self.accepted {
            Some((before, since)) if before == accepted => now.since(since),
            _ => {
                self.accepted = Some((accepted, now));
                Duration::ZERO
            }
        }
    }

    fn cluster(&mut self, nodes: &[Node]) -> ClusterRow {
        let mut row = ClusterRow { nodes: nodes.len() as u64, ..ClusterRow::default() };
        let mut seen = HashMap::with_capacity(nodes.len());
        for node in nodes.iter().filter(|node| !node.is_self) {
            let (frames, lost) = self.nodes.get(&node.id).copied().unwrap_or_default();
            // A node that was forgotten and came back counts from zero again.
            let gained = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
            self.frames = self.frames.saturating_add(gained(node.frames, frames));
            self.lost = self.lost.saturating_add(gained(node.lost, lost));
            seen.insert(node.id, (node.frames, node.lost));
            if node.silent_for > row.longest_silence {
                row.longest_silence = node.silent_for;
            }
            row.complaints += node.complaints as u64;
        }
        self.nodes = seen;
        (row.frames, row.lost) = (self.frames, self.lost);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64, frames: u64, silent: u64) -> Node {
        let mut node = Node::new(NodeId(id), "pod");
        node.frames = frames;
        node.silent_for = Duration::from_secs(silent);
        node
    }

    #[test]
    fn frames_never_go_down_when_nodes_come_and_go() {
        let mut exchange = Exchange::default();
        let frames = |exchange: &mut Exchange, nodes: &[Node]| exchange.cluster(nodes).frames;
        assert_eq!(frames(&mut exchange, &[node(1, 10, 0), node(2, 5, 0)]), 15);
        assert_eq!(frames(&mut exchange, &[node(2, 6, 0)]), 16);
        assert_eq!(frames(&mut exchange, &[node(1, 3, 0), node(2, 6, 0)]), 19);
        assert_eq!(frames(&mut exchange, &[node(1, 2, 0)]), 21);
    }

    #[test]
    fn the_longest_silence_is_that_of_others() {
        let mut own = node(1, 0, 99);
        own.is_self = true;
        let row = Exchange::default().cluster(&[own, node(2, 0, 3), node(3, 0, 1)]);
        assert_eq!((row.nodes, row.longest_silence), (3, Duration::from_secs(3)));
    }

    #[test]
    fn lag_grows_until_something_is_accepted() {
        let mut exchange = Exchange::default();
        let mut pulse = PulseStats::default();
        let at = Timestamp::from_secs;
        assert_eq!(exchange.since_delivery(&pulse, at(10)), Duration::ZERO);
        assert_eq!(exchange.since_delivery(&pulse, at(14)), Duration::from_secs(4));
        pulse.heartbeats += 1;
        assert_eq!(exchange.since_delivery(&pulse, at(15)), Duration::ZERO);
    }
}
