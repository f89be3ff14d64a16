//! The cluster as a machine without I/O, without a clock and without randomness.
//!
//! [`ClusterCore`] decides everything and does nothing: it is told what happened (`handle_*`),
//! asked what to do (`poll_*`), and given the time and random draws. A driver makes the calls of
//! the [`transport`](crate::transport) it asks for.
//!
//! ```text
//!             handle_update(..)                      poll_call() -> transport
//! provider ------------------------>             <-------------- handle_completed(..)
//!             own, snapshot, merged  ClusterCore     handle_frame(..) <- inbox
//! provider <------------------------                 handle_lost(..)
//!             poll_changed, poll_event               handle_timeout(now), poll_timeout()
//! ```
//!
//! # What it guarantees
//!
//! - What the others said is a join of everything heard: order, duplicates, replays and losses that
//!   are made good change nothing but ages.
//! - A node never takes its own words for another's, whatever comes back to it.
//! - Each own route's last word reaches the store in the end, however calls fail or hang.
//! - One call is under way at a time, and each has a deadline.
//! - Memory is bounded by [`Limits`], whatever arrives.

mod call;
mod config;
mod echo;
mod event;
mod hear;
mod link;
mod outbox;
mod own;
mod publish;
mod registers;
mod resync;
mod schedule;
mod seats;
mod session;
mod time;
mod trouble;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use atrion_core::merge::Report;
use atrion_core::time::Timestamp;
use atrion_core::units::UnitInterval;
use atrion_core::vector::PhysicsVector;
use atrion_state::peers::{Node, NodeId, RouteId};
use atrion_state::provider::{Health, RemoteVector, RouteVector};

use crate::transport::TransportError;
use crate::wire::Codec;
pub use call::{Call, CallId, Grant, Reply, Request, node_key};
pub use config::{CoreConfig, Limits};
use echo::{Echo, Identity};
use event::{Alarm, Events};
pub use event::{Event, Stats};
use link::{Link, Phase};
use outbox::Outbox;
use own::{OwnWords, Written};
use publish::Pace;
use registers::Registers;
use resync::Reads;
use seats::Seats;
use time::{Elapsed, Steady};

/// The machine of one node. See the [module](self) for what it guarantees.
///
/// # How to drive it
///
/// After any `handle_*` call, drain the outputs in this order, then wait for the next input:
///
/// 1. if the call under way is no longer [`in_flight`](Self::in_flight), drop it;
/// 2. [`poll_call`](Self::poll_call) until `None`: make each call and report its end with
///    [`handle_completed`](Self::handle_completed);
/// 3. [`poll_changed`](Self::poll_changed) until `None`, for the subscribers;
///    [`poll_event`](Self::poll_event) until `None`, for the operator;
/// 4. [`poll_timeout`](Self::poll_timeout): call [`handle_timeout`](Self::handle_timeout) then.
///
/// `now` is the clock that the timestamps of own vectors are from. It may step back; deadlines are
/// then late by no more than the step. Every `draw` is a fresh uniform number.
#[derive(Debug)]
pub struct ClusterCore {
    config: CoreConfig,
    codec: Codec,
    time: Steady,
    identity: Identity,
    own: OwnWords,
    outbox: Outbox,
    registers: Registers,
    reads: Reads,
    link: Link,
    seats: Seats,
    pace: Pace,
    echo: Echo,
    alarm: Alarm,
    events: Events,
    sweep_at: Elapsed,
    /// What is wrong, for as long as the store does not serve.
    trouble: Option<String>,
    stats: Stats,
}

impl ClusterCore {
    /// A machine that is not connected. `codec` is the cluster's.
    pub fn new(mut config: CoreConfig, codec: Codec, now: Timestamp) -> Self {
        config.limits = config.limits.sane();
        let limits = config.limits;
        Self {
            codec,
            time: Steady::new(now),
            identity: Identity::new(config.node, config.incarnation),
            own: OwnWords::new(limits.max_own_routes),
            outbox: Outbox::new(limits.max_own_routes, limits.max_changes),
            registers: Registers::new(limits, config.lifetime, config.voting),
            reads: Reads::default(),
            link: Link::new(),
            seats: Seats::new(config.lifetime),
            pace: Pace::new(),
            echo: Echo::default(),
            alarm: Alarm::new(),
            events: Events::new(limits.max_events),
            sweep_at: Elapsed::NEVER,
            trouble: None,
            stats: Stats::default(),
            config,
        }
    }

    /// Its settings. The node's id may have changed since, see [`node`](Self::node).
    pub fn config(&self) -> &CoreConfig {
        &self.config
    }

    /// Who this node is at present.
    pub fn node(&self) -> NodeId {
        self.identity.node
    }

    /// The weight of the cluster's word.
    pub fn gamma(&self) -> UnitInterval {
        self.config.gamma
    }

    /// The link is wanted from now on. Succeeds at once: the store may be away.
    pub fn handle_connect(&mut self, now: Timestamp) {
        let now = self.time.advance(now);
        match self.link.phase {
            Phase::Off => {}
            Phase::Leaving => self.drop_session(),
            Phase::Dormant(_) | Phase::Waiting(_) | Phase::Session(_) => return,
        }
        self.alarm.begin(now);
        self.link.forgive();
        self.sweep_at = now.plus(self.sweep_every());
        self.begin();
    }

    /// The link is no longer wanted: health is `Disconnected` from here on, everything is
    /// forgotten, and if the link is up the others are told. Done when
    /// [`is_closed`](Self::is_closed) says so, within the timeout of an operation.
    pub fn handle_disconnect(&mut self, now: Timestamp) {
        let now = self.time.advance(now);
        if matches!(self.link.phase, Phase::Off | Phase::Leaving) {
            return;
        }
        self.leave(now);
        self.own.clear();
        self.outbox.clear();
        self.registers.clear();
        self.reads.clear();
        self.alarm.end();
    }

    /// What the licence allows now; `None` if there is none, as before the first call.
    pub fn handle_grant(&mut self, grant: Option<Grant>, now: Timestamp) {
        self.time.advance(now);
        let licensed = grant.is_some();
        if !self.seats.replace(grant) {
            return;
        }
        match self.link.phase {
            Phase::Dormant(_) if licensed => self.begin(),
            Phase::Waiting(_) | Phase::Session(_) if !licensed => {
                self.drop_session();
                self.begin();
            }
            _ => {}
        }
    }

    /// This node's own view of a route. Served by [`own`](Self::own) at once and published when it
    /// can be. A vector older than the one held changes nothing; between equally old ones the later
    /// call wins. Ignored while disconnected. The caller has checked the length of the name.
    pub fn handle_update(&mut self, route: &str, vector: PhysicsVector, now: Timestamp) {
        let now = self.time.advance(now);
        if self.health() == Health::Disconnected {
            return;
        }
        let id = self.codec.route_id(route);
        match self.own.write(id, route, vector) {
            Written::Older => {
                self.stats.own_older += 1;
                return;
            }
            Written::Stands => {}
            Written::New(evicted) => {
                // Now its name is known, if it was not.
                self.registers.touch(id);
                if let Some(evicted) = evicted {
                    self.stats.own_evictions += 1;
                    self.outbox.forget(evicted);
                }
            }
        }
        self.note_news(now);
        self.outbox.changed(id);
    }

    /// This node has nothing to say about a route any more.
    pub fn handle_forget(&mut self, route: &str) {
        let id = self.codec.route_id(route);
        if self.own.forget(id, route) {
            self.outbox.forget(id);
        }
    }

    /// Something was published on the channel.
    pub fn handle_frame(&mut self, bytes: &[u8], now: Timestamp, draw: UnitInterval) {
        let now = self.time.advance(now);
        if self.link.in_session() {
            self.frame(bytes, now, draw);
        }
    }

    /// The session is gone. Losses of earlier sessions must not be reported.
    pub fn handle_lost(&mut self, error: &TransportError, now: Timestamp, draw: UnitInterval) {
        let now = self.time.advance(now);
        self.failed(Some(error), || error.to_string(), now, draw);
    }

    /// Frames found no room in the inbox: everything is read anew, at a bounded rate.
    pub fn handle_dropped(&mut self, frames: u64, now: Timestamp) {
        let now = self.time.advance(now);
        if frames > 0 && self.link.in_session() {
            self.stats.inbox_dropped = self.stats.inbox_dropped.saturating_add(frames);
            self.echo.excuse(now);
            self.pace.missed.get_or_insert(now);
            self.make_good(now);
        }
    }

    /// Messages arrived that are longer than any frame. They are none of ours, so nothing is
    /// missing.
    pub fn handle_too_long(&mut self, messages: u64) {
        if messages > 0 {
            *self.stats.refused.entry("too_long").or_default() += messages;
        }
    }

    /// Time has passed: call it when [`poll_timeout`](Self::poll_timeout) says so, or at any other
    /// time.
    pub fn handle_timeout(&mut self, now: Timestamp, draw: UnitInterval) {
        let now = self.time.advance(now);
        self.timers(now, draw);
    }

    /// A call has ended. Ends of calls that are not in flight are ignored.
    pub fn handle_completed(
        &mut self,
        id: CallId,
        result: Result<Reply, TransportError>,
        now: Timestamp,
        draw: UnitInterval,
    ) {
        let now = self.time.advance(now);
        if let Some(flight) = self.link.flight.take_if(|flight| flight.id == id) {
            match result {
                Ok(reply) => self.replied(&flight, reply, now, draw),
                Err(error) => self.call_failed(&flight, &error, now, draw),
            }
        }
    }

    /// The next call to be made, `None` while one is in flight or nothing is due.
    pub fn poll_call(&mut self, now: Timestamp) -> Option<Call> {
        let elapsed = self.time.advance(now);
        self.next_call(now, elapsed)
    }

    /// The next thing to tell the operator.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.poll()
    }

    /// The next route of which the others' merged view changed, if its name is known.
    pub fn poll_changed(&mut self, now: Timestamp) -> Option<RemoteVector> {
        self.time.advance(now);
        loop {
            let id = self.registers.pop_changed()?;
            let remote = self.remote(id, now);
            if remote.is_some() {
                return remote;
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next; `None` once there is nothing to
    /// wait for. It lies in the future once the other outputs have been drained.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.next_timer().map(|at| self.time.on_clock(at))
    }

    /// The call that is under way.
    pub fn in_flight(&self) -> Option<CallId> {
        self.link.flight.map(|flight| flight.id)
    }

    /// Whether the link is not wanted, and nothing is left to be done about it.
    pub fn is_closed(&self) -> bool {
        self.link.phase == Phase::Off && !self.link.close_due
    }

    /// How the link is. Healthy once this node's first words in this session are stored.
    pub fn health(&self) -> Health {
        match self.link.phase {
            Phase::Off | Phase::Leaving => Health::Disconnected,
            _ if self.link.is_up() => Health::Healthy,
            _ => Health::Degraded,
        }
    }

    /// What is wrong while the link is [`Health::Degraded`]; `None` if nothing is known to be.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref().filter(|_| self.health() == Health::Degraded)
    }

    /// Whether the link is up and no node's stored state waits to be read.
    pub fn is_synced(&self) -> bool {
        let reading = self.link.flight.is_some_and(|flight| {
            matches!(flight.purpose, link::Purpose::State { .. } | link::Purpose::Index)
        });
        self.link.is_up()
            && !reading
            && self.reads.len() == 0
            && !self.pace.index_wanted
            && self.pace.missed.is_none()
    }

    /// This node's own last word about a route. Reading keeps it from being evicted.
    pub fn own(&mut self, route: &str) -> Option<PhysicsVector> {
        self.own.read(self.codec.route_id(route), route)
    }

    /// All own last words, the least recently used first.
    pub fn snapshot(&self) -> Vec<RouteVector> {
        let words = self.own.iter();
        words.map(|(_, word)| RouteVector::new(Arc::clone(&word.name), word.vector)).collect()
    }

    /// What the others say of all routes whose name is known, for a new subscriber.
    pub fn known(&self, now: Timestamp) -> Vec<RemoteVector> {
        self.registers.routes().filter_map(|id| self.remote(id, now)).collect()
    }

    /// What the others say of a route, put together: the newest word, with the lower median of the
    /// votes (see [`VotingRules`](atrion_core::merge::VotingRules)) for its scar if anybody has
    /// one, as of the time of that word.
    pub fn merged(&self, route: RouteId, now: Timestamp) -> Option<RemoteVector> {
        self.remote(route, now)
    }

    /// The abbreviation of a route's name.
    pub fn route_id(&self, route: &str) -> RouteId {
        self.codec.route_id(route)
    }

    /// The last word of each other node about a route, aged to `now`, appended to `reports`.
    pub fn reports(&self, route: RouteId, now: Timestamp, reports: &mut Vec<Report>) {
        self.registers.reports(route, self.time.at(now), reports);
    }

    /// The same, each with the node that said it.
    pub fn voices(&self, route: RouteId, now: Timestamp) -> Vec<(NodeId, Report)> {
        self.registers.voices(route, self.time.at(now))
    }

    /// The routes that another node complains about, as [`Report::complains`] says of its scar
    /// decayed to `now`, or as long as it lets only probes pass.
    pub fn troubled(&self, now: Timestamp) -> Vec<RouteId> {
        self.registers.troubled(self.time.at(now))
    }

    /// All nodes that are believed to be alive, this one first, the others by their id.
    pub fn nodes(&self, now: Timestamp) -> Vec<Node> {
        self.list_nodes(self.time.at(now))
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        let counts = self.registers.counts;
        Stats {
            changes_in: counts.changes,
            older: counts.older,
            lost: counts.lost,
            duplicates: counts.duplicates,
            refused_registers: counts.refused_registers,
            evicted_registers: counts.evicted_registers,
            refused_nodes: counts.refused_nodes,
            dropped_events: self.events.dropped,
            registers: self.registers.len() as u64,
            nodes: self.registers.live() as u64,
            own_routes: self.own.len() as u64,
            pending: self.outbox.waiting() as u64,
            refused: BTreeMap::clone(&self.stats.refused),
            ..self.stats
        }
    }
}

#[cfg(test)]
mod tests;
