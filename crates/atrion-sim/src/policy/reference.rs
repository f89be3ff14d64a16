//! The published model of Atrion, version 2.0.0, as one of the peers.
//!
//! Source: RFC-0001 and the TypeScript implementation it describes, restated in
//! [`atrion_reference`] and checked against its recorded outputs by `cargo xtask golden`.
//! Published settings throughout: one call per 100 ms tick, base 10 ohm, breaker at 100 ohm,
//! targets of 1 % errors and half saturation. It needs a latency baseline and a number of places;
//! it gets the true mean and the true parallelism, which in reality nobody tells it.

pub use atrion_reference::{ModelConfig, ModelMode, Pressures, ReferenceModel, TunerConfig};

use atrion_core::math;

use super::{Arrival, Completion, Outcome, Policy, Tick, Verdict};

/// Error rate at which pressure is 0.
const ERROR_TARGET: f64 = 0.01;
/// Saturation at which pressure is 0.
const SATURATION_TARGET: f64 = 0.5;

/// The policy: telemetry gathered over a tick goes into the model, whose resistance every request
/// is compared with until the next.
#[derive(Clone, Debug)]
pub struct Reference {
    model: ReferenceModel,
    mean_secs: f64,
    places: f64,
    in_flight: f64,
    ended: f64,
    failed: f64,
    latency_sum: f64,
    transitions: u32,
}

impl Reference {
    /// The model with its published settings, a latency baseline, and a number of places.
    pub fn new(mean_secs: f64, places: f64) -> Self {
        Self::with_config(ModelConfig::default(), mean_secs, places)
    }

    /// The model with other settings.
    pub fn with_config(config: ModelConfig, mean_secs: f64, places: f64) -> Self {
        Self {
            model: ReferenceModel::new(config, None, [0.0; 3], 0.0),
            mean_secs,
            places,
            in_flight: 0.0,
            ended: 0.0,
            failed: 0.0,
            latency_sum: 0.0,
            transitions: 0,
        }
    }

    /// The model behind it.
    pub const fn model(&self) -> &ReferenceModel {
        &self.model
    }
}

fn pressure(raw: f64, baseline: f64) -> f64 {
    math::tanh((raw - baseline) / baseline)
}

impl Policy for Reference {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        let open = self.model.mode() == ModelMode::CircuitBreaker;
        if open || arrival.volts <= self.model.resistance() {
            return Verdict::Refuse;
        }
        self.in_flight += 1.0;
        Verdict::Admit
    }

    fn done(&mut self, completion: &Completion) {
        self.in_flight = math::max(self.in_flight - 1.0, 0.0);
        self.ended += 1.0;
        self.failed += f64::from(u8::from(completion.outcome == Outcome::Failure));
        self.latency_sum += completion.latency_secs;
    }

    fn tick(&mut self, tick: &Tick) {
        let was_open = self.model.mode() == ModelMode::CircuitBreaker;
        let per_ended = |sum: f64| sum / math::max(self.ended, 1.0);
        let pressures = [
            pressure(per_ended(self.latency_sum), self.mean_secs),
            pressure(per_ended(self.failed), ERROR_TARGET),
            pressure(self.in_flight / math::max(self.places, 1.0), SATURATION_TARGET),
        ];
        self.model.update(pressures, tick.now.as_nanos() as f64 / 1e6);
        (self.ended, self.failed, self.latency_sum) = (0.0, 0.0, 0.0);
        let open = self.model.mode() == ModelMode::CircuitBreaker;
        self.transitions += u32::from(open != was_open);
    }

    fn transitions(&self) -> u32 {
        self.transitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{arrival, failure};
    use atrion_core::time::Timestamp;

    /// What measurement showed of it: an idle route counts as stressed, so after an outage
    /// only a scar that decayed below half of the threshold opens it again.
    #[test]
    fn an_outage_opens_it_and_silence_alone_heals_it_slowly() {
        let mut policy = Reference::new(0.02, 16.0);
        let mut opened = None;
        for tick in 0..900_u32 {
            let now = Timestamp::from_millis(u64::from(tick) * 100);
            let at = f64::from(tick) / 10.0;
            let valuable = Arrival { volts: 200.0, ..arrival(at, 0) };
            if tick < 300 && policy.arrive(&valuable) == Verdict::Admit {
                policy.done(&failure(at, 0));
            }
            policy.tick(&Tick { now, utilisation: 0.0, load: 0.0 });
            let open = policy.model().mode() == ModelMode::CircuitBreaker;
            if open && opened.is_none() {
                opened = Some(tick);
            } else if !open && opened.is_some() {
                let ticks = tick - opened.unwrap_or(0);
                assert!((50..200).contains(&ticks), "open for {ticks} ticks");
                return;
            }
        }
        panic!("opened: {opened:?}, never closed");
    }

    #[test]
    fn low_voltages_never_pass_even_an_idle_route() {
        let mut policy = Reference::new(0.02, 16.0);
        let low = Arrival { volts: 5.0, ..arrival(0.0, 0) };
        assert_eq!(policy.arrive(&low), Verdict::Refuse, "5 V against 10 ohm");
        assert_eq!(policy.arrive(&arrival(0.0, 0)), Verdict::Admit);
    }
}
