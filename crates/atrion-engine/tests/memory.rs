//! What routes cost in memory: gated for the idle, told for those in use.
//!
//! Bytes are counted as they are asked of the allocator, so they are the same on every run.

use std::time::Duration;

use allocation_counter::measure;
use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Config};
use atrion_state::clock::ManualClock;

/// Design goal: bytes for a route besides its name.
const GOAL: usize = 256;
const IDLE_SECS: f64 = 60.0;

/// What a route was used for before it fell idle.
#[derive(Clone, Copy, Debug)]
enum Past {
    Untouched,
    InStartup,
    Learned,
}

impl Past {
    const fn requests(self) -> u32 {
        match self {
            Self::Untouched => 0,
            Self::InStartup => 3,
            Self::Learned => 120,
        }
    }
}

/// Bytes for each of `routes` routes besides their names: in use, and at rest.
fn measured(routes: usize, past: Past, tally: bool) -> (usize, usize) {
    let config = Config::builder().route_limit(routes).route_idle_secs(IDLE_SECS).build();
    let clock = ManualClock::new();
    let builder = Atrion::builder().clock(clock.clone()).seed(1).config(config.expect("valid"));
    let builder = builder.tally(tally);
    let atrion = builder.build().expect("valid");
    let names: Vec<String> = (0..routes).map(|i| format!("api/v1/resource/{i}")).collect();
    let name_bytes: usize = names.iter().map(String::len).sum();
    // Held by what was asked for since then. The instance has no thread of its own here.
    let mut held = 0;
    let mut in_use = None;
    for names in names.chunks(100_000) {
        let used = measure(|| {
            for name in names {
                atrion.route(name);
            }
            for _ in 0..past.requests() {
                clock.advance(Duration::from_millis(20));
                for name in names {
                    atrion.route(name).admit(Priority::Normal).expect("calm").success();
                }
            }
        });
        held += used.bytes_current;
        let first = names.iter().map(String::len).sum::<usize>();
        in_use.get_or_insert((bytes(held) - first) / names.len());
        clock.advance(Duration::from_secs_f64(IDLE_SECS));
    }
    // The first pass spares those that were looked up lately, and meets some of them twice.
    let used = measure(|| {
        for _ in 0..4 {
            atrion.tick();
        }
    });
    held += used.bytes_current;
    assert_eq!(atrion.stats().resting, routes, "{past:?}");
    let resting = (bytes(held) - name_bytes) / routes;
    (in_use.unwrap_or_default(), resting)
}

fn bytes(held: i64) -> usize {
    usize::try_from(held).expect("more was asked for than given back")
}

#[test]
fn idle_routes_stay_within_the_goal() {
    for (routes, past, tally) in [
        (100_000, Past::Untouched, false),
        (100_000, Past::InStartup, false),
        (100_000, Past::Learned, false),
        (100_000, Past::Learned, true),
        (1_000_000, Past::InStartup, false),
    ] {
        let (in_use, resting) = measured(routes, past, tally);
        let with = if tally { "with" } else { "without" };
        println!(
            "{routes} routes, {past:?}, {with} a tally: {in_use} B in use, {resting} B at rest, each"
        );
        assert!(resting <= GOAL, "{past:?}: {resting} B at rest");
    }
}
