//! A simulated run, recorded as a live service's would be.

use std::sync::Arc;

use atrion_core::time::Timestamp;
use atrion_engine::Config;
use atrion_trace::{Tape, TraceError, Writer};

use super::ReplayError;
use crate::policy::{Arrival, Completion, Context, Engine, Policy, Release, Tick, Verdict};
use crate::report::Report;
use crate::scenario::Scenario;
use crate::world::run;

/// More observations than one call of a policy makes.
const PLACES: usize = 1024;

/// Runs `scenario` before the shipped engine and records every route; answers with the report and
/// the bytes of the trace.
///
/// The engine leaves its observations where it does in a live service; only the thread between tape
/// and file is missing, so that nothing is dropped.
///
/// # Errors
/// [`ReplayError`] if the engine cannot be built or the scenario has too many routes.
pub fn record(
    scenario: &Scenario,
    config: &Config,
    seed: u64,
) -> Result<(Report, Vec<u8>), ReplayError> {
    let tape = Arc::new(Tape::new(PLACES)?);
    let mut engine = Engine::with_config(&Context::of(scenario, seed), config.clone())?;
    engine.record(&tape)?;
    let writer = Writer::new(Vec::new(), u64::MAX).map_err(TraceError::from)?;
    let mut taped = Taped { engine, tape, writer };
    let report = run(scenario, &mut taped, seed);
    let (bytes, _) = taped.writer.finish().map_err(TraceError::from)?;
    Ok((report, bytes))
}

struct Taped {
    engine: Engine,
    tape: Arc<Tape>,
    writer: Writer<Vec<u8>>,
}

impl Taped {
    fn drain(&mut self) {
        // Memory takes all; should it not, the writer remembers, and finishing says so.
        let _ = self.writer.drain(&self.tape);
    }
}

impl Policy for Taped {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        let verdict = self.engine.arrive(arrival);
        self.drain();
        verdict
    }

    fn done(&mut self, completion: &Completion) {
        self.engine.done(completion);
        self.drain();
    }

    fn tick(&mut self, tick: &Tick) {
        self.engine.tick(tick);
    }

    fn release(&mut self, now: Timestamp) -> Option<Release> {
        self.engine.release(now)
    }

    fn transitions(&self) -> u32 {
        self.engine.transitions()
    }
}
