//! The model replay: the recorded callers before a fitted service.

use atrion_core::math;
use atrion_trace::{Decision, Reason, Request, Trace};
use serde::Serialize;

use super::fit::{self, Capacity, Discipline, Fit, Shape, Times};
use super::tiers::{Figures, Tier};
use super::{ReplayError, Setting, route_name, secs_between, span};
use crate::policy::{Arrival, Choice, Completion, Context, Engine, Policy, Verdict};
use crate::report::Report;
use crate::scenario::{Class, Scenario, Service};
use crate::world::run_recorded;

/// Voltages that a model tells apart: as many as a scenario has classes.
const MOST_TIERS: usize = 64;
/// For so many mean service times before and after a refusal, the service was under pressure.
const PRESSED_TIMES: f64 = 5.0;

/// What a model is made with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelSettings {
    /// A success within this time is a good one, in seconds, 1e-6 to 3600; ten fitted mean service
    /// times if `None`.
    pub deadline_secs: Option<f64>,
    /// Seed of the simulated service times.
    pub seed: u64,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self { deadline_secs: None, seed: 1 }
    }
}

/// One run through the fitted service.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelledRun {
    /// What decided: a configuration, or the recorded load.
    pub config: String,
    /// What came of it.
    pub figures: Figures,
    /// The run over time.
    pub report: Report,
}

/// A service fitted to one route, before which its recorded callers can be simulated.
///
/// The route is taken for the only one of its service, and its callers for people who ask when they
/// asked, whatever they are told: those who would have asked again because of a refusal, or not
/// because of an answer, are not in it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The route's name.
    pub route: String,
    /// What was fitted, and how well.
    pub fit: Fit,
    /// What was recorded, judged by the same deadline.
    pub recorded: Figures,
    /// The recorded load, through the fitted service.
    pub as_recorded: ModelledRun,
    scenario: Scenario,
    arrivals: Vec<(f64, usize)>,
    seed: u64,
}

/// The recorded requests of one route in the order of time.
struct Record<'a> {
    requests: Vec<&'a Request>,
    /// Seconds since the first one.
    at: Vec<f64>,
    secs: f64,
}

impl<'a> Record<'a> {
    fn of(trace: &'a Trace, route: u32, name: &str) -> Result<Self, ReplayError> {
        let Some((first, last)) = span(trace, route) else {
            return Err(ReplayError::NoRequests { route: name.to_owned() });
        };
        let mut requests: Vec<&Request> =
            trace.requests().iter().filter(|r| r.route == route).collect();
        requests.sort_by_key(|r| r.at);
        let at = requests.iter().map(|r| secs_between(first, r.at)).collect();
        Ok(Self { requests, at, secs: math::max(secs_between(first, last), 1e-3) + 1e-3 })
    }
}

impl Model {
    /// Fits a service to this route of a trace.
    ///
    /// The spread of its service times comes from the successes with the fewest requests in flight,
    /// its failures from the recorded ones. Capacity and mean are those that explain latency by
    /// requests in flight at admission best; whether it works in order or shares its cores is
    /// decided by which is nearer to the recorded latencies under the recorded load.
    ///
    /// # Errors
    /// [`ReplayError`] if the route has no requests or none that succeeded, has more than 64
    /// voltages, or is out of the range of what can be simulated.
    pub fn fit(trace: &Trace, route: u32, settings: &ModelSettings) -> Result<Self, ReplayError> {
        let name = route_name(trace, route)?;
        let record = Record::of(trace, route, &name)?;
        let times = fit::times(&record.requests, &name)?;
        let errors = fit::errors(&record.requests, &record.at, record.secs);
        let deadline = settings.deadline_secs.unwrap_or(10.0 * times.mean_secs);
        let recorded = Figures::recorded(trace, route, deadline, record.secs);
        let draft = Draft { record: &record, name: &name, times, errors, deadline, settings };
        let volts: Vec<f64> = recorded.tiers.iter().map(|tier| tier.volts).collect();
        if volts.len() > MOST_TIERS {
            let problem = format!("it has {} voltages, allowed is 1 to {MOST_TIERS}", volts.len());
            return Err(ReplayError::NoFit { route: name, problem });
        }
        let arrivals = draft.arrivals(&volts);
        let capacity = fit::capacity(&record.requests).ok_or_else(|| ReplayError::NoFit {
            route: name.clone(),
            problem: "no latency is longer than nothing".to_owned(),
        })?;
        let Chosen { error, discipline, scenario, report } =
            draft.choose(&recorded, &arrivals, &capacity)?;
        let fit = Fit {
            discipline,
            workers: capacity.workers,
            is_lower_bound: capacity.is_lower_bound,
            mean_secs: capacity.mean_secs,
            sampled_mean_secs: times.mean_secs,
            cv: times.cv,
            samples: times.samples,
            samples_in_flight: times.in_flight,
            errors: draft.errors.clone(),
            error,
        };
        let as_recorded = modelled("as recorded".to_owned(), report, record.secs);
        Ok(Self {
            route: name,
            fit,
            recorded,
            as_recorded,
            scenario,
            arrivals,
            seed: settings.seed,
        })
    }

    /// Simulates the recorded callers before the fitted service under a configuration.
    ///
    /// # Errors
    /// [`ReplayError`] if the engine cannot be built.
    pub fn run(&self, setting: &Setting) -> Result<ModelledRun, ReplayError> {
        let context = Context::of(&self.scenario, self.seed);
        let mut engine = Engine::with_config(&context, setting.config.clone())?;
        let report = run_recorded(&self.scenario, &mut engine, self.seed, self.arrivals.clone());
        Ok(modelled(setting.name.clone(), report, self.scenario.duration_secs()))
    }

    /// Simulates the recorded callers before the fitted service under another policy, such as the
    /// published model. What a policy has to be told (a mean latency, a number of places) it is
    /// told of the fitted service. The oracles, which search, are taken for their starting point.
    ///
    /// # Errors
    /// [`ReplayError`] if the policy cannot be built.
    pub fn run_policy(&self, choice: &Choice) -> Result<ModelledRun, ReplayError> {
        let mut policy = choice.make(&Context::of(&self.scenario, self.seed))?;
        let arrivals = self.arrivals.clone();
        let report = run_recorded(&self.scenario, &mut *policy, self.seed, arrivals);
        Ok(modelled(choice.name().to_owned(), report, self.scenario.duration_secs()))
    }

    /// The fitted service with its callers, as a scenario; their rates are the recorded means.
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// An answer within this time, in seconds, is a good one.
    pub fn deadline_secs(&self) -> f64 {
        self.scenario.deadline_secs()
    }
}

/// What is known before the capacity is.
struct Draft<'a> {
    record: &'a Record<'a>,
    name: &'a str,
    times: Times,
    errors: Vec<(f64, f64, f64)>,
    deadline: f64,
    settings: &'a ModelSettings,
}

impl Draft<'_> {
    fn arrivals(&self, volts: &[f64]) -> Vec<(f64, usize)> {
        let tier = |r: &Request| volts.iter().position(|v| v.total_cmp(&r.volts).is_eq());
        let asked = self.record.requests.iter().zip(&self.record.at);
        asked.map(|(request, at)| (*at, tier(request).unwrap_or(0))).collect()
    }

    fn scenario(&self, service: Service, tiers: &[Tier]) -> Result<Scenario, ReplayError> {
        let secs = self.record.secs;
        let classes = tiers.iter().map(|tier| Class {
            volts: tier.volts,
            load: None,
            rate_per_sec: Some(tier.asked as f64 / secs),
            ..Class::new(format!("{} V", tier.volts), 0.0).on_route(self.name)
        });
        let mut builder = Scenario::builder(self.name, service)
            .classes(classes.collect())
            .duration_secs(secs)
            .window_secs(0.0, secs)
            .deadline_secs(self.deadline);
        for fault in fit::faults(&self.errors, secs) {
            builder = builder.fault(fault);
        }
        Ok(builder.build()?)
    }

    /// The discipline whose latencies under the recorded load are nearest to the recorded ones.
    fn choose(
        &self,
        recorded: &Figures,
        arrivals: &[(f64, usize)],
        capacity: &Capacity,
    ) -> Result<Chosen, ReplayError> {
        let times = Times { mean_secs: capacity.mean_secs, ..self.times };
        let mut chosen: Option<Chosen> = None;
        for discipline in [Discipline::Fifo, Discipline::Sharing] {
            let service = times.service(discipline, capacity.workers);
            let scenario = self.scenario(service, &recorded.tiers)?;
            let mut policy = AsRecorded::new(self.record, capacity.mean_secs);
            let seed = self.settings.seed;
            let report = run_recorded(&scenario, &mut policy, seed, arrivals.to_vec());
            let record = self.record;
            let shape = Shape::recorded(&record.requests, &record.at, recorded, &report);
            let error = shape.deviation(&report);
            if chosen.as_ref().is_none_or(|other| error < other.error) {
                chosen = Some(Chosen { error, discipline, scenario, report });
            }
        }
        chosen.filter(|chosen| chosen.error.is_finite()).ok_or_else(|| ReplayError::NoFit {
            route: self.name.to_owned(),
            problem: "the model gives no latency to compare".to_owned(),
        })
    }
}

/// A service that was tried, and how far it was off.
struct Chosen {
    error: f64,
    discipline: Discipline,
    scenario: Scenario,
    report: Report,
}

fn modelled(config: String, report: Report, secs: f64) -> ModelledRun {
    let tiers: Vec<Tier> = report
        .classes
        .iter()
        .map(|c| Tier { volts: c.volts, asked: c.asked, refused: c.asked - c.admitted })
        .collect();
    let good: u64 = report.classes.iter().map(|c| c.good).sum();
    let figures = Figures {
        asked: tiers.iter().map(|t| t.asked).sum(),
        refused: tiers.iter().map(|t| t.refused).sum(),
        good,
        good_per_sec: good as f64 / secs,
        p50_secs: report.latency.map(|l| l.p50_secs),
        p99_secs: report.latency.map(|l| l.p99_secs),
        tiers,
    };
    ModelledRun { config, figures, report }
}

/// Gives the model the recorded load.
///
/// While nothing was refused for want of capacity, decisions are the recorded ones. Under pressure
/// they cannot be: the service times are others, and decisions that kept a queue in check then
/// would let another one grow without bound. There the model is held to the recorded number of
/// requests in flight.
struct AsRecorded {
    steps: std::vec::IntoIter<Step>,
    in_flight: u32,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// As it was decided.
    Decided(bool),
    /// If so many are in flight then, this one included.
    UpTo(u32),
}

impl AsRecorded {
    fn new(record: &Record<'_>, mean_secs: f64) -> Self {
        let saturated =
            |r: &Request| matches!(r.decision, Decision::Refused { reason: Reason::Saturated, .. });
        let refusals = record.requests.iter().zip(&record.at).filter(|(r, _)| saturated(r));
        let refusals: Vec<f64> = refusals.map(|(_, at)| *at).collect();
        let near = PRESSED_TIMES * mean_secs;
        let is_pressed = |at: f64| {
            let next = refusals.partition_point(|refusal| *refusal < at - near);
            refusals.get(next).is_some_and(|refusal| *refusal <= at + near)
        };
        let step = |(request, at): (&&Request, &f64)| {
            let admitted = request.decision.is_admitted();
            match request.in_flight {
                Some(n) if is_pressed(*at) && (admitted || saturated(request)) => Step::UpTo(n),
                _ => Step::Decided(admitted),
            }
        };
        let steps: Vec<Step> = record.requests.iter().zip(&record.at).map(step).collect();
        Self { steps: steps.into_iter(), in_flight: 0 }
    }
}

impl Policy for AsRecorded {
    fn arrive(&mut self, _arrival: &Arrival) -> Verdict {
        let admitted = match self.steps.next() {
            Some(Step::Decided(admitted)) => admitted,
            Some(Step::UpTo(most)) => self.in_flight < most,
            None => false,
        };
        self.in_flight += u32::from(admitted);
        if admitted { Verdict::Admit } else { Verdict::Refuse }
    }

    fn done(&mut self, _completion: &Completion) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

/// A model with all its runs, as it is written into a file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Written<'a> {
    pub(crate) deadline_secs: f64,
    pub(crate) fit: &'a Fit,
    pub(crate) recorded: &'a Figures,
    pub(crate) as_recorded: &'a Figures,
    pub(crate) runs: Vec<(&'a str, &'a Figures)>,
}
