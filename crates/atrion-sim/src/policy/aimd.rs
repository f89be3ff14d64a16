//! Additive increase, multiplicative decrease.
//!
//! Source: `AIMDLimit` of Netflix's library concurrency-limits (github.com/Netflix/concurrency-limits),
//! as its documentation and released settings describe it: one more for every sample while the
//! limit is at least half used, a tenth less for every drop, where a latency beyond the timeout
//! counts as a drop. The published default timeout is 5 s; it gets the callers' deadline, which is
//! what the documentation asks for.

use atrion_core::math;

use super::limiter::{Limit, Sample};

/// Settings of [`Aimd`].
#[derive(Clone, Copy, Debug)]
pub struct AimdSettings {
    /// Where the limit starts: 20.
    pub initial: f64,
    /// Lowest limit: 20.
    pub min: f64,
    /// Highest limit: 200.
    pub max: f64,
    /// What is left of the limit after a drop: 0.9.
    pub backoff: f64,
    /// A longer latency is a drop, in seconds.
    pub timeout_secs: f64,
}

impl AimdSettings {
    /// The published settings, with this timeout.
    pub const fn published(timeout_secs: f64) -> Self {
        Self { initial: 20.0, min: 20.0, max: 200.0, backoff: 0.9, timeout_secs }
    }
}

/// The rule.
#[derive(Clone, Copy, Debug)]
pub struct Aimd {
    settings: AimdSettings,
    limit: f64,
}

impl Aimd {
    /// Starts at the initial limit.
    pub const fn new(settings: AimdSettings) -> Self {
        Self { settings, limit: settings.initial }
    }
}

impl Limit for Aimd {
    fn limit(&self) -> f64 {
        self.limit
    }

    fn update(&mut self, sample: &Sample) {
        let s = &self.settings;
        if sample.dropped || sample.latency_secs > s.timeout_secs {
            self.limit = math::floor(self.limit * s.backoff);
        } else if f64::from(sample.in_flight) * 2.0 >= self.limit {
            self.limit += 1.0;
        }
        self.limit = math::clamp(self.limit, s.min, s.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atrion_core::time::Timestamp;

    const OK: Sample =
        Sample { now: Timestamp::ZERO, latency_secs: 0.001, in_flight: 20, dropped: false };

    /// The three cases of the library's own test: start, one up, a tenth down.
    #[test]
    fn one_up_for_a_success_a_tenth_down_for_a_drop() {
        let settings = AimdSettings { initial: 10.0, min: 1.0, ..AimdSettings::published(5.0) };
        let mut rule = Aimd::new(settings);
        assert!((rule.limit() - 10.0).abs() < 1e-9);
        rule.update(&OK);
        assert!((rule.limit() - 11.0).abs() < 1e-9);
        let mut rule = Aimd::new(settings);
        rule.update(&Sample { dropped: true, ..OK });
        assert!((rule.limit() - 9.0).abs() < 1e-9);
        rule.update(&Sample { latency_secs: 5.1, ..OK });
        assert!((rule.limit() - 8.0).abs() < 1e-9);
    }

    #[test]
    fn a_limit_that_is_not_used_does_not_grow() {
        let mut rule = Aimd::new(AimdSettings::published(5.0));
        rule.update(&Sample { in_flight: 9, ..OK });
        assert!((rule.limit() - 20.0).abs() < 1e-9);
    }
}
