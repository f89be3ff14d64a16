//! The decisions behind the machine's inputs and outputs.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use atrion_core::units::UnitInterval;

use super::event::{FlushReport, PulseEvent};
use super::operation::{InFlight, OperationId, Request, Transmit};
use super::steady::Elapsed;
use super::{Phase, Pulse};
use crate::provider::ProviderError;

/// Events that wait for a driver which does not fetch them; more displace the oldest.
const MAX_EVENTS: usize = 16;

impl Pulse {
    pub(super) fn next_request(&mut self, now: Elapsed) -> Option<Request> {
        if self.link.retry_at().is_some() {
            return None;
        }
        if let Some(setup) = self.link.next_setup(now) {
            return Some(setup);
        }
        self.next_push().or_else(|| {
            let quiet = now.since(self.quiet_since) >= self.config.heartbeat();
            quiet.then(|| Request::Push(Arc::from([])))
        })
    }

    pub(super) fn next_closing_request(
        &mut self,
        now: Elapsed,
        deadline: Elapsed,
    ) -> Option<Request> {
        if now < deadline && self.buffer.waiting() > 0 {
            if self.link.retry_at().is_some() {
                return None;
            }
            if !self.link.is_up() {
                return self.link.next_setup(now);
            }
            self.rounds.left = self.buffer.waiting();
            if let Some(push) = self.next_push() {
                return Some(push);
            }
        }
        if self.link.was_tried() {
            return Some(Request::Disconnect);
        }
        self.close();
        None
    }

    fn next_push(&mut self) -> Option<Request> {
        let (batch, left_out) = self.buffer.next_batch(&mut self.rounds.left);
        self.stats.within_dead_band += left_out;
        (!batch.is_empty()).then_some(Request::Push(batch))
    }

    pub(super) fn start(&mut self, request: Request, now: Elapsed) -> Transmit {
        let mut deadline = now.plus(self.config.operation_timeout());
        if let Phase::Closing { deadline: end, .. } = self.phase
            && request != Request::Disconnect
        {
            deadline = deadline.min(end);
        }
        self.last_id += 1;
        let id = OperationId(self.last_id);
        self.operation = Some(InFlight { id, request: request.clone(), started: now, deadline });
        Transmit { id, request }
    }

    pub(super) fn succeeded(&mut self, op: &InFlight, now: Elapsed) {
        match &op.request {
            Request::Connect => {
                self.link.connected();
                // The store may be a new one: what it holds is not known any more.
                self.buffer.forget_delivered();
                self.wants_all = true;
            }
            Request::WarmStart => self.link.warmed(),
            Request::Subscribe => {}
            Request::Push(batch) if batch.is_empty() => {
                self.stats.heartbeats += 1;
                self.quiet_since = now;
            }
            Request::Push(batch) => {
                self.buffer.confirm(batch);
                self.stats.batches += 1;
                self.stats.delivered += batch.len() as u64;
                self.quiet_since = now;
                self.ask_for_the_rest(now);
            }
            Request::Disconnect => return self.close(),
        }
        let event = self.link.succeed(now);
        self.tell(event);
    }

    pub(super) fn failed(
        &mut self,
        op: &InFlight,
        error: &ProviderError,
        now: Elapsed,
        draw: UnitInterval,
    ) {
        self.stats.failures += 1;
        if matches!(error, ProviderError::Panicked { .. }) {
            self.stats.panics += 1;
        }
        match &op.request {
            Request::Push(batch) => self.buffer.restore(batch, error.is_transient()),
            // A provider that will never give a snapshot must not keep us from sending.
            Request::WarmStart if !error.is_transient() => self.link.warmed(),
            Request::Disconnect => return self.close(),
            Request::Connect | Request::WarmStart | Request::Subscribe => {}
        }
        if matches!(error, ProviderError::NotConnected) {
            self.link.lost();
        }
        let event = self.link.fail(&describe(error), now, draw);
        self.tell(event);
    }

    /// While shutting down, a source that kept changes back for want of room is asked for them as
    /// soon as there is some; otherwise the next pulse is soon enough.
    fn ask_for_the_rest(&mut self, now: Elapsed) {
        if self.source_has_more && self.phase != Phase::Running {
            self.rounds.visit_now(now);
        }
    }

    pub(super) fn tell(&mut self, event: Option<PulseEvent>) {
        if let Some(event) = event {
            if self.events.len() >= MAX_EVENTS {
                self.events.pop_front();
            }
            self.events.push_back(event);
        }
    }

    fn close(&mut self) {
        if let Phase::Closing { delivered, .. } = self.phase {
            self.link.lost();
            self.phase = Phase::Closed {
                report: FlushReport {
                    delivered: self.stats.delivered - delivered,
                    undelivered: self.buffer.len(),
                },
            };
        }
    }
}

/// An error with its sources on one line.
fn describe(error: &ProviderError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
