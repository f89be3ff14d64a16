//! What decides about admission.

use atrion_core::time::Timestamp;

/// How admitted work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
}

/// What a policy says of itself, for the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Learned {
    /// C, in requests.
    pub parallelism: f64,
    /// R0, in seconds.
    pub service_secs: f64,
}

/// An admission policy under test: one route's element.
pub trait Policy {
    /// What admitted work carries until it ends.
    type Token;

    /// A request of `volts` asks; `None` refuses it.
    fn arrive(&mut self, now: Timestamp, volts: f64) -> Option<Self::Token>;

    /// Admitted work ended.
    fn done(&mut self, now: Timestamp, token: Self::Token, outcome: Outcome);

    /// Periodic upkeep, for policies that need it.
    fn tick(&mut self, _now: Timestamp) {}

    /// Whether only probes pass.
    fn is_open(&self) -> bool {
        false
    }

    /// What has been learned so far.
    fn learned(&self) -> Learned {
        Learned::default()
    }
}

/// Admits everything.
#[derive(Debug)]
pub struct NoLimit;

impl Policy for NoLimit {
    type Token = ();

    fn arrive(&mut self, _now: Timestamp, _volts: f64) -> Option<()> {
        Some(())
    }

    fn done(&mut self, _now: Timestamp, (): (), _outcome: Outcome) {}
}

/// Admits while fewer than a fixed number are in flight, whatever their voltage.
#[derive(Debug)]
pub struct StaticLimit {
    limit: u32,
    in_flight: u32,
}

impl StaticLimit {
    pub fn new(limit: u32) -> Self {
        Self { limit, in_flight: 0 }
    }
}

impl Policy for StaticLimit {
    type Token = ();

    fn arrive(&mut self, _now: Timestamp, _volts: f64) -> Option<()> {
        (self.in_flight < self.limit).then(|| self.in_flight += 1)
    }

    fn done(&mut self, _now: Timestamp, (): (), _outcome: Outcome) {
        self.in_flight -= 1;
    }
}
