//! A number of admissions with an adapter on, for counting instructions:
//!
//! ```text
//! cargo build --release -p atrion-observe --features metrics,tracing --example cost
//! valgrind --tool=callgrind --separate-threads=yes target/release/examples/cost tally 200000
//! ```
//!
//! The difference between two numbers of admissions, on the first thread, is what they cost.

use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Force};
use atrion_observe::{MetricsExporter, TracingObserver};
use atrion_state::clock::ManualClock;

const LEARNING: u32 = 50_000;
const SERVICE: Duration = Duration::from_micros(100);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_default();
    let times: u32 = args.next().unwrap_or_default().parse()?;
    let (what, refuse) = what.strip_prefix("refuse-").map_or((&*what, false), |what| (what, true));
    let builder = match what {
        "nothing" | "metrics" => Atrion::builder(),
        "tally" => Atrion::builder().tally(true),
        "tracing" => Atrion::builder().observer(TracingObserver::new()),
        "sampling" => Atrion::builder().sample_decisions(1000).observer(TracingObserver::new()),
        other => {
            return Err(format!("`{other}`? nothing, tally, tracing, sampling, metrics").into());
        }
    };
    let clock = ManualClock::new();
    let atrion = builder.clock(clock.clone()).seed(1).build()?;
    let refresher = match what {
        "metrics" => Some(MetricsExporter::new(&atrion).refresh_every(Duration::from_secs(1))?),
        _ => None,
    };
    let route = atrion.route("a");
    if refuse {
        route.force(Force::Open, Duration::from_secs(36_000));
    }
    // First the route learns its service; then what it costs is always the same.
    let all = LEARNING + times;
    let mut admitted = 0_u32;
    for _ in 0..all {
        if let Ok(permit) = route.admit(Priority::Normal) {
            clock.advance(SERVICE);
            permit.success();
            admitted += 1;
        }
    }
    println!("{admitted} of {all} admitted");
    drop(refresher);
    Ok(())
}
