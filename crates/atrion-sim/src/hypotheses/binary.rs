//! The binary breaker that H1 compares with: nothing but open and closed.

use atrion_core::time::Timestamp;

use crate::policy::{Arrival, Completion, Outcome, Policy, Verdict};

/// Outcomes it looks back over.
const MEMORY: u32 = 20;
/// It opens if at least this many of them failed.
const FAILED: u32 = 10;
/// It stays open for this long, then closes without having looked.
const OPEN_SECS: f64 = 1.0;

/// A circuit breaker as it is explained on a whiteboard: half of the last twenty failed, so it opens
/// for a second, then closes and forgets. No half-open state, no memory of earlier openings.
#[derive(Clone, Debug, Default)]
pub struct Binary {
    /// The last outcomes, one bit each, the youngest lowest.
    failures: u32,
    known: u32,
    open_until: Option<Timestamp>,
    transitions: u32,
}

impl Binary {
    fn close_if_due(&mut self, now: Timestamp) {
        if self.open_until.is_some_and(|until| now >= until) {
            *self = Self { transitions: self.transitions + 1, ..Self::default() };
        }
    }
}

impl Policy for Binary {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.close_if_due(arrival.now);
        if self.open_until.is_some() { Verdict::Refuse } else { Verdict::Admit }
    }

    fn done(&mut self, completion: &Completion) {
        self.close_if_due(completion.now);
        if self.open_until.is_some() {
            return;
        }
        let failed = u32::from(completion.outcome == Outcome::Failure);
        self.failures = (self.failures << 1 | failed) & ((1 << MEMORY) - 1);
        self.known = (self.known + 1).min(MEMORY);
        if self.known == MEMORY && self.failures.count_ones() >= FAILED {
            self.open_until = Some(completion.now.add_secs(OPEN_SECS));
            self.transitions += 1;
        }
    }

    fn transitions(&self) -> u32 {
        self.transitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{arrival, failure, success};

    #[test]
    fn half_of_twenty_open_it_for_a_second() {
        let mut breaker = Binary::default();
        for n in 0..10 {
            breaker.done(&success(0.0, n, 0.01));
        }
        for n in 0..9 {
            breaker.done(&failure(0.0, n));
        }
        assert_eq!(breaker.arrive(&arrival(0.0, 0)), Verdict::Admit, "nine are not half");
        breaker.done(&failure(0.0, 1));
        assert_eq!(breaker.arrive(&arrival(0.9, 0)), Verdict::Refuse);
        assert_eq!(breaker.arrive(&arrival(1.1, 0)), Verdict::Admit);
        breaker.done(&failure(1.2, 0));
        assert_eq!(breaker.arrive(&arrival(1.2, 0)), Verdict::Admit, "it has forgotten");
        assert_eq!(breaker.transitions(), 2);
    }
}
