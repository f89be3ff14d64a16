//! The counters of the request path, packed so that each event is one atomic addition.

use std::sync::atomic::Ordering::Relaxed;

use atrion_core::law::Latencies;
use atrion_core::math::log2_fixed;

use crate::shim::AtomicU64;

/// Completed requests in the upper half, requests in flight in the lower.
///
/// One word, so that admitting and finishing are one addition each and a reader sees both counts
/// of the same moment. The upper half wraps; only differences of it are used.
#[derive(Debug, Default)]
pub(crate) struct Traffic(AtomicU64);

/// One reading of [`Traffic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading(u64);

impl Reading {
    pub(crate) const fn in_flight(self) -> u32 {
        self.0 as u32
    }

    pub(crate) const fn completed(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// How many were admitted before, modulo 2^32: who has finished and who has not.
    pub(crate) const fn admitted(self) -> u32 {
        self.completed().wrapping_add(self.in_flight())
    }
}

impl Traffic {
    #[inline]
    pub(crate) fn read(&self) -> Reading {
        Reading(self.0.load(Relaxed))
    }

    /// Adds one request in flight; answers with the counts before it.
    #[inline]
    pub(crate) fn enter(&self) -> Reading {
        Reading(self.0.fetch_add(1, Relaxed))
    }

    /// One request in flight becomes a completed one.
    #[inline]
    pub(crate) fn complete(&self) {
        // +1 in the upper half and -1 in the lower in one addition: 2^32 - 1.
        self.0.fetch_add(u64::from(u32::MAX), Relaxed);
    }

    /// One request in flight leaves without having completed.
    #[inline]
    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Count and sum of latency logarithms of one window, in one word: 24 bits of count above 40
/// bits of sum. A code is below 2^15, so the sum of 2^24 of them cannot reach the count.
#[derive(Debug, Default)]
pub(crate) struct LogSum(AtomicU64);

const COUNT_SHIFT: u32 = 40;

impl LogSum {
    #[inline]
    pub(crate) fn add(&self, nanos: u64) {
        self.0.fetch_add((1 << COUNT_SHIFT) | u64::from(log2_fixed(nanos)), Relaxed);
    }

    /// Empties the window.
    pub(crate) fn take(&self) -> (u32, u64) {
        // A plain load first: an idle counter is left in its cache line.
        if self.0.load(Relaxed) == 0 {
            return (0, 0);
        }
        let word = self.0.swap(0, Relaxed);
        ((word >> COUNT_SHIFT) as u32, word & ((1 << COUNT_SHIFT) - 1))
    }

    pub(crate) fn take_latencies(&self, nanos: u64) -> Latencies {
        let (count, codes) = self.take();
        Latencies::from_codes(count, codes, nanos)
    }
}

/// Results of probes of one window: three counts of ten bits each. At most 64 probes are
/// outstanding, so none of them can overflow into its neighbour between two ticks.
#[derive(Debug, Default)]
pub(crate) struct Probes(crate::shim::AtomicU32);

const PROBE_BITS: u32 = 10;
const PROBE_MASK: u32 = (1 << PROBE_BITS) - 1;

/// How many probes ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProbeCounts {
    pub(crate) ok: u32,
    pub(crate) failed: u32,
    pub(crate) cancelled: u32,
}

impl Probes {
    pub(crate) fn ok(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.0.fetch_add(1 << PROBE_BITS, Relaxed);
    }

    pub(crate) fn cancelled(&self) {
        self.0.fetch_add(1 << (2 * PROBE_BITS), Relaxed);
    }

    pub(crate) fn take(&self) -> ProbeCounts {
        let word = if self.0.load(Relaxed) == 0 { 0 } else { self.0.swap(0, Relaxed) };
        ProbeCounts {
            ok: word & PROBE_MASK,
            failed: (word >> PROBE_BITS) & PROBE_MASK,
            cancelled: word >> (2 * PROBE_BITS),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn traffic_keeps_both_counts() {
        let t = Traffic::default();
        for _ in 0..5 {
            t.enter();
        }
        t.complete();
        t.complete();
        t.leave();
        let now = t.read();
        assert_eq!((now.in_flight(), now.completed(), now.admitted()), (2, 2, 4));
    }

    #[test]
    fn completions_wrap_without_touching_the_flight() {
        let t = Traffic(AtomicU64::new(u64::from(u32::MAX) << 32 | 1));
        t.enter();
        t.complete();
        let now = t.read();
        assert_eq!((now.in_flight(), now.completed()), (1, 0));
    }

    #[test]
    fn log_sums_survive_the_largest_window() {
        let s = LogSum::default();
        for _ in 0..1000 {
            s.add(u64::MAX);
        }
        let (count, sum) = s.take();
        assert_eq!(count, 1000);
        assert_eq!(sum, 1000 * u64::from(log2_fixed(u64::MAX)));
        assert!(log2_fixed(u64::MAX) <= 1 << 15);
        assert_eq!(s.take(), (0, 0));
    }
}
