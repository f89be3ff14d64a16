//! What is read of one route: counters that wrap, and numbers of this moment.

use atrion_core::flow::Priority;
use atrion_engine::{Parts, Reason};

/// Tiers that refused and admitted requests are told apart by.
pub(crate) const TIERS: [Priority; 5] = Priority::ALL;
/// Reasons that refusals are told apart by.
pub(crate) const REASONS: [Reason; 5] = Reason::ALL;

/// Counters that every route has.
pub(crate) const BASIC: usize = 4;
/// Counters that a route has while admissions are counted by tier.
pub(crate) const TALLIED: usize = 2 * TIERS.len() + REASONS.len();
/// All of them.
pub(crate) const COUNTERS: usize = BASIC + TALLIED;

/// The counters of one route as the engine has them, modulo 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// Requests that ended with a result.
    pub completed: u32,
    /// Requests that were given up.
    pub cancelled: u32,
    /// Requests refused.
    pub refused: u32,
    /// Requests that a shadowed route admitted though it would have refused them.
    pub shadow_refused: u32,
    /// The same by tier and reason; `None` while nobody counts that.
    pub tally: Option<TallyReading>,
}

/// Counters by tier and reason, modulo 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TallyReading {
    /// Requests admitted, by tier as in [`Priority::ALL`].
    pub admitted_by_tier: [u32; TIERS.len()],
    /// Requests refused, by tier.
    pub refused_by_tier: [u32; TIERS.len()],
    /// Requests refused, by reason as in [`Counters::refused_by_reason`].
    pub refused_by_reason: [u32; REASONS.len()],
}

impl Reading {
    pub(crate) const fn basic(&self) -> [u32; BASIC] {
        [self.completed, self.cancelled, self.refused, self.shadow_refused]
    }
}

impl TallyReading {
    pub(crate) fn to_array(self) -> [u32; TALLIED] {
        let all = self.admitted_by_tier.into_iter();
        let mut all = all.chain(self.refused_by_tier).chain(self.refused_by_reason);
        std::array::from_fn(|_| all.next().unwrap_or_default())
    }
}

/// A route's counters, of `u64` as they are told, or of `u32` as a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters<T> {
    /// Requests that ended with a result.
    pub completed: T,
    /// Requests that were given up.
    pub cancelled: T,
    /// Requests refused.
    pub refused: T,
    /// Requests that a shadowed route admitted though it would have refused them.
    pub shadow_refused: T,
    /// Requests admitted, by tier as in [`Priority::ALL`].
    pub admitted_by_tier: [T; TIERS.len()],
    /// Requests refused, by tier.
    pub refused_by_tier: [T; TIERS.len()],
    /// Requests refused, by reason as in [`Reason::ALL`].
    pub refused_by_reason: [T; REASONS.len()],
}

impl<T: Copy + Default> Counters<T> {
    pub(crate) fn to_array(self) -> [T; COUNTERS] {
        let mut array = [T::default(); COUNTERS];
        let first = [self.completed, self.cancelled, self.refused, self.shadow_refused];
        let all = first
            .into_iter()
            .chain(self.admitted_by_tier)
            .chain(self.refused_by_tier)
            .chain(self.refused_by_reason);
        for (place, value) in array.iter_mut().zip(all) {
            *place = value;
        }
        array
    }

    pub(crate) fn from_array(array: [T; COUNTERS]) -> Self {
        let mut values = array.into_iter();
        let mut next = || values.next().unwrap_or_default();
        Self {
            completed: next(),
            cancelled: next(),
            refused: next(),
            shadow_refused: next(),
            admitted_by_tier: std::array::from_fn(|_| next()),
            refused_by_tier: std::array::from_fn(|_| next()),
            refused_by_reason: std::array::from_fn(|_| next()),
        }
    }
}

impl Counters<u64> {
    /// Adds what was gained.
    pub(crate) fn add(&mut self, gained: &[u32; COUNTERS]) {
        let mut sums = self.to_array();
        for (sum, &gained) in sums.iter_mut().zip(gained) {
            *sum = sum.saturating_add(u64::from(gained));
        }
        *self = Self::from_array(sums);
    }
}

/// Numbers of one route as of now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Gauges {
    /// Requests in flight.
    pub in_flight: u32,
    /// Whether the breaker is open.
    pub open: bool,
    /// Whether it is held because of what other nodes say.
    pub held: bool,
    /// Whether it is shadowed.
    pub shadow: bool,
    /// Whether somebody has opened it by hand.
    pub forced_open: bool,
    /// Whether somebody has closed it by hand.
    pub forced_closed: bool,
    /// Whether it is at rest.
    pub resting: bool,
    /// R that the next arrival meets, in ohms.
    pub resistance: f64,
    /// What it is made of, in ohms.
    pub parts: Parts,
    /// This node's own scar, in ohms, before it is blended with what other nodes say.
    pub own_scar: f64,
    /// C: requests the service works on at once; `None` until learned.
    pub parallelism: Option<f64>,
    /// R0: latency without a queue, in seconds; `None` until learned.
    pub service_secs: Option<f64>,
    /// X: the highest throughput shown, per second; `None` until learned.
    pub capacity_rate: Option<f64>,
    /// Errors among results, from 0 to 1.
    pub error_rate: f64,
    /// Momentum as reported by the caller, per second.
    pub momentum: f64,
    /// Seconds until the next probe may pass; `None` while all may pass.
    pub next_probe_secs: Option<f64>,
}

impl Gauges {
    /// Whether it needs somebody's attention, whatever its traffic.
    pub(crate) const fn is_troubled(&self) -> bool {
        self.open || self.held || self.forced_open || self.forced_closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_fields_agree() {
        let array: [u32; COUNTERS] = std::array::from_fn(|i| i as u32 + 1);
        let counters = Counters::from_array(array);
        assert_eq!(counters.to_array(), array);
        assert_eq!((counters.completed, counters.shadow_refused), (1, 4));
        assert_eq!((counters.admitted_by_tier[0], counters.refused_by_reason[4]), (5, 19));
    }
}
