//! Which call is made next.

use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_state::peers::NodeId;
use bytes::Bytes;

use super::ClusterCore;
use super::call::{Call, Request, node_key};
use super::link::{Phase, Purpose, Step};
use super::seats::Seat;
use super::time::Elapsed;

/// The server's clock is read again after this: clocks drift.
const CLOCK_EVERY: Duration = Duration::from_secs(600);

/// It is made sure this often that the store still holds this node's words.
const CHECK_EVERY: Duration = Duration::from_secs(30);
/// By as many of its fields as this: a store that was emptied has few.
pub(crate) const CHECKED_FIELDS: usize = 1_000;

impl ClusterCore {
    pub(crate) fn next_call(&mut self, reading: Timestamp, now: Elapsed) -> Option<Call> {
        if std::mem::take(&mut self.link.close_due) {
            return Some(Call { id: self.link.next_id(), request: Request::Close });
        }
        if self.link.flight.is_some() {
            return None;
        }
        let (purpose, request) = match self.link.phase {
            Phase::Session(step) => self.next_request(step, reading, now)?,
            Phase::Leaving => (Purpose::Leave, Request::Commit(self.farewell(now))),
            Phase::Off | Phase::Dormant(_) | Phase::Waiting(_) => return None,
        };
        let id = self.link.start(purpose, now, self.config.operation_timeout);
        Some(Call { id, request })
    }

    fn next_request(
        &mut self,
        step: Step,
        reading: Timestamp,
        now: Elapsed,
    ) -> Option<(Purpose, Request)> {
        match step {
            Step::Opening => Some((Purpose::Open, Request::Open)),
            Step::Clock => Some((Purpose::Clock, Request::ServerMillis)),
            Step::Seat(seat) => Some(self.register(seat, now)),
            Step::Index => Some(self.index(now)),
            Step::OwnState => {
                let limit = self.config.limits.max_own_routes;
                Some((Purpose::OwnState, state_of(self.identity.node, limit)))
            }
            Step::Storing => Some(self.publish(reading, now)),
            Step::Up => self.next_routine(reading, now),
        }
    }

    /// What is due on a link that is up. News and readings take turns, so that neither a large
    /// cluster's states nor a large node's words hold the other up.
    fn next_routine(&mut self, reading: Timestamp, now: Elapsed) -> Option<(Purpose, Request)> {
        if let Some((_, seat)) = self.seats.next().filter(|(at, _)| *at <= now) {
            return Some(self.register(seat, now));
        }
        if self.clock_at() <= now {
            return Some((Purpose::Clock, Request::ServerMillis));
        }
        if self.check_at() <= now {
            self.pace.checked_at = now;
            return Some((Purpose::Check, state_of(self.identity.node, CHECKED_FIELDS)));
        }
        let news = self.commit_at() <= now;
        if news && !self.pace.read_next {
            return Some(self.publish(reading, now));
        }
        self.pace.read_next = false;
        if self.pace.index_wanted {
            return Some(self.index(now));
        }
        if let Some(node) = self.reads.take(now) {
            let horizon = self.registers.horizon(node);
            let limit = self.config.limits.max_routes_per_node;
            return Some((Purpose::State { node, horizon }, state_of(node, limit)));
        }
        news.then(|| self.publish(reading, now))
    }

    fn publish(&mut self, reading: Timestamp, now: Elapsed) -> (Purpose, Request) {
        self.pace.read_next = true;
        let (purpose, commit) = self.news(reading, now);
        (purpose, Request::Commit(commit))
    }

    fn register(&self, seat: Seat, now: Elapsed) -> (Purpose, Request) {
        let now_millis = self.server_millis(now);
        let kept = u64::try_from(self.seats.kept(seat).as_millis()).unwrap_or(u64::MAX);
        let request = Request::Register {
            register: self.seats.register(seat, &self.config.cluster),
            member: self.member(seat),
            now_millis,
            since_millis: now_millis.saturating_sub(kept),
        };
        (Purpose::Seat { seat, grant: self.seats.number() }, request)
    }

    pub(crate) fn member(&self, seat: Seat) -> Bytes {
        match seat {
            Seat::Cluster => Bytes::copy_from_slice(self.config.cluster.as_bytes()),
            Seat::Node => node_key(self.identity.node),
        }
    }

    fn index(&mut self, now: Elapsed) -> (Purpose, Request) {
        self.pace.index_wanted = false;
        let lifetime = u64::try_from(self.config.lifetime.as_millis()).unwrap_or(u64::MAX);
        let since_millis = self.server_millis(now).saturating_sub(lifetime);
        // One more: this node may be among them.
        let limit = self.config.limits.max_nodes.saturating_add(1);
        (Purpose::Index, Request::Nodes { since_millis, limit })
    }

    pub(crate) fn check_at(&self) -> Elapsed {
        self.pace.checked_at.plus(CHECK_EVERY)
    }

    pub(crate) fn clock_at(&self) -> Elapsed {
        self.link.clock.map_or(Elapsed::NEVER, |clock| clock.read_at().plus(CLOCK_EVERY))
    }
}

fn state_of(node: NodeId, limit: usize) -> Request {
    Request::State { node, key: node_key(node), limit }
}
