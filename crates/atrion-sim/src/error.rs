//! The errors of the simulator.

use atrion_core::error::ConfigError;
use atrion_engine::BuildError;
use thiserror::Error;

/// A scenario that cannot be run.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// A number lies outside its range, or is NaN or infinite.
    #[error("{field} is {value}{}, allowed is {min} to {max}{}", gap(.unit), gap(.unit))]
    OutOfRange {
        /// Path of the field, such as `class[0].load`.
        field: String,
        /// The value that was refused.
        value: f64,
        /// The unit of the numbers; empty for pure numbers.
        unit: &'static str,
        /// The smallest allowed value.
        min: f64,
        /// The largest allowed value.
        max: f64,
    },
    /// Two fields are each allowed but contradict one another.
    #[error("{field} is {value}, which must be {relation} {other} ({other_value})")]
    Conflict {
        /// The offending field.
        field: String,
        /// Its value.
        value: f64,
        /// The required relation, such as `above`.
        relation: &'static str,
        /// The field it is compared with.
        other: String,
        /// That field's value.
        other_value: f64,
    },
    /// Something that must be there is not, or two things exclude each other.
    #[error("{field}: {problem}")]
    Malformed {
        /// Path of the field.
        field: String,
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
    /// The file is not TOML, or has a field that no scenario has.
    #[error("not a scenario: {0}")]
    Syntax(String),
    /// No scenario has this name.
    #[error("there is no scenario `{name}`; known are {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// All names, separated by commas.
        known: String,
    },
}

impl ScenarioError {
    pub(crate) fn malformed(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed { field: field.into(), problem: problem.into() }
    }
}

/// A policy that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// No policy has this name.
    #[error("there is no policy `{name}`; known are {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// All names, separated by commas.
        known: String,
    },
    /// The number in `static:NUMBER` and the like is none.
    #[error("the limit of `{name}` must be a whole number from 1 to {max}")]
    Limit {
        /// What was asked for.
        name: String,
        /// The largest limit.
        max: u32,
    },
}

/// An evaluation over many runs that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StudyError {
    /// A number lies outside its range, or is NaN or infinite.
    #[error("{field} is {value}, allowed is {min} to {max}")]
    OutOfRange {
        /// The number's name.
        field: &'static str,
        /// The value that was refused.
        value: f64,
        /// The smallest allowed value.
        min: f64,
        /// The largest allowed value.
        max: f64,
    },
    /// There is nobody to evaluate.
    #[error("no {what} was given, at least one is needed")]
    Nothing {
        /// What is missing.
        what: &'static str,
    },
    /// Two rows would have the same name.
    #[error("`{name}` was given twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// The engine cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A scenario does not make sense.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A policy does not exist.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A configuration contradicts itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl StudyError {
    /// `value` if it lies in `[min, max]`, which no NaN does.
    pub(crate) fn check(
        field: &'static str,
        value: f64,
        (min, max): (f64, f64),
    ) -> Result<(), Self> {
        if value >= min && value <= max {
            Ok(())
        } else {
            Err(Self::OutOfRange { field, value, min, max })
        }
    }
}

/// `value` if it lies in `[min, max]`, which no NaN does.
pub(crate) fn check(
    field: impl FnOnce() -> String,
    value: f64,
    unit: &'static str,
    (min, max): (f64, f64),
) -> Result<(), ScenarioError> {
    if value >= min && value <= max {
        Ok(())
    } else {
        Err(ScenarioError::OutOfRange { field: field(), value, unit, min, max })
    }
}

/// The unit with the space before it.
fn gap(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" {unit}") }
}
