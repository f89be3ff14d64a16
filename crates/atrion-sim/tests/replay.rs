//! Replays: of simulated runs, whose truth is known, and of a live engine.
#![allow(clippy::unwrap_used, reason = "a failing test may say so")]

use std::fs::File;
use std::thread;
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::law::LawConfig;
use atrion_engine::{Atrion, Config};
use atrion_sim::replay::table::{self, RouteReplay, TraceReplay};
use atrion_sim::replay::{
    Discipline, Model, ModelSettings, ReplayError, Setting, open_loop, record, select,
};
use atrion_sim::{Class, Effect, Fault, Scenario, Service, scenario};
use atrion_trace::{Recorder, Settings, Tape, Trace, Writer};

fn recorded(scenario: &Scenario, seed: u64) -> (atrion_sim::Report, Trace) {
    let (report, bytes) = record(scenario, &Config::default(), seed).unwrap();
    (report, Trace::read(&bytes[..]).unwrap())
}

fn wary() -> Setting {
    let law = LawConfig::builder().error_critical(0.05).build().unwrap();
    let config = Config::builder().law(law).build().unwrap();
    Setting { name: "wary".into(), config }
}

/// Overload, a dead dependency, several priorities, several routes over one service: under the same
/// configuration and seed the engine decides again as it did, to the last request.
#[test]
fn an_open_loop_under_the_same_configuration_repeats_every_decision() {
    let mut compared = 0;
    for (name, seed) in
        [("step5x", 1), ("tiers", 2), ("outage", 3), ("gray", 4), ("flash@sharing", 5)]
    {
        let (report, trace) = recorded(&scenario::find(name).unwrap(), seed);
        assert_eq!(
            trace.requests().len() as u64,
            report.requests,
            "{name}: every request is in it"
        );
        let all = select(&trace, &[]).unwrap();
        for replay in open_loop(&trace, &all, &Setting::shipped()).unwrap() {
            assert_eq!(replay.first_difference_secs, None, "{name} {}", replay.route);
            assert_eq!(replay.recorded, replay.replayed);
            assert_eq!(replay.recorded_modes.len(), replay.modes.len(), "{name}");
            compared += replay.replayed.iter().map(|tier| tier.refused).sum::<u64>();
        }
    }
    assert!(compared > 1_000, "{compared} refusals were among them");
}

#[test]
fn routes_over_one_service_repeat_when_all_are_replayed() {
    let scenario = Scenario::builder("two", Service::fifo(8, 0.01))
        .class(Class::new("a", 0.5).on_route("a"))
        .class(Class::new("b", 0.4).on_route("b"))
        .fault(Fault::new(3.0, 6.0, Effect::Load { factor: 4.0, class: None }))
        .duration_secs(10.0)
        .build()
        .unwrap();
    let (_, trace) = recorded(&scenario, 3);
    let replays = open_loop(&trace, &select(&trace, &[]).unwrap(), &Setting::shipped()).unwrap();
    let names: Vec<&str> = replays.iter().map(|r| r.route.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(replays.iter().all(|r| r.first_difference_secs.is_none()));
    let only = select(&trace, &["b".into()]).unwrap();
    assert_eq!(open_loop(&trace, &only, &Setting::shipped()).unwrap()[0].route, "b");
}

#[test]
fn another_configuration_decides_otherwise_and_the_replay_says_where() {
    let (_, trace) = recorded(&scenario::find("outage").unwrap(), 1);
    let deaf = {
        let law = LawConfig::builder().error_critical(0.9).build().unwrap();
        Setting { name: "deaf".into(), config: Config::builder().law(law).build().unwrap() }
    };
    let replay = &open_loop(&trace, &[0], &deaf).unwrap()[0];
    assert!(replay.first_difference_secs.is_some());
    assert!(replay.newly_admitted + replay.newly_refused > 0);
    let asked: u64 = replay.bins.iter().map(|bin| bin.asked).sum();
    assert_eq!(asked as usize, trace.requests().len(), "no request falls between the bins");
    let refused: u64 = replay.bins.iter().map(|bin| bin.refused).sum();
    assert_eq!(refused, replay.replayed.iter().map(|tier| tier.refused).sum::<u64>());
}

/// The truth is known: eight workers, 10 ms, variation 1, and an overload that shows the limit.
#[test]
fn a_model_finds_the_service_that_was_recorded() {
    let overload = |service: Service| {
        Scenario::builder("known", service)
            .class(Class::new("a", 0.6))
            .fault(Fault::new(5.0, 12.0, Effect::Load { factor: 3.0, class: None }))
            .duration_secs(20.0)
            .build()
            .unwrap()
    };
    for (service, discipline) in [
        (Service::fifo(8, 0.01), Discipline::Fifo),
        (Service::sharing(8, 0.01), Discipline::Sharing),
    ] {
        let (report, trace) = recorded(&overload(service), 1);
        let settings = ModelSettings { deadline_secs: Some(0.1), seed: 99 };
        let model = Model::fit(&trace, 0, &settings).unwrap();
        let fit = &model.fit;
        assert_eq!(fit.discipline, discipline, "{fit:?}");
        assert!((7..=9).contains(&fit.workers) && !fit.is_lower_bound, "{fit:?}");
        assert!((fit.mean_secs - 0.01).abs() < 0.002 && (fit.cv - 1.0).abs() < 0.3, "{fit:?}");
        assert!(fit.error < 0.2, "{fit:?}");
        // Other service times (the seed differs), the same service: the run comes out alike.
        let run = model.run(&Setting::shipped()).unwrap();
        let recorded_shed = model.recorded.refused_percent();
        let shed = run.figures.refused_percent();
        assert!((shed - recorded_shed).abs() < 5.0, "{shed} against {recorded_shed}");
        assert_eq!(model.recorded.asked, report.requests);
        assert_eq!(run, model.run(&Setting::shipped()).unwrap(), "the same seed, the same run");
    }
}

#[test]
fn a_model_of_a_calm_trace_says_that_it_saw_no_limit() {
    let scenario = Scenario::builder("calm", Service::fifo(64, 0.01))
        .class(Class::new("a", 0.2))
        .duration_secs(10.0)
        .build()
        .unwrap();
    let (_, trace) = recorded(&scenario, 1);
    let model = Model::fit(&trace, 0, &ModelSettings::default()).unwrap();
    assert!(model.fit.is_lower_bound && model.fit.workers < 64, "{:?}", model.fit);
}

#[test]
fn failures_over_time_are_in_the_model() {
    let scenario = Scenario::builder("errors", Service::fifo(8, 0.01))
        .class(Class::new("a", 0.5))
        .fault(Fault::new(4.0, 6.0, Effect::Errors { share: 0.04 }))
        .duration_secs(10.0)
        .build()
        .unwrap();
    let (_, trace) = recorded(&scenario, 1);
    let model = Model::fit(&trace, 0, &ModelSettings::default()).unwrap();
    let errors = &model.fit.errors;
    assert!(errors.iter().all(|(from, to, _)| *from > 3.5 && *to < 6.5), "{errors:?}");
    let mean = errors.iter().map(|(.., share)| share).sum::<f64>() / errors.len() as f64;
    assert!((mean - 0.04).abs() < 0.02, "{errors:?}");
}

/// A live engine on the machine's clock, two threads, a recorder with its own thread and file.
#[test]
fn a_live_engine_is_recorded_and_replayed() {
    let path = std::env::temp_dir().join(format!("atrion-live-{}.trace", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let atrion = Atrion::builder().seed(5).build().unwrap();
    let route = atrion.route("live");
    let recorder = Recorder::create(&path, Settings::default()).unwrap();
    let recording = atrion.record(recorder.tape(), std::slice::from_ref(&route)).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for number in 0..150 {
                    if let Ok(permit) = route.admit(Priority::Normal) {
                        thread::sleep(Duration::from_millis(1));
                        if number % 50 == 49 { permit.failure() } else { permit.success() }
                    }
                }
            });
        }
    });
    let counts = route.counts();
    drop(recording);
    let totals = recorder.finish().unwrap();
    let trace = Trace::read(File::open(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(totals.dropped, 0);
    assert_eq!(trace.requests().len(), 300);
    let ended = trace.requests().iter().filter(|r| r.end.is_some()).count();
    assert_eq!(ended as u32, counts.completed);
    for request in trace.requests() {
        let latency = request.latency_nanos();
        assert!(!request.decision.is_admitted() || latency.is_some_and(|n| n >= 1_000_000));
    }
    // Two threads may enter between a decision and its record, so agreement is all but whole.
    let replay = &open_loop(&trace, &[0], &Setting::shipped()).unwrap()[0];
    assert!(replay.agreement_percent() > 95.0, "{replay:?}");
}

#[test]
fn what_cannot_be_replayed_is_named() {
    let (_, trace) = recorded(&scenario::find("flash").unwrap(), 1);
    let why = select(&trace, &["nosuch".into()]).unwrap_err().to_string();
    assert_eq!(why, "the trace has no route `nosuch`; it has service");
    assert!(matches!(open_loop(&trace, &[7], &wary()), Err(ReplayError::UnknownRoute { .. })));
    for (text, named) in [
        ("route_limit = 0", "route_limit is 0 routes, allowed is 1 to"),
        ("[law]\nprobe_secs = -1.0", "probe_secs is -1"),
        ("[law]\nprobe_secs = nan", "probe_secs is NaN"),
        ("[law]\nprob_secs = 1.0", "prob_secs"),
        ("law", "expected"),
    ] {
        let why = Setting::from_toml("a.toml", text).unwrap_err().to_string();
        assert!(why.starts_with("configuration a.toml: ") && why.contains(named), "{text}: {why}");
    }

    let tape = Tape::new(16).unwrap();
    let start = atrion_trace::RouteStart {
        name: "idle".into(),
        at: 0,
        seed: 1,
        in_flight: 0,
        is_new: true,
    };
    let route = tape.start(start).unwrap();
    let mut writer = Writer::new(Vec::new(), u64::MAX).unwrap();
    tape.marked(route, 1, atrion_trace::Mark::Reported);
    writer.drain(&tape).unwrap();
    let (bytes, _) = writer.finish().unwrap();
    let idle = Trace::read(&bytes[..]).unwrap();
    let why = open_loop(&idle, &[0], &wary()).unwrap_err().to_string();
    assert_eq!(why, "route `idle` has no request in the trace");
    assert!(Model::fit(&idle, 0, &ModelSettings::default()).is_err());
    let notes = table::notes(&idle, 1).join("\n");
    assert!(notes.contains("reported 1x"), "{notes}");
}

#[test]
fn tables_and_csv_hold_every_configuration() {
    let (_, trace) = recorded(&scenario::find("tiers").unwrap(), 1);
    let settings = [Setting::shipped(), wary()];
    let open = settings.iter().map(|s| open_loop(&trace, &[0], s).unwrap().remove(0)).collect();
    let model = Model::fit(&trace, 0, &ModelSettings::default()).unwrap();
    let runs = settings.iter().map(|s| model.run(s).unwrap()).collect();
    let route = RouteReplay { route: "service".into(), open, model: Some(Ok((model, runs))) };
    let replay = TraceReplay {
        trace: "=a.trace".into(),
        notes: table::notes(&trace, 1),
        routes: vec![route],
    };
    let text = table::text(&replay);
    for word in ["default", "wary", "recorded", "error of the fit", "shed 5 V %", "first differs s"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    let csv = table::csv(&[replay]);
    let fields = |line: &str| line.matches(',').count();
    let mut lines = csv.lines();
    let head = lines.next().unwrap();
    assert!(lines.all(|line| fields(line) == fields(head) && line.starts_with("\"'=a.trace\"")));
}
