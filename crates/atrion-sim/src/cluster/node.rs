//! One node: the shipped engine before its service, and the shipped provider behind it.

use std::sync::Arc;

use atrion_cluster::machine::Grant;
use atrion_cluster::{ClusterConfigError, RedisClusterProvider};
use atrion_core::flow::Priority;
use atrion_core::time::Timestamp;
use atrion_core::units::Volts;
use atrion_engine::{Atrion, OwnedPermit, Route};
use atrion_state::clock::ManualClock;

use super::ClusterError;
use super::clock::NodeClock;
use super::run::Sharing;
use super::watch::{Asked, Watched};
use crate::policy::{Arrival, Completion, Outcome, Policy, Verdict};

/// What a node's processes are made of.
#[derive(Clone, Debug)]
pub(super) struct Make {
    pub(super) name: String,
    pub(super) routes: Vec<String>,
    pub(super) sharing: Sharing,
    pub(super) interval: std::time::Duration,
    pub(super) seed: u64,
}

/// A process that lives.
pub(super) struct Process {
    pub(super) atrion: Atrion,
    /// None if it shares nothing.
    pub(super) provider: Option<Arc<RedisClusterProvider>>,
    /// Made by their first request, as in a service.
    routes: Vec<Option<Route>>,
    permits: Vec<Option<OwnedPermit>>,
    was_open: Vec<bool>,
}

/// The policy of one node over the lives of its processes.
pub(super) struct Node {
    make: Make,
    manual: ManualClock,
    pub(super) clock: NodeClock,
    pub(super) process: Option<Process>,
    pub(super) incarnation: u64,
    pub(super) watched: Watched,
    transitions: u32,
}

impl Node {
    pub(super) fn new(
        make: Make,
        clock: NodeClock,
        watched: Watched,
    ) -> Result<Self, ClusterError> {
        let manual = ManualClock::new();
        let mut node =
            Self { make, manual, clock, process: None, incarnation: 0, watched, transitions: 0 };
        node.start(Timestamp::ZERO)?;
        Ok(node)
    }

    /// Starts a process in the place of the one before.
    pub(super) fn start(&mut self, now: Timestamp) -> Result<(), ClusterError> {
        self.incarnation += 1;
        self.set_time(now);
        let seed = self.make.seed.wrapping_add(self.incarnation);
        let mut builder = Atrion::builder().clock(self.manual.clone()).seed(seed);
        let mut provider = None;
        if let Sharing::Gamma(gamma) = self.make.sharing {
            let made = Arc::new(self.provider(gamma.get(), seed)?);
            builder = builder.provider(Arc::clone(&made));
            provider = Some(made);
        }
        let count = self.make.routes.len();
        self.process = Some(Process {
            atrion: builder.build()?,
            provider,
            routes: vec![None; count],
            permits: Vec::new(),
            was_open: vec![false; count],
        });
        Ok(())
    }

    fn provider(&self, gamma: f64, seed: u64) -> Result<RedisClusterProvider, ClusterConfigError> {
        let provider = RedisClusterProvider::builder()
            .gamma(gamma)
            .node(self.make.name.as_str())
            .sync_interval(self.make.interval)
            .clock(self.manual.clone())
            .build_simulated(seed, self.incarnation)?;
        // Nothing leaves the process: a simulation grants for itself.
        let grant = Grant { license: "simulation".into(), clusters: None, nodes: None };
        provider.with_core(|core, now| core.handle_grant(Some(grant), now));
        Ok(provider)
    }

    /// Kills the process: nothing of it is left.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    pub(super) fn set_time(&self, now: Timestamp) {
        self.manual.set(self.clock.shows(now));
    }

    /// The process and its provider, if there are.
    pub(super) fn link(&self) -> Option<(&Process, &Arc<RedisClusterProvider>)> {
        let process = self.process.as_ref()?;
        Some((process, process.provider.as_ref()?))
    }

    /// Notes what the process found out or heard outside of its requests.
    pub(super) fn note_knowledge(&mut self, now: Timestamp) {
        for route in 0..self.make.routes.len() {
            self.note_turn(route, now);
        }
        let Some(process) = &self.process else { return };
        if self.watched.held_at.is_none() {
            let held = |route: &Route| route.is_held() || route.is_open();
            if process.routes.iter().flatten().any(held) {
                self.watched.held_at = Some(now);
            }
        }
        if self.watched.known_at.is_none() && self.hears_of_an_open_breaker(now) {
            self.watched.known_at = Some(now);
        }
    }

    fn hears_of_an_open_breaker(&self, now: Timestamp) -> bool {
        let Some((_, provider)) = self.link() else { return false };
        let local = self.clock.shows(now);
        let mut reports = Vec::new();
        provider.with_core(|core, _| {
            for route in core.troubled(local) {
                core.reports(route, local, &mut reports);
            }
        });
        reports.iter().any(|report| report.stance.open)
    }

    /// The routes of this node, for whoever lies about them.
    pub(super) fn route_names(&self) -> Vec<&str> {
        self.make.routes.iter().map(String::as_str).collect()
    }

    pub(super) fn name(&self) -> &str {
        &self.make.name
    }
}

impl Process {
    fn admit(&mut self, arrival: &Arrival, name: &str) -> Verdict {
        let Some(place) = self.routes.get_mut(arrival.route) else { return Verdict::Refuse };
        let route = place.get_or_insert_with(|| self.atrion.route(name));
        let volts = Volts::try_new(arrival.volts).unwrap_or(Volts::ZERO);
        let Ok(permit) = route.admit_owned(volts) else { return Verdict::Refuse };
        let index = arrival.slot as usize;
        if index >= self.permits.len() {
            self.permits.resize_with(index + 1, || None);
        }
        if let Some(place) = self.permits.get_mut(index) {
            *place = Some(permit);
        }
        Verdict::Admit
    }

    fn end(&mut self, completion: &Completion) {
        let permit = self.permits.get_mut(completion.slot as usize).and_then(Option::take);
        // What an earlier process admitted is nobody's any more.
        if let Some(permit) = permit {
            match completion.outcome {
                Outcome::Success => permit.success(),
                Outcome::Failure => permit.failure(),
            }
        }
    }

    /// Whether this route's breaker opened or closed since it was last looked at, and is open.
    fn turned(&mut self, route: usize) -> Option<bool> {
        let is_open = self.routes.get(route)?.as_ref()?.is_open();
        let was = self.was_open.get_mut(route)?;
        (std::mem::replace(was, is_open) != is_open).then_some(is_open)
    }
}

impl Policy for Node {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.set_time(arrival.now);
        let Some(process) = &mut self.process else {
            // There is nobody to refuse it either.
            self.watched.note_lost();
            return Verdict::Refuse;
        };
        let name = self.make.routes.get(arrival.route).map_or("", String::as_str);
        let verdict = process.admit(arrival, name);
        let important = arrival.volts >= Priority::Normal.volts().get();
        let admitted = verdict == Verdict::Admit;
        self.watched.note_asked(&Asked {
            now: arrival.now,
            volts: arrival.volts,
            important,
            admitted,
        });
        self.note_turn(arrival.route, arrival.now);
        verdict
    }

    fn done(&mut self, completion: &Completion) {
        self.set_time(completion.now);
        if let Some(process) = &mut self.process {
            process.end(completion);
        }
        self.note_turn(completion.route, completion.now);
    }

    fn transitions(&self) -> u32 {
        self.transitions
    }
}

impl Node {
    fn note_turn(&mut self, route: usize, now: Timestamp) {
        let Some(is_open) = self.process.as_mut().and_then(|process| process.turned(route)) else {
            return;
        };
        self.transitions += 1;
        if is_open {
            self.watched.opened_at.get_or_insert(now);
            // Who found out alone needs nobody to tell.
            self.watched.known_at.get_or_insert(now);
            self.watched.held_at.get_or_insert(now);
        }
    }
}
