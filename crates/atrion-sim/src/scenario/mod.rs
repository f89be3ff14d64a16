//! Scenarios: a service, its callers, and what happens to them. Valid by construction.

mod check;
mod parts;
mod presets;
mod timeline;

pub(crate) use timeline::Strain;

use serde::{Deserialize, Serialize};

pub use parts::{Class, Contention, Effect, Fault, Pauses, Retries, Service};
pub use presets::{Preset, TIERS, find, presets};

use crate::error::ScenarioError;

/// A scenario that can be run.
///
/// Made by [`Scenario::builder`], from a file by [`Scenario::from_toml`], or by name by [`find`].
///
/// ```
/// use atrion_sim::{Class, Effect, Fault, Scenario, Service};
///
/// let scenario = Scenario::builder("black friday", Service::fifo(16, 0.02))
///     .class(Class::new("shoppers", 0.7))
///     .fault(Fault::new(5.0, 15.0, Effect::Load { factor: 4.0, class: None }))
///     .duration_secs(20.0)
///     .build()?;
/// assert_eq!(scenario.capacity_per_sec(), 800.0);
/// assert_eq!(Scenario::from_toml(&scenario.to_toml())?, scenario);
///
/// let mistake = Scenario::builder("no service", Service::fifo(0, 0.02)).build().unwrap_err();
/// assert!(mistake.to_string().starts_with("service.workers is 0, allowed is 1 to"));
/// # Ok::<(), atrion_sim::ScenarioError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Scenario {
    raw: Raw,
    /// Names of the routes, in order of appearance.
    routes: Vec<String>,
    /// For each class its route.
    route_of: Vec<usize>,
    /// Moments at which some rate changes, in order; ramps are not among them.
    edges: Vec<f64>,
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
struct Raw {
    name: String,
    #[serde(default)]
    description: String,
    duration_secs: f64,
    /// Goodput is counted in here; by default while a fault acts, or everywhere without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window_secs: Option<(f64, f64)>,
    /// A success within this time is a good one; by default ten mean service times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_secs: Option<f64>,
    service: Service,
    #[serde(rename = "class", default)]
    classes: Vec<Class>,
    #[serde(rename = "fault", default, skip_serializing_if = "Vec::is_empty")]
    faults: Vec<Fault>,
}

impl TryFrom<Raw> for Scenario {
    type Error = ScenarioError;

    fn try_from(raw: Raw) -> Result<Self, ScenarioError> {
        let scenario = Self::of_any_size(raw)?;
        check::check_size(&scenario)?;
        Ok(scenario)
    }
}

impl Scenario {
    /// Perhaps nobody ever asks.
    fn of_any_size(raw: Raw) -> Result<Self, ScenarioError> {
        check::check(&raw)?;
        let mut routes: Vec<String> = Vec::new();
        let mut route_of = Vec::new();
        for class in &raw.classes {
            let known = routes.iter().position(|r| *r == class.route);
            route_of.push(known.unwrap_or(routes.len()));
            if known.is_none() {
                routes.push(class.route.clone());
            }
        }
        let edges = timeline::edges(&raw.faults);
        Ok(Self { raw, routes, route_of, edges })
    }
}

impl From<Scenario> for Raw {
    fn from(scenario: Scenario) -> Self {
        scenario.raw
    }
}

impl Scenario {
    /// Starts a scenario; without anything else, nobody calls, which is refused.
    pub fn builder(name: impl Into<String>, service: Service) -> ScenarioBuilder {
        ScenarioBuilder(Raw {
            name: name.into(),
            description: String::new(),
            duration_secs: 60.0,
            window_secs: None,
            deadline_secs: None,
            service,
            classes: Vec::new(),
            faults: Vec::new(),
        })
    }

    /// Reads a scenario from the text of a TOML file.
    ///
    /// # Errors
    /// [`ScenarioError`] with the field, its value and the allowed range, or with the line that
    /// is not TOML.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let raw: Raw =
            toml::from_str(text).map_err(|e| ScenarioError::Syntax(e.to_string().trim().into()))?;
        raw.try_into()
    }

    /// The scenario as the text of a TOML file.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.raw).unwrap_or_default()
    }

    /// A builder that starts from this scenario.
    pub fn to_builder(&self) -> ScenarioBuilder {
        ScenarioBuilder(self.raw.clone())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.raw.name
    }

    /// A sentence about it; may be empty.
    pub fn description(&self) -> &str {
        &self.raw.description
    }

    /// The service.
    pub fn service(&self) -> &Service {
        &self.raw.service
    }

    /// The callers.
    pub fn classes(&self) -> &[Class] {
        &self.raw.classes
    }

    /// What happens.
    pub fn faults(&self) -> &[Fault] {
        &self.raw.faults
    }

    /// The names of the routes, in order of appearance.
    pub fn routes(&self) -> &[String] {
        &self.routes
    }

    /// Seconds that a run takes in simulated time.
    pub fn duration_secs(&self) -> f64 {
        self.raw.duration_secs
    }

    /// When goodput is counted, in seconds.
    pub fn window_secs(&self) -> (f64, f64) {
        self.raw.window_secs.or_else(|| self.acting_secs()).unwrap_or((0.0, self.raw.duration_secs))
    }

    /// From the first fault's start to the last fault's end; `None` without faults.
    pub fn acting_secs(&self) -> Option<(f64, f64)> {
        let mut all: Option<(f64, f64)> = None;
        for f in &self.raw.faults {
            let (from, to) = all.unwrap_or((f.from_secs, f.to_secs));
            all = Some((
                atrion_core::math::min(from, f.from_secs),
                atrion_core::math::max(to, f.to_secs),
            ));
        }
        all.map(|(from, to)| (from, atrion_core::math::min(to, self.raw.duration_secs)))
    }

    /// Seconds within which an answer is of use.
    pub fn deadline_secs(&self) -> f64 {
        self.raw.deadline_secs.unwrap_or(10.0 * self.raw.service.mean_secs)
    }

    /// This scenario with every caller's rate multiplied, perhaps by zero, and with more faults.
    ///
    /// # Errors
    /// As [`ScenarioBuilder::build`].
    #[cfg(feature = "cluster")]
    pub(crate) fn for_node(
        &self,
        weight: f64,
        faults: impl Iterator<Item = Fault>,
    ) -> Result<Self, ScenarioError> {
        let mut raw = self.raw.clone();
        for class in &mut raw.classes {
            class.load = class.load.map(|load| load * weight);
            class.rate_per_sec = class.rate_per_sec.map(|rate| rate * weight);
        }
        raw.faults.extend(faults);
        Self::of_any_size(raw)
    }

    pub(crate) fn route_of(&self, class: usize) -> usize {
        self.route_of.get(class).copied().unwrap_or(0)
    }
}

/// Builds a [`Scenario`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ScenarioBuilder(Raw);

impl ScenarioBuilder {
    /// Renames it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }

    /// A sentence about it.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.0.description = description.into();
        self
    }

    /// Replaces the service.
    pub fn service(mut self, service: Service) -> Self {
        self.0.service = service;
        self
    }

    /// Adds callers. At least one class is needed.
    pub fn class(mut self, class: Class) -> Self {
        self.0.classes.push(class);
        self
    }

    /// Replaces all callers.
    pub fn classes(mut self, classes: Vec<Class>) -> Self {
        self.0.classes = classes;
        self
    }

    /// Lets something happen. Overlapping faults act together.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.0.faults.push(fault);
        self
    }

    /// Simulated seconds, 0.001 to 1,000,000; 60 by default.
    pub fn duration_secs(mut self, secs: f64) -> Self {
        self.0.duration_secs = secs;
        self
    }

    /// When goodput is counted, in seconds. By default while a fault acts.
    pub fn window_secs(mut self, from: f64, to: f64) -> Self {
        self.0.window_secs = Some((from, to));
        self
    }

    /// An answer within this time is a good one, in seconds. By default ten mean service times.
    pub fn deadline_secs(mut self, secs: f64) -> Self {
        self.0.deadline_secs = Some(secs);
        self
    }

    /// The scenario, if everything in it makes sense.
    ///
    /// # Errors
    /// [`ScenarioError`] with the field, its value and what is allowed.
    pub fn build(self) -> Result<Scenario, ScenarioError> {
        self.0.try_into()
    }
}
