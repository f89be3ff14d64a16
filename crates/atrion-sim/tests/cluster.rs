//! Clusters: the same seed gives the same bits, the presets come out as they should, and the
//! figures that the project promises of clusters hold where they can be simulated.
#![cfg(feature = "cluster")]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a failing test may say so")]

use atrion_sim::cluster::{
    ClusterReport, ClusterScenario, ClusterSummary, Sharing, Skew, Split, Trouble, TroubleKind,
    Weather, find, run,
};
use atrion_sim::{Effect, Fault, ScenarioError, scenario};

const SEEDS: [u64; 3] = [1, 2, 3];

fn gamma(gamma: f64) -> Sharing {
    Sharing::gamma(gamma).expect("in range")
}

fn report(name: &str, sharing: Sharing, seed: u64) -> ClusterReport {
    let scenario = find(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    run(&scenario, sharing, seed).expect("it runs")
}

fn reports(name: &str, sharing: Sharing) -> Vec<ClusterReport> {
    SEEDS.iter().map(|seed| report(name, sharing, *seed)).collect()
}

fn summary(name: &str, sharing: Sharing) -> ClusterSummary {
    ClusterSummary::of(&reports(name, sharing)).expect("three reports")
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let names = ["lossy", "crash", "clocks", "liar", "emptied", "hung", "cut", "routes@cluster3"];
    for name in names {
        let once = report(name, gamma(0.3), 7).fingerprint();
        assert_eq!(once, report(name, gamma(0.3), 7).fingerprint(), "{name}");
        assert_ne!(once, report(name, gamma(0.3), 8).fingerprint(), "{name}: another seed");
    }
}

#[test]
fn who_is_alone_says_nothing_and_the_callers_are_the_same() {
    let (alone, shared) = (report("outage", Sharing::Alone, 1), report("outage", gamma(0.3), 1));
    assert!(alone.frames == 0 && alone.deliveries == 0 && shared.frames > 0);
    assert_eq!(alone.requests, shared.requests);
    assert_eq!(alone.asked_dead, shared.asked_dead);
    assert!(alone.known_intervals.iter().all(|known| *known > 0.0), "{:?}", alone.known_intervals);
}

/// Design, section 9: another node knows within an interval and 5 ms.
#[test]
fn the_others_know_within_an_interval() {
    for name in ["warned", "first", "outage@cluster5", "outage@cluster10"] {
        let (half, nearly_all) = summary(name, gamma(0.3)).known.expect("a breaker opened");
        println!("{name}: {half} {nearly_all}");
        assert!(half <= nearly_all && nearly_all <= 1.05, "{name}: {nearly_all} intervals");
    }
}

#[test]
fn quiet_nodes_are_spared_what_the_busy_one_met() {
    let sent = |sharing| summary("warned", sharing).others_sent_percent.expect("they asked").mean;
    let (alone, shared) = (sent(Sharing::Alone), sent(gamma(0.3)));
    println!("quiet nodes: {shared} % sent to the dead, alone {alone} %");
    assert!(alone >= 80.0, "{alone}: without a warning each finds out by itself");
    assert!(shared <= 36.0, "{shared}");
}

#[test]
fn an_outage_of_all_costs_less_than_alone_and_heals_as_fast() {
    for (nodes, most_percent) in [(3, 60.0), (5, 50.0), (10, 40.0)] {
        let name = format!("outage@cluster{nodes}");
        let (alone, shared) = (summary(&name, Sharing::Alone), summary(&name, gamma(0.3)));
        let dead = |s: &ClusterSummary| s.sent_to_dead.expect("an outage").mean;
        let percent = 100.0 * dead(&shared) / dead(&alone);
        println!("{name}: {percent} % of alone, {:?}", shared.recovery_secs);
        assert!(percent <= most_percent, "{name}: {percent} %");
        for report in reports(&name, gamma(0.3)) {
            let recovery = report.recovery_secs.expect("long enough");
            assert!(recovery <= 1.5, "{name}, seed {}: {recovery} s", report.seed);
        }
    }
}

/// Design, section 9: 15 % of the requests of 50 nodes alone, 1.5 s, 5 probes a second.
#[test]
fn fifty_nodes_send_a_seventh_of_what_they_would_alone() {
    let (alone, shared) =
        (report("outage50", Sharing::Alone, 1), report("outage50", gamma(0.3), 1));
    let percent = 100.0 * shared.sent_to_dead as f64 / alone.sent_to_dead as f64;
    let (probes, recovery) = (shared.probes_per_sec, shared.recovery_secs);
    println!("50 nodes: {percent} %, {probes:?} probes/s, {recovery:?} s");
    assert!(percent <= 15.0, "{percent} %");
    assert!(recovery.is_some_and(|secs| secs <= 1.5), "{recovery:?}");
    assert!(probes.is_some_and(|rate| (2.0..=5.0).contains(&rate)), "{probes:?}");
}

/// Design, section 9: nothing normal, at most 2 % of bulk and low.
#[test]
fn a_liar_costs_the_healthy_no_normal_request() {
    let mut bulk = 0;
    for name in ["liar@cluster3", "liar@cluster5"] {
        for report in reports(name, gamma(0.3)) {
            for harm in &report.harm {
                let most = if harm.volts >= 20.0 { 0.0 } else { 2.0 };
                assert!(harm.percent() <= most, "{name}, seed {}: {harm:?}", report.seed);
                assert!(harm.asked >= 50, "too few to tell: {harm:?}");
            }
            bulk += report.harm[0].refused;
        }
    }
    assert!(bulk > 0, "the lie was heard at all");
}

#[test]
fn a_dead_zone_does_not_take_the_healthy_one_with_it() {
    for report in reports("zone", gamma(0.3)) {
        assert_eq!(report.harm.len(), 5, "two of five nodes are well");
        for harm in &report.harm {
            assert!(harm.percent() <= 3.0, "seed {}: {harm:?}", report.seed);
        }
    }
}

/// Design, section 9: three intervals without loss, a second with 30 % of it.
#[test]
fn everybody_hears_of_everybody_again() {
    for (name, most) in [
        ("partition", 0.3),
        ("killed", 0.3),
        ("emptied", 0.3),
        ("hung", 0.3),
        ("crash", 0.5),
        ("lossy", 1.0),
        // Who was cut off tries again within a second or so.
        ("cut", 1.5),
    ] {
        for report in reports(name, gamma(0.3)) {
            let secs = report.convergence_secs.expect("something was parted");
            assert!(secs > 0.0 && secs <= most, "{name}, seed {}: {secs} s", report.seed);
        }
    }
}

#[test]
fn faults_of_the_hub_cost_no_more_than_being_alone() {
    for name in ["partition", "cut", "killed", "emptied", "hung", "lossy", "clocks", "crash"] {
        let dead = |sharing| summary(name, sharing).sent_to_dead.expect("an outage").mean;
        let (alone, shared) = (dead(Sharing::Alone), dead(gamma(0.3)));
        println!("{name}: {shared} of {alone}");
        assert!(shared <= 0.65 * alone, "{name}: {shared} of {alone}");
        for report in reports(name, gamma(0.3)) {
            let recovery = report.recovery_secs.expect("long enough");
            assert!(recovery <= 1.5, "{name}, seed {}: {recovery} s", report.seed);
        }
    }
}

#[test]
fn a_crash_loses_what_nobody_was_there_for() {
    let report = report("crash", gamma(0.3), 1);
    // Two seconds of twenty requests.
    assert!((15..=70).contains(&report.lost), "{}", report.lost);
}

#[test]
fn in_calm_a_node_says_once_a_second_that_it_lives() {
    let report = report("calm", gamma(0.3), 1);
    let frames = report.frames_per_node_sec();
    assert!((0.9..=1.3).contains(&frames), "{frames}");
    assert!(report.harm.iter().all(|harm| harm.refused == 0), "{:?}", report.harm);
    assert_eq!((report.convergence_secs, report.recovery_secs), (None, None));
    assert!(report.known_intervals.is_empty());
}

#[test]
fn the_load_is_split_as_it_says() {
    let single = scenario::find("steady").expect("a preset");
    let base = ClusterScenario::builder(single, 4);
    let rate = |split: Split, node: usize| {
        let scenario = base.clone().split(split).build().expect("valid");
        scenario.nodes()[node].classes()[0].load.expect("a load")
    };
    assert!((rate(Split::Even, 3) - 0.7).abs() < 1e-12);
    let skewed = |node| rate(Split::Skewed { exponent: 1.0 }, node);
    assert!((skewed(0) / skewed(3) - 4.0).abs() < 1e-9);
    assert!(((0..4).map(skewed).sum::<f64>() - 4.0 * 0.7).abs() < 1e-9, "the mean stays");
    let weights = Split::Weights { weights: vec![3.0, 1.0, 0.0, 0.0] };
    assert!((rate(weights, 0) - 0.7 * 3.0).abs() < 1e-9);
}

fn base() -> atrion_sim::cluster::ClusterScenarioBuilder {
    find("outage@cluster3").expect("a preset").to_builder()
}

fn trouble(kind: TroubleKind) -> Result<ClusterScenario, ScenarioError> {
    base().trouble(Trouble::new(1.0, 2.0, kind)).build()
}

fn refused(cases: Vec<(Result<ClusterScenario, ScenarioError>, &str)>) {
    for (made, named) in cases {
        let why = made.expect_err(named).to_string();
        assert!(why.contains(named), "{named}: {why}");
    }
}

#[test]
fn impossible_clusters_are_refused_by_field_value_and_range() {
    let of_size =
        |n| ClusterScenario::builder(scenario::find("steady").expect("a preset"), n).build();
    let skew =
        |node, offset_secs, drift_ppm| base().skew(Skew { node, offset_secs, drift_ppm }).build();
    let weights =
        |weights: &[f64]| base().split(Split::Weights { weights: weights.to_vec() }).build();
    let skewed = |exponent| base().split(Split::Skewed { exponent }).build();
    let outage = Effect::Outage { min_secs: 0.01, max_secs: 0.02 };
    refused(vec![
        (of_size(0), "nodes is 0, allowed is 1 to 400"),
        (of_size(401), "nodes is 401, allowed is 1 to 400"),
        (
            base().interval_secs(f64::NAN).build(),
            "interval_secs is NaN s, allowed is 0.001 to 60 s",
        ),
        (skew(3, 0.0, 0.0), "skew[0].node is 3, allowed is 0 to 2"),
        (skew(0, f64::NAN, 0.0), "skew[0].offset_secs is NaN s, allowed is -1800 to 1800 s"),
        (skew(0, 0.0, f64::INFINITY), "skew[0].drift_ppm is inf ppm"),
        (weights(&[1.0]), "number of entries `split.weights` is 1, allowed is 3 to 3"),
        (weights(&[1.0, -1.0, 1.0]), "split.weights[1] is -1, allowed is 0 to"),
        (weights(&[0.0, 0.0, 0.0]), "split.weights: must not all be 0"),
        (skewed(f64::NAN), "split.exponent is NaN, allowed is 0 to 10"),
        (
            base().fault(&[9], Fault::new(1.0, 2.0, outage)).build(),
            "fault[1].nodes[0] is 9, allowed is 0 to 2",
        ),
    ]);
    for wrong in [-0.1, 1.1, f64::NAN] {
        let why = Sharing::gamma(wrong).expect_err("out of range").to_string();
        assert!(why.contains("gamma is") && why.contains("allowed is 0 to 1"), "{why}");
    }
}

#[test]
fn impossible_troubles_are_refused_by_field_value_and_range() {
    use TroubleKind::{ClockStep, Crash, Cut, HubDown, HubHung, Lie, Partition};
    let weather = |loss, min_delay_secs, max_delay_secs| Weather {
        loss,
        duplication: 0.0,
        min_delay_secs,
        max_delay_secs,
    };
    let at = |from, to, kind| base().trouble(Trouble::new(from, to, kind));
    let beside_a_hang = |kind| at(1.0, 3.0, HubHung).trouble(Trouble::new(2.0, 4.0, kind)).build();
    let leap = |secs| trouble(ClockStep { nodes: vec![0], secs });
    refused(vec![
        (trouble(Partition { nodes: vec![3] }), "trouble[0].nodes[0] is 3, allowed is 0 to 2"),
        (trouble(Partition { nodes: vec![0, 1, 2] }), "must leave a node on the other side"),
        (trouble(Lie { nodes: vec![2, 1, 0] }), "must leave a node that does not lie"),
        (trouble(Crash { nodes: vec![] }), "trouble[0].nodes: at least one node"),
        (trouble(Cut { nodes: vec![1, 1] }), "trouble[0].nodes[1]: node 1 is named twice"),
        (leap(f64::NAN), "trouble[0].secs is NaN s, allowed is -1800 to 1800 s"),
        (
            trouble(TroubleKind::Weather(weather(1.5, 0.0, 0.1))),
            "trouble[0].loss is 1.5, allowed is 0 to 1",
        ),
        (
            base().weather(weather(0.0, 0.2, 0.1)).build(),
            "weather.max_delay_secs is 0.1 s, allowed is 0.2 to 10 s",
        ),
        (
            at(3.0, 3.0, HubHung).build(),
            "trouble[0].to_secs is 3, which must be above trouble[0].from_secs (3)",
        ),
        (at(99.0, 100.0, HubHung).build(), "trouble[0].from_secs is 99 s, allowed is 0 to 45 s"),
        (
            beside_a_hang(HubDown { emptied: true }),
            "trouble[1]: acts on the hub at the same time as trouble[0]",
        ),
    ]);
    assert!(trouble(Cut { nodes: vec![0, 1, 2] }).is_ok(), "all may be cut off");
    assert!(beside_a_hang(Crash { nodes: vec![0] }).is_ok(), "these do not meet");
}

#[test]
fn a_file_says_what_a_builder_says_and_no_more() {
    let text = r#"
        name = "two zones"
        nodes = 4
        split = { kind = "skewed", exponent = 0.5 }
        [node]
        name = "shop"
        duration_secs = 10.0
        [node.service]
        mean_secs = 0.02
        workers = 8
        [[node.class]]
        name = "shoppers"
        load = 0.3
        [[skew]]
        node = 2
        offset_secs = -5.0
        [[fault]]
        nodes = [0, 1]
        from_secs = 2.0
        to_secs = 6.0
        kind = "outage"
        min_secs = 0.01
        max_secs = 0.02
        [[trouble]]
        from_secs = 3.0
        to_secs = 5.0
        kind = "partition"
        nodes = [0, 2]
        [[trouble]]
        from_secs = 4.0
        to_secs = 5.0
        kind = "weather"
        loss = 0.2
        min_delay_secs = 0.001
        max_delay_secs = 0.05
    "#;
    let scenario = ClusterScenario::from_toml(text).expect("valid");
    assert_eq!(ClusterScenario::from_toml(&scenario.to_toml()).expect("valid"), scenario);
    assert_eq!(scenario.nodes()[1].faults().len(), 1);
    assert!(scenario.is_bystander(2) && !scenario.is_bystander(0));
    let report = run(&scenario, gamma(0.3), 1).expect("it runs");
    assert!(report.sent_to_dead > 0 && report.convergence_secs.is_some(), "{report:?}");

    for (from, to, named) in [
        ("nodes = 4", "nodes = 0", "nodes is 0"),
        ("nodes = [0, 2]", "nodes = [0, 4]", "trouble[0].nodes[1] is 4, allowed is 0 to 3"),
        ("loss = 0.2", "los = 0.2", "los"),
        ("\"partition\"", "\"divorce\"", "divorce"),
        ("offset_secs = -5.0", "offset_secs = nan", "skew[0].offset_secs is NaN"),
        ("load = 0.3", "load = 0.0", "expected number of requests"),
        ("workers = 8", "workers = 0", "service.workers is 0"),
    ] {
        let why = ClusterScenario::from_toml(&text.replace(from, to)).expect_err(named).to_string();
        assert!(why.contains(named), "{named}: {why}");
    }
}
