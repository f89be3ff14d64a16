//! Learning a service from nothing: the guarded start and the exhale.
//!
//! A route that knows nothing must neither admit everything (a cold start inside an overload
//! would measure only the overload) nor refuse what a healthy service could do. It starts with a
//! small in-flight limit that grows by one per success while latency stays calm. If that limit
//! still bound at its end, the samples were taken under load, so the route *exhales*: it lets the
//! service drain and measures the service time on what it admits then.
//!
//! ```text
//! success at n while calm, n >= L/2:   L <- L + 1        no concurrency is granted that nobody used
//! stuck  <=>  nothing came back for 4 yardstick latencies and a second, with L/2 in flight
//! bound  <=>  stuck, or somebody was refused at a limit of at least L/2, L as of the end
//! ```

use super::LawConfig;
use super::window::Latencies;
use crate::math;
use crate::time::Timestamp;

mod rested;

pub(super) use rested::RestedStartup;

/// Requests whose mean latency is the yardstick for calm: the first ten admitted.
pub(super) const YARDSTICK_REQUESTS: u32 = 10;
/// How many of them must have returned before the yardstick is known.
const YARDSTICK_KNOWN: u32 = 8;
/// Log-latency above the yardstick that ends calm (`e^0.7`, twice as slow). The yardstick knows its
/// first, short returns only: less of a margin mistakes a heavy tail for an overload.
const CALM_MARGIN: f64 = 0.7;
/// The limit grows with a success that was admitted at this share of it at least: otherwise it
/// would run far ahead of what the service has ever held, and a surge would find it open.
const USED_SHARE: f64 = 0.5;
/// A refusal counts if the limit was at least this share of the last one. Whoever was refused
/// before the limit doubled met the start, not the service.
const BOUND_SHARE: f64 = 0.5;
/// Samples the calm average looks back over.
const CALM_SAMPLES: f64 = 16.0;
/// Fewest successes that end the start.
const ENOUGH_SUCCESSES: u32 = 30;
/// The start lasts this many yardstick latencies, within the bounds below.
const START_LATENCIES: f64 = 20.0;
const START_SECS: (f64, f64) = (1.0, 10.0);
/// With half of the limit in flight, so many yardstick latencies (and seconds) without a success end
/// the start: that many at once were too many.
const STUCK_LATENCIES: f64 = 4.0;
const STUCK_SECS: f64 = 1.0;
/// Latencies are kept apart by the in-flight count they were admitted at: bucket `k` takes counts
/// from `BUCKETS[k]` up to the next.
const BUCKETS: [u32; 10] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32];
/// The share of samples, from the least loaded up, that measures the service time.
const LEAST_LOADED_SHARE: f64 = 0.1;
/// Samples that are enough if the next bucket would bring in far more than that share.
const ENOUGH_SAMPLES: u32 = 8;
const FAR_MORE: f64 = 2.0;
/// An exhale that finds the service time below this share of what was believed is repeated, so
/// many times at most.
const MISTAKEN: f64 = 0.7;
const MOST_REPEATS: u8 = 3;

/// What a phase hands on when it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Learned {
    /// Service time, mean (s) and mean logarithm (ln s).
    pub(super) service_secs: f64,
    pub(super) service_ln: f64,
    /// Successes per second.
    pub(super) throughput: f64,
    /// Mean in-flight count.
    pub(super) mean_in_flight: f64,
    /// Whether the start limit refused anybody and has not doubled since.
    pub(super) limit_bound: bool,
    /// Samples behind the service time.
    pub(super) samples: u32,
    /// Variance of the logarithm of the latency, ln^2 s.
    pub(super) variance_ln: f64,
}

/// [`Latencies`] in half the space: a million idle routes hold these.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    count: u32,
    secs: f32,
    ln: f32,
}

impl Sums {
    fn add(&mut self, secs: f64, ln: f64) {
        self.count = self.count.saturating_add(1);
        self.secs += secs as f32;
        self.ln += ln as f32;
    }

    fn latencies(self) -> Latencies {
        Latencies { count: self.count, sum_secs: f64::from(self.secs), sum_ln: f64::from(self.ln) }
    }
}

/// The guarded start of a route.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Startup {
    limit: f64,
    /// The highest limit that refused anybody; zero if none did.
    bound_at: f32,
    first_at: Option<Timestamp>,
    yardstick: Latencies,
    recent_ln: f64,
    successes: u32,
    /// Sums of the logarithms and of their squares, and of how many.
    sum_ln: f32,
    sum_ln_squared: f32,
    sampled: u32,
    in_flight_secs: f64,
    /// Seconds since the last success with requests in flight.
    silent_secs: f32,
    buckets: [Sums; BUCKETS.len()],
}

impl Startup {
    pub(super) fn new(config: &LawConfig) -> Self {
        Self {
            limit: config.start_limit(),
            bound_at: 0.0,
            first_at: None,
            yardstick: Latencies::default(),
            recent_ln: 0.0,
            successes: 0,
            sum_ln: 0.0,
            sum_ln_squared: 0.0,
            sampled: 0,
            in_flight_secs: 0.0,
            silent_secs: 0.0,
            buckets: [Sums::default(); BUCKETS.len()],
        }
    }

    pub(super) fn limit(&self) -> u32 {
        // At least one request must pass or nothing is ever learned.
        math::max(self.limit, 1.0) as u32
    }

    pub(super) fn yardstick_secs(&self) -> Option<f64> {
        self.yardstick.mean()
    }

    pub(super) fn yardstick_ln(&self) -> Option<f64> {
        self.yardstick.mean_ln()
    }

    /// Marked requests wanted in all. Some may never return (streams, leaks): after every thirty
    /// other successes ten more are marked, until the yardstick is known.
    pub(super) fn marks_wanted(&self, marked_done: u32) -> u32 {
        let useless = marked_done.saturating_sub(self.yardstick.count);
        let missing = if self.yardstick.count < YARDSTICK_KNOWN {
            self.successes / ENOUGH_SUCCESSES * YARDSTICK_REQUESTS
        } else {
            0
        };
        YARDSTICK_REQUESTS.saturating_add(useless).saturating_add(missing)
    }

    pub(super) fn recent_ln(&self) -> f64 {
        self.recent_ln
    }

    /// One success, admitted at `in_flight` (itself included).
    pub(super) fn sample(&mut self, secs: f64, ln: f64, in_flight: u32, marked: bool) {
        if marked {
            self.yardstick.add(secs, ln);
        }
        let above = BUCKETS.partition_point(|from| *from <= in_flight.max(1));
        if let Some(bucket) = self.buckets.get_mut(above.saturating_sub(1)) {
            bucket.add(secs, ln);
        }
        self.sum_ln += ln as f32;
        self.sum_ln_squared += (ln * ln) as f32;
        self.sampled = self.sampled.saturating_add(1);
        let used = f64::from(in_flight) >= USED_SHARE * self.limit;
        self.count(1, ln, u32::from(used));
    }

    /// Successes of which only the sums are known: the sampler was busy at that moment, which is
    /// a sign of many in flight.
    pub(super) fn samples(&mut self, sums: &Latencies) {
        if let Some(mean_ln) = sums.mean_ln() {
            self.count(sums.count, mean_ln, sums.count);
        }
    }

    /// Counts successes of mean logarithm `ln`; `used` of them used the limit.
    fn count(&mut self, count: u32, ln: f64, used: u32) {
        let weight = if self.successes == 0 {
            1.0
        } else {
            math::ewma_weight(CALM_SAMPLES, f64::from(count))
        };
        self.recent_ln += weight * (ln - self.recent_ln);
        self.silent_secs = 0.0;
        self.successes = self.successes.saturating_add(count);
        if self.is_calm() {
            self.limit += f64::from(used);
        }
    }

    fn is_limit_bound(&self) -> bool {
        self.bound_at > 0.0 && f64::from(self.bound_at) >= BOUND_SHARE * self.limit
    }

    fn is_calm(&self) -> bool {
        // Without a yardstick the limit may grow for as long as a start normally takes, no longer.
        (self.yardstick.count < YARDSTICK_KNOWN && self.successes <= ENOUGH_SUCCESSES)
            || self.yardstick.mean_ln().is_some_and(|ln| self.recent_ln <= ln + CALM_MARGIN)
    }

    /// Moves time on; `Some` when the start is over.
    pub(super) fn tick(
        &mut self,
        in_flight: u32,
        refused: bool,
        dt_secs: f64,
        now: Timestamp,
    ) -> Option<Learned> {
        let first_at = *self.first_at.get_or_insert(now);
        if refused {
            self.bound_at = self.limit as f32;
        }
        self.in_flight_secs += f64::from(in_flight) * dt_secs;
        let elapsed = now.secs_since(first_at);
        let known = self.yardstick.count >= YARDSTICK_KNOWN;
        let long_enough = self.yardstick.mean().is_some_and(|mean| {
            elapsed >= math::clamp(START_LATENCIES * mean, START_SECS.0, START_SECS.1)
        });
        let done = known && self.successes >= ENOUGH_SUCCESSES && long_enough;
        let disturbed = known && self.is_limit_bound() && !self.is_calm();
        self.silent_secs = if in_flight > 0 { self.silent_secs + dt_secs as f32 } else { 0.0 };
        let stuck = self.is_stuck(in_flight);
        if (done || disturbed || stuck) && elapsed > 0.0 {
            let learned = self.learned(elapsed)?;
            Some(Learned { limit_bound: learned.limit_bound || stuck, ..learned })
        } else {
            None
        }
    }

    /// Much is in flight and nothing comes back: so many at once were too many, and whoever waits
    /// for enough successes to end the start waits for ever.
    fn is_stuck(&self, in_flight: u32) -> bool {
        let silent = f64::from(self.silent_secs);
        f64::from(in_flight) >= USED_SHARE * self.limit
            && silent >= STUCK_SECS
            && self.yardstick.mean().is_some_and(|mean| silent >= STUCK_LATENCIES * mean)
    }

    pub(super) fn rebase(&mut self, now: Timestamp) {
        // Rates over a time that did not pass would be absurd: count anew.
        self.first_at = Some(now);
        self.successes = 0;
        self.silent_secs = 0.0;
        self.in_flight_secs = 0.0;
        self.buckets = [Sums::default(); BUCKETS.len()];
    }

    fn learned(&self, elapsed: f64) -> Option<Learned> {
        let wanted = math::max(f64::from(self.successes) * LEAST_LOADED_SHARE, 1.0);
        let mut least_loaded = Latencies::default();
        for bucket in &self.buckets {
            let with_it = f64::from(least_loaded.count) + f64::from(bucket.count);
            // In an overload almost everything sits in the bucket of the limit. A few samples
            // from below say more about the bare service than all of those.
            let drowned = least_loaded.count >= ENOUGH_SAMPLES && with_it > FAR_MORE * wanted;
            if f64::from(least_loaded.count) >= wanted || drowned {
                break;
            }
            least_loaded = least_loaded.plus(bucket.latencies());
        }
        Some(Learned {
            service_secs: least_loaded.mean()?,
            service_ln: least_loaded.mean_ln()?,
            throughput: f64::from(self.successes) / elapsed,
            mean_in_flight: self.in_flight_secs / elapsed,
            limit_bound: self.is_limit_bound(),
            samples: least_loaded.count,
            variance_ln: self.variance_ln(),
        })
    }

    fn variance_ln(&self) -> f64 {
        let count = f64::from(self.sampled.max(1));
        let mean = f64::from(self.sum_ln) / count;
        math::max(f64::from(self.sum_ln_squared) / count - mean * mean, 0.0)
    }
}

/// The exhale: a few requests measured on a drained service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exhale {
    limit: u32,
    since: Timestamp,
    patience_secs: f64,
    marked: Latencies,
    sum_ln_squared: f64,
    before: Learned,
    repeats: u8,
}

impl Exhale {
    /// Starts after `before` was learned under load; `recent_ln` is the present log-latency.
    pub(super) fn new(before: Learned, recent_ln: f64, now: Timestamp) -> Self {
        let parallelism = math::max(before.throughput * before.service_secs, 1.0);
        let limit = math::max(math::floor(parallelism / 2.0), 1.0);
        // Four times the patience of the study: on wide services the first exhale often ran out
        // of time there, and a route that gives up starts with a service time taken under load.
        // In multiples of the service time, whatever the unit of the logarithms.
        let slower = math::exp(recent_ln - before.service_ln);
        let patience = before.service_secs * (16.0 * slower + 320.0 / limit);
        Self {
            limit: limit as u32,
            since: now,
            patience_secs: patience,
            marked: Latencies::default(),
            sum_ln_squared: 0.0,
            before,
            repeats: 0,
        }
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    /// The service time as believed before.
    pub(super) const fn service_secs(&self) -> f64 {
        self.before.service_secs
    }

    /// Its mean logarithm, as believed before.
    pub(super) const fn service_ln(&self) -> f64 {
        self.before.service_ln
    }

    /// Another exhale, if this one found the service much faster than was believed: its limit
    /// came from that belief, so the service was not drained.
    pub(super) fn again(&self, learned: &Learned, now: Timestamp) -> Option<Self> {
        let mistaken = learned.service_secs < MISTAKEN * self.before.service_secs;
        (mistaken && self.limit > 1 && self.repeats < MOST_REPEATS).then(|| Self {
            repeats: self.repeats + 1,
            ..Self::new(*learned, learned.service_ln, now)
        })
    }

    pub(super) fn sample(&mut self, secs: f64, ln: f64) {
        self.marked.add(secs, ln);
        self.sum_ln_squared += ln * ln;
    }

    /// `Some` when every marked request is back, or time is up. It must wait for *all* of them:
    /// the first to return are the short ones. For the same reason an exhale that ran out of
    /// time measured nothing: what is back by then is thrown away.
    pub(super) fn tick(
        &self,
        marked_done: u32,
        now: Timestamp,
        config: &LawConfig,
    ) -> Option<Learned> {
        let all_back = f64::from(marked_done) >= config.exhale_samples();
        let given_up = now.secs_since(self.since) >= self.patience_secs;
        (all_back || given_up).then(|| self.learned(all_back))
    }

    pub(super) fn rebase(&mut self, now: Timestamp) {
        self.since = self.since.min(now);
    }

    fn learned(&self, all_back: bool) -> Learned {
        let mut result = self.before;
        if let (true, Some(mean), Some(mean_ln)) =
            (all_back, self.marked.mean(), self.marked.mean_ln())
        {
            let count = f64::from(self.marked.count);
            let variance = math::max(self.sum_ln_squared / count - mean_ln * mean_ln, 0.0);
            result.variance_ln = variance;
            let doubt = math::max(0.2, 2.0 * math::sqrt(variance / count));
            let replaces = (mean_ln - result.service_ln).abs() > doubt;
            let weight = if replaces { 1.0 } else { count / (count + 64.0) };
            result.samples = if replaces {
                self.marked.count
            } else {
                result.samples.saturating_add(self.marked.count)
            };
            result.service_secs += weight * (mean - result.service_secs);
            result.service_ln += weight * (mean_ln - result.service_ln);
        }
        let parallelism = result.throughput * result.service_secs;
        result.mean_in_flight = math::min(result.mean_in_flight, parallelism);
        result
    }
}

#[cfg(test)]
#[path = "startup_tests.rs"]
mod tests;
