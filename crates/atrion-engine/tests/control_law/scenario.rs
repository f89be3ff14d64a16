//! Services and what happens to them: the recipes of the control-law study.
//!
//! Times are given for a 20 ms service and stretch with slower ones, so that a run holds about
//! as many requests whatever the service.

use atrion_core::math;

use crate::rng::{Lognormal, Rng};
use crate::service::{Demand, Service};

/// Loss of working time in the `pauses` models: 50 to 300 ms, every three seconds.
pub const PAUSE_SECS: (f64, f64) = (0.05, 0.3);
pub const PAUSE_EVERY_SECS: f64 = 3.0;
/// Load before and after whatever happens, as a share of capacity.
pub const CALM_LOAD: f64 = 0.7;

/// A service.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: &'static str,
    /// CPU cores.
    pub cores: usize,
    /// Share of a request's demand that is CPU; the rest is waiting.
    pub cpu_share: f64,
    /// Workers behind the wait; `None` is a pure delay.
    pub pool: Option<usize>,
    /// (n*, b) of the contention collapse.
    pub collapse: Option<(f64, f64)>,
    pub pauses: bool,
    /// (share, factor) of dearer requests.
    pub dear: Option<(f64, f64)>,
    /// Mean demand in seconds, and its coefficient of variation.
    pub mean: f64,
    pub cv: f64,
    /// The client's deadline in mean demands.
    pub slo: f64,
}

impl Model {
    /// `workers` serving in order of arrival.
    pub fn fifo(workers: usize, mean: f64) -> Self {
        Self {
            name: "fifo",
            cores: 1,
            cpu_share: 0.0,
            pool: Some(workers),
            collapse: None,
            pauses: false,
            dear: None,
            mean,
            cv: 1.0,
            slo: 10.0,
        }
    }

    /// `cores` shared equally.
    pub fn ps(cores: usize, mean: f64) -> Self {
        Self { name: "ps", cores, cpu_share: 1.0, pool: None, ..Self::fifo(1, mean) }
    }

    /// Shared cores and a pure wait; `cpu_share` of the demand is CPU.
    pub fn ps_io(cores: usize, mean: f64, cpu_share: f64) -> Self {
        Self { name: "psio", cpu_share, ..Self::ps(cores, mean) }
    }

    /// Shared cores in front of a pool that is the bottleneck.
    pub fn pooled(workers: usize, mean: f64) -> Self {
        Self { name: "pool", cpu_share: 0.2, pool: Some(workers), ..Self::ps(workers, mean) }
    }

    pub fn paused(cores: usize, mean: f64) -> Self {
        Self { name: "pause", pauses: true, ..Self::ps(cores, mean) }
    }

    /// 5 % of the requests 20 times dearer.
    pub fn classes(cores: usize, mean: f64) -> Self {
        Self { name: "class", dear: Some((0.05, 20.0)), ..Self::ps(cores, mean) }
    }

    /// Half the capacity at twice the knee of two jobs per core.
    pub fn collapsing(cores: usize, mean: f64) -> Self {
        Self { name: "usl", collapse: Some((2.0 * cores as f64, 1.0)), ..Self::ps(cores, mean) }
    }

    #[must_use]
    pub fn with_cv(mut self, cv: f64) -> Self {
        self.cv = cv;
        self
    }

    pub fn service(&self) -> Service {
        Service::new(self.cores, self.collapse, self.pool)
    }

    pub fn slo_secs(&self) -> f64 {
        self.slo * self.mean
    }

    /// How much longer than with a 20 ms service everything takes.
    pub fn stretch(&self) -> f64 {
        math::max(self.mean / 0.02, 1.0)
    }

    /// Requests per second when CPU and wait take these multiples of their normal demand.
    fn capacity_at(&self, cpu: f64, wait: f64) -> f64 {
        let cpu_secs = self.mean * self.cpu_share * cpu;
        let wait_secs = self.mean * (1.0 - self.cpu_share) * wait;
        let by_cpu = if cpu_secs > 0.0 { self.cores as f64 / cpu_secs } else { f64::INFINITY };
        let by_pool = self.pool.map_or(f64::INFINITY, |workers| workers as f64 / wait_secs);
        let running = if self.pauses {
            1.0 - f64::midpoint(PAUSE_SECS.0, PAUSE_SECS.1) / PAUSE_EVERY_SECS
        } else {
            1.0
        };
        math::min(by_cpu, by_pool) * running
    }

    pub fn capacity(&self) -> f64 {
        self.capacity_at(1.0, 1.0)
    }

    /// Requests in service at capacity without any queue.
    pub fn parallelism(&self) -> f64 {
        self.capacity() * self.mean
    }
}

/// One kind of caller.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    pub route: usize,
    pub volts: f64,
    /// Share of the capacity it asks for in calm times.
    pub share: f64,
    /// How many times that in the window.
    pub surge: f64,
    /// Demand as a multiple of the model's mean.
    pub cost: f64,
}

impl Class {
    pub fn new(volts: f64, share: f64, surge: f64) -> Self {
        Self { route: 0, volts, share, surge, cost: 1.0 }
    }
}

/// How the load of everybody moves within the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wave {
    Flat,
    /// Linearly up to this multiple.
    Ramp(f64),
    /// Between two multiples, each for this many seconds.
    Square(f64, f64, f64),
}

/// What goes wrong within the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    None,
    /// This share of the requests is slower by this factor: their waits, or all of them where
    /// there is no wait.
    Gray(f64, f64),
    /// Half the bottleneck's capacity.
    Half,
    /// Everything fails within 1 to 20 ms.
    Outage,
    /// This share fails, after being served.
    Errors(f64),
    /// Nothing moves.
    Hang,
}

/// One run's script.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub model: Model,
    pub classes: Vec<Class>,
    pub wave: Wave,
    pub fault: Fault,
    /// Whoever is refused or fails asks again, up to three times.
    pub retries: bool,
    /// When surge, wave and fault act.
    pub act: (f64, f64),
    /// When goodput is counted.
    pub window: (f64, f64),
    pub end: f64,
    /// Seconds between the policy's ticks, and when there are none at all.
    pub tick_secs: f64,
    pub no_ticks: (f64, f64),
}

/// Tiers of the tiered scenarios: voltage and share of the traffic.
pub const TIERS: [(f64, f64); 4] = [(5.0, 0.3), (20.0, 0.4), (50.0, 0.2), (100.0, 0.1)];

impl Scenario {
    /// Calm single-tier load for 20 s, then `surge` for 30 s.
    pub fn surge(name: &'static str, model: Model, surge: f64) -> Self {
        let k = model.stretch();
        Self {
            name,
            model,
            classes: vec![Class::new(20.0, CALM_LOAD, surge / CALM_LOAD)],
            wave: Wave::Flat,
            fault: Fault::None,
            retries: false,
            act: (20.0 * k, 50.0 * k),
            window: (20.0 * k, 50.0 * k),
            end: 50.0 * k,
            tick_secs: 0.1,
            no_ticks: (f64::INFINITY, f64::INFINITY),
        }
    }

    pub fn steady(model: Model) -> Self {
        Self::surge("steady70", model, CALM_LOAD)
    }

    pub fn with_fault(name: &'static str, model: Model, fault: Fault) -> Self {
        Self { fault, ..Self::surge(name, model, CALM_LOAD) }
    }

    pub fn tiered(name: &'static str, model: Model, load: f64) -> Self {
        let classes =
            TIERS.iter().map(|&(v, part)| Class::new(v, part * CALM_LOAD, load / CALM_LOAD));
        let classes = classes.collect();
        Self { classes, ..Self::surge(name, model, load) }
    }

    /// Twelve times the capacity of low-priority traffic on top of calm critical and normal.
    pub fn low12x(model: Model) -> Self {
        let classes = vec![
            Class::new(100.0, 0.1, 1.0),
            Class::new(20.0, 0.5, 1.0),
            Class::new(5.0, 0.1, 114.0),
        ];
        Self { classes, ..Self::surge("low12x", model, 12.0) }
    }

    pub fn flash(model: Model) -> Self {
        let mut s = Self::surge("flash20x5s", model, 20.0);
        let k = s.model.stretch();
        s.act.1 = 25.0 * k;
        s.window = s.act;
        s.end = 35.0 * k;
        s
    }

    pub fn ramp(model: Model) -> Self {
        Self { wave: Wave::Ramp(3.0 / CALM_LOAD), ..Self::surge("ramp3x", model, CALM_LOAD) }
    }

    pub fn oscillation(model: Model) -> Self {
        let k = model.stretch();
        let wave = Wave::Square(2.0 / CALM_LOAD, 0.5 / CALM_LOAD, 5.0 * k);
        Self { wave, ..Self::surge("oscill", model, CALM_LOAD) }
    }

    pub fn retry_storm(model: Model) -> Self {
        Self { retries: true, ..Self::surge("retrystorm", model, 3.0) }
    }

    /// `load` from the first moment on; counted from 2 s on.
    pub fn cold_start(model: Model, load: f64) -> Self {
        let mut s = Self::surge("coldstart2x", model, load);
        let k = s.model.stretch();
        s.classes = vec![Class::new(20.0, load, 1.0)];
        s.act = (2.0 * k, 30.0 * k);
        s.window = s.act;
        s.end = 30.0 * k;
        s
    }

    /// A dead dependency for 30 s. Goodput is counted until 30 s after it returned.
    pub fn outage(model: Model) -> Self {
        let mut s = Self::with_fault("outage30s", model, Fault::Outage);
        s.end += 30.0 * s.model.stretch();
        s.window.1 = s.end;
        s
    }

    pub fn hang(model: Model, secs: f64) -> Self {
        let mut s = Self::with_fault("hang10s", model, Fault::Hang);
        s.act.1 = s.act.0 + secs;
        s.window = s.act;
        s.end = s.act.1 + 20.0 * s.model.stretch();
        s
    }

    pub fn low_traffic(model: Model) -> Self {
        let mut s = Self::surge("lowtraffic", model, CALM_LOAD);
        s.classes = vec![Class::new(20.0, 0.02, 1.0)];
        s
    }

    /// The 16 scenarios of the second study.
    pub fn all(model: &Model) -> Vec<Self> {
        let m = || model.clone();
        let mut heavy = Self::surge("heavytail2x", m().with_cv(3.0), 2.0);
        heavy.model.name = model.name;
        vec![
            Self::steady(m()),
            Self::surge("step1.5x", m(), 1.5),
            Self::surge("step2x", m(), 2.0),
            Self::surge("step5x", m(), 5.0),
            Self::surge("step10x", m(), 10.0),
            Self::flash(m()),
            Self::with_fault("gray30%20x", m(), Fault::Gray(0.3, 20.0)),
            Self::with_fault("caphalf", m(), Fault::Half),
            Self::oscillation(m()),
            Self::retry_storm(m()),
            Self::tiered("tiers3x", m(), 3.0),
            Self::low12x(m()),
            heavy,
            Self::cold_start(m(), 2.0),
            Self::outage(m()),
            Self::with_fault("errburst5%", m(), Fault::Errors(0.05)),
        ]
    }

    /// Squeezes all times by one factor so that a run of a very fast service stays short.
    #[must_use]
    pub fn within(mut self, requests: f64) -> Self {
        let peak: f64 = self.classes.iter().map(|c| c.share * math::max(c.surge, 1.0)).sum();
        let expected = peak * self.model.capacity() * self.end;
        let factor = math::clamp(requests / expected, 0.1, 1.0);
        for t in [&mut self.act.0, &mut self.act.1, &mut self.window.0, &mut self.window.1] {
            *t *= factor;
        }
        self.end *= factor;
        if let Wave::Square(_, _, secs) = &mut self.wave {
            *secs *= factor;
        }
        self
    }

    pub fn is_acting(&self, t: f64) -> bool {
        t >= self.act.0 && t < self.act.1
    }

    /// Multiple of everybody's rate at `t`, and until when it holds.
    pub fn wave_at(&self, t: f64) -> (f64, f64) {
        let (from, to) = self.act;
        if t < from {
            return (1.0, from);
        }
        if t >= to {
            return (1.0, f64::INFINITY);
        }
        match self.wave {
            Wave::Flat => (1.0, to),
            Wave::Ramp(top) => {
                let step = (to - from) / 300.0;
                let done = math::floor((t - from) / step + 1e-6);
                let share = (done + 0.5) / 300.0;
                (1.0 + (top - 1.0) * share, from + (done + 1.0) * step)
            }
            Wave::Square(high, low, secs) => {
                let half = math::floor((t - from) / secs + 1e-9);
                let is_high = (half as u64).is_multiple_of(2);
                (if is_high { high } else { low }, math::min(from + (half + 1.0) * secs, to))
            }
        }
    }

    /// Share of the capacity that is asked for at `t`.
    pub fn load_at(&self, t: f64) -> f64 {
        let acting = self.is_acting(t);
        let share = |c: &Class| c.share * if acting { c.surge } else { 1.0 };
        self.classes.iter().map(share).sum::<f64>() * self.wave_at(t).0
    }

    /// Multiples of CPU and wait demand while the fault acts.
    fn slowdown(&self) -> (f64, f64) {
        let has_pool = self.model.pool.is_some();
        match self.fault {
            Fault::Half if has_pool => (1.0, 2.0),
            Fault::Half => (2.0, 1.0),
            _ => (1.0, 1.0),
        }
    }

    /// The share of requests per second that can be served at `t`, of the undisturbed capacity.
    fn capacity_share_at(&self, t: f64) -> f64 {
        if !self.is_acting(t) {
            return 1.0;
        }
        let (mut cpu, mut wait) = self.slowdown();
        match self.fault {
            Fault::Outage | Fault::Hang => return 0.0,
            Fault::Gray(share, factor) => {
                let mean = 1.0 + share * (factor - 1.0);
                if self.model.cpu_share < 1.0 { wait *= mean } else { cpu *= mean }
            }
            _ => {}
        }
        self.model.capacity_at(cpu, wait) / self.model.capacity()
    }

    /// Draws one request's demand.
    pub fn demand(&self, rng: &mut Rng, cost: f64, acting: bool) -> Demand {
        let m = &self.model;
        let mut scale = cost;
        if let Some((share, factor)) = m.dear {
            scale /= 1.0 + share * (factor - 1.0);
            if rng.uniform() < share {
                scale *= factor;
            }
        }
        let total = scale * Lognormal::new(m.mean, m.cv).draw(rng);
        let (mut cpu, mut wait) = if acting { self.slowdown() } else { (1.0, 1.0) };
        match self.fault {
            Fault::Gray(share, factor) if acting && rng.uniform() < share => {
                if m.cpu_share < 1.0 {
                    wait *= factor;
                } else {
                    cpu *= factor;
                }
            }
            _ => {}
        }
        let cpu_secs = total * m.cpu_share * cpu;
        let has_wait = m.cpu_share < 1.0;
        Demand {
            cpu_before: if has_wait { cpu_secs / 2.0 } else { cpu_secs },
            wait: total * (1.0 - m.cpu_share) * wait,
            cpu_after: if has_wait { cpu_secs / 2.0 } else { 0.0 },
            detached: false,
        }
    }

    /// Goodput nobody can beat, in requests: what was asked for and could be served in time by
    /// an otherwise idle service.
    pub fn ideal(&self) -> f64 {
        let (calm, acting) = (self.in_time(false), self.in_time(true));
        let errors = if let Fault::Errors(share) = self.fault { share } else { 0.0 };
        let steps = 20_000;
        let dt = (self.window.1 - self.window.0) / f64::from(steps);
        let mut sum = 0.0;
        for i in 0..steps {
            let t = self.window.0 + (f64::from(i) + 0.5) * dt;
            let served = math::min(self.load_at(t), self.capacity_share_at(t));
            sum += served * if self.is_acting(t) { acting * (1.0 - errors) } else { calm };
        }
        sum * dt * self.model.capacity()
    }

    /// Share of requests that an idle service serves within the deadline.
    fn in_time(&self, acting: bool) -> f64 {
        let mut rng = Rng::new(7, 7);
        let draws = 20_000;
        let good = (0..draws)
            .filter(|_| self.demand(&mut rng, 1.0, acting).total() <= self.model.slo_secs());
        good.count() as f64 / f64::from(draws)
    }
}
