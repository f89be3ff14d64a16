//! The counters of the request path, packed so that each event is one atomic addition.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;

use atrion_core::law::Latencies;
use atrion_core::math::log2_fixed;

use crate::lanes::{Lanes, SHARED};
use crate::shim::{AtomicU32, AtomicU64};

/// Who is in flight, and how many have completed.
///
/// Normally one word, completed requests in its upper half and those in flight in the lower, so
/// that admitting and finishing are one addition each. A hot route also has [`Lanes`]; then the
/// sum of both counts.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    shared: AtomicU64,
    lanes: OnceLock<Lanes>,
    /// Requests that left a lane without having completed, modulo 2^32.
    given_up: AtomicU32,
}

/// One reading of [`Traffic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) in_flight: u32,
    /// Modulo 2^32; only differences are used.
    pub(crate) completed: u32,
}

impl Reading {
    const fn of(word: u64) -> Self {
        Self { in_flight: word as u32, completed: (word >> 32) as u32 }
    }

    /// How many were admitted before, modulo 2^32: who has finished and who has not.
    pub(crate) const fn admitted(self) -> u32 {
        self.completed.wrapping_add(self.in_flight)
    }
}

impl Traffic {
    /// Nobody in flight, so many completed.
    pub(crate) fn of(completed: u32) -> Self {
        Self { shared: AtomicU64::new(u64::from(completed) << 32), ..Self::default() }
    }

    #[inline]
    pub(crate) fn lanes(&self) -> Option<&Lanes> {
        self.lanes.get()
    }

    /// Gives the route lanes, for good.
    pub(crate) fn attach(&self, lanes: Lanes) {
        // If another thread was faster its lanes serve as well.
        drop(self.lanes.set(lanes));
    }

    /// The exact counts.
    #[inline]
    pub(crate) fn read(&self) -> Reading {
        let mut reading = Reading::of(self.shared.load(Relaxed));
        if let Some(lanes) = self.lanes() {
            let (in_flight, left) = lanes.totals();
            reading.in_flight = reading.in_flight.wrapping_add(in_flight);
            reading.completed =
                reading.completed.wrapping_add(left).wrapping_sub(self.given_up.load(Relaxed));
        }
        reading
    }

    /// What [`read`](Self::read) says as long as there are no lanes, in one load.
    #[inline]
    pub(crate) fn read_shared(&self) -> Reading {
        Reading::of(self.shared.load(Relaxed))
    }

    /// Adds one in flight to the shared word; answers with its counts before.
    #[inline]
    pub(crate) fn enter_shared(&self) -> Reading {
        Reading::of(self.shared.fetch_add(1, Relaxed))
    }

    /// Adds one in flight wherever this thread counts; answers with the place and the exact
    /// counts, the new one included.
    pub(crate) fn enter(&self) -> (u8, Reading) {
        if let Some(place) = self.lanes().and_then(Lanes::enter) {
            // Of two threads that enter at once, at least one must see the other.
            fence(SeqCst);
            return (place, self.read());
        }
        let mut reading = self.enter_shared();
        reading.in_flight = reading.in_flight.wrapping_add(1);
        if self.lanes().is_some() {
            reading = self.read();
        }
        (SHARED, reading)
    }

    /// One request that entered at `place` has completed.
    #[inline]
    pub(crate) fn complete(&self, place: u8) {
        match self.lanes() {
            Some(lanes) if place != SHARED => lanes.leave(place),
            // +1 in the upper half and -1 in the lower in one addition: 2^32 - 1.
            _ => {
                self.shared.fetch_add(u64::from(u32::MAX), Relaxed);
            }
        }
    }

    /// One request that entered at `place` leaves without having completed.
    #[inline]
    pub(crate) fn leave(&self, place: u8) {
        match self.lanes() {
            Some(lanes) if place != SHARED => {
                self.given_up.fetch_add(1, Relaxed);
                lanes.leave(place);
            }
            _ => {
                self.shared.fetch_sub(1, Relaxed);
            }
        }
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
        self.add_code(log2_fixed(nanos));
    }

    /// Adds a latency by its [`log2_fixed`] code.
    #[inline]
    pub(crate) fn add_code(&self, code: u32) {
        self.0.fetch_add((1 << COUNT_SHIFT) | u64::from(code), Relaxed);
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

    /// Empties the window, with the times that belong to it if any were kept.
    pub(crate) fn take_latencies(&self, times: Option<&TimeSum>) -> Latencies {
        let (count, codes) = self.take();
        // The two words are not read at one instant. Each is whole by itself, so the mean of one
        // is taken for the count of the other.
        let mean_nanos = times.and_then(TimeSum::take_mean).unwrap_or(0);
        Latencies::from_codes(count, codes, mean_nanos.saturating_mul(u64::from(count)))
    }
}

/// Count and sum of latencies of one window, in one word: 20 bits of count above 44 bits of sum
/// in units of 16 ns, some 78 hours.
#[derive(Debug, Default)]
pub(crate) struct TimeSum(AtomicU64);

const TIME_SHIFT: u32 = 44;
const TIME_UNIT_SHIFT: u32 = 4;

impl TimeSum {
    #[inline]
    pub(crate) fn add(&self, nanos: u64) {
        // Rounded to the nearest unit, so that short latencies are not biased.
        let units = (nanos + (1 << (TIME_UNIT_SHIFT - 1))) >> TIME_UNIT_SHIFT;
        self.0.fetch_add((1 << TIME_SHIFT) | units, Relaxed);
    }

    fn take_mean(&self) -> Option<u64> {
        let word = if self.0.load(Relaxed) == 0 { 0 } else { self.0.swap(0, Relaxed) };
        let sum = (word & ((1 << TIME_SHIFT) - 1)) << TIME_UNIT_SHIFT;
        sum.checked_div(word >> TIME_SHIFT)
    }
}

/// Results of probes of one window: three counts of ten bits each. At most 64 probes are
/// outstanding, so none of them can overflow into its neighbour between two ticks.
#[derive(Debug, Default)]
pub(crate) struct Probes(AtomicU32);

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

    fn exercise(t: &Traffic) -> Reading {
        let places: Vec<u8> = (0..5).map(|_| t.enter().0).collect();
        let [a, b, c, ..] = places[..] else { unreachable!("five entered") };
        t.complete(a);
        t.complete(b);
        t.leave(c);
        t.read()
    }

    #[test]
    fn traffic_keeps_both_counts_with_and_without_lanes() {
        let t = Traffic::default();
        let first = exercise(&t);
        assert_eq!((first.in_flight, first.completed, first.admitted()), (2, 2, 4));
        t.attach(Lanes::new());
        let second = exercise(&t);
        assert_eq!((second.in_flight, second.completed), (4, 4));
    }

    #[test]
    fn completions_wrap_without_touching_the_flight() {
        let shared = AtomicU64::new(u64::from(u32::MAX) << 32 | 1);
        let t = Traffic { shared, ..Traffic::default() };
        let (place, _) = t.enter();
        t.complete(place);
        let now = t.read();
        assert_eq!((now.in_flight, now.completed), (1, 0));
    }

    #[test]
    fn times_keep_their_mean() {
        let t = TimeSum::default();
        for nanos in [100, 200, 300, 1 << 40] {
            t.add(nanos);
        }
        let mean = t.take_mean().expect("four were added");
        assert!(mean.abs_diff(((1u64 << 40) + 600) / 4) <= 16, "{mean}");
        assert_eq!(t.take_mean(), None);
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
