//! What a route saw between two ticks.
//!
//! Completions are not applied one by one: the request path only adds to a few counters, and the
//! tick applies them together. An exponentially weighted average over `n` samples moves by
//! `1 - (1 - 1/n)^k` after `k` samples, whatever their order is worth, so nothing but the order
//! within one tick is lost.

use super::breaker::Endings;

/// Nanoseconds' natural logarithm offset: `ln(t / s) = ln(t / ns) - LN_1E9`.
const LN_1E9: f64 = 20.723_265_836_946_41;
/// Latency codes are base-2 logarithms with this many steps per octave.
const STEPS_PER_OCTAVE: f64 = 512.0;

/// Count and sums of some latencies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latencies {
    /// How many.
    pub count: u32,
    /// Sum of the latencies in seconds. Zero where only logarithms are kept.
    pub sum_secs: f64,
    /// Sum of the natural logarithms of the latencies in seconds.
    pub sum_ln: f64,
}

impl Latencies {
    /// From the request path's representation: a count, a sum of
    /// [`log2_fixed`](crate::math::log2_fixed) codes and a sum of nanoseconds.
    pub fn from_codes(count: u32, sum_codes: u64, sum_nanos: u64) -> Self {
        let octaves = sum_codes as f64 / STEPS_PER_OCTAVE;
        Self {
            count,
            sum_secs: sum_nanos as f64 * 1e-9,
            sum_ln: octaves * core::f64::consts::LN_2 - f64::from(count) * LN_1E9,
        }
    }

    /// Arithmetic mean in seconds; `None` if there are none.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_secs / f64::from(self.count))
    }

    /// Mean natural logarithm; `None` if there are none.
    pub fn mean_ln(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ln / f64::from(self.count))
    }

    pub(crate) fn add(&mut self, secs: f64, ln: f64) {
        self.count = self.count.saturating_add(1);
        self.sum_secs += secs;
        self.sum_ln += ln;
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            sum_secs: self.sum_secs + other.sum_secs,
            sum_ln: self.sum_ln + other.sum_ln,
        }
    }
}

/// Everything a route saw since the last tick.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// Requests in flight now.
    pub in_flight: u32,
    /// Requests that ended well.
    pub successes: u32,
    /// Requests that failed. Their latencies never enter any average.
    pub errors: u32,
    /// Latencies of sampled successes that met no queue when they were admitted.
    pub uncontended: Latencies,
    /// Latencies of the other sampled successes; only count and logarithms are used.
    pub contended: Latencies,
    /// How many of those were faster than [`Element::quick_below_secs`](super::Element::quick_below_secs).
    pub quick: u32,
    /// Marked requests that ended, well or not (see the start-up and exhale phases).
    pub marked_done: u32,
    /// Probes that succeeded.
    pub probes_ok: u32,
    /// Probes that failed.
    pub probes_failed: u32,
    /// Probes that were cancelled: they say nothing and only return their place.
    pub probes_cancelled: u32,
}

impl Window {
    /// What ended, as far as the breaker cares.
    pub const fn endings(&self) -> Endings {
        Endings {
            completed: self.successes.saturating_add(self.errors),
            failed: self.errors,
            probes_ok: self.probes_ok,
            probes_failed: self.probes_failed,
            probes_cancelled: self.probes_cancelled,
        }
    }
}
