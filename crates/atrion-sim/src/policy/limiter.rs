//! What the adaptive limits have in common: a counter, and a rule that moves its limit.

use super::{Arrival, Completion, Outcome, Policy, Verdict};

/// One completion as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
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
            latency_secs: completion.latency_secs,
            in_flight,
            dropped: completion.outcome == Outcome::Failure,
        });
    }
}
