//! Reading vector files: numbers that JSON cannot write are strings.

use serde_json::Value;

/// A number; `"NaN"`, `"Infinity"`, `"-Infinity"` and `"-0"` are strings.
pub(super) fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Number(n) => n.as_f64().ok_or_else(|| format!("{n} is no double")),
        Value::String(text) => match text.as_str() {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            "-0" => Ok(-0.0),
            other => Err(format!("`{other}` is no number")),
        },
        other => Err(format!("{other} is no number")),
    }
}

/// A field of an object.
pub(super) fn field<'a>(object: &'a Value, name: &str) -> Result<&'a Value, String> {
    object.get(name).ok_or_else(|| format!("field `{name}` is missing in {}", short(object)))
}

/// A number in a field.
pub(super) fn num(object: &Value, name: &str) -> Result<f64, String> {
    number(field(object, name)?).map_err(|why| format!("{name}: {why}"))
}

/// A list in a field.
pub(super) fn list<'a>(object: &'a Value, name: &str) -> Result<&'a [Value], String> {
    field(object, name)?.as_array().map(Vec::as_slice).ok_or_else(|| format!("{name} is no list"))
}

/// Numbers in a field.
pub(super) fn nums(object: &Value, name: &str) -> Result<Vec<f64>, String> {
    list(object, name)?.iter().map(number).collect()
}

/// Three numbers in a field.
pub(super) fn three(object: &Value, name: &str) -> Result<[f64; 3], String> {
    let all = nums(object, name)?;
    <[f64; 3]>::try_from(all).map_err(|all| format!("{name} has {} numbers, not 3", all.len()))
}

/// A text in a field.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Result<&'a str, String> {
    field(object, name)?.as_str().ok_or_else(|| format!("{name} is no text"))
}

/// The beginning of a case, for messages.
pub(super) fn short(value: &Value) -> String {
    let all = value.to_string();
    all.chars().take(240).collect()
}

/// Moves one recorded output by a hundred-thousandth, for the test of the test.
#[cfg(test)]
pub(super) fn nudge(file: &mut Value) -> bool {
    let key = if file.get("sequences").is_some() { "sequences" } else { "cases" };
    let cases = file.get_mut(key).and_then(Value::as_array_mut);
    // The edge cases are mostly departures. Sequences of the whole model have none.
    let ordinary = |case: &&mut Value| {
        let whole = case.get("pl").map(|_| "random");
        let kind = case.get("kind").and_then(Value::as_str).or(whole).unwrap_or_default();
        kind.starts_with("random") || kind == "gaussian"
    };
    cases.into_iter().flatten().filter(ordinary).any(|case| {
        // Where there is an `expected` or a `scar` after each tick, the `weights` are inputs.
        let output = ["expected", "probabilities", "mean", "scar", "weights"];
        let output = output.into_iter().find(|name| case.get(*name).is_some());
        match output.and_then(|name| case.get_mut(name)) {
            Some(Value::Array(values)) => values.iter_mut().any(nudge_number),
            Some(value) => nudge_number(value),
            None => false,
        }
    })
}

#[cfg(test)]
fn nudge_number(value: &mut Value) -> bool {
    let nudged = value.as_f64().filter(|old| old.is_normal()).map(|old| old * 1.00001);
    nudged.map(|new| *value = Value::from(new)).is_some()
}
