//! The scenarios that come with the crate.

use atrion_core::flow::Priority;

use super::{
    Class, Contention, Effect, Fault, Pauses, Retries, Scenario, ScenarioBuilder, Service,
};
use crate::distribution::Distribution;
use crate::error::ScenarioError;

/// Load before and after whatever happens, as a share of capacity.
const CALM: f64 = 0.7;
/// When things happen, and how long a run is, in seconds.
const FROM: f64 = 20.0;
const TO: f64 = 50.0;
const END: f64 = 60.0;

/// Tiers of the tiered scenarios: name, priority, share of the traffic.
pub const TIERS: [(&str, Priority, f64); 4] = [
    ("low", Priority::Low, 0.3),
    ("normal", Priority::Normal, 0.4),
    ("high", Priority::High, 0.2),
    ("critical", Priority::Critical, 0.1),
];

/// A scenario, or a service, that comes with the crate.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
}

/// Adds callers and faults.
type Script = fn(ScenarioBuilder) -> ScenarioBuilder;
/// Name, sentence, and how it is made.
type Known<T> = (&'static str, &'static str, T);

const SCENARIOS: &[Known<Script>] = &[
    ("steady", "70 % load, nothing happens", |b| base(b).duration_secs(END).window_secs(FROM, TO)),
    ("step1.5x", "one and a half times the capacity for 30 s", |b| surge(b, 1.5)),
    ("step2x", "twice the capacity for 30 s", |b| surge(b, 2.0)),
    ("step5x", "five times the capacity for 30 s", |b| surge(b, 5.0)),
    ("step10x", "ten times the capacity for 30 s", |b| surge(b, 10.0)),
    ("ramp", "load rises to three times the capacity within 30 s", |b| {
        with(b, Effect::Ramp { factor: 3.0 / CALM, class: None })
    }),
    ("flash", "twenty times the capacity for 5 s", |b| {
        let crowd = Effect::Load { factor: 20.0 / CALM, class: None };
        base(b).fault(Fault::new(FROM, FROM + 5.0, crowd)).duration_secs(40.0)
    }),
    ("oscillation", "twice and half the capacity in turn, 5 s each", |b| {
        let (high, low) = (2.0 / CALM, 0.5 / CALM);
        with(b, Effect::Oscillation { high, low, half_period_secs: 5.0, class: None })
    }),
    ("gray", "30 % of the requests take twenty times as long", |b| {
        with(b, Effect::Gray { share: 0.3, factor: 20.0 })
    }),
    ("slow", "every request takes five times as long", |b| {
        with(b, Effect::Gray { share: 1.0, factor: 5.0 })
    }),
    ("outage", "the dependency is dead for 30 s", |b| {
        let dead = Effect::Outage { min_secs: 0.001, max_secs: 0.02 };
        with(b, dead).duration_secs(100.0).window_secs(FROM, 100.0)
    }),
    ("hang", "nothing moves for 10 s", |b| {
        base(b).fault(Fault::new(FROM, 30.0, Effect::Hang)).window_secs(FROM, END)
    }),
    ("errors", "5 % of the answers are failures", |b| with(b, Effect::Errors { share: 0.05 })),
    ("half", "half of the capacity is lost", |b| with(b, Effect::Capacity { factor: 0.5 })),
    ("retries", "three times the capacity, and who is refused asks again up to 3 times", |b| {
        let retries = Retries { attempts: 3, backoff_secs: 0.1, budget: None };
        storm(b, retries)
    }),
    ("budget", "the same, with retries limited to a tenth of the requests", |b| {
        let retries = Retries { attempts: 3, backoff_secs: 0.1, budget: Some(0.1) };
        storm(b, retries)
    }),
    ("timeouts", "callers give up after 0.2 s and ask again; 1.5 times the capacity", |b| {
        let retries = Retries { attempts: 3, backoff_secs: 0.1, budget: None };
        let class = Class::new("normal", CALM).with_timeout(0.2).with_retries(retries);
        b.class(class).fault(step(1.5)).duration_secs(END)
    }),
    ("tiers", "four priorities, together three times the capacity", |b| {
        b.classes(tiers(CALM)).fault(step(3.0)).duration_secs(END)
    }),
    ("low12x", "twelve times the capacity of low priority over calm normal and critical", |b| {
        let crowd = Effect::Load { factor: 114.0, class: Some("low".into()) };
        b.class(Class::new("critical", 0.1).with_priority(Priority::Critical))
            .class(Class::new("normal", 0.5))
            .class(Class::new("low", 0.1).with_priority(Priority::Low))
            .fault(Fault::new(FROM, TO, crowd))
            .duration_secs(END)
    }),
    ("routes", "four routes of different cost on one service; one of them surges tenfold", |b| {
        let crowd = Effect::Load { factor: 10.0, class: Some("export".into()) };
        b.class(
            Class::new("health", 0.1)
                .on_route("health")
                .with_cost(0.2)
                .with_priority(Priority::Critical),
        )
        .class(Class::new("search", 0.3).on_route("search"))
        .class(
            Class::new("report", 0.1)
                .on_route("report")
                .with_cost(5.0)
                .with_priority(Priority::High),
        )
        .class(
            Class::new("export", 0.2)
                .on_route("export")
                .with_cost(2.0)
                .with_priority(Priority::Low),
        )
        .fault(Fault::new(FROM, TO, crowd))
        .duration_secs(END)
    }),
    ("heavytail", "twice the capacity, service times with a power-law tail", |b| {
        let tail = Effect::Spread { distribution: Distribution::Pareto { shape: 1.8 } };
        with(b, tail).fault(step(2.0))
    }),
    ("coldstart", "twice the capacity from the first moment on", |b| {
        b.class(Class::new("normal", 2.0)).duration_secs(30.0).window_secs(2.0, 30.0)
    }),
    ("trickle", "2 % load: hardly any two requests meet", |b| {
        b.class(Class::new("normal", 0.02)).duration_secs(END).window_secs(FROM, TO)
    }),
    ("single", "one request every two seconds", |b| {
        let mut class = Class::new("normal", 0.0);
        (class.load, class.rate_per_sec) = (None, Some(0.5));
        b.class(class).duration_secs(600.0).window_secs(FROM, 600.0)
    }),
];

const SERVICES: &[Known<fn() -> Service>] = &[
    ("fifo", "16 workers, 20 ms, in order of arrival (the default)", || Service::fifo(16, 0.02)),
    ("fifo1", "one worker, 20 ms", || Service::fifo(1, 0.02)),
    ("fifo128", "128 workers, 100 ms", || Service::fifo(128, 0.1)),
    ("sharing", "4 cores shared by all, 20 ms", || Service::sharing(4, 0.02)),
    ("waiting", "4 cores and a dependency, half of 20 ms each", || Service::waiting(4, 0.02, 0.5)),
    ("pooled", "4 cores before a pool of 4 connections, 20 ms", || Service::pooled(4, 0.02)),
    ("pauses", "4 shared cores that stand still for 50 to 300 ms every 3 s", || Service {
        pauses: Some(Pauses { every_secs: 3.0, min_secs: 0.05, max_secs: 0.3 }),
        ..Service::sharing(4, 0.02)
    }),
    ("bimodal", "4 shared cores, 5 % of the requests 20 times dearer", || {
        let dear = Distribution::Bimodal { share: 0.05, factor: 20.0 };
        Service::sharing(4, 0.02).with_distribution(dear)
    }),
    ("contention", "4 shared cores that lose half of their work at 16 requests", || Service {
        contention: Some(Contention { knee: 8.0, strength: 1.0 }),
        ..Service::sharing(4, 0.02)
    }),
];

/// All scenarios and all services that come with the crate. Any scenario goes with any service:
/// see [`find`].
pub fn presets() -> (Vec<Preset>, Vec<Preset>) {
    let scenarios = SCENARIOS.iter().map(|&(name, about, _)| Preset { name, about });
    let services = SERVICES.iter().map(|&(name, about, _)| Preset { name, about });
    (scenarios.collect(), services.collect())
}

/// The scenario `NAME` or `NAME@SERVICE`.
///
/// ```
/// let scenario = atrion_sim::scenario::find("step5x@sharing")?;
/// assert_eq!(scenario.service().cores, Some(4));
/// assert!(atrion_sim::scenario::find("stpe5x").unwrap_err().to_string().contains("known are"));
/// # Ok::<(), atrion_sim::ScenarioError>(())
/// ```
///
/// # Errors
/// [`ScenarioError::Unknown`] with all names.
pub fn find(name: &str) -> Result<Scenario, ScenarioError> {
    let (script, service) = name.split_once('@').unwrap_or((name, "fifo"));
    let unknown = |what: &str, name: &str, known: Vec<&str>| ScenarioError::Unknown {
        name: format!("{what}{name}"),
        known: known.join(", "),
    };
    let (_, about, make) = SCENARIOS
        .iter()
        .find(|s| s.0 == script)
        .ok_or_else(|| unknown("", script, SCENARIOS.iter().map(|s| s.0).collect()))?;
    let (_, _, make_service) = SERVICES
        .iter()
        .find(|s| s.0 == service)
        .ok_or_else(|| unknown("@", service, SERVICES.iter().map(|s| s.0).collect()))?;
    make(Scenario::builder(name, make_service())).description(*about).build()
}

fn base(b: ScenarioBuilder) -> ScenarioBuilder {
    b.class(Class::new("normal", CALM))
}

fn step(load: f64) -> Fault {
    Fault::new(FROM, TO, Effect::Load { factor: load / CALM, class: None })
}

fn surge(b: ScenarioBuilder, load: f64) -> ScenarioBuilder {
    base(b).fault(step(load)).duration_secs(END)
}

fn with(b: ScenarioBuilder, effect: Effect) -> ScenarioBuilder {
    base(b).fault(Fault::new(FROM, TO, effect)).duration_secs(END)
}

fn storm(b: ScenarioBuilder, retries: Retries) -> ScenarioBuilder {
    b.class(Class::new("normal", CALM).with_retries(retries)).fault(step(3.0)).duration_secs(END)
}

fn tiers(load: f64) -> Vec<Class> {
    let class = |&(name, priority, share): &(&str, Priority, f64)| {
        Class::new(name, share * load).with_priority(priority)
    };
    TIERS.iter().map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_on_every_service_and_survives_a_file() {
        for (name, ..) in SCENARIOS {
            for (service, ..) in SERVICES {
                let full = format!("{name}@{service}");
                let scenario = find(&full).unwrap_or_else(|e| panic!("{full}: {e}"));
                let text = scenario.to_toml();
                let read =
                    Scenario::from_toml(&text).unwrap_or_else(|e| panic!("{full}: {e}\n{text}"));
                assert_eq!(read, scenario, "{full}\n{text}");
            }
        }
    }
}
