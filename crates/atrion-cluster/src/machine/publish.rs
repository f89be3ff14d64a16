//! What this node publishes, and how often.

use std::sync::Arc;
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_state::peers::RouteId;
use bytes::Bytes;

use super::link::Purpose;
use super::outbox::Portion;
use super::time::Elapsed;
use super::{ClusterCore, node_key};
use crate::transport::Commit;
use crate::wire::{Change, Frame};

/// The node's name is told anew after this, for those who came later.
const NAME_EVERY: Duration = Duration::from_secs(10);

/// When the next commit and the next readings are due.
#[derive(Debug)]
pub(crate) struct Pace {
    /// When the last commit began.
    committed_at: Elapsed,
    /// When the oldest news that waits came in.
    news_at: Elapsed,
    /// When news may be sent next: an interval after the last news was to be sent, not after it
    /// was. Otherwise whoever brings news once per interval, as the pulse does, would wait for
    /// ever by as much as one commit was late, or came between two of them as a heartbeat.
    ready_at: Elapsed,
    /// So many changes are still to be sent of those that waited when the round began.
    round: usize,
    /// The stored state is to be cleared: this session, or this life, begins.
    pub(crate) clear: bool,
    named_at: Option<Elapsed>,
    /// The index of nodes is to be read, and everybody's state.
    pub(crate) index_wanted: bool,
    /// Since when something is missed that is to be read, and when that was last done.
    pub(crate) missed: Option<Elapsed>,
    pub(crate) made_good_at: Elapsed,
    /// When the store was last seen to hold this node's words, or was told them.
    pub(crate) checked_at: Elapsed,
    /// The last call was a commit: reading comes first if both are due.
    pub(crate) read_next: bool,
}

impl Pace {
    pub(crate) const fn new() -> Self {
        Self {
            committed_at: Elapsed::NEVER,
            news_at: Elapsed::NEVER,
            ready_at: Elapsed::NEVER,
            round: 0,
            clear: true,
            named_at: None,
            index_wanted: false,
            missed: None,
            made_good_at: Elapsed::NEVER,
            checked_at: Elapsed::NEVER,
            read_next: false,
        }
    }

    /// The node's name is told with the next news.
    pub(crate) fn introduce(&mut self) {
        self.named_at = None;
    }

    /// Everything is to be published from the beginning.
    pub(crate) fn restart(&mut self) {
        (self.clear, self.named_at, self.round) = (true, None, 0);
    }
}

/// What a node more costs all the others: at 200 nodes the default interval, at 1,000 half a second.
const INTERVAL_PER_NODE: Duration = Duration::from_micros(500);
/// At 200 nodes the default heartbeat, at 1,000 five seconds.
const HEARTBEAT_PER_NODE: Duration = Duration::from_millis(5);

impl ClusterCore {
    /// News is sent at most this often. All nodes hear all others, so what is heard grows with the
    /// square of their number; where it would be too much, everybody speaks less often.
    fn interval(&self) -> Duration {
        self.config.interval.max(INTERVAL_PER_NODE.saturating_mul(self.others()))
    }

    /// A sign of life at least this often.
    fn heartbeat(&self) -> Duration {
        self.config.heartbeat.max(HEARTBEAT_PER_NODE.saturating_mul(self.others()))
    }

    fn others(&self) -> u32 {
        u32::try_from(self.registers.live()).unwrap_or(u32::MAX)
    }

    /// When the next commit is due.
    pub(crate) fn commit_at(&self) -> Elapsed {
        if self.pace.clear || (self.pace.round > 0 && !self.outbox.is_empty()) {
            Elapsed::NEVER
        } else if self.outbox.is_empty() {
            self.pace.committed_at.plus(self.heartbeat())
        } else {
            self.pace.ready_at
        }
    }

    /// News comes in.
    pub(crate) fn note_news(&mut self, now: Elapsed) {
        if self.outbox.is_empty() {
            self.pace.news_at = now;
        }
    }

    /// The next portion of news, or a heartbeat. `reading` is the clock's, `now` the machine's.
    pub(crate) fn news(&mut self, reading: Timestamp, now: Elapsed) -> (Purpose, Commit) {
        if self.pace.round == 0 {
            self.pace.round = self.outbox.waiting();
            if self.pace.round > 0 {
                // Never later than the heartbeat.
                let wait = self.interval().min(self.heartbeat());
                self.pace.ready_at = self.pace.ready_at.max(self.pace.news_at).plus(wait);
            }
        }
        let portion = self.outbox.cut(&self.own, self.link.session, reading);
        let size = portion.changes.len() + portion.forgotten.len();
        // A portion of nothing ends the round, so that it cannot go on for ever.
        self.pace.round = if size == 0 { 0 } else { self.pace.round.saturating_sub(size) };
        self.pace.committed_at = now;
        if self.pace.clear {
            self.pace.checked_at = now;
        }
        let (frame, set) = self.portion(&portion, reading, now);
        let bytes = self.encode(&frame);
        let purpose = Purpose::News {
            sequence: frame.stamp.sequence,
            life: (self.identity.node, self.identity.stamp.incarnation),
            bytes: bytes.len(),
            changes: frame.changes.len(),
        };
        let commit = Commit {
            frame: bytes,
            set,
            remove: portion.forgotten.iter().map(|route| field_of(*route)).collect(),
            clear: std::mem::take(&mut self.pace.clear),
            ..self.commit(now)
        };
        (purpose, commit)
    }

    /// The last words: none.
    pub(crate) fn farewell(&mut self, now: Elapsed) -> Commit {
        let mut frame = self.frame_of(now);
        frame.leaving = true;
        let frame = self.encode(&frame);
        Commit { frame, leave: true, ..self.commit(now) }
    }

    fn commit(&self, now: Elapsed) -> Commit {
        Commit {
            node: node_key(self.identity.node),
            seen_millis: self.server_millis(now),
            ttl_millis: u64::try_from(self.config.ttl.as_millis()).unwrap_or(u64::MAX),
            ..Commit::default()
        }
    }

    /// An empty frame with the next stamp.
    fn frame_of(&mut self, now: Elapsed) -> Frame {
        let stamp = self.identity.next();
        Frame { sent_millis: self.server_millis(now), ..Frame::new(self.identity.node, stamp) }
    }

    /// The frame of a portion, and the same words one by one, each with its own age and name, for
    /// the store.
    fn portion(
        &mut self,
        portion: &Portion,
        reading: Timestamp,
        now: Elapsed,
    ) -> (Frame, Vec<(Bytes, Bytes)>) {
        let mut frame = self.frame_of(now);
        let mut set = Vec::with_capacity(portion.changes.len());
        for id in &portion.changes {
            let Some(word) = self.own.peek(*id) else { continue };
            let change = Change::of(*id, &word.vector);
            let name = (*id, Arc::clone(&word.name));
            let stored = Frame {
                sent_millis: frame.sent_millis,
                age_millis: age_millis(word.vector.timestamp, reading),
                changes: vec![change],
                names: vec![name.clone()],
                ..Frame::new(frame.node, frame.stamp)
            };
            match self.codec.encode(&stored) {
                Ok(bytes) => set.push((field_of(*id), bytes)),
                Err(_) => self.stats.unencodable += 1,
            }
            frame.changes.push(change);
            if self.own.announce(*id, self.link.session) {
                frame.names.push(name);
            }
        }
        frame.age_millis = age_millis(portion.oldest, reading);
        frame.forgotten.clone_from(&portion.forgotten);
        let due = self.pace.named_at.is_none_or(|named| now.since(named) >= NAME_EVERY);
        if (due || frame.changes.is_empty()) && !self.config.node_name.is_empty() {
            self.pace.named_at = Some(now);
            frame.node_name = Some(Arc::clone(&self.config.node_name));
        }
        (frame, set)
    }

    /// A frame that cannot be encoded, which its construction excludes, is sent without its
    /// contents: the words are stored all the same.
    fn encode(&mut self, frame: &Frame) -> Bytes {
        self.codec.encode(frame).unwrap_or_else(|_| {
            self.stats.unencodable += 1;
            let bare =
                Frame { sent_millis: frame.sent_millis, ..Frame::new(frame.node, frame.stamp) };
            self.codec.encode(&bare).unwrap_or_default()
        })
    }

    pub(crate) fn server_millis(&self, now: Elapsed) -> u64 {
        self.link.clock.map_or(0, |clock| clock.millis(now))
    }
}

/// How old what was true at `then` is; not negative.
fn age_millis(then: Timestamp, now: Timestamp) -> u32 {
    u32::try_from(now.since(then).as_millis()).unwrap_or(u32::MAX)
}

/// How a route's field is called in the stored state.
pub(crate) fn field_of(route: RouteId) -> Bytes {
    Bytes::copy_from_slice(&route.0.to_be_bytes())
}
