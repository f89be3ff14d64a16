//! A limit after TCP Vegas: the queue is what latency beyond the lowest one says.
//!
//! Source: `VegasLimit` of Netflix's library concurrency-limits. The queue is estimated as
//! `limit * (1 - lowest/latency)`; below `log10(limit)` the limit grows by `6 log10(limit)`, below
//! `3 log10` by `log10`, above `6 log10` it shrinks by `log10`, where `log10` is an integer of at
//! least 1. The lowest latency is forgotten after some 30 times the limit of samples. Published
//! settings: start at 20, at most 1000, no smoothing.

use atrion_core::math;

use super::limiter::{Limit, Sample};
use crate::rng::Rng;

/// Settings of [`Vegas`].
#[derive(Clone, Copy, Debug)]
pub struct VegasSettings {
    /// Where the limit starts: 20.
    pub initial: f64,
    /// Highest limit: 1000.
    pub max: f64,
    /// Samples per unit of limit after which the lowest latency is measured anew: 30, times a
    /// random 0.5 to 1.
    pub probe_multiplier: f64,
}

impl Default for VegasSettings {
    fn default() -> Self {
        Self { initial: 20.0, max: 1000.0, probe_multiplier: 30.0 }
    }
}

/// The rule.
#[derive(Clone, Debug)]
pub struct Vegas {
    settings: VegasSettings,
    limit: f64,
    lowest_secs: Option<f64>,
    samples: f64,
    jitter: f64,
    rng: Rng,
}

impl Vegas {
    /// Starts at the initial limit. The seed spreads the probes.
    pub fn new(settings: VegasSettings, seed: u64) -> Self {
        let mut rng = Rng::new(seed, 51);
        let jitter = rng.between(0.5, 1.0);
        Self { settings, limit: settings.initial, lowest_secs: None, samples: 0.0, jitter, rng }
    }
}

impl Limit for Vegas {
    fn limit(&self) -> f64 {
        self.limit
    }

    fn update(&mut self, sample: &Sample) {
        let latency = sample.latency_secs;
        self.samples += 1.0;
        if self.samples >= self.jitter * self.settings.probe_multiplier * self.limit {
            self.samples = 0.0;
            self.jitter = self.rng.between(0.5, 1.0);
            self.lowest_secs = Some(latency);
            return;
        }
        let Some(lowest) = self.lowest_secs.filter(|lowest| latency >= *lowest) else {
            self.lowest_secs = Some(latency);
            return;
        };
        let limit = math::floor(self.limit);
        let unit = math::max(1.0, math::floor(math::ln(limit) / core::f64::consts::LN_10 + 1e-9));
        let queue = -math::floor(-self.limit * (1.0 - lowest / latency));
        let wanted = if sample.dropped {
            self.limit - unit
        } else if f64::from(sample.in_flight) * 2.0 < self.limit {
            return;
        } else if queue <= unit {
            self.limit + 6.0 * unit
        } else if queue < 3.0 * unit {
            self.limit + unit
        } else if queue > 6.0 * unit {
            self.limit - unit
        } else {
            return;
        };
        self.limit = math::clamp(wanted, 1.0, self.settings.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atrion_core::time::Timestamp;

    fn sample(millis: f64) -> Sample {
        Sample {
            now: Timestamp::ZERO,
            latency_secs: millis / 1000.0,
            in_flight: 100,
            dropped: false,
        }
    }

    /// What the published description says for a limit of 10, where log10 is 1.
    #[test]
    fn the_queue_estimate_moves_the_limit() {
        // Latency / lowest, and what becomes of a limit of 10.
        for (ratio, expected) in [
            (1.05, 16.0), // queue of 1: grow fast
            (1.2, 11.0),  // queue of 2: grow
            (1.4, 10.0),  // queue of 3: stay, as in the library's own test
            (1.8, 10.0),  // queue of 5: stay
            (5.0, 9.0),   // queue of 8: shrink, as in the library's own test
        ] {
            let mut rule = Vegas::new(VegasSettings { initial: 10.0, ..Default::default() }, 1);
            rule.update(&sample(10.0));
            assert!((rule.limit() - 10.0).abs() < 1e-9, "the first sample only sets the lowest");
            rule.update(&sample(10.0 * ratio));
            assert!((rule.limit() - expected).abs() < 1e-9, "{ratio}: {}", rule.limit());
        }
    }

    /// With a limit of 10,000 log10 is 4: no queue adds 24, the library's figure for large limits.
    #[test]
    fn a_large_limit_moves_in_larger_steps() {
        let settings = VegasSettings { initial: 10_000.0, max: 20_000.0, ..Default::default() };
        let mut rule = Vegas::new(settings, 1);
        for expected in [10_000.0, 10_024.0] {
            rule.update(&Sample { in_flight: 6000, ..sample(10_000.0) });
            assert!((rule.limit() - expected).abs() < 1e-9, "{}", rule.limit());
        }
    }

    /// The known weakness: the lowest latency is the luckiest request, so with spread service
    /// times the limit falls although nothing waits.
    #[test]
    fn spread_service_times_look_like_a_queue() {
        let mut rule = Vegas::new(VegasSettings::default(), 3);
        let mut rng = Rng::new(3, 1);
        for _ in 0..2000 {
            rule.update(&sample(20.0 * rng.exponential()));
        }
        assert!(rule.limit() < 15.0, "{}", rule.limit());
    }
}
