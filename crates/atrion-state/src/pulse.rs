//! The pulse: the founding RFC's loop *compute, buffer, push, pull* as a machine without I/O.
//!
//! [`Pulse`] decides everything and does nothing: it is told what happened (`handle_*`), asked
//! what to do (`poll_*`), and given the time. Whoever drives it, a task on tokio (feature
//! `tokio`, module `driver`), a thread, or a simulation, makes the calls it asks for.
//!
//! ```text
//!             handle_timeout(now)               poll_timeout()
//!  timer ------------------------->           <---------------- sleep until
//!             poll_collect()          Pulse
//!  source <------------------------           poll_transmit() -> provider
//!             handle_change(..)               handle_completed(..) <- its answer
//!  source ------------------------->          handle_remote(..)   <- its subscription
//! ```
//!
//! # What it guarantees
//!
//! - Of each route the latest vector is sent in the end, or lies within the dead band of what the
//!   store is known to hold; failures, timeouts and hangs lose nothing.
//! - A route is sent at most once per pulse, and one call of the provider is under way at a time.
//! - Memory is bounded by [`PulseConfigBuilder::max_routes`]. Cost grows with what changed.
//! - Every call has a deadline; failures are followed by capped exponential backoff with jitter.
//! - A clock that steps back delays deadlines by no more than the step; see
//!   [`Clock`](crate::clock::Clock).

mod alarm;
mod buffer;
mod config;
mod decide;
mod event;
mod link;
mod operation;
mod remote;
mod rounds;
mod source;
mod steady;

use std::collections::VecDeque;
use std::sync::Arc;

use atrion_core::time::Timestamp;
use atrion_core::units::UnitInterval;
use atrion_core::vector::PhysicsVector;

use crate::provider::{Health, MAX_ROUTE_BYTES, ProviderError, RemoteVector, RouteVector};
use buffer::{Buffer, Offer};
pub use config::{DeadBand, PulseConfig, PulseConfigBuilder};
pub use event::{FlushReport, PulseEvent, PulseStats};
use link::Link;
use operation::InFlight;
pub use operation::{OperationId, Request, Transmit};
use remote::{RemoteFilter, Verdict};
use rounds::Rounds;
pub use source::{Collector, PulseSource};
use steady::{Elapsed, Steady};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Delivering what is left until the deadline; `delivered` is the count when it began.
    Closing {
        deadline: Elapsed,
        delivered: u64,
    },
    Closed {
        report: FlushReport,
    },
}

/// The pulse machine. See the [module](self) for what it guarantees.
///
/// # How to drive it
///
/// After any `handle_*` call, drain the outputs in this order, then wait for the next input:
///
/// 1. [`poll_collect`](Pulse::poll_collect): visit the source;
/// 2. [`poll_transmit`](Pulse::poll_transmit) until `None`: start each call of the provider and
///    report its end with [`handle_completed`](Pulse::handle_completed);
/// 3. [`poll_event`](Pulse::poll_event) until `None`: tell the operator;
///    [`poll_flushed`](Pulse::poll_flushed): tell who asked for a flush;
/// 4. [`poll_timeout`](Pulse::poll_timeout): call [`handle_timeout`](Pulse::handle_timeout) then.
///
/// A call whose id is no longer [`in_flight`](Pulse::in_flight) has passed its deadline: drop its
/// future. Every `draw` is a fresh uniform number of the caller's generator, so that a run can be
/// replayed from its seed.
#[derive(Debug)]
pub struct Pulse {
    config: PulseConfig,
    time: Steady,
    phase: Phase,
    rounds: Rounds,
    buffer: Buffer,
    /// The source was told that the buffer is full and has kept changes back.
    source_has_more: bool,
    /// The next visit asks the source for everything.
    wants_all: bool,
    remote: RemoteFilter,
    link: Link,
    operation: Option<InFlight>,
    last_id: u64,
    /// Since when nothing was sent.
    quiet_since: Elapsed,
    /// The counters when the flush that is under way began.
    flush: Option<PulseStats>,
    events: VecDeque<PulseEvent>,
    stats: PulseStats,
}

impl Pulse {
    /// A pulse that is due at once.
    pub fn new(config: PulseConfig, now: Timestamp) -> Self {
        Self {
            time: Steady::new(now),
            phase: Phase::Running,
            rounds: Rounds::new(config.interval()),
            buffer: Buffer::new(config.max_routes(), config.max_batch(), config.dead_band()),
            source_has_more: false,
            wants_all: false,
            remote: RemoteFilter::new(config.max_routes(), config.remote_max_age()),
            link: Link::new(&config),
            operation: None,
            last_id: 0,
            quiet_since: Elapsed::START,
            flush: None,
            events: VecDeque::new(),
            stats: PulseStats::default(),
            config,
        }
    }

    /// Its settings.
    pub fn config(&self) -> &PulseConfig {
        &self.config
    }

    /// Its counters.
    pub fn stats(&self) -> PulseStats {
        PulseStats { pending: self.buffer.len() as u64, ..self.stats }
    }

    /// Whether the provider is connected, answers, and reports no trouble.
    pub fn is_healthy(&self) -> bool {
        self.link.is_healthy()
    }

    /// How many more routes the buffer takes.
    pub fn room(&self) -> usize {
        self.buffer.room()
    }

    /// Time has passed: call it when [`Pulse::poll_timeout`] says so, or at any other time.
    pub fn handle_timeout(&mut self, now: Timestamp, draw: UnitInterval) {
        let now = self.time.advance(now);
        if let Some(op) = self.operation.take_if(|op| now >= op.deadline) {
            self.stats.timeouts += 1;
            let error = ProviderError::TimedOut {
                operation: op.request.name(),
                after: now.since(op.started),
            };
            self.failed(&op, &error, now, draw);
        }
        if self.link.take_retry(now) {
            self.rounds.reopen();
        }
        if self.phase == Phase::Running {
            self.rounds.tick(now);
        }
    }

    /// A route has changed. `false` if the change was not taken because the buffer is full; a
    /// name that no provider has to store is dropped, counted and `true`.
    pub fn handle_change(&mut self, route: &Arc<str>, vector: PhysicsVector) -> bool {
        match self.buffer.offer(route, vector) {
            Offer::Buffered => self.stats.changes += 1,
            Offer::Coalesced => {
                self.stats.changes += 1;
                self.stats.coalesced += 1;
            }
            Offer::NameTooLong => self.stats.refused_name += 1,
            Offer::Full => {
                self.stats.refused_full += 1;
                self.source_has_more = true;
                return false;
            }
        }
        true
    }

    /// A route is gone: what waits of it is not sent.
    pub fn handle_forget(&mut self, route: &str) {
        self.buffer.forget(route);
    }

    /// A call has ended. Ends of calls that are no longer in flight are ignored.
    pub fn handle_completed(
        &mut self,
        id: OperationId,
        result: Result<(), &ProviderError>,
        now: Timestamp,
        draw: UnitInterval,
    ) {
        let now = self.time.advance(now);
        if let Some(op) = self.operation.take_if(|op| op.id == id) {
            match result {
                Ok(()) => self.succeeded(&op, now),
                Err(error) => self.failed(&op, error, now, draw),
            }
        }
    }

    /// The answer to [`Request::Subscribe`]: whether the provider shares.
    pub fn handle_subscribed(&mut self, id: OperationId, shares: bool, now: Timestamp) {
        let now = self.time.advance(now);
        if let Some(op) = self.operation.take_if(|op| op.id == id) {
            self.link.subscribed(shares);
            self.succeeded(&op, now);
        }
    }

    /// The answer to [`Request::WarmStart`], before [`Pulse::handle_completed`]: returns what is to
    /// be handed to the source. No more than it can hold, no names that are too long, and nothing
    /// that claims to come from the future.
    pub fn handle_snapshot(
        &mut self,
        mut vectors: Vec<RouteVector>,
        now: Timestamp,
    ) -> Vec<RouteVector> {
        vectors.retain(|held| held.route.len() <= MAX_ROUTE_BYTES);
        vectors.truncate(self.config.max_routes());
        for held in &mut vectors {
            held.vector.timestamp = held.vector.timestamp.min(now);
        }
        vectors
    }

    /// The subscription has ended (or panicked): it will be made again, not at once.
    pub fn handle_stream_end(&mut self, now: Timestamp, draw: UnitInterval) {
        let now = self.time.advance(now);
        if self.link.stream_ended(now, draw) {
            self.stats.resubscriptions += 1;
        }
    }

    /// The subscription delivered something. Returns it, its timestamp corrected to be no later
    /// than `now`, if it is to be passed on: it is not older than what was passed on for the
    /// route, and not too old altogether.
    pub fn handle_remote(
        &mut self,
        mut remote: RemoteVector,
        now: Timestamp,
    ) -> Option<RemoteVector> {
        self.time.advance(now);
        match self.remote.judge(&mut remote, now) {
            Verdict::Accepted => {
                self.stats.remote_accepted += 1;
                self.link.heard();
                return Some(remote);
            }
            Verdict::Older => self.stats.remote_older += 1,
            Verdict::Stale => self.stats.remote_stale += 1,
            Verdict::NameTooLong => self.stats.remote_refused += 1,
        }
        None
    }

    /// What the provider says of itself; ask it at each visit to the source. A provider that
    /// works from memory while its store is away succeeds in every call, and only this shows the
    /// trouble; `trouble` says what it is.
    pub fn handle_health(
        &mut self,
        health: Health,
        trouble: Option<&str>,
        now: Timestamp,
        draw: UnitInterval,
    ) {
        let now = self.time.advance(now);
        if !self.link.is_up() || self.operation.is_some() {
            return;
        }
        let event = if health == Health::Disconnected {
            self.link.lost();
            self.stats.failures += 1;
            let reason = trouble.unwrap_or("the provider has lost its connection");
            self.link.fail(reason, now, draw)
        } else {
            self.link.reported(health, trouble, now)
        };
        self.tell(event);
    }

    /// Collect and push now, without waiting for the next pulse or for a backoff to end.
    /// [`Pulse::poll_flushed`] tells when it is done.
    pub fn handle_flush(&mut self, now: Timestamp) {
        let now = self.time.advance(now);
        self.flush.get_or_insert(self.stats);
        if self.phase == Phase::Running {
            self.link.forgive();
            self.rounds.visit_now(now);
        }
    }

    /// The source panicked while it was visited. What it reported before counts; since it may have
    /// lost track of the rest, it is asked for everything next time.
    pub fn handle_source_panic(&mut self) {
        self.stats.source_panics += 1;
        self.wants_all = true;
    }

    /// Visit the source once more, deliver what waits, disconnect, and be done with it. Repeated
    /// calls change nothing.
    pub fn handle_shutdown(&mut self, now: Timestamp) {
        let now = self.time.advance(now);
        if self.phase != Phase::Running {
            return;
        }
        let deadline = now.plus(self.config.flush_timeout());
        self.phase = Phase::Closing { deadline, delivered: self.stats.delivered };
        self.link.forgive();
        self.rounds.visit_now(now);
        if let Some(op) = &mut self.operation {
            op.deadline = op.deadline.min(deadline);
        }
    }

    /// The visit to the source that is due, if any: hand the collector to
    /// [`PulseSource::collect`].
    pub fn poll_collect(&mut self) -> Option<Collector<'_>> {
        if !self.rounds.take_visit() {
            return None;
        }
        self.stats.pulses += 1;
        self.source_has_more = false;
        let wants_all = std::mem::take(&mut self.wants_all);
        Some(Collector::new(self, wants_all))
    }

    /// The next call of the provider, `None` while one is in flight or nothing is due.
    pub fn poll_transmit(&mut self, now: Timestamp) -> Option<Transmit> {
        let now = self.time.advance(now);
        if self.operation.is_some() || self.rounds.is_visit_due() {
            return None;
        }
        self.rounds.open(self.buffer.waiting());
        let request = match self.phase {
            Phase::Running => self.next_request(now)?,
            Phase::Closing { deadline, .. } => self.next_closing_request(now, deadline)?,
            Phase::Closed { .. } => return None,
        };
        Some(self.start(request, now))
    }

    /// The next thing to tell the operator.
    pub fn poll_event(&mut self) -> Option<PulseEvent> {
        self.events.pop_front()
    }

    /// When to call [`Pulse::handle_timeout`] next, on the caller's clock; `None` once the pulse
    /// has stopped. It lies in the future once the other outputs have been drained.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let retry = self.link.retry_at();
        let at = match (self.phase, &self.operation) {
            (Phase::Closed { .. }, _) => return None,
            (Phase::Running, Some(op)) => op.deadline.min(self.rounds.next()),
            (Phase::Closing { .. }, Some(op)) => op.deadline,
            (Phase::Running, None) => earlier(self.rounds.next(), retry),
            (Phase::Closing { deadline, .. }, None) => earlier(deadline, retry),
        };
        Some(self.time.on_clock(at))
    }

    /// The call that is in flight.
    pub fn in_flight(&self) -> Option<OperationId> {
        self.operation.as_ref().map(|op| op.id)
    }

    /// The report of the flush that was asked for, once everything that waited has been accepted
    /// or a call has failed.
    pub fn poll_flushed(&mut self) -> Option<FlushReport> {
        let before = self.flush?;
        let failed = self.stats.failures > before.failures;
        let closed = matches!(self.phase, Phase::Closed { .. });
        let idle = self.operation.is_none() && self.rounds.is_idle() && self.link.is_up();
        if !(failed || closed || idle) {
            return None;
        }
        self.flush = None;
        Some(FlushReport {
            delivered: self.stats.delivered - before.delivered,
            undelivered: self.buffer.len(),
        })
    }

    /// The final report, once the pulse has stopped.
    pub fn poll_closed(&self) -> Option<FlushReport> {
        match self.phase {
            Phase::Closed { report } => Some(report),
            Phase::Running | Phase::Closing { .. } => None,
        }
    }
}

fn earlier(at: Elapsed, other: Option<Elapsed>) -> Elapsed {
    other.map_or(at, |other| at.min(other))
}

#[cfg(test)]
mod tests;
