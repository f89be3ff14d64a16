//! Shedding by capacity times lowest latency, while the processor is busy.
//!
//! Source: the adaptive shedder of go-zero (go-zero.dev, "adaptive load shedding"), which takes the
//! idea of Sentinel's system rule (sentinelguard.io) and of TCP BBR. Published settings: 5 s in 50
//! buckets, of which the present one does not count; a processor use of 90 %; one second of
//! staying hot. A request is refused when the processor is above the threshold (or was, less than
//! a second ago, and something was refused), and both the smoothed and the present number in
//! flight exceed `most passes of a bucket * lowest mean latency of a bucket`, scaled down to a tenth
//! as the processor nears its limit. Latencies count in whole milliseconds, upwards.
//!
//! Its processor gauge is smoothed (0.95 every 250 ms); here it is fed with what a perfect gauge of
//! the busier of cores and workers would show.

use atrion_core::math;
use atrion_core::time::Timestamp;

use super::{Arrival, Completion, Outcome, Policy, Tick, Verdict};

/// Settings of [`Bbr`].
#[derive(Clone, Copy, Debug)]
pub struct BbrSettings {
    /// Buckets of the window: 50.
    pub buckets: usize,
    /// Seconds per bucket: 0.1.
    pub bucket_secs: f64,
    /// Processor use from which requests may be refused, 0 to 1: 0.9.
    pub threshold: f64,
    /// Seconds that it stays hot after that: 1.
    pub cool_off_secs: f64,
}

impl Default for BbrSettings {
    fn default() -> Self {
        Self { buckets: 50, bucket_secs: 0.1, threshold: 0.9, cool_off_secs: 1.0 }
    }
}

/// What is left of the old value of the processor gauge after a tick: `0.95^(0.1/0.25)`.
const GAUGE_KEEPS: f64 = 0.979_70;
/// What is left of the old smoothed number in flight after a completion.
const FLYING_KEEPS: f64 = 0.9;
/// The lowest latency in milliseconds while there is none.
const UNKNOWN_MILLIS: f64 = 1000.0;

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    passes: f64,
    millis: f64,
}

/// The policy.
#[derive(Clone, Debug)]
pub struct Bbr {
    settings: BbrSettings,
    ring: Vec<Bucket>,
    at: u64,
    /// Most passes of a bucket times lowest latency: requests in flight.
    most_in_flight: f64,
    gauge: f64,
    in_flight: f64,
    smoothed: f64,
    hot_since: Option<Timestamp>,
    refused_recently: bool,
}

impl Bbr {
    /// Nothing seen yet.
    pub fn new(settings: BbrSettings) -> Self {
        Self {
            settings,
            ring: vec![Bucket::default(); settings.buckets.clamp(2, 100_000)],
            at: 0,
            most_in_flight: f64::INFINITY,
            gauge: 0.0,
            in_flight: 0.0,
            smoothed: 0.0,
            hot_since: None,
            refused_recently: false,
        }
    }

    /// How many may be in flight, by what the window says, before the processor is looked at.
    pub fn most_in_flight(&self) -> f64 {
        self.most_in_flight
    }

    /// Moves the window to `now`.
    fn roll(&mut self, now: Timestamp) {
        let bucket = (now.as_nanos() as f64 / 1e9 / self.settings.bucket_secs) as u64;
        let length = self.ring.len() as u64;
        if bucket <= self.at && self.most_in_flight.is_finite() {
            return;
        }
        for step in 1..=bucket.saturating_sub(self.at).min(length) {
            if let Some(oldest) = self.ring.get_mut(((self.at + step) % length) as usize) {
                *oldest = Bucket::default();
            }
        }
        self.at = self.at.max(bucket);
        // The present bucket was emptied above and so does not count.
        let (mut passes, mut millis) = (1.0, UNKNOWN_MILLIS);
        for bucket in self.ring.iter().filter(|b| b.passes > 0.0) {
            passes = math::max(passes, bucket.passes);
            millis = math::min(millis, math::floor(bucket.millis / bucket.passes + 0.5));
        }
        let per_sec = passes / self.settings.bucket_secs;
        self.most_in_flight = math::max(per_sec * millis / 1000.0, 1.0);
    }

    fn is_hot(&mut self, now: Timestamp) -> bool {
        if self.gauge >= self.settings.threshold {
            self.hot_since = Some(now);
            return true;
        }
        if !self.refused_recently {
            return false;
        }
        let cool_off = self.settings.cool_off_secs;
        let still = self.hot_since.is_some_and(|since| now.secs_since(since) < cool_off);
        self.refused_recently &= still || self.hot_since.is_none();
        still
    }
}

impl Policy for Bbr {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.roll(arrival.now);
        if self.is_hot(arrival.now) {
            let room = (1.0 - self.gauge) / (1.0 - self.settings.threshold);
            let most = self.most_in_flight * math::clamp(room, 0.1, 1.0);
            if self.smoothed > most && self.in_flight > most {
                self.refused_recently = true;
                return Verdict::Refuse;
            }
        }
        self.in_flight += 1.0;
        Verdict::Admit
    }

    fn done(&mut self, completion: &Completion) {
        self.in_flight = math::max(self.in_flight - 1.0, 0.0);
        self.smoothed = FLYING_KEEPS * self.smoothed + (1.0 - FLYING_KEEPS) * self.in_flight;
        if completion.outcome == Outcome::Success {
            self.roll(completion.now);
            let index = (self.at % self.ring.len() as u64) as usize;
            if let Some(bucket) = self.ring.get_mut(index) {
                bucket.passes += 1.0;
                bucket.millis += -math::floor(-1000.0 * completion.latency_secs);
            }
        }
    }

    fn tick(&mut self, tick: &Tick) {
        self.gauge = GAUGE_KEEPS * self.gauge + (1.0 - GAUGE_KEEPS) * tick.utilisation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{arrival, success};

    /// The published formula: 100 passes in a bucket of 100 ms at 10 ms are 10 in flight.
    fn known(gauge: f64) -> Bbr {
        let mut policy = Bbr::new(BbrSettings::default());
        for _ in 0..100 {
            policy.arrive(&arrival(0.05, 0));
            policy.done(&success(0.06, 0, 0.01));
        }
        policy.gauge = gauge;
        policy
    }

    #[test]
    fn capacity_is_most_passes_times_lowest_latency() {
        let mut policy = known(0.0);
        policy.arrive(&arrival(0.1, 0));
        assert!((policy.most_in_flight() - 10.0).abs() < 1e-9, "{}", policy.most_in_flight());
        policy.arrive(&arrival(5.3, 0));
        assert!((policy.most_in_flight() - 10.0).abs() < 1e-9, "1 pass at 1000 ms when forgotten");
    }

    #[test]
    fn it_refuses_only_while_the_processor_is_busy() {
        for (gauge, refuses) in [(0.5, false), (0.95, true)] {
            let mut policy = known(gauge);
            policy.smoothed = 50.0;
            let all = (0..60).map(|slot| policy.arrive(&arrival(0.2, slot)));
            let refused = all.filter(|v| *v == Verdict::Refuse).count();
            assert_eq!(refused > 0, refuses, "gauge {gauge}: {refused} refused");
            // At 95 % half of the room is left: 5 of 10.
            assert!(!refuses || (53..=55).contains(&refused), "{refused}");
        }
    }

    /// Ten buckets with 100, 200, .. 1000 passes of 1 to 10, 11 to 20, .. 91 to 100 ms, as in
    /// go-zero's own tests. The last bucket is the present one.
    fn as_in_its_tests() -> Bbr {
        let mut policy = Bbr::new(BbrSettings { buckets: 10, ..BbrSettings::default() });
        for bucket in 0..10_u32 {
            let at = f64::from(bucket) * 0.1 + 0.05;
            for pass in 0..(bucket + 1) * 100 {
                let latency_secs = f64::from(bucket * 10 + 1 + pass % 10) / 1e3 - 1e-6;
                policy.in_flight = 1.0;
                policy.done(&success(at, 0, latency_secs));
            }
        }
        policy
    }

    /// Its figures: 900 passes a bucket, ten buckets a second, 6 ms at least: 54 in flight.
    #[test]
    fn capacity_is_that_of_its_own_test() {
        let mut policy = as_in_its_tests();
        policy.arrive(&arrival(0.96, 0));
        assert!((policy.most_in_flight() - 54.0).abs() < 1e-9, "{}", policy.most_in_flight());
    }

    /// Its table: with 54 that fit, refused is only who finds 80 in flight now and of late.
    #[test]
    fn it_refuses_where_its_own_test_does() {
        for (gauge, smoothed, in_flight, refuses) in [
            (0.9, 50.0, 0.0, false),
            (0.9, 80.0, 50.0, false),
            (0.9, 80.0, 80.0, true),
            (0.8, 80.0, 80.0, false),
        ] {
            let mut policy = as_in_its_tests();
            (policy.gauge, policy.smoothed, policy.in_flight) = (gauge, smoothed, in_flight);
            let refused = policy.arrive(&arrival(0.96, 0)) == Verdict::Refuse;
            assert_eq!(refused, refuses, "{gauge}, {smoothed}, {in_flight}");
        }
    }
}
