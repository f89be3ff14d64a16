//! Troubles of hub, network and processes, as they begin and end.

use std::mem;

use atrion_cluster::simulation::Answers;
use atrion_cluster::transport::TransportError;
use atrion_core::time::Timestamp;

use super::net::{Event, Net, air};
use super::parts::TroubleKind;

/// Seconds between two looks at whether everybody has heard of everybody.
const LOOK_SECS: f64 = 0.01;

impl Net<'_> {
    /// A trouble begins or ends.
    pub(super) fn change(&mut self, index: usize, begins: bool, now: Timestamp) {
        let Some(trouble) = self.scenario.troubles().get(index).cloned() else { return };
        let nodes: Vec<usize> = trouble.kind.nodes().iter().map(|id| *id as usize).collect();
        match trouble.kind {
            TroubleKind::Weather(weather) => {
                self.hub.weather = air(if begins { weather } else { self.scenario.weather() });
            }
            TroubleKind::Partition { .. } => {
                for id in nodes {
                    self.hub.put_on_side(id, u8::from(begins));
                }
            }
            TroubleKind::Cut { .. } => {
                for id in nodes {
                    self.hub.cut_off(id, begins);
                }
            }
            TroubleKind::HubDown { emptied } => {
                self.hub.answers = if begins { Answers::Refuses } else { Answers::Serves };
                if begins {
                    self.break_connections(now);
                }
                if emptied {
                    self.hub.flush_all();
                }
            }
            TroubleKind::HubHung => {
                self.hub.answers = if begins { Answers::Hangs } else { Answers::Serves };
                for (id, incarnation, call) in mem::take(&mut self.held_up) {
                    self.plan(now, Event::Call(id, incarnation, call));
                }
            }
            TroubleKind::HubEmptied => {
                if begins {
                    self.hub.flush_all();
                }
            }
            TroubleKind::Crash { .. } => self.replace(&nodes, begins, now),
            TroubleKind::Lie { .. } => {
                for id in nodes {
                    if let Some(seat) = self.seats.get_mut(id) {
                        seat.lies = begins.then_some(0);
                    }
                    if !begins {
                        self.replace(&[id], true, now);
                        // The lies were told as its next life.
                        if let Some(node) = self.node(id, now) {
                            node.incarnation += 1;
                        }
                        self.replace(&[id], false, now);
                    }
                }
            }
            TroubleKind::ClockStep { secs, .. } => {
                for id in nodes {
                    if let Some(node) = self.node(id, now) {
                        node.clock.leap(if begins { secs } else { -secs });
                    }
                    self.feed(id, now, |_, _| ());
                }
            }
        }
    }

    fn break_connections(&mut self, now: Timestamp) {
        let gone = TransportError::Unreachable("the connection was reset".to_owned());
        for id in 0..self.seats.len() {
            let draw = self.draws.draw();
            self.feed(id, now, |core, now| core.handle_lost(&gone, now, draw));
        }
    }

    /// Kills processes, or starts new ones in their places.
    fn replace(&mut self, nodes: &[usize], dies: bool, now: Timestamp) {
        for id in nodes {
            let Some(node) = self.node(*id, now) else { continue };
            if dies {
                node.kill();
                continue;
            }
            let started = node.start(now);
            let (incarnation, shares) = (node.incarnation, node.link().is_some());
            self.failed = self.failed.take().or(started.err());
            if let Some(seat) = self.seats.get_mut(*id) {
                seat.timer_at = None;
            }
            if shares {
                self.plan(now, Event::Pulse(*id, incarnation));
            }
        }
    }

    /// Begins to look whether everybody has caught up with what a trouble kept from them.
    pub(super) fn converging(&mut self, index: usize, now: Timestamp) {
        let parts = self.scenario.troubles().get(index).is_some_and(|t| t.kind.parts());
        let shares = self.seats.iter_mut().any(|seat| seat.run.policy().link().is_some());
        if parts && shares && self.convergence.begin(now) {
            self.plan(now.add_secs(LOOK_SECS), Event::Look);
        }
    }

    pub(super) fn look(&mut self, now: Timestamp) {
        let nodes = self.seats.iter_mut().filter(|seat| seat.lies.is_none());
        let nodes = nodes.map(|seat| &*seat.run.policy());
        if self.convergence.look(nodes, now) {
            self.plan(now.add_secs(LOOK_SECS), Event::Look);
        }
    }
}
