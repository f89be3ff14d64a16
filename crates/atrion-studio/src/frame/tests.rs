use super::*;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a viewer makes of the lines: the rows by id.
#[derive(Debug, Default, PartialEq, Clone)]
struct Viewer {
    seq: u64,
    rows: BTreeMap<u64, Vec<Value>>,
}

impl Viewer {
    fn take(&mut self, line: &[u8]) {
        assert_eq!(line.split(|b| *b == b'\n').count(), 2, "one line");
        let line: Value = serde_json::from_slice(line).expect("JSON");
        let seq = line["seq"].as_u64().expect("a number");
        let list = |name: &str| line[name].as_array().cloned().unwrap_or_default();
        let row = |row: &Value| {
            (row[0].as_u64().expect("an id"), row.as_array().expect("a row")[1..].to_vec())
        };
        if line["t"] == "snapshot" {
            self.rows = list("routes").iter().map(row).collect();
        } else {
            assert_eq!(seq, self.seq + 1);
            for gone in list("gone") {
                assert!(self.rows.remove(&gone.as_u64().expect("an id")).is_some());
            }
            for added in list("added") {
                let (id, values) = row(&added);
                assert!(self.rows.insert(id, values).is_none(), "ids are never used twice");
            }
            for changed in list("changed") {
                let (id, values) = row(&changed);
                let mask = values[0].as_u64().expect("a mask");
                assert!(mask > 0 && mask < 1 << COLUMNS.len());
                let mut values = values[1..].iter();
                let row = self.rows.get_mut(&id).expect("a known route");
                for column in (0..COLUMNS.len()).filter(|column| mask >> column & 1 == 1) {
                    row[1 + column] = values.next().expect("a value").clone();
                }
                assert!(values.next().is_none());
            }
        }
        self.seq = seq;
    }
}

fn reading() -> impl Strategy<Value = Reading> {
    let numbers = (prop::num::f64::ANY, prop::num::f64::ANY, prop::option::of(0.0..10.0));
    (0_u8..5, 0_u8..8, 0_u8..6, any::<u32>(), any::<u32>(), any::<u32>(), numbers).prop_map(
        |(
            mode,
            flags,
            cause,
            in_flight,
            done,
            shed,
            (resistance_ohm, error_rate, service_secs),
        )| Reading {
            mode,
            flags,
            resistance_ohm,
            cause,
            in_flight,
            done,
            shed,
            error_rate,
            service_secs,
        },
    )
}

proptest! {
    /// Whoever follows the deltas sees what whoever comes later sees.
    #[test]
    fn deltas_and_snapshots_agree(
        rounds in prop::collection::vec(prop::collection::btree_map("[a-c<\"\\n]{0,2}", reading(), 0..8), 1..12),
        joins in 0_usize..12,
    ) {
        let mut overview = Overview::default();
        let mut viewer = Viewer::default();
        for (number, round) in rounds.iter().enumerate() {
            overview.begin(1.0);
            for (name, reading) in round {
                let name: Arc<str> = Arc::from(name.as_str());
                let id = overview.observe(&name, reading);
                prop_assert_eq!(overview.id(&name), Some(id));
                prop_assert_eq!(overview.name(id), Some(&name));
            }
            let line = overview.finish(number as u64, "\"totals\":{}".to_owned());
            if number == joins {
                viewer = Viewer::default();
                viewer.take(&overview.snapshot());
            } else {
                viewer.take(&line);
            }
            let mut late = Viewer::default();
            late.take(&overview.snapshot());
            prop_assert_eq!(&late, &viewer);
            prop_assert_eq!(overview.len(), round.len());
            prop_assert_eq!(overview.names.len(), round.len());
        }
    }
}

#[test]
fn rates_are_over_the_round_and_survive_counters_that_wrap_or_begin_anew() {
    let mut overview = Overview::default();
    let name: Arc<str> = Arc::from("a");
    let mut rates = |in_flight, done, shed| {
        overview.begin(2.0);
        overview.observe(&name, &Reading { in_flight, done, shed, ..Reading::default() });
        let sums = *overview.sums();
        overview.finish(0, "\"x\":0".into());
        (sums.admitted_rate, sums.shed_rate)
    };
    assert_eq!(rates(0, u32::MAX - 4, 7), (0.0, 0.0));
    assert_eq!(rates(2, 5, 9), (6.0, 1.0));
    assert_eq!(rates(0, 5, 9), (0.0, 0.0));
    assert_eq!(rates(0, 0, 0), (0.0, 0.0));
}

#[test]
fn what_a_shadowed_route_would_have_refused_is_its_own_figure_and_in_no_sum() {
    let mut overview = Overview::default();
    for round in 0..2 {
        overview.begin(1.0);
        for (name, flags) in [("real", 0), ("shadowed", 1)] {
            let reading = Reading { flags, shed: 10 * round, ..Reading::default() };
            overview.observe(&Arc::from(name), &reading);
        }
    }
    assert_eq!((overview.sums().shed_rate, overview.sums().shadowed), (10.0, 1));
    overview.finish(0, "\"x\":0".into());
    let snapshot = String::from_utf8(overview.snapshot().to_vec()).unwrap();
    let line: serde_json::Value = serde_json::from_str(&snapshot).unwrap();
    let rates: Vec<&serde_json::Value> =
        line["routes"].as_array().unwrap().iter().map(|row| &row[2 + 6]).collect();
    assert_eq!(rates, [10, 10]);
}

#[test]
fn nothing_new_is_a_short_line() {
    let mut overview = Overview::default();
    let names: Vec<Arc<str>> = (0..1000).map(|n| Arc::from(format!("r{n}"))).collect();
    let mut line = Bytes::new();
    for round in 0..2 {
        overview.begin(1.0);
        for name in &names {
            let noise = 1.0 + f64::from(round) * 1e-4;
            overview.observe(name, &Reading { resistance_ohm: noise, ..Reading::default() });
        }
        line = overview.finish(0, "\"x\":0".into());
    }
    assert!(line.len() < 100, "{}", line.len());
}
