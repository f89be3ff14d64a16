//! The hub and the ways to it: pub/sub that loses, delays, duplicates and parts, and hashes that
//! keep.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_state::entropy::Draws;
use bytes::Bytes;

use crate::machine::{Reply, Request};
use crate::transport::{Commit, Registered, TransportError};

/// The server's clock at the start of time, in milliseconds: no node finds it at zero.
const EPOCH_MILLIS: u64 = 1_000_000;

/// How the network behaves. Calls arrive or fail, as over TCP; what may get lost are frames, as a
/// server drops them for those who read too slowly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    /// Chance that a frame does not reach one of its receivers, 0 to 1. A node gets its own back.
    pub loss: f64,
    /// Chance that a frame arrives twice, 0 to 1.
    pub duplication: f64,
    /// Shortest and longest way between hub and node; the spread reorders frames.
    pub delay: (Duration, Duration),
}

impl Weather {
    /// Nothing is lost, and everything takes 1 to 2 ms.
    pub const FAIR: Self = Self {
        loss: 0.0,
        duplication: 0.0,
        delay: (Duration::from_millis(1), Duration::from_millis(2)),
    };
}

/// What the hub does with calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// It serves.
    #[default]
    Serves,
    /// There is nobody: calls fail at once.
    Refuses,
    /// It hangs: calls are taken and never answered.
    Hangs,
}

/// A frame on its way, by due time and a number that keeps the order of equals.
type Delivery = (Timestamp, u64, usize, Bytes);

/// A simulated Redis and the network around it, deterministic by seed. Nodes are numbers from 0.
#[derive(Debug)]
pub struct Hub {
    /// How the network behaves from now on.
    pub weather: Weather,
    /// What the hub does from now on.
    pub answers: Answers,
    draws: Draws,
    under_way: BinaryHeap<Reverse<Delivery>>,
    sent: u64,
    index: BTreeMap<Bytes, u64>,
    state: BTreeMap<Bytes, BTreeMap<Bytes, Bytes>>,
    registers: BTreeMap<String, Vec<Registered>>,
    sides: Vec<u8>,
    cut: Vec<bool>,
    frames: u64,
    bytes: u64,
    deliveries: u64,
}

impl Hub {
    /// An empty hub in fair weather.
    pub fn new(seed: u64, nodes: usize) -> Self {
        Self {
            weather: Weather::FAIR,
            answers: Answers::Serves,
            draws: Draws::from_seed(seed ^ 0xb05),
            under_way: BinaryHeap::new(),
            sent: 0,
            index: BTreeMap::new(),
            state: BTreeMap::new(),
            registers: BTreeMap::new(),
            sides: vec![0; nodes],
            cut: vec![false; nodes],
            frames: 0,
            bytes: 0,
            deliveries: 0,
        }
    }

    /// Forgets everything stored, as a server does that is restarted without a disk.
    pub fn flush_all(&mut self) {
        self.index.clear();
        self.state.clear();
        self.registers.clear();
    }

    /// Puts a node on one side of a parted hub: frames reach the nodes of the same side only, as
    /// between the servers of a Redis Cluster that do not see each other. All are on side 0 at
    /// first. What is stored stays common. Nodes that do not exist are ignored.
    pub fn put_on_side(&mut self, node: usize, side: u8) {
        if let Some(place) = self.sides.get_mut(node) {
            *place = side;
        }
    }

    /// Which side a node is on; 0 if there is no such node.
    pub fn side_of(&self, node: usize) -> u8 {
        self.sides.get(node).copied().unwrap_or(0)
    }

    /// All nodes see each other again.
    pub fn join_sides(&mut self) {
        self.sides.fill(0);
    }

    /// Cuts a node off, or connects it again: its calls are not answered, and no frame reaches it.
    /// Nodes that do not exist are ignored.
    pub fn cut_off(&mut self, node: usize, is_cut: bool) {
        if let Some(place) = self.cut.get_mut(node) {
            *place = is_cut;
        }
    }

    /// Frames published so far.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes of the frames published so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Frames put on their way to a receiver so far.
    pub const fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// Publishes a frame of a node, whether or not the hub serves.
    pub fn publish(&mut self, frame: &Bytes, from: usize, now: Timestamp) {
        self.frames += 1;
        self.bytes += frame.len() as u64;
        for to in 0..self.sides.len() {
            if self.sides.get(to) != self.sides.get(from) || self.is_cut_off(to) {
                continue;
            }
            let copies = 1 + usize::from(self.chance(self.weather.duplication));
            for _ in 0..copies {
                if to != from && self.chance(self.weather.loss) {
                    continue;
                }
                let at = now.saturating_add(self.draw_delay());
                self.sent += 1;
                self.deliveries += 1;
                self.under_way.push(Reverse((at, self.sent, to, frame.clone())));
            }
        }
    }

    /// How long the next message takes between hub and node.
    pub fn draw_delay(&mut self) -> Duration {
        let (least, most) = self.weather.delay;
        let spread = most.saturating_sub(least).as_secs_f64() * self.draws.draw().get();
        least.saturating_add(Duration::try_from_secs_f64(spread).unwrap_or_default())
    }

    fn chance(&mut self, of: f64) -> bool {
        of > 0.0 && self.draws.draw().get() < of
    }

    /// Whether a node is cut off.
    pub fn is_cut_off(&self, node: usize) -> bool {
        self.cut.get(node).copied().unwrap_or(false)
    }

    /// When the next frame arrives anywhere.
    pub fn next_arrival(&self) -> Option<Timestamp> {
        self.under_way.peek().map(|Reverse((at, ..))| *at)
    }

    /// The frame that arrives first, if that is by `now`, with its receiver.
    pub fn arrival(&mut self, now: Timestamp) -> Option<(usize, Bytes)> {
        self.next_arrival().filter(|at| *at <= now)?;
        self.under_way.pop().map(|Reverse((_, _, to, frame))| (to, frame))
    }

    /// Does what a node's link asks for; `None` if it never answers. The server's clock is the
    /// simulation's.
    pub fn serve(
        &mut self,
        request: &Request,
        from: usize,
        now: Timestamp,
    ) -> Option<Result<Reply, TransportError>> {
        if self.is_cut_off(from) || self.answers == Answers::Hangs {
            return None;
        }
        if self.answers == Answers::Refuses {
            return Some(Err(TransportError::Unreachable("refused".to_owned())));
        }
        Some(Ok(match request {
            Request::ServerMillis => Reply::Millis(millis(now)),
            Request::Commit(commit) => self.commit(commit, from, now),
            Request::Nodes { since_millis, limit } => {
                let alive = self.index.iter().filter(|(_, seen)| **seen >= *since_millis);
                Reply::Nodes(alive.map(|(node, _)| node.clone()).take(*limit).collect())
            }
            Request::State { key, limit, .. } => {
                let fields = self.state.get(key).into_iter().flatten();
                Reply::State(fields.take(*limit).map(|(k, v)| (k.clone(), v.clone())).collect())
            }
            Request::Register { register, member, now_millis, since_millis } => {
                Reply::Registered(self.register(register, member, *now_millis, *since_millis))
            }
            Request::Open | Request::Close => Reply::Opened,
        }))
    }

    fn commit(&mut self, commit: &Commit, from: usize, now: Timestamp) -> Reply {
        let mut known = true;
        if commit.leave {
            self.index.remove(&commit.node);
            self.state.remove(&commit.node);
        } else {
            known = self.index.insert(commit.node.clone(), commit.seen_millis).is_some();
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
        if known { Reply::Committed } else { Reply::CommittedAnew }
    }

    fn register(
        &mut self,
        register: &str,
        member: &Bytes,
        now_millis: u64,
        since_millis: u64,
    ) -> Vec<Registered> {
        let members = self.registers.entry(register.to_owned()).or_default();
        members.retain(|held| held.last_millis >= since_millis);
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

fn millis(now: Timestamp) -> u64 {
    now.as_nanos() / 1_000_000 + EPOCH_MILLIS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1);
    const LATER: Timestamp = Timestamp::from_secs(2);

    fn receivers(hub: &mut Hub) -> Vec<usize> {
        hub.publish(&Bytes::from_static(b"news"), 0, NOW);
        let mut all: Vec<usize> =
            std::iter::from_fn(|| hub.arrival(LATER)).map(|(to, _)| to).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn frames_reach_one_side_and_nobody_who_is_cut_off() {
        let mut hub = Hub::new(1, 4);
        assert_eq!(receivers(&mut hub), [0, 1, 2, 3]);
        hub.put_on_side(1, 1);
        hub.cut_off(2, true);
        assert_eq!((receivers(&mut hub), hub.side_of(1)), (vec![0, 3], 1));
        hub.join_sides();
        hub.cut_off(2, false);
        assert_eq!(receivers(&mut hub), [0, 1, 2, 3]);
        assert_eq!((hub.frames(), hub.bytes(), hub.deliveries()), (3, 12, 10));
    }

    #[test]
    fn weather_loses_doubles_and_delays_within_its_bounds() {
        let mut hub = Hub::new(1, 2);
        hub.weather.loss = 1.0;
        assert_eq!(receivers(&mut hub), [0], "a node's own frame comes back");
        hub.weather = Weather { duplication: 1.0, ..Weather::FAIR };
        assert_eq!(receivers(&mut hub), [0, 0, 1, 1]);
        for _ in 0..100 {
            let delay = hub.draw_delay();
            assert!((Weather::FAIR.delay.0..=Weather::FAIR.delay.1).contains(&delay), "{delay:?}");
        }
    }

    #[test]
    fn a_hub_that_hangs_or_refuses_says_so_or_nothing() {
        let mut hub = Hub::new(1, 1);
        let ask = |hub: &mut Hub| hub.serve(&Request::ServerMillis, 0, NOW);
        assert_eq!(ask(&mut hub), Some(Ok(Reply::Millis(1_001_000))));
        hub.answers = Answers::Refuses;
        assert!(matches!(ask(&mut hub), Some(Err(TransportError::Unreachable(_)))));
        hub.answers = Answers::Hangs;
        assert_eq!(ask(&mut hub), None);
        hub.answers = Answers::Serves;
        hub.cut_off(0, true);
        assert_eq!(ask(&mut hub), None);
    }
}
