//! The event loop: callers, policy, service.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use atrion_core::math;
use atrion_core::time::Timestamp;

use crate::policy::{Learned, Outcome, Policy};
use crate::rng::Rng;
use crate::scenario::{Fault, PAUSE_EVERY_SECS, PAUSE_SECS, Scenario};
use crate::service::{Demand, Service};

/// Width of the time bins behind the recovery figure, for a 20 ms service.
const BIN_SECS: f64 = 0.1;
/// Recovered: this share of what was asked for is served in time, over this many bins.
const RECOVERED_SHARE: f64 = 0.9;
const RECOVERED_BINS: usize = 10;
const MAX_RETRIES: u8 = 3;
/// Time to settle after everything is over, for a 20 ms service.
const SETTLE_SECS: f64 = 2.0;

/// What one caller class got in the window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    pub volts: f64,
    pub asked: u64,
    pub admitted: u64,
}

impl Served {
    pub fn percent(&self) -> f64 {
        100.0 * self.admitted as f64 / math::max(self.asked as f64, 1.0)
    }
}

/// What came of one run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub seed: u64,
    /// Requests simulated, refused ones included.
    pub requests: u64,
    /// Successes in time within the window, and the most anybody could have got.
    pub good: u64,
    pub ideal: f64,
    pub classes: Vec<Served>,
    /// 99th percentile of the admitted requests' latency in the window, in deadlines.
    pub p99: f64,
    /// Percent refused of what was asked for in calm times, before anything happened.
    pub false_rejects: f64,
    /// Percent refused within the window, and after everything is over and has settled.
    pub window_rejects: f64,
    pub after_rejects: f64,
    /// Requests that reached a dead dependency, and that wanted to.
    pub dead: u64,
    pub dead_offered: u64,
    /// Seconds from the end of the fault until requests were served again.
    pub recovery: f64,
    pub mode_changes: u32,
    /// State of the first route's element at the end and before anything happened.
    pub learned: Learned,
    pub learned_calm: Learned,
}

impl Report {
    pub fn goodput(&self) -> f64 {
        100.0 * self.good as f64 / math::max(self.ideal, 1.0)
    }

    /// Percent of the requests of one voltage that were admitted in the window.
    pub fn served(&self, volts: f64) -> f64 {
        let mut sum = Served::default();
        for class in self.classes.iter().filter(|c| (c.volts - volts).abs() < 1e-9) {
            sum.asked += class.asked;
            sum.admitted += class.admitted;
        }
        sum.percent()
    }
}

struct InFlight<T> {
    token: Option<T>,
    arrived: f64,
    class: usize,
    attempt: u8,
    fails: bool,
}

#[derive(Clone, Copy)]
struct Ask {
    class: usize,
    attempt: u8,
}

struct World<'a, P: Policy> {
    scenario: &'a Scenario,
    policies: &'a mut [P],
    service: Service,
    now: f64,
    /// Seconds the service has stood still; its clock is behind by that much.
    stood_still: f64,
    /// The service stands still until then.
    frozen_until: Option<f64>,
    /// So does the front: arrivals wait with it.
    front_frozen: bool,
    held: Vec<Ask>,
    in_flight: Vec<InFlight<P::Token>>,
    free: Vec<u32>,
    retries: BinaryHeap<Reverse<(u64, u64, usize, u8)>>,
    retry_rng: Rng,
    demand_seed: u64,
    admitted: u64,
    latencies: Vec<f32>,
    bins: Vec<(u32, u32)>,
    bin_secs: f64,
    was_open: Vec<bool>,
    calm: (u64, u64),
    after: (u64, u64),
    report: Report,
}

/// Runs `scenario` with one policy per route.
pub fn run<P: Policy>(scenario: &Scenario, policies: &mut [P], seed: u64) -> Report {
    let bin_secs = BIN_SECS * scenario.model.stretch();
    let bins = vec![(0, 0); (scenario.end / bin_secs) as usize + 2];
    let classes = scenario.classes.iter().map(|c| Served { volts: c.volts, ..Served::default() });
    let report =
        Report { seed, ideal: scenario.ideal(), classes: classes.collect(), ..Report::default() };
    let mut world = World {
        scenario,
        was_open: vec![false; policies.len()],
        policies,
        service: scenario.model.service(),
        now: 0.0,
        stood_still: 0.0,
        frozen_until: None,
        front_frozen: false,
        held: Vec::new(),
        in_flight: Vec::new(),
        free: Vec::new(),
        retries: BinaryHeap::new(),
        retry_rng: Rng::new(seed, 3),
        demand_seed: seed,
        admitted: 0,
        latencies: Vec::new(),
        bins,
        bin_secs,
        calm: (0, 0),
        after: (0, 0),
        report,
    };
    world.play(seed);
    world.finish()
}

/// The Poisson stream of fresh requests.
struct Arrivals {
    rng: Rng,
    next: f64,
    class: usize,
}

impl Arrivals {
    fn new(seed: u64, scenario: &Scenario) -> Self {
        let mut arrivals = Self { rng: Rng::new(seed, 1), next: 0.0, class: 0 };
        arrivals.advance(scenario);
        arrivals
    }

    fn advance(&mut self, scenario: &Scenario) {
        // Exponential gaps have no memory: where the rate changes, draw anew from there.
        loop {
            let (wave, until) = scenario.wave_at(self.next);
            let acting = scenario.is_acting(self.next);
            let capacity = scenario.model.capacity();
            let rate = |c: &crate::scenario::Class| {
                c.share * if acting { c.surge } else { 1.0 } / c.cost * capacity * wave
            };
            let total: f64 = scenario.classes.iter().map(rate).sum();
            let next = self.next + self.rng.exponential() / total;
            if next >= until {
                self.next = until;
                continue;
            }
            self.next = next;
            let mut left = self.rng.uniform() * total;
            self.class = scenario.classes.len() - 1;
            for (index, class) in scenario.classes.iter().enumerate() {
                left -= rate(class);
                if left < 0.0 {
                    self.class = index;
                    break;
                }
            }
            return;
        }
    }
}

impl<P: Policy> World<'_, P> {
    fn play(&mut self, seed: u64) {
        let scenario = self.scenario;
        let mut arrivals = Arrivals::new(seed, scenario);
        let mut pause_rng = Rng::new(seed, 2);
        let mut next_pause = if scenario.model.pauses { PAUSE_EVERY_SECS } else { f64::INFINITY };
        let mut hang = if scenario.fault == Fault::Hang { scenario.act.0 } else { f64::INFINITY };
        let mut next_tick = scenario.tick_secs;
        let mut noted_calm = false;
        loop {
            let served = if self.frozen_until.is_some() {
                f64::INFINITY
            } else {
                self.service.next() + self.stood_still
            };
            let retry = self.retries.peek().map_or(f64::INFINITY, |r| f64::from_bits(r.0.0));
            let freeze = math::min(next_pause, hang);
            let thaw = self.frozen_until.unwrap_or(f64::INFINITY);
            let control = math::min(freeze, thaw);
            let asks = math::min(arrivals.next, retry);
            let next = math::min(math::min(served, asks), math::min(next_tick, control));
            if next >= scenario.end {
                break;
            }
            if !noted_calm && next >= scenario.act.0 {
                noted_calm = true;
                self.report.learned_calm = self.policies[0].learned();
            }
            let waited = next - self.now;
            self.now = next;
            if self.frozen_until.is_some() {
                self.stood_still += waited;
            }
            if next >= control {
                if next >= thaw {
                    self.thaw();
                } else if next >= next_pause {
                    self.frozen_until = Some(next + pause_rng.between(PAUSE_SECS.0, PAUSE_SECS.1));
                    self.front_frozen = true;
                    next_pause += PAUSE_EVERY_SECS;
                } else {
                    self.frozen_until = Some(scenario.act.1);
                    hang = f64::INFINITY;
                }
            } else if next >= served {
                self.serve();
            } else if next >= next_tick {
                next_tick += scenario.tick_secs;
                self.tick();
            } else if next >= retry {
                if let Some(Reverse((_, _, class, attempt))) = self.retries.pop() {
                    self.ask(Ask { class, attempt });
                }
            } else {
                let class = arrivals.class;
                arrivals.advance(scenario);
                self.ask(Ask { class, attempt: 0 });
            }
        }
    }

    fn thaw(&mut self) {
        self.frozen_until = None;
        self.front_frozen = false;
        for ask in std::mem::take(&mut self.held) {
            self.ask(ask);
        }
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::from_nanos((self.now * 1e9) as u64)
    }

    fn tick(&mut self) {
        let (from, to) = self.scenario.no_ticks;
        if self.front_frozen || (self.now >= from && self.now < to) {
            return;
        }
        let at = self.timestamp();
        for route in 0..self.policies.len() {
            self.policies[route].tick(at);
            self.note_mode(route);
        }
    }

    fn note_mode(&mut self, route: usize) {
        let open = self.policies[route].is_open();
        if open != self.was_open[route] {
            self.was_open[route] = open;
            self.report.mode_changes += 1;
        }
    }

    fn ask(&mut self, ask: Ask) {
        if self.front_frozen {
            self.held.push(ask);
            return;
        }
        self.report.requests += 1;
        let class = self.scenario.classes[ask.class];
        let at = self.timestamp();
        let token = self.policies[class.route].arrive(at, class.volts);
        self.note_mode(class.route);
        self.count_ask(ask, token.is_some());
        match token {
            Some(token) => self.start(ask, token),
            None => self.retry(ask),
        }
    }

    fn count_ask(&mut self, ask: Ask, admitted: bool) {
        let s = self.scenario;
        if self.now >= s.window.0 && self.now < s.window.1 {
            let served = &mut self.report.classes[ask.class];
            served.asked += 1;
            served.admitted += u64::from(admitted);
        }
        if s.fault == Fault::Outage && s.is_acting(self.now) {
            self.report.dead_offered += 1;
            self.report.dead += u64::from(admitted);
        }
        if self.now < s.act.0 && self.now >= s.act.0 / 4.0 && s.load_at(0.0) < 1.0 {
            self.calm.0 += 1;
            self.calm.1 += u64::from(!admitted);
        }
        if self.now >= s.act.1 + SETTLE_SECS * s.model.stretch() {
            self.after.0 += 1;
            self.after.1 += u64::from(!admitted);
        }
        if ask.attempt == 0 {
            self.bins[(self.now / self.bin_secs) as usize].0 += 1;
        }
    }

    fn start(&mut self, ask: Ask, token: P::Token) {
        let s = self.scenario;
        let acting = s.is_acting(self.now);
        // The k-th admitted request has the same demand under every policy: less noise between.
        self.admitted += 1;
        let mut rng = Rng::new(self.demand_seed, self.admitted.wrapping_add(1 << 32));
        let (demand, fails) = if acting && s.fault == Fault::Outage {
            let wait = rng.between(0.001, 0.02);
            (Demand { wait, detached: true, ..Demand::default() }, true)
        } else {
            let demand = s.demand(&mut rng, s.classes[ask.class].cost, acting);
            let share = if let Fault::Errors(share) = s.fault { share } else { 0.0 };
            (demand, acting && rng.uniform() < share)
        };
        let entry = InFlight {
            token: Some(token),
            arrived: self.now,
            class: ask.class,
            attempt: ask.attempt,
            fails,
        };
        let id = if let Some(id) = self.free.pop() {
            self.in_flight[id as usize] = entry;
            id
        } else {
            self.in_flight.push(entry);
            self.in_flight.len() as u32 - 1
        };
        self.service.start(self.now - self.stood_still, id, demand);
    }

    fn retry(&mut self, ask: Ask) {
        if self.scenario.retries && ask.attempt < MAX_RETRIES {
            let wait = 0.1 * self.scenario.model.stretch() * self.retry_rng.exponential();
            let at = (self.now + wait).to_bits();
            let order = self.report.requests;
            self.retries.push(Reverse((at, order, ask.class, ask.attempt + 1)));
        }
    }

    fn serve(&mut self) {
        let Some(id) = self.service.step(self.now - self.stood_still) else {
            return;
        };
        self.free.push(id);
        let entry = &mut self.in_flight[id as usize];
        let Some(token) = entry.token.take() else {
            return;
        };
        let (arrived, fails) = (entry.arrived, entry.fails);
        let ask = Ask { class: entry.class, attempt: entry.attempt };
        let route = self.scenario.classes[ask.class].route;
        let outcome = if fails { Outcome::Failure } else { Outcome::Success };
        let at = self.timestamp();
        self.policies[route].done(at, token, outcome);
        self.note_mode(route);
        self.count_end(arrived, fails);
        if fails {
            self.retry(ask);
        }
    }

    fn count_end(&mut self, arrived: f64, fails: bool) {
        let s = self.scenario;
        let latency = self.now - arrived;
        let good = !fails && latency <= s.model.slo_secs();
        let within = |t: f64| t >= s.window.0 && t < s.window.1;
        self.report.good += u64::from(good && within(self.now));
        if within(arrived) && !fails {
            self.latencies.push((latency / s.model.slo_secs()) as f32);
        }
        self.bins[(arrived / self.bin_secs) as usize].1 += u32::from(good);
    }

    fn finish(mut self) -> Report {
        self.latencies.sort_by(f32::total_cmp);
        let n = self.latencies.len();
        let p99 = if n == 0 { 0.0 } else { f64::from(self.latencies[(n * 99 / 100).min(n - 1)]) };
        self.report.p99 = p99;
        let percent = |(of, n): (u64, u64)| 100.0 * n as f64 / math::max(of as f64, 1.0);
        self.report.false_rejects = percent(self.calm);
        self.report.after_rejects = percent(self.after);
        let asked: u64 = self.report.classes.iter().map(|c| c.asked).sum();
        let admitted: u64 = self.report.classes.iter().map(|c| c.admitted).sum();
        self.report.window_rejects = percent((asked, asked - admitted));
        self.report.recovery = self.recovery();
        self.report.learned = self.policies[0].learned();
        self.report
    }

    /// From the end of the act to the first bin from which on requests are served again.
    fn recovery(&self) -> f64 {
        let first = (self.scenario.act.1 / self.bin_secs + 0.5) as usize;
        let last = (self.scenario.end / self.bin_secs) as usize;
        for bin in first..last.saturating_sub(RECOVERED_BINS) {
            let (mut asked, mut good) = (0, 0);
            for (a, g) in &self.bins[bin..bin + RECOVERED_BINS] {
                asked += a;
                good += g;
            }
            let (asked_now, good_now) = self.bins[bin];
            if f64::from(good) >= RECOVERED_SHARE * f64::from(asked) && 2 * good_now >= asked_now {
                return (bin - first) as f64 * self.bin_secs;
            }
        }
        f64::INFINITY
    }
}
