//! The event loop between the nodes: pulses, calls to the hub, frames.
//!
//! Nodes touch each other through the hub only. So a node's own world is played up to the moment
//! in which something of the cluster happens to it, and no further than that.

use std::collections::BTreeMap;
use std::time::Duration;

use atrion_cluster::machine::{CallId, ClusterCore, Reply, Request};
use atrion_cluster::simulation::{Answers, Hub, Lie, Weather as Air};
use atrion_cluster::transport::TransportError;
use atrion_cluster::wire::Codec;
use atrion_core::merge::Stamp;
use atrion_core::time::Timestamp;
use atrion_state::blocking::block_on;
use atrion_state::entropy::Draws;

use super::ClusterError;
use super::converge::Convergence;
use super::node::Node;
use super::parts::Weather;
use super::run::Sharing;
use super::scenario::ClusterScenario;
use crate::rng::Rng;
use crate::world::Run;

/// The stream of random numbers that spreads the first pulses.
const PHASES: u64 = (1 << 40) + 1;

pub(super) fn secs(secs: f64) -> Duration {
    Duration::try_from_secs_f64(secs).unwrap_or_default()
}

fn at(secs: f64) -> Timestamp {
    Timestamp::ZERO.add_secs(secs)
}

pub(super) fn air(weather: Weather) -> Air {
    Air {
        loss: weather.loss,
        duplication: weather.duplication,
        delay: (secs(weather.min_delay_secs), secs(weather.max_delay_secs)),
    }
}

/// A call of a process of a node, by its incarnation.
pub(super) type HeldUp = (usize, u64, Box<(CallId, Request)>);

/// What happens between the nodes. Events of a process that is gone say so by its incarnation.
pub(super) enum Event {
    Pulse(usize, u64),
    Timer(usize),
    /// A call reaches the hub.
    Call(usize, u64, Box<(CallId, Request)>),
    /// Its answer reaches the node.
    Answer(usize, u64, CallId, Box<Result<Reply, TransportError>>),
    Begin(usize),
    End(usize),
    Look,
}

pub(super) struct Seat<'a> {
    pub(super) run: Run<'a, Node>,
    pub(super) timer_at: Option<Timestamp>,
    /// The number of the next lie, while it lies.
    pub(super) lies: Option<u64>,
}

pub(super) struct Net<'a> {
    pub(super) scenario: &'a ClusterScenario,
    pub(super) seats: Vec<Seat<'a>>,
    pub(super) hub: Hub,
    /// By time and a number that keeps the order of equals.
    pub(super) agenda: BTreeMap<(Timestamp, u64), Event>,
    pub(super) count: u64,
    /// Calls that the hub took while it hung: it serves them when it wakes.
    pub(super) held_up: Vec<HeldUp>,
    pub(super) draws: Draws,
    pub(super) codec: Codec,
    pub(super) convergence: Convergence,
    pub(super) failed: Option<ClusterError>,
}

impl Net<'_> {
    pub(super) fn begin(&mut self, sharing: Sharing, seed: u64) {
        for (index, trouble) in self.scenario.troubles().iter().enumerate() {
            self.plan(at(trouble.from_secs), Event::Begin(index));
            if trouble.to_secs < self.scenario.duration_secs() {
                self.plan(at(trouble.to_secs), Event::End(index));
            }
        }
        if sharing == Sharing::Alone {
            return;
        }
        let mut phases = Rng::new(seed, PHASES);
        for id in 0..self.seats.len() {
            let phase = phases.between(0.0, self.scenario.interval_secs());
            self.plan(at(phase), Event::Pulse(id, 1));
        }
    }

    pub(super) fn plan(&mut self, at: Timestamp, event: Event) {
        self.count += 1;
        self.agenda.insert((at, self.count), event);
    }

    pub(super) fn play(&mut self) {
        let end = at(self.scenario.duration_secs());
        loop {
            let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let arrival = self.hub.next_arrival();
            let Some(now) = [planned, arrival].into_iter().flatten().min() else { break };
            if now >= end || self.failed.is_some() {
                break;
            }
            if arrival == Some(now) {
                if let Some((to, frame)) = self.hub.arrival(now) {
                    self.hear(to, &frame, now);
                }
            } else if let Some((_, event)) = self.agenda.pop_first() {
                self.happen(event, now);
            }
        }
        for seat in &mut self.seats {
            seat.run.advance(self.scenario.duration_secs());
        }
    }

    fn happen(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Pulse(id, incarnation) => self.pulse(id, incarnation, now),
            Event::Timer(id) => self.timer(id, now),
            Event::Call(id, incarnation, call) => {
                let (call, request) = *call;
                if let Some(reply) = self.hub.serve(&request, id, now) {
                    let back = now.saturating_add(self.hub.draw_delay());
                    self.plan(back, Event::Answer(id, incarnation, call, Box::new(reply)));
                } else if self.hub.answers == Answers::Hangs {
                    self.held_up.push((id, incarnation, Box::new((call, request))));
                }
            }
            Event::Answer(id, incarnation, call, reply) => {
                let draw = self.draws.draw();
                let is_same = self.node(id, now).is_some_and(|n| n.incarnation == incarnation);
                if is_same {
                    self.feed(id, now, |core, now| core.handle_completed(call, *reply, now, draw));
                }
            }
            Event::Begin(index) => self.change(index, true, now),
            Event::End(index) => {
                self.change(index, false, now);
                self.converging(index, now);
            }
            Event::Look => self.look(now),
        }
    }

    /// The node, with its world played up to now.
    pub(super) fn node(&mut self, id: usize, now: Timestamp) -> Option<&mut Node> {
        let seat = self.seats.get_mut(id)?;
        seat.run.advance(now.secs_since(Timestamp::ZERO));
        let node = seat.run.policy();
        node.set_time(now);
        Some(node)
    }

    /// Whether the node's process speaks and hears as it should.
    fn is_honest(&self, id: usize) -> bool {
        self.seats.get(id).is_some_and(|seat| seat.lies.is_none())
    }

    /// Feeds the machine of a node, and does what it asks for then.
    pub(super) fn feed(
        &mut self,
        id: usize,
        now: Timestamp,
        f: impl FnOnce(&mut ClusterCore, Timestamp),
    ) {
        if !self.is_honest(id) {
            return;
        }
        let Some(node) = self.node(id, now) else { return };
        let Some((process, provider)) = node.link() else { return };
        provider.with_core(f);
        block_on(process.atrion.listen());
        self.drain(id, now);
    }

    fn hear(&mut self, id: usize, frame: &[u8], now: Timestamp) {
        let draw = self.draws.draw();
        self.feed(id, now, |core, now| core.handle_frame(frame, now, draw));
        if let Some(node) = self.node(id, now) {
            node.note_knowledge(now);
        }
    }

    fn pulse(&mut self, id: usize, incarnation: u64, now: Timestamp) {
        let lie = self.seats.get_mut(id).and_then(|seat| seat.lies.as_mut()).map(|next| {
            *next += 1;
            *next
        });
        let Some(node) = self.node(id, now).filter(|node| node.incarnation == incarnation) else {
            return;
        };
        let clock = node.clock;
        let interval = clock.takes(self.scenario.interval_secs());
        self.plan(now.add_secs(interval), Event::Pulse(id, incarnation));
        match lie {
            Some(sequence) => self.lie(id, sequence, now),
            None => self.flush(id, now),
        }
    }

    fn flush(&mut self, id: usize, now: Timestamp) {
        let Some(node) = self.node(id, now) else { return };
        let Some((process, _)) = node.link() else { return };
        // The provider's memory always serves; how the hub is, is the link's business.
        let _ = block_on(process.atrion.flush());
        node.note_knowledge(now);
        self.drain(id, now);
    }

    fn lie(&mut self, id: usize, sequence: u64, now: Timestamp) {
        let codec = self.codec.clone();
        let Some(node) = self.node(id, now) else { return };
        let stamp = Stamp { incarnation: node.incarnation + 1, sequence };
        let who = codec.node_id(node.name());
        let frame = Lie::OUTAGE.frame(&codec, who, stamp, &node.route_names());
        // A scenario's routes fit into one frame; what does not fit is not said.
        if let Ok(bytes) = codec.encode(&frame)
            && self.hub.answers == Answers::Serves
            && !self.hub.is_cut_off(id)
        {
            self.hub.publish(&bytes, id, now);
        }
    }

    fn timer(&mut self, id: usize, now: Timestamp) {
        let due = self.seats.get_mut(id).and_then(|seat| seat.timer_at.take_if(|at| *at == now));
        if due.is_some() {
            let draw = self.draws.draw();
            self.feed(id, now, |core, now| core.handle_timeout(now, draw));
        }
    }

    /// Carries out what the machine of a node asks for, and notes when it wants to be asked again.
    fn drain(&mut self, id: usize, now: Timestamp) {
        let Some(node) = self.node(id, now) else { return };
        let (incarnation, clock) = (node.incarnation, node.clock);
        let Some((_, provider)) = node.link() else { return };
        let mut calls = Vec::new();
        while let Some(call) = provider.with_core(ClusterCore::poll_call) {
            if call.request != Request::Close {
                calls.push(Box::new((call.id, call.request)));
            }
        }
        let timeout = provider.with_core(|core, _| core.poll_timeout());
        for call in calls {
            let there = now.saturating_add(self.hub.draw_delay());
            self.plan(there, Event::Call(id, incarnation, call));
        }
        // A clock that was put back may want to be asked in the past.
        let soon = now.saturating_add(Duration::from_micros(1));
        let wanted = timeout.map(|local| clock.reaches(local).max(soon));
        if let Some(seat) = self.seats.get_mut(id)
            && seat.timer_at != wanted
        {
            seat.timer_at = wanted;
            if let Some(at) = wanted {
                self.plan(at, Event::Timer(id));
            }
        }
    }
}
