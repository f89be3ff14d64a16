//! Configurations as lists of fields: what differs from what, and reading one from JSON.

use atrion_engine::Config;
use serde_json::{Map, Value, json};

use crate::answer::{ApiError, Culprit};

/// Every field of a configuration by its path, in order.
pub(crate) fn fields(config: &Config) -> Vec<(String, Value)> {
    let mut fields = Vec::new();
    // A configuration is plain numbers and switches.
    flatten("", serde_json::to_value(config).unwrap_or(Value::Null), &mut fields);
    fields
}

fn flatten(path: &str, value: Value, fields: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(&path, value, fields);
            }
        }
        value => fields.push((path.to_owned(), value)),
    }
}

/// The fields in which two configurations differ: `field`, `from`, `to`.
pub(crate) fn changes(from: &Config, to: &Config) -> Vec<Value> {
    fields(from)
        .into_iter()
        .zip(fields(to))
        .filter(|((_, from), (_, to))| from != to)
        .map(|((field, from), (_, to))| json!({"field": field, "from": from, "to": to}))
        .collect()
}

/// Every field with what it is, as shipped, and was before the last reload.
pub(crate) fn overview(current: &Config, previous: Option<&Config>) -> Vec<Value> {
    let shipped = fields(&Config::default());
    let previous: Option<Vec<(String, Value)>> = previous.map(fields);
    fields(current)
        .into_iter()
        .enumerate()
        .map(|(place, (field, value))| {
            let default = shipped.get(place).map_or(Value::Null, |(_, value)| value.clone());
            let before =
                previous.as_ref().and_then(|p| p.get(place)).map(|(_, value)| value.clone());
            json!({
                "field": field, "default": default, "differs": value != default,
                "changed": before.as_ref().is_some_and(|before| *before != value),
                "previous": before, "value": value,
            })
        })
        .collect()
}

/// Reads a whole configuration; what it leaves out is as shipped.
///
/// # Errors
/// 422 with the field, its value and what is allowed.
pub(crate) fn read(value: Option<&Map<String, Value>>) -> Result<Config, ApiError> {
    let Some(members) = value else {
        return Err(ApiError::bad("`config` is missing, or no object"));
    };
    serde_json::from_value(Value::Object(members.clone()))
        .map_err(|error| refused(&error.to_string()))
}

/// What serde passes on of a configuration's error is its sentence, whose form is fixed:
/// `FIELD is VALUE[ UNIT], allowed is RANGE` or `FIELD is VALUE, which must be RELATION`.
fn refused(message: &str) -> ApiError {
    let mut error = ApiError::unprocessable("config_invalid", message.to_owned());
    let split = message.split_once(" is ").and_then(|(field, rest)| {
        let (value, allowed) =
            rest.split_once(", allowed is ").or_else(|| rest.split_once(", which must be "))?;
        Some((field, value.split(' ').next()?, allowed))
    });
    if let Some((field, value, allowed)) = split {
        error.culprit = Some(Box::new(Culprit {
            field: field.to_owned(),
            value: value.parse::<f64>().map_or_else(|_| json!(value), |number| json!(number)),
            allowed: allowed.to_owned(),
        }));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Result<Config, ApiError> {
        let value: Value = serde_json::from_str(text).unwrap();
        read(value.as_object())
    }

    #[test]
    fn a_configuration_is_read_whole_or_refused_by_field() {
        let config = from(r#"{"law": {"probe_secs": 0.5}, "shadow": true}"#).unwrap();
        assert_eq!(
            changes(&Config::default(), &config),
            [
                json!({"field": "law.probe_secs", "from": 0.25, "to": 0.5}),
                json!({"field": "shadow", "from": false, "to": true}),
            ]
        );
        let culprit = |text| from(text).unwrap_err().culprit.expect("a field");
        assert_eq!(from(r#"{"law": {"probe_secs": -1}}"#).unwrap_err().status.as_u16(), 422);
        let range = culprit(r#"{"law": {"probe_secs": -1}}"#);
        assert_eq!((range.field.as_str(), range.value), ("law.probe_secs", json!(-1.0)));
        assert_eq!(range.allowed, "0.001 to 3600 s");
        let conflict = culprit(r#"{"law": {"close_ohms": 200}}"#);
        assert_eq!(conflict.field, "law.close_ohms");
        assert_eq!(conflict.allowed, "below law.open_ohms (100)");
        for bad in [
            r#"{"lawn": 1}"#,
            r#"{"law": 3}"#,
            r#"{"law": {"probe_secs": "x"}}"#,
            r#"{"route_limit": -1}"#,
            r#"{"route_limit": 1.5}"#,
            r#"{"shadow": null}"#,
            "[]",
            "null",
        ] {
            let error = from(bad).unwrap_err();
            assert!(matches!(error.status.as_u16(), 400 | 422), "{bad}");
        }
    }

    #[test]
    fn the_overview_tells_default_and_previous_apart() {
        let (old, new) =
            (from(r#"{"route_limit": 5}"#).unwrap(), from(r#"{"route_limit": 6}"#).unwrap());
        let row =
            |rows: Vec<Value>| rows.into_iter().find(|row| row["field"] == "route_limit").unwrap();
        let shown = row(overview(&new, Some(&old)));
        assert_eq!(
            shown,
            json!({"field": "route_limit", "value": 6, "default": 10_000, "previous": 5, "differs": true, "changed": true})
        );
        let shown = row(overview(&Config::default(), None));
        assert_eq!(
            (&shown["previous"], &shown["differs"], &shown["changed"]),
            (&Value::Null, &json!(false), &json!(false))
        );
        assert!(fields(&Config::default()).len() > 30);
    }
}
