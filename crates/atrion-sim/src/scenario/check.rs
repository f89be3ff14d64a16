//! What a scenario may say.

use super::{Class, Effect, Fault, Raw, Scenario, Service};
use crate::error::{ScenarioError, check as in_range};

/// Requests a run may hold at most, retries not counted.
const MOST_REQUESTS: f64 = 2e7;
/// Moments at which load changes or the service pauses, at most: what looks like a run must not
/// be an endless preparation.
const MOST_MOMENTS: f64 = 1e5;
const FACTOR: (f64, f64) = (0.0, 1e4);
const MOST_CLASSES: usize = 64;
const MOST_FAULTS: usize = 100;

pub(super) fn check(raw: &Raw) -> Result<(), ScenarioError> {
    if raw.name.trim().is_empty() {
        return Err(ScenarioError::malformed("name", "must not be empty"));
    }
    in_range(|| "duration_secs".into(), raw.duration_secs, "s", (1e-3, 1e6))?;
    if let Some(deadline) = raw.deadline_secs {
        in_range(|| "deadline_secs".into(), deadline, "s", (1e-6, 3600.0))?;
    }
    if let Some((from, to)) = raw.window_secs {
        span("window_secs", from, to, raw.duration_secs)?;
    }
    service(&raw.service)?;
    if raw.classes.is_empty() {
        return Err(ScenarioError::malformed("class", "at least one class of callers is needed"));
    }
    for (name, count, most) in
        [("class", raw.classes.len(), MOST_CLASSES), ("fault", raw.faults.len(), MOST_FAULTS)]
    {
        in_range(|| format!("number of entries `{name}`"), count as f64, "", (0.0, most as f64))?;
    }
    for (index, c) in raw.classes.iter().enumerate() {
        class(index, c)?;
        if raw.classes.iter().take(index).any(|other| other.name == c.name) {
            let problem = format!("there is another class `{}`", c.name);
            return Err(ScenarioError::malformed(format!("class[{index}].name"), problem));
        }
    }
    for (index, f) in raw.faults.iter().enumerate() {
        fault(index, f, raw)?;
    }
    moments(raw)
}

fn moments(raw: &Raw) -> Result<(), ScenarioError> {
    let changes = raw.faults.iter().map(|f| match f.effect {
        Effect::Oscillation { half_period_secs, .. } => {
            (f.to_secs - f.from_secs) / half_period_secs
        }
        _ => 1.0,
    });
    let field = || "number of changes of load (to_secs - from_secs over half_period_secs)".into();
    in_range(field, changes.sum(), "", (0.0, MOST_MOMENTS))?;
    let pauses = raw.service.pauses.map_or(0.0, |p| raw.duration_secs / p.every_secs);
    let field = || "number of pauses (duration_secs over service.pauses.every_secs)".into();
    in_range(field, pauses, "", (0.0, MOST_MOMENTS))
}

fn span(field: &str, from: f64, to: f64, end: f64) -> Result<(), ScenarioError> {
    in_range(|| format!("{field} (start)"), from, "s", (0.0, end))?;
    in_range(|| format!("{field} (end)"), to, "s", (0.0, end))?;
    above(&format!("{field} (end)"), to, &format!("{field} (start)"), from)
}

fn above(field: &str, value: f64, other: &str, other_value: f64) -> Result<(), ScenarioError> {
    if value > other_value {
        return Ok(());
    }
    Err(ScenarioError::Conflict {
        field: field.to_owned(),
        value,
        relation: "above",
        other: other.to_owned(),
        other_value,
    })
}

fn service(s: &Service) -> Result<(), ScenarioError> {
    let at = |name: &'static str| move || format!("service.{name}");
    in_range(at("mean_secs"), s.mean_secs, "s", (1e-6, 60.0))?;
    in_range(at("cpu_share"), s.cpu_share, "", (0.0, 1.0))?;
    s.distribution.validate("service.distribution")?;
    if let Some(cores) = s.cores {
        in_range(at("cores"), f64::from(cores), "", (1.0, 4096.0))?;
    } else if s.cpu_share > 0.0 {
        return Err(ScenarioError::malformed(
            "service.cores",
            "is needed when cpu_share is above 0",
        ));
    }
    if let Some(workers) = s.workers {
        in_range(at("workers"), f64::from(workers), "", (1.0, 65_536.0))?;
    } else if s.cpu_share <= 0.0 {
        let problem = "is needed when cpu_share is 0: the service would have no limit";
        return Err(ScenarioError::malformed("service.workers", problem));
    }
    if let Some(limit) = s.queue_limit {
        in_range(at("queue_limit"), f64::from(limit), "", (0.0, 1e7))?;
        if s.workers.is_none() {
            let problem = "is the queue before the workers, and there are none";
            return Err(ScenarioError::malformed("service.queue_limit", problem));
        }
    }
    if let Some(p) = s.pauses {
        in_range(at("pauses.every_secs"), p.every_secs, "s", (1e-3, 3600.0))?;
        in_range(at("pauses.min_secs"), p.min_secs, "s", (0.0, 600.0))?;
        in_range(at("pauses.max_secs"), p.max_secs, "s", (p.min_secs, 600.0))?;
        above("service.pauses.every_secs", p.every_secs, "service.pauses.max_secs", p.max_secs)?;
    }
    if let Some(c) = s.contention {
        in_range(at("contention.knee"), c.knee, "", (1.0, 1e6))?;
        in_range(at("contention.strength"), c.strength, "", (0.0, 1e3))?;
    }
    Ok(())
}

fn class(index: usize, c: &Class) -> Result<(), ScenarioError> {
    let at = |name: &'static str| move || format!("class[{index}].{name}");
    if c.name.trim().is_empty() {
        return Err(ScenarioError::malformed(at("name")(), "must not be empty"));
    }
    if c.route.is_empty() || c.route.len() > atrion_engine::ROUTE_NAME_LIMIT {
        let problem = format!("a route's name has 1 to {} bytes", atrion_engine::ROUTE_NAME_LIMIT);
        return Err(ScenarioError::malformed(at("route")(), problem));
    }
    in_range(at("volts"), c.volts, "V", (0.0, 1e6))?;
    match (c.load, c.rate_per_sec) {
        (Some(load), None) => in_range(at("load"), load, "", (0.0, 1e3))?,
        (None, Some(rate)) => in_range(at("rate_per_sec"), rate, "/s", (0.0, 1e7))?,
        _ => {
            let problem = "exactly one of load and rate_per_sec is needed";
            return Err(ScenarioError::malformed(format!("class[{index}]"), problem));
        }
    }
    in_range(at("cost"), c.cost, "", (1e-3, 1e3))?;
    if let Some(timeout) = c.timeout_secs {
        in_range(at("timeout_secs"), timeout, "s", (1e-6, 3600.0))?;
    }
    if let Some(r) = c.retries {
        in_range(at("retries.attempts"), f64::from(r.attempts), "", (1.0, 100.0))?;
        in_range(at("retries.backoff_secs"), r.backoff_secs, "s", (0.0, 600.0))?;
        if let Some(budget) = r.budget {
            in_range(at("retries.budget"), budget, "", (0.0, 100.0))?;
        }
    }
    Ok(())
}

fn fault(index: usize, f: &Fault, raw: &Raw) -> Result<(), ScenarioError> {
    let at = |name: &'static str| move || format!("fault[{index}].{name}");
    in_range(at("from_secs"), f.from_secs, "s", (0.0, raw.duration_secs))?;
    in_range(at("to_secs"), f.to_secs, "s", (0.0, 1e6))?;
    above("duration_secs", raw.duration_secs, &at("from_secs")(), f.from_secs)?;
    above(&at("to_secs")(), f.to_secs, &at("from_secs")(), f.from_secs)?;
    if let Some(class) = f.effect.class()
        && !raw.classes.iter().any(|c| c.name == class)
    {
        let problem = format!("there is no class `{class}`");
        return Err(ScenarioError::malformed(at("class")(), problem));
    }
    match &f.effect {
        Effect::Load { factor, .. } | Effect::Ramp { factor, .. } => {
            in_range(at("factor"), *factor, "", FACTOR)
        }
        Effect::Oscillation { high, low, half_period_secs, .. } => {
            in_range(at("high"), *high, "", FACTOR)?;
            in_range(at("low"), *low, "", FACTOR)?;
            in_range(at("half_period_secs"), *half_period_secs, "s", (1e-3, 3600.0))
        }
        Effect::Gray { share, factor } => {
            in_range(at("share"), *share, "", (0.0, 1.0))?;
            in_range(at("factor"), *factor, "", (1.0, 1e4))
        }
        Effect::Capacity { factor } => in_range(at("factor"), *factor, "", (1e-3, 1e3)),
        Effect::Outage { min_secs, max_secs } => {
            in_range(at("min_secs"), *min_secs, "s", (0.0, 600.0))?;
            in_range(at("max_secs"), *max_secs, "s", (*min_secs, 600.0))
        }
        Effect::Errors { share } => in_range(at("share"), *share, "", (0.0, 1.0)),
        Effect::Hang => Ok(()),
        Effect::Spread { distribution } => {
            distribution.validate(&format!("fault[{index}].distribution"))
        }
    }
}

/// Refuses scenarios in which nobody ever asks, and runs that would not end in a lifetime.
pub(super) fn check_size(s: &Scenario) -> Result<(), ScenarioError> {
    let expected = s.expected_requests();
    let field = || "expected number of requests (rates times duration_secs)".to_owned();
    in_range(field, expected, "", (1.0, MOST_REQUESTS))
}
