//! Traces of live services, replayed: what another configuration would have done.
//!
//! Two replays answer two questions, and neither knows what it cannot know:
//!
//! - [`open_loop`] feeds what was recorded to the shipped engine and compares its decisions with
//!   those taken. Nothing is invented, and nothing reacts: a request that was refused then has no
//!   latency, and those that were admitted keep theirs, whatever load a configuration would have
//!   let through.
//! - [`Model`] fits a service to the trace and simulates the recorded callers before it, so that
//!   latencies follow the decisions. How far the fitted service is from the real one is measured by
//!   running the recorded load through it.
//!
//! ```
//! use atrion_engine::Config;
//! use atrion_sim::replay::{Model, ModelSettings, Setting, open_loop, record};
//! use atrion_sim::scenario;
//! use atrion_trace::Trace;
//!
//! let (report, bytes) = record(&scenario::find("flash")?, &Config::default(), 1)?;
//! let trace = Trace::read(&bytes[..])?;
//! assert_eq!(trace.requests().len() as u64, report.requests);
//!
//! let same = Setting::shipped();
//! let replayed = open_loop(&trace, &[0], &same)?;
//! assert_eq!((replayed[0].newly_refused, replayed[0].newly_admitted), (0, 0));
//!
//! let model = Model::fit(&trace, 0, &ModelSettings::default())?;
//! assert!(model.fit.error < 0.25, "{:?}", model.fit);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod fit;
mod model;
mod open;
mod record;
#[cfg(feature = "svg")]
pub mod svg;
pub mod table;
mod tiers;

use atrion_engine::{BuildError, Config};
use atrion_trace::{RecordError, Trace, TraceError};
use thiserror::Error;

use crate::error::ScenarioError;

pub use fit::{Discipline, Fit};
pub use model::{Model, ModelSettings, ModelledRun};
pub use open::{OpenBin, OpenLoop, open_loop};
pub use record::record;
pub use tiers::{Figures, Tier};

/// A configuration and what to call it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name in results.
    pub name: String,
    /// The configuration.
    pub config: Config,
}

impl Setting {
    /// What the engine does without a single setting, under the name `default`.
    pub fn shipped() -> Self {
        Self { name: "default".to_owned(), config: Config::default() }
    }

    /// Reads a configuration from the text of a TOML file; what it leaves out is as shipped.
    ///
    /// # Errors
    /// [`ReplayError::Config`] with the line, and with the field, its value and what is allowed.
    pub fn from_toml(name: impl Into<String>, text: &str) -> Result<Self, ReplayError> {
        let name = name.into();
        match toml::from_str(text) {
            Ok(config) => Ok(Self { name, config }),
            Err(e) => Err(ReplayError::Config { name, problem: e.to_string().trim().to_owned() }),
        }
    }
}

/// A replay that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A configuration cannot be used.
    #[error("configuration {name}: {problem}")]
    Config {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No route of the trace has this name, or this index.
    #[error("the trace has no route `{name}`; it has {known}")]
    UnknownRoute {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// There is nothing to replay.
    #[error("route `{route}` has no request in the trace")]
    NoRequests {
        /// The route.
        route: String,
    },
    /// No service can be fitted.
    #[error("no service can be fitted to route `{route}`: {problem}")]
    NoFit {
        /// The route.
        route: String,
        /// Why, as the end of a sentence.
        problem: String,
    },
    /// The fitted service makes no scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The engine cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A simulated run cannot be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// The indices of the routes with these names, of all routes if no name is given.
///
/// # Errors
/// [`ReplayError::UnknownRoute`] with the names there are.
pub fn select(trace: &Trace, names: &[String]) -> Result<Vec<u32>, ReplayError> {
    let all = || trace.routes().iter().zip(0_u32..);
    for name in names {
        if !all().any(|(route, _)| *route.name == **name) {
            return Err(unknown(trace, name.clone()));
        }
    }
    let is_asked = |route: &str| names.is_empty() || names.iter().any(|name| name == route);
    Ok(all().filter(|(route, _)| is_asked(&route.name)).map(|(_, index)| index).collect())
}

fn unknown(trace: &Trace, name: String) -> ReplayError {
    let names: Vec<&str> = trace.routes().iter().map(|route| &*route.name).collect();
    let known = if names.is_empty() { "no route at all".to_owned() } else { names.join(", ") };
    ReplayError::UnknownRoute { name, known }
}

fn route_name(trace: &Trace, index: u32) -> Result<String, ReplayError> {
    let route = trace.routes().get(index as usize);
    route.map(|r| r.name.to_string()).ok_or_else(|| unknown(trace, index.to_string()))
}

/// Seconds from one reading of the recorded clock to another, negative ones included.
fn secs_between(from: u64, to: u64) -> f64 {
    to.wrapping_sub(from).cast_signed() as f64 / 1e9
}

/// First and last reading of the clock among the requests of this route, if it has any.
fn span(trace: &Trace, route: u32) -> Option<(u64, u64)> {
    let requests = || trace.requests().iter().filter(move |r| r.route == route);
    let first = requests().map(|r| r.at).min()?;
    let last = requests().map(|r| r.end.map_or(r.at, |(end, _)| end.max(r.at))).max()?;
    Some((first, last))
}
