//! The documents that people copy from say what the code does.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use atrion_observe::{instruments, markdown};
use atrion_testkit::prometheus::promtool;
use serde_json::Value;

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn read(name: &str) -> String {
    let path = docs().join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every word in `text` that looks like one of our metrics.
fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("atrion_"))
        .map(str::to_owned)
        .collect()
}

fn known() -> BTreeSet<String> {
    instruments().map(|instrument| instrument.prometheus_name()).collect()
}

#[test]
fn the_table_of_instruments_is_the_one_in_the_code() {
    let text = read("observability.md");
    let (_, rest) = text.split_once("<!-- instruments -->\n").expect("the table has a beginning");
    let (table, _) = rest.split_once("<!-- end -->").expect("and an end");
    assert_eq!(table, markdown(), "docs/observability.md is not what `markdown()` makes");
}

#[test]
fn every_metric_that_is_named_exists_and_every_one_that_exists_is_shown() {
    let dashboard = read("grafana/atrion.json");
    for (name, text) in [
        ("observability.md", read("observability.md")),
        ("grafana/atrion.json", dashboard.clone()),
        ("prometheus/atrion.rules.yml", read("prometheus/atrion.rules.yml")),
        ("prometheus/atrion.rules.test.yml", read("prometheus/atrion.rules.test.yml")),
    ] {
        let unknown: Vec<_> = metrics_in(&text).difference(&known()).cloned().collect();
        // Crates are written with underscores in examples.
        let unknown: Vec<_> = unknown
            .into_iter()
            .filter(|word| {
                !["atrion_observe", "atrion_core", "atrion_engine", "atrion_cluster"]
                    .contains(&&**word)
            })
            .collect();
        assert!(unknown.is_empty(), "{name} names {unknown:?}");
    }
    let missing: Vec<_> = known().difference(&metrics_in(&dashboard)).cloned().collect();
    assert!(missing.is_empty(), "no panel shows {missing:?}");
}

#[test]
fn alerts_are_well_formed_and_do_what_they_are_for() {
    let folder = docs().join("prometheus");
    promtool(&folder, &["check", "rules", "--lint-fatal", "atrion.rules.yml"])
        .expect("well-formed");
    let mut tests = String::new();
    for file in ["atrion.rules.test.yml", "atrion.rules.long.test.yml"] {
        promtool(&folder, &["test", "rules", file]).expect("right");
        tests.push_str(&read(&format!("prometheus/{file}")));
    }
    let rules = read("prometheus/atrion.rules.yml");
    let of = |text: &str, key: &str| text.matches(key).count();
    let alerts: Vec<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(alerts.len(), of(&rules, "runbook: >-"), "each has a runbook");
    assert_eq!(alerts.len(), of(&rules, "severity: "), "and a severity");
    for alert in alerts {
        let fires = format!("alertname=\"{alert}\"}}', value: 1");
        assert!(tests.contains(&fires), "no test in which {alert} fires");
    }
}

#[test]
fn panels_have_a_description_a_place_and_no_two_the_same() {
    let dashboard: Value = serde_json::from_str(&read("grafana/atrion.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].to_string()), "{title}");
        let at = |key: &str| panel["gridPos"][key].as_u64().expect("a place");
        assert!(at("x") + at("w") <= 24, "{title} is beside the page");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{title} lies upon another panel");
            }
        }
        if panel["type"] != "row" {
            assert!(!panel["description"].as_str().unwrap_or_default().is_empty(), "{title}");
            assert!(!panel["targets"].as_array().expect("targets").is_empty(), "{title}");
        }
    }
}
