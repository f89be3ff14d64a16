//! What happens on the link: calls, replies, frames, failures and timers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use atrion_core::merge::{Report, Stamp};
use atrion_core::time::Timestamp;
use atrion_core::units::UnitInterval;
use atrion_state::peers::{Node, NodeId, RouteId};
use atrion_state::provider::RemoteVector;
use bytes::Bytes;

use super::call::{Call, Reply, Request, node_key, node_of};
use super::echo::{Echo, Owner};
use super::event::Event;
use super::link::{Flight, Phase, Purpose, ServerClock, Step};
use super::registers::{Horizon, Source, stored};
use super::seats::Seat;
use super::time::Elapsed;
use super::{ClusterCore, publish};
use crate::transport::{Registered, TransportError};
use crate::wire::{Frame, WireError};

/// The server's clock is read again after this: clocks drift.
const CLOCK_EVERY: Duration = Duration::from_secs(600);
/// Silent nodes and healed routes are looked for this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

impl ClusterCore {
    /// Starts a session, or explains why not.
    pub(crate) fn begin(&mut self) {
        if self.seats.grant().is_some() {
            self.seats.renew();
            self.link.begin();
        } else {
            self.link.phase = Phase::Dormant(None);
            self.events.tell(Event::Unlicensed);
        }
    }

    /// Takes leave if there is a session to do it in.
    pub(crate) fn leave(&mut self, now: Elapsed) {
        let established = match self.link.phase {
            Phase::Session(step) => step >= Step::Storing,
            _ => false,
        };
        if established {
            self.link.flight = None;
            self.link.phase = Phase::Leaving;
            self.pace.restart();
        } else {
            if self.link.in_session() {
                self.link.drop_session();
            }
            self.link.phase = Phase::Off;
        }
        self.sweep_at = now;
    }

    fn closed(&mut self) {
        self.link.drop_session();
        self.link.phase = Phase::Off;
    }

    // ---- calls

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
            Step::OwnState => Some((Purpose::OwnState, self.state_of(self.identity.node))),
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
            return Some((Purpose::State { node, horizon }, self.state_of(node)));
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
        (Purpose::Seat(seat), request)
    }

    fn member(&self, seat: Seat) -> Bytes {
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

    fn state_of(&self, node: NodeId) -> Request {
        let limit = self.config.limits.max_routes_per_node;
        Request::State { node, key: node_key(node), limit }
    }

    fn clock_at(&self) -> Elapsed {
        self.link.clock.map_or(Elapsed::NEVER, |clock| clock.read_at().plus(CLOCK_EVERY))
    }

    // ---- replies

    pub(crate) fn replied(
        &mut self,
        flight: &Flight,
        reply: Reply,
        now: Elapsed,
        draw: UnitInterval,
    ) {
        match (flight.purpose, reply) {
            (Purpose::Open, Reply::Opened) => self.opened(),
            (Purpose::Clock, Reply::Millis(millis)) => {
                self.link.clock = Some(ServerClock::new(millis, flight.started, now));
                self.advance_from(Step::Clock, self.after_seat(None));
            }
            (Purpose::Seat(seat), Reply::Registered(all)) => self.seated(seat, all, now),
            (Purpose::Index, Reply::Nodes(keys)) => self.indexed(&keys, now),
            (Purpose::OwnState, Reply::State(fields)) => self.own_state(&fields, now, draw),
            (Purpose::State { node, horizon }, Reply::State(fields)) => {
                self.state(node, horizon, &fields, now);
            }
            (Purpose::News { .. }, Reply::Committed) => self.committed(flight, now),
            (Purpose::Leave, _) => self.closed(),
            _ => {
                let error = TransportError::Protocol("an answer to another question".to_owned());
                self.call_failed(flight, &error, now, draw);
            }
        }
    }

    /// A routine call on a link that is up changes no step.
    fn advance_from(&mut self, from: Step, to: Step) {
        if self.link.phase == Phase::Session(from) {
            self.link.phase = Phase::Session(to);
        }
    }

    fn after_seat(&self, seat: Option<Seat>) -> Step {
        self.seats.first_after(seat).map_or(Step::Index, Step::Seat)
    }

    fn opened(&mut self) {
        self.stats.opens += 1;
        self.link.session += 1;
        self.link.phase = Phase::Session(Step::Clock);
        self.registers.reconnected();
        self.reads.clear();
        self.republish();
    }

    /// All own words have to be told again, and the names with them.
    fn republish(&mut self) {
        self.echo = Echo::default();
        self.outbox.all(&self.own);
        self.pace.restart();
    }

    fn seated(&mut self, seat: Seat, all: Vec<Registered>, now: Elapsed) {
        match self.seats.registered(seat, &self.member(seat), all, now) {
            Ok(()) => self.advance_from(Step::Seat(seat), self.after_seat(Some(seat))),
            Err((again, names)) => {
                self.link.drop_session();
                self.outbox.restore(&self.own);
                self.link.phase = Phase::Dormant(Some(again));
                if let Some(names) = names {
                    self.events.tell(Event::OverLimit { names });
                }
            }
        }
    }

    fn indexed(&mut self, keys: &[Bytes], now: Elapsed) {
        let mut own = false;
        for key in keys {
            match node_of(key) {
                Some(node) if node == self.identity.node => own = true,
                Some(node) if self.discover(node, now) => self.reads.schedule(node, now),
                Some(_) => {}
                None => self.stats.foreign_nodes += 1,
            }
        }
        let look = own && !self.identity.looked_back;
        self.advance_from(Step::Index, if look { Step::OwnState } else { Step::Storing });
    }

    fn discover(&mut self, node: NodeId, now: Elapsed) -> bool {
        let known = self.registers.peer(node).is_some();
        let fits = self.registers.discover(node, now);
        if fits && !known {
            self.events.tell(Event::NodeJoined { id: node, name: Arc::from("") });
        }
        fits
    }

    /// An earlier life of this node may have counted further than this one does.
    fn own_state(&mut self, fields: &[(Bytes, Bytes)], now: Elapsed, draw: UnitInterval) {
        let frames = fields.iter().filter_map(|(_, bytes)| self.codec.decode(bytes).ok());
        let node = self.identity.node;
        let newest = frames.filter(|frame| frame.node == node).map(|frame| frame.stamp).max();
        self.identity.looked_back = true;
        if let Some(stamp) = newest.filter(|stamp| *stamp > self.identity.stamp) {
            self.conflict(stamp, now, draw);
        }
        self.advance_from(Step::OwnState, Step::Storing);
    }

    fn state(
        &mut self,
        node: NodeId,
        horizon: Option<Horizon>,
        fields: &[(Bytes, Bytes)],
        now: Elapsed,
    ) {
        self.stats.resyncs += 1;
        let server_millis = self.server_millis(now);
        let mut routes = HashSet::with_capacity(fields.len());
        for (name, bytes) in fields {
            let frame = match self.codec.decode(bytes) {
                Ok(frame) => frame,
                Err(error) => {
                    self.refused(&error);
                    continue;
                }
            };
            if !is_field_of(&frame, node, name) {
                self.stats.foreign_fields += 1;
                continue;
            }
            routes.extend(frame.changes.iter().map(|change| change.route));
            self.take(&frame, stored(&frame, server_millis), now);
        }
        let complete = fields.len() < self.config.limits.max_routes_per_node;
        self.registers.read(node, &routes, horizon, complete, now);
    }

    fn committed(&mut self, flight: &Flight, now: Elapsed) {
        let Purpose::News { sequence, life, bytes, changes } = flight.purpose else { return };
        self.stats.frames_out += 1;
        self.stats.bytes_out += bytes as u64;
        self.stats.changes_out += changes as u64;
        self.outbox.confirm();
        if life == (self.identity.node, self.identity.stamp.incarnation) {
            self.echo.committed(sequence, now);
        }
        self.link.succeeded(self.registers.live());
        self.advance_from(Step::Storing, Step::Up);
        if let Some(event) = self.alarm.succeed(now) {
            self.events.tell(event);
        }
    }

    // ---- failures and timers

    pub(crate) fn call_failed(
        &mut self,
        flight: &Flight,
        error: &TransportError,
        now: Elapsed,
        draw: UnitInterval,
    ) {
        let name = flight.purpose.name();
        self.failed(Some(error), || format!("{name}: {error}"), now, draw);
    }

    /// The session is of no use any more: tries again with a new one, later.
    pub(crate) fn failed(
        &mut self,
        error: Option<&TransportError>,
        reason: impl FnOnce() -> String,
        now: Elapsed,
        draw: UnitInterval,
    ) {
        match self.link.phase {
            Phase::Session(_) => {}
            Phase::Leaving => return self.closed(),
            Phase::Off | Phase::Dormant(_) | Phase::Waiting(_) => return,
        }
        self.stats.failures += 1;
        self.link.fail(error, self.registers.live(), now, draw);
        self.outbox.restore(&self.own);
        self.reads.clear();
        if let Some(event) = self.alarm.fail(now, reason) {
            self.events.tell(event);
        }
    }

    pub(crate) fn timers(&mut self, now: Elapsed, draw: UnitInterval) {
        if let Some(flight) = self.link.flight.take_if(|flight| flight.deadline <= now) {
            self.stats.timeouts += 1;
            let (name, after) = (flight.purpose.name(), now.since(flight.started));
            self.failed(None, || format!("{name} did not end within {after:.1?}"), now, draw);
        }
        if self.echo_at().is_some_and(|at| at <= now) {
            self.stats.half_dead += 1;
            let reason = || "own frames do not come back".to_owned();
            self.failed(None, reason, now, draw);
        }
        match self.link.phase {
            Phase::Waiting(until) if until <= now => self.link.begin(),
            Phase::Dormant(Some(until)) if until <= now => self.begin(),
            _ => {}
        }
        if self.sweep_at <= now {
            self.sweep_at = now.plus(self.sweep_every());
            for (id, name) in self.registers.sweep(now) {
                self.reads.forget(id);
                self.events.tell(Event::NodeLeft { id, name });
            }
        }
    }

    pub(crate) fn sweep_every(&self) -> Duration {
        (self.config.lifetime / 8).clamp(Duration::from_millis(1), SWEEP_EVERY)
    }

    /// When own frames will have been missing for too long.
    fn echo_at(&self) -> Option<Elapsed> {
        let patience = (self.config.interval * 3).max(Duration::from_secs(1));
        self.echo.deadline(patience).filter(|_| self.link.in_session())
    }

    pub(crate) fn next_timer(&self) -> Option<Elapsed> {
        let flight = self.link.flight.map(|flight| flight.deadline);
        let next = match self.link.phase {
            Phase::Off => return None,
            Phase::Leaving => return Some(flight.unwrap_or(Elapsed::NEVER)),
            Phase::Dormant(at) => at,
            Phase::Waiting(until) => Some(until),
            Phase::Session(_) if flight.is_some() => flight,
            Phase::Session(Step::Up) => Some(self.routine_at()),
            Phase::Session(_) => Some(Elapsed::NEVER),
        };
        let sweep = Some(self.sweep_at);
        [next, self.echo_at(), sweep].into_iter().flatten().min()
    }

    /// When something is due on a link that is up and idle.
    fn routine_at(&self) -> Elapsed {
        let seat = self.seats.next().map(|(at, _)| at);
        let index = self.pace.index_wanted.then_some(Elapsed::NEVER);
        let others = [seat, index, self.reads.next()];
        let first = others.into_iter().flatten().min().unwrap_or(Elapsed::FOREVER);
        first.min(self.clock_at()).min(self.commit_at())
    }

    // ---- frames

    pub(crate) fn frame(&mut self, bytes: &[u8], now: Elapsed, draw: UnitInterval) {
        self.stats.bytes_in = self.stats.bytes_in.saturating_add(bytes.len() as u64);
        let frame = match self.codec.decode(bytes) {
            Ok(frame) => frame,
            Err(error) => return self.refused(&error),
        };
        self.stats.frames_in += 1;
        match self.identity.owner(frame.node, frame.stamp) {
            Owner::Own => {
                self.stats.echoes += 1;
                if (frame.node, frame.stamp.incarnation)
                    == (self.identity.node, self.identity.stamp.incarnation)
                {
                    self.echo.heard(frame.stamp.sequence, now);
                }
            }
            Owner::Conflict => self.conflict(frame.stamp, now, draw),
            Owner::Other => {
                if self.take(&frame, Source::Live, now) {
                    // Whoever missed the same frame does not ask at the same moment.
                    let wait = self.config.interval.mul_f64(draw.get());
                    self.reads.schedule(frame.node, now.plus(wait));
                }
            }
        }
    }

    /// Joins another node's frame; whether its stored state has to be read.
    fn take(&mut self, frame: &Frame, source: Source, now: Elapsed) -> bool {
        if self.identity.owner(frame.node, frame.stamp) != Owner::Other {
            return false;
        }
        let taken = self.registers.take(frame, source, now);
        if taken.joined == taken.left {
            return taken.gap;
        }
        let name =
            self.registers.peer(frame.node).map_or_else(|| Arc::from(""), |p| Arc::clone(&p.name));
        if taken.joined {
            self.events.tell(Event::NodeJoined { id: frame.node, name });
        } else {
            self.reads.forget(frame.node);
            self.events.tell(Event::NodeLeft { id: frame.node, name });
        }
        taken.gap
    }

    fn refused(&mut self, error: &WireError) {
        *self.stats.refused.entry(error.kind()).or_default() += 1;
    }

    fn conflict(&mut self, theirs: Stamp, now: Elapsed, draw: UnitInterval) {
        self.stats.conflicts += 1;
        let registers = &self.registers;
        let is_taken = |node| registers.peer(node).is_some();
        if let Some(id) = self.identity.conflict(theirs, now, draw, is_taken) {
            self.events.tell(Event::DuplicateNode { id });
            self.seats.renew();
        }
        self.link.session += 1;
        self.republish();
    }

    // ---- queries

    pub(crate) fn remote(&self, id: RouteId, reading: Timestamp) -> Option<RemoteVector> {
        let own = || self.own.peek(id).map(|word| &word.name);
        let name = self.registers.name(id).or_else(own)?;
        let merged = self.registers.merged(id)?;
        let age = self.time.at(reading).since(merged.observed_at);
        let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        let mut vector = merged.vector;
        vector.timestamp = Timestamp::from_nanos(reading.as_nanos().saturating_sub(age));
        Some(RemoteVector::new(Arc::clone(name), vector))
    }

    pub(crate) fn list_nodes(&self, now: Elapsed) -> Vec<Node> {
        let mut own = Node::new(self.identity.node, Arc::clone(&self.config.node_name));
        own.is_self = true;
        own.routes = self.own.len();
        let complains = |word: &super::own::OwnWord| Report::of(&word.vector, 0.0).complains();
        own.complaints = self.own.iter().filter(|(_, word)| complains(word)).count();
        own.frames = self.stats.frames_out;
        let complaints = self.registers.complaints(now);
        let mut others: Vec<Node> = self
            .registers
            .peers()
            .map(|(id, peer)| {
                let mut node = Node::new(id, Arc::clone(&peer.name));
                node.silent_for = now.since(peer.heard_at);
                node.routes = peer.routes.len();
                node.complaints = complaints.get(&id).copied().unwrap_or_default();
                (node.frames, node.lost) = (peer.frames, peer.lost);
                node
            })
            .collect();
        others.sort_unstable_by_key(|node| node.id);
        std::iter::once(own).chain(others).collect()
    }
}

/// Whether a stored field is what this program would have put there.
fn is_field_of(frame: &Frame, node: NodeId, name: &Bytes) -> bool {
    let [change] = frame.changes.as_slice() else { return false };
    frame.node == node
        && frame.sent_millis > 0
        && !frame.leaving
        && frame.forgotten.is_empty()
        && publish::field_of(change.route) == *name
}
