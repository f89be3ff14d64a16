//! The control law of the study, written down as it is read: per sample, exact, unoptimised.
//!
//! This is the reference the shipped engine is compared with. It favours the text of the law
//! over everything else: every completion is applied at its own moment, averages over time are
//! integrals, nothing is quantised, sampled or batched. Where the text leaves something open the
//! choice made here is marked *Choice*.

use atrion_core::math;
use atrion_core::time::Timestamp;

use crate::policy::{Learned, Outcome, Policy};
use crate::rng::Rng;

/// Mistakes the studies warn of. A test that passes with the mistake made shows nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mistake {
    /// v_g is held at this voltage instead of following the traffic.
    FixedGround(f64),
    /// C never comes down.
    NoWayDown,
    /// The exhale takes the first completions instead of all it tagged.
    FirstCompletions,
    /// nbar survives the exhale.
    KeptMean,
    /// Samples must also leave at a low n.
    DepartureFilter,
    /// Congestion from Little's ratio instead of latency.
    LittleOnly,
    /// Saturation as of the last tick instead of this arrival.
    SampledSaturation,
}

/// The law's table of symbols.
#[derive(Clone, Debug)]
pub struct Params {
    pub r_base: f64,
    pub kappa: f64,
    pub q0: f64,
    pub q_burst: f64,
    pub delta: f64,
    pub n_x: f64,
    pub tau_x: f64,
    pub e_n: f64,
    pub e_crit: f64,
    pub sigma: f64,
    pub lambda: f64,
    pub s_max: f64,
    pub s_open: f64,
    pub s_close: f64,
    pub probe: f64,
    pub heal: f64,
    pub start_limit: f64,
    pub exhale_samples: u32,
    /// How long an exhale waits, in multiples of what the law says. Four by default: at one, a heavy
    /// tail outlasts it, nothing is measured, and what the overload taught stays.
    pub patience: f64,
    /// A mistake the studies warn of, made on purpose.
    pub mistake: Option<Mistake>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            r_base: 0.1,
            kappa: 1.0,
            q0: 2.0,
            q_burst: 6.0,
            delta: 0.35,
            n_x: 32.0,
            tau_x: 0.4,
            e_n: 20.0,
            e_crit: 0.5,
            sigma: 800.0,
            lambda: 0.1,
            s_max: 500.0,
            s_open: 100.0,
            s_close: 5.0,
            probe: 0.25,
            heal: 0.25,
            start_limit: 16.0,
            exhale_samples: 20,
            patience: 4.0,
            mistake: None,
        }
    }
}

/// One latency and how busy it was when it was admitted.
#[derive(Clone, Copy, Debug)]
struct Sample {
    secs: f64,
    n_arr: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    None,
    /// One of the first ten admitted.
    FirstTen,
    /// One of those the exhale waits for.
    Exhaled,
    Probe,
}

/// What an admitted request carries.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    sent: f64,
    n_arr: u32,
    mark: Mark,
    /// Breaker periods seen at admission: completions from before the last trip are ignored.
    trips: u32,
}

/// Knows nothing yet.
#[derive(Debug)]
struct Start {
    limit: f64,
    limit_hit: bool,
    first_arrival: Option<f64>,
    admitted: u32,
    first_ten: Vec<f64>,
    samples: Vec<Sample>,
    /// EWMA-16 of ln t.
    l16: f64,
    /// Integral of n over time.
    n_secs: f64,
}

/// Lets the service drain and measures it.
#[derive(Debug)]
struct Exhale {
    limit: f64,
    since: f64,
    give_up_after: f64,
    tagged: u32,
    returned: u32,
    samples: Vec<f64>,
}

#[derive(Debug)]
enum Phase {
    Start(Start),
    Exhale(Exhale),
    Run,
}

/// OPEN, and what the probes have shown so far.
#[derive(Debug)]
struct Open {
    next_probe: f64,
    interval: f64,
    outstanding: u32,
    good_in_a_row: u32,
}

/// Section 4 of the law.
pub struct SpecLaw {
    p: Params,
    rng: Rng,
    phase: Phase,
    open: Option<Open>,
    trips: u32,
    /// In flight, and the moment up to which the integrals below are complete.
    n: u32,
    integrated_to: f64,
    n_secs: f64,
    crowded_secs: f64,
    // Learned, named as in the law.
    r0: f64,
    l0: f64,
    l: f64,
    x: f64,
    xs: f64,
    nbar: f64,
    c: f64,
    g: f64,
    u: f64,
    v_g: f64,
    e: f64,
    s: f64,
    cong: bool,
    // Bookkeeping.
    arrivals: f64,
    samples: f64,
    t_low: f64,
    last_completion: f64,
    last_growth: f64,
    calm_since: f64,
    calm_min: f64,
    last_tick: f64,
    successes: u32,
    y_at_tick: f64,
}

fn secs(at: Timestamp) -> f64 {
    at.secs_since(Timestamp::ZERO)
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().sum::<f64>() / values.count() as f64
}

impl SpecLaw {
    pub fn new(seed: u64) -> Self {
        Self::with(Params::default(), seed)
    }

    pub fn with(p: Params, seed: u64) -> Self {
        let start = Start {
            limit: p.start_limit,
            limit_hit: false,
            first_arrival: None,
            admitted: 0,
            first_ten: Vec::new(),
            samples: Vec::new(),
            l16: 0.0,
            n_secs: 0.0,
        };
        Self {
            p,
            rng: Rng::new(seed, 11),
            phase: Phase::Start(start),
            open: None,
            trips: 0,
            n: 0,
            integrated_to: 0.0,
            n_secs: 0.0,
            crowded_secs: 0.0,
            r0: 0.0,
            l0: 0.0,
            l: 0.0,
            x: 0.0,
            xs: 0.0,
            nbar: 0.0,
            c: 1.0,
            g: 1.0,
            u: 0.0,
            v_g: 0.0,
            e: 0.0,
            s: 0.0,
            cong: false,
            arrivals: 0.0,
            samples: 0.0,
            t_low: 0.0,
            last_completion: 0.0,
            last_growth: f64::NEG_INFINITY,
            calm_since: 0.0,
            calm_min: f64::INFINITY,
            last_tick: 0.0,
            successes: 0,
            y_at_tick: 0.0,
        }
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.p.mistake == Some(mistake)
    }

    /// Brings the integrals over time up to `now`, before n changes.
    fn integrate(&mut self, now: f64) {
        let dt = now - self.integrated_to;
        self.integrated_to = now;
        let n_secs = f64::from(self.n) * dt;
        self.n_secs += n_secs;
        if f64::from(self.n) > self.c * self.g {
            self.crowded_secs += dt;
        }
        if let Phase::Start(start) = &mut self.phase {
            start.n_secs += n_secs;
        }
    }

    /// "learning is frozen while OPEN and while e >= 0.3"
    fn frozen(&self) -> bool {
        self.open.is_some() || self.e >= 0.3
    }

    // ---- arrival ------------------------------------------------------------------------

    /// Q: the queue over which the ground potential drops.
    fn queue(&self) -> f64 {
        let q = self.p.q0 + self.p.kappa * math::min(self.c, self.x * self.r0);
        let h = math::clamp((0.9 - self.u) / 0.3, 0.0, 1.0);
        q + h * math::max(0.0, self.p.q_burst - q)
    }

    /// y: the queue's current.
    fn current(&self) -> f64 {
        math::max(0.0, (f64::from(self.n) + 1.0 - self.c * self.g) / self.queue())
    }

    /// Start-up and exhale: a wall behind a limit, whatever the voltage; scars count as usual.
    fn arrive_behind_wall(&mut self, now: f64, volts: f64) -> Option<Mark> {
        let fits = |limit: f64, n: u32| f64::from(n) + 1.0 <= limit;
        let passes = volts > self.p.r_base + self.s;
        let marked = match &mut self.phase {
            Phase::Run => None,
            Phase::Start(start) => {
                start.first_arrival.get_or_insert(now);
                let admit = passes && fits(start.limit, self.n);
                start.limit_hit |= passes && !admit;
                admit.then(|| {
                    start.admitted += 1;
                    if start.admitted <= 10 { Mark::FirstTen } else { Mark::None }
                })
            }
            Phase::Exhale(exhale) => (passes && fits(exhale.limit, self.n)).then(|| {
                if exhale.tagged < self.p.exhale_samples {
                    exhale.tagged += 1;
                    Mark::Exhaled
                } else {
                    Mark::None
                }
            }),
        };
        // "or as soon as the limit was hit and calm is lost"
        self.maybe_end_start(now);
        marked
    }

    fn arrive_running(&mut self, now: f64, volts: f64) -> Option<Mark> {
        let y =
            if self.makes(Mistake::SampledSaturation) { self.y_at_tick } else { self.current() };
        let ground = match self.p.mistake {
            Some(Mistake::FixedGround(volts)) => volts,
            _ => self.v_g,
        };
        let r = self.p.r_base + ground * y + self.s;
        // Choice: a growth serves the arrivals after the one that asked for it.
        if y > 0.2
            && !self.cong
            && now - self.last_completion < 2.0 * self.r0
            && now - self.last_growth >= 2.0 * self.r0
        {
            self.g = math::min(4.0, 1.5 * self.g);
            self.last_growth = now;
        }
        (volts > r).then_some(Mark::None)
    }

    fn arrive_open(&mut self, now: f64) -> Option<Mark> {
        let open = self.open.as_mut()?;
        let places = 1 << open.good_in_a_row.min(20);
        (now >= open.next_probe && open.outstanding < places).then(|| {
            open.outstanding += 1;
            Mark::Probe
        })
    }

    // ---- completion ---------------------------------------------------------------------

    fn succeed(&mut self, now: f64, ticket: Ticket) {
        let sample = Sample { secs: now - ticket.sent, n_arr: ticket.n_arr };
        let ln = math::ln(math::max(sample.secs, 1e-9));
        self.successes += 1;
        match &mut self.phase {
            Phase::Start(start) => {
                if ticket.mark == Mark::FirstTen {
                    start.first_ten.push(sample.secs);
                }
                let first = start.samples.is_empty();
                start.l16 = if first { ln } else { start.l16 + (ln - start.l16) / 16.0 };
                start.samples.push(sample);
                // Choice: calm until proven otherwise.
                if start.is_calm() {
                    start.limit += 1.0;
                }
                self.maybe_end_start(now);
            }
            Phase::Exhale(exhale) => {
                let any = self.p.mistake == Some(Mistake::FirstCompletions);
                if ticket.mark == Mark::Exhaled || any {
                    exhale.samples.push(sample.secs);
                }
                self.maybe_end_exhale(now);
            }
            Phase::Run => self.learn(now, sample, ln),
        }
    }

    /// `[success]`
    fn learn(&mut self, now: f64, sample: Sample, ln: f64) {
        self.l += (ln - self.l) / self.p.n_x;
        let uncontended = math::max(0.9 * self.c - 0.7, math::floor(self.c / 2.0) + 1.0);
        let low_now =
            !self.makes(Mistake::DepartureFilter) || f64::from(self.n) + 1.0 <= uncontended;
        if f64::from(sample.n_arr) > uncontended || !low_now {
            return;
        }
        self.samples += 1.0;
        let k = if self.samples < 128.0 {
            1.0 / self.samples
        } else {
            let memory = math::max(1.0, 30.0 * self.r0);
            math::clamp(1.0 - math::exp(-(now - self.t_low) / memory), 1e-4, 1.0 / 128.0)
        };
        self.t_low = now;
        self.r0 += k * (sample.secs - self.r0);
        self.l0 += k * (ln - self.l0);
        if !self.makes(Mistake::NoWayDown) {
            let down = math::min(0.0, 1.5 * self.x * self.r0 - self.c);
            self.c = math::max(1.0, self.c + k * down);
        }
    }

    // ---- start-up and exhale ------------------------------------------------------------

    fn maybe_end_start(&mut self, now: f64) {
        let Phase::Start(start) = &self.phase else { return };
        let Some(first) = start.first_arrival else { return };
        let elapsed = now - first;
        let known = start.first_ten.len() >= 8;
        let long_enough = known && {
            let yardstick = mean(start.first_ten.iter().copied());
            elapsed >= math::clamp(20.0 * yardstick, 1.0, 10.0)
        };
        let over = start.samples.len() >= 30 && long_enough;
        let lost_calm = known && start.limit_hit && !start.is_calm();
        if (over || lost_calm) && elapsed > 0.0 {
            self.end_start(now, elapsed);
        }
    }

    fn end_start(&mut self, now: f64, elapsed: f64) {
        let phase = std::mem::replace(&mut self.phase, Phase::Run);
        let Phase::Start(mut start) = phase else { return };
        // "R0, l0 = the tenth of the samples with the smallest n_arr". Stable, so the oldest
        // among equals.
        start.samples.sort_by_key(|s| s.n_arr);
        let tenth = start.samples.len().div_ceil(10);
        let lowest = &start.samples[..tenth];
        self.r0 = mean(lowest.iter().map(|s| s.secs));
        self.l0 = mean(lowest.iter().map(|s| math::ln(math::max(s.secs, 1e-9))));
        self.samples = tenth as f64;
        self.x = start.samples.len() as f64 / elapsed;
        self.xs = self.x;
        self.nbar = start.n_secs / elapsed;
        self.l = start.l16;
        let little = self.x * self.r0;
        let c = if start.limit_hit { little } else { math::min(self.nbar, little) };
        self.c = math::max(1.0, c);
        if start.limit_hit {
            let limit = math::max(1.0, math::floor(self.c / 2.0));
            let patience = 4.0 * math::exp(self.l) + 80.0 * self.r0 / limit;
            let give_up_after = self.p.patience * patience;
            self.phase = Phase::Exhale(Exhale {
                limit,
                since: now,
                give_up_after,
                tagged: 0,
                returned: 0,
                samples: Vec::new(),
            });
        } else {
            self.start_running(now);
        }
    }

    fn maybe_end_exhale(&mut self, now: f64) {
        let Phase::Exhale(exhale) = &self.phase else { return };
        let wanted = self.p.exhale_samples;
        let all_back = if self.makes(Mistake::FirstCompletions) {
            exhale.samples.len() >= wanted as usize
        } else {
            exhale.returned >= wanted
        };
        if all_back || now - exhale.since >= exhale.give_up_after {
            self.end_exhale(now);
        }
    }

    fn end_exhale(&mut self, now: f64) {
        let phase = std::mem::replace(&mut self.phase, Phase::Run);
        let Phase::Exhale(exhale) = phase else { return };
        // Choice: on giving up nothing is replaced. What is back by then are the short ones.
        let complete =
            exhale.returned >= self.p.exhale_samples || self.makes(Mistake::FirstCompletions);
        if complete && !exhale.samples.is_empty() {
            let k = exhale.samples.len() as f64;
            let logs = exhale.samples.iter().map(|t| math::ln(math::max(*t, 1e-9)));
            let log_mean = mean(logs.clone());
            let variance = mean(logs.map(|ln| (ln - log_mean) * (ln - log_mean)));
            let doubt = math::max(0.2, 2.0 * math::sqrt(variance / k));
            // Choice: the difference is that of the logarithms.
            let differs = (log_mean - self.l0).abs() > doubt;
            let weight = if differs { 1.0 } else { k / (k + 64.0) };
            self.r0 += weight * (mean(exhale.samples.iter().copied()) - self.r0);
            self.l0 += weight * (log_mean - self.l0);
            self.samples = if differs { k } else { self.samples + k };
        }
        self.c = math::max(1.0, self.x * self.r0);
        if !self.makes(Mistake::KeptMean) {
            self.nbar = math::min(self.nbar, self.c);
        }
        // Choice: the exhale measured the present too.
        self.l = self.l0;
        self.start_running(now);
    }

    fn start_running(&mut self, now: f64) {
        self.t_low = now;
        self.calm_since = now;
        self.calm_min = self.nbar;
        self.n_secs = 0.0;
        self.crowded_secs = 0.0;
        self.successes = 0;
    }

    // ---- tick ---------------------------------------------------------------------------

    fn tick_running(&mut self, now: f64, dt: f64) {
        // Choice: n of the tick is its mean over the tick.
        let n = self.n_secs / dt;
        let crowded = self.crowded_secs / dt;
        let rate = f64::from(self.successes) / dt;
        if !self.frozen() {
            let horizon = math::max(
                math::max(self.p.tau_x, 3.0 * self.r0),
                self.p.n_x / math::max(self.xs, 1e-9),
            );
            let weight = 1.0 - math::exp(-dt / horizon);
            self.xs += weight * (rate - self.xs);
            self.nbar += weight * (n - self.nbar);
            self.cong = if self.makes(Mistake::LittleOnly) {
                self.nbar > 1.25 * self.x * self.r0 + 1.0
            } else {
                self.l > self.l0 + math::ln(1.0 + self.p.delta)
            };
            self.x = if self.cong { self.xs } else { math::max(self.x, self.xs) };
            self.learn_parallelism(now);
            self.u += (1.0 - math::exp(-dt / (30.0 * self.r0))) * (crowded - self.u);
        }
        self.g = 1.0 + (self.g - 1.0) * math::exp(-dt / (10.0 * self.r0));
    }

    fn learn_parallelism(&mut self, now: f64) {
        if self.cong {
            self.calm_since = now;
            self.calm_min = f64::INFINITY;
            return;
        }
        self.calm_min = math::min(self.calm_min, self.nbar);
        if now - self.calm_since >= math::max(0.3, 4.0 * self.r0) {
            self.c = math::max(self.c, self.calm_min);
            self.calm_since = now;
            self.calm_min = f64::INFINITY;
        }
    }

    fn tick_scar(&mut self, now: f64, dt: f64) {
        let trauma = if self.e > self.p.e_crit { self.p.sigma * dt } else { 0.0 };
        self.s = math::min(self.p.s_max, self.s * math::exp(-self.p.lambda * dt) + trauma);
        if self.open.is_none() && self.s >= self.p.s_open && self.e > self.p.e_crit {
            self.s = self.p.s_max;
            self.trips += 1;
            let interval = self.jittered_probe();
            self.open = Some(Open {
                next_probe: now + interval,
                interval,
                outstanding: 0,
                good_in_a_row: 0,
            });
        }
        self.maybe_close();
    }

    // ---- breaker ------------------------------------------------------------------------

    fn jittered_probe(&mut self) -> f64 {
        self.p.probe * self.rng.between(0.8, 1.2)
    }

    fn probed(&mut self, now: f64, outcome: Outcome) {
        let fresh = self.jittered_probe();
        let Some(open) = self.open.as_mut() else { return };
        open.outstanding = open.outstanding.saturating_sub(1);
        match outcome {
            Outcome::Failure => {
                open.good_in_a_row = 0;
                open.interval = fresh;
                self.s = self.p.s_max;
            }
            Outcome::Success => {
                open.good_in_a_row += 1;
                open.interval /= 2.0;
                self.s *= self.p.heal;
            }
        }
        // Choice: the interval counts from the probe's return.
        open.next_probe = now + open.interval;
        self.maybe_close();
    }

    fn maybe_close(&mut self) {
        if self.open.is_some() && self.s < self.p.s_close && self.e < self.p.e_crit / 2.0 {
            self.open = None;
        }
    }
}

impl Start {
    /// EWMA-16 of ln t below the mean ln t of the first ten admitted plus 0.5.
    fn is_calm(&self) -> bool {
        if self.first_ten.len() < 8 {
            return true;
        }
        self.l16 < mean(self.first_ten.iter().map(|t| math::ln(math::max(*t, 1e-9)))) + 0.5
    }
}

impl Policy for SpecLaw {
    type Token = Ticket;

    fn arrive(&mut self, at: Timestamp, volts: f64) -> Option<Ticket> {
        let now = secs(at);
        self.integrate(now);
        // Choice: plain mean until 256 arrivals have been seen.
        self.arrivals = math::min(self.arrivals + 1.0, 256.0);
        self.v_g += (volts - self.v_g) / self.arrivals;
        let mark = if self.open.is_some() {
            self.arrive_open(now)?
        } else if let Phase::Run = self.phase {
            self.arrive_running(now, volts)?
        } else {
            self.arrive_behind_wall(now, volts)?
        };
        self.n += 1;
        Some(Ticket { sent: now, n_arr: self.n, mark, trips: self.trips })
    }

    fn done(&mut self, at: Timestamp, ticket: Ticket, outcome: Outcome) {
        let now = secs(at);
        self.integrate(now);
        self.n -= 1;
        self.last_completion = now;
        // "Completions of requests sent before the trip are ignored."
        if ticket.trips != self.trips {
            return;
        }
        let weight = if ticket.mark == Mark::Probe { 0.5 } else { 1.0 / self.p.e_n };
        let failed = f64::from(u8::from(outcome == Outcome::Failure));
        self.e += (failed - self.e) * weight;
        if ticket.mark == Mark::Probe {
            return self.probed(now, outcome);
        }
        if let (Phase::Exhale(exhale), Mark::Exhaled) = (&mut self.phase, ticket.mark) {
            exhale.returned += 1;
        }
        if outcome == Outcome::Success && !self.frozen() {
            self.succeed(now, ticket);
        }
        self.maybe_end_exhale(now);
    }

    fn tick(&mut self, at: Timestamp) {
        let now = secs(at);
        self.integrate(now);
        let dt = now - self.last_tick;
        self.last_tick = now;
        if dt <= 0.0 {
            return;
        }
        if let Phase::Run = self.phase {
            self.tick_running(now, dt);
        }
        self.n_secs = 0.0;
        self.crowded_secs = 0.0;
        self.successes = 0;
        self.y_at_tick = self.current();
        self.tick_scar(now, dt);
        self.maybe_end_exhale(now);
    }

    fn is_open(&self) -> bool {
        self.open.is_some()
    }

    fn learned(&self) -> Learned {
        Learned { parallelism: self.c, service_secs: self.r0 }
    }
}
