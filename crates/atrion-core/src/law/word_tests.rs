use proptest::prelude::*;

use super::*;
use crate::vector::Stance;

fn report(scar: f64, evidence: f64) -> Report {
    Report {
        scar: Ohms::computed(scar),
        evidence: Evidence::computed(evidence),
        demand: PerSecond::computed(20.0),
        stance: Stance::CALM,
        age_secs: 0.0,
    }
}

fn own(scar: f64, evidence: f64, demand: f64) -> OwnWord {
    OwnWord {
        scar: Ohms::computed(scar),
        evidence: Evidence::computed(evidence),
        demand: PerSecond::computed(demand),
    }
}

fn gather(reports: &[Report], own: &OwnWord) -> Word {
    let mut votes = vec![Ohms::ZERO; reports.len() + 1];
    Word::gather(reports, own, &mut votes, &LawConfig::default())
}

fn hearsay(word: &Word, gamma: f64, evidence: f64) -> f64 {
    let law = LawConfig::default();
    let gamma = UnitInterval::try_new(gamma).unwrap();
    let half = Evidence::computed(law.hearsay_evidence_half());
    let effective = crate::merge::effective_gamma(gamma, Evidence::computed(evidence), half);
    word.hearsay_ohms(gamma, effective, &law)
}

const HEALTHY: OwnWord = OwnWord {
    scar: Ohms::ZERO,
    evidence: Evidence::constant(20.0),
    demand: PerSecond::constant(20.0),
};

#[test]
fn nobody_says_nothing() {
    let word = gather(&[], &HEALTHY);
    assert_eq!((word.voters, word.peers), (1, 0));
    assert!(!word.complaint && !word.invites);
    assert!(hearsay(&word, 0.3, 20.0).abs() < 1e-12);
    assert!((word.round_secs(&LawConfig::default()) - 0.25).abs() < 1e-12);
}

/// The table of the blending study, section 3.4, row "recommended": what one liar among the
/// healthy can add at most.
#[test]
fn one_liar_costs_a_healthy_node_what_the_study_says() {
    for (nodes, most) in [(2, 14.0), (3, 9.34), (5, 5.61), (50, 0.57)] {
        let mut reports = vec![report(0.0, 5.0); nodes - 2];
        reports.push(report(500.0, 1e6));
        let h = hearsay(&gather(&reports, &HEALTHY), 0.3, 1e9);
        assert!(h <= most && h > most - 0.1, "{nodes} nodes: {h}");
        let cold = hearsay(&gather(&reports[1.min(nodes - 2)..], &own(0.0, 0.0, 0.0)), 0.3, 0.0);
        if nodes > 3 {
            assert!(cold <= 14.0 + 1e-9, "asker without evidence, {nodes} nodes: {cold}");
        }
    }
}

#[test]
fn who_has_seen_nothing_believes_a_lone_witness() {
    let word = gather(&[report(500.0, 5.0)], &own(0.0, 0.0, 0.1));
    assert_eq!((word.voters, word.peers), (1, 1));
    assert!((hearsay(&word, 0.3, 0.0) - 100.0).abs() < 1e-12, "clipped to the opening threshold");
    assert!((hearsay(&word, 0.05, 0.0) - 100.0).abs() < 1e-12, "at any gamma above zero");
    assert!(hearsay(&word, 0.0, 0.0).abs() < 1e-12, "gamma 0 does not listen");
    assert!((hearsay(&word, 1.0, 0.0) - 500.0).abs() < 1e-12, "gamma 1: the word as it is");
}

#[test]
fn the_share_of_probing_follows_demand_and_bounds_every_claim() {
    let law = LawConfig::default();
    let looking = |demand: f64| Report {
        demand: PerSecond::computed(demand),
        stance: Stance { open: true, ..Stance::CALM },
        ..report(500.0, 5.0)
    };
    let word = gather(&[looking(20.0); 4], &HEALTHY);
    assert!((word.sharing - 5.0).abs() < 1e-12);
    assert!((word.round_secs(&law) - 1.25).abs() < 1e-12);
    // A claim of 1e12 requests per second counts as ten times our own demand.
    let word = gather(&[looking(1e12)], &HEALTHY);
    assert!((word.sharing - 11.0).abs() < 1e-12);
    // Quiet nodes: one request in ten is a probe, however long that takes.
    let quiet = gather(&[looking(50.0)], &own(0.0, 0.0, 0.1));
    assert!((quiet.round_secs(&law) - 100.0).abs() < 1e-9);
    // Old registers do not look.
    let old = Report { age_secs: 1.5, ..looking(20.0) };
    assert!((gather(&[old], &HEALTHY).sharing - 1.0).abs() < 1e-12);
}

#[test]
fn too_little_scratch_drops_votes_and_does_not_panic() {
    let word = Word::gather(&[report(5.0, 5.0); 3], &HEALTHY, &mut [], &LawConfig::default());
    assert_eq!(word.voters, 0);
}

fn any_report() -> impl Strategy<Value = Report> {
    let stance = (any::<bool>(), any::<bool>(), any::<bool>());
    (0.0..1e300_f64, 0.0..1e300_f64, 0.0..1e300_f64, -1.0..1e9_f64, stance).prop_map(
        |(scar, evidence, demand, age_secs, (open, held, good))| Report {
            scar: Ohms::computed(scar),
            evidence: Evidence::computed(evidence),
            demand: PerSecond::computed(demand),
            stance: Stance { open, held, good },
            age_secs,
        },
    )
}

proptest! {
    /// Whatever anybody claims: everything is finite, waits are bounded, and the asker without
    /// evidence gets the clip and no more.
    #[test]
    fn claims_cannot_poison(
        reports in prop::collection::vec(any_report(), 0..12),
        evidence in 0.0..1e3_f64, gamma in 0.0..0.999_f64,
    ) {
        let law = LawConfig::default();
        let word = gather(&reports, &own(0.0, evidence, 3.0));
        let h = hearsay(&word, gamma, evidence);
        prop_assert!(h.is_finite() && (0.0..=law.open_ohms() + law.hearsay_caution_ohms()).contains(&h));
        let round = word.round_secs(&law);
        prop_assert!((law.probe_secs()..=15.0).contains(&round), "{round}");
    }

    /// One arbitrary node among healthy ones never makes a healthy node with evidence refuse a
    /// normal request (20 V), not even before it has looked.
    #[test]
    fn one_arbitrary_node_never_costs_a_normal_request(
        liar in any_report(), healthy in 1_usize..50, gamma in 0.0..=0.5_f64,
    ) {
        let mut reports = vec![report(0.0, 5.0); healthy];
        reports.push(liar);
        let word = gather(&reports, &HEALTHY);
        let h = hearsay(&word, gamma, 20.0);
        prop_assert!(h < 19.0, "{h}");
    }

    /// Order does not matter.
    #[test]
    fn the_word_is_a_function_of_the_set(
        mut reports in prop::collection::vec(any_report(), 1..12), by in 0_usize..12,
    ) {
        let before = gather(&reports, &HEALTHY);
        let by = by % reports.len();
        reports.rotate_left(by);
        let after = gather(&reports, &HEALTHY);
        prop_assert_eq!(before.median, after.median);
        prop_assert_eq!(before.voters, after.voters);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs();
        prop_assert!(close(before.caution.get(), after.caution.get()));
        prop_assert!(close(before.sharing, after.sharing));
    }
}

#[test]
fn without_peers_nothing_is_heard() {
    let law = LawConfig::default();
    let gamma = UnitInterval::try_new(0.3).unwrap();
    let alone = Word { median: Ohms::from(50_u32), voters: 1, ..Word::SILENCE };
    assert!(alone.hearsay_ohms(gamma, gamma, &law).abs() < 1e-15);
    let heard = Word { peers: 1, ..alone };
    assert!((heard.hearsay_ohms(gamma, gamma, &law) - 15.0).abs() < 1e-12);
    assert!(heard.hearsay_ohms(UnitInterval::ZERO, gamma, &law).abs() < 1e-15);
}

#[test]
fn a_peer_that_was_silent_for_a_second_takes_no_part_in_the_probing() {
    let law = LawConfig::default();
    let heard = |age_secs| {
        let inviting = Stance { open: true, good: true, ..Stance::CALM };
        let peer = Report { age_secs, stance: inviting, ..report(500.0, 5.0) };
        let word = Word::gather(&[peer], &own(0.0, 5.0, 20.0), &mut [Ohms::ZERO; 2], &law);
        (word.invites, word.sharing > 1.0)
    };
    assert_eq!(heard(0.999), (true, true));
    assert_eq!(heard(1.0), (false, false));
}
