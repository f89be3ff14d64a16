//! A limit that follows the ratio of long-term to present latency.
//!
//! Source: `Gradient2Limit` of Netflix's library concurrency-limits, released settings: limits of
//! 20 to 200, starting at 20, a smoothing of 0.2, a long window of 600 samples (the first ten
//! averaged evenly), a tolerance of 1.5, a queue of 4. With `g = clamp(1.5 long/short, 0.5, 1)`
//! the limit moves a fifth of the way to `g limit + 4`. A long-term latency of more than twice the
//! present one loses 5 % with each sample.
//!
//! Its documentation recalculates the limit once a window, of a second for example. So there are
//! two: on every sample, and by [`Windowed`](super::Windowed).

use atrion_core::math;

use super::limiter::{Limit, Sample};

/// Settings of [`Gradient2`].
#[derive(Clone, Copy, Debug)]
pub struct Gradient2Settings {
    /// Where the limit starts: 20.
    pub initial: f64,
    /// Lowest limit: 20.
    pub min: f64,
    /// Highest limit: 200.
    pub max: f64,
    /// Share of the way to the new estimate: 0.2.
    pub smoothing: f64,
    /// Samples of the long-term average: 600.
    pub long_window: f64,
    /// How much longer than the long-term latency is no congestion: 1.5.
    pub tolerance: f64,
    /// Requests that may queue: 4.
    pub queue: f64,
}

impl Default for Gradient2Settings {
    fn default() -> Self {
        Self {
            initial: 20.0,
            min: 20.0,
            max: 200.0,
            smoothing: 0.2,
            long_window: 600.0,
            tolerance: 1.5,
            queue: 4.0,
        }
    }
}

/// Samples that are averaged evenly before the exponential average begins.
const WARMUP: f64 = 10.0;

/// The rule.
#[derive(Clone, Copy, Debug)]
pub struct Gradient2 {
    settings: Gradient2Settings,
    limit: f64,
    long_secs: f64,
    samples: f64,
}

impl Gradient2 {
    /// Starts at the initial limit.
    pub const fn new(settings: Gradient2Settings) -> Self {
        Self { settings, limit: settings.initial, long_secs: 0.0, samples: 0.0 }
    }
}

impl Limit for Gradient2 {
    fn limit(&self) -> f64 {
        math::floor(self.limit)
    }

    fn update(&mut self, sample: &Sample) {
        let (s, short) = (self.settings, sample.latency_secs);
        let weight = if self.samples < WARMUP {
            self.samples += 1.0;
            1.0 / self.samples
        } else {
            2.0 / (s.long_window + 1.0)
        };
        self.long_secs += weight * (short - self.long_secs);
        let long = self.long_secs;
        if long > 2.0 * short {
            self.long_secs *= 0.95;
        }
        if f64::from(sample.in_flight) < self.limit / 2.0 {
            return;
        }
        let gradient = math::clamp(s.tolerance * long / short, 0.5, 1.0);
        let wanted = gradient * self.limit + s.queue;
        let next = (1.0 - s.smoothing) * self.limit + s.smoothing * wanted;
        self.limit = math::clamp(next, s.min, s.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atrion_core::time::Timestamp;

    fn feed(rule: &mut Gradient2, secs: f64, count: u32) {
        for _ in 0..count {
            rule.update(&Sample {
                now: Timestamp::ZERO,
                latency_secs: secs,
                in_flight: 1000,
                dropped: false,
            });
        }
    }

    /// The figures of the library's own test of its long-term average, for a window of 100: the
    /// mean of the first ten samples, and then 16.2 after 10 to 19 and one of 100.
    #[test]
    fn the_long_term_average_is_the_published_one() {
        let settings = Gradient2Settings { long_window: 100.0, ..Default::default() };
        let mut rule = Gradient2::new(settings);
        for step in 0..10 {
            let step = f64::from(step);
            feed(&mut rule, 10.0 + step, 1);
            assert!((rule.long_secs - (10.0 + step / 2.0)).abs() < 0.01, "{}", rule.long_secs);
        }
        feed(&mut rule, 100.0, 1);
        assert!((rule.long_secs - 16.2).abs() < 0.1, "{}", rule.long_secs);
    }

    #[test]
    fn without_queueing_it_grows_by_the_smoothed_queue_to_the_maximum() {
        let mut rule = Gradient2::new(Gradient2Settings::default());
        feed(&mut rule, 0.01, 1);
        assert!((rule.limit - 20.8).abs() < 1e-9, "20 + 0.2 * 4, is {}", rule.limit);
        feed(&mut rule, 0.01, 1000);
        assert!((rule.limit() - 200.0).abs() < 1e-9);
    }

    #[test]
    fn a_sudden_slowdown_costs_a_tenth_at_most_per_sample_and_ends_at_the_minimum() {
        let mut rule = Gradient2::new(Gradient2Settings::default());
        feed(&mut rule, 0.01, 1000);
        feed(&mut rule, 0.2, 1);
        // Half of 200 plus 4, a fifth of the way.
        assert!((rule.limit - 180.8).abs() < 1e-9, "{}", rule.limit);
        feed(&mut rule, 0.2, 40);
        assert!((rule.limit() - 24.0).abs() < 5.0, "{}", rule.limit());
    }
}
