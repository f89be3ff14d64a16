//! What is heard of others, on the channel and in what they stored.

use std::collections::HashSet;
use std::sync::Arc;

use atrion_core::units::UnitInterval;
use atrion_state::peers::NodeId;
use bytes::Bytes;

use super::echo::Owner;
use super::event::Event;
use super::link::{Purpose, Step};
use super::registers::{Gap, Horizon, Source, stored};
use super::time::Elapsed;
use super::{ClusterCore, publish};
use crate::wire::{Frame, WireError};

impl ClusterCore {
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
            Owner::Conflict => {
                self.identity.note_conflict(frame.stamp, now);
                self.settle_conflict(now, draw);
            }
            Owner::Other => {
                let gap = self.take(&frame, Source::Live, now);
                // A reading under way began after the subscription, so it covers what was before.
                let reading = self.link.flight.is_some_and(|flight| {
                    matches!(flight.purpose, Purpose::State { node, .. } if node == frame.node)
                });
                if gap == Some(Gap::Lost) || (gap == Some(Gap::Unread) && !reading) {
                    // Whoever missed the same frame does not ask at the same moment.
                    let wait = self.config.interval.mul_f64(draw.get());
                    self.reads.schedule(frame.node, now.plus(wait));
                }
            }
        }
    }

    /// Joins another node's frame.
    fn take(&mut self, frame: &Frame, source: Source, now: Elapsed) -> Option<Gap> {
        if self.identity.owner(frame.node, frame.stamp) != Owner::Other {
            return None;
        }
        let taken = self.registers.take(frame, source, now);
        if taken.joined == taken.left {
            return taken.gap;
        }
        let name =
            self.registers.peer(frame.node).map_or_else(|| Arc::from(""), |p| Arc::clone(&p.name));
        if taken.joined {
            // It has not heard this node's name yet.
            self.pace.introduce();
            self.events.tell_of_node(Event::NodeJoined { id: frame.node, name }, now);
        } else {
            self.reads.forget(frame.node);
            self.events.tell_of_node(Event::NodeLeft { id: frame.node, name }, now);
        }
        taken.gap
    }

    fn refused(&mut self, error: &WireError) {
        *self.stats.refused.entry(error.kind()).or_default() += 1;
    }

    pub(crate) fn settle_conflict(&mut self, now: Elapsed, draw: UnitInterval) {
        let Some(theirs) = self.identity.take_conflict(now) else { return };
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

    /// An earlier life of this node may have counted further than this one does.
    pub(crate) fn own_state(
        &mut self,
        fields: &[(Bytes, Bytes)],
        now: Elapsed,
        draw: UnitInterval,
    ) {
        let frames = fields.iter().filter_map(|(_, bytes)| self.codec.decode(bytes).ok());
        let node = self.identity.node;
        let newest = frames.filter(|frame| frame.node == node).map(|frame| frame.stamp).max();
        self.identity.looked_back = true;
        if let Some(stamp) = newest.filter(|stamp| *stamp > self.identity.stamp) {
            self.identity.note_conflict(stamp, now);
            self.settle_conflict(now, draw);
        }
        self.advance_from(Step::OwnState, Step::Storing);
    }

    pub(crate) fn state(
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
