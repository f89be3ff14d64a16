use super::*;
use crate::law::OwnWord;
use crate::merge::Report;
use crate::units::PerSecond;
use crate::vector::Stance;

const DT: f64 = 0.05;

/// One route of one node, with a scripted cluster around it.
struct Bench {
    law: LawConfig,
    breaker: Breaker,
    hearsay: Hearsay,
    gamma: UnitInterval,
    now: Timestamp,
}

fn complaint(scar: f64) -> Report {
    Report {
        scar: Ohms::computed(scar),
        evidence: Evidence::computed(5.0),
        demand: PerSecond::computed(20.0),
        stance: Stance { open: scar >= 100.0, ..Stance::CALM },
        age_secs: 0.0,
    }
}

impl Bench {
    fn new(gamma: f64) -> Self {
        let law = LawConfig::default();
        Self {
            breaker: Breaker::new(&law),
            hearsay: Hearsay::new(&law),
            gamma: UnitInterval::try_new(gamma).unwrap(),
            now: Timestamp::from_secs(100),
            law,
        }
    }

    fn moment(&self) -> Moment {
        Moment { now: self.now, in_flight: 0, draw: 0.5 }
    }

    fn hear(&mut self, reports: &[Report]) {
        let own = OwnWord {
            scar: Ohms::computed(self.breaker.scar()),
            evidence: Evidence::computed(self.breaker.evidence(&self.law)),
            demand: PerSecond::computed(20.0),
        };
        let mut votes = vec![Ohms::ZERO; reports.len() + 1];
        let word = Word::gather(reports, &own, &mut votes, &self.law);
        let moment = self.moment();
        self.hearsay.hear(&word, self.gamma, &mut self.breaker, moment, &self.law);
    }

    fn tick(&mut self, endings: Endings) {
        self.now = self.now.add_secs(DT);
        self.breaker.tick(&endings, DT, self.now, 0.5, &self.law);
        let moment = self.moment();
        self.hearsay.tick(&endings, &mut self.breaker, moment, &self.law);
    }

    fn succeed(&mut self, count: u32) {
        self.tick(Endings { completed: count, ..Endings::default() });
    }

    fn refuted(&self) -> bool {
        self.hearsay.is_refuted(&self.breaker, &self.law)
    }
}

#[test]
fn a_node_that_has_seen_nothing_is_held_by_a_lone_complaint_and_looks() {
    let mut bench = Bench::new(0.3);
    bench.hear(&[complaint(500.0)]);
    assert!(bench.hearsay.is_held());
    assert!((bench.hearsay.blended_ohms() - 100.0).abs() < 1e-9);
    // A round is shared with the one that complains, and one request in ten at most is a probe.
    let due = bench.hearsay.prober().next().secs_since(bench.now);
    assert!((due - 0.25).abs() < 1e-9, "half of the draw of a round of 0.5 s: {due}");
}

#[test]
fn four_successes_in_a_row_refute_and_the_word_stays_refuted() {
    let mut bench = Bench::new(0.3);
    bench.hear(&[complaint(500.0); 3]);
    for good in 1..=4 {
        assert!(bench.hearsay.is_held(), "after {} good probes", good - 1);
        bench.now = bench.now.add_secs(1.0);
        bench.hear(&[complaint(500.0); 3]);
        assert!(bench.hearsay.try_probe(bench.now));
        bench.tick(Endings { probes_ok: 1, ..Endings::default() });
    }
    assert!(bench.refuted() && !bench.hearsay.is_held());
    assert!(bench.hearsay.blended_ohms().abs() < 1e-12);
    for _ in 0..200 {
        bench.hear(&[complaint(500.0); 3]);
        bench.succeed(1);
        assert!(!bench.hearsay.is_held());
    }
}

#[test]
fn failed_probes_confirm_and_the_own_breaker_takes_over() {
    let mut bench = Bench::new(0.3);
    bench.hear(&[complaint(500.0)]);
    let mut failures = 0;
    while bench.breaker.mode() == BreakerMode::Closed {
        bench.hear(&[complaint(500.0)]);
        let probe = bench.hearsay.try_probe(bench.now);
        failures += u32::from(probe);
        bench.tick(Endings { probes_failed: u32::from(probe), ..Endings::default() });
        assert!(failures <= 2, "no more than two own failures confirm a warning");
    }
    assert!(!bench.hearsay.is_held(), "an open breaker follows its own errors");
}

#[test]
fn a_busy_healthy_node_is_cautious_and_refutes_within_a_few_requests() {
    let mut bench = Bench::new(0.3);
    for _ in 0..20 {
        bench.succeed(2);
    }
    bench.hear(&[complaint(500.0), Report { stance: Stance::CALM, ..complaint(0.0) }]);
    let cautious = bench.hearsay.blended_ohms();
    assert!(cautious > 5.0 && cautious < 14.0, "{cautious}");
    assert!(!bench.hearsay.is_held());
    bench.succeed(4);
    assert!(bench.refuted() && bench.hearsay.blended_ohms().abs() < 1e-12);
}

#[test]
fn requests_sent_before_the_news_prove_nothing() {
    let mut bench = Bench::new(0.3);
    let moment = Moment { in_flight: 6, ..bench.moment() };
    let mut votes = [Ohms::ZERO; 2];
    let own = OwnWord { scar: Ohms::ZERO, evidence: Evidence::ZERO, demand: PerSecond::ZERO };
    let word = Word::gather(&[complaint(500.0)], &own, &mut votes, &bench.law);
    bench.hearsay.hear(&word, bench.gamma, &mut bench.breaker, moment, &bench.law);
    bench.succeed(6);
    assert!(!bench.refuted());
    bench.succeed(4);
    assert!(bench.refuted());
}

#[test]
fn what_was_refuted_is_believed_again_once_own_errors_say_so() {
    let mut bench = Bench::new(0.3);
    bench.hear(&[complaint(500.0); 3]);
    bench.succeed(8);
    assert!(bench.refuted());
    while bench.breaker.error_rate() < 0.25 {
        bench.hear(&[complaint(500.0); 3]);
        bench.tick(Endings { completed: 2, failed: 2, ..Endings::default() });
    }
    assert!(!bench.refuted() && bench.hearsay.blended_ohms() > 50.0);
}

#[test]
fn gamma_one_obeys_and_gamma_zero_does_not_listen() {
    let mut hive = Bench::new(1.0);
    for _ in 0..40 {
        hive.succeed(4);
    }
    hive.hear(&[complaint(5.0), complaint(7.0), complaint(9.0)]);
    assert!((hive.hearsay.blended_ohms() - 5.0).abs() < 1e-15, "lower median of 0, 5, 7 and 9");
    hive.succeed(100);
    assert!(!hive.refuted(), "own eyes count for nothing");
    let mut alone = Bench::new(0.0);
    alone.hear(&[complaint(500.0); 5]);
    assert!(!alone.hearsay.is_held() && alone.hearsay.blended_ohms().abs() < 1e-15);
}

/// The founding document's table, to the last digit where own evidence is full.
#[test]
fn with_full_evidence_it_is_the_founding_formula() {
    for (gamma, expected) in [(0.0, 2.0), (0.3, 0.3 * 5.0 + 0.7 * 2.0), (1.0, 5.0)] {
        let law = LawConfig::builder()
            .hearsay_caution_ohms(0.0)
            .hearsay_evidence_half(0.0)
            .build()
            .unwrap();
        let mut bench = Bench { law, ..Bench::new(gamma) };
        bench.breaker.restore_scar_of(2.0);
        for _ in 0..40 {
            bench.breaker.see_for_test(100.0);
        }
        bench.hear(&[complaint(5.0), complaint(5.0)]);
        let s = bench.hearsay.blended_ohms();
        assert_eq!(s.to_bits(), f64::to_bits(expected), "gamma {gamma}: {s} is not {expected}");
    }
}

#[test]
fn an_episode_ends_after_quiet_and_the_next_one_asks_for_proof_again() {
    let mut bench = Bench::new(0.3);
    bench.hear(&[complaint(500.0)]);
    bench.succeed(5);
    assert!(bench.refuted());
    for _ in 0..99 {
        bench.hear(&[]);
        bench.succeed(1);
        assert!(!bench.hearsay.is_over(&bench.breaker, bench.now) || !bench.refuted());
    }
    for _ in 0..3 {
        bench.hear(&[]);
        bench.succeed(1);
    }
    assert!(bench.hearsay.is_over(&bench.breaker, bench.now));
    assert!(!bench.refuted());
}

#[test]
fn without_news_for_two_seconds_nothing_was_ever_said() {
    let mut bench = Bench::new(0.3);
    bench.hear(&[complaint(500.0)]);
    assert!(bench.hearsay.is_held());
    for _ in 0..41 {
        bench.tick(Endings::default());
    }
    assert!(!bench.hearsay.is_held() && bench.hearsay.blended_ohms().abs() < 1e-12);
}

#[test]
fn no_chatter_at_the_threshold() {
    let mut bench = Bench::new(0.3);
    let mut changes = 0;
    let mut held = false;
    for step in 0..400 {
        // The cluster's word flickers around the opening threshold.
        let scar = if step % 2 == 0 { 101.0 } else { 88.0 };
        bench.hear(&[complaint(scar)]);
        bench.tick(Endings::default());
        changes += u32::from(bench.hearsay.is_held() != held);
        held = bench.hearsay.is_held();
    }
    assert_eq!(changes, 1);
}

#[test]
fn an_invitation_brings_the_next_look_forward_once_per_second() {
    let mut bench = Bench::new(0.3);
    let inviting = Report { stance: Stance { good: true, ..Stance::CALM }, ..complaint(500.0) };
    let loud = Report { demand: PerSecond::computed(400.0), ..complaint(500.0) };
    bench.hear(&[loud]);
    let before = bench.hearsay.prober().next();
    assert!(before.secs_since(bench.now) > 1.0);
    bench.hear(&[loud, inviting]);
    assert!(bench.hearsay.prober().next().secs_since(bench.now) <= 0.25);
    // It fails; the peer still says that its probe was good, but that was one invitation.
    bench.now = bench.now.add_secs(0.2);
    assert!(bench.hearsay.try_probe(bench.now));
    bench.tick(Endings { probes_failed: 1, ..Endings::default() });
    bench.hear(&[loud, inviting]);
    assert!(bench.hearsay.prober().next().secs_since(bench.now) > 1.0);
}

#[test]
fn a_clock_that_steps_back_holds_nobody_for_ever() {
    let mut bench = Bench::new(0.3);
    bench.hear(&[complaint(500.0)]);
    bench.now = Timestamp::from_secs(1);
    bench.tick(Endings::default());
    for _ in 0..60 {
        bench.tick(Endings::default());
    }
    assert!(!bench.hearsay.is_held());
}

#[test]
fn a_failed_probe_of_a_node_that_fails_anyway_ends_the_row_of_successes() {
    let mut bench = Bench::new(0.3);
    bench.breaker.report_rate(0.8, 1e6, &bench.law);
    bench.hear(&[complaint(500.0)]);
    let endings = Endings { completed: 3, ..Endings::default() };
    bench.hearsay.prove(&endings, &bench.breaker);
    assert!(bench.hearsay.episode.as_ref().is_some_and(|e| (e.proof - 3.0).abs() < 1e-12));
    let endings = Endings { probes_failed: 1, ..Endings::default() };
    bench.hearsay.prove(&endings, &bench.breaker);
    assert!(bench.hearsay.episode.as_ref().is_some_and(|e| e.proof.abs() < 1e-12));
}

#[test]
fn errors_that_were_there_before_do_not_confirm() {
    let with = |error_rate| {
        let episode = Episode { earlier: 0, error_rate, proof: 0.0, quiet_since: None };
        episode.refuted_below()
    };
    assert!((with(0.0) - 0.25).abs() < 1e-12);
    assert!((with(0.4) - 0.55).abs() < 1e-12);
}

#[test]
fn two_invitations_at_one_moment_are_one() {
    let mut bench = Bench::new(0.3);
    let inviting = Report { stance: Stance { good: true, ..Stance::CALM }, ..complaint(500.0) };
    bench.hear(&[complaint(500.0)]);
    bench.hear(&[inviting]);
    let invited = bench.hearsay.prober().next();
    assert!((invited.secs_since(bench.now) - 0.125).abs() < 1e-9, "half of a quarter");
    let word = Word { invites: true, ..*bench.hearsay.word() };
    let sooner = Moment { draw: 0.0, ..bench.moment() };
    bench.hearsay.hear(&word, bench.gamma, &mut bench.breaker, sooner, &bench.law);
    assert_eq!(bench.hearsay.prober().next(), invited);
}
