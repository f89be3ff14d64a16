//! What a node makes of the others' words, over a script of many moments.

use atrion_core::law::{Breaker, Endings, Hearsay, LawConfig, Moment, OwnWord, Word};
use atrion_core::merge::Report;
use atrion_core::time::Timestamp;
use atrion_core::units::{Evidence, Ohms, PerSecond, UnitInterval};
use atrion_core::vector::Stance;

use crate::record::{Fingerprint, compare};
use crate::world::Draws;

const DT: f64 = 0.05;

struct Node {
    law: LawConfig,
    gamma: UnitInterval,
    breaker: Breaker,
    hearsay: Hearsay,
    draws: Draws,
    now: Timestamp,
    arrivals: u32,
    print: Fingerprint,
}

/// What happens in one second of the script.
#[derive(Clone, Copy)]
struct Second {
    /// How many peers are heard of, and how many of those complain.
    peers: (usize, usize),
    failing: f64,
    per_tick: u32,
}

fn report(draws: &mut Draws, complains: bool) -> Report {
    let number = |draws: &mut Draws, most: f64| most * draws.unit();
    let scar = if complains { number(draws, 600.0) } else { 0.0 };
    Report {
        scar: Ohms::try_new(scar).expect("finite"),
        evidence: Evidence::try_new(number(draws, 8.0)).expect("finite"),
        demand: PerSecond::try_new(number(draws, 60.0)).expect("finite"),
        stance: Stance { open: scar > 100.0, good: draws.unit() < 0.1, ..Stance::CALM },
        age_secs: number(draws, 2.5),
    }
}

impl Node {
    fn new(gamma: f64, law: LawConfig, seed: u64) -> Self {
        let now = Timestamp::from_secs(100);
        let mut breaker = Breaker::new(&law);
        breaker.count_from(0, now);
        Self {
            breaker,
            hearsay: Hearsay::new(&law),
            gamma: UnitInterval::try_new(gamma).expect("a share"),
            law,
            draws: Draws(seed),
            now,
            arrivals: 0,
            print: Fingerprint::new(),
        }
    }

    fn hear(&mut self, second: Second) {
        let (peers, complaining) = second.peers;
        let reports: Vec<Report> =
            (0..peers).map(|peer| report(&mut self.draws, peer < complaining)).collect();
        let own = OwnWord {
            scar: Ohms::try_new(self.breaker.scar()).expect("finite"),
            evidence: Evidence::try_new(self.breaker.evidence(&self.law)).expect("finite"),
            demand: PerSecond::try_new(self.breaker.demand().rate()).expect("finite"),
        };
        let mut votes = vec![Ohms::ZERO; peers + 1];
        let word = Word::gather(&reports, &own, &mut votes, &self.law);
        for number in [word.median.get(), word.caution.get(), word.sharing, word.demand] {
            self.print.number(number);
        }
        self.print.number(word.round_secs(&self.law));
        self.print.word(u64::from(word.voters) << 32 | u64::from(word.peers));
        self.print.word(u64::from(word.invites) << 1 | u64::from(word.complaint));
        let moment = self.moment();
        self.hearsay.hear(&word, self.gamma, &mut self.breaker, moment, &self.law);
    }

    fn moment(&mut self) -> Moment {
        Moment { now: self.now, in_flight: 3, draw: self.draws.unit() }
    }

    fn tick(&mut self, second: Second) {
        self.now = self.now.add_secs(DT);
        let mut endings = Endings::default();
        self.arrivals += second.per_tick;
        if self.breaker.try_probe(self.now) || self.hearsay.try_probe(self.now) {
            match (self.draws.unit() < second.failing, self.draws.unit() < 0.1) {
                (_, true) => endings.probes_cancelled = 1,
                (true, _) => endings.probes_failed = 1,
                (false, _) => endings.probes_ok = 1,
            }
        }
        if !self.hearsay.is_held() {
            endings.completed = second.per_tick;
            endings.failed =
                (0..second.per_tick).map(|_| u32::from(self.draws.unit() < second.failing)).sum();
        }
        self.breaker.count_to(self.arrivals, self.now);
        let draw = self.draws.unit();
        self.breaker.tick(&endings, DT, self.now, draw, &self.law);
        let moment = self.moment();
        self.hearsay.tick(&endings, &mut self.breaker, moment, &self.law);
        self.print_all();
    }

    fn print_all(&mut self) {
        let hearsay = &self.hearsay;
        for number in [
            hearsay.blended_ohms(),
            hearsay.hearsay_ohms(),
            hearsay.own_share(),
            self.breaker.scar(),
            self.breaker.error_rate(),
        ] {
            self.print.number(number);
        }
        let flags = [
            hearsay.is_held(),
            hearsay.is_refuted(&self.breaker, &self.law),
            hearsay.is_over(&self.breaker, self.now),
            hearsay.probe_due(self.now),
        ];
        self.print.word(flags.iter().fold(0, |bits, flag| 2 * bits + u64::from(*flag)));
        self.print.word(hearsay.prober().next().as_nanos());
        self.print.word(self.breaker.next_probe().as_nanos());
    }

    fn row(&self, second: usize) -> String {
        format!(
            "{second:3} s own scar {:6.2} acts {:6.2} of which heard {:6.2} own share {:5.3} held {:5} refuted {:5} {}",
            self.breaker.scar(),
            self.hearsay.blended_ohms(),
            self.hearsay.hearsay_ohms(),
            self.hearsay.own_share(),
            self.hearsay.is_held(),
            self.hearsay.is_refuted(&self.breaker, &self.law),
            self.print
        )
    }
}

fn script() -> Vec<Second> {
    let calm = Second { peers: (4, 0), failing: 0.0, per_tick: 2 };
    let mut script = Vec::new();
    for (seconds, second) in [
        (3, calm),
        (6, Second { peers: (4, 1), ..calm }),
        (4, calm),
        (5, Second { peers: (4, 4), per_tick: 0, ..calm }),
        (6, Second { peers: (5, 3), failing: 0.3, ..calm }),
        (8, Second { peers: (5, 5), failing: 1.0, per_tick: 1 }),
        (8, Second { peers: (3, 3), ..calm }),
        (3, Second { peers: (0, 0), ..calm }),
        (6, Second { peers: (1, 1), failing: 0.1, per_tick: 0 }),
        (8, calm),
    ] {
        script.extend((0..seconds).map(|_| second));
    }
    script
}

fn rows(mut node: Node) -> Vec<String> {
    let mut rows = Vec::new();
    for (number, second) in script().into_iter().enumerate() {
        for pulse in 0..4 {
            // The provider is silent for a while, and the clock steps back once.
            if second.peers.0 > 0 && number != 20 && number != 21 {
                node.hear(second);
            }
            if (number, pulse) == (30, 2) {
                node.now = Timestamp::from_nanos(node.now.as_nanos() - 4_000_000_000);
            }
            (0..5).for_each(|_| node.tick(second));
        }
        rows.push(node.row(number + 1));
    }
    rows
}

#[test]
fn heard_with_some_trust() {
    compare("heard_with_some_trust", &rows(Node::new(0.3, LawConfig::default(), 1)));
}

#[test]
fn heard_with_much_trust() {
    compare("heard_with_much_trust", &rows(Node::new(0.8, LawConfig::default(), 2)));
}

#[test]
fn heard_as_a_hive() {
    compare("heard_as_a_hive", &rows(Node::new(1.0, LawConfig::default(), 3)));
}

#[test]
fn heard_with_other_numbers() {
    let law = LawConfig::builder()
        .hearsay_evidence_min(0.5)
        .hearsay_evidence_cap(3.0)
        .hearsay_evidence_half(4.0)
        .hearsay_caution_ohms(40.0)
        .hearsay_proofs(9.0)
        .hearsay_quiet_secs(1.5)
        .hearsay_invitation_secs(0.6)
        .hearsay_demand_clip(3.0)
        .hearsay_probe_share(4.0)
        .hearsay_probe_longest_secs(2.0)
        .build()
        .expect("valid");
    compare("heard_with_other_numbers", &rows(Node::new(0.15, law, 4)));
}
