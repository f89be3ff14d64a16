//! `LoadShed` over `ConcurrencyLimit`, of the crate `tower`.
//!
//! Its documentation leaves the limit to the user; it gets what a careful load test finds, as
//! [`Static`](crate::policy::Static) does, whose decisions it shares. So the best limit in
//! hindsight for it is that of `oracle`, and `tower:N` is any other.

use ::tower::limit::ConcurrencyLimit;
use ::tower::load_shed::LoadShed;

use super::stack::{Simulated, Stack};
use crate::policy::{Arrival, Completion, Policy, Verdict};

/// The policy.
pub struct TowerLimit {
    stack: Stack<LoadShed<ConcurrencyLimit<Simulated>>>,
}

impl TowerLimit {
    /// At most `limit` in flight.
    pub fn new(limit: u32) -> Self {
        let limited = ConcurrencyLimit::new(Simulated, limit as usize);
        Self { stack: Stack::new(LoadShed::new(limited)) }
    }
}

impl Policy for TowerLimit {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.stack.arrive(arrival)
    }

    fn done(&mut self, completion: &Completion) {
        self.stack.done(completion);
    }
}

impl std::fmt::Debug for TowerLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TowerLimit").finish_non_exhaustive()
    }
}
