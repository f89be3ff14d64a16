//! A simulated service behind the law: requests arrive, queue for workers, succeed or fail.

use std::collections::VecDeque;

use atrion_core::law::{
    BreakerMode, Element, Gate, Latencies, LawConfig, Phase, Sample, Window, ground_after,
};
use atrion_core::math;
use atrion_core::time::Timestamp;

use crate::record::Fingerprint;

/// What the service and its callers do for a while.
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) secs: f64,
    pub(crate) arrivals_per_sec: f64,
    pub(crate) workers: usize,
    pub(crate) service_secs: f64,
    /// Standard deviation of the logarithm of the service time.
    pub(crate) spread: f64,
    /// This share takes so many times as long, whatever the load.
    pub(crate) slow: (f64, f64),
    pub(crate) failing: f64,
    /// Nothing returns.
    pub(crate) hung: bool,
}

/// Something that happens once.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    /// The route goes to sleep, if it may, and wakes up at once.
    Rest,
    RestoreScar(f64),
    ReportRate(f64, f64),
    SetRound(f64),
    Invite(f64),
    Reset,
    /// The clock is moved by so many seconds.
    Slip(f64),
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) seed: u64,
    pub(crate) config: LawConfig,
    pub(crate) volts: &'static [f64],
    pub(crate) stress_ohms: f64,
    pub(crate) shared_secs: f64,
    /// Ticks are this many times as long as the configuration says.
    pub(crate) tick_stretch: f64,
    pub(crate) stretches: Vec<Stretch>,
    pub(crate) events: Vec<(f64, Event)>,
}

/// `SplitMix64`: the whole generator is three lines, so no version of a crate can change the records.
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal, without a transcendental function.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

#[derive(Clone, Copy)]
struct Request {
    admitted_nanos: u64,
    number: u32,
    marked: bool,
    probe: bool,
    /// When it is done; never, while the service hangs.
    done_nanos: u64,
}

struct World<'s> {
    scenario: &'s Scenario,
    draws: Draws,
    element: Element,
    gate: Gate,
    window: Window,
    print: Fingerprint,
    /// True time, and by how much the route's clock is off.
    nanos: u64,
    slip_nanos: i64,
    busy: Vec<Request>,
    queue: VecDeque<Request>,
    marks: u32,
    refused: bool,
    ground: f64,
    last_done: Timestamp,
    arrived: u32,
    admitted: u32,
    shed: u32,
    ended: u32,
}

/// Time begins some way after the origin, so that a clock can step back.
const BEGIN_NANOS: u64 = 1_000_000_000_000;

fn nanos(secs: f64) -> u64 {
    (secs * 1e9) as u64
}

/// Runs the scenario; a row for every second.
pub(crate) fn run(scenario: &Scenario) -> Vec<String> {
    let mut world = World::new(scenario);
    let mut rows = vec![world.row(0.0)];
    let mut begun = 0.0;
    for stretch in &scenario.stretches {
        world.stretch(stretch, begun, &mut rows);
        begun += stretch.secs;
    }
    rows
}

impl<'s> World<'s> {
    fn new(scenario: &'s Scenario) -> Self {
        let now = Timestamp::from_nanos(BEGIN_NANOS);
        let element = Element::new(now, &scenario.config);
        let gate = element.gate(scenario.stress_ohms, &scenario.config);
        Self {
            scenario,
            draws: Draws(scenario.seed),
            element,
            gate,
            window: Window::default(),
            print: Fingerprint::new(),
            nanos: BEGIN_NANOS,
            slip_nanos: 0,
            busy: Vec::new(),
            queue: VecDeque::new(),
            marks: Element::FIRST_MARKS,
            refused: false,
            ground: 20.0,
            last_done: now,
            arrived: 0,
            admitted: 0,
            shed: 0,
            ended: 0,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.nanos.saturating_add_signed(self.slip_nanos))
    }

    fn in_flight(&self) -> u32 {
        (self.busy.len() + self.queue.len()) as u32
    }

    fn stretch(&mut self, stretch: &Stretch, begun: f64, rows: &mut Vec<String>) {
        let end = BEGIN_NANOS + nanos(begun + stretch.secs);
        let tick = nanos(self.scenario.config.tick_secs() * self.scenario.tick_stretch);
        let mut next_tick = self.nanos + tick;
        let mut next_arrival = self.nanos + self.gap(stretch);
        let mut next_row = self.nanos + 1_000_000_000;
        if !stretch.hung {
            // What hung goes on from here.
            for request in &mut self.busy {
                request.done_nanos = request.done_nanos.min(self.nanos + 1_000_000);
            }
        }
        while self.nanos < end {
            let done = self.busy.iter().map(|r| r.done_nanos).min().unwrap_or(u64::MAX);
            self.nanos = done.min(next_tick).min(next_arrival).min(end);
            if self.nanos == done {
                self.complete(stretch);
            } else if self.nanos == next_arrival {
                self.arrive(stretch);
                next_arrival = self.nanos + self.gap(stretch);
            } else if self.nanos == next_tick {
                let secs = (self.nanos - BEGIN_NANOS) as f64 * 1e-9;
                let changed = self.tick(secs - tick as f64 * 1e-9, secs);
                next_tick = self.nanos + tick;
                if changed || self.nanos >= next_row {
                    rows.push(self.row(secs));
                }
                if self.nanos >= next_row {
                    next_row += 1_000_000_000;
                }
            }
        }
    }

    fn gap(&mut self, stretch: &Stretch) -> u64 {
        if stretch.arrivals_per_sec > 0.0 {
            // Between nothing and twice the mean: bursts and lulls.
            nanos(2.0 * self.draws.unit() / stretch.arrivals_per_sec).max(1)
        } else {
            u64::MAX / 4
        }
    }

    fn publish(&mut self) {
        let Scenario { stress_ohms, shared_secs, ref config, .. } = *self.scenario;
        self.gate = self.element.gate_in_series(stress_ohms, shared_secs, config);
    }

    fn arrive(&mut self, stretch: &Stretch) {
        let now = self.now();
        let number = self.in_flight() + 1;
        let tiers = self.scenario.volts;
        let volts = tiers[(self.draws.word() % tiers.len() as u64) as usize];
        self.arrived += 1;
        let mut probe = false;
        let admitted = if self.gate.open {
            probe = self.element.breaker_mut().try_probe(now);
            probe
        } else {
            self.ground = ground_after(self.ground, volts);
            if self.element.grow(self.gate.current(number), self.last_done, now) {
                self.publish();
            }
            let ohms = self.gate.resistance(number, self.ground);
            self.print.number(ohms);
            self.print.number(self.gate.limit(volts, self.ground));
            self.print.word(u64::from(self.gate.calm_limit()));
            volts > ohms
        };
        self.print.word(u64::from(admitted));
        if !admitted {
            self.shed += 1;
            self.refused |= !self.gate.open;
            return;
        }
        self.admitted += 1;
        let marked = self.marks > 0 && !probe;
        self.marks -= u32::from(marked);
        let admitted_nanos = self.nanos;
        let request = Request { admitted_nanos, number, marked, probe, done_nanos: u64::MAX };
        self.queue.push_back(request);
        self.work(stretch);
    }

    /// Workers take what waits.
    fn work(&mut self, stretch: &Stretch) {
        while self.busy.len() < stretch.workers {
            let Some(mut request) = self.queue.pop_front() else { return };
            let by_itself = math::exp(stretch.spread * self.draws.normal());
            let slow = if self.draws.unit() < stretch.slow.0 { stretch.slow.1 } else { 1.0 };
            let secs = stretch.service_secs * by_itself * slow;
            request.done_nanos =
                if stretch.hung { u64::MAX } else { self.nanos + nanos(secs).max(1) };
            self.busy.push(request);
        }
    }

    fn complete(&mut self, stretch: &Stretch) {
        let done = self.busy.iter().position(|r| r.done_nanos <= self.nanos);
        let Some(request) = done.map(|place| self.busy.swap_remove(place)) else { return };
        self.work(stretch);
        self.ended += 1;
        let failed = self.draws.unit() < stretch.failing;
        let cancelled = self.draws.unit() < 0.02;
        self.window.marked_done += u32::from(request.marked);
        match (request.probe, failed) {
            (true, _) if cancelled => self.window.probes_cancelled += 1,
            (true, true) => self.window.probes_failed += 1,
            (true, false) => self.window.probes_ok += 1,
            (false, true) => self.window.errors += 1,
            (false, false) => self.succeed(&request),
        }
        self.last_done = self.now();
    }

    fn succeed(&mut self, request: &Request) {
        let taken = self.nanos - request.admitted_nanos;
        let secs = taken as f64 * 1e-9;
        self.window.successes += 1;
        let codes = Latencies::from_codes(1, u64::from(math::log2_fixed(taken)), taken);
        if self.gate.exact && !self.ended.is_multiple_of(11) {
            let ln = math::ln(secs);
            let (in_flight, marked) = (request.number, request.marked);
            self.element.sample(&Sample { secs, ln, in_flight, marked });
            self.publish();
        } else if request.number <= self.gate.uncontended {
            add(&mut self.window.uncontended, codes);
        } else {
            add(&mut self.window.contended, codes);
            self.window.quick += u32::from(secs < self.element.quick_below_secs());
        }
    }

    /// One tick from `from` to `secs`; whether mode or phase changed.
    fn tick(&mut self, from: f64, secs: f64) -> bool {
        let scenario = self.scenario;
        let due = scenario.events.iter().filter(|(at, _)| *at > from && *at <= secs);
        due.for_each(|(_, event)| self.happen(*event));
        let now = self.now();
        self.window.in_flight = self.in_flight();
        let draw = self.draws.unit();
        self.element.breaker_mut().count_to(self.arrived, now);
        let report = self.element.tick(&self.window, self.refused, now, draw, &scenario.config);
        self.marks = if report.phase_changed { report.marks } else { self.marks + report.marks };
        self.window = Window::default();
        self.refused = false;
        self.publish();
        self.print_all();
        self.print.word(u64::from(report.marks));
        report.mode.is_some() || report.phase_changed
    }

    fn happen(&mut self, event: Event) {
        let now = self.now();
        let config = &self.scenario.config;
        match event {
            Event::Rest => {
                let rested = self.element.rest();
                self.print.word(u64::from(rested.is_some()));
                if let Some(rested) = rested {
                    self.print.word(rested.last_tick().as_nanos());
                    self.element = rested.wake(config);
                }
            }
            Event::RestoreScar(ohms) => {
                self.element.breaker_mut().restore_scar(ohms, now, config);
            }
            Event::ReportRate(rate, count) => {
                self.element.breaker_mut().report_rate(rate, count, config);
            }
            Event::SetRound(secs) => self.element.breaker_mut().set_round(secs),
            Event::Invite(within) => self.element.breaker_mut().invite(now.add_secs(within)),
            Event::Reset => self.element.breaker_mut().reset(config),
            Event::Slip(secs) => self.slip_nanos += (secs * 1e9) as i64,
        }
    }

    /// Every number the law publishes.
    fn print_all(&mut self) {
        let now = self.now();
        let (element, gate) = (&self.element, &self.gate);
        let breaker = element.breaker();
        let print = &mut self.print;
        for number in [gate.floor_ohms, gate.free_zone, gate.queue, gate.passing] {
            print.number(number);
        }
        let flags = [gate.wall, gate.open, gate.exact, element.is_congested()];
        print.word(flags.iter().fold(0, |bits, flag| 2 * bits + u64::from(*flag)));
        print.word(u64::from(gate.uncontended));
        print.word(element.last_tick().as_nanos());
        for number in [
            element.parallelism(),
            element.service_secs(),
            element.service_ln(),
            element.capacity_rate(),
            element.drain_rate(),
        ] {
            print.maybe(number);
        }
        for number in [
            element.quick_below_secs(),
            element.stalled_after_secs(),
            breaker.scar(),
            breaker.error_rate(),
            breaker.evidence(&self.scenario.config),
            breaker.demand().rate(),
            breaker.demand().recent(),
        ] {
            print.number(number);
        }
        print.word(breaker.next_probe().as_nanos());
        print.word(u64::from(breaker.probe_due(now)));
        print.word(u64::from(breaker.prober().was_good(now)));
    }

    fn row(&self, secs: f64) -> String {
        let (element, gate) = (&self.element, &self.gate);
        let phase = match element.phase() {
            Phase::Startup => "startup",
            Phase::Exhale => "exhale",
            Phase::Running => "running",
        };
        let mode = if element.breaker().mode() == BreakerMode::Open { "open" } else { "closed" };
        let or_zero = |number: Option<f64>| number.unwrap_or(0.0);
        format!(
            "{secs:7.3} s {phase:7} {mode:6} {:5} admitted {:5} shed {:4} in flight, zone {:8.3} \
             queue {:7.3} C {:8.3} R0 {:8.5} s X {:8.2}/s scar {:6.2} errors {:5.3} {}",
            self.admitted,
            self.shed,
            self.in_flight(),
            gate.free_zone,
            gate.queue,
            or_zero(element.parallelism()),
            or_zero(element.service_secs()),
            or_zero(element.capacity_rate()),
            element.breaker().scar(),
            element.breaker().error_rate(),
            self.print
        )
    }
}

fn add(sum: &mut Latencies, one: Latencies) {
    sum.count += one.count;
    sum.sum_secs += one.sum_secs;
    sum.sum_ln += one.sum_ln;
}
