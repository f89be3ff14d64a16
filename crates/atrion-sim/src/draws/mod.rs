//! Never-tuned services: random services under random scenarios, judged by the best static limit
//! in hindsight.
//!
//! # Training and held-out draws
//! Draw `n` of a family is made from the key `2 n` (training) or `2 n + 1` (held-out), which is
//! also the seed of its runs: no draw is in both families. Numbers of the law are chosen on
//! training draws. Held-out draws are for reporting only: whoever has looked at them while
//! choosing must report on others, with a higher first number.
//!
//! ```
//! use atrion_sim::Candidate;
//! use atrion_sim::draws::{Family, Options, evaluate};
//!
//! let policies = [Candidate::parse("atrion")?, Candidate::parse("unlimited")?];
//! let options = Options { most_requests: 5000.0, ..Options::default() };
//! let study = evaluate(Family::Training, 4, 1, &policies, &options, &|| ())?;
//! let all = &study.tables()[0];
//! assert_eq!((all.group.as_str(), all.draws), ("all", 4));
//! assert!(all.rows[0].mean > all.rows[1].mean, "{all:?}");
//! # Ok::<(), atrion_sim::StudyError>(())
//! ```

mod judge;
mod limit;
mod script;
mod service;
mod show;

use serde::Serialize;

pub use judge::{Figures, Judged, Row, Table};
pub use script::Kind;
pub use service::Model;

use crate::candidate::Candidate;
use crate::error::StudyError;
use crate::parallel;
use crate::policy::Context;
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::world::run;
pub(crate) use limit::best as best_limit;

/// Stream of the numbers that a draw is made from.
const DRAWING: u64 = 21;
/// Most draws of one evaluation.
const MOST_DRAWS: u32 = 1_000_000;
/// Numbers stay exact as keys, and as JSON.
const LARGEST_NUMBER: u64 = 1 << 50;
const REQUESTS: (f64, f64) = (1000.0, 1e7);
const MOST_THREADS: usize = 1024;

/// Which draws: see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// For choosing.
    Training,
    /// For reporting only.
    HeldOut,
}

impl Family {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::HeldOut => "held-out",
        }
    }

    /// The key of draw `number`, which is the seed of its runs too.
    const fn key(self, number: u64) -> u64 {
        match self {
            Self::Training => 2 * number,
            Self::HeldOut => 2 * number + 1,
        }
    }
}

/// One service with what happens to it.
#[derive(Clone, Debug)]
pub struct Draw {
    number: u64,
    seed: u64,
    kind: Kind,
    model: Model,
    places: u32,
    variation: f64,
    scenario: Scenario,
}

impl Draw {
    /// Draw `number` of a family, with its times squeezed (to a tenth at most) if its run would
    /// hold more than about `most_requests`.
    ///
    /// # Errors
    /// [`StudyError::OutOfRange`] for a number above 2^50 or fewer than 1000 requests.
    pub fn new(family: Family, number: u64, most_requests: f64) -> Result<Self, StudyError> {
        StudyError::check("number of the draw", number as f64, (0.0, LARGEST_NUMBER as f64))?;
        StudyError::check("most_requests", most_requests, REQUESTS)?;
        let seed = family.key(number);
        let mut rng = Rng::new(seed, DRAWING);
        let drawn = service::draw(&mut rng);
        let script = script::draw(&mut rng);
        let name = format!("{}:{number}", family.name());
        Ok(Self {
            number,
            seed,
            kind: script.kind,
            model: drawn.model,
            places: drawn.places,
            variation: drawn.variation,
            scenario: script.play(&name, &drawn, most_requests)?,
        })
    }

    /// Its number within the family.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The seed of its runs.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// What happens.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How the service works.
    pub const fn model(&self) -> Model {
        self.model
    }

    /// Workers, connections or cores.
    pub const fn places(&self) -> u32 {
        self.places
    }

    /// Coefficient of variation of the service times; infinite for some power laws.
    pub const fn variation(&self) -> f64 {
        self.variation
    }

    /// All of it, ready to be run.
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }
}

/// How an evaluation is carried out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Threads, 1 to 1024. The results do not depend on it.
    pub threads: usize,
    /// Runs are squeezed towards this many requests, 1000 to 1e7. The results depend on it.
    pub most_requests: f64,
}

impl Default for Options {
    /// Every core, runs of some 100,000 requests.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { threads: threads.min(MOST_THREADS), most_requests: 1e5 }
    }
}

impl Options {
    /// Refuses what cannot be carried out.
    ///
    /// # Errors
    /// [`StudyError::OutOfRange`] naming the field.
    pub fn check(&self) -> Result<(), StudyError> {
        StudyError::check("threads", self.threads as f64, (1.0, MOST_THREADS as f64))?;
        StudyError::check("most_requests", self.most_requests, REQUESTS)
    }
}

/// What came of an evaluation.
#[derive(Clone, Debug, Serialize)]
pub struct Study {
    /// Which draws.
    pub family: Family,
    /// The first draw's number.
    pub first: u64,
    /// Runs were squeezed towards this many requests.
    pub most_requests: f64,
    /// Names of the policies, in the order of every row.
    pub policies: Vec<String>,
    /// For each policy whether it is somebody else's.
    pub peers: Vec<bool>,
    /// Every draw, in the order of its number.
    pub draws: Vec<Judged>,
}

/// Runs `candidates` on `count` draws of a family from number `seed` on, and judges each by the
/// best static limit of that draw. `progress` is called after each draw, on any thread.
///
/// # Errors
/// [`StudyError`] if a number is out of range, if there are no candidates or two of one name, or
/// if the engine cannot be built.
pub fn evaluate(
    family: Family,
    count: u32,
    seed: u64,
    candidates: &[Candidate],
    options: &Options,
    progress: &(dyn Fn() + Sync),
) -> Result<Study, StudyError> {
    options.check()?;
    Candidate::check_all(candidates)?;
    StudyError::check("draws", f64::from(count), (1.0, f64::from(MOST_DRAWS)))?;
    StudyError::check("first draw", seed as f64, (0.0, (LARGEST_NUMBER >> 1) as f64))?;
    let draws = parallel::map(count as usize, options.threads, |index| {
        let draw = Draw::new(family, seed + index as u64, options.most_requests)?;
        let judged = judge_one(&draw, candidates)?;
        progress();
        Ok::<_, StudyError>(judged)
    })?;
    Ok(Study {
        family,
        first: seed,
        most_requests: options.most_requests,
        policies: candidates.iter().map(|c| c.label().to_owned()).collect(),
        peers: candidates.iter().map(Candidate::is_peer).collect(),
        draws,
    })
}

fn judge_one(draw: &Draw, candidates: &[Candidate]) -> Result<Judged, StudyError> {
    let scenario = draw.scenario();
    let (limit, oracle) = best_limit(scenario, draw.seed()).unwrap_or_default();
    let context = Context::of(scenario, draw.seed());
    let mut reports = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let mut policy = candidate.make(&context)?;
        reports.push(run(scenario, policy.as_mut(), draw.seed()));
    }
    Ok(Judged::new(draw, limit, &oracle, &reports))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(names: &[&str]) -> Vec<Candidate> {
        names.iter().map(|n| Candidate::parse(n).expect("known")).collect()
    }

    fn small() -> Options {
        Options { threads: 2, most_requests: 3000.0 }
    }

    #[test]
    fn families_share_no_draw() {
        let keys = |f: Family| (0..500).map(move |n| f.key(n));
        assert!(keys(Family::Training).all(|k| keys(Family::HeldOut).all(|other| other != k)));
        let of = |f| Draw::new(f, 7, 1e4).expect("valid").scenario().to_toml();
        assert_ne!(of(Family::Training), of(Family::HeldOut));
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_threads() {
        let run = |threads| {
            let options = Options { threads, ..small() };
            let study =
                evaluate(Family::Training, 6, 3, &policies(&["atrion", "aimd"]), &options, &|| ());
            study.expect("runs").csv()
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let of = |count, seed, names: &[&str], options: Options| {
            evaluate(Family::HeldOut, count, seed, &policies(names), &options, &|| ())
                .expect_err("must be refused")
                .to_string()
        };
        assert_eq!(of(0, 1, &["aimd"], small()), "draws is 0, allowed is 1 to 1000000");
        assert!(of(1, u64::MAX, &["aimd"], small()).starts_with("first draw is"));
        assert!(of(1, 1, &[], small()).starts_with("no policy was given"));
        assert_eq!(of(1, 1, &["aimd", "aimd"], small()), "`aimd` was given twice");
        let none = Options { threads: 0, ..small() };
        assert!(of(1, 1, &["aimd"], none).starts_with("threads is 0, allowed is 1"));
        let nan = Options { most_requests: f64::NAN, ..small() };
        assert!(of(1, 1, &["aimd"], nan).starts_with("most_requests is NaN"));
        assert!(Candidate::parse("oracle").is_err() && Candidate::parse("gradient").is_err());
    }
}
