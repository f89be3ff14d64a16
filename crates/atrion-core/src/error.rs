//! The errors of the core: each names the field, the value and the allowed range.

use thiserror::Error;

/// A number that lies outside the domain of its quantity.
///
/// Nothing was changed by the call that returned it.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("{field} is {value}{gap}{unit}, allowed is {min} to {max}{gap}{unit}", gap = gap(.unit))]
pub struct OutOfRange {
    /// The quantity or configuration field, as a path such as `scar.decay_per_sec`.
    pub field: &'static str,
    /// The value that was refused (possibly NaN or infinite).
    pub value: f64,
    /// The unit of the three numbers; empty for pure numbers.
    pub unit: &'static str,
    /// The smallest allowed value.
    pub min: f64,
    /// The largest allowed value.
    pub max: f64,
}

impl OutOfRange {
    /// `Ok(value)` if `min <= value <= max`, which no NaN satisfies.
    ///
    /// # Errors
    /// [`OutOfRange`] with the given names otherwise.
    pub fn check(
        field: &'static str,
        value: f64,
        unit: &'static str,
        min: f64,
        max: f64,
    ) -> Result<f64, Self> {
        if value >= min && value <= max {
            Ok(value)
        } else {
            Err(Self { field, value, unit, min, max })
        }
    }
}

/// What stands between a number and its unit.
const fn gap(unit: &str) -> &'static str {
    if unit.is_empty() { "" } else { " " }
}

/// A configuration that cannot be used. The configuration in force stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// One field lies outside its own range.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// Two fields are each allowed but contradict one another.
    #[error("{field} is {value}, which must be {relation} {other} ({other_value})")]
    Conflict {
        /// The offending field.
        field: &'static str,
        /// Its value.
        value: f64,
        /// The required relation, such as `below`.
        relation: &'static str,
        /// The field it is compared with.
        other: &'static str,
        /// That field's value.
        other_value: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::ToString;

    #[test]
    fn messages_name_field_value_and_range_with_and_without_a_unit() {
        let e = OutOfRange::check("law.probe_secs", -1.0, "s", 0.0, 9.0).unwrap_err();
        assert_eq!(e.to_string(), "law.probe_secs is -1 s, allowed is 0 to 9 s");
        let e = OutOfRange::check("telemetry.saturation", f64::NAN, "", 0.0, 9.0).unwrap_err();
        assert_eq!(e.to_string(), "telemetry.saturation is NaN, allowed is 0 to 9");
    }
}
