//! What happens between two reports.
//!
//! A report is old as soon as it is made: in the tenth of a second until the next one a surge puts
//! hundreds of requests behind a service of sixteen places. Whoever counts what it has let through
//! since knows how full the service must be by now: what was in flight, plus that, minus what the
//! service does in the meantime.
//!
//! ```text
//! n(a, t) = max(n0 + a - mu t, 0)     a requests admitted in the t seconds since the report
//! mu      = X / u                     throughput over the share of the places in use
//! b       = c min(1.5 mu / mu0, 1)    what a bare service time does; mu0 is mu while nobody waits
//! q       = min(q0, 2 b)              y = max(n - c - q - min(sqrt(mu T), b), 0) / (q + b)
//! R(a, t) = R(without saturation) + W y exp(-t / memory)
//! ```
//!
//! `c` places are taken before anybody waits. Between two reports, `T` apart, `mu T` requests end,
//! give or take the square root of that: a queue that may only be a miscount resists nobody. `W`
//! is what a queue as long as one service time resists. A queue is a time: if the service becomes
//! slower, fewer may wait.

use core::time::Duration;

use crate::config::PhysicsConfig;
use crate::math;
use crate::telemetry::{REQUESTS_MAX, Telemetry};

/// Fewest and most places a service counts as: beyond, nothing was measured.
const LEAST_PLACES: f64 = 1e-3;
const MOST_PLACES: f64 = REQUESTS_MAX as f64;
/// Least share of the places in use that says how fast the whole service is.
const LEAST_USED: f64 = 0.01;
/// Between two reports of a full service everything that ended is what it can do: half of that
/// counts at once.
const FULL_WEIGHT: f64 = 0.5;

/// Bare service times that `q0` requests may take at most.
const WAIT_BASELINES: f64 = 2.0;
/// Less than a third slower is not slower: the rates of a small service are rough.
const SLOWER: f64 = 1.5;
/// What is normal of a service is learned so many times slower than what it does now.
const BASELINE_MEMORIES: f64 = 10.0;

/// What reports have said about the size and the speed of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pace {
    /// Requests in flight at a saturation of one; 0 while nobody has said.
    places: f64,
    /// Requests in flight as last reported.
    in_flight: f64,
    /// Moving averages: requests that ended, per second, and the share of the places in use.
    ended_per_sec: f64,
    used: f64,
    /// mu0: what a full service would end per second, learned while nobody waits.
    bare_per_sec: f64,
    /// Seconds that the last report spoke for.
    interval_secs: f64,
}

impl Pace {
    /// Applies one sample that speaks for the last `secs` of `dt_secs`.
    ///
    /// Whoever reports saturation without a count has gone back to that. A sample that says
    /// neither only lets time pass: what is not reported again ends.
    pub(super) fn observe(
        &mut self,
        sample: &Telemetry,
        secs: f64,
        dt_secs: f64,
        memory_secs: f64,
    ) {
        let (Some(saturation), Some(in_flight)) = (sample.saturation(), sample.in_flight()) else {
            if sample.saturation().is_some() {
                *self = Self::default();
            } else {
                let left = math::max(self.in_flight - self.drain_per_sec() * dt_secs, 0.0);
                self.in_flight = left * math::decay(1.0 / memory_secs, dt_secs);
            }
            return;
        };
        let was_full = self.in_flight >= self.places;
        self.in_flight = in_flight as f64;
        self.interval_secs = secs;
        if in_flight > 0 && saturation > 0.0 {
            self.places = math::clamp(self.in_flight / saturation, LEAST_PLACES, MOST_PLACES);
        }
        let (Some(ended), true) = (sample.requests(), secs > 0.0) else { return };
        let fading = 1.0 - math::decay(1.0 / memory_secs, secs);
        let full = was_full && saturation >= 1.0;
        let weight = if full { math::max(fading, FULL_WEIGHT) } else { fading };
        self.ended_per_sec += weight * (ended as f64 / secs - self.ended_per_sec);
        self.used += weight * (math::min(saturation, 1.0) - self.used);
        if saturation < 1.0 && ended > 0 {
            let drain = self.drain_per_sec();
            let slow = 1.0 - math::decay(1.0 / (BASELINE_MEMORIES * memory_secs), secs);
            let first = self.bare_per_sec <= 0.0;
            self.bare_per_sec += if first { drain } else { slow * (drain - self.bare_per_sec) };
        }
    }

    fn drain_per_sec(&self) -> f64 {
        self.ended_per_sec / math::max(self.used, LEAST_USED)
    }

    /// The outlook from the last report on; `None` if the reports do not say enough.
    pub(super) fn outlook(&self, config: &PhysicsConfig) -> Option<Outlook> {
        if self.places <= 0.0 {
            return None;
        }
        let drain_per_sec = self.drain_per_sec();
        let slower =
            if self.bare_per_sec > 0.0 { SLOWER * drain_per_sec / self.bare_per_sec } else { 1.0 };
        let baseline = math::max(self.places * math::min(slower, 1.0), LEAST_PLACES);
        let least = math::min(config.queue_requests(), WAIT_BASELINES * baseline);
        let doubt = math::sqrt(drain_per_sec * self.interval_secs);
        Some(Outlook {
            in_flight: self.in_flight,
            places: self.places,
            drain_per_sec,
            free: self.places + least + math::min(doubt, baseline),
            ohms_per_request: config.weight_queue_ohms() / (least + baseline),
            fading_per_sec: 1.0 / config.pressure_memory_secs(),
        })
    }
}

/// How saturation moves until the next report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    in_flight: f64,
    places: f64,
    drain_per_sec: f64,
    free: f64,
    ohms_per_request: f64,
    fading_per_sec: f64,
}

impl Outlook {
    /// How many requests the service works on at once, by the reports.
    pub const fn places(&self) -> f64 {
        self.places
    }

    /// How many requests the service ends per second while all its places are in use.
    pub const fn drain_per_sec(&self) -> f64 {
        self.drain_per_sec
    }

    /// How many requests are in flight when `admitted` passed in the time `since` the report.
    pub fn in_flight(&self, admitted: u64, since: Duration) -> f64 {
        self.in_flight_after(admitted as f64, since.as_secs_f64())
    }

    fn in_flight_after(&self, admitted: f64, secs: f64) -> f64 {
        math::max(self.in_flight + admitted - self.drain_per_sec * secs, 0.0)
    }

    /// What the queue resists then, in ohms. What is not reported again fades.
    pub(super) fn ohms(&self, admitted: f64, secs: f64) -> f64 {
        let waiting = math::max(self.in_flight_after(admitted, secs) - self.free, 0.0);
        waiting * self.ohms_per_request * math::decay(self.fading_per_sec, secs)
    }
}

#[cfg(test)]
#[path = "outlook_tests.rs"]
mod tests;
