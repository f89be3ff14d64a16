//! The tally: how many requests of each tier were admitted and refused, and why.
//!
//! Off by default. A route without one does nothing for it: that it has one is a bit beside those
//! that every request reads anyway.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use atrion_core::flow::Priority;
use atrion_core::units::Volts;

use crate::lanes::Lanes;
use crate::shed::Reason;

/// How many tiers there are.
pub(crate) const TIERS: usize = Priority::ALL.len();
/// How many reasons there are.
const REASONS: usize = Reason::ALL.len();

/// Requests of one route by tier: see [`Builder::tally`](crate::Builder::tally).
///
/// A voltage of the caller's own counts in the tier that [`Priority::of`] gives it. All counts only
/// grow, modulo 2^32: take differences with `wrapping_sub`. Those of one moment may differ by the
/// requests of that moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Requests admitted, least tier first as in [`Priority::ALL`]. What a shadowed route admits
    /// all the same is among them.
    pub admitted: [u32; TIERS],
    /// Requests refused, likewise.
    pub refused: [u32; TIERS],
    /// Requests refused by reason, as in [`Reason::ALL`].
    pub reasons: [u32; REASONS],
}

impl Tally {
    /// Requests of this tier that were admitted, modulo 2^32.
    pub fn admitted(&self, tier: Priority) -> u32 {
        self.admitted.get(tier as usize).copied().unwrap_or_default()
    }

    /// Requests of this tier that were refused, modulo 2^32.
    pub fn refused(&self, tier: Priority) -> u32 {
        self.refused.get(tier as usize).copied().unwrap_or_default()
    }

    /// Requests that were refused for this reason, modulo 2^32.
    pub fn refused_for(&self, reason: Reason) -> u32 {
        self.reasons.get(reason as usize).copied().unwrap_or_default()
    }
}

/// What [`Tally`] is read from. On a hot route, what is admitted counts in the lanes instead.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    /// One of so many of each kind is told; zero for none.
    one_in: u32,
    admitted: [AtomicU32; TIERS],
    refused: [AtomicU32; TIERS],
    reasons: [AtomicU32; REASONS],
}

impl Tallies {
    /// Counts an admission. Answers with whether it is one that is told.
    #[inline]
    pub(crate) fn admit(&self, volts: Volts, lanes: Option<&Lanes>) -> bool {
        let tier = Priority::of(volts) as usize;
        let in_lane = lanes.and_then(|lanes| lanes.tally(tier));
        self.is_told(in_lane.unwrap_or_else(|| count(&self.admitted, tier)))
    }

    /// Counts a refusal. Answers with whether it is one that is told.
    pub(crate) fn refuse(&self, volts: Volts, reason: Reason) -> bool {
        count(&self.reasons, reason as usize);
        self.is_told(count(&self.refused, Priority::of(volts) as usize))
    }

    /// Whether the decision after `before` others of its kind is one that is told.
    const fn is_told(&self, before: u32) -> bool {
        self.one_in > 0 && before.is_multiple_of(self.one_in)
    }

    pub(crate) fn read(&self, lanes: Option<&Lanes>) -> Tally {
        let mut tally = Tally {
            admitted: self.admitted.each_ref().map(|n| n.load(Relaxed)),
            refused: self.refused.each_ref().map(|n| n.load(Relaxed)),
            reasons: self.reasons.each_ref().map(|n| n.load(Relaxed)),
        };
        if let Some(lanes) = lanes {
            lanes.add_tallies(&mut tally.admitted);
        }
        tally
    }

    /// Goes on from `tally`, telling one of so many.
    pub(crate) fn of(tally: &Tally, one_in: u32) -> Self {
        Self {
            one_in,
            admitted: tally.admitted.map(AtomicU32::new),
            refused: tally.refused.map(AtomicU32::new),
            reasons: tally.reasons.map(AtomicU32::new),
        }
    }
}

#[inline]
fn count(counts: &[AtomicU32], index: usize) -> u32 {
    counts.get(index).map_or(0, |n| n.fetch_add(1, Relaxed))
}

/// A [`Tally`] at rest. Most idle routes have admitted all that came, of one tier.
#[derive(Clone, Debug)]
pub(crate) enum RestedTally {
    None,
    One { tier: u8, admitted: u32 },
    Many(Box<Tally>),
}

impl RestedTally {
    pub(crate) fn of(tally: Option<Tally>) -> Self {
        let Some(tally) = tally else { return Self::None };
        let refused_none = tally.refused == [0; TIERS] && tally.reasons == [0; REASONS];
        let mut used = tally.admitted.iter().enumerate().filter(|(_, admitted)| **admitted > 0);
        match (used.next(), used.next()) {
            (None, _) if refused_none => Self::None,
            (Some((tier, &admitted)), None) if refused_none => {
                Self::One { tier: tier as u8, admitted }
            }
            _ => Self::Many(Box::new(tally)),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        match self {
            Self::None => Tally::default(),
            Self::Many(tally) => **tally,
            Self::One { tier, admitted } => {
                let mut tally = Tally::default();
                if let Some(count) = tally.admitted.get_mut(usize::from(*tier)) {
                    *count = *admitted;
                }
                tally
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tally_at_rest_is_small() {
        assert!(size_of::<RestedTally>() <= 16);
    }

    proptest! {
        #[test]
        fn rest_keeps_every_count(
            admitted in prop::array::uniform5(prop_oneof![Just(0u32), any::<u32>()]),
            refused in prop::array::uniform5(prop_oneof![Just(0u32), any::<u32>()]),
            reasons in prop::array::uniform5(prop_oneof![3 => Just(0u32), 1 => any::<u32>()]),
        ) {
            let tally = Tally { admitted, refused, reasons };
            let rested = RestedTally::of(Some(tally));
            prop_assert_eq!(rested.tally(), tally);
            prop_assert_eq!(Tallies::of(&rested.tally(), 0).read(None), tally);
        }

        /// Wherever it is counted, in a lane or not, every admission is counted once.
        #[test]
        fn lanes_and_shared_counters_add_up(volts in prop::collection::vec(0u32..200, 0..200)) {
            let (tallies, lanes) = (Tallies::default(), Lanes::new());
            let mut expected = Tally::default();
            for (i, volts) in volts.iter().enumerate() {
                let volts = Volts::from(*volts);
                tallies.admit(volts, (i % 3 != 0).then_some(&lanes));
                expected.admitted[Priority::of(volts) as usize] += 1;
                if i % 5 == 0 {
                    tallies.refuse(volts, Reason::ALL[i % 4]);
                    expected.refused[Priority::of(volts) as usize] += 1;
                    expected.reasons[i % 4] += 1;
                }
            }
            prop_assert_eq!(tallies.read(Some(&lanes)), expected);
        }
    }
}
