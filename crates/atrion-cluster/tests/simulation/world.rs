//! A cluster under a seed: real instances with real providers over a simulated bus.
//!
//! As in the blending study: one route, steps of 10 ms, pulses of 100 ms, requests of 20 ms, tiers
//! in the shares 20, 20, 40, 15 and 5 %, 20 requests per second and node unless said otherwise.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use atrion_cluster::RedisClusterProvider;
use atrion_cluster::machine::{ClusterCore, Grant, Request};
use atrion_cluster::simulation::{Hub, Lie};
use atrion_cluster::wire::Codec;
use atrion_core::flow::Priority;
use atrion_core::merge::Stamp;
use atrion_core::time::Timestamp;
use atrion_engine::{Atrion, OwnedPermit, Route};
use atrion_state::blocking::block_on;
use atrion_state::clock::ManualClock;
use atrion_state::entropy::Draws;
use atrion_state::peers::NodeId;

use crate::tally::Tally;

pub(crate) const STEP: Duration = Duration::from_millis(10);
const PULSE_STEPS: u64 = 10;
const REQUEST_STEPS: u64 = 2;
pub(crate) const ROUTE: &str = "payments";
const SHARES: [(Priority, f64); 5] = [
    (Priority::Bulk, 0.2),
    (Priority::Low, 0.4),
    (Priority::Normal, 0.8),
    (Priority::High, 0.95),
    (Priority::Critical, 1.0),
];

pub(crate) struct Node {
    pub(crate) atrion: Option<Atrion>,
    pub(crate) provider: Arc<RedisClusterProvider>,
    pub(crate) clock: ManualClock,
    offset: Duration,
    route: Option<Route>,
    /// Requests per second.
    pub(crate) rate: f64,
    /// Only this tier asks.
    pub(crate) only: Option<Priority>,
    /// Whether its dependency is dead.
    pub(crate) dead: bool,
    pub(crate) lie: Option<Lie>,
    sequence: u64,
    incarnation: u64,
    phase: u64,
    in_flight: VecDeque<(u64, OwnedPermit, bool)>,
    pub(crate) tally: Tally,
}

pub(crate) struct World {
    pub(crate) step: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) bus: Hub,
    gamma: f64,
    pub(crate) draws: Draws,
    codec: Codec,
}

impl World {
    pub(crate) fn new(seed: u64, nodes: usize) -> Self {
        Self::with_gamma(seed, nodes, 0.3)
    }

    pub(crate) fn with_gamma(seed: u64, nodes: usize, gamma: f64) -> Self {
        let mut world = Self {
            step: 0,
            nodes: Vec::new(),
            bus: Hub::new(seed, nodes),
            gamma,
            draws: Draws::from_seed(seed),
            codec: Codec::new("default", None),
        };
        for id in 0..nodes {
            let node = world.make_node(id, Duration::from_secs(3_600), 1_000);
            world.nodes.push(node);
        }
        world
    }

    fn make_node(&mut self, id: usize, offset: Duration, incarnation: u64) -> Node {
        let now = Timestamp::ZERO.saturating_add(STEP * self.step as u32);
        let clock = ManualClock::starting_at(now.saturating_add(offset));
        let seed = self.draws.next_u64();
        let provider = RedisClusterProvider::builder()
            .gamma(self.gamma)
            .node(format!("node-{id}"))
            .clock(clock.clone())
            .build_simulated(seed, incarnation)
            .expect("valid settings");
        let provider = Arc::new(provider);
        provider.with_core(|core, now| {
            let grant = Grant { license: "simulation".into(), clusters: None, nodes: None };
            core.handle_grant(Some(grant), now);
        });
        let atrion = Atrion::builder()
            .clock(clock.clone())
            .provider(Arc::clone(&provider))
            .seed(seed)
            .build()
            .expect("valid");
        Node {
            atrion: Some(atrion),
            provider,
            clock,
            offset,
            route: None,
            rate: 20.0,
            only: None,
            dead: false,
            lie: None,
            sequence: 0,
            incarnation,
            phase: self.draws.next_u64() % PULSE_STEPS,
            in_flight: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    /// Sets how far a node's clock is from everybody else's.
    pub(crate) fn offset(&mut self, id: usize, offset: Duration) {
        let (rate, only) = (self.nodes[id].rate, self.nodes[id].only);
        self.nodes[id] = self.make_node(id, offset, 1_000);
        (self.nodes[id].rate, self.nodes[id].only) = (rate, only);
    }

    /// Kills a process and starts it anew under the same name.
    pub(crate) fn restart(&mut self, id: usize) {
        self.restart_as(id, self.nodes[id].incarnation + 1);
    }

    /// The same, with a wall clock that says so.
    pub(crate) fn restart_as(&mut self, id: usize, incarnation: u64) {
        let (rate, dead, offset) =
            (self.nodes[id].rate, self.nodes[id].dead, self.nodes[id].offset);
        let tally = self.nodes[id].tally.clone();
        let fresh = self.make_node(id, offset, incarnation);
        self.nodes[id] = Node { rate, dead, tally, ..fresh };
    }

    /// Kills a process for good.
    pub(crate) fn kill(&mut self, id: usize) {
        self.nodes[id].atrion = None;
        self.nodes[id].route = None;
        self.nodes[id].in_flight.clear();
        self.nodes[id].rate = 0.0;
        self.bus.put_on_side(id, u8::MAX);
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO.saturating_add(STEP * self.step as u32)
    }

    pub(crate) fn secs(&self) -> f64 {
        self.now().secs_since(Timestamp::ZERO)
    }

    pub(crate) fn run(&mut self, secs: f64) {
        self.run_with(secs, |_| {});
    }

    /// Runs on, calling `each` after every step.
    pub(crate) fn run_with(&mut self, secs: f64, mut each: impl FnMut(&mut Self)) {
        for _ in 0..(secs * 100.0).round() as u64 {
            self.one_step();
            each(self);
        }
    }

    fn one_step(&mut self) {
        self.step += 1;
        let now = self.now();
        for node in &self.nodes {
            node.clock.set(now.saturating_add(node.offset));
        }
        self.deliver(now);
        for id in 0..self.nodes.len() {
            self.traffic(id);
            if self.step % PULSE_STEPS == self.nodes[id].phase {
                self.pulse(id);
            }
            self.link(id, now);
        }
    }

    fn deliver(&mut self, now: Timestamp) {
        let mut by_node: Vec<Vec<bytes::Bytes>> = vec![Vec::new(); self.nodes.len()];
        while let Some((to, frame)) = self.bus.arrival(now) {
            by_node[to].push(frame);
        }
        for (node, frames) in self.nodes.iter().zip(&by_node) {
            if node.atrion.is_none() || node.lie.is_some() || frames.is_empty() {
                continue;
            }
            let draw = self.draws.draw();
            node.provider.with_core(|core, now| {
                for frame in frames {
                    core.handle_frame(frame, now, draw);
                }
            });
        }
    }

    fn traffic(&mut self, id: usize) {
        let step = self.step;
        let node = &mut self.nodes[id];
        let Some(atrion) = node.atrion.as_ref().filter(|_| node.lie.is_none()) else { return };
        while node.in_flight.front().is_some_and(|(until, ..)| *until <= step) {
            if let Some((_, permit, fails)) = node.in_flight.pop_front() {
                if fails { permit.failure() } else { permit.success() }
            }
        }
        let expected = node.rate * STEP.as_secs_f64();
        // At these rates a second arrival within one step is rare enough to be left out, as in the
        // study; the chance is exact for the first.
        if self.draws.draw().get() >= 1.0 - (-expected).exp() {
            return;
        }
        let route = node.route.get_or_insert_with(|| atrion.route(ROUTE));
        let pick = self.draws.draw().get();
        let tier = SHARES.iter().find(|(_, upto)| pick < *upto).map_or(Priority::Critical, |t| t.0);
        let tier = node.only.unwrap_or(tier);
        let admitted = route.admit_owned(tier);
        node.tally.count(step, tier, admitted.is_ok(), node.dead);
        if let Ok(permit) = admitted {
            node.in_flight.push_back((step + REQUEST_STEPS, permit, node.dead));
        }
    }

    fn pulse(&mut self, id: usize) {
        let node = &mut self.nodes[id];
        if let Some(lie) = node.lie {
            node.sequence += 1;
            let stamp = Stamp { incarnation: node.incarnation, sequence: node.sequence };
            let frame = lie.frame(&self.codec, NodeId(0xbad + id as u64), stamp, &[ROUTE]);
            let frame = self.codec.encode(&frame).expect("fits");
            let now = Timestamp::ZERO.saturating_add(STEP * self.step as u32);
            self.bus.publish(&frame, id, now);
        } else if let Some(atrion) = &node.atrion {
            // Whether the store serves is the link's business; memory always does.
            block_on(atrion.flush()).expect("memory serves");
        }
    }

    /// Carries out what the node's link asks for.
    fn link(&mut self, id: usize, now: Timestamp) {
        let node = &self.nodes[id];
        if node.atrion.is_none() || node.lie.is_some() {
            return;
        }
        let (bus, draws) = (&mut self.bus, &mut self.draws);
        let is_due =
            node.provider.with_core(|core, now| core.poll_timeout().is_some_and(|at| at <= now));
        if is_due {
            let draw = draws.draw();
            node.provider.with_core(|core, now| core.handle_timeout(now, draw));
        }
        // A server that answers at once; what takes time is the way of the frames.
        while let Some(call) = node.provider.with_core(ClusterCore::poll_call) {
            if matches!(call.request, Request::Close) {
                continue;
            }
            let Some(reply) = bus.serve(&call.request, id, now) else { break };
            let draw = draws.draw();
            node.provider.with_core(|core, now| core.handle_completed(call.id, reply, now, draw));
        }
    }

    pub(crate) fn route(&self, id: usize) -> Option<Route> {
        self.nodes[id].atrion.as_ref().map(|atrion| atrion.route(ROUTE))
    }

    /// Forgets what was counted so far.
    pub(crate) fn reset_tallies(&mut self) {
        for node in &mut self.nodes {
            node.tally = Tally::default();
        }
    }

    /// The tallies of these nodes, added up.
    pub(crate) fn total(&self, ids: impl IntoIterator<Item = usize>) -> Tally {
        let mut total = Tally::default();
        for id in ids {
            total.add(&self.nodes[id].tally);
        }
        total
    }

    pub(crate) fn set_dead(&mut self, ids: impl IntoIterator<Item = usize>, dead: bool) {
        for id in ids {
            self.nodes[id].dead = dead;
        }
    }
}
