//! No control, and a number fixed beforehand.

use super::{Arrival, Completion, Policy, Verdict};

/// The largest limit that `static:N` takes.
pub const STATIC_LIMIT_MAX: u32 = 10_000_000;

/// Admits everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Policy for Unlimited {
    fn arrive(&mut self, _arrival: &Arrival) -> Verdict {
        Verdict::Admit
    }

    fn done(&mut self, _completion: &Completion) {}
}

/// Admits while fewer than a fixed number are in flight, whatever they are worth.
///
/// With the best number in hindsight it is the upper reference ([`crate::oracle`]). As `static` it
/// gets one and a half times the true parallelism: the number of a careful load test.
///
/// ```
/// use atrion_sim::policy::Static;
///
/// assert_eq!(Static::new(24).limit(), 24);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Static {
    limit: u32,
    in_flight: u32,
}

impl Static {
    /// At most `limit` in flight.
    pub const fn new(limit: u32) -> Self {
        Self { limit, in_flight: 0 }
    }

    /// The limit.
    pub const fn limit(&self) -> u32 {
        self.limit
    }
}

impl Policy for Static {
    fn arrive(&mut self, _arrival: &Arrival) -> Verdict {
        if self.in_flight < self.limit {
            self.in_flight += 1;
            Verdict::Admit
        } else {
            Verdict::Refuse
        }
    }

    fn done(&mut self, _completion: &Completion) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{arrival, success};

    #[test]
    fn the_limit_is_the_limit() {
        let mut policy = Static::new(2);
        let verdicts = [0, 1, 2].map(|slot| policy.arrive(&arrival(0.0, slot)));
        assert_eq!(verdicts, [Verdict::Admit, Verdict::Admit, Verdict::Refuse]);
        policy.done(&success(0.1, 0, 0.1));
        assert_eq!(policy.arrive(&arrival(0.1, 0)), Verdict::Admit);
    }
}
