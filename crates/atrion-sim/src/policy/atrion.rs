//! The shipped engine: [`atrion_engine::Atrion`] under a clock moved by hand. Not a model of it.

use std::sync::Arc;

use atrion_core::units::Volts;
use atrion_engine::{
    Atrion, BuildError, Builder, Config, OwnedPermit, ProcessCircuit, Recording, Route,
};
use atrion_state::clock::ManualClock;
use atrion_trace::{RecordError, Tape};

use super::{Arrival, Completion, Context, Outcome, Policy, Verdict};

/// One [`Atrion`] instance with a route for each of the scenario's.
pub struct Engine {
    clock: ManualClock,
    atrion: Atrion,
    recording: Option<Recording>,
    routes: Vec<Route>,
    was_open: Vec<bool>,
    permits: Vec<Option<OwnedPermit>>,
    transitions: u32,
}

impl Engine {
    /// The engine as it comes, without a single setting.
    ///
    /// # Errors
    /// [`BuildError`] if the engine cannot be built.
    pub fn new(context: &Context) -> Result<Self, BuildError> {
        Self::with_config(context, Config::default())
    }

    /// The engine with a configuration to be tried.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_config(context: &Context, config: Config) -> Result<Self, BuildError> {
        Self::with_builder(context, Atrion::builder().config(config))
    }

    /// The engine with one element of the whole process in series with those of the routes.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_process_circuit(context: &Context) -> Result<Self, BuildError> {
        Self::with_builder(context, Atrion::builder().process_circuit(true))
    }

    fn with_builder(context: &Context, builder: Builder) -> Result<Self, BuildError> {
        let clock = ManualClock::new();
        let atrion = builder.clock(clock.clone()).seed(context.seed).build()?;
        let routes: Vec<Route> = context.routes.iter().map(|name| atrion.route(name)).collect();
        let was_open = vec![false; routes.len()];
        let (recording, permits) = (None, Vec::new());
        Ok(Self { clock, atrion, recording, routes, was_open, permits, transitions: 0 })
    }

    /// What the element of the whole process has learned, if there is one.
    pub fn process(&self) -> Option<ProcessCircuit> {
        self.atrion.process_circuit()
    }

    /// The route of this index, to look into.
    pub fn route(&self, index: usize) -> Option<&Route> {
        self.routes.get(index)
    }

    /// From now on leaves on this tape what its routes go through. Somebody has to empty it.
    ///
    /// # Errors
    /// As [`Atrion::record`].
    pub fn record(&mut self, tape: &Arc<Tape>) -> Result<(), RecordError> {
        self.recording = Some(self.atrion.record(tape, &self.routes)?);
        Ok(())
    }

    fn note_mode(&mut self, index: usize) {
        if let (Some(route), Some(was)) = (self.routes.get(index), self.was_open.get_mut(index))
            && route.is_open() != *was
        {
            *was = !*was;
            self.transitions += 1;
        }
    }
}

impl Policy for Engine {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.clock.set(arrival.now);
        let Some(route) = self.routes.get(arrival.route) else {
            return Verdict::Refuse;
        };
        let volts = Volts::try_new(arrival.volts).unwrap_or(Volts::ZERO);
        let verdict = match route.admit_owned(volts) {
            Ok(permit) => {
                let index = arrival.slot as usize;
                if index >= self.permits.len() {
                    self.permits.resize_with(index + 1, || None);
                }
                if let Some(place) = self.permits.get_mut(index) {
                    *place = Some(permit);
                }
                Verdict::Admit
            }
            Err(_) => Verdict::Refuse,
        };
        self.note_mode(arrival.route);
        verdict
    }

    fn done(&mut self, completion: &Completion) {
        self.clock.set(completion.now);
        let permit = self.permits.get_mut(completion.slot as usize).and_then(Option::take);
        if let Some(permit) = permit {
            match completion.outcome {
                Outcome::Success => permit.success(),
                Outcome::Failure => permit.failure(),
            }
        }
        self.note_mode(completion.route);
    }

    fn transitions(&self) -> u32 {
        self.transitions
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("transitions", &self.transitions).finish_non_exhaustive()
    }
}
