//! How service times spread around their mean.

use atrion_core::math;
use serde::{Deserialize, Serialize};

use crate::error::{ScenarioError, check};
use crate::rng::Rng;

/// A distribution of service times with mean 1; the service scales it.
///
/// In a file: `distribution = { kind = "lognormal", cv = 1.0 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution {
    /// Always the mean.
    Constant,
    /// Memoryless.
    Exponential,
    /// The usual shape of service times.
    Lognormal {
        /// Coefficient of variation, 0.01 to 10.
        cv: f64,
    },
    /// A share of the requests is dearer by a factor: cache misses, big customers.
    Bimodal {
        /// Share of the dear ones, 0 to 1, both excluded.
        share: f64,
        /// How many times dearer, 1 to 10,000.
        factor: f64,
    },
    /// A power law: the heaviest tail with a mean.
    Pareto {
        /// Tail index, 1.05 to 100. Below 2 the variance is infinite.
        shape: f64,
    },
}

impl Default for Distribution {
    /// Lognormal with a coefficient of variation of 1.
    fn default() -> Self {
        Self::Lognormal { cv: 1.0 }
    }
}

impl Distribution {
    pub(crate) fn validate(&self, field: &str) -> Result<(), ScenarioError> {
        let path = |name: &str| format!("{field}.{name}");
        match *self {
            Self::Constant | Self::Exponential => Ok(()),
            Self::Lognormal { cv } => check(|| path("cv"), cv, "", (0.01, 10.0)),
            Self::Bimodal { share, factor } => {
                check(|| path("share"), share, "", (1e-6, 0.999_999))?;
                check(|| path("factor"), factor, "", (1.0, 1e4))
            }
            Self::Pareto { shape } => check(|| path("shape"), shape, "", (1.05, 100.0)),
        }
    }

    pub(crate) fn sampler(&self) -> Sampler {
        match *self {
            Self::Constant => Sampler::Constant,
            Self::Exponential => Sampler::Exponential,
            Self::Lognormal { cv } => {
                let variance = math::ln(1.0 + cv * cv);
                Sampler::Lognormal { mu: -variance / 2.0, sigma: math::sqrt(variance) }
            }
            Self::Bimodal { share, factor } => {
                let cheap = 1.0 / (1.0 + share * (factor - 1.0));
                Sampler::Bimodal { share, cheap, dear: cheap * factor }
            }
            Self::Pareto { shape } => {
                Sampler::Pareto { least: (shape - 1.0) / shape, power: -1.0 / shape }
            }
        }
    }
}

/// A distribution with everything computed that can be computed once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sampler {
    Constant,
    Exponential,
    Lognormal { mu: f64, sigma: f64 },
    Bimodal { share: f64, cheap: f64, dear: f64 },
    Pareto { least: f64, power: f64 },
}

impl Sampler {
    pub(crate) fn draw(&self, rng: &mut Rng) -> f64 {
        match *self {
            Self::Constant => 1.0,
            Self::Exponential => rng.exponential(),
            Self::Lognormal { mu, sigma } => math::exp(mu + sigma * rng.normal()),
            Self::Bimodal { share, cheap, dear } => {
                if rng.uniform() < share {
                    dear
                } else {
                    cheap
                }
            }
            Self::Pareto { least, power } => least * math::exp(power * math::ln(rng.uniform())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_distribution_has_mean_one_and_its_variation() {
        let cases = [
            (Distribution::Constant, Some(0.0)),
            (Distribution::Exponential, Some(1.0)),
            (Distribution::Lognormal { cv: 0.5 }, Some(0.5)),
            (Distribution::Lognormal { cv: 1.0 }, Some(1.0)),
            (Distribution::Bimodal { share: 0.05, factor: 20.0 }, Some(2.124)),
            // cv = 1/sqrt(a (a - 2)) for a tail index above 2.
            (Distribution::Pareto { shape: 5.0 }, Some(0.258)),
            (Distribution::Pareto { shape: 1.5 }, None),
        ];
        for (distribution, cv) in cases {
            let (law, mut rng) = (distribution.sampler(), Rng::new(1, 9));
            let draws: Vec<f64> = (0..400_000).map(|_| law.draw(&mut rng)).collect();
            let n = draws.len() as f64;
            let mean = draws.iter().sum::<f64>() / n;
            assert!((mean - 1.0).abs() < 0.06, "{distribution:?}: mean {mean}, seed 1");
            let Some(cv) = cv else { continue };
            let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
            let found = math::sqrt(variance);
            assert!((found - cv).abs() < 0.05 * (cv + 0.1), "{distribution:?}: cv {found}");
        }
    }

    #[test]
    fn impossible_shapes_are_refused_by_name() {
        for (distribution, named) in [
            (Distribution::Lognormal { cv: f64::NAN }, "service.distribution.cv is NaN"),
            (Distribution::Bimodal { share: 1.0, factor: 2.0 }, "share is 1,"),
            (Distribution::Bimodal { share: 0.5, factor: f64::INFINITY }, "factor is inf"),
            (Distribution::Pareto { shape: 1.0 }, "shape is 1, allowed is 1.05 to 100"),
        ] {
            let why = distribution.validate("service.distribution").unwrap_err().to_string();
            assert!(why.contains(named), "{why}");
        }
    }
}
