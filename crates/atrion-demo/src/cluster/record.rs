//! What was seen during a run, with the moments at which it was. Figures are computed from it
//! afterwards.

use std::collections::BTreeMap;

use serde::Serialize;

use super::SHARED;
use super::crew::Who;
use super::script::marker;
use super::wire::{Event, Request, Stats};

/// What is shown, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Warning,
    Outage,
    Recovery,
    Calm,
    Killed,
    Hung,
    Emptied,
    Parted,
    Liar,
}

impl Phase {
    /// What is done to the link between the nodes, in the order in which it is done.
    pub(crate) const FAULTS: [Self; 4] = [Self::Killed, Self::Hung, Self::Emptied, Self::Parted];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Warning => "a dependency fails for one node first",
            Self::Outage => "the dependency is dead for all nodes",
            Self::Recovery => "the dependency is back",
            Self::Calm => "calm: nothing happens",
            Self::Killed => "Redis is killed",
            Self::Hung => "Redis hangs",
            Self::Emptied => "Redis is restarted with nothing in it",
            Self::Parted => "one node is cut off from Redis",
            Self::Liar => "one node lies",
        }
    }
}

/// From when to when, on the shared clock in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Span {
    pub(crate) const fn holds(self, at: u64) -> bool {
        self.from <= at && at < self.to
    }
}

/// Something happened to a route of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) node: usize,
    pub(crate) route: String,
    pub(crate) at: u64,
}

/// Requests that reached the dead dependency until then, by node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dead {
    pub(crate) at: u64,
    pub(crate) per_node: Vec<u64>,
}

/// A frame's counters before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) bytes: u64,
    pub(crate) changes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) requests: Vec<Request>,
    /// Breakers that opened.
    pub(crate) opened: Vec<Seen>,
    /// Routes that began to hold their requests back.
    pub(crate) held: Vec<Seen>,
    pub(crate) stalls_us: Vec<u32>,
    pub(crate) phases: BTreeMap<Phase, Span>,
    /// When Redis answered again after each fault.
    pub(crate) answered: BTreeMap<Phase, u64>,
    pub(crate) dead_before: Dead,
    pub(crate) dead_after: Dead,
    /// Lies told and lies that were heard, by the node that heard least.
    pub(crate) lies: u64,
    pub(crate) lies_heard: u64,
    /// What the first pulse about new routes took, and one about known routes.
    pub(crate) introduced: Published,
    pub(crate) repeated: Published,
    /// Counters at the end of each span of calm and of the faults, by node.
    pub(crate) admits: Vec<(usize, Stats)>,
    /// By how much the processes' clocks may disagree.
    pub(crate) clock_us: u64,
}

impl Record {
    /// Takes in what needs no answer; gives back what somebody waits for.
    pub(crate) fn note(&mut self, who: Who, event: Event) -> Option<Event> {
        match (who, event) {
            (_, Event::Ended { requests }) => self.requests.extend(requests),
            (Who::Node(node), Event::Mode { route, open: true, at }) => {
                self.opened.push(Seen { node, route, at });
            }
            (Who::Node(node), Event::Held { route, held: true, at }) => {
                self.held.push(Seen { node, route, at });
            }
            (_, Event::Mode { .. } | Event::Held { .. }) => {}
            (_, Event::Stall { micros }) => self.stalls_us.push(micros),
            (_, Event::Lied { frames, .. }) => self.lies = frames,
            (_, other) => return Some(other),
        }
        None
    }

    /// Requests of these nodes within the span of a phase.
    pub(crate) fn requests_in(
        &self,
        phase: Phase,
        nodes: std::ops::Range<usize>,
    ) -> impl Iterator<Item = &Request> {
        let span = self.phases.get(&phase).copied().unwrap_or_default();
        self.requests.iter().filter(move |r| nodes.contains(&r.node) && span.holds(r.at))
    }

    /// When a route of a node first did so, in a list of such moments.
    pub(crate) fn first(seen: &[Seen], node: usize, route: &str) -> Option<u64> {
        seen.iter().filter(|s| s.node == node && s.route == route).map(|s| s.at).min()
    }
}

impl Published {
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(before.bytes),
            changes: self.changes.saturating_sub(before.changes),
        }
    }
}

impl Record {
    /// How long after Redis answered again every node knew what every other one had learnt in the
    /// meantime, in nanoseconds; `None` as long as one does not. Who learnt it only after Redis
    /// answered is given the time from then.
    pub(crate) fn agreed(&self, fault: Phase) -> Option<u64> {
        let answered = *self.answered.get(&fault)?;
        let mut longest = 0;
        for node in 0..SHARED {
            let route = marker(fault, node);
            let learnt = Self::first(&self.opened, node, &route)?;
            for other in (0..SHARED).filter(|other| *other != node) {
                let known = Self::first(&self.held, other, &route)?;
                longest = longest.max(known.saturating_sub(answered.max(learnt)));
            }
        }
        Some(longest)
    }
}
