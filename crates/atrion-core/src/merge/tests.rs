use proptest::prelude::*;

use super::*;

const SAYS_NOTHING: Report = Report {
    scar: Ohms::ZERO,
    evidence: Evidence::ZERO,
    demand: PerSecond::ZERO,
    stance: Stance::CALM,
    age_secs: 0.0,
};

fn ohms(value: f64) -> Ohms {
    Ohms::try_new(value).unwrap()
}

fn share(value: f64) -> UnitInterval {
    UnitInterval::try_new(value).unwrap()
}

fn reports() -> impl Strategy<Value = Vec<Report>> {
    let one = (0.0..500.0_f64, 0.0..100.0_f64, -1.0..30.0_f64).prop_map(|(s, e, age_secs)| {
        let evidence = Evidence::try_new(e).unwrap();
        Report { scar: ohms(s), evidence, age_secs, ..SAYS_NOTHING }
    });
    prop::collection::vec(one, 0..20)
}

fn cluster(reports: &[Report]) -> Option<Ohms> {
    let rules = VotingRules::default();
    let mut votes: Vec<Ohms> = reports.iter().filter_map(|report| rules.vote(report)).collect();
    lower_median(&mut votes)
}

#[test]
fn the_default_rules_are_those_of_the_blending_study() {
    let study = VotingRules {
        evidence_half_life_secs: 3.0,
        evidence_min: Evidence::from(1_u32),
        evidence_cap: Evidence::from(5_u32),
        healing_per_sec: 0.1,
    };
    assert_eq!(VotingRules::default(), study);
}

#[test]
fn who_saw_nothing_or_left_has_no_vote() {
    let rules = VotingRules::default();
    let report = |e: f64, age_secs| Report {
        scar: ohms(100.0),
        evidence: Evidence::try_new(e).unwrap(),
        age_secs,
        ..SAYS_NOTHING
    };
    assert_eq!(rules.vote(&report(0.99, 0.0)), None);
    assert_eq!(rules.vote(&report(1.0, 0.0)), Some(ohms(100.0)));
    assert_eq!(rules.vote(&report(1.0, -5.0)), Some(ohms(100.0)), "clock stepped back");
    assert_eq!(rules.vote(&report(1e12, f64::NAN)), None);
    // Half-life 3 s from 5 to 1: seven seconds, whatever was claimed.
    assert!(rules.vote(&report(1e12, 6.9)).is_some());
    assert_eq!(rules.vote(&report(1e12, 7.0)), None);
}

proptest! {
    #[test]
    fn a_blend_lies_between_and_the_ends_are_exact(
        gamma in 0.0..=1.0, c in 0.0..f64::MAX, l in 0.0..f64::MAX,
    ) {
        let (c, l) = (ohms(c), ohms(l));
        let s = blend(share(gamma), c, l);
        prop_assert!(c.min(l) <= s && s <= c.max(l));
        prop_assert_eq!(blend(UnitInterval::ZERO, c, l), l);
        prop_assert_eq!(blend(UnitInterval::ONE, c, l), c);
        prop_assert_eq!(blend(share(gamma), c, c), c);
    }

    #[test]
    fn evidence_moves_gamma_from_one_to_its_own_value(
        gamma in 1e-6..=1.0, e in 0.0..1e6_f64, more in 0.0..1e6_f64, k in 0.0..100.0,
    ) {
        let of = |e| {
            let k = Evidence::try_new(k).unwrap();
            effective_gamma(share(gamma), Evidence::try_new(e).unwrap(), k)
        };
        prop_assert!(of(e) >= of(e + more), "more own evidence never listens more");
        prop_assert!(of(e).get() >= gamma - 1e-15);
        prop_assert_eq!(of(0.0), UnitInterval::ONE);
        prop_assert!((of(f64::MAX).get() - gamma).abs() < 1e-12);
    }

    #[test]
    fn the_median_is_the_sorted_middle(values in prop::collection::vec(0.0..500.0_f64, 1..30)) {
        let mut voters: Vec<Ohms> = values.iter().copied().map(ohms).collect();
        let median = lower_median(&mut voters);
        let mut sorted = voters.clone();
        sorted.sort();
        prop_assert_eq!(median, Some(sorted[(sorted.len() - 1) / 2]));
    }

    /// Order and repetition of reading change nothing: it is a function of the registers.
    #[test]
    fn order_does_not_matter(mut all in reports(), by in 0_usize..20) {
        let before = cluster(&all);
        let by = by % all.len().max(1);
        all.rotate_left(by);
        prop_assert_eq!(cluster(&all), before);
    }

    /// One voter among otherwise healthy ones cannot raise the cluster's word, whatever it
    /// claims and however heavy it says it is.
    #[test]
    fn one_liar_among_the_healthy_moves_nothing(
        healthy in 1_usize..20, lie in 0.0..f64::MAX, weight in 0.0..f64::MAX, at in 0_usize..20,
    ) {
        let honest = Report { evidence: Evidence::from(5_u32), age_secs: 0.1, ..SAYS_NOTHING };
        let liar = Report {
            scar: ohms(lie),
            evidence: Evidence::try_new(weight).unwrap(),
            ..SAYS_NOTHING
        };
        let mut all = vec![honest; healthy];
        all.insert(at % (healthy + 1), liar);
        prop_assert_eq!(cluster(&all), Some(Ohms::ZERO));
    }

    /// Replacing by the higher stamp is a join: any order of arrival ends in the same register.
    #[test]
    fn stamps_join(a: (u64, u64), b: (u64, u64), c: (u64, u64)) {
        let stamp = |(incarnation, sequence)| Stamp { incarnation, sequence };
        let join = |x: Stamp, y: Stamp| if y.replaces(x) { y } else { x };
        let (a, b, c) = (stamp(a), stamp(b), stamp(c));
        prop_assert_eq!(join(a, b), join(b, a));
        prop_assert_eq!(join(join(a, b), c), join(a, join(b, c)));
        prop_assert_eq!(join(a, a), a);
    }
}
