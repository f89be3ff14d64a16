//! Scenarios that make no sense are refused with the field, its value and what is allowed.
#![allow(clippy::expect_used, reason = "a failing test may say so")]

use atrion_sim::{Scenario, ScenarioError};

const GOOD: &str = r#"
name = "x"
duration_secs = 10.0
[service]
mean_secs = 0.01
workers = 4
[[class]]
name = "a"
load = 0.5
[[fault]]
kind = "gray"
from_secs = 1.0
to_secs = 2.0
share = 0.3
factor = 20.0
"#;

fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from} is not in the example");
    let text = GOOD.replacen(from, to, 1);
    let error = Scenario::from_toml(&text).err();
    error.unwrap_or_else(|| panic!("accepted: {text}")).to_string()
}

#[test]
fn the_example_is_good() {
    let scenario = Scenario::from_toml(GOOD).expect("good");
    assert_eq!(scenario.window_secs(), (1.0, 2.0));
    assert!((scenario.deadline_secs() - 0.1).abs() < 1e-12);
}

#[test]
fn impossible_values_are_refused_by_name_value_and_range() {
    for (from, to, named) in [
        ("workers = 4", "workers = 0", "service.workers is 0, allowed is 1 to 65536"),
        ("workers = 4", "", "service.workers: is needed"),
        ("workers = 4", "workers = 4\ncpu_share = 0.5", "service.cores: is needed"),
        (
            "workers = 4",
            "workers = 4\ncpu_share = 1.5",
            "service.cpu_share is 1.5, allowed is 0 to 1",
        ),
        ("workers = 4", "cores = 0\ncpu_share = 1.0", "service.cores is 0"),
        (
            "mean_secs = 0.01",
            "mean_secs = 0.0",
            "service.mean_secs is 0 s, allowed is 0.000001 to 60 s",
        ),
        ("mean_secs = 0.01", "mean_secs = nan", "service.mean_secs is NaN s"),
        ("mean_secs = 0.01", "mean_secs = -1.0", "service.mean_secs is -1 s"),
        ("load = 0.5", "load = inf", "class[0].load is inf, allowed is 0 to 1000"),
        ("load = 0.5", "load = 0.0", "expected number of requests"),
        ("load = 0.5", "rate_per_sec = nan", "class[0].rate_per_sec is NaN /s"),
        ("load = 0.5", "load = 0.5\nrate_per_sec = 3.0", "exactly one of load and rate_per_sec"),
        ("load = 0.5", "", "exactly one of load and rate_per_sec"),
        ("load = 0.5", "load = 0.5\nvolts = -1.0", "class[0].volts is -1 V"),
        ("load = 0.5", "load = 0.5\ntimeout_secs = 0.0", "class[0].timeout_secs is 0 s"),
        ("load = 0.5", "load = 0.5\ncost = inf", "class[0].cost is inf"),
        ("load = 0.5", "load = 0.5\nroute = ''", "class[0].route: a route's name"),
        ("duration_secs = 10.0", "duration_secs = 0.0", "duration_secs is 0 s"),
        ("duration_secs = 10.0", "duration_secs = inf", "duration_secs is inf s"),
        (
            "duration_secs = 10.0",
            "duration_secs = 10.0\nwindow_secs = [5.0, 5.0]",
            "must be above window_secs (start)",
        ),
        (
            "duration_secs = 10.0",
            "duration_secs = 10.0\nwindow_secs = [5.0, 11.0]",
            "window_secs (end) is 11 s",
        ),
        (
            "duration_secs = 10.0",
            "duration_secs = 10.0\ndeadline_secs = nan",
            "deadline_secs is NaN s",
        ),
        (
            "to_secs = 2.0",
            "to_secs = 1.0",
            "fault[0].to_secs is 1, which must be above fault[0].from_secs (1)",
        ),
        ("share = 0.3", "share = 1.1", "fault[0].share is 1.1, allowed is 0 to 1"),
        ("factor = 20.0", "factor = 0.0", "fault[0].factor is 0, allowed is 1 to 10000"),
        ("from_secs = 1.0", "from_secs = 10.0", "must be above"),
        (
            "workers = 4",
            "workers = 4\npauses = { every_secs = 0.001, min_secs = 0.0, max_secs = 2.0 }",
            "service.pauses.every_secs is 0.001, which must be above",
        ),
        ("name = \"x\"", "name = \" \"", "name: must not be empty"),
    ] {
        let why = refusal(from, to);
        assert!(why.contains(named), "{from} -> {to}: {why}");
    }
}

#[test]
fn unknown_and_missing_fields_are_refused() {
    for (from, to, named) in [
        ("load = 0.5", "laod = 0.5", "laod"),
        ("workers = 4", "workers = 4\nwrokers = 5", "wrokers"),
        ("share = 0.3", "share = 0.3\nshrae = 0.1", "shrae"),
        ("duration_secs = 10.0", "duration = 10.0", "duration"),
        ("kind = \"gray\"", "kind = \"grey\"", "grey"),
        ("share = 0.3\n", "", "share"),
        ("workers = 4", "workers = 4\ndistribution = { kind = \"lognormal\" }", "cv"),
        ("workers = 4", "workers = -4", "-4"),
        ("[service]", "[service", "not a scenario"),
    ] {
        let why = refusal(from, to);
        assert!(why.contains(named), "{from} -> {to}: {why}");
    }
}

#[test]
fn names_that_mean_nothing_are_refused() {
    let twice = GOOD.replace("[[fault]]", "[[class]]\nname = 'a'\nload = 0.1\n[[fault]]");
    let why = Scenario::from_toml(&twice).expect_err("two classes of one name").to_string();
    assert!(why.contains("class[1].name: there is another class `a`"), "{why}");
    let nobody =
        GOOD.replace("kind = \"gray\"", "kind = \"load\"\nclass = 'b'").replace("share = 0.3", "");
    let why = Scenario::from_toml(&nobody).expect_err("no such class").to_string();
    assert!(why.contains("fault[0].class: there is no class `b`"), "{why}");
}

#[test]
fn runs_without_end_and_crowds_without_number_are_refused() {
    let huge = GOOD
        .replace("load = 0.5", "rate_per_sec = 1e7")
        .replace("duration_secs = 10.0", "duration_secs = 1e6");
    let error = Scenario::from_toml(&huge).expect_err("10^13 requests");
    assert!(matches!(error, ScenarioError::OutOfRange { .. }), "{error}");
    let many =
        format!("{GOOD}{}", "[[fault]]\nkind='hang'\nfrom_secs=1.0\nto_secs=2.0\n".repeat(2000));
    let why = Scenario::from_toml(&many).expect_err("too many").to_string();
    assert!(why.contains("number of entries `fault` is 2001"), "{why}");
}
