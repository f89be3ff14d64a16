//! Learned parallelism: how many requests the service truly works on at once.

use super::LawConfig;
use super::startup::Learned;
use super::window::Window;
use crate::math;
use crate::time::Timestamp;

mod rested;

pub(super) use rested::RestedSaturation;

/// Averages that follow the service look back over at least this many service times.
const HORIZON_SERVICE_TIMES: f64 = 3.0;
/// Slowest and fastest weight of one uncontended sample.
const SERVICE_WEIGHT: (f64, f64) = (1e-4, 1.0 / 128.0);
/// Time without congestion, in seconds and in service times, before in-flight counts as capacity.
const CALM_SECS: f64 = 0.3;
const CALM_SERVICE_TIMES: f64 = 4.0;
/// In such a time this share must have returned of what that many in flight would have done.
const DONE_SHARE: f64 = 0.25;
/// Time constants in service times: standing-queue detector and relaxation of growth.
const STANDING_SERVICE_TIMES: f64 = 30.0;
const GROWTH_SERVICE_TIMES: f64 = 10.0;
/// A queue that stood for less than this share of recent time has not stood.
const STANDING_FORGOTTEN: f64 = 1e-12;
/// A trial may grow the free zone up to this factor, by this factor at a time; the configuration may
/// use less of it.
const GROWTH_MAX: f64 = 4.0;
const GROWTH_STEP: f64 = 1.5;
/// Mean service times of a shared bottleneck that a route's own element lets its requests wait, in
/// baselines; the shared element, which knows the whole queue, is the stricter one.
const SHARED_BASELINES: f64 = 3.0;
/// The same while latency is up and only the quick ones say that nobody queues.
const GROWTH_STEP_SLOW: f64 = 1.3;
/// Longest wait, in baselines at the present throughput, behind the queue that even the smallest
/// service gets while the queue stands.
const WAIT_BASELINES: f64 = 1.5;
/// The same while the queue is a passing one and latency says that requests wait.
const BURST_BASELINES: f64 = 10.0;
/// Shortest queue, in requests: one request more than the service works on at once may wait.
const LEAST_QUEUE: f64 = 1.1;
/// A part of the requests is slow by itself, and nobody queues, if this share of the contended ones
/// is as quick as half of the uncontended ones, and so much more than a queue would leave.
const QUICK_SHARE: f64 = 0.3;
const QUICK_SURPLUS: f64 = 0.15;
/// `1/(1 + e^(1.702 x))` is the share of a normal distribution above `x`, to 0.01.
const LOGISTIC: f64 = 1.702;
/// Least standard deviation of the logarithm of the latency: a constant one has none.
const LEAST_SPREAD: f64 = 0.1;
/// Service times never count as shorter than this, or rates would overflow.
const SHORTEST_SERVICE_SECS: f64 = 1e-9;

/// What a route has learned about the saturation of its service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Saturation {
    /// R0: mean uncontended latency, s.
    pub(super) service_secs: f64,
    /// l0: mean logarithm of the uncontended latency, ln s.
    service_ln: f64,
    /// l: the same of all recent successes.
    recent_ln: f64,
    /// X: throughput the service has shown, 1/s; Xs: its present throughput.
    capacity_rate: f64,
    present_rate: f64,
    /// nbar: moving in-flight count, and its smallest value in the current calm interval.
    mean_in_flight: f64,
    calm_minimum: f64,
    calm_since: Timestamp,
    /// Successes in it.
    calm_done: f32,
    /// C: parallelism; g: trial growth on top of it.
    pub(super) parallelism: f64,
    growth: f64,
    grown_at: Timestamp,
    /// u: share of recent time with a queue.
    standing: f64,
    congested: bool,
    /// Standard deviation of the logarithm of the latency, as the start saw it.
    spread_ln: f32,
    /// Share of recent contended requests that were quick.
    quick: f32,
    samples: f64,
    last_uncontended: Timestamp,
}

impl Saturation {
    pub(super) fn new(learned: &Learned, recent_ln: f64, now: Timestamp) -> Self {
        let service_secs = math::max(learned.service_secs, SHORTEST_SERVICE_SECS);
        let little = learned.throughput * service_secs;
        let parallelism =
            if learned.limit_bound { little } else { math::min(learned.mean_in_flight, little) };
        Self {
            service_secs,
            service_ln: learned.service_ln,
            recent_ln,
            capacity_rate: learned.throughput,
            present_rate: learned.throughput,
            mean_in_flight: learned.mean_in_flight,
            calm_minimum: learned.mean_in_flight,
            calm_since: now,
            calm_done: 0.0,
            parallelism: math::max(parallelism, 1.0),
            growth: 1.0,
            grown_at: now,
            standing: 0.0,
            congested: false,
            spread_ln: math::max(math::sqrt(learned.variance_ln), LEAST_SPREAD) as f32,
            quick: 0.0,
            samples: f64::from(learned.samples),
            last_uncontended: now,
        }
    }

    /// C·g: up to here nobody waits.
    pub(super) fn free_zone(&self, config: &LawConfig) -> f64 {
        self.parallelism * math::min(self.growth, config.growth_max())
    }

    /// Q: the queue over which the ground potential drops, in requests.
    ///
    /// ```text
    /// q = min(q0, 1.5*X*R0) + kappa*min(C, X*R0)      Q = max(q + h*max(0, b - q), 1.1)
    /// b = q_burst, but min(q_burst, 10*X*R0) while latency says that requests wait
    /// ```
    ///
    /// What a caller feels of a queue is its time, `Q/X`. On one or two workers the fixed places `q0`
    /// would be an endless wait once throughput falls. Not so while queues pass: a route that is
    /// hardly used shows next to no throughput, and two requests at once must not be one too many.
    ///
    /// Whoever shares a bottleneck waits for the others' requests too, `shared_secs` each on average:
    /// if that is longer, waiting is measured in it.
    pub(super) fn queue(&self, shared_secs: f64, config: &LawConfig) -> f64 {
        let little = self.capacity_rate * self.service_secs;
        let least = math::min(config.queue_min(), WAIT_BASELINES * little);
        let shown = if self.congested { BURST_BASELINES * little } else { f64::INFINITY };
        let burst = math::min(config.queue_burst(), shown);
        let longer = math::max(SHARED_BASELINES * shared_secs / self.service_secs, 1.0);
        let baselines = config.queue_baselines() * longer;
        let standing = least + baselines * math::min(self.parallelism, little);
        math::max(standing + self.transience() * math::max(burst - standing, 0.0), LEAST_QUEUE)
    }

    /// h: 1 while queues come and go, 0 once one stands. Voltage counts only in a standing queue:
    /// in a passing one a low tier would be refused although nobody will have to wait for long.
    pub(super) fn transience(&self) -> f64 {
        math::clamp((0.9 - self.standing) / 0.3, 0.0, 1.0)
    }

    /// The queue current up to which voltage does not count: h, but nothing while latency says
    /// that requests wait. A service that slows down under concurrency shows it there first.
    pub(super) fn passing(&self) -> f64 {
        if self.congested { 0.0 } else { self.transience() }
    }

    /// Largest in-flight count at admission whose latency still shows the bare service time.
    pub(super) fn uncontended_limit(&self) -> u32 {
        let c = self.parallelism;
        math::max(0.9 * c - 0.7, math::floor(c / 2.0) + 1.0) as u32
    }

    /// Whether latency is up *and* looks like a queue, in which everybody waits.
    ///
    /// ```text
    /// expected = 1/(1 + exp(1.702 (l - l0)/s))          what a queue leaves below e^l0
    /// queueing = congested and not (quick >= 0.3 and quick >= expected + 0.15)
    /// ```
    ///
    /// A queue delays every request. If a dependency makes a part of them slow, the others are as
    /// quick as ever, though the mean says the same. Then more may be in flight; if that makes
    /// a queue after all, the quick ones disappear and the trial ends by itself.
    pub(super) fn is_queueing(&self) -> bool {
        if !self.congested {
            return false;
        }
        let shift = (self.recent_ln - self.service_ln) / f64::from(self.spread_ln);
        let expected = 1.0 / (1.0 + math::exp(LOGISTIC * shift));
        let needed = math::max(QUICK_SHARE, expected + QUICK_SURPLUS);
        f64::from(self.quick) < needed
    }

    pub(super) fn quick_below_secs(&self) -> f64 {
        math::exp(self.service_ln)
    }

    pub(super) const fn service_ln(&self) -> f64 {
        self.service_ln
    }

    pub(super) const fn capacity_rate(&self) -> f64 {
        self.capacity_rate
    }

    /// Applies one tick's window. `now` and `dt_secs` are measured, never assumed.
    pub(super) fn tick(&mut self, w: &Window, dt_secs: f64, now: Timestamp, config: &LawConfig) {
        self.learn_latency(w, now, config);
        let horizon = math::max(
            math::max(config.horizon_secs(), HORIZON_SERVICE_TIMES * self.service_secs),
            config.horizon_samples() / math::max(self.present_rate, 1e-9),
        );
        let weight = math::lost_share(dt_secs / horizon);
        // A congested service that holds no queue any more shows what is asked of it, not what it
        // can do.
        let shows_nothing = self.congested && f64::from(w.in_flight) <= self.free_zone(config);
        if dt_secs > 0.0 && !shows_nothing {
            let rate = f64::from(w.successes) / dt_secs;
            self.present_rate += weight * (rate - self.present_rate);
        }
        self.mean_in_flight += weight * (f64::from(w.in_flight) - self.mean_in_flight);

        if w.contended.count > 0 {
            let count = f64::from(w.contended.count);
            let weight = config.horizon_weight(count);
            let share = math::min(f64::from(w.quick) / count, 1.0);
            self.quick += (weight * (share - f64::from(self.quick))) as f32;
        }
        self.congested = self.is_slower_by(config.congestion());
        if self.congested {
            self.capacity_rate = self.present_rate;
            self.restart_calm(now);
        } else {
            self.capacity_rate = math::max(self.capacity_rate, self.present_rate);
            self.calm_minimum = math::min(self.calm_minimum, self.mean_in_flight);
            self.calm_done += w.successes as f32;
            let needed = math::max(CALM_SECS, CALM_SERVICE_TIMES * self.service_secs);
            let calm_secs = now.secs_since(self.calm_since);
            if calm_secs >= needed {
                // Nothing says that a service is slow that returns nothing: it hangs, or it has
                // collapsed. What it holds then is not what it works on.
                let expected = self.calm_minimum * calm_secs / self.service_secs;
                if f64::from(self.calm_done) >= DONE_SHARE * expected {
                    self.parallelism = math::max(self.parallelism, self.calm_minimum);
                }
                self.restart_calm(now);
            }
        }
        let queued = f64::from(u8::from(f64::from(w.in_flight) > self.free_zone(config)));
        // Most routes never queue: what is zero and stays zero needs no exponential.
        if queued > 0.0 || self.standing > 0.0 {
            let settle = math::lost_share(dt_secs / (STANDING_SERVICE_TIMES * self.service_secs));
            self.standing += settle * (queued - self.standing);
            if self.standing < STANDING_FORGOTTEN {
                self.standing = 0.0;
            }
        }
        self.relax_growth(now);
    }

    /// `l > l0 + ln(1 + share)`. The logarithm lies between `share - share^2 / 2` and `share`, which
    /// decides all but the closest cases.
    fn is_slower_by(&self, share: f64) -> bool {
        if self.recent_ln <= self.service_ln + share * (1.0 - 0.5 * share) {
            false
        } else {
            self.recent_ln > self.service_ln + share
                || self.recent_ln > self.service_ln + math::ln(1.0 + share)
        }
    }

    fn restart_calm(&mut self, now: Timestamp) {
        self.calm_since = now;
        self.calm_done = 0.0;
        self.calm_minimum = self.mean_in_flight;
    }

    fn learn_latency(&mut self, w: &Window, now: Timestamp, config: &LawConfig) {
        let all = w.uncontended.plus(w.contended);
        if let Some(mean_ln) = all.mean_ln() {
            let weight = config.horizon_weight(f64::from(all.count));
            self.recent_ln += weight * (mean_ln - self.recent_ln);
        }
        let (Some(mean), Some(mean_ln)) = (w.uncontended.mean(), w.uncontended.mean_ln()) else {
            return;
        };
        let count = f64::from(w.uncontended.count);
        self.samples = math::min(self.samples + count, 1e9);
        let weight = self.service_weight(now.secs_since(self.last_uncontended), count);
        self.service_secs = math::max(
            self.service_secs + weight * (mean - self.service_secs),
            SHORTEST_SERVICE_SECS,
        );
        self.service_ln += weight * (mean_ln - self.service_ln);
        // The only way down for C: Little's law on fresh uncontended samples.
        let little = config.parallelism_slack() * self.capacity_rate * self.service_secs;
        let step = weight * math::min(little - self.parallelism, 0.0);
        self.parallelism = math::max(self.parallelism + step, 1.0);
        self.last_uncontended = now;
    }

    /// How far `count` uncontended samples, spread over `elapsed_secs`, move R0 and l0: by a memory
    /// of so many service times, between bounds for each sample. While there are few samples they
    /// are simply averaged.
    fn service_weight(&self, elapsed_secs: f64, count: f64) -> f64 {
        let memory = math::max(1.0, STANDING_SERVICE_TIMES * self.service_secs);
        let (slowest, fastest) = SERVICE_WEIGHT;
        // One sample's 1 - exp(-x) lies between x - x^2/2 and x; that decides most cases.
        let x = elapsed_secs / (count * memory);
        let least = if x < 1.0 { x - 0.5 * x * x } else { 0.5 };
        if x < fastest && least > slowest && least * self.samples > 1.0 {
            // Within the bounds the samples together weigh what their time does.
            return math::lost_share(elapsed_secs / memory);
        }
        let per_sample = if least >= fastest {
            fastest
        } else if x <= slowest {
            slowest
        } else {
            math::clamp(1.0 - math::exp(-x), slowest, fastest)
        };
        let per_sample = math::max(per_sample, 1.0 / self.samples);
        if count > 1.0 { math::ewma_weight(1.0 / per_sample, count) } else { per_sample }
    }

    pub(super) fn rebase(&mut self, now: Timestamp) {
        for moment in [&mut self.calm_since, &mut self.grown_at, &mut self.last_uncontended] {
            *moment = (*moment).min(now);
        }
    }

    fn relax_growth(&mut self, now: Timestamp) {
        if self.growth > 1.0 {
            let elapsed = now.secs_since(self.grown_at);
            let keep = math::exp(-elapsed / (GROWTH_SERVICE_TIMES * self.service_secs));
            self.growth = 1.0 + (self.growth - 1.0) * keep;
        }
        self.grown_at = now;
    }

    /// Tries a larger free zone: slow start into capacity nobody has seen yet. A trial fades
    /// within ten service times; only a calm interval makes it permanent, through C.
    pub(super) fn grow(
        &mut self,
        last_done: Timestamp,
        last_growth: &mut Timestamp,
        now: Timestamp,
    ) -> bool {
        let twice = 2.0 * self.service_secs;
        let allowed = !self.is_queueing()
            && now.secs_since(last_done) < twice
            && now.secs_since(*last_growth) >= twice
            // The share of quick requests is known once a tick: one step for each.
            && (!self.congested || *last_growth < self.grown_at);
        if allowed {
            self.relax_growth(now);
            let step = if self.congested { GROWTH_STEP_SLOW } else { GROWTH_STEP };
            self.growth = math::min(GROWTH_MAX, step * self.growth);
            *last_growth = now;
        }
        allowed
    }
}

#[cfg(test)]
mod queue_tests;
#[cfg(test)]
#[path = "saturation_tests.rs"]
mod tests;
