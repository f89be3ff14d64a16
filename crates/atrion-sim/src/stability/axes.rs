//! What is swept: three numbers of a law, each over a logarithmic range.

use atrion_core::error::ConfigError;
use atrion_core::law::LawConfig;
use atrion_core::math;
use atrion_engine::Config;
use serde::Serialize;

use crate::candidate::Candidate;
use crate::policy::ModelConfig;

/// Whose stability is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The published model: decay, scar factor and damping (the weight of its momentum).
    Reference,
    /// The shipped law: healing, trauma, and, since it has no momentum, the queue in baselines,
    /// which sets how steeply its resistance rises with the queue.
    Atrion,
}

/// One swept number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Axis {
    /// The symbol of the core model.
    pub symbol: &'static str,
    /// Its name in the configuration.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// The smallest value.
    pub from: f64,
    /// The largest value.
    pub to: f64,
    /// The published, or shipped, value.
    pub default: f64,
}

impl Axis {
    /// Value number `index` of `points`, from the smallest to the largest by equal factors.
    pub fn value(&self, index: usize, points: usize) -> f64 {
        if points < 2 {
            return self.default;
        }
        if index + 1 == points {
            // Exactly: rounding must not lead out of what a configuration allows.
            return self.to;
        }
        let share = index as f64 / (points - 1) as f64;
        self.from * math::exp(share * math::ln(self.to / self.from))
    }
}

impl Subject {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Reference, Self::Atrion];

    /// Its name, which is a policy's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Atrion => "atrion",
        }
    }

    /// The three axes: decay, scar growth, and the elastic part.
    pub fn axes(self) -> [Axis; 3] {
        match self {
            Self::Reference => {
                let m = ModelConfig::default();
                [
                    Axis {
                        symbol: "lambda",
                        name: "decay_per_sec",
                        unit: "1/s",
                        from: 0.01,
                        to: 10.0,
                        default: m.decay_per_sec,
                    },
                    Axis {
                        symbol: "sigma",
                        name: "scar_factor",
                        unit: "ohm per call",
                        from: 0.05,
                        to: 500.0,
                        default: m.scar_factor,
                    },
                    // Per millisecond: what acts at all lies far above the published value.
                    Axis {
                        symbol: "mu",
                        name: "damping",
                        unit: "ohm ms",
                        from: 2.0,
                        to: 200_000.0,
                        default: m.damping,
                    },
                ]
            }
            Self::Atrion => {
                let law = LawConfig::default();
                [
                    Axis {
                        symbol: "lambda",
                        name: "healing_per_sec",
                        unit: "1/s",
                        from: 0.01,
                        to: 10.0,
                        default: law.healing_per_sec(),
                    },
                    Axis {
                        symbol: "sigma",
                        name: "trauma_ohms_per_sec",
                        unit: "ohm/s",
                        from: 8.0,
                        to: 80_000.0,
                        default: law.trauma_ohms_per_sec(),
                    },
                    Axis {
                        symbol: "kappa",
                        name: "queue_baselines",
                        unit: "",
                        from: 0.01,
                        to: 100.0,
                        default: law.queue_baselines(),
                    },
                ]
            }
        }
    }

    /// The subject with these values on its axes; an error if its configuration refuses them.
    pub(super) fn with(self, [lambda, sigma, third]: [f64; 3]) -> Result<Candidate, ConfigError> {
        match self {
            Self::Reference => {
                let model = ModelConfig {
                    decay_per_sec: lambda,
                    scar_factor: sigma,
                    damping: third,
                    ..ModelConfig::default()
                };
                Ok(Candidate::with_model(self.name(), model))
            }
            Self::Atrion => {
                let law = LawConfig::builder()
                    .healing_per_sec(lambda)
                    .trauma_ohms_per_sec(sigma)
                    .queue_baselines(third)
                    .build()?;
                Ok(Candidate::with_config(self.name(), Config::builder().law(law).build()?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_span_their_range_and_hold_their_default() {
        for axis in Subject::ALL.iter().flat_map(|s| s.axes()) {
            assert!((axis.value(0, 20) / axis.from - 1.0).abs() < 1e-9, "{axis:?}");
            assert!((axis.value(19, 20) / axis.to - 1.0).abs() < 1e-9, "{axis:?}");
            assert!(axis.from < axis.default && axis.default < axis.to, "{axis:?}");
            assert!(
                (0..20).all(|i| (axis.from..=axis.to).contains(&axis.value(i, 20))),
                "{axis:?}"
            );
            assert!((0..19).all(|i| axis.value(i, 20) < axis.value(i + 1, 20)));
            assert!(
                (axis.value(0, 1) - axis.default).abs() < 1e-12,
                "a single point is the default"
            );
        }
    }

    #[test]
    fn numbers_that_contradict_each_other_are_refused_not_clamped() {
        // Scars would settle at 8 ohm, below the 100 at which the breaker opens.
        assert!(Subject::Atrion.with([1.0, 8.0, 1.0]).is_err());
        assert!(Subject::Atrion.with([0.1, 800.0, 1.0]).is_ok());
        assert!(Subject::Reference.with([0.1, 5.0, 20.0]).is_ok());
    }
}
