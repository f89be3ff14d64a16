//! What the machine has to tell, and its counters.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use atrion_state::peers::NodeId;

use super::time::Elapsed;

/// Something worth telling an operator. Limited in rate, so that it can be logged as it comes.
/// Names are hostile input.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The store serves, and this node's words are in it. The first time, and after each
    /// [`Event::Down`].
    Up {
        /// How long it took, since the connection was asked for or the link failed.
        after: Duration,
    },
    /// The store does not serve. At most once a minute; local protection goes on, and so does
    /// trying.
    Down {
        /// The last error.
        reason: String,
        /// Failures since the last event of this kind that raised none.
        suppressed: u64,
    },
    /// There is no licence for sharing: the store is left alone. Once per loss of the licence.
    Unlicensed,
    /// The licence covers fewer clusters or nodes than there are, and this one came last. It will
    /// be tried again.
    OverLimit {
        /// Who is registered, the oldest first; at most 32.
        names: Vec<String>,
    },
    /// Another process goes by this node's id. A new one was taken.
    DuplicateNode {
        /// The id that was given up.
        id: NodeId,
    },
    /// Another node was heard of. Comings and goings beyond 64 in 10 s are counted only.
    NodeJoined {
        /// Who.
        id: NodeId,
        /// What it calls itself, if it has said so.
        name: Arc<str>,
    },
    /// Another node took its leave or fell silent.
    NodeLeft {
        /// Who.
        id: NodeId,
        /// What it called itself.
        name: Arc<str>,
    },
}

/// Counters since the machine was made. All only grow, except the gauges at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Frames published, as far as the server said so.
    pub frames_out: u64,
    /// Bytes in them.
    pub bytes_out: u64,
    /// Changed routes in them.
    pub changes_out: u64,
    /// Frames that could not be encoded; what was in them is not sent.
    pub unencodable: u64,
    /// Frames that arrived and were understood, this node's own among them.
    pub frames_in: u64,
    /// Bytes that arrived, of whatever kind.
    pub bytes_in: u64,
    /// Changed routes taken in, from frames and from what is stored.
    pub changes_in: u64,
    /// What arrived and was refused, by [`WireError::kind`](crate::wire::WireError::kind).
    pub refused: BTreeMap<&'static str, u64>,
    /// This node's own frames that came back. They change nothing.
    pub echoes: u64,
    /// Frames that had been taken in already, or were older than what is known of their node.
    pub duplicates: u64,
    /// Changed routes that were older than what is known.
    pub older: u64,
    /// Frames that are known to be missing, by the gaps in their numbers.
    pub lost: u64,
    /// Frames that found no room in the inbox.
    pub inbox_dropped: u64,
    /// Stored fields that are not what they should be.
    pub foreign_fields: u64,
    /// Names in the index of nodes that are none.
    pub foreign_nodes: u64,
    /// Nodes whose stored state was read.
    pub resyncs: u64,
    /// Sessions opened.
    pub opens: u64,
    /// Times the store was found to have lost this node's words, which were stored again.
    pub restored: u64,
    /// Calls and sessions that failed, including those below.
    pub failures: u64,
    /// Calls that did not end by their deadline.
    pub timeouts: u64,
    /// Sessions that were closed because this node's own frames did not come back.
    pub half_dead: u64,
    /// Times another process was found to go by this node's id.
    pub conflicts: u64,
    /// Own words that were older than what is held.
    pub own_older: u64,
    /// Own routes forgotten to make room for others.
    pub own_evictions: u64,
    /// New registers refused because there was no room.
    pub refused_registers: u64,
    /// Registers of a node with more than its fair share that made room for another's.
    pub evicted_registers: u64,
    /// Nodes refused because there was no room.
    pub refused_nodes: u64,
    /// Events dropped because nobody polled, or because too many nodes came and went.
    pub dropped_events: u64,
    /// Gauge: registers held.
    pub registers: u64,
    /// Gauge: other nodes believed to be alive.
    pub nodes: u64,
    /// Gauge: own routes held.
    pub own_routes: u64,
    /// Gauge: own routes that wait to be published.
    pub pending: u64,
}

/// So many comings and goings of nodes are told
const PER_STRETCH: u32 = 64;
/// in so long.
const STRETCH: Duration = Duration::from_secs(10);

/// Events that wait to be polled.
#[derive(Debug)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
    max: usize,
    /// When the current stretch of comings and goings began, and how many were told in it.
    stretch: (Elapsed, u32),
    pub(crate) dropped: u64,
}

impl Events {
    pub(crate) fn new(max: usize) -> Self {
        Self { queue: VecDeque::new(), max, stretch: (Elapsed::NEVER, 0), dropped: 0 }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        if self.queue.len() < self.max {
            self.queue.push_back(event);
        } else {
            self.dropped += 1;
        }
    }

    /// Comings and goings, which others can make as often as they like, at a bounded rate.
    pub(crate) fn tell_of_node(&mut self, event: Event, now: Elapsed) {
        if now.since(self.stretch.0) >= STRETCH {
            self.stretch = (now, 0);
        }
        if self.stretch.1 < PER_STRETCH {
            self.stretch.1 += 1;
            self.tell(event);
        } else {
            self.dropped += 1;
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }
}

/// At most one [`Event::Down`] in this time.
const DOWN_EVERY: Duration = Duration::from_secs(60);

/// Makes few events of many failures.
#[derive(Clone, Debug)]
pub(crate) struct Alarm {
    /// Since when the link is not up.
    since: Option<Elapsed>,
    /// Whether somebody waits to hear that it is.
    announced: bool,
    raised_at: Option<Elapsed>,
    suppressed: u64,
}

impl Alarm {
    pub(crate) const fn new() -> Self {
        Self { since: None, announced: false, raised_at: None, suppressed: 0 }
    }

    /// The connection was asked for.
    pub(crate) fn begin(&mut self, now: Elapsed) {
        self.since = Some(now);
        self.announced = true;
    }

    /// It is no longer wanted.
    pub(crate) fn end(&mut self) {
        self.since = None;
        self.announced = false;
    }

    pub(crate) fn fail(&mut self, now: Elapsed, reason: impl FnOnce() -> String) -> Option<Event> {
        self.since.get_or_insert(now);
        if self.raised_at.is_some_and(|raised| now.since(raised) < DOWN_EVERY) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.raised_at = Some(now);
        self.announced = true;
        Some(Event::Down { reason: reason(), suppressed: std::mem::take(&mut self.suppressed) })
    }

    pub(crate) fn succeed(&mut self, now: Elapsed) -> Option<Event> {
        let since = self.since.take()?;
        std::mem::take(&mut self.announced).then(|| Event::Up { after: now.since(since) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Elapsed {
        Elapsed::START.plus(Duration::from_secs(secs))
    }

    #[test]
    fn a_link_that_flaps_is_as_quiet_as_one_that_is_dead() {
        let mut alarm = Alarm::new();
        alarm.begin(at(0));
        assert_eq!(alarm.succeed(at(2)), Some(Event::Up { after: Duration::from_secs(2) }));
        let mut told = Vec::new();
        for second in 3..123 {
            told.extend(alarm.fail(at(second), || "reset".to_owned()));
            told.extend(alarm.succeed(at(second)));
        }
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(matches!(told[2], Event::Down { suppressed: 59, .. }));
    }

    #[test]
    fn events_that_nobody_polls_are_counted() {
        let mut events = Events::new(2);
        for _ in 0..5 {
            events.tell(Event::Unlicensed);
        }
        assert_eq!(std::iter::from_fn(|| events.poll()).count(), 2);
        assert_eq!(events.dropped, 3);
    }

    #[test]
    fn comings_and_goings_are_told_at_a_bounded_rate() {
        let mut events = Events::new(1_000_000);
        let told = (0..100_000_u64).filter(|millis| {
            let now = Elapsed::START.plus(Duration::from_millis(*millis));
            events.tell_of_node(Event::NodeLeft { id: NodeId(1), name: Arc::from("") }, now);
            events.poll().is_some()
        });
        assert_eq!(told.count(), 640);
    }
}
