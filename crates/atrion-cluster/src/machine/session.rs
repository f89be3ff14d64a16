//! How a session gets along: its steps, and what replies bring about.

use atrion_core::units::UnitInterval;
use bytes::Bytes;

use super::ClusterCore;
use super::call::{Reply, node_of};
use super::echo::Echo;
use super::event::Event;
use super::link::{Flight, Phase, Purpose, ServerClock, Step};
use super::schedule::CHECKED_FIELDS;
use super::seats::Seat;
use super::time::Elapsed;
use crate::transport::{Registered, TransportError};

impl ClusterCore {
    /// Starts a session, or explains why not.
    pub(crate) fn begin(&mut self) {
        if self.seats.grant().is_some() {
            self.seats.renew();
            self.link.begin();
        } else {
            self.link.phase = Phase::Dormant(None);
            self.trouble = Some("there is no licence for sharing".to_owned());
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
                self.drop_session();
            }
            self.link.phase = Phase::Off;
        }
        self.sweep_at = now;
    }

    pub(crate) fn closed(&mut self) {
        self.link.drop_session();
        self.link.phase = Phase::Off;
    }

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
            // A register under a licence that has been replaced since says nothing.
            (Purpose::Seat { grant, .. }, Reply::Registered(_)) if grant != self.seats.number() => {
            }
            (Purpose::Seat { seat, .. }, Reply::Registered(all)) => self.seated(seat, all, now),
            (Purpose::Index, Reply::Nodes(keys)) => self.indexed(&keys, now),
            (Purpose::OwnState, Reply::State(fields)) => self.own_state(&fields, now, draw),
            (Purpose::Check, Reply::State(fields)) => self.checked(&fields),
            (Purpose::State { node, horizon }, Reply::State(fields)) => {
                self.state(node, horizon, &fields, now);
            }
            (Purpose::News { .. }, Reply::Committed) => self.committed(flight, now),
            (Purpose::News { .. }, Reply::CommittedAnew) => {
                let lost = self.link.is_up();
                self.committed(flight, now);
                if lost {
                    self.restore();
                }
            }
            (Purpose::Leave, _) => self.closed(),
            _ => {
                let error = TransportError::Protocol("an answer to another question".to_owned());
                self.call_failed(flight, &error, now, draw);
            }
        }
    }

    /// A routine call on a link that is up changes no step.
    pub(crate) fn advance_from(&mut self, from: Step, to: Step) {
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
        self.republish();
    }

    /// All own words have to be told again, and the names with them.
    pub(crate) fn republish(&mut self) {
        self.echo = Echo::default();
        self.outbox.all(&self.own);
        self.pace.restart();
    }

    fn seated(&mut self, seat: Seat, all: Vec<Registered>, now: Elapsed) {
        match self.seats.registered(seat, &self.member(seat), all, now) {
            Ok(()) => self.advance_from(Step::Seat(seat), self.after_seat(Some(seat))),
            Err((again, names)) => {
                self.drop_session();
                self.link.phase = Phase::Dormant(Some(again));
                self.trouble =
                    Some("the licence covers fewer clusters or nodes than there are".to_owned());
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
                Some(node) if self.registers.discover(node, now) => self.reads.schedule(node, now),
                Some(_) => {}
                None => self.stats.foreign_nodes += 1,
            }
        }
        let look = own && !self.identity.looked_back;
        self.identity.looked_back |= !own;
        self.advance_from(Step::Index, if look { Step::OwnState } else { Step::Storing });
    }

    /// A store that has lost this node's words, to an operator or to a shortage of memory, gets
    /// them again.
    fn checked(&mut self, fields: &[(Bytes, Bytes)]) {
        let expected = self.own.len().min(CHECKED_FIELDS);
        if fields.len() < expected && self.outbox.is_empty() {
            self.restore();
        }
    }

    fn restore(&mut self) {
        self.stats.restored += 1;
        self.link.session += 1;
        self.republish();
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
        self.trouble = None;
        self.advance_from(Step::Storing, Step::Up);
        if let Some(event) = self.alarm.succeed(now) {
            self.events.tell(event);
        }
    }
}
