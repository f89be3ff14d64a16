//! What the simulator promises: determinism, and figures that theory knows.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failing test may say so, and an index out of bounds is one"
)]

use atrion_sim::policy::{Choice, Context, Static, Unlimited};
use atrion_sim::{
    Class, Distribution, Effect, Fault, Report, Retries, Scenario, Service, evaluate, run, scenario,
};

fn one(scenario: &Scenario, policy: &str, seed: u64) -> Report {
    let choice = Choice::parse(policy).expect("a policy");
    let mut evaluation = evaluate(scenario, &choice, &[seed], || ()).expect("it runs");
    evaluation.reports.remove(0)
}

fn preset(name: &str) -> Scenario {
    scenario::find(name).expect("a preset")
}

fn exponential(workers: u32, mean_secs: f64) -> Service {
    Service::fifo(workers, mean_secs).with_distribution(Distribution::Exponential)
}

#[test]
fn the_same_seed_is_the_same_run_for_every_policy() {
    let scenario = preset("outage@pauses").to_builder().duration_secs(55.0).window_secs(20.0, 55.0);
    let scenario = scenario.build().expect("shorter");
    for entry in atrion_sim::policy::entries() {
        let prints: Vec<u64> =
            [9, 9, 10].map(|seed| one(&scenario, entry.name, seed).fingerprint()).to_vec();
        assert_eq!(prints[0], prints[1], "{}: seed 9 differs from itself", entry.name);
        assert_ne!(prints[0], prints[2], "{}: seed 10 is seed 9", entry.name);
    }
}

/// The bits themselves, so that another machine or compiler that computes otherwise is noticed.
/// A change of the simulator may change them; then say so in the changelog.
#[test]
fn results_are_the_same_bits_everywhere() {
    let scenario = preset("retries@bimodal");
    let report = run(&scenario, &mut Static::new(6), 42);
    let print = report.fingerprint();
    assert_eq!(print, STATIC_PRINT, "{print:#x}, {} requests, seed 42", report.requests);
}

const STATIC_PRINT: u64 = 0xc316_29ef_38d8_982c;

/// Erlang's loss formula for 4 servers and 4 erlang: 0.3107.
#[test]
fn a_limit_of_the_workers_loses_what_erlang_says() {
    let scenario = Scenario::builder("erlang", exponential(4, 0.01))
        .class(Class::new("all", 1.0))
        .duration_secs(400.0)
        .window_secs(10.0, 400.0)
        .build()
        .expect("valid");
    let report = run(&scenario, &mut Static::new(4), 3);
    assert!((report.shed() - 31.07).abs() < 0.5, "{} % shed, seed 3", report.shed());
}

/// M/M/1 at 50 %: the time in the system is exponential with mean `1/(mu - lambda)`; processor
/// sharing has the same mean, whatever the distribution of service times.
#[test]
fn sojourn_times_are_those_of_the_textbook() {
    let on = |service: Service| {
        Scenario::builder("textbook", service)
            .class(Class::new("all", 0.5))
            .duration_secs(2000.0)
            .build()
            .expect("valid")
    };
    let report = run(&on(exponential(1, 0.01)), &mut Unlimited, 5);
    let latency = report.latency.expect("served");
    let (median, p99) = (0.02 * std::f64::consts::LN_2, 0.02 * 4.605_17);
    assert!((latency.p50_secs / median - 1.0).abs() < 0.03, "median {}", latency.p50_secs);
    assert!((latency.p99_secs / p99 - 1.0).abs() < 0.05, "p99 {}", latency.p99_secs);
    let sharing = Service::sharing(1, 0.01).with_distribution(Distribution::Exponential);
    let median = run(&on(sharing), &mut Unlimited, 5).latency.expect("served").p50_secs;
    assert!(median < 0.02 * 0.69, "sharing lets short requests pass long ones: {median}");
}

#[test]
fn routes_that_share_a_service_share_its_capacity() {
    let scenario = preset("routes");
    let report = one(&scenario, "unlimited", 1);
    assert!(report.goodput() < 20.0, "{} % without control", report.goodput());
    let report = one(&scenario, "atrion", 1);
    assert!(report.goodput() > 85.0, "{} % with the engine, seed 1", report.goodput());
}

/// Ten times the bulk of one route: with the process's element in series, the others go first.
#[test]
fn with_the_process_circuit_a_surge_of_low_priority_costs_the_other_routes_little() {
    for seed in [1, 2] {
        let report = one(&preset("routes"), "process", seed);
        let shed = |name: &str| {
            let class = report.classes.iter().find(|class| class.name == name);
            class.expect("a class of the scenario").shed_percent()
        };
        assert!(shed("health") < 1.0, "top tier {} %, seed {seed}", shed("health"));
        assert!(shed("search") < 7.0, "normal {} %, seed {seed}", shed("search"));
        assert!(shed("report") < 1.0, "high {} %, seed {seed}", shed("report"));
        assert!(shed("export") > 60.0, "the surge {} %, seed {seed}", shed("export"));
        assert!(report.goodput() > 96.0, "{} %, seed {seed}", report.goodput());
    }
}

#[test]
fn a_retry_budget_bounds_the_storm() {
    let requests = |name| one(&preset(name), "static", 4).requests as f64;
    let fresh = requests("step2x") / 2.0 * 3.0; // roughly, the storm is threefold
    let (storm, budget) = (requests("retries"), requests("budget"));
    assert!(storm > 1.8 * budget, "{storm} requests without a budget, {budget} with one");
    assert!(budget < 1.25 * fresh, "{budget} requests with a budget of 10 %, about {fresh} fresh");
}

#[test]
fn who_gives_up_asks_again_and_the_work_is_wasted() {
    let retries = Retries { attempts: 2, backoff_secs: 0.01, budget: None };
    let class = |patient: bool| {
        let class = Class::new("all", 1.3).with_retries(retries);
        if patient { class } else { class.with_timeout(0.1) }
    };
    let on = |class| {
        Scenario::builder("timeouts", Service::fifo(4, 0.01))
            .class(class)
            .duration_secs(20.0)
            .build()
            .expect("valid")
    };
    let calm = run(&on(class(true)), &mut Unlimited, 6);
    let storm = run(&on(class(false)), &mut Unlimited, 6);
    assert!(storm.requests as f64 > 2.5 * calm.requests as f64, "{} requests", storm.requests);
    assert!(storm.goodput() < 10.0, "{} %", storm.goodput());
}

#[test]
fn a_hang_serves_nobody_and_an_outage_fails_everybody_without_work() {
    let outage = one(&preset("outage"), "unlimited", 1);
    assert!(outage.sent_to_dead > 15_000 && outage.recovery_secs == Some(0.0), "{outage:?}");
    let hang = one(&preset("hang"), "unlimited", 1);
    let bins = (hang.bins.len() / 2 - 50)..(hang.bins.len() / 2 - 40);
    let good: f64 = hang.bins[bins].iter().map(|b| b.good).sum();
    assert!(good < 1.0, "{good} served in time while nothing moved");
}

#[test]
fn a_full_queue_refuses_what_the_policy_let_through() {
    let service = Service { queue_limit: Some(8), ..Service::fifo(4, 0.01) };
    let scenario = Scenario::builder("queue", service)
        .class(Class::new("all", 3.0))
        .duration_secs(30.0)
        .build()
        .expect("valid");
    let report = run(&scenario, &mut Unlimited, 2);
    assert!(report.goodput() > 97.0, "{} %: the queue itself is the limit", report.goodput());
    assert!(report.latency.expect("served").p99_secs < 0.1);
}

/// The two promises that the simulator is there to check first; the rest is in the tables.
#[test]
fn the_engine_protects_the_service_and_its_callers() {
    for seed in [1, 2] {
        let (engine, oracle) =
            (one(&preset("step5x"), "atrion", seed), one(&preset("step5x"), "oracle", seed));
        let share = engine.goodput() / oracle.goodput();
        assert!(share > 0.99, "{share} of the best static limit, seed {seed}");
        let tiers = one(&preset("tiers"), "atrion", seed);
        let (low, critical) = tiers.shed_by_worth();
        assert!(critical < 1.0 && low > 90.0, "{low} % and {critical} % shed, seed {seed}");
        let calm = one(&preset("steady"), "atrion", seed);
        assert_eq!(calm.calm_refused, Some(0.0), "seed {seed}");
        let outage = one(&preset("outage"), "atrion", seed);
        assert!(outage.recovery_secs.is_some_and(|s| s <= 1.0), "seed {seed}: {outage:?}");
        assert_eq!(outage.transitions, 2, "seed {seed}");
    }
}

/// Telemetry ten times a second and a counter of what was let through come close to permits; the
/// resistance of the last report alone swings with the reports.
#[test]
fn callers_without_permits_who_count_are_protected() {
    let seed = 1;
    let step = one(&preset("step5x"), "reported", seed);
    assert!(step.goodput() > 97.0, "{} %, seed {seed}", step.goodput());
    let swings = one(&preset("step5x"), "threshold", seed);
    assert!(swings.goodput() < 60.0, "{} %: counting earns its keep", swings.goodput());
    let calm = one(&preset("steady"), "reported", seed).calm_refused;
    assert!(calm.is_some_and(|percent| percent < 0.2), "{calm:?}, seed {seed}");
    let (low, critical) = one(&preset("low12x"), "reported", seed).shed_by_worth();
    assert!(critical < 1.0 && low > 90.0, "{low} % and {critical} % shed, seed {seed}");
    for (policy, longest) in [("reported:20", 1.0), ("reported", 1.5), ("reported:1000", 8.0)] {
        let outage = one(&preset("outage"), policy, seed);
        let recovered = outage.recovery_secs.is_some_and(|secs| secs <= longest);
        assert!(recovered, "{policy}, seed {seed}: {:?} s", outage.recovery_secs);
        assert_eq!(outage.transitions, 2, "{policy}, seed {seed}");
    }
}

/// Draw 320 of the held-out ones before ADR 26: what piled up in a hang was taken for parallelism.
#[test]
fn a_hang_leaves_no_limit_behind() {
    for seed in [1, 2] {
        let hang = one(&preset("hang"), "atrion", seed);
        let p99 = hang.latency.map_or(f64::INFINITY, |latency| latency.p99_secs);
        assert!(p99 < hang.deadline_secs, "{p99} s, seed {seed}: only those caught in it are late");
    }
}

/// What becomes of policies outside a scenario: unknown slots and routes do no harm.
#[test]
fn policies_survive_completions_they_never_admitted() {
    use atrion_core::time::Timestamp;
    use atrion_sim::policy::{Completion, Outcome, Tick};
    let context = Context::of(&preset("routes"), 1);
    for entry in atrion_sim::policy::entries() {
        let choice = Choice::parse(entry.name).expect("a policy");
        let mut policy = choice.make(&context).expect("it builds");
        for route in [0, 3, 99] {
            let now = Timestamp::from_secs(1);
            let outcome = Outcome::Success;
            policy.done(&Completion { now, slot: 77, route, latency_secs: 0.0, outcome });
        }
        policy.tick(&Tick { now: Timestamp::from_secs(2), utilisation: 1.0, load: 1.0 });
        assert_eq!(policy.release(Timestamp::from_secs(2)), None, "{}", entry.name);
    }
}

#[test]
fn faults_that_overlap_act_together() {
    let crowd = |from, to, factor| Fault::new(from, to, Effect::Load { factor, class: None });
    let scenario = Scenario::builder("both", Service::fifo(4, 0.01))
        .class(Class::new("all", 0.5))
        .fault(crowd(1.0, 3.0, 2.0))
        .fault(crowd(2.0, 4.0, 3.0))
        .fault(Fault::new(2.0, 5.0, Effect::Capacity { factor: 0.5 }))
        .duration_secs(10.0)
        .build()
        .expect("valid");
    let capacity = scenario.capacity_per_sec();
    for (t, offered, left) in [(0.5, 0.5, 1.0), (1.5, 1.0, 1.0), (2.5, 3.0, 0.5), (4.5, 0.5, 0.5)] {
        assert!((scenario.offered_at(t) / capacity - offered).abs() < 1e-9, "at {t}");
        assert!((scenario.capacity_at(t) / capacity - left).abs() < 1e-9, "at {t}");
    }
}
