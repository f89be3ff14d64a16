//! What happens when: phases, rates, tiers, and what counts as good.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An answer later than this after its intended time of sending is worthless, and the client
/// stops waiting for it.
pub(crate) const OBJECTIVE: Duration = Duration::from_millis(200);

/// Figures are collected per bucket of this length; every stage is a whole number of them.
pub(crate) const BUCKET: Duration = Duration::from_millis(250);

/// Load while calm, as a share of the measured capacity.
const CALM_LOAD: f64 = 0.7;
/// Load during the overload, as a multiple of the measured capacity.
const OVERLOAD: f64 = 3.0;
/// Load during the greater one.
const TENFOLD: f64 = 10.0;

/// One class of traffic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tier {
    pub(crate) name: &'static str,
    /// What its requests carry in `X-Atrion-Voltage`.
    pub(crate) volts: &'static str,
    /// Share of all requests, in percent.
    pub(crate) share: u32,
}

/// The traffic's mix, most important first. At three times the capacity the tiers alone are 30, 60, 90 and
/// 120 % of it, so the capacity is just enough for the first two and a little more.
pub(crate) const TIERS: [Tier; 4] = [
    Tier { name: "critical", volts: "100", share: 10 },
    Tier { name: "high", volts: "50", share: 20 },
    Tier { name: "normal", volts: "20", share: 30 },
    Tier { name: "bulk", volts: "1", share: 40 },
];

/// What the dependency does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    /// Answers in a few milliseconds.
    Healthy,
    /// Three in ten answers take twenty times as long.
    Gray,
    /// Takes requests and never answers.
    Hanging,
    /// Answers every request at once with an error.
    Failing,
}

/// A part of the schedule as people speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Calm,
    Overload,
    /// Only where crates are compared.
    Tenfold,
    /// Calm load between two incidents; not judged.
    Rest,
    Gray,
    Outage,
    Recovery,
}

impl Phase {
    /// The phases that have figures of their own, in order.
    pub(crate) const REPORTED: [Self; 5] =
        [Self::Calm, Self::Overload, Self::Gray, Self::Outage, Self::Recovery];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Overload => "3x overload",
            Self::Tenfold => "10x overload",
            Self::Rest => "rest",
            Self::Gray => "gray failure",
            Self::Outage => "hard outage",
            Self::Recovery => "recovery",
        }
    }
}

/// A stretch of time with one load and one state of the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) phase: Phase,
    pub(crate) health: Health,
    /// Length in buckets.
    pub(crate) buckets: u32,
    /// Requests per second.
    pub(crate) rate: f64,
}

/// The schedule for a service of this capacity (requests per second).
///
/// The outage begins with a dependency that hangs, which is harder to notice than one that
/// fails, and ends with one that fails at once.
pub(crate) fn schedule(capacity: f64, short: bool) -> Vec<Stage> {
    use Health::{Failing, Gray, Hanging, Healthy};
    let calm = capacity * CALM_LOAD;
    [
        (Phase::Calm, Healthy, calm, [28, 12]),
        (Phase::Overload, Healthy, capacity * OVERLOAD, [32, 10]),
        (Phase::Rest, Healthy, calm, [8, 4]),
        (Phase::Gray, Gray, calm, [24, 8]),
        (Phase::Rest, Healthy, calm, [8, 4]),
        (Phase::Outage, Hanging, calm, [14, 8]),
        (Phase::Outage, Failing, calm, [14, 6]),
        (Phase::Recovery, Healthy, calm, [20, 12]),
    ]
    .map(|(phase, health, rate, [long, brief])| Stage {
        phase,
        health,
        buckets: if short { brief } else { long },
        rate,
    })
    .to_vec()
}

/// The schedule of each protection that is compared.
pub(crate) fn contest(capacity: f64, short: bool) -> Vec<Stage> {
    let calm = capacity * CALM_LOAD;
    [
        (Phase::Calm, calm, [12, 6]),
        (Phase::Overload, capacity * OVERLOAD, [32, 12]),
        (Phase::Rest, calm, [8, 4]),
        (Phase::Tenfold, capacity * TENFOLD, [32, 12]),
    ]
    .map(|(phase, rate, [long, brief])| Stage {
        phase,
        health: Health::Healthy,
        buckets: if short { brief } else { long },
        rate,
    })
    .to_vec()
}

/// The phase of each bucket, in order.
pub(crate) fn phases(stages: &[Stage]) -> Vec<Phase> {
    let of_stage = |s: &Stage| std::iter::repeat_n(s.phase, s.buckets as usize);
    stages.iter().flat_map(of_stage).collect()
}

/// The length of a schedule.
pub(crate) fn length(stages: &[Stage]) -> Duration {
    BUCKET * stages.iter().map(|s| s.buckets).sum::<u32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use atrion_core::flow::Priority::{Bulk, Critical, High, Normal};
    use atrion_core::units::Volts;

    #[test]
    fn both_forms_hold_every_phase_in_order() {
        for short in [false, true] {
            let mut order: Vec<Phase> = schedule(600.0, short).iter().map(|s| s.phase).collect();
            order.dedup();
            order.retain(|phase| *phase != Phase::Rest);
            assert_eq!(order, Phase::REPORTED);
        }
    }

    #[test]
    fn two_runs_and_their_overhead_fit_into_ninety_seconds() {
        let both = length(&schedule(600.0, false)) * 2;
        assert!(both <= Duration::from_secs(78), "{both:?}");
        assert!(length(&schedule(600.0, true)) * 2 <= Duration::from_secs(35));
    }

    #[test]
    fn load_follows_the_measured_capacity() {
        for stage in schedule(500.0, true).into_iter().chain(contest(500.0, true)) {
            let expected = match stage.phase {
                Phase::Overload => 1500.0,
                Phase::Tenfold => 5000.0,
                _ => 350.0,
            };
            assert!((stage.rate - expected).abs() < 1e-9, "{stage:?}");
        }
    }

    #[test]
    fn every_judged_stretch_is_long_enough_to_judge() {
        for short in [false, true] {
            let stages = schedule(500.0, short);
            let seconds = |phase| {
                let of = stages.iter().filter(|s| s.phase == phase);
                f64::from(of.map(|s| s.buckets).sum::<u32>()) / 4.0
            };
            // The first second of the outage and the two of the recovery are not judged.
            assert!(seconds(Phase::Outage) >= 3.0);
            assert!(seconds(Phase::Recovery) >= 3.0);
        }
    }

    #[test]
    fn phases_are_laid_out_bucket_by_bucket() {
        let stages = schedule(600.0, true);
        let phases = phases(&stages);
        assert_eq!(BUCKET * phases.len() as u32, length(&stages));
        assert_eq!(phases[0], Phase::Calm);
        assert_eq!(phases[12], Phase::Overload);
        assert_eq!(phases.last(), Some(&Phase::Recovery));
    }

    #[test]
    fn tiers_carry_the_default_voltage_of_their_priority_and_make_up_all_traffic() {
        assert_eq!(TIERS.iter().map(|t| t.share).sum::<u32>(), 100);
        for (tier, priority) in TIERS.iter().zip([Critical, High, Normal, Bulk]) {
            let volts: f64 = tier.volts.parse().unwrap();
            assert!((Volts::from(priority).get() - volts).abs() < 1e-12, "{}", tier.name);
        }
    }
}
