//! The instruments: one table that every adapter and the documentation are made from.

use std::fmt::Write as _;

use crate::snapshot::Snapshot;

mod instance;
mod route;

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only grows, from zero at the start of the process.
    Counter,
    /// As of now.
    Gauge,
}

impl Kind {
    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a gauge; finite.
    Number(f64),
}

/// One label: its name and its value.
pub type Label<'a> = (&'static str, &'a str);
/// Takes measurements as they are read.
pub type Emit<'e> = dyn FnMut(&[Label<'_>], Value) + 'e;

/// One instrument.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Instrument {
    /// Its name as OpenTelemetry writes it.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// Its unit in UCUM, as OpenTelemetry writes it.
    pub unit: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
    read: fn(&Snapshot, &mut Emit<'_>),
}

impl Instrument {
    /// Hands all measurements of a snapshot to `emit`. What is not finite is left out.
    pub fn read(&self, snapshot: &Snapshot, emit: &mut Emit<'_>) {
        (self.read)(snapshot, &mut |labels, value| {
            if !matches!(value, Value::Number(number) if !number.is_finite()) {
                emit(labels, value);
            }
        });
    }

    /// Its name in Prometheus: dots become underscores, the unit and `total` are put behind. That
    /// is what an OpenTelemetry exporter makes of [`name`](Self::name), so that queries do not
    /// depend on how the numbers travel.
    pub fn prometheus_name(&self) -> String {
        let mut name = self.name.replace('.', "_");
        let unit = match self.unit {
            "s" => "_seconds",
            "1" if self.kind == Kind::Gauge => "_ratio",
            "1/s" | "{request}/s" => "_per_second",
            _ => "",
        };
        name.push_str(unit);
        if self.kind == Kind::Counter {
            name.push_str("_total");
        }
        name
    }
}

/// All instruments, in the order in which they are documented.
pub fn instruments() -> impl Iterator<Item = &'static Instrument> + Clone {
    route::TABLE.iter().chain(instance::TABLE)
}

/// The table in `docs/observability.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "| OpenTelemetry | Prometheus | kind | unit | labels | what it says |\n|---|---|---|---|---|---|\n",
    );
    for instrument in instruments() {
        let Instrument { name, kind, unit, labels, help, .. } = instrument;
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{name}` | `{}` | {} | `{unit}` | {} | {help} |",
            instrument.prometheus_name(),
            kind.as_str(),
            labels.join(", ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let mut seen = BTreeSet::new();
        for instrument in instruments() {
            assert!(instrument.name.starts_with("atrion."), "{}", instrument.name);
            let fits = |c: char| c.is_ascii_lowercase() || c == '.' || c == '_';
            assert!(instrument.name.chars().all(fits), "{}", instrument.name);
            assert!(seen.insert(instrument.prometheus_name()), "{} twice", instrument.name);
            assert!(instrument.help.ends_with('.'), "{}", instrument.name);
            assert!(!instrument.help.contains('|'), "{}", instrument.name);
        }
        assert!(seen.len() > 30);
    }

    #[test]
    fn prometheus_names_carry_unit_and_total() {
        let name = |name: &str| {
            let found = instruments().find(|i| i.name == name);
            found.expect("is in the table").prometheus_name()
        };
        assert_eq!(name("atrion.route.requests"), "atrion_route_requests_total");
        assert_eq!(name("atrion.route.resistance"), "atrion_route_resistance");
        assert_eq!(name("atrion.route.service_time"), "atrion_route_service_time_seconds");
        assert_eq!(name("atrion.route.error_rate"), "atrion_route_error_rate_ratio");
        assert_eq!(name("atrion.route.capacity"), "atrion_route_capacity_per_second");
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let broken = Instrument {
            name: "atrion.broken",
            kind: Kind::Gauge,
            unit: "1",
            labels: &[],
            help: "Broken.",
            read: |_, emit| {
                emit(&[], Value::Number(f64::NAN));
                emit(&[], Value::Number(f64::INFINITY));
                emit(&[], Value::Number(1.0));
            },
        };
        let mut seen = Vec::new();
        broken.read(&Snapshot::default(), &mut |_, value| seen.push(value));
        assert_eq!(seen, [Value::Number(1.0)]);
    }

    #[test]
    fn measurements_have_the_labels_and_the_kind_of_their_instrument() {
        let snapshot = crate::testing::full_snapshot();
        for instrument in instruments() {
            let mut count = 0;
            instrument.read(&snapshot, &mut |labels, value| {
                let names: Vec<_> = labels.iter().map(|(name, _)| *name).collect();
                assert_eq!(names, instrument.labels, "{}", instrument.name);
                let is_count = matches!(value, Value::Count(_));
                assert_eq!(is_count, instrument.kind == Kind::Counter, "{}", instrument.name);
                count += 1;
            });
            assert!(count > 0, "{} says nothing of a full snapshot", instrument.name);
        }
    }
}
