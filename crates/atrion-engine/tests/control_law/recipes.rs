//! The regression recipes of the second study, section 7, in its order. Where a recipe names a
//! mistake, the law with that mistake (`Params`) must fail it: a test that passes whatever
//! one does shows nothing.

use atrion_core::law::Phase;
use atrion_core::time::Timestamp;
use atrion_core::units::Volts;
use atrion_engine::OwnedPermit;

use crate::engine::Engine;
use crate::oracle::{best, mean, run_routes};
use crate::policy::{Learned, NoLimit, Outcome, Policy};
use crate::scenario::{Class, Fault, Model, Scenario};
use crate::spec_law::{Mistake, Params, SpecLaw};
use crate::study::{engine, spec};
use crate::world::{Report, run};

fn law_with(scenario: &Scenario, seeds: &[u64], p: &Params) -> Vec<Report> {
    let one = |s: &u64| run_routes(scenario, *s, |s| SpecLaw::with(p.clone(), s));
    seeds.iter().map(one).collect()
}

/// Recipe 1: 30 % of a dependency's waits become 20 times longer, no capacity is lost. The goal is
/// 100 %. The mean latency cannot tell; that the others are as quick as ever can (ADR 19).
#[test]
fn r01_slow_dependency_with_free_cpu() {
    let model = Model::ps_io(4, 0.02, 0.15);
    let scenario = Scenario::with_fault("gray30%20x", model, Fault::Gray(0.3, 20.0));
    let (law, ours) = (spec(&scenario, &[1, 2, 3]), engine(&scenario, &[1, 2, 3]));
    let (law, ours) = (mean(&law, Report::goodput), mean(&ours, Report::goodput));
    println!("slow dependency: law {law:.1} %, engine {ours:.1} %, possible 100 %");
    assert!(ours >= 80.0, "{ours:.1} % of what needs no control at all");
    assert!(ours >= law + 10.0, "{ours:.1} %, no better than the mean alone, {law:.1} %");
}

/// Recipe 2, open: the start-up limit alone collapses a service of one core. Recorded; what is
/// asked is that the law is no worse than no control, and holds where two cores are there.
#[test]
fn r02_collapse_on_one_core() {
    let seeds = [1, 2, 3];
    let scenario = |cores| Scenario::surge("step2x", Model::collapsing(cores, 0.3), 2.0);
    let law = mean(&spec(&scenario(1), &seeds), Report::goodput);
    let ours = mean(&engine(&scenario(1), &seeds), Report::goodput);
    let none = run_routes(&scenario(1), 1, |_| NoLimit).goodput();
    let four = mean(&engine(&scenario(4), &seeds), Report::goodput);
    println!(
        "collapse on one core: law {law:.1} %, engine {ours:.1} %, nothing {none:.1} %; on four {four:.1} %"
    );
    assert!(ours >= none - 1.0, "{ours:.1} % with control, {none:.1} % without");
    assert!(four >= 75.0, "{four:.1} % on four cores");
}

#[test]
fn r03_cold_start_inside_an_overload() {
    let scenario = Scenario::cold_start(Model::ps(4, 0.01), 2.0);
    let reports = engine(&scenario, &[1, 2, 3, 4, 5, 6]);
    let of_truth = |r: &Report| r.learned.service_secs / 0.01;
    let goodput = mean(&reports, Report::goodput);
    assert!(goodput >= 93.0, "{goodput:.1} %");
    let r0 = mean(&reports, of_truth);
    let law = mean(&spec(&scenario, &[1, 2, 3, 4, 5, 6]), of_truth);
    // The recipe asks for 30 %; the law as written reaches 50 %, and so must the engine nearly.
    assert!((0.7..2.0).contains(&r0), "R0 is {r0:.2} of the truth on average");
    println!("cold start: {goodput:.1} %, R0 {r0:.2} of the truth, law {law:.2}");
}

/// Steady 70 % from a fresh start, counted from when the start, ten seconds long for so slow a
/// service, and its exhale are over.
fn fresh_start(model: Model) -> Scenario {
    let mut s = Scenario::steady(model);
    s.act = (15.0, 60.0);
    s.window = s.act;
    s.end = 60.0;
    s
}

#[test]
fn r04_low_trap() {
    for cv in [1.0, 3.0] {
        let scenario = fresh_start(Model::fifo(128, 0.5).with_cv(cv));
        let seeds = [1, 2, 3, 4, 5, 6];
        for r in engine(&scenario, &seeds) {
            let refused = r.window_rejects;
            assert!(refused < 1.0, "cv {cv}: {refused:.1} % refused, seed {}", r.seed);
        }
        let mistaken = Params { mistake: Some(Mistake::FirstCompletions), ..Params::default() };
        let worse = mean(&law_with(&scenario, &seeds, &mistaken), |r| r.window_rejects);
        let right = mean(&spec(&scenario, &seeds), |r| r.window_rejects);
        println!("low trap, cv {cv}: {right:.2} % refused, {worse:.2} % with the mistake");
        assert!(right < 1.0, "the law as written refuses {right:.2} %");
    }
}

/// Watches the learning phase change and notes C against `X R0` at that moment.
struct Watch {
    inner: Engine,
    was: Phase,
    after_exhale: Vec<(f64, f64)>,
    /// Seconds of the start-up and of the exhale.
    running_since: Option<f64>,
    exhaled: bool,
}

impl Watch {
    fn new(seed: u64) -> Self {
        let inner = Engine::new(seed);
        Self {
            inner,
            was: Phase::Startup,
            after_exhale: Vec::new(),
            running_since: None,
            exhaled: false,
        }
    }

    fn look(&mut self, now: Timestamp) {
        if self.running_since.is_some() {
            return;
        }
        let said = self.inner.route().explain(Volts::ZERO);
        self.exhaled |= said.phase == Phase::Exhale;
        if said.phase == Phase::Running {
            self.running_since = Some(now.secs_since(Timestamp::ZERO));
            let little = said.capacity_rate.unwrap_or(0.0) * said.service_secs.unwrap_or(0.0);
            if self.was == Phase::Exhale {
                self.after_exhale.push((said.parallelism.unwrap_or(0.0), little));
            }
        }
        self.was = said.phase;
    }
}

impl Policy for Watch {
    type Token = OwnedPermit;

    fn arrive(&mut self, now: Timestamp, volts: f64) -> Option<OwnedPermit> {
        let token = self.inner.arrive(now, volts);
        self.look(now);
        token
    }

    fn done(&mut self, now: Timestamp, token: OwnedPermit, outcome: Outcome) {
        self.inner.done(now, token, outcome);
        self.look(now);
    }

    fn learned(&self) -> Learned {
        self.inner.learned()
    }
}

#[test]
fn r05_parallelism_after_an_exhale_is_what_was_measured() {
    let mut exhales = 0;
    for seed in 1..=6 {
        let scenario = Scenario::cold_start(Model::ps(2, 0.02), 3.0);
        let mut watch = [Watch::new(seed)];
        run(&scenario, &mut watch, seed);
        for (c, little) in &watch[0].after_exhale {
            exhales += 1;
            assert!(*c <= little * 1.01 + 1.0, "C {c:.1} > X R0 {little:.1}, seed {seed}");
            println!("after an exhale on two cores: C {c:.1}, seed {seed}");
            assert!(*c <= 6.0, "C {c:.1} on two cores, seed {seed}");
        }
    }
    assert!(exhales >= 3, "only {exhales} exhales were seen");
    let scenario = Scenario::cold_start(Model::ps(2, 0.02), 3.0);
    let kept = Params { mistake: Some(Mistake::KeptMean), ..Params::default() };
    let parallelism = |r: &[Report]| mean(r, |r| r.learned_calm.parallelism);
    let (right, wrong) = (
        parallelism(&spec(&scenario, &[1, 2, 3])),
        parallelism(&law_with(&scenario, &[1, 2, 3], &kept)),
    );
    println!("C on two cores after 2 s: {right:.1}, with a stale mean {wrong:.1}");
}

#[test]
fn r06_parallelism_comes_down_from_a_noisy_start() {
    let model = Model::fifo(1, 0.5);
    let mut scenario = Scenario::surge("step10x", model, 10.0);
    // 100 requests at 70 % load take 71 s.
    scenario.act = (72.0, 400.0);
    scenario.window = scenario.act;
    scenario.end = 400.0;
    let seeds: Vec<u64> = (1..=12).collect();
    let reports = engine(&scenario, &seeds);
    for r in &reports {
        let c = r.learned_calm.parallelism;
        assert!(c < 3.0, "C {c:.1} on one worker, seed {}", r.seed);
    }
    let goodput = mean(&reports, Report::goodput);
    let stuck = Params { mistake: Some(Mistake::NoWayDown), ..Params::default() };
    let stuck = mean(&law_with(&scenario, &seeds, &stuck), |r| r.learned_calm.parallelism);
    println!("noisy start: goodput {goodput:.1} %, mean C without a way down {stuck:.2}");
    assert!(goodput >= 90.0, "{goodput:.1} %");
}

#[test]
fn r07_one_tier_gets_the_same_queue_whatever_its_voltage() {
    let with_volts = |volts: f64| {
        let mut s = Scenario::surge("step5x", Model::ps(4, 0.02), 5.0);
        s.classes[0].volts = volts;
        s
    };
    let seeds = [1, 2, 3];
    let usual = mean(&engine(&with_volts(20.0), &seeds), Report::goodput);
    for volts in [1.0, 100.0] {
        let ours = mean(&engine(&with_volts(volts), &seeds), Report::goodput);
        assert!((ours - usual).abs() <= 1.5, "{volts} V: {ours:.1} %, 20 V: {usual:.1} %");
    }
    let fixed = Params { mistake: Some(Mistake::FixedGround(20.0)), ..Params::default() };
    let mistaken = mean(&law_with(&with_volts(100.0), &seeds, &fixed), Report::goodput);
    assert!(mistaken < usual - 5.0, "the mistake costs nothing: {mistaken:.1} of {usual:.1} %");
}

#[test]
fn r08_samples_are_not_filtered_by_their_departure() {
    let scenario = Scenario::surge("heavytail2x", Model::fifo(4, 0.02).with_cv(2.0), 2.0);
    let seeds = [1, 2, 3, 4];
    let filtered = Params { mistake: Some(Mistake::DepartureFilter), ..Params::default() };
    let filtered = mean(&law_with(&scenario, &seeds, &filtered), |r| r.learned.service_secs);
    for r in engine(&scenario, &seeds) {
        let r0 = r.learned.service_secs / 0.02;
        // The mistake shows as too short a service time. The mean of a tail this heavy is uncertain
        // by itself: a wide bound above, a tight one below.
        assert!((0.7..1.6).contains(&r0), "R0 is {r0:.2} of the truth, seed {}", r.seed);
        assert!(r.goodput() >= 96.0, "{:.1} %, seed {}", r.goodput(), r.seed);
    }
    println!("R0 with a departure filter: {:.2} of the truth", filtered / 0.02);
}

#[test]
fn r09_latency_is_evidence_besides_littles_ratio() {
    let scenario = Scenario::retry_storm(Model::classes(4, 0.02));
    let seeds = [1, 2];
    let (limit, oracle) = best(&scenario, &seeds);
    let theirs = mean(&oracle, Report::goodput);
    let ours = mean(&engine(&scenario, &seeds), Report::goodput);
    assert!(ours >= 0.95 * theirs, "{ours:.1} %, best limit ({limit}) {theirs:.1} %");
    let blind = Params { mistake: Some(Mistake::LittleOnly), ..Params::default() };
    let blind = mean(&law_with(&scenario, &seeds, &blind), Report::goodput);
    println!("retry storm with cost classes: {ours:.1} %, by Little's ratio only {blind:.1} %");
}

#[test]
fn r10_pauses_neither_open_the_breaker_nor_inflate_c() {
    let steady = Scenario::steady(Model::paused(4, 0.02));
    let errors = Scenario::with_fault("errburst5%", Model::paused(4, 0.02), Fault::Errors(0.05));
    for scenario in &[steady, errors] {
        for r in engine(scenario, &[1, 2, 3]) {
            assert_eq!(r.mode_changes, 0, "{}: seed {}", scenario.name, r.seed);
            let c = r.learned.parallelism;
            assert!(c <= 8.0, "{}: C {c:.1} on four cores, seed {}", scenario.name, r.seed);
        }
    }
}

/// Processor sharing: steps and cold starts within 3 points of the best static limit.
#[test]
fn shared_cores_stay_close_to_the_best_limit() {
    let seeds = [1, 2];
    for model in [Model::ps(4, 0.02), Model::ps_io(4, 0.02, 0.5), Model::pooled(4, 0.02)] {
        for scenario in [
            Scenario::surge("step2x", model.clone(), 2.0),
            Scenario::surge("step5x", model.clone(), 5.0),
            Scenario::cold_start(model.clone(), 2.0),
        ] {
            let (limit, oracle) = best(&scenario, &seeds);
            let theirs = mean(&oracle, Report::goodput);
            let ours = mean(&engine(&scenario, &seeds), Report::goodput);
            println!("{}:{}: {ours:.1} % of {theirs:.1} %", model.name, scenario.name);
            assert!(
                ours >= theirs - 3.0,
                "{}:{}: {ours:.1} %, best limit ({limit}) {theirs:.1} %, seeds {seeds:?}",
                model.name,
                scenario.name
            );
        }
    }
}

/// Four routes of different cost and tier on the same cores: a surge of one leaves the others
/// the share they have learned.
#[test]
fn a_surging_route_leaves_the_others_their_share() {
    let mut scenario = Scenario::surge("multi:r3x10", Model::ps(8, 0.02), 0.7);
    let class = |route, volts, share, surge, cost| Class { route, volts, share, surge, cost };
    scenario.classes = vec![
        class(0, 100.0, 0.1, 1.0, 0.5),
        class(1, 20.0, 0.2, 1.0, 1.0),
        class(2, 50.0, 0.2, 1.0, 2.0),
        class(3, 1.0, 0.2, 10.0, 1.0),
    ];
    for r in engine(&scenario, &[1, 2, 3]) {
        for (volts, least) in [(100.0, 90.0), (50.0, 80.0), (20.0, 80.0)] {
            let served = r.served(volts);
            assert!(served >= least, "{volts} V got {served:.1} %, seed {}", r.seed);
        }
    }
    let none = run_routes(&scenario, 1, |_| NoLimit);
    let ours = &engine(&scenario, &[1])[0];
    assert!(none.goodput() < ours.goodput() / 2.0, "the surge is no overload");
}
