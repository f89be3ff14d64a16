//! One policy per route, as they are used in practice.

use atrion_core::time::Timestamp;

use super::{Arrival, Completion, Context, Policy, Release, Tick, Verdict};

/// A policy of its own for every route.
#[derive(Clone, Debug)]
pub struct PerRoute<P>(Vec<P>);

impl<P: Policy> PerRoute<P> {
    /// `count` routes, each with what `make` gives for its index.
    pub fn new(count: usize, make: impl FnMut(usize) -> P) -> Self {
        Self((0..count).map(make).collect())
    }
}

impl<P: Policy> Policy for PerRoute<P> {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.0.get_mut(arrival.route).map_or(Verdict::Refuse, |policy| policy.arrive(arrival))
    }

    fn done(&mut self, completion: &Completion) {
        if let Some(policy) = self.0.get_mut(completion.route) {
            policy.done(completion);
        }
    }

    fn tick(&mut self, tick: &Tick) {
        for policy in &mut self.0 {
            policy.tick(tick);
        }
    }

    fn release(&mut self, now: Timestamp) -> Option<Release> {
        self.0.iter_mut().find_map(|policy| policy.release(now))
    }

    fn holds(&self) -> bool {
        self.0.iter().any(Policy::holds)
    }

    fn transitions(&self) -> u32 {
        self.0.iter().map(Policy::transitions).sum()
    }
}

/// A policy of its own for every route of this context.
pub(super) fn per_route<P: Policy + 'static>(
    context: &Context,
    make: impl FnMut(usize) -> P,
) -> Box<dyn Policy> {
    Box::new(PerRoute::new(context.routes.len(), make))
}
