//! A store in memory and the nodes that share it, in virtual time, with faults on request.

use std::collections::{BTreeMap, HashMap, VecDeque};

use atrion_core::units::{Evidence, Ohms, PerSecond};
use bytes::Bytes;

use super::super::*;
use crate::transport::{Commit, Registered};

pub(super) const CLUSTER: &str = "shop";

/// Small, seeded, good enough.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        x ^ (x >> 32)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(super) fn draw(&mut self) -> UnitInterval {
        UnitInterval::try_new(self.below(1_001) as f64 / 1_000.0).unwrap()
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Works,
    FailsBefore,
    FailsAfter,
    Denied,
    Hangs,
}

/// What goes wrong, in per mille of the occasions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) fail: u64,
    pub(super) hang: u64,
    pub(super) frame_lost: u64,
    pub(super) frame_twice: u64,
    pub(super) session_lost: u64,
}

#[derive(Default)]
pub(super) struct Store {
    pub(super) index: BTreeMap<Bytes, u64>,
    pub(super) states: HashMap<Bytes, BTreeMap<Bytes, Bytes>>,
    pub(super) registers: HashMap<Arc<str>, Vec<Registered>>,
}

struct Pending {
    call: Call,
    due: u64,
    fate: Fate,
}

pub(super) struct Pod {
    pub(super) core: ClusterCore,
    /// Its clock differs from the others' by this, in milliseconds.
    pub(super) offset: u64,
    pub(super) open: bool,
    pub(super) alive: bool,
    /// Nothing published reaches it.
    pub(super) deaf: bool,
    pending: Option<Pending>,
    pub(super) calls: Vec<Request>,
    pub(super) events: Vec<Event>,
    pub(super) changed: Vec<RemoteVector>,
}

impl Pod {
    /// The names of the calls made since this was last asked.
    pub(super) fn took(&mut self) -> Vec<&'static str> {
        let name = |request: &Request| match request {
            Request::Open => "open",
            Request::ServerMillis => "clock",
            Request::Commit(commit) if commit.leave => "leave",
            Request::Commit(commit) if commit.clear => "clear",
            Request::Commit(_) => "commit",
            Request::Nodes { .. } => "nodes",
            Request::State { .. } => "state",
            Request::Register { .. } => "register",
            Request::Close => "close",
        };
        std::mem::take(&mut self.calls).iter().map(name).collect()
    }
}

pub(super) struct World {
    /// Milliseconds.
    pub(super) now: u64,
    pub(super) store: Store,
    pub(super) pods: Vec<Pod>,
    pub(super) rng: Rng,
    pub(super) faults: Faults,
    /// Overrides the faults.
    pub(super) fate: Option<Fate>,
    /// How long a call takes.
    pub(super) latency: u64,
    frames: VecDeque<Bytes>,
}

pub(super) fn config(node: u64) -> CoreConfig {
    CoreConfig {
        node_name: Arc::from(format!("pod-{node}")),
        incarnation: 1_000,
        ..CoreConfig::new(CLUSTER, NodeId(node))
    }
}

pub(super) fn grant() -> Grant {
    Grant { license: Arc::from("L1"), clusters: None, nodes: None }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: 1_000_000,
            store: Store::default(),
            pods: Vec::new(),
            rng: Rng(seed),
            faults: Faults::default(),
            fate: None,
            latency: 1,
            frames: VecDeque::new(),
        }
    }

    /// A world of connected, licensed pods with ids from 1.
    pub(super) fn with(pods: u64) -> Self {
        let mut world = Self::new(7);
        for node in 1..=pods {
            world.join(config(node));
        }
        world
    }

    /// Adds a pod that is licensed and connects.
    pub(super) fn join(&mut self, config: CoreConfig) -> usize {
        let pod = self.add(config);
        let now = self.clock(pod);
        self.pods[pod].core.handle_grant(Some(grant()), now);
        self.pods[pod].core.handle_connect(now);
        pod
    }

    pub(super) fn add(&mut self, config: CoreConfig) -> usize {
        // Clocks start anywhere.
        let offset = config.node.0 * 1_234_567;
        let now = Timestamp::from_millis(self.now + offset);
        self.pods.push(Pod {
            core: ClusterCore::new(config, Codec::new(CLUSTER, None), now),
            offset,
            open: false,
            alive: true,
            deaf: false,
            pending: None,
            calls: Vec::new(),
            events: Vec::new(),
            changed: Vec::new(),
        });
        self.pods.len() - 1
    }

    pub(super) fn clock(&self, pod: usize) -> Timestamp {
        Timestamp::from_millis(self.now + self.pods[pod].offset)
    }

    /// A pod observes something, now.
    pub(super) fn update(&mut self, pod: usize, route: &str, scar: u32) {
        let now = self.clock(pod);
        self.pods[pod].core.handle_update(route, vector(scar, now), now);
    }

    pub(super) fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.now += 1;
            self.step();
        }
    }

    /// Lets everything happen that is due.
    pub(super) fn step(&mut self) {
        for pod in 0..self.pods.len() {
            if self.pods[pod].alive {
                self.turn(pod);
            }
        }
        while let Some(frame) = self.frames.pop_front() {
            for pod in 0..self.pods.len() {
                let happens = |rng: &mut Rng, per_mille| rng.below(1_000) < per_mille;
                let p = &self.pods[pod];
                if !p.alive || !p.open || p.deaf || happens(&mut self.rng, self.faults.frame_lost) {
                    continue;
                }
                let times = 1 + u64::from(happens(&mut self.rng, self.faults.frame_twice));
                let (now, draw) = (self.clock(pod), self.rng.draw());
                for _ in 0..times {
                    self.pods[pod].core.handle_frame(&frame, now, draw);
                }
                self.drain(pod);
            }
        }
    }

    fn turn(&mut self, pod: usize) {
        let (now, draw) = (self.clock(pod), self.rng.draw());
        if self.pods[pod].open && self.rng.below(100_000) < self.faults.session_lost {
            self.pods[pod].open = false;
            let error = TransportError::Unreachable("cut".to_owned());
            self.pods[pod].core.handle_lost(&error, now, draw);
        }
        let p = &mut self.pods[pod];
        let is_due = |pending: &mut Pending| pending.due <= self.now && pending.fate != Fate::Hangs;
        if let Some(pending) = p.pending.take_if(is_due) {
            let result = self.carry_out(pod, &pending);
            self.pods[pod].core.handle_completed(pending.call.id, result, now, draw);
        }
        self.drain(pod);
        let core = &mut self.pods[pod].core;
        if core.poll_timeout().is_some_and(|at| at <= now) {
            core.handle_timeout(now, draw);
            self.drain(pod);
            let next = self.pods[pod].core.poll_timeout();
            assert!(next.is_none_or(|at| at > now), "a timeout in the past: {next:?} at {now:?}");
        }
    }

    fn drain(&mut self, pod: usize) {
        let now = self.clock(pod);
        let p = &mut self.pods[pod];
        p.pending.take_if(|pending| p.core.in_flight() != Some(pending.call.id));
        while let Some(call) = p.core.poll_call(now) {
            p.calls.push(call.request.clone());
            if call.request == Request::Close {
                assert!(p.pending.is_none(), "closed under a call");
                p.open = false;
                continue;
            }
            assert!(p.pending.is_none(), "two calls at a time");
            assert_eq!(p.core.in_flight(), Some(call.id));
            assert_eq!(p.open, call.request != Request::Open, "{:?}", call.request);
            let fate = self.fate.unwrap_or_else(|| match self.rng.below(1_000) {
                roll if roll < self.faults.hang => Fate::Hangs,
                roll if roll < self.faults.hang + self.faults.fail => match self.rng.below(3) {
                    0 => Fate::FailsBefore,
                    1 => Fate::FailsAfter,
                    _ => Fate::Denied,
                },
                _ => Fate::Works,
            });
            p.pending = Some(Pending { call, due: self.now + self.latency, fate });
        }
        p.changed.extend(std::iter::from_fn(|| p.core.poll_changed(now)));
        p.events.extend(std::iter::from_fn(|| p.core.poll_event()));
    }

    fn carry_out(&mut self, pod: usize, pending: &Pending) -> Result<Reply, TransportError> {
        let failed = || Err(TransportError::Unavailable("LOADING".to_owned()));
        match pending.fate {
            Fate::FailsBefore => return failed(),
            Fate::Denied => return Err(TransportError::Denied("WRONGPASS".to_owned())),
            _ => {}
        }
        let reply = match &pending.call.request {
            Request::Open => {
                self.pods[pod].open = pending.fate == Fate::Works;
                Reply::Opened
            }
            Request::ServerMillis => Reply::Millis(self.now),
            Request::Commit(commit) => self.commit(commit),
            Request::Nodes { since_millis, limit } => {
                let seen = self.store.index.iter().filter(|(_, at)| **at >= *since_millis);
                Reply::Nodes(seen.map(|(node, _)| node.clone()).take(*limit).collect())
            }
            Request::State { key, limit, .. } => {
                let state = self.store.states.get(key).into_iter().flatten();
                Reply::State(state.map(|(k, v)| (k.clone(), v.clone())).take(*limit).collect())
            }
            Request::Register { register, member, now_millis, since_millis } => {
                let all = self.store.registers.entry(Arc::clone(register)).or_default();
                all.retain(|one| one.last_millis >= *since_millis || one.member == *member);
                match all.iter_mut().find(|one| one.member == *member) {
                    Some(one) => one.last_millis = *now_millis,
                    None => all.push(Registered {
                        member: member.clone(),
                        first_millis: *now_millis,
                        last_millis: *now_millis,
                    }),
                }
                Reply::Registered(all.clone())
            }
            Request::Close => unreachable!("never in flight"),
        };
        if pending.fate == Fate::FailsAfter { failed() } else { Ok(reply) }
    }

    fn commit(&mut self, commit: &Commit) -> Reply {
        let store = &mut self.store;
        let mut known = true;
        if commit.leave {
            store.index.remove(&commit.node);
            store.states.remove(&commit.node);
        } else {
            known = store.index.insert(commit.node.clone(), commit.seen_millis).is_some();
            let state = store.states.entry(commit.node.clone()).or_default();
            if commit.clear {
                state.clear();
            }
            state.extend(commit.set.iter().cloned());
            state.retain(|field, _| !commit.remove.contains(field));
        }
        if !commit.frame.is_empty() {
            self.frames.push_back(commit.frame.clone());
        }
        if known { Reply::Committed } else { Reply::CommittedAnew }
    }

    /// What a pod holds of another's word, as (scar, age in seconds).
    pub(super) fn heard(&self, pod: usize, route: &str) -> Vec<(f64, f64)> {
        let core = &self.pods[pod].core;
        let mut reports = Vec::new();
        core.reports(core.route_id(route), self.clock(pod), &mut reports);
        reports.iter().map(|report| (report.scar.get(), report.age_secs)).collect()
    }

    pub(super) fn is_up(&self, pod: usize) -> bool {
        self.pods[pod].core.health() == Health::Healthy
    }
}

pub(super) fn vector(scar: u32, now: Timestamp) -> PhysicsVector {
    PhysicsVector {
        scar_tissue: Ohms::from(scar),
        momentum: PerSecond::ZERO,
        evidence: Evidence::from(4_u32),
        demand: PerSecond::try_new(2.5).unwrap(),
        ..PhysicsVector::idle(Ohms::from(scar + 1), now)
    }
}
