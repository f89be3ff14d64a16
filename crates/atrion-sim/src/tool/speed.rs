//! How long a simulated request takes.

use atrion_core::time::Timestamp;
use atrion_sim::policy::{Choice, Context};
use atrion_sim::{Scenario, run};
use atrion_state::clock::{Clock as _, MonotonicClock};

/// Runs of which the median counts.
const RUNS: usize = 5;

/// One measurement.
pub(crate) struct Speed {
    pub(crate) policy: String,
    pub(crate) requests: u64,
    pub(crate) admitted: u64,
    /// Nanoseconds per request, refused ones included.
    pub(crate) nanos: f64,
}

/// Measures a whole run, the making of policy and report included, and divides by its requests.
pub(crate) fn measure(scenario: &Scenario, choice: &Choice, seed: u64) -> Result<Speed, String> {
    let clock = MonotonicClock::new();
    let mut all = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start: Timestamp = clock.now();
        let mut policy = choice.make(&Context::of(scenario, seed)).map_err(|e| e.to_string())?;
        let report = run(scenario, policy.as_mut(), seed);
        let nanos = clock.now().nanos_since(start) as f64;
        all.push((nanos / (report.requests.max(1)) as f64, report.requests, report.admitted));
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (nanos, requests, admitted) = all.get(RUNS / 2).copied().unwrap_or_default();
    Ok(Speed { policy: choice.name().to_owned(), requests, admitted, nanos })
}
