//! What the law is taken through.

use atrion_core::law::LawConfig;

use crate::world::{Event, Scenario, Stretch};

const TIERS: &[f64] = &[5.0, 10.0, 20.0, 50.0];

/// Four workers of 20 ms, asked for half of what they can do.
const CALM: Stretch = Stretch {
    secs: 10.0,
    arrivals_per_sec: 100.0,
    workers: 4,
    service_secs: 0.02,
    spread: 0.3,
    slow: (0.0, 1.0),
    failing: 0.0,
    hung: false,
};

fn load(arrivals_per_sec: f64, secs: f64) -> Stretch {
    Stretch { secs, arrivals_per_sec, ..CALM }
}

fn scenario(name: &'static str, stretches: &[Stretch]) -> Scenario {
    Scenario {
        name,
        // Each its own draws, whatever is added before it.
        seed: name.bytes().fold(7, |seed, byte| (seed << 5) ^ (seed >> 59) ^ u64::from(byte)),
        config: LawConfig::default(),
        volts: TIERS,
        stress_ohms: 0.0,
        shared_secs: 0.0,
        tick_stretch: 1.0,
        stretches: stretches.to_vec(),
        events: Vec::new(),
    }
}

pub(crate) fn all() -> Vec<Scenario> {
    let mut all = queues();
    all.extend(starts());
    all.extend(errors());
    all.extend(oddities());
    all
}

/// More than the service can do, in several ways.
fn queues() -> Vec<Scenario> {
    let narrow = Stretch { workers: 1, arrivals_per_sec: 30.0, ..CALM };
    let wide = Stretch { workers: 64, arrivals_per_sec: 1_500.0, spread: 0.8, secs: 5.0, ..CALM };
    vec![
        scenario("calm", &[load(100.0, 20.0)]),
        scenario("surge", &[load(100.0, 8.0), load(600.0, 10.0), load(100.0, 6.0)]),
        scenario(
            "one_worker",
            &[
                narrow,
                Stretch { arrivals_per_sec: 120.0, secs: 8.0, ..narrow },
                Stretch { service_secs: 0.14, secs: 12.0, ..narrow },
                Stretch { arrivals_per_sec: 0.5, ..narrow },
                narrow,
            ],
        ),
        scenario(
            "sick",
            &[
                load(100.0, 8.0),
                Stretch { service_secs: 0.1, ..load(120.0, 10.0) },
                load(120.0, 10.0),
                Stretch { workers: 2, ..load(300.0, 10.0) },
                load(150.0, 6.0),
            ],
        ),
        scenario(
            "wide",
            &[
                wide,
                Stretch { arrivals_per_sec: 6_000.0, secs: 4.0, ..wide },
                Stretch { arrivals_per_sec: 500.0, ..wide },
                Stretch { workers: 8, ..wide },
            ],
        ),
        scenario(
            "stairs",
            &[
                load(20.0, 4.0),
                load(60.0, 4.0),
                load(150.0, 4.0),
                load(190.0, 6.0),
                load(230.0, 8.0),
            ],
        ),
        scenario(
            "partly_slow",
            &[
                Stretch { workers: 40, ..load(150.0, 8.0) },
                Stretch { workers: 40, slow: (0.3, 20.0), ..load(150.0, 15.0) },
                Stretch { workers: 16, slow: (0.3, 20.0), ..load(400.0, 8.0) },
                Stretch { workers: 40, ..load(150.0, 5.0) },
            ],
        ),
    ]
}

/// The first seconds of a route, good and bad ones.
fn starts() -> Vec<Scenario> {
    vec![
        scenario("cold_overload", &[load(800.0, 12.0), load(100.0, 8.0)]),
        scenario(
            "collapsing_start",
            &[
                Stretch { workers: 1, service_secs: 0.05, ..load(4.0, 3.0) },
                Stretch { workers: 1, service_secs: 0.05, hung: true, ..load(60.0, 4.0) },
                Stretch { workers: 1, service_secs: 0.05, ..load(60.0, 12.0) },
            ],
        ),
        // Most of the first requests fail, and marks are given anew.
        scenario(
            "never_any_yardstick",
            &[Stretch { failing: 0.28, ..load(150.0, 6.0) }, load(150.0, 6.0)],
        ),
        Scenario {
            config: LawConfig::builder().exhale_samples(0.0).build().expect("valid"),
            ..scenario("no_exhale", &[load(800.0, 8.0), load(100.0, 6.0)])
        },
    ]
}

fn errors() -> Vec<Scenario> {
    let dead = Stretch { failing: 1.0, ..load(100.0, 6.0) };
    let hung = Stretch { hung: true, ..load(100.0, 4.0) };
    vec![
        scenario("dead", &[load(100.0, 6.0), dead, load(100.0, 8.0), dead, load(20.0, 8.0)]),
        scenario(
            "flaky",
            &[
                load(100.0, 6.0),
                Stretch { failing: 0.2, ..load(100.0, 5.0) },
                Stretch { failing: 0.48, ..load(100.0, 8.0) },
                Stretch { failing: 0.6, ..load(150.0, 8.0) },
                load(100.0, 8.0),
            ],
        ),
        scenario("hung", &[load(100.0, 6.0), hung, load(100.0, 8.0)]),
        // A request every other second, of which all fail: scars heal between two of them.
        scenario(
            "quiet_and_failing",
            &[load(100.0, 4.0), Stretch { failing: 1.0, ..load(0.5, 40.0) }, load(2.0, 15.0)],
        ),
        Scenario {
            events: vec![
                (6.0, Event::ReportRate(0.9, 12.0)),
                (6.1, Event::ReportRate(1.0, 30.0)),
                (9.0, Event::Reset),
            ],
            stress_ohms: 3.0,
            ..scenario(
                "stalled",
                &[load(100.0, 5.0), Stretch { failing: 1.0, ..hung }, load(100.0, 5.0)],
            )
        },
        Scenario {
            events: vec![
                (3.0, Event::RestoreScar(4.0)),
                (4.0, Event::RestoreScar(60.0)),
                (4.5, Event::RestoreScar(400.0)),
                (8.0, Event::RestoreScar(900.0)),
                (8.1, Event::SetRound(3.0)),
                (8.6, Event::Invite(0.2)),
            ],
            ..scenario(
                "restored",
                &[
                    load(100.0, 7.5),
                    Stretch { failing: 0.7, ..load(100.0, 5.0) },
                    load(100.0, 10.0),
                ],
            )
        },
    ]
}

/// What callers and clocks do besides.
fn oddities() -> Vec<Scenario> {
    let dead = Stretch { failing: 1.0, ..load(100.0, 3.0) };
    vec![
        Scenario {
            events: vec![
                (0.3, Event::Slip(-100.0)),
                (5.0, Event::Slip(-20.0)),
                (9.0, Event::Slip(3_600.0)),
                (13.0, Event::Slip(-7_000.0)),
                (19.0, Event::Slip(-1.0)),
            ],
            ..scenario("slipping_clock", &[load(300.0, 12.0), dead, load(100.0, 8.0)])
        },
        Scenario {
            events: vec![(0.35, Event::Slip(-50.0)), (1.6, Event::Slip(-9.0))],
            ..scenario("slip_in_an_exhale", &[load(800.0, 3.0), load(100.0, 5.0)])
        },
        Scenario {
            events: vec![(0.5, Event::Slip(-5.0)), (4.0, Event::Slip(-30.0))],
            ..scenario("slip_in_a_start", &[load(60.0, 5.0), load(160.0, 8.0)])
        },
        Scenario {
            events: vec![
                (0.1, Event::Rest),
                (0.3, Event::Rest),
                (6.0, Event::Rest),
                (8.5, Event::Rest),
                (12.0, Event::Rest),
                (17.0, Event::Rest),
            ],
            ..scenario("resting", &[load(20.0, 7.0), load(300.0, 4.0), dead, load(20.0, 6.0)])
        },
        Scenario {
            shared_secs: 0.05,
            tick_stretch: 4.0,
            volts: &[20.0],
            ..scenario("shared", &[load(100.0, 8.0), load(500.0, 8.0), load(50.0, 4.0)])
        },
        Scenario { config: tuned(), ..scenario("tuned", &tuned_stretches()) },
    ]
}

/// Every number another one than by default.
fn tuned() -> LawConfig {
    LawConfig::builder()
        .base_ohms(0.3)
        .queue_baselines(2.5)
        .queue_min(3.0)
        .queue_burst(11.0)
        .queue_passing(0.4)
        .growth_max(2.2)
        .parallelism_slack(1.1)
        .congestion(0.6)
        .horizon_samples(50.0)
        .horizon_secs(0.8)
        .start_limit(5.0)
        .exhale_samples(9.0)
        .error_samples(35.0)
        .error_critical(0.3)
        .trauma_ohms_per_sec(300.0)
        .healing_per_sec(0.5)
        .scar_max_ohms(350.0)
        .open_ohms(70.0)
        .close_ohms(9.0)
        .probe_secs(0.6)
        .probe_heal(0.5)
        .tick_secs(0.03)
        .build()
        .expect("valid")
}

fn tuned_stretches() -> Vec<Stretch> {
    vec![
        load(400.0, 8.0),
        load(100.0, 6.0),
        Stretch { failing: 0.45, ..load(100.0, 6.0) },
        load(250.0, 8.0),
    ]
}
