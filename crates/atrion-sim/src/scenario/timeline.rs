//! Rates, capacities and ideals over time.

use atrion_core::math;

use super::{Class, Effect, Fault, Scenario};
use crate::distribution::Sampler;
use crate::rng::Rng;

/// A ramp is a staircase of this many steps.
const RAMP_STEPS: f64 = 300.0;

impl Effect {
    /// The class it is about, if it is about one.
    pub(super) fn class(&self) -> Option<&str> {
        match self {
            Self::Load { class, .. }
            | Self::Ramp { class, .. }
            | Self::Oscillation { class, .. } => class.as_deref(),
            _ => None,
        }
    }
}

impl Fault {
    /// Whether it acts at `t` seconds.
    pub fn is_acting(&self, t: f64) -> bool {
        t >= self.from_secs && t < self.to_secs
    }

    /// Multiple of the rate at `t`, and until when it holds; `None` if the fault is no matter of
    /// load or does not act.
    fn wave_at(&self, t: f64) -> Option<(f64, f64)> {
        if !self.is_acting(t) {
            return None;
        }
        let since = t - self.from_secs;
        // The small addition keeps a time that is itself an edge from falling before the edge.
        let (factor, until) = match self.effect {
            Effect::Load { factor, .. } => (factor, self.to_secs),
            Effect::Ramp { factor, .. } => {
                let step = (self.to_secs - self.from_secs) / RAMP_STEPS;
                let done = math::floor(since / step + 1e-6);
                let share = (done + 0.5) / RAMP_STEPS;
                (1.0 + (factor - 1.0) * share, self.from_secs + (done + 1.0) * step)
            }
            Effect::Oscillation { high, low, half_period_secs, .. } => {
                let half = math::floor(since / half_period_secs + 1e-9);
                let is_high = (half as u64).is_multiple_of(2);
                let until = self.from_secs + (half + 1.0) * half_period_secs;
                (if is_high { high } else { low }, until)
            }
            _ => return None,
        };
        let until = math::min(until, self.to_secs);
        // Whatever rounding does, time goes on.
        Some((factor, if until > t { until } else { t + 1e-9 * math::max(t, 1.0) }))
    }
}

/// The moments at which faults begin and end, in order.
pub(super) fn edges(faults: &[Fault]) -> Vec<f64> {
    let mut edges: Vec<f64> = faults.iter().flat_map(|f| [f.from_secs, f.to_secs]).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    edges
}

/// The combined effect of all faults on the work of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strain {
    /// Multiples of the demand for CPU and for waiting.
    pub(crate) cpu: f64,
    pub(crate) wait: f64,
    /// Shares and factors of gray failures, combined: share that is slower, and by how much.
    pub(crate) gray: Option<(f64, f64)>,
    /// Shortest and longest time to a failure without work.
    pub(crate) outage: Option<(f64, f64)>,
    pub(crate) errors: f64,
    pub(crate) hangs: bool,
    pub(crate) sampler: Sampler,
}

impl Scenario {
    /// Requests per second of a class in calm times.
    pub(crate) fn calm_rate(&self, class: &Class) -> f64 {
        match (class.load, class.rate_per_sec) {
            (Some(load), _) => load * self.capacity_per_sec() / class.cost,
            (None, rate) => rate.unwrap_or(0.0),
        }
    }

    /// Requests per second of every class at `t`, written into `rates`; answers until when they
    /// hold.
    pub(crate) fn rates_at(&self, t: f64, rates: &mut Vec<f64>) -> f64 {
        rates.clear();
        rates.extend(self.classes().iter().map(|c| self.calm_rate(c)));
        let next = self.edges.partition_point(|edge| *edge <= t);
        let mut until = self.edges.get(next).copied().unwrap_or(f64::INFINITY);
        for fault in self.faults() {
            let Some((factor, holds)) = fault.wave_at(t) else { continue };
            until = math::min(until, holds);
            for (rate, class) in rates.iter_mut().zip(self.classes()) {
                if fault.effect.class().is_none_or(|name| name == class.name) {
                    *rate *= factor;
                }
            }
        }
        until
    }

    /// What the faults do to a request's work at `t`, and until when.
    pub(crate) fn strain_at(&self, t: f64) -> (Strain, f64) {
        let service = self.service();
        let mut strain = Strain {
            cpu: 1.0,
            wait: 1.0,
            gray: None,
            outage: None,
            errors: 0.0,
            hangs: false,
            sampler: service.distribution.sampler(),
        };
        for fault in self.faults().iter().filter(|f| f.is_acting(t)) {
            match &fault.effect {
                Effect::Gray { share, factor } => {
                    // Two at once: the later one wins; they are alternatives, not layers.
                    strain.gray = Some((*share, *factor));
                }
                Effect::Capacity { factor } if self.is_pool_bound() => strain.wait /= factor,
                Effect::Capacity { factor } => strain.cpu /= factor,
                Effect::Outage { min_secs, max_secs } => {
                    strain.outage = Some((*min_secs, *max_secs));
                }
                Effect::Errors { share } => {
                    strain.errors = 1.0 - (1.0 - strain.errors) * (1.0 - share);
                }
                Effect::Hang => strain.hangs = true,
                Effect::Spread { distribution } => strain.sampler = distribution.sampler(),
                _ => {}
            }
        }
        let next = self.edges.partition_point(|edge| *edge <= t);
        (strain, self.edges.get(next).copied().unwrap_or(f64::INFINITY))
    }

    /// Requests of cost 1 per second that the service can do, pauses taken off.
    pub fn capacity_per_sec(&self) -> f64 {
        self.capacity_with(1.0, 1.0)
    }

    /// Requests of cost 1 in service at capacity without any queue: what Little's law gives.
    pub fn parallelism(&self) -> f64 {
        self.capacity_per_sec() * self.service().mean_secs
    }

    /// Whether the workers and not the cores are what is scarce.
    fn is_pool_bound(&self) -> bool {
        let s = self.service();
        let wait = s.mean_secs * (1.0 - s.cpu_share);
        let cpu = s.mean_secs * s.cpu_share;
        s.workers.is_some_and(|workers| {
            wait * f64::from(s.cores.unwrap_or(0)) >= cpu * f64::from(workers)
        })
    }

    fn capacity_with(&self, cpu: f64, wait: f64) -> f64 {
        let s = self.service();
        let cpu_secs = s.mean_secs * s.cpu_share * cpu;
        let wait_secs = s.mean_secs * (1.0 - s.cpu_share) * wait;
        let cores = f64::from(s.cores.unwrap_or(0));
        let by_cpu = if cpu_secs > 0.0 { cores / cpu_secs } else { f64::INFINITY };
        let by_pool = match s.workers {
            Some(workers) if wait_secs > 0.0 => f64::from(workers) / wait_secs,
            _ => f64::INFINITY,
        };
        let running =
            s.pauses.map_or(1.0, |p| 1.0 - f64::midpoint(p.min_secs, p.max_secs) / p.every_secs);
        math::min(by_cpu, by_pool) * running
    }

    /// Capacity at `t`, in requests of cost 1 per second, under whatever strains it then.
    pub fn capacity_at(&self, t: f64) -> f64 {
        let (strain, _) = self.strain_at(t);
        if strain.hangs || strain.outage.is_some() {
            return 0.0;
        }
        let mean = strain.gray.map_or(1.0, |(share, factor)| 1.0 + share * (factor - 1.0));
        let waits = self.service().cpu_share < 1.0;
        let (cpu, wait) = if waits { (1.0, mean) } else { (mean, 1.0) };
        self.capacity_with(strain.cpu * cpu, strain.wait * wait)
    }

    /// Work asked for per second at `t`, in requests of cost 1, retries not counted.
    pub fn offered_at(&self, t: f64) -> f64 {
        let mut rates = Vec::new();
        self.rates_at(t, &mut rates);
        rates.iter().zip(self.classes()).map(|(rate, class)| rate * class.cost).sum()
    }

    pub(crate) fn expected_requests(&self) -> f64 {
        let (mut t, mut sum, mut rates) = (0.0, 0.0_f64, Vec::new());
        let end = self.duration_secs();
        while t < end && sum.is_finite() {
            let until = math::min(self.rates_at(t, &mut rates), end);
            sum += rates.iter().sum::<f64>() * (until - t);
            t = until;
            if sum > 1e12 {
                break;
            }
        }
        sum
    }

    /// Goodput that nobody can beat within the window, in work: what was asked for and fits, as
    /// far as an idle service would do it in time.
    pub(crate) fn ideal(&self) -> f64 {
        const STEPS: u32 = 4000;
        let (from, to) = self.window_secs();
        let dt = (to - from) / f64::from(STEPS);
        let (mut sum, mut until, mut in_time) = (0.0, f64::NEG_INFINITY, 0.0);
        for step in 0..STEPS {
            let t = from + (f64::from(step) + 0.5) * dt;
            if t >= until {
                let (strain, holds) = self.strain_at(t);
                until = holds;
                in_time = self.in_time(&strain) * (1.0 - strain.errors);
            }
            sum += math::min(self.offered_at(t), self.capacity_at(t)) * in_time;
        }
        sum * dt
    }

    /// Share of the work that an idle service does within the deadline.
    fn in_time(&self, strain: &Strain) -> f64 {
        const DRAWS: u32 = 8000;
        let (mut good, mut all, mut rng) = (0.0, 0.0, Rng::new(7, 7));
        for class in self.classes() {
            let weight = self.calm_rate(class) * class.cost;
            let timeout = class.timeout_secs.unwrap_or(f64::INFINITY);
            let deadline = math::min(self.deadline_secs(), timeout);
            let draws = (0..DRAWS).filter(|_| {
                let demand = crate::world::draw_demand(self, strain, class.cost, &mut rng);
                demand.total() <= deadline
            });
            good += weight * draws.count() as f64 / f64::from(DRAWS);
            all += weight;
        }
        if all > 0.0 { good / all } else { 1.0 }
    }
}
