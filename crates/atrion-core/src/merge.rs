//! Blending what a cluster knows with what a node knows.
//!
//! Nothing here adds one message to another: every node keeps the last word of every other node
//! (a register, replaced only by a newer [`Stamp`]), and the cluster's scar is a pure function of
//! the registers at the moment it is needed. Order, duplicates, losses and message rates cannot
//! change it.

use core::cmp::Ordering;

use crate::law::LawConfig;
use crate::math;
use crate::units::{Evidence, Ohms, PerSecond, UnitInterval};
use crate::vector::{PhysicsVector, Stance};

/// γ as recommended (RFC-0007, section 5), the default of clusters. At and above it the law lets a
/// node feel what others complain about in full before it is believed.
pub const DEFAULT_GAMMA: UnitInterval = UnitInterval::constant(0.3);

/// Evidence halves in this time, s.
pub const EVIDENCE_HALF_LIFE_SECS: f64 = 3.0;

/// The age of a register in the life of its node: the higher one wins.
///
/// ```
/// use atrion_core::merge::Stamp;
///
/// let before = Stamp { incarnation: 7, sequence: 900 };
/// let restarted = Stamp { incarnation: 8, sequence: 1 };
/// assert!(restarted.replaces(before));
/// assert!(!before.replaces(before)); // a duplicate changes nothing
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Grows with every start of the node.
    pub incarnation: u64,
    /// Grows with every frame of one incarnation.
    pub sequence: u64,
}

impl Stamp {
    /// Whether a register with this stamp replaces one with the `other`.
    pub fn replaces(self, other: Self) -> bool {
        self > other
    }
}

/// `S = γ·S_cluster + (1 − γ)·S_local` (RFC-0007, section 5).
///
/// γ = 0 is exactly the local scar and γ = 1 exactly the cluster's, to the bit; in between the
/// result lies between the two.
///
/// ```
/// use atrion_core::{merge::blend, units::{Ohms, UnitInterval}};
///
/// let (cluster, local) = (Ohms::from(5_u32), Ohms::from(2_u32));
/// let s = blend(UnitInterval::try_new(0.3)?, cluster, local);
/// assert!((s.get() - 2.9).abs() < 1e-15);
/// assert_eq!(blend(UnitInterval::ZERO, cluster, local), local);
/// assert_eq!(blend(UnitInterval::ONE, cluster, local), cluster);
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
#[must_use]
pub fn blend(gamma: UnitInterval, cluster: Ohms, local: Ohms) -> Ohms {
    let mixed = gamma.get() * cluster.get() + gamma.complement().get() * local.get();
    // Rounding may carry the sum past the larger or the smaller of the two.
    Ohms::computed(mixed).clamp(cluster.min(local), cluster.max(local))
}

/// The share of the cluster's word, given one's own evidence.
///
/// # Equation
///
/// ```text
/// γ_e = 1 − (1 − γ)·E / (E + k) = γ + (1 − γ)·k / (E + k)        0 for γ = 0
/// ```
///
/// With much evidence it is γ, without any it is 1: a node that has seen nothing believes the
/// others. A γ of 0 stays 0, whatever was seen: it means not to listen at all. `half` is k, the
/// evidence at which own and others' word weigh as γ says by half.
///
/// ```
/// use atrion_core::{merge::effective_gamma, units::{Evidence, UnitInterval}};
///
/// let gamma = UnitInterval::try_new(0.3)?;
/// let k = Evidence::from(2_u32);
/// assert_eq!(effective_gamma(gamma, Evidence::ZERO, k), UnitInterval::ONE);
/// assert!((effective_gamma(gamma, Evidence::from(2_u32), k).get() - 0.65).abs() < 1e-15);
/// assert_eq!(effective_gamma(UnitInterval::ZERO, Evidence::ZERO, k), UnitInterval::ZERO);
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
#[must_use]
pub fn effective_gamma(gamma: UnitInterval, evidence: Evidence, half: Evidence) -> UnitInterval {
    if gamma.is_zero() {
        return gamma;
    }
    if evidence.is_zero() {
        return UnitInterval::ONE;
    }
    // k / (E + k) as 1 / (1 + E / k): neither form of infinity can turn it into NaN, and where
    // evidence is full the result is gamma to the bit.
    let unseen = 1.0 / (1.0 + evidence.get() / half.get());
    UnitInterval::computed(math::min(gamma.get() + gamma.complement().get() * unseen, 1.0))
}

/// The lower median: element `floor((n − 1) / 2)` of the ascending values, `None` for none.
///
/// It is the value of an honest voter as long as those who overstate are at most half of the
/// voters and those who understate fewer than half. The slice is put in order.
///
/// ```
/// use atrion_core::{merge::lower_median, units::Ohms};
///
/// let mut words = [500_u32, 1, 2].map(Ohms::from);
/// assert_eq!(lower_median(&mut words), Some(Ohms::from(2_u32)));
/// let mut two = [500_u32, 1].map(Ohms::from);
/// assert_eq!(lower_median(&mut two), Some(Ohms::from(1_u32))); // one liar of two does not win
/// assert_eq!(lower_median(&mut []), None);
/// ```
pub fn lower_median(voters: &mut [Ohms]) -> Option<Ohms> {
    lower_median_by(voters, Ord::cmp).copied()
}

/// The same of anything that can be put in an `order`. Of equals any may be given.
pub fn lower_median_by<T>(voters: &mut [T], order: impl FnMut(&T, &T) -> Ordering) -> Option<&T> {
    let middle = voters.len().checked_sub(1)? / 2;
    let (_, median, _) = voters.select_nth_unstable_by(middle, order);
    Some(median)
}

/// One node's register of a route: its last word about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// The scar it observed itself.
    pub scar: Ohms,
    /// The evidence for that claim.
    pub evidence: Evidence,
    /// d, how much it is asked for the route.
    pub demand: PerSecond,
    /// What it does about it.
    pub stance: Stance,
    /// Seconds since it was true, by the reader's clock.
    pub age_secs: f64,
}

impl Report {
    /// What a node reports that published `vector`, `age_secs` ago.
    pub const fn of(vector: &PhysicsVector, age_secs: f64) -> Self {
        Self {
            scar: vector.scar_tissue,
            evidence: vector.evidence,
            demand: vector.demand,
            stance: vector.stance,
            age_secs,
        }
    }
}

/// Who may vote, and what their word is worth after a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VotingRules {
    /// Half-life of evidence, s.
    pub evidence_half_life_secs: f64,
    /// Less evidence than this has no vote.
    pub evidence_min: Evidence,
    /// More evidence than this counts as this: it bounds for how long a departed node votes.
    pub evidence_cap: Evidence,
    /// Decay of scars, 1/s.
    pub healing_per_sec: f64,
}

impl Default for VotingRules {
    /// Those of the default [`LawConfig`].
    fn default() -> Self {
        LawConfig::default().voting_rules()
    }
}

impl VotingRules {
    /// What this report votes now, if it may: its scar, decayed to the present.
    ///
    /// An age that is negative counts as none, one that is not a number as for ever.
    pub fn vote(&self, report: &Report) -> Option<Ohms> {
        let age = if report.age_secs.is_nan() { f64::INFINITY } else { report.age_secs };
        let rate = core::f64::consts::LN_2 / self.evidence_half_life_secs;
        let worth = report.evidence.min(self.evidence_cap).get() * math::decay(rate, age);
        let scar = report.scar.get() * math::decay(self.healing_per_sec, age);
        (worth >= self.evidence_min.get()).then(|| Ohms::computed(scar))
    }
}

#[cfg(test)]
mod tests;
