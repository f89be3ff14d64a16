//! An instance, and a small model of what it has to say of itself after each operation.
//!
//! The model knows nothing of the law. It counts what callers saw: who is inside, who was let in, who
//! was refused, who ended how. Whatever the law decides, that has to agree, every number has to be one,
//! and what an explanation says has to be what the next request meets.

use std::sync::Arc;
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::law::{LawConfig, WALL_OHMS};
use atrion_core::profile::LeaseTerms;
use atrion_core::telemetry::Telemetry;
use atrion_engine::{
    Atrion, Config, Counts, Force, Lease, LeaseState, Outcome, OwnedPermit, Reason, Route,
    RouteReport,
};
use atrion_state::blocking::block_on;
use atrion_state::clock::{Clock as _, ManualClock};
use atrion_state::in_memory::InMemoryProvider;

use super::ops::{Draw, NAMES, Op};

/// What single precision rounds, as a share.
const ROUNDING: f64 = 1e-4;
/// A voltage that is so close to the resistance may be decided either way: the mean voltage moves with
/// the asking itself.
const CLOSE: f64 = 0.25;
/// From one failure of a storm to the next.
const BETWEEN_FAILURES: Duration = Duration::from_millis(5);
/// Permits and leases that are held at a time.
const HELD_MAX: usize = 200;

/// A route that somebody has a handle on, and what its callers saw.
struct Entry {
    route: Route,
    base: Counts,
    base_tally: (u32, u32),
    inside: u32,
    completed: u32,
    cancelled: u32,
    refused: u32,
    admitted: u32,
}

/// How a run ended; for the fuzzer's statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) admitted: u64,
    pub(crate) refused: u64,
    pub(crate) opened: bool,
    pub(crate) restarted: bool,
}

pub(crate) struct World {
    clock: ManualClock,
    store: Arc<InMemoryProvider>,
    atrion: Atrion,
    entries: Vec<Entry>,
    permits: Vec<OwnedPermit>,
    leases: Vec<Lease>,
    /// Whether the clock went back since the last restart.
    stepped_back: bool,
    pub(crate) summary: Summary,
}

fn build(clock: &ManualClock, store: &Arc<InMemoryProvider>, config: Config) -> Atrion {
    Atrion::builder()
        .clock(clock.clone())
        .seed(7)
        .tally(true)
        .config(config)
        .provider(Arc::clone(store))
        .build()
        .expect("nothing to refuse")
}

fn tallied(route: &Route) -> (u32, u32) {
    let tally = route.tally().expect("asked for");
    let sum = |of: &dyn Fn(Priority) -> u32| {
        Priority::ALL.into_iter().fold(0_u32, |sum, tier| sum.wrapping_add(of(tier)))
    };
    (sum(&|tier| tally.admitted(tier)), sum(&|tier| tally.refused(tier)))
}

impl World {
    pub(crate) fn new(process_circuit: bool) -> Self {
        let clock = ManualClock::new();
        let store = Arc::new(InMemoryProvider::new());
        let config = Config::builder().route_limit(NAMES / 2).route_idle_secs(1.0);
        let config = config.build().expect("valid");
        let atrion = if process_circuit {
            let builder = Atrion::builder().clock(clock.clone()).seed(7).tally(true);
            builder.config(config).process_circuit(true).build().expect("valid")
        } else {
            build(&clock, &store, config)
        };
        Self {
            clock,
            store,
            atrion,
            entries: Vec::new(),
            permits: Vec::new(),
            leases: Vec::new(),
            stepped_back: false,
            summary: Summary::default(),
        }
    }

    /// Does all of it, looking at everything after each.
    pub(crate) fn play(&mut self, ops: &[Op]) {
        self.look(0);
        for op in ops {
            self.apply(op);
            self.check();
        }
        self.leave();
    }

    /// Everybody ends, in the order of their coming: nobody may be left inside.
    fn leave(&mut self) {
        for permit in std::mem::take(&mut self.permits) {
            self.end_permit(permit, Some(Outcome::Success));
        }
        for lease in std::mem::take(&mut self.leases) {
            self.end_lease(lease, None);
        }
        self.check();
        assert!(
            self.entries.iter().all(|entry| entry.route.counts().in_flight == 0),
            "all are out"
        );
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Admit { route, volts } => self.admit(route, volts),
            Op::End { permit, outcome } => {
                if let Some(permit) = take(&mut self.permits, permit) {
                    self.end_permit(permit, outcome);
                }
            }
            Op::Storm { route, requests } => self.storm(route, requests),
            Op::Lease { route, volts, silence, longest } => {
                self.lease(route, volts, LeaseTerms { silence, longest });
            }
            Op::Beat { lease } => {
                if let Some(lease) = pick(&self.leases, lease) {
                    let was = lease.state();
                    let beat = lease.heartbeat();
                    assert_eq!(beat.is_ok(), was == LeaseState::Live, "{was:?}: {beat:?}");
                }
            }
            Op::EndLease { lease, outcome } => {
                if let Some(lease) = take(&mut self.leases, lease) {
                    self.end_lease(lease, outcome);
                }
            }
            Op::CancelLease { lease } => {
                if let Some(lease) = pick(&self.leases, lease) {
                    lease.token().cancel();
                    assert_ne!(lease.state(), LeaseState::Live);
                }
            }
            Op::Look { name } => self.look(name),
            Op::Forget { route } => self.forget(route),
            Op::Tick => self.atrion.tick(),
            Op::Advance(by) => {
                self.clock.advance(by);
            }
            Op::StepBack(by) => {
                self.stepped_back = true;
                let now = self.clock.now().as_nanos();
                let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
                self.clock.set(atrion_core::time::Timestamp::from_nanos(now.saturating_sub(by)));
            }
            Op::Force { route, open, expiry } => {
                if let Some(entry) = pick(&self.entries, route) {
                    entry.route.force(if open { Force::Open } else { Force::Closed }, expiry);
                }
            }
            Op::Release { route } => {
                if let Some(entry) = pick(&self.entries, route) {
                    entry.route.release();
                }
            }
            Op::Reset { route } => {
                if let Some(entry) = pick(&self.entries, route) {
                    entry.route.reset();
                    assert!(!entry.route.is_open() && entry.route.report().forced.is_none());
                }
            }
            Op::Shadow { route, on } => {
                if let Some(entry) = pick(&self.entries, route) {
                    entry.route.set_shadow(on);
                    assert_eq!(entry.route.report().shadow, on);
                }
            }
            Op::Reload { law, limit, idle_secs, shadow } => {
                self.reload(law, limit, idle_secs, shadow);
            }
            Op::Report { route, numbers, outcomes } => self.report(route, numbers, outcomes),
            Op::Choose { volts, beta } => self.choose(volts, beta),
            Op::Flush => {
                block_on(self.atrion.flush()).expect("memory takes everything");
            }
            Op::Restart => self.restart(),
        }
    }

    fn admit(&mut self, route: usize, volts: Draw) {
        let volts = volts.volts();
        let Some(entry) = pick_mut(&mut self.entries, route) else { return };
        if self.permits.len() >= HELD_MAX {
            return;
        }
        let explained = entry.route.explain(volts);
        let shadow = entry.route.report().shadow;
        let ohms = explained.parts.total();
        let is_close = (volts.get() - ohms).abs() <= CLOSE * ohms;
        let answer = entry.route.admit_owned(volts);
        match (&answer, explained.reason()) {
            (Err(shed), expected) => {
                assert!(!shadow, "a shadowed route refuses");
                assert_eq!(shed.voltage(), volts);
                let wait = shed.retry_after();
                assert!(
                    wait >= Duration::from_millis(1) && wait <= Duration::from_secs(60),
                    "{wait:?}"
                );
                let parts = shed.parts().total();
                assert!(parts.is_finite() && parts >= 0.0, "{shed:?}");
                assert!(!shed.to_string().is_empty());
                // The process's ohms follow a mean of all routes' voltages, which the asking itself moves.
                let follows = explained.parts.process > 0.0 || shed.parts().process > 0.0;
                if !matches!(expected, Some(Reason::BreakerOpen | Reason::Held))
                    && !is_close
                    && !follows
                {
                    // Which of several reasons is named may differ; that there is one may not.
                    assert!(expected.is_some(), "{shed:?}, explained as {explained:?}");
                }
                entry.refused = entry.refused.wrapping_add(1);
                self.summary.refused += 1;
                self.summary.opened |= shed.reason() == Reason::BreakerOpen;
            }
            (Ok(_), expected) => {
                assert!(shadow || expected != Some(Reason::ForcedOpen), "forced open, and let in");
                entry.inside += 1;
                entry.admitted = entry.admitted.wrapping_add(1);
                self.summary.admitted += 1;
            }
        }
        self.permits.extend(answer);
    }

    fn storm(&mut self, route: usize, requests: u8) {
        for _ in 0..requests {
            let before = self.permits.len();
            self.admit(route, Draw(Priority::High.volts().get()));
            if self.permits.len() > before
                && let Some(permit) = self.permits.pop()
            {
                self.end_permit(permit, Some(Outcome::Failure));
            }
            self.clock.advance(BETWEEN_FAILURES);
        }
    }

    fn lease(&mut self, route: usize, volts: Draw, terms: LeaseTerms) {
        let Some(entry) = pick_mut(&mut self.entries, route) else { return };
        if self.leases.len() >= HELD_MAX {
            return;
        }
        match entry.route.lease(volts.volts(), terms) {
            Ok(lease) => {
                entry.inside += 1;
                entry.admitted = entry.admitted.wrapping_add(1);
                self.leases.push(lease);
            }
            Err(_) => entry.refused = entry.refused.wrapping_add(1),
        }
    }

    fn entry_of(&mut self, route: &Route) -> &mut Entry {
        let found = self.entries.iter_mut().find(|entry| entry.route == *route);
        found.expect("whoever is inside keeps the entry")
    }

    fn end_permit(&mut self, permit: OwnedPermit, outcome: Option<Outcome>) {
        let route = permit.route().clone();
        match outcome {
            Some(Outcome::Success) => permit.success(),
            Some(Outcome::Failure) => permit.failure(),
            Some(outcome @ Outcome::Cancelled) => permit.record(&outcome),
            None => drop(permit),
        }
        self.entry_of(&route).leaves(outcome);
    }

    fn end_lease(&mut self, lease: Lease, outcome: Option<Outcome>) {
        let route = lease.route().clone();
        let was = lease.state();
        match outcome {
            Some(outcome) => lease.record(&outcome),
            None => drop(lease),
        }
        match was {
            LeaseState::Live | LeaseState::Cancelled => self.entry_of(&route).leaves(outcome),
            // It was counted out when it was found to have expired.
            _ => self.entry_of(&route).leaves(None),
        }
    }

    fn look(&mut self, name: usize) {
        let route = self.atrion.route(&format!("route/{name}"));
        if self.entries.iter().any(|entry| entry.route == route) {
            return;
        }
        let base = route.counts();
        assert_eq!(base.in_flight, 0, "nobody is inside a route that nobody has");
        self.entries.push(Entry {
            base,
            base_tally: tallied(&route),
            route,
            inside: 0,
            completed: 0,
            cancelled: 0,
            refused: 0,
            admitted: 0,
        });
    }

    /// Gives the handle up, so that the route may come to rest or make room for another.
    fn forget(&mut self, route: usize) {
        if self.entries.len() < 2 {
            return;
        }
        let at = route % self.entries.len();
        let busy = |entry: &Entry| {
            self.permits.iter().any(|permit| *permit.route() == entry.route)
                || self.leases.iter().any(|lease| *lease.route() == entry.route)
        };
        if self.entries.get(at).is_some_and(|entry| !busy(entry)) {
            self.entries.remove(at);
        }
    }

    fn reload(&mut self, law: [Draw; 6], limit: usize, idle_secs: Draw, shadow: bool) {
        let before = self.atrion.config();
        let [healing, probe, heal, start, tick, scar] = law.map(|draw| draw.0);
        let law = LawConfig::builder()
            .healing_per_sec(healing)
            .probe_secs(probe)
            .probe_heal(heal)
            .start_limit(start)
            .tick_secs(tick)
            .scar_max_ohms(scar)
            .build();
        // One bad number spoils the whole: then take what is as shipped, sometimes.
        let law = law.unwrap_or_default();
        let config = Config::builder().law(law).route_limit(limit % (2 * NAMES));
        match config.route_idle_secs(idle_secs.0).shadow(shadow).build() {
            Ok(config) => {
                self.atrion.reload(config.clone());
                assert_eq!(*self.atrion.config(), config);
            }
            Err(_) => assert_eq!(before, self.atrion.config(), "nothing half-applied"),
        }
    }

    fn report(&mut self, route: usize, numbers: [Draw; 3], (good, bad): (u64, u64)) {
        let Some(entry) = pick(&self.entries, route) else { return };
        let [saturation, latency, in_flight] = numbers.map(|draw| draw.0);
        let before = entry.route.counts();
        let sample = Telemetry::builder()
            .saturation(saturation)
            .latency_secs(latency)
            .in_flight(in_flight as u64)
            .outcomes(good, bad)
            .build();
        let Ok(sample) = sample else {
            let usable = |x: f64| x.is_finite() && x >= 0.0;
            assert!(
                !usable(saturation)
                    || !usable(latency)
                    || saturation > 1e3
                    || latency > 1e6
                    || in_flight > 1e11,
                "refused: {saturation} {latency} {in_flight}"
            );
            return;
        };
        let decision = entry.route.update_physics(&sample);
        assert!(decision.resistance().get().is_finite());
        let later = decision.resistance_after(3, Duration::from_millis(50)).get();
        assert!(later.is_finite() && later >= 0.0, "{later}");
        assert_eq!(before, entry.route.counts(), "telemetry is no request");
    }

    fn choose(&self, volts: Draw, beta: Draw) {
        let routes: Vec<Route> = self.entries.iter().map(|entry| entry.route.clone()).collect();
        match self.atrion.select_route(&routes, volts.volts(), beta.0) {
            Ok(Some(route)) => assert!(routes.contains(route)),
            Ok(None) => {
                assert!(routes.iter().all(|route| !route.would_flow(volts.volts())));
            }
            Err(_) => assert!(!(0.0..=1e6).contains(&beta.0), "{}", beta.0),
        }
    }

    /// A new process with the same store. What the old one knows it delivers first.
    fn restart(&mut self) {
        if self.atrion.health().is_none() {
            return;
        }
        self.permits.clear();
        self.leases.clear();
        self.entries.clear();
        let config = self.atrion.config();
        let left = block_on(self.atrion.disconnect());
        // What is older than what the memory has is not taken.
        assert!(left.undelivered == 0 || self.stepped_back, "{left:?}");
        self.stepped_back = false;
        self.atrion = build(&self.clock, &self.store, (*config).clone());
        block_on(self.atrion.flush()).expect("memory takes everything");
        self.summary.restarted = true;
        self.look(0);
    }

    /// What has to hold at all times.
    fn check(&mut self) {
        // Leases that have expired are found by whoever looks first.
        let expired: Vec<usize> = (0..self.leases.len())
            .rev()
            .filter(|at| self.leases.get(*at).is_some_and(|l| l.state() == LeaseState::Expired))
            .collect();
        for at in expired {
            let lease = self.leases.swap_remove(at);
            self.end_lease(lease, Some(Outcome::Success));
        }
        let scar_max = self.atrion.config().law().scar_max_ohms();
        for entry in &self.entries {
            entry.check();
        }
        self.atrion.visit_reports(|report| check_report(&report, scar_max));
        let stats = self.atrion.stats();
        assert!(stats.resting <= stats.routes, "{stats:?}");
        assert!(stats.routes <= NAMES, "{stats:?}");
    }
}

impl Entry {
    fn leaves(&mut self, outcome: Option<Outcome>) {
        self.inside -= 1;
        match outcome {
            Some(Outcome::Success | Outcome::Failure) => {
                self.completed = self.completed.wrapping_add(1);
            }
            Some(Outcome::Cancelled) | None => self.cancelled = self.cancelled.wrapping_add(1),
        }
    }

    fn check(&self) {
        let counts = self.route.counts();
        let name = self.route.name();
        assert_eq!(counts.in_flight, self.inside, "{name}: in flight");
        let gained = |now: u32, base: u32| now.wrapping_sub(base);
        // A failure of a request from before the circuit last closed counts as cancelled.
        let left = gained(counts.completed, self.base.completed)
            .wrapping_add(gained(counts.cancelled, self.base.cancelled));
        let expected = self.completed.wrapping_add(self.cancelled);
        assert_eq!(
            left, expected,
            "{name}: ended, {counts:?} since {:?}, {} completed",
            self.base, self.completed
        );
        assert_eq!(gained(counts.shed, self.base.shed), self.refused, "{name}: refused");
        let ended = self.completed.wrapping_add(self.cancelled);
        assert_eq!(self.admitted, ended.wrapping_add(self.inside), "{name}: admitted");
        let (admitted, refused) = tallied(&self.route);
        let tally = (gained(admitted, self.base_tally.0), gained(refused, self.base_tally.1));
        assert_eq!(tally, (self.admitted, self.refused), "{name}: by tier");
        for tier in [Priority::Bulk, Priority::Critical] {
            let explained = self.route.explain(tier);
            let ohms = explained.parts.total();
            assert!(ohms.is_finite() && ohms >= 0.0, "{explained:?}");
        }
        let vector = self.route.vector();
        assert!(vector.scar_tissue.get() <= WALL_OHMS, "{vector:?}");
    }
}

fn check_report(report: &RouteReport, scar_max: f64) {
    let parts = report.parts;
    for (name, value, max) in [
        ("base", parts.base, WALL_OHMS),
        ("saturation", parts.saturation, f64::MAX),
        ("process", parts.process, f64::MAX),
        ("scar", parts.scar, WALL_OHMS),
        ("cluster scar", parts.cluster_scar, WALL_OHMS),
        ("reported", parts.reported, WALL_OHMS),
        ("resistance", report.resistance, WALL_OHMS),
        ("error rate", report.error_rate, 1.0),
        ("momentum", report.momentum, f64::MAX),
        ("limit", report.limit, f64::MAX),
        ("free zone", report.gate.free_zone, f64::MAX),
        ("queue", report.gate.queue, f64::MAX),
        ("passing", report.gate.passing, 1.0),
        ("ground", report.ground_volts, WALL_OHMS),
        ("own scar", report.own_scar, scar_max),
        ("parallelism", report.parallelism.unwrap_or_default(), f64::MAX),
        ("service time", report.service_secs.unwrap_or_default(), f64::MAX),
        ("capacity", report.capacity_rate.unwrap_or_default(), f64::MAX),
    ] {
        assert!(
            value.is_finite() && value >= 0.0 && value <= max * (1.0 + ROUNDING),
            "{}: {name} is {value}, allowed is 0 to {max}",
            report.name
        );
    }
}

fn pick<T>(items: &[T], index: usize) -> Option<&T> {
    items.get(index.checked_rem(items.len())?)
}

fn pick_mut<T>(items: &mut [T], index: usize) -> Option<&mut T> {
    let index = index.checked_rem(items.len())?;
    items.get_mut(index)
}

fn take<T>(items: &mut Vec<T>, index: usize) -> Option<T> {
    let index = index.checked_rem(items.len())?;
    Some(items.swap_remove(index))
}
