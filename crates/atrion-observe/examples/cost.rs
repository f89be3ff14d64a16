//! A number of admissions with an adapter on, for counting instructions:
//!
//! ```text
//! cargo build --profile bench -p atrion-observe --all-features --example cost
//! valgrind --tool=callgrind --separate-threads=yes target/release/examples/cost tally 200000
//! ```
//!
//! The difference between two numbers of admissions, on the first thread, is what they cost.

use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Force};
use atrion_observe::{MetricsExporter, TracingObserver};

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
    let atrion = builder.build()?;
    let refresher = match what {
        "metrics" => Some(MetricsExporter::new(&atrion).refresh_every(Duration::from_secs(1))?),
        _ => None,
    };
    let route = atrion.route("a");
    if refuse {
        route.force(Force::Open, Duration::from_secs(36_000));
    }
    let mut admitted = 0_u32;
    for _ in 0..times {
        if let Ok(permit) = route.admit(Priority::Normal) {
            permit.success();
            admitted += 1;
        }
    }
    println!("{admitted} of {times} admitted");
    drop(refresher);
    Ok(())
}
