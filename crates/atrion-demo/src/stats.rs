//! Counting and summarising what was seen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a request ended, as its sender saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Answered well within the objective.
    Good,
    /// Refused with an explanation and a time to come back.
    Shed,
    /// Any other error: a 5xx of the service, a broken connection.
    Failed,
    /// Not answered within the objective; the sender stopped waiting.
    TimedOut,
}

/// What became of the requests of one tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) sent: u64,
    pub(crate) good: u64,
    pub(crate) shed: u64,
    pub(crate) failed: u64,
    pub(crate) timed_out: u64,
}

impl Count {
    pub(crate) fn note(&mut self, ending: Ending) {
        match ending {
            Ending::Good => self.good += 1,
            Ending::Shed => self.shed += 1,
            Ending::Failed => self.failed += 1,
            Ending::TimedOut => self.timed_out += 1,
        }
    }

    /// Requests whose end is known.
    pub(crate) fn ended(&self) -> u64 {
        self.good + self.shed + self.failed + self.timed_out
    }

    /// Good answers in percent of the requests sent; all of none is all.
    pub(crate) fn served_percent(&self) -> f64 {
        if self.sent == 0 { 100.0 } else { 100.0 * self.good as f64 / self.sent as f64 }
    }
}

impl std::ops::Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            good: self.good + other.good,
            shed: self.shed + other.shed,
            failed: self.failed + other.failed,
            timed_out: self.timed_out + other.timed_out,
        }
    }
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |a, b| a + b)
    }
}

/// The requests whose intended time of sending lies in one quarter of a second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) index: u32,
    /// One count per tier, in the order of [`TIERS`](crate::plan::TIERS).
    pub(crate) tiers: [Count; 4],
    /// Latency of each good answer since the intended time of sending, in microseconds.
    pub(crate) latencies_us: Vec<u32>,
}

impl Bucket {
    pub(crate) fn new(index: u32) -> Self {
        Self { index, ..Self::default() }
    }

    pub(crate) fn total(&self) -> Count {
        self.tiers.iter().copied().sum()
    }
}

/// The value below which the fraction `p` of the sorted `values` lies (nearest rank), or `None`
/// if there are none.
pub(crate) fn percentile<T: Copy>(sorted: &[T], p: f64) -> Option<T> {
    let rank = (p.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The percentile of the latency over requests that were let in: good answers and those that
/// nobody waited for any longer, which took *at least* the objective. `None` where the
/// percentile falls among the latter, so that its value is unknown but too long.
pub(crate) fn latency_percentile(buckets: &[Bucket], p: f64) -> Option<Duration> {
    let mut known: Vec<u32> = buckets.iter().flat_map(|b| &b.latencies_us).copied().collect();
    known.sort_unstable();
    let unknown: usize = buckets.iter().map(|b| b.total().timed_out as usize).sum();
    known.resize(known.len() + unknown, u32::MAX);
    let value = percentile(&known, p).filter(|us| *us != u32::MAX)?;
    Some(Duration::from_micros(value.into()))
}

/// Microseconds, as small as a bucket keeps them.
pub(crate) fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let values: Vec<u32> = (1..=100).collect();
        for (p, expected) in [(0.0, 1), (0.01, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)]
        {
            assert_eq!(percentile(&values, p), Some(expected), "p {p}");
        }
        assert_eq!(percentile(&[7], 0.99), Some(7));
        assert_eq!(percentile::<u32>(&[], 0.5), None);
        assert_eq!(percentile(&values, f64::NAN), Some(1));
    }

    #[test]
    fn a_percentile_among_the_unanswered_is_unknown() {
        let mut bucket = Bucket::new(0);
        bucket.latencies_us = (1..=98).rev().collect();
        bucket.tiers[1].timed_out = 2;
        let buckets = [bucket];
        assert_eq!(latency_percentile(&buckets, 0.98), Some(Duration::from_micros(98)));
        assert_eq!(latency_percentile(&buckets, 0.99), None);
        assert_eq!(latency_percentile(&[], 0.99), None);
    }

    #[test]
    fn counts_add_up() {
        let mut count = Count { sent: 4, ..Count::default() };
        for ending in [Ending::Good, Ending::Shed, Ending::Failed, Ending::TimedOut] {
            count.note(ending);
        }
        assert_eq!(count.ended(), 4);
        assert_eq!((count + count).sent, 8);
        assert!((count.served_percent() - 25.0).abs() < 1e-12);
        assert!((Count::default().served_percent() - 100.0).abs() < 1e-12);
    }
}
