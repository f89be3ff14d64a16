//! What recording costs a request: admit and success on one thread and on two, not recorded and
//! recorded into a file.
//!
//! ```sh
//! cargo run --release -p atrion-engine --features trace --example trace_cost
//! ```

use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Route};
use atrion_state::clock::{Clock as _, MonotonicClock};
use atrion_trace::{Recorder, Settings};

/// Few enough for the tape to take a round whole, and for most rounds to run undisturbed.
const REQUESTS: u32 = 5_000;
const ROUNDS: usize = 201;
/// Between two rounds, for the recording thread to empty the tape.
const PAUSE: Duration = Duration::from_millis(10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("atrion-trace-cost-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let done = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    done
}

fn measure(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let atrion = Atrion::builder().build()?;
    let route = atrion.route("busy");
    // Past the start-up, in which everything takes the slow path.
    let _ = rounds(&route, 1);
    for threads in [1, 2] {
        let off = rounds(&route, threads);
        let path = folder.join(format!("{threads}.trace"));
        let recorder = Recorder::create(&path, Settings::default())?;
        let recording = atrion.record(recorder.tape(), std::slice::from_ref(&route))?;
        let on = rounds(&route, threads);
        drop(recording);
        let totals = recorder.finish()?;
        let bytes = std::fs::metadata(&path)?.len();
        println!(
            "{threads} thread(s): {off:.1} ns not recorded, {on:.1} ns recorded; {} requests, {} observations dropped, {:.1} bytes for each request written",
            totals.arrivals,
            totals.dropped,
            bytes as f64 / totals.arrivals.max(1) as f64
        );
    }
    Ok(())
}

/// Nanoseconds per request, the median of some rounds.
fn rounds(route: &Route, threads: u32) -> f64 {
    let clock = MonotonicClock::new();
    let mut all: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            std::thread::sleep(PAUSE);
            let barrier = Barrier::new(threads as usize);
            let work = || {
                barrier.wait();
                let start = clock.now();
                for _ in 0..REQUESTS {
                    if let Ok(permit) = route.admit(Priority::Normal) {
                        permit.success();
                    }
                }
                clock.now().nanos_since(start) as f64
            };
            let spent: f64 = std::thread::scope(|scope| {
                let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
                all.into_iter().filter_map(|one| one.join().ok()).sum()
            });
            spent / f64::from(threads * REQUESTS)
        })
        .collect();
    all.sort_unstable_by(f64::total_cmp);
    all.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
}
