//! The three hypotheses of the stability analysis, with the ablation of the term each credits.
//!
//! | | claim | term | what happens |
//! |---|---|---|---|
//! | H1 | under a tenth of a binary breaker's mode changes | momentum | the dependency dies and heals in turn, each for 0.5 to 2 s |
//! | H2 | every route is passable again within 60 s, without health checks | decay | an outage of 20 s |
//! | H3 | under a tenth of the traffic of a chronically failing route is let through | scar | 90 % of the answers are failures |
//!
//! A claim alone proves little: a route that latches open changes its mode rarely. So goodput and
//! duty cycle stand beside the count, and each claim is tested again without the term it is
//! credited to. Verdicts are computed from runs paired by seed ([`Finding`]).
//!
//! ```
//! use atrion_sim::hypotheses::{Finding, Plan, run};
//!
//! let trials = run(&Plan { seeds: vec![1, 2], threads: 2 }, &|| ())?;
//! let h2 = trials.iter().find(|t| t.name == "H2" && t.subject == "atrion").unwrap();
//! assert_eq!(h2.claim, Finding::Holds, "{h2:?}");
//! # Ok::<(), atrion_sim::StudyError>(())
//! ```

mod binary;
mod judge;
mod outcome;
mod show;

use atrion_core::law::LawConfig;
use serde::Serialize;

pub use binary::Binary;
pub use judge::Finding;
pub use outcome::{Outcome, Row};
pub use show::csv;

use crate::candidate::Candidate;
use crate::error::{ScenarioError, StudyError};
use crate::parallel;
use crate::policy::{Context, ModelConfig};
use crate::rng::Rng;
use crate::scenario::{Class, Effect, Fault, Scenario, Service};
use crate::stability::Subject;
use crate::world::run as simulate;

/// H1: less than this share of the binary breaker's mode changes.
const TENTH: f64 = 0.1;
/// H2: passable again within this time.
const BOUND_SECS: f64 = 60.0;
/// H3: less than this share of the traffic.
const FEW: f64 = 0.1;
/// Goodput below the comparison's by more than this, in points, is a price.
const PRICE: f64 = 1.0;
/// A term is credited with a change of at least this much: mode changes, seconds, share.
const CREDIT: [f64; 3] = [0.5, 0.5, 0.01];
const START: f64 = 10.0;
/// H1: until then the dependency dies and heals in turn, each for so many seconds.
const FLAPPING_UNTIL: f64 = 70.0;
const FLAP_SECS: (f64, f64) = (0.5, 2.0);
/// Stream of the numbers that say when.
const FLAPS: u64 = 31;
const MOST_SEEDS: f64 = 10_000.0;
const MOST_THREADS: f64 = 1024.0;

/// How much is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Seeds of each run, 1 to 10,000; a verdict needs two at least.
    pub seeds: Vec<u64>,
    /// Threads, 1 to 1024; the results do not depend on them.
    pub threads: usize,
}

impl Default for Plan {
    /// Thirty seeds, on every core.
    fn default() -> Self {
        let threads = crate::draws::Options::default().threads;
        Self { seeds: (1..=30).collect(), threads }
    }
}

impl Plan {
    /// How many seeds and hypotheses there are to run.
    pub fn steps(&self) -> usize {
        self.seeds.len() * 2 * Hypothesis::ALL.len()
    }

    /// Refuses what cannot be run.
    ///
    /// # Errors
    /// [`StudyError::OutOfRange`] naming the field.
    pub fn check(&self) -> Result<(), StudyError> {
        StudyError::check("seeds", self.seeds.len() as f64, (1.0, MOST_SEEDS))?;
        StudyError::check("threads", self.threads as f64, (1.0, MOST_THREADS))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hypothesis {
    Momentum,
    Decay,
    Scar,
}

impl Hypothesis {
    const ALL: [Self; 3] = [Self::Momentum, Self::Decay, Self::Scar];

    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Momentum => {
                ("H1", "momentum", "under a tenth of a binary breaker's mode changes")
            }
            Self::Decay => {
                ("H2", "decay", "passable again within 60 s after an outage, without health checks")
            }
            Self::Scar => {
                ("H3", "scar", "under a tenth of a chronically failing route's traffic passes")
            }
        }
    }

    fn scenario(self, seed: u64) -> Result<Scenario, ScenarioError> {
        let (name, ..) = self.words();
        let b = Scenario::builder(name, Service::fifo(16, 0.02)).class(Class::new("normal", 0.7));
        let dead = || Effect::Outage { min_secs: 0.001, max_secs: 0.02 };
        match self {
            Self::Momentum => {
                // Irregular, or a breaker whose wait happens to fit would look clever.
                let mut rng = Rng::new(seed, FLAPS);
                let (mut b, mut at) = (b, START);
                while at < FLAPPING_UNTIL {
                    let healthy_from = at + rng.between(FLAP_SECS.0, FLAP_SECS.1);
                    b = b.fault(Fault::new(at, healthy_from, dead()));
                    at = healthy_from + rng.between(FLAP_SECS.0, FLAP_SECS.1);
                }
                b.duration_secs(FLAPPING_UNTIL + 5.0).window_secs(START, FLAPPING_UNTIL)
            }
            Self::Decay => b
                .fault(Fault::new(START, 30.0, dead()))
                .duration_secs(130.0)
                .window_secs(30.0, 130.0),
            Self::Scar => b
                .fault(Fault::new(START, 70.0, Effect::Errors { share: 0.9 }))
                .duration_secs(70.0)
                .window_secs(START + 5.0, 70.0),
        }
        .build()
    }

    /// The whole law first, then without the term, then what else it is compared with.
    fn arms(self, subject: Subject) -> Result<Vec<Arm>, StudyError> {
        let whole = match subject {
            Subject::Reference => Candidate::with_model("whole", ModelConfig::default()),
            Subject::Atrion => Candidate::with_law("whole", &LawConfig::default())?,
        };
        let model = ModelConfig::default();
        let law = LawConfig::builder();
        let without = match (subject, self) {
            (Subject::Reference, Self::Momentum) => {
                Some(Candidate::with_model("no momentum", ModelConfig { damping: 0.0, ..model }))
            }
            (Subject::Reference, Self::Decay) => {
                Some(Candidate::with_model("no decay", ModelConfig { decay_per_sec: 0.0, ..model }))
            }
            (Subject::Reference, Self::Scar) => {
                Some(Candidate::with_model("no scar", ModelConfig { scar_factor: 0.0, ..model }))
            }
            // The shipped law has no momentum that could be removed.
            (Subject::Atrion, Self::Momentum) => None,
            (Subject::Atrion, Self::Decay) => {
                Some(Candidate::with_law("no decay", &law.healing_per_sec(1e-6).build()?)?)
            }
            (Subject::Atrion, Self::Scar) => {
                Some(Candidate::with_law("no scar", &law.trauma_ohms_per_sec(0.0).build()?)?)
            }
        };
        let mut arms = vec![Arm::Law(whole)];
        arms.extend(without.map(Arm::Law));
        match (subject, self) {
            (_, Self::Momentum) => {
                arms.push(Arm::Binary);
                arms.push(Arm::Law(Candidate::parse("breaker")?));
            }
            (Subject::Atrion, Self::Decay) => {
                let law = LawConfig::builder().probe_secs(3600.0).build()?;
                arms.push(Arm::Law(Candidate::with_law("no probing", &law)?));
            }
            _ => {}
        }
        Ok(arms)
    }
}

/// A policy under trial.
#[derive(Clone, Debug)]
enum Arm {
    Law(Candidate),
    Binary,
}

impl Arm {
    fn name(&self) -> &str {
        match self {
            Self::Law(candidate) => candidate.label(),
            Self::Binary => "binary breaker",
        }
    }

    fn run(&self, scenario: &Scenario, seed: u64) -> Result<Outcome, StudyError> {
        let report = match self {
            Self::Law(candidate) => {
                simulate(scenario, candidate.make(&Context::of(scenario, seed))?.as_mut(), seed)
            }
            Self::Binary => simulate(scenario, &mut Binary::default(), seed),
        };
        Ok(Outcome::of(&report, scenario))
    }
}

/// One hypothesis about one law.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// H1, H2 or H3.
    pub name: &'static str,
    /// Whose law.
    pub subject: &'static str,
    /// The claim.
    pub sentence: &'static str,
    /// The term it is credited to.
    pub term: &'static str,
    /// Whether the claim holds.
    pub claim: Finding,
    /// Whether it is the term's doing; `None` if the law has no such term.
    pub credit: Option<Finding>,
    /// Points of goodput that the comparison (H1: the binary breaker; otherwise the law without the
    /// term) achieves more, if that is beyond chance and more than one point.
    pub price: Option<f64>,
    /// The whole law, the law without the term, what else it is compared with.
    pub rows: Vec<Row>,
}

/// Tests all three hypotheses on both laws; `progress` is called after each of [`Plan::steps`].
///
/// # Errors
/// [`StudyError`] if there are no seeds, or the engine cannot be built.
pub fn run(plan: &Plan, progress: &(dyn Fn() + Sync)) -> Result<Vec<Trial>, StudyError> {
    plan.check()?;
    let mut trials = Vec::new();
    for hypothesis in Hypothesis::ALL {
        for subject in Subject::ALL {
            let arms = hypothesis.arms(subject)?;
            let by_seed = parallel::map(plan.seeds.len(), plan.threads, |index| {
                let seed = plan.seeds.get(index).copied().unwrap_or_default();
                let scenario = hypothesis.scenario(seed)?;
                let outcomes: Result<Vec<Outcome>, StudyError> =
                    arms.iter().map(|arm| arm.run(&scenario, seed)).collect();
                progress();
                outcomes
            })?;
            let rows = arms.iter().enumerate().map(|(index, arm)| {
                let runs = by_seed.iter().filter_map(|seed| seed.get(index).copied());
                Row::of(arm.name(), runs.collect())
            });
            trials.push(judge(hypothesis, subject, rows.collect()));
        }
    }
    Ok(trials)
}

/// Differences of paired runs.
fn paired(one: &Row, other: &Row, of: impl Fn(&Outcome, &Outcome) -> f64) -> Vec<f64> {
    one.runs.iter().zip(&other.runs).map(|(a, b)| of(a, b)).collect()
}

fn judge(hypothesis: Hypothesis, subject: Subject, rows: Vec<Row>) -> Trial {
    let (name, term, sentence) = hypothesis.words();
    let find = |wanted: &str| rows.iter().find(|r| r.name == wanted);
    let whole = find("whole");
    let without = find(&format!("no {term}"));
    // What never recovers took longer than any bound.
    let recovery = |r: &Outcome| r.recovery_secs.unwrap_or(f64::INFINITY);
    let [changes, secs, share] = CREDIT;
    let (claim, compared) = match (hypothesis, whole, find("binary breaker")) {
        (Hypothesis::Momentum, Some(w), Some(b)) => {
            let short = paired(w, b, |w, b| TENTH * b.mode_changes - w.mode_changes);
            (Finding::positive(&short), Some(b))
        }
        (Hypothesis::Decay, Some(w), _) => {
            // Bounded means every time, so one exception is enough.
            let all = w.runs.iter().all(|r| recovery(r) <= BOUND_SECS);
            let finding = if w.runs.len() < 2 {
                Finding::Undecided
            } else if all {
                Finding::Holds
            } else {
                Finding::Fails
            };
            (finding, without)
        }
        (Hypothesis::Scar, Some(w), _) => {
            let short: Vec<f64> = w.runs.iter().map(|r| FEW - r.admitted).collect();
            (Finding::positive(&short), without)
        }
        _ => (Finding::Undecided, None),
    };
    let credit = whole.zip(without).map(|(w, n)| {
        Finding::positive(&match hypothesis {
            Hypothesis::Momentum => paired(w, n, |w, n| n.mode_changes - w.mode_changes - changes),
            Hypothesis::Decay => paired(w, n, |w, n| later(recovery(w), recovery(n)) - secs),
            Hypothesis::Scar => paired(w, n, |w, n| n.admitted - w.admitted - share),
        })
    });
    let price = whole.zip(compared).and_then(|(w, other)| {
        let more = paired(w, other, |w, o| o.goodput - w.goodput - PRICE);
        let mean = other.goodput.mean - w.goodput.mean;
        (Finding::positive(&more) == Finding::Holds).then_some(mean)
    });
    Trial { name, subject: subject.name(), sentence, term, claim, credit, price, rows }
}

/// How much later the second one is; not at all if neither comes.
fn later(one: f64, other: f64) -> f64 {
    if one.is_infinite() { 0.0 } else { other - one }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, mode_changes: f64, goodput: f64, recovery: f64, admitted: f64) -> Row {
        let run = |shift: f64| Outcome {
            mode_changes: mode_changes + shift,
            swings: 0.0,
            goodput,
            duty: 1.0,
            admitted,
            sent_to_dead: 0.0,
            recovery_secs: Some(recovery),
        };
        Row::of(name, vec![run(0.0), run(0.01), run(-0.01)])
    }

    fn h(hypothesis: Hypothesis, rows: Vec<Row>) -> (Finding, Option<Finding>, bool) {
        let trial = judge(hypothesis, Subject::Reference, rows);
        (trial.claim, trial.credit, trial.price.is_some())
    }

    #[test]
    fn few_changes_alone_earn_momentum_nothing() {
        use Finding::{Fails, Holds};
        let rows = |without: f64, goodput: f64| {
            vec![
                row("whole", 1.0, goodput, 0.0, 1.0),
                row("no momentum", without, goodput, 0.0, 1.0),
                row("binary breaker", 49.0, 60.0, 0.0, 1.0),
            ]
        };
        assert_eq!(h(Hypothesis::Momentum, rows(1.0, 12.0)), (Holds, Some(Fails), true));
        assert_eq!(h(Hypothesis::Momentum, rows(20.0, 80.0)), (Holds, Some(Holds), false));
        let mut many = rows(20.0, 80.0);
        many[0] = row("whole", 9.0, 80.0, 0.0, 1.0);
        assert_eq!(h(Hypothesis::Momentum, many).0, Fails, "9 is more than a tenth of 49");
    }

    #[test]
    fn recovery_must_come_every_time_and_decay_must_be_why() {
        use Finding::{Fails, Holds};
        let rows = |with: f64, without: f64| {
            vec![row("whole", 0.0, 90.0, with, 1.0), row("no decay", 0.0, 90.0, without, 1.0)]
        };
        let never = f64::INFINITY;
        assert_eq!(h(Hypothesis::Decay, rows(45.0, never)), (Holds, Some(Holds), false));
        assert_eq!(h(Hypothesis::Decay, rows(0.5, 0.5)), (Holds, Some(Fails), false));
        assert_eq!(h(Hypothesis::Decay, rows(never, never)), (Fails, Some(Fails), false));
        let mut once = rows(10.0, never);
        once[0].runs[1].recovery_secs = Some(never);
        assert_eq!(h(Hypothesis::Decay, once).0, Fails);
    }

    #[test]
    fn scars_must_keep_out_what_would_pass_without_them() {
        use Finding::{Fails, Holds};
        let rows = |with: f64, without: f64| {
            vec![row("whole", 0.0, 90.0, 0.0, with), row("no scar", 0.0, 95.0, 0.0, without)]
        };
        assert_eq!(h(Hypothesis::Scar, rows(0.02, 1.0)), (Holds, Some(Holds), true));
        assert_eq!(h(Hypothesis::Scar, rows(0.5, 0.5)), (Fails, Some(Fails), true));
    }

    #[test]
    fn plans_without_seeds_are_refused() {
        let plan = Plan { seeds: Vec::new(), threads: 1 };
        let why = run(&plan, &|| ()).expect_err("refused").to_string();
        assert_eq!(why, "seeds is 0, allowed is 1 to 10000");
    }
}
