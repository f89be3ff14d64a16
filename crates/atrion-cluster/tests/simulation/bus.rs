//! A simulated Redis: pub/sub that loses, delays, duplicates and partitions, and hashes that keep.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use atrion_cluster::machine::{Reply, Request};
use atrion_cluster::transport::{Commit, Registered, TransportError};
use atrion_core::time::Timestamp;
use atrion_state::entropy::Draws;
use bytes::Bytes;

/// How the network behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Chance that a frame does not reach one of its receivers.
    pub(crate) loss: f64,
    /// Chance that it arrives twice.
    pub(crate) duplication: f64,
    /// Shortest and longest way to a receiver; the spread reorders.
    pub(crate) delay: (Duration, Duration),
}

impl Weather {
    pub(crate) const FAIR: Self = Self {
        loss: 0.0,
        duplication: 0.0,
        delay: (Duration::from_millis(1), Duration::from_millis(2)),
    };
}

/// A frame on its way, by due time and a number that keeps the order of equals.
type Delivery = (Timestamp, u64, usize, Bytes);

pub(crate) struct Bus {
    pub(crate) weather: Weather,
    draws: Draws,
    under_way: BinaryHeap<Reverse<Delivery>>,
    sent: u64,
    index: BTreeMap<Bytes, u64>,
    state: BTreeMap<Bytes, BTreeMap<Bytes, Bytes>>,
    registers: BTreeMap<String, Vec<Registered>>,
    /// Which side of a partition each node is on.
    pub(crate) sides: Vec<u8>,
    /// The store answers nobody.
    pub(crate) down: bool,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

impl Bus {
    pub(crate) fn new(seed: u64, nodes: usize) -> Self {
        Self {
            weather: Weather::FAIR,
            draws: Draws::from_seed(seed ^ 0xb05),
            under_way: BinaryHeap::new(),
            sent: 0,
            index: BTreeMap::new(),
            state: BTreeMap::new(),
            registers: BTreeMap::new(),
            sides: vec![0; nodes],
            down: false,
            frames: 0,
            bytes: 0,
        }
    }

    /// Forgets everything stored, as a restarted server does.
    pub(crate) fn flush_all(&mut self) {
        self.index.clear();
        self.state.clear();
        self.registers.clear();
    }

    pub(crate) fn publish(&mut self, frame: &Bytes, from: usize, now: Timestamp) {
        self.frames += 1;
        self.bytes += frame.len() as u64;
        for to in 0..self.sides.len() {
            if self.sides.get(to) != self.sides.get(from) {
                continue;
            }
            let copies = 1 + usize::from(self.chance(self.weather.duplication));
            for _ in 0..copies {
                if to != from && self.chance(self.weather.loss) {
                    continue;
                }
                let (least, most) = self.weather.delay;
                let spread = most.saturating_sub(least).as_secs_f64() * self.draws.draw().get();
                let at = now.saturating_add(least).add_secs(spread);
                self.sent += 1;
                self.under_way.push(Reverse((at, self.sent, to, frame.clone())));
            }
        }
    }

    fn chance(&mut self, of: f64) -> bool {
        of > 0.0 && self.draws.draw().get() < of
    }

    /// The frames that arrive by `now`, by receiver, in order.
    pub(crate) fn arrivals(&mut self, now: Timestamp) -> Vec<(usize, Bytes)> {
        let mut arrived = Vec::new();
        while self.under_way.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            if let Some(Reverse((_, _, to, frame))) = self.under_way.pop() {
                arrived.push((to, frame));
            }
        }
        arrived
    }

    /// Does what a node's link asks for. The server's clock is the simulation's.
    pub(crate) fn serve(
        &mut self,
        request: &Request,
        from: usize,
        now: Timestamp,
    ) -> Result<Reply, TransportError> {
        if self.down {
            return Err(TransportError::Unreachable("refused".to_owned()));
        }
        let millis = now.as_nanos() / 1_000_000 + 1_000_000;
        Ok(match request {
            Request::ServerMillis => Reply::Millis(millis),
            Request::Commit(commit) => {
                self.commit(commit, from, now);
                Reply::Committed
            }
            Request::Nodes { since_millis, limit } => {
                let alive = self.index.iter().filter(|(_, seen)| **seen >= *since_millis);
                Reply::Nodes(alive.map(|(node, _)| node.clone()).take(*limit).collect())
            }
            Request::State { key, limit, .. } => {
                let fields = self.state.get(key).into_iter().flatten();
                Reply::State(fields.take(*limit).map(|(k, v)| (k.clone(), v.clone())).collect())
            }
            Request::Register { register, member, now_millis, .. } => {
                Reply::Registered(self.register(register, member, *now_millis))
            }
            _ => Reply::Opened,
        })
    }

    fn commit(&mut self, commit: &Commit, from: usize, now: Timestamp) {
        if commit.leave {
            self.index.remove(&commit.node);
            self.state.remove(&commit.node);
        } else {
            self.index.insert(commit.node.clone(), commit.seen_millis);
            let fields = self.state.entry(commit.node.clone()).or_default();
            if commit.clear {
                fields.clear();
            }
            fields.extend(commit.set.iter().cloned());
            for gone in &commit.remove {
                fields.remove(gone);
            }
        }
        if !commit.frame.is_empty() {
            self.publish(&commit.frame, from, now);
        }
    }

    fn register(&mut self, register: &str, member: &Bytes, now_millis: u64) -> Vec<Registered> {
        let members = self.registers.entry(register.to_owned()).or_default();
        match members.iter_mut().find(|held| held.member == *member) {
            Some(held) => held.last_millis = now_millis,
            None => members.push(Registered {
                member: member.clone(),
                first_millis: now_millis,
                last_millis: now_millis,
            }),
        }
        members.clone()
    }
}
