//! The event loop: callers, policy, service.

mod arrivals;
mod callers;
mod demand;
mod slots;
mod tally;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use atrion_core::math;
use atrion_core::time::Timestamp;

use crate::machine::{Demand, Machine};
use crate::policy::{Arrival, Completion, Outcome, Policy, Tick, Verdict};
use crate::report::Report;
use crate::rng::Rng;
use crate::scenario::{Scenario, Strain};
use arrivals::Arrivals;
use callers::{Ask, Callers};
pub(crate) use demand::draw_demand;
use slots::Slots;
use tally::Tally;

/// Seconds between two ticks of a policy.
const TICK_SECS: f64 = 0.1;
/// Streams of random numbers, so that one use does not disturb another.
const ARRIVALS: u64 = 1;
const PAUSES: u64 = 2;
const CALLERS: u64 = 3;
/// Demands have a stream for each admitted request, from here on.
const DEMANDS: u64 = 1 << 32;

/// Runs `scenario` before `policy`. The same seed gives the same report, to the last bit.
///
/// The k-th admitted request does the same work under every policy, and callers ask at the same
/// moments: what differs between two reports is the policies' doing, and what follows from it.
///
/// ```
/// use atrion_sim::policy::{Context, Engine};
/// use atrion_sim::{run, scenario};
///
/// let scenario = scenario::find("flash")?;
/// let mut engine = Engine::new(&Context::of(&scenario, 1))?;
/// let report = run(&scenario, &mut engine, 1);
/// assert!(report.goodput() > 95.0, "{} % of what is possible", report.goodput());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run<P: Policy + ?Sized>(scenario: &Scenario, policy: &mut P, seed: u64) -> Report {
    let mut run = Run::new(scenario, policy, seed);
    run.advance(scenario.duration_secs());
    run.finish()
}

/// Runs `scenario` with callers that ask at these moments, in seconds and in order, each with its
/// class, instead of those that the classes' rates would give.
pub(crate) fn run_recorded<P: Policy + ?Sized>(
    scenario: &Scenario,
    policy: &mut P,
    seed: u64,
    arrivals: Vec<(f64, usize)>,
) -> Report {
    let mut run = Run::new(scenario, policy, seed);
    run.arrivals = Arrivals::recorded(arrivals);
    run.advance(scenario.duration_secs());
    run.finish()
}

/// A run that goes on step by step, for what happens between several of them.
pub(crate) struct Run<'a, P: Policy + ?Sized> {
    world: World<'a, P>,
    arrivals: Arrivals,
}

impl<'a, P: Policy + ?Sized> Run<'a, P> {
    pub(crate) fn new(scenario: &'a Scenario, policy: &'a mut P, seed: u64) -> Self {
        let (strain, strain_until) = scenario.strain_at(0.0);
        let holds = policy.holds();
        let pauses = scenario.service().pauses;
        let world = World {
            scenario,
            machine: Machine::new(scenario.service()),
            now: 0.0,
            stood_still: 0.0,
            pause_ends: f64::INFINITY,
            next_pause: pauses.map_or(f64::INFINITY, |p| p.every_secs),
            pause_rng: Rng::new(seed, PAUSES),
            strain,
            strain_until,
            waiting: Vec::new(),
            slots: Slots::default(),
            callers: Callers::new(scenario, Rng::new(seed, CALLERS)),
            seed,
            admitted: 0,
            next_tick: TICK_SECS,
            used_secs: 0.0,
            tally: Tally::new(scenario, seed),
            policy,
            holds,
        };
        Self { world, arrivals: Arrivals::new(scenario, Rng::new(seed, ARRIVALS)) }
    }

    /// Plays everything that happens before `until` seconds, and before the scenario ends. In how
    /// many steps makes no difference.
    pub(crate) fn advance(&mut self, until: f64) {
        let until = math::min(until, self.world.scenario.duration_secs());
        self.world.play(&mut self.arrivals, until);
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn policy(&mut self) -> &mut P {
        self.world.policy
    }

    pub(crate) fn finish(self) -> Report {
        let transitions = self.world.policy.transitions();
        self.world.tally.finish(transitions)
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Arrival,
    Retry,
    GiveUp,
    Served,
    Tick,
    Pause,
    PauseEnds,
    Strain,
}

struct World<'a, P: Policy + ?Sized> {
    scenario: &'a Scenario,
    policy: &'a mut P,
    holds: bool,
    machine: Machine,
    now: f64,
    /// Seconds the service has stood still; its clock is behind by that much.
    stood_still: f64,
    pause_ends: f64,
    next_pause: f64,
    pause_rng: Rng,
    strain: Strain,
    strain_until: f64,
    /// Arrivals during a pause, with their times: they wait outside.
    waiting: Vec<(Ask, f64)>,
    slots: Slots,
    callers: Callers,
    seed: u64,
    admitted: u64,
    next_tick: f64,
    used_secs: f64,
    tally: Tally<'a>,
}

impl<P: Policy + ?Sized> World<'_, P> {
    fn play(&mut self, arrivals: &mut Arrivals, until: f64) {
        loop {
            let (event, at) = self.next_event(arrivals.next());
            // Who waited outside during a pause may have lost patience before it ended.
            let at = math::max(at, self.now);
            if at >= until {
                break;
            }
            if self.is_frozen() {
                self.stood_still += at - self.now;
            }
            self.now = at;
            match event {
                Event::Arrival => {
                    let ask = Ask { class: arrivals.class(), attempt: 0 };
                    arrivals.advance(self.scenario);
                    self.callers.fresh(ask.class);
                    self.ask(ask, at);
                }
                Event::Retry => {
                    if let Some(ask) = self.callers.pop_retry() {
                        self.ask(ask, at);
                    }
                }
                Event::GiveUp => self.give_up(),
                Event::Served => self.serve(),
                Event::Tick => self.tick(),
                Event::Pause => self.pause(),
                Event::PauseEnds => self.resume(),
                Event::Strain => {
                    (self.strain, self.strain_until) = self.scenario.strain_at(at);
                }
            }
        }
    }

    fn next_event(&self, arrival: f64) -> (Event, f64) {
        let served =
            if self.is_frozen() { f64::INFINITY } else { self.machine.next() + self.stood_still };
        let mut next = (Event::Arrival, arrival);
        // In case of a tie the later one of these goes first.
        for (event, at) in [
            (Event::Retry, self.callers.next_retry()),
            (Event::GiveUp, self.callers.next_timeout()),
            (Event::Tick, self.next_tick),
            (Event::Served, served),
            (Event::Pause, self.next_pause),
            (Event::PauseEnds, self.pause_ends),
            (Event::Strain, self.strain_until),
        ] {
            if at <= next.1 {
                next = (event, at);
            }
        }
        next
    }

    fn is_paused(&self) -> bool {
        self.pause_ends.is_finite()
    }

    fn is_frozen(&self) -> bool {
        self.is_paused() || self.strain.hangs
    }

    fn pause(&mut self) {
        if let Some(p) = self.scenario.service().pauses {
            self.pause_ends = self.now + self.pause_rng.between(p.min_secs, p.max_secs);
            self.next_pause += p.every_secs;
        }
    }

    fn resume(&mut self) {
        self.pause_ends = f64::INFINITY;
        for (ask, arrived) in std::mem::take(&mut self.waiting) {
            self.ask(ask, arrived);
        }
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::from_nanos((self.now * 1e9) as u64)
    }

    fn tick(&mut self) {
        self.next_tick += TICK_SECS;
        let used = self.machine.used_secs(self.now - self.stood_still);
        let utilisation = math::clamp((used - self.used_secs) / TICK_SECS, 0.0, 1.0);
        self.used_secs = used;
        if self.is_paused() {
            return;
        }
        let load = self.machine.load();
        self.policy.tick(&Tick { now: self.timestamp(), utilisation, load });
        self.release();
    }

    fn ask(&mut self, ask: Ask, arrived: f64) {
        if self.is_paused() {
            self.waiting.push((ask, arrived));
            return;
        }
        let serial = self.tally.requests();
        let id = self.slots.take(ask, arrived, serial);
        let route = self.scenario.route_of(ask.class);
        let volts = self.scenario.classes().get(ask.class).map_or(0.0, |c| c.volts);
        let arrival = Arrival { now: self.timestamp(), slot: id, route, volts };
        self.tally.asked(ask, arrived);
        let verdict = self.policy.arrive(&arrival);
        if verdict != Verdict::Refuse {
            self.callers.watch(ask.class, arrived, id, serial);
        }
        match verdict {
            Verdict::Admit => self.start(id),
            Verdict::Refuse => self.refuse(id),
            Verdict::Hold => {}
        }
        self.release();
    }

    fn release(&mut self) {
        if !self.holds {
            return;
        }
        while let Some(release) = self.policy.release(self.timestamp()) {
            if self.slots.get_mut(release.slot).is_none() {
                continue;
            }
            if release.admitted {
                self.start(release.slot);
            } else {
                self.refuse(release.slot);
            }
        }
    }

    fn refuse(&mut self, id: u32) {
        let Some(slot) = self.slots.free(id) else { return };
        self.tally.refused(slot.ask, slot.arrived);
        if !slot.gave_up {
            self.callers.ask_again(slot.ask, self.now);
        }
    }

    fn start(&mut self, id: u32) {
        let serial = self.admitted;
        self.admitted += 1;
        let now = self.now;
        let Some(slot) = self.slots.get_mut(id) else { return };
        slot.started = now;
        let (ask, arrived) = (slot.ask, slot.arrived);
        // The k-th admitted request has the same demand under every policy: less noise between.
        let mut rng = Rng::new(self.seed, serial.wrapping_add(DEMANDS));
        let demand = if let Some((least, most)) = self.strain.outage {
            slot.fails = true;
            Demand { wait: rng.between(least, most), detached: true, ..Demand::default() }
        } else {
            let cost = self.scenario.classes().get(ask.class).map_or(1.0, |c| c.cost);
            let demand = draw_demand(self.scenario, &self.strain, cost, &mut rng);
            slot.fails = self.strain.errors > 0.0 && rng.uniform() < self.strain.errors;
            demand
        };
        self.tally.admitted(ask, arrived, self.strain.outage.is_some());
        if !self.machine.start(self.now - self.stood_still, id, demand) {
            self.end(id, false);
        }
    }

    fn serve(&mut self) {
        if let Some((id, done)) = self.machine.step(self.now - self.stood_still) {
            self.end(id, done);
            self.release();
        }
    }

    fn end(&mut self, id: u32, done: bool) {
        let Some(slot) = self.slots.free(id) else { return };
        let fails = slot.fails || !done;
        let outcome = if fails { Outcome::Failure } else { Outcome::Success };
        self.policy.done(&Completion {
            now: self.timestamp(),
            slot: id,
            route: self.scenario.route_of(slot.ask.class),
            latency_secs: self.now - slot.started,
            outcome,
        });
        self.tally.ended(slot.ask, slot.arrived, self.now, !fails, slot.gave_up);
        if fails && !slot.gave_up {
            self.callers.ask_again(slot.ask, self.now);
        }
    }

    fn give_up(&mut self) {
        let Some((id, serial)) = self.callers.pop_timeout() else { return };
        let Some(slot) = self.slots.get_mut(id) else { return };
        if slot.serial != serial {
            return;
        }
        slot.gave_up = true;
        let ask = slot.ask;
        self.callers.ask_again(ask, self.now);
    }
}

/// Moments in order, with what belongs to them.
type Agenda<T> = BinaryHeap<Reverse<(u64, u64, T)>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Context, Engine};
    use crate::scenario;

    #[test]
    fn in_how_many_steps_a_run_goes_on_makes_no_difference() {
        for name in ["timeouts@pauses", "hang", "outage"] {
            let scenario = scenario::find(name).expect("a preset");
            let engine = || Engine::new(&Context::of(&scenario, 3)).expect("the default engine");
            let whole = run(&scenario, &mut engine(), 3);
            let mut policy = engine();
            let mut steps = Run::new(&scenario, &mut policy, 3);
            let mut until = 0.0;
            while until < 2.0 * scenario.duration_secs() {
                until += 0.0173;
                steps.advance(until);
            }
            assert_eq!(steps.finish().fingerprint(), whole.fingerprint(), "{name}");
        }
    }
}
