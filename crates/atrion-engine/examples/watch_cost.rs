//! What being watched costs a request: admit and success with nothing asked for, with a tally, and with
//! one decision in a thousand told. Two routes: a calm one, whose every request is measured, and a busy
//! one, which has lanes and measures few.
//!
//! ```sh
//! cargo run --release -p atrion-engine --example watch_cost
//! ```
//!
//! With a number of requests as its argument it serves so many of each kind without a look at the
//! machine's clock, for `valgrind --tool=callgrind`: the instructions of two runs of different length,
//! divided by the difference, are those of one request. A second argument chooses one kind: `off`,
//! `tally`, `sampled`, or `visits` for the reports alone.

use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Builder, Event, Interest, Observer, Route};
use atrion_state::clock::{Clock as _, ManualClock, MonotonicClock};

const ROUNDS: usize = 201;
const REQUESTS: u32 = 5_000;

struct Counts;

impl Observer for Counts {
    fn event(&self, event: &Event) {
        std::hint::black_box(event);
    }

    fn interest(&self) -> Interest {
        Interest::DECISIONS
    }
}

fn kinds() -> [(&'static str, Builder); 3] {
    [
        ("off", Atrion::builder()),
        ("tally", Atrion::builder().tally(true)),
        ("sampled", Atrion::builder().sample_decisions(1_000).observer(Counts)),
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let requests: Option<u32> = arguments.next().map(|n| n.parse()).transpose()?;
    let only = arguments.next();
    for (name, builder) in kinds() {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let clock = ManualClock::new();
        let atrion = builder.clock(clock.clone()).seed(1).build()?;
        for (kind, apart) in [("calm", 100_000), ("busy", 4_000)] {
            let route = atrion.route(kind);
            let apart = Duration::from_nanos(apart);
            serve(&route, &clock, apart, 600_000);
            if let Some(requests) = requests {
                serve(&route, &clock, apart, requests);
            } else {
                println!("{name}, {kind}: {:.1} ns", median_nanos(&route, &clock, apart));
            }
        }
    }
    if requests.is_none() || only.as_deref() == Some("visits") {
        visits()?;
    }
    Ok(())
}

/// A dashboard's look at ten thousand routes, awake and at rest.
fn visits() -> Result<(), Box<dyn std::error::Error>> {
    const ROUTES: u32 = 10_000;
    let (time, clock) = (MonotonicClock::new(), ManualClock::new());
    let atrion = Atrion::builder().tally(true).clock(clock.clone()).build()?;
    for i in 0..ROUTES {
        serve(&atrion.route(&format!("api/v1/resource/{i}")), &clock, Duration::from_millis(1), 3);
    }
    for state in ["awake", "at rest"] {
        let mut micros: Vec<f64> = (0..21)
            .map(|_| {
                let start = time.now();
                atrion.visit_reports(|report| drop(std::hint::black_box(report)));
                time.now().nanos_since(start) as f64 / 1e3
            })
            .collect();
        micros.sort_unstable_by(f64::total_cmp);
        let median = micros.get(10).copied().unwrap_or(f64::NAN);
        println!("{ROUTES} routes {state}: {median:.0} us for a report of each");
        clock.advance(Duration::from_secs(60));
        (0..4).for_each(|_| atrion.tick());
    }
    Ok(())
}

fn serve(route: &Route, clock: &ManualClock, apart: Duration, requests: u32) {
    for _ in 0..requests {
        if let Ok(permit) = route.admit(Priority::Normal) {
            clock.advance(apart);
            permit.success();
        }
    }
}

/// Nanoseconds per request, the median of some rounds, the manual clock's included.
fn median_nanos(route: &Route, clock: &ManualClock, apart: Duration) -> f64 {
    let time = MonotonicClock::new();
    let round = |_| {
        let start = time.now();
        serve(route, clock, apart, REQUESTS);
        time.now().nanos_since(start) as f64 / f64::from(REQUESTS)
    };
    let mut rounds: Vec<f64> = (0..ROUNDS).map(round).collect();
    rounds.sort_unstable_by(f64::total_cmp);
    rounds.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
}
