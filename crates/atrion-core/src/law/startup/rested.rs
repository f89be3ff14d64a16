//! A start that waits for its next request.

use super::super::window::Latencies;
use super::{BUCKETS, Startup, Sums};
use crate::time::Timestamp;

/// In-flight counts, in classes, that a start at rest remembers: a start that saw more of them was
/// under load.
const REMEMBERED: usize = 2;

/// A [`Startup`] in less space.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct RestedStartup {
    first_at: Timestamp,
    limit: f32,
    recent_ln: f32,
    in_flight_secs: f32,
    successes: u32,
    yardstick: Sums,
    sums: [Sums; REMEMBERED],
    classes: [u8; REMEMBERED],
    sum_ln: f32,
    sum_ln_squared: f32,
    sampled: u32,
    bound_at: f32,
    begun: bool,
}

impl Startup {
    pub(in super::super) fn rest(&self) -> Option<RestedStartup> {
        let mut seen = self.buckets.iter().zip(0_u8..).filter(|(sums, _)| sums.count > 0);
        let mut sums = [Sums::default(); REMEMBERED];
        let mut classes = [0; REMEMBERED];
        for (kept, class) in sums.iter_mut().zip(&mut classes) {
            if let Some((seen, number)) = seen.next() {
                (*kept, *class) = (*seen, number);
            }
        }
        if seen.next().is_some() {
            return None;
        }
        let Latencies { count, sum_secs, sum_ln } = self.yardstick;
        Some(RestedStartup {
            first_at: self.first_at.unwrap_or_default(),
            limit: self.limit as f32,
            recent_ln: self.recent_ln as f32,
            in_flight_secs: self.in_flight_secs as f32,
            successes: self.successes,
            yardstick: Sums { count, secs: sum_secs as f32, ln: sum_ln as f32 },
            sums,
            classes,
            sum_ln: self.sum_ln,
            sum_ln_squared: self.sum_ln_squared,
            sampled: self.sampled,
            bound_at: self.bound_at,
            begun: self.first_at.is_some(),
        })
    }

    pub(in super::super) fn woken(rested: &RestedStartup) -> Self {
        let mut buckets = [Sums::default(); BUCKETS.len()];
        for (sums, class) in rested.sums.iter().zip(rested.classes) {
            if let Some(bucket) = buckets.get_mut(usize::from(class))
                && sums.count > 0
            {
                *bucket = *sums;
            }
        }
        Self {
            silent_secs: 0.0,
            limit: f64::from(rested.limit),
            bound_at: rested.bound_at,
            sum_ln: rested.sum_ln,
            sum_ln_squared: rested.sum_ln_squared,
            sampled: rested.sampled,
            first_at: rested.begun.then_some(rested.first_at),
            yardstick: rested.yardstick.latencies(),
            recent_ln: f64::from(rested.recent_ln),
            successes: rested.successes,
            in_flight_secs: f64::from(rested.in_flight_secs),
            buckets,
        }
    }
}
