//! A caller who takes no permits: [`atrion_engine::Atrion::update_physics`] and its decisions.
//!
//! Once per interval it reports what it measured of the last one: mean latency, failures, how many
//! requests ended, how many are in flight, and how full the service is. Until the next report every
//! request is held against the answer. All routes of a scenario stand before one service, so what
//! is measured is reported under one name.
//!
//! `reported` counts what it lets through between two reports
//! ([`Decision::flow_after`]); `threshold` does not, and knows the resistance of the report only
//! ([`Decision::flow`]), as one does who hands a number on to something else.

use atrion_core::breaker::{Decision, Mode};
use atrion_core::math;
use atrion_core::telemetry::Telemetry;
use atrion_core::time::Timestamp;
use atrion_core::units::Volts;
use atrion_engine::{Atrion, BuildError, Config, Route};
use atrion_state::clock::ManualClock;

use super::{Arrival, Completion, Context, Outcome, Policy, Tick, Verdict};

/// Between two reports if nothing else is asked for.
const INTERVAL_MILLIS: u32 = 100;

/// What the caller measured since its last report.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    ended: u64,
    failed: u64,
    latency_sum: f64,
    admitted: u64,
}

/// One [`Atrion`] instance that is told telemetry and nothing else.
pub struct Reported {
    clock: ManualClock,
    route: Route,
    /// How many requests the service works on at once: the caller knows its pool.
    places: f64,
    counts: bool,
    in_flight: u64,
    measured: Measured,
    decision: Option<Decision>,
    since: Timestamp,
    interval_secs: f64,
    next: Timestamp,
    open: bool,
    transitions: u32,
}

impl Reported {
    /// A caller that reports every `millis` milliseconds (100 if `None`), and counts what it lets
    /// through meanwhile, or not.
    ///
    /// # Errors
    /// [`BuildError`] if the engine cannot be built.
    pub fn new(
        context: &Context,
        config: Config,
        counts: bool,
        millis: Option<u32>,
    ) -> Result<Self, BuildError> {
        let clock = ManualClock::new();
        let atrion =
            Atrion::builder().config(config).clock(clock.clone()).seed(context.seed).build()?;
        let interval_secs = f64::from(millis.unwrap_or(INTERVAL_MILLIS)) / 1000.0;
        Ok(Self {
            clock,
            route: atrion.route("service"),
            places: math::max(context.parallelism, 1.0),
            counts,
            in_flight: 0,
            measured: Measured::default(),
            decision: None,
            since: Timestamp::ZERO,
            interval_secs,
            next: Timestamp::ZERO.add_secs(interval_secs),
            open: false,
            transitions: 0,
        })
    }

    fn report_if_due(&mut self, now: Timestamp) {
        if now < self.next {
            return;
        }
        self.next = now.add_secs(self.interval_secs);
        self.clock.set(now);
        let Measured { ended, failed, latency_sum, .. } = std::mem::take(&mut self.measured);
        let mut sample = Telemetry::builder()
            .saturation(self.in_flight as f64 / self.places)
            .outcomes(ended.saturating_sub(failed), failed);
        if ended > 0 {
            sample = sample.latency_secs(latency_sum / ended as f64);
        }
        if self.counts {
            sample = sample.in_flight(self.in_flight);
        }
        // A sample that cannot be reported leaves the last decision in force.
        let Ok(sample) = sample.build() else { return };
        let decision = self.route.update_physics(&sample);
        let open = decision.mode == Mode::CircuitBreaker;
        self.transitions += u32::from(open != self.open);
        self.open = open;
        self.decision = Some(decision);
        self.since = now;
    }
}

impl Policy for Reported {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.report_if_due(arrival.now);
        let volts = Volts::try_new(arrival.volts).unwrap_or(Volts::ZERO);
        let flow = |decision: Decision| {
            if self.counts {
                let since = arrival.now.since(self.since);
                decision.flow_after(volts, self.measured.admitted, since)
            } else {
                decision.flow(volts)
            }
        };
        if self.decision.is_some_and(|decision| !flow(decision).passes()) {
            return Verdict::Refuse;
        }
        self.measured.admitted += 1;
        self.in_flight += 1;
        Verdict::Admit
    }

    fn done(&mut self, completion: &Completion) {
        self.report_if_due(completion.now);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.measured.ended += 1;
        self.measured.failed += u64::from(completion.outcome == Outcome::Failure);
        self.measured.latency_sum += completion.latency_secs;
    }

    fn tick(&mut self, tick: &Tick) {
        self.report_if_due(tick.now);
    }

    fn transitions(&self) -> u32 {
        self.transitions
    }
}

impl std::fmt::Debug for Reported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reported").field("transitions", &self.transitions).finish_non_exhaustive()
    }
}
