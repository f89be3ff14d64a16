//! What the other nodes say about a route, put together.

use super::LawConfig;
use crate::math;
use crate::merge::{DEFAULT_GAMMA, EVIDENCE_HALF_LIFE_SECS, Report, VotingRules, lower_median};
use crate::units::{Evidence, Ohms, PerSecond, UnitInterval};

/// A peer takes part in the probing if it was heard of within this time.
const FRESH_SECS: f64 = 1.0;
/// The least demand anybody counts with, 1/s.
const DEMAND_FLOOR_PER_SEC: f64 = 0.02;
/// A scar below this is no complaint, ohm.
const COMPLAINT_OHMS: f64 = 0.5;

impl Report {
    /// Whether it is worth looking into: a scar, or a node that lets only probes pass.
    pub fn complains(&self) -> bool {
        self.scar.get() >= COMPLAINT_OHMS || self.stance.is_looking()
    }
}

impl LawConfig {
    /// Who may vote on a scar.
    pub fn voting_rules(&self) -> VotingRules {
        VotingRules {
            evidence_half_life_secs: EVIDENCE_HALF_LIFE_SECS,
            evidence_min: Evidence::computed(self.hearsay_evidence_min()),
            evidence_cap: Evidence::computed(self.hearsay_evidence_cap()),
            healing_per_sec: self.healing_per_sec(),
        }
    }
}

/// What a node itself says about a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnWord {
    /// Its own scar.
    pub scar: Ohms,
    /// The evidence behind it.
    pub evidence: Evidence,
    /// d, its demand.
    pub demand: PerSecond,
}

/// What all others say about a route, as of one moment: a pure function of their last reports
/// (blending study, section 2).
///
/// ```text
/// voters = { self if E_i >= E_min } + { j : min(E_j, E_cap) 2^(-a/H) >= E_min }
/// m      = lower median of the voters' scars, decayed to now
/// c      = c_max min(1, 2/n sum_j min(1, (S_j - m)+ / S_open))    if m < S_open, else 0
/// sigma  = 1 + (1/d_i) sum over fresh peers that look of min(d_j, clip d_i)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// m, ohm; zero if nobody votes.
    pub median: Ohms,
    /// c, ohm, before gamma.
    pub caution: Ohms,
    /// n: how many votes there were, one's own included.
    pub voters: u32,
    /// How many of them were peers'.
    pub peers: u32,
    /// sigma: by how much a round of probing is stretched.
    pub sharing: f64,
    /// A peer's probe just succeeded.
    pub invites: bool,
    /// Somebody complains.
    pub complaint: bool,
    /// d_i, 1/s.
    pub demand: f64,
}

impl Word {
    /// Nobody says anything.
    pub const SILENCE: Self = Self {
        median: Ohms::ZERO,
        caution: Ohms::ZERO,
        voters: 0,
        peers: 0,
        sharing: 1.0,
        invites: false,
        complaint: false,
        demand: DEMAND_FLOOR_PER_SEC,
    };

    /// Puts the peers' last reports and one's own word together. `votes` is scratch space with
    /// room for one more vote than there are reports; with less, the votes that find no room
    /// do not count.
    pub fn gather(reports: &[Report], own: &OwnWord, votes: &mut [Ohms], law: &LawConfig) -> Self {
        let rules = law.voting_rules();
        let own_vote = (own.evidence >= rules.evidence_min).then_some(own.scar);
        let peers = reports.iter().filter_map(|report| rules.vote(report));
        let (mut count, mut own_count) = (0, 0);
        for (place, (vote, is_own)) in votes
            .iter_mut()
            .zip(own_vote.map(|v| (v, true)).into_iter().chain(peers.map(|v| (v, false))))
        {
            *place = vote;
            count += 1;
            own_count += u32::from(is_own);
        }
        let votes = votes.get_mut(..count).unwrap_or_default();
        let median = lower_median(votes).unwrap_or(Ohms::ZERO);
        let demand = math::max(own.demand.get(), DEMAND_FLOOR_PER_SEC);
        let looking: f64 = reports
            .iter()
            .filter(|report| is_fresh(report))
            .filter(|r| r.stance.is_looking() || r.scar.get() >= law.close_ohms())
            .map(|r| math::min(r.demand.get(), law.hearsay_demand_clip() * demand))
            .sum();
        Self {
            median,
            caution: caution(votes, median, law),
            voters: count as u32,
            peers: count as u32 - own_count,
            sharing: 1.0 + looking / demand,
            invites: reports.iter().any(|r| is_fresh(r) && r.stance.good),
            complaint: reports.iter().any(Report::complains),
            demand,
        }
    }

    /// h: the ohms that this adds to a node's share of its own scar, given its evidence.
    pub fn hearsay_ohms(
        &self,
        gamma: UnitInterval,
        effective: UnitInterval,
        law: &LawConfig,
    ) -> f64 {
        if self.peers == 0 || gamma.is_zero() {
            return 0.0;
        }
        if gamma == UnitInterval::ONE {
            return self.median.get();
        }
        let clipped = math::min(self.median.get(), law.open_ohms());
        let trust = math::min(1.0, effective.get() / DEFAULT_GAMMA.get());
        effective.get() * clipped + trust * self.caution.get()
    }

    /// T: how long a round of probing takes, s, while others look too.
    pub fn round_secs(&self, law: &LawConfig) -> f64 {
        let alone = law.probe_secs();
        if self.sharing <= 1.0 {
            return alone;
        }
        let own_share = law.hearsay_probe_share() / self.demand;
        let longest = math::max(law.hearsay_probe_longest_secs(), own_share);
        math::clamp(alone * self.sharing, own_share, longest)
    }
}

fn is_fresh(report: &Report) -> bool {
    report.age_secs < FRESH_SECS
}

/// c: felt before it is believed, by how many complain and how deeply.
fn caution(votes: &[Ohms], median: Ohms, law: &LawConfig) -> Ohms {
    if median.get() >= law.open_ohms() || votes.is_empty() {
        return Ohms::ZERO;
    }
    let complaints: f64 = votes
        .iter()
        .map(|vote| math::min(1.0, vote.saturating_sub(median).get() / law.open_ohms()))
        .sum();
    let share = math::min(1.0, 2.0 / votes.len() as f64 * complaints);
    Ohms::computed(law.hearsay_caution_ohms() * share)
}

#[cfg(test)]
#[path = "word_tests.rs"]
mod tests;
