//! What the adaptive limits have in common: a counter, and a rule that moves its limit.

use atrion_core::math;
use atrion_core::time::Timestamp;

use super::{Arrival, Completion, Outcome, Policy, Verdict};

/// One completion as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it ended.
    pub now: Timestamp,
    /// Its latency in seconds.
    pub latency_secs: f64,
    /// How many were in flight when it was admitted, itself included.
    pub in_flight: u32,
    /// It failed, which the rules take for a drop.
    pub dropped: bool,
}

/// A rule that moves a concurrency limit.
pub trait Limit {
    /// The limit now.
    fn limit(&self) -> f64;

    /// Takes in a completion.
    fn update(&mut self, sample: &Sample);
}

/// Admits while fewer than the rule's limit are in flight.
#[derive(Clone, Debug)]
pub struct Limiter<L> {
    rule: L,
    in_flight: u32,
    /// For each slot, how many were in flight when it was admitted.
    at_admission: Vec<u32>,
}

impl<L: Limit> Limiter<L> {
    /// A limiter with this rule.
    pub const fn new(rule: L) -> Self {
        Self { rule, in_flight: 0, at_admission: Vec::new() }
    }
}

impl<L: Limit> Policy for Limiter<L> {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        if f64::from(self.in_flight) + 1.0 > self.rule.limit() {
            return Verdict::Refuse;
        }
        self.in_flight += 1;
        let index = arrival.slot as usize;
        if index >= self.at_admission.len() {
            self.at_admission.resize(index + 1, 0);
        }
        if let Some(place) = self.at_admission.get_mut(index) {
            *place = self.in_flight;
        }
        Verdict::Admit
    }

    fn done(&mut self, completion: &Completion) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let in_flight = self.at_admission.get(completion.slot as usize).copied().unwrap_or(1);
        self.rule.update(&Sample {
            now: completion.now,
            latency_secs: completion.latency_secs,
            in_flight,
            dropped: completion.outcome == Outcome::Failure,
        });
    }
}

const WINDOW_SECS: f64 = 1.0;
const LEAST_SAMPLES: u32 = 10;
const LEAST_SECS: f64 = 1e-4;

/// Lets a rule see windows of a second instead of single completions: their mean latency, the most
/// in flight, and whether anything was dropped.
///
/// Source: `WindowedLimit` of Netflix's library concurrency-limits with its released settings:
/// windows of one second with at least ten samples, of which latencies below 100 us are none.
#[derive(Clone, Debug)]
pub struct Windowed<L> {
    rule: L,
    until: Timestamp,
    count: u32,
    sum_secs: f64,
    most_in_flight: u32,
    dropped: bool,
}

impl<L: Limit> Windowed<L> {
    /// Windows before this rule.
    pub const fn new(rule: L) -> Self {
        let until = Timestamp::ZERO;
        Self { rule, until, count: 0, sum_secs: 0.0, most_in_flight: 0, dropped: false }
    }
}

impl<L: Limit> Limit for Windowed<L> {
    fn limit(&self) -> f64 {
        self.rule.limit()
    }

    fn update(&mut self, sample: &Sample) {
        if sample.latency_secs < LEAST_SECS {
            return;
        }
        self.count += 1;
        self.sum_secs += sample.latency_secs;
        self.most_in_flight = self.most_in_flight.max(sample.in_flight);
        self.dropped |= sample.dropped;
        if sample.now <= self.until {
            return;
        }
        if self.count >= LEAST_SAMPLES {
            let latency_secs = self.sum_secs / math::max(f64::from(self.count), 1.0);
            let (in_flight, dropped) = (self.most_in_flight, self.dropped);
            self.rule.update(&Sample { now: sample.now, latency_secs, in_flight, dropped });
        }
        self.until = sample.now.add_secs(WINDOW_SECS);
        (self.count, self.sum_secs, self.most_in_flight) = (0, 0.0, 0);
        self.dropped = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what it was told.
    #[derive(Default)]
    struct Told(Vec<Sample>);

    impl Limit for Told {
        fn limit(&self) -> f64 {
            20.0
        }

        fn update(&mut self, sample: &Sample) {
            self.0.push(*sample);
        }
    }

    #[test]
    fn a_rule_sees_the_mean_of_each_second() {
        let mut windowed = Windowed::new(Told::default());
        for step in 1..=250_u32 {
            let now = Timestamp::from_millis(u64::from(step) * 10);
            let latency_secs = if step % 2 == 0 { 0.01 } else { 0.03 };
            let dropped = step == 150;
            windowed.update(&Sample { now, latency_secs, in_flight: step, dropped });
        }
        let told = &windowed.rule.0;
        assert_eq!(told.len(), 2, "the first window has one sample, the last one is not over");
        assert_eq!(told.iter().map(|s| s.in_flight).collect::<Vec<_>>(), [102, 203]);
        assert!(told.iter().all(|s| (s.latency_secs - 0.02).abs() < 2e-4), "{told:?}");
        assert_eq!(told.iter().map(|s| s.dropped).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_window_of_few_samples_is_none() {
        let mut windowed = Windowed::new(Told::default());
        for step in 1..=30_u32 {
            let now = Timestamp::from_millis(u64::from(step) * 200);
            windowed.update(&Sample { now, latency_secs: 0.01, in_flight: 1, dropped: false });
        }
        assert!(windowed.rule.0.is_empty());
    }
}
