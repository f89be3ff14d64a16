//! The stability map: a law's numbers swept in three dimensions, each point classified.
//!
//! At each point the law stands before a service of eight workers and 20 ms, always the same service
//! time, so that nothing but the callers' moments is random, and those are the same in every run: 5 s
//! of 70 % load, 20 s of twice the capacity, 5 s in which everything fails, 40 s of 70 % load. Then
//! once more, with one request refused at the start of the overload: the twin. [`classify()`] has the
//! criteria.
//!
//! ```
//! use atrion_sim::stability::{Class, Plan, Subject, sweep};
//!
//! let one = Plan { points: 1, ..Plan::of(Subject::Atrion) };
//! let map = sweep(&one, &|| ())?;
//! assert_eq!(map.at(0, 0, 0), Some(Class::Stable), "as it ships");
//! # Ok::<(), atrion_sim::StudyError>(())
//! ```

mod axes;
mod classify;
mod map;

use serde::Serialize;

pub use axes::{Axis, Subject};
pub use classify::{Class, Twins, apart, changes, classify, distance};

use crate::candidate::Candidate;
use crate::error::{ScenarioError, StudyError};
use crate::parallel;
use crate::policy::{Arrival, Completion, Context, Policy, Release, Tick, Verdict};
use crate::report::{Bin, Report};
use crate::scenario::{Class as Callers, Effect, Fault, Scenario, Service};
use crate::world::run;
use crate::{Distribution, scenario};

const CALM: f64 = 0.7;
/// Seconds: overload, outage, calm again, end.
const BUSY: (f64, f64) = (5.0, 25.0);
const DEAD: (f64, f64) = (25.0, 30.0);
const END: f64 = 70.0;
/// The calm phase is judged after this, when whatever recovers quickly has recovered.
const CALM_FROM: f64 = 45.0;
/// Length of the stretches whose shares are compared: a tick of the published model, which opens and
/// closes from tick to tick.
const STRETCH_SECS: f64 = 0.1;
/// Percent of the possible goodput.
const HALF: f64 = 50.0;
const MOST_POINTS: usize = 100;
const MOST_THREADS: f64 = 1024.0;

/// What is swept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Whose numbers.
    pub subject: Subject,
    /// Points on each of the three axes, 1 to 100; a single one is the default.
    pub points: usize,
    /// Seed of the callers' moments.
    pub seed: u64,
    /// Threads, 1 to 1024; the map does not depend on them.
    pub threads: usize,
}

impl Plan {
    /// 20 x 20 x 20 points, on every core.
    pub fn of(subject: Subject) -> Self {
        Self { subject, points: 20, seed: 1, threads: crate::draws::Options::default().threads }
    }

    /// How many points there are in all.
    pub const fn total(&self) -> usize {
        self.points * self.points * self.points
    }

    /// Refuses what cannot be swept.
    ///
    /// # Errors
    /// [`StudyError::OutOfRange`] naming the field.
    pub fn check(&self) -> Result<(), StudyError> {
        StudyError::check("points", self.points as f64, (1.0, MOST_POINTS as f64))?;
        StudyError::check("threads", self.threads as f64, (1.0, MOST_THREADS))
    }
}

/// One classified point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Its values on the three axes.
    pub values: [f64; 3],
    /// What it is.
    pub class: Class,
    /// Goodput in percent of what was possible, over overload, outage and what followed.
    pub goodput: f64,
    /// Mean distance of the twins just after the disturbance.
    pub apart_early: f64,
    /// The same late in the overload or in the calm phase, whichever is larger.
    pub apart_late: f64,
}

/// A swept map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Map {
    /// Whose.
    pub subject: Subject,
    /// The axes.
    pub axes: [Axis; 3],
    /// Points on each axis.
    pub points: usize,
    /// Seed of the callers' moments.
    pub seed: u64,
    /// All points; the first axis runs fastest.
    pub cells: Vec<Point>,
}

impl Map {
    /// The class at these indices.
    pub fn at(&self, first: usize, second: usize, third: usize) -> Option<Class> {
        let n = self.points;
        let inside = first < n && second < n && third < n;
        let cell = self.cells.get((third * n + second) * n + first);
        cell.filter(|_| inside).map(|p| p.class)
    }

    /// Stable points that keep less than half of the possible goodput: what never moves need not be
    /// any good.
    pub fn starving(&self) -> usize {
        let starves = |p: &&Point| p.class == Class::Stable && p.goodput < HALF;
        self.cells.iter().filter(starves).count()
    }

    /// How many points are of a class.
    pub fn count(&self, class: Class) -> usize {
        self.cells.iter().filter(|p| p.class == class).count()
    }
}

/// Classifies every point; `progress` is called after each of [`Plan::total`].
///
/// # Errors
/// [`StudyError`] if a number is out of range or the engine cannot be built.
pub fn sweep(plan: &Plan, progress: &(dyn Fn() + Sync)) -> Result<Map, StudyError> {
    plan.check()?;
    let scenario = course()?;
    let axes = plan.subject.axes();
    let n = plan.points;
    let cells = parallel::map(plan.total(), plan.threads, |index| {
        let indices = [index % n, index / n % n, index / n / n];
        let [a, b, c] = axes;
        let [i, j, k] = indices;
        let values = [a.value(i, n), b.value(j, n), c.value(k, n)];
        let point = if let Ok(law) = plan.subject.with(values) {
            point(&law, &scenario, plan.seed, values)?
        } else {
            let class = Class::Refused;
            Point { values, class, goodput: 0.0, apart_early: 0.0, apart_late: 0.0 }
        };
        progress();
        Ok::<_, StudyError>(point)
    })?;
    Ok(Map { subject: plan.subject, axes, points: n, seed: plan.seed, cells })
}

/// What every point goes through.
fn course() -> Result<Scenario, ScenarioError> {
    let service = Service::fifo(8, 0.02).with_distribution(Distribution::Constant);
    let overload = Effect::Load { factor: 2.0 / CALM, class: None };
    let dead = Effect::Outage { min_secs: 0.01, max_secs: 0.01 };
    scenario::Scenario::builder("stability", service)
        .class(Callers::new("normal", CALM))
        .fault(Fault::new(BUSY.0, BUSY.1, overload))
        .fault(Fault::new(DEAD.0, DEAD.1, dead))
        .duration_secs(END)
        .window_secs(BUSY.0, END)
        .build()
}

fn point(
    law: &Candidate,
    scenario: &Scenario,
    seed: u64,
    values: [f64; 3],
) -> Result<Point, StudyError> {
    let context = Context::of(scenario, seed);
    let one = run(scenario, law.make(&context)?.as_mut(), seed);
    let mut disturbed = Disturbed { policy: law.make(&context)?, refused: false };
    let other = run(scenario, &mut disturbed, seed);
    let (a, b) = (shares(&one), shares(&other));
    let phase = |from: f64, to: f64| Twins { one: cut(&a, from, to), other: cut(&b, from, to) };
    let (busy, calm) = (phase(BUSY.0, BUSY.1), phase(CALM_FROM, END));
    let (apart_early, apart_late) = apart(busy, calm);
    let class = classify(busy, calm);
    Ok(Point { values, class, goodput: one.goodput(), apart_early, apart_late })
}

/// Shares admitted in each stretch. Without callers, nothing was refused.
fn shares(report: &Report) -> Vec<f64> {
    let width = (STRETCH_SECS / report.bin_secs + 0.5) as usize;
    let share = |bins: &[Bin]| {
        let asked: f64 = bins.iter().map(|b| b.asked).sum();
        let refused: f64 = bins.iter().map(|b| b.refused).sum();
        if asked > 0.0 { 1.0 - refused / asked } else { 1.0 }
    };
    report.bins.chunks(width.max(1)).map(share).collect()
}

fn cut(series: &[f64], from: f64, to: f64) -> &[f64] {
    let index = |secs: f64| ((secs / STRETCH_SECS + 0.5) as usize).min(series.len());
    series.get(index(from)..index(to)).unwrap_or_default()
}

/// A policy whose first request of the overload is refused without asking it: the smallest
/// disturbance there is.
struct Disturbed {
    policy: Box<dyn Policy>,
    refused: bool,
}

impl Policy for Disturbed {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        let begins = arrival.now.as_nanos() as f64 >= BUSY.0 * 1e9;
        if begins && !self.refused {
            self.refused = true;
            return Verdict::Refuse;
        }
        self.policy.arrive(arrival)
    }

    fn done(&mut self, completion: &Completion) {
        self.policy.done(completion);
    }

    fn tick(&mut self, tick: &Tick) {
        self.policy.tick(tick);
    }

    fn release(&mut self, now: atrion_core::time::Timestamp) -> Option<Release> {
        self.policy.release(now)
    }

    fn holds(&self) -> bool {
        self.policy.holds()
    }

    fn transitions(&self) -> u32 {
        self.policy.transitions()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Static, Unlimited};

    /// The class of a policy that is no subject.
    fn class_of(make: impl Fn() -> Box<dyn Policy>) -> Class {
        let scenario = course().expect("valid");
        let one = run(&scenario, make().as_mut(), 1);
        let other = run(&scenario, &mut Disturbed { policy: make(), refused: false }, 1);
        let (a, b) = (shares(&one), shares(&other));
        let phase = |from, to| Twins { one: cut(&a, from, to), other: cut(&b, from, to) };
        classify(phase(BUSY.0, BUSY.1), phase(CALM_FROM, END))
    }

    /// Closed for two seconds, open for two, whatever happens.
    struct Blinking;

    impl Policy for Blinking {
        fn arrive(&mut self, arrival: &Arrival) -> Verdict {
            let is_open = (arrival.now.as_nanos() / 2_000_000_000).is_multiple_of(2);
            if is_open { Verdict::Admit } else { Verdict::Refuse }
        }
        fn done(&mut self, _: &Completion) {}
    }

    /// Closes for good at the first failure.
    #[derive(Default)]
    struct Offended(bool);

    impl Policy for Offended {
        fn arrive(&mut self, _: &Arrival) -> Verdict {
            if self.0 { Verdict::Refuse } else { Verdict::Admit }
        }
        fn done(&mut self, completion: &Completion) {
            self.0 |= completion.outcome == crate::policy::Outcome::Failure;
        }
    }

    /// Admits by the parity of a count that one request shifts, in stretches of many.
    #[derive(Default)]
    struct Fickle {
        seen: u64,
        state: u64,
    }

    impl Policy for Fickle {
        fn arrive(&mut self, _: &Arrival) -> Verdict {
            self.seen += 1;
            // Now and then the state is mixed with the count: two counts never meet again. Rarely
            // enough for the twins to begin alike.
            if self.seen.is_multiple_of(4096) {
                let now = self.state ^ (self.seen * 0x9e37_79b9);
                self.state = crate::rng::Rng::new(now, self.seen & 1).next_u64();
            }
            if self.state & 1 == 0 { Verdict::Admit } else { Verdict::Refuse }
        }
        fn done(&mut self, completion: &Completion) {
            // What it has done enters what it will do.
            self.state = self.state.wrapping_add(2 * completion.now.as_nanos());
        }
    }

    #[test]
    fn policies_of_known_character_are_told_apart() {
        assert_eq!(class_of(|| Box::new(Static::new(12))), Class::Stable);
        assert_eq!(class_of(|| Box::new(Unlimited)), Class::Stable);
        assert_eq!(class_of(|| Box::new(Blinking)), Class::Oscillating);
        assert_eq!(class_of(|| Box::new(Offended::default())), Class::Deadlock);
        assert_eq!(class_of(|| Box::new(Fickle::default())), Class::Chaotic);
    }

    #[test]
    fn a_map_does_not_depend_on_threads_and_bad_plans_are_refused() {
        let plan = Plan { points: 2, threads: 1, ..Plan::of(Subject::Reference) };
        let map = sweep(&plan, &|| ()).expect("runs");
        assert_eq!(map, sweep(&Plan { threads: 3, ..plan }, &|| ()).expect("runs"));
        assert_eq!(map.cells.len(), 8);
        assert_eq!(Class::ALL.iter().map(|c| map.count(*c)).sum::<usize>(), 8);
        assert_eq!((map.at(1, 1, 1), map.at(2, 0, 0)), (map.cells.last().map(|p| p.class), None));
        let why = |plan: Plan| sweep(&plan, &|| ()).expect_err("refused").to_string();
        assert_eq!(why(Plan { points: 0, ..plan }), "points is 0, allowed is 1 to 100");
        assert_eq!(why(Plan { threads: 0, ..plan }), "threads is 0, allowed is 1 to 1024");
    }
}
