//! Services nobody tuned anything for.

use atrion_core::math;

use crate::distribution::Distribution;
use crate::rng::Rng;
use crate::scenario::{Contention, Pauses, Service};

/// Service models by name, with their weights.
const MODELS: [(Model, u32); 7] = [
    (Model::Fifo, 6),
    (Model::Sharing, 3),
    (Model::Waiting, 4),
    (Model::Pooled, 2),
    (Model::Pausing, 2),
    (Model::Costs, 2),
    (Model::Contention, 2),
];
/// Places: workers, connections or cores.
const PLACES: (f64, f64) = (1.0, 256.0);
const MEAN_SECS: (f64, f64) = (0.001, 0.5);
const VARIATION: (f64, f64) = (0.3, 3.0);
/// Services with more capacity are drawn anew: runs of them are long, or too short to learn in.
const MOST_PER_SECOND: f64 = 20_000.0;
/// Deadlines in mean service times.
const DEADLINES: [f64; 3] = [5.0, 10.0, 20.0];

/// How a drawn service works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Workers in order of arrival.
    Fifo,
    /// Cores shared equally.
    Sharing,
    /// Shared cores and a dependency that makes wait, 10 to 90 % of the time CPU.
    Waiting,
    /// Shared cores before a pool that is the bottleneck.
    Pooled,
    /// Shared cores or workers that stand still every few seconds.
    Pausing,
    /// Shared cores; some requests are 5 to 30 times dearer.
    Costs,
    /// Shared cores that lose work to crowding.
    Contention,
}

impl Model {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Fifo,
        Self::Sharing,
        Self::Waiting,
        Self::Pooled,
        Self::Pausing,
        Self::Costs,
        Self::Contention,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Sharing => "sharing",
            Self::Waiting => "waiting",
            Self::Pooled => "pooled",
            Self::Pausing => "pausing",
            Self::Costs => "costs",
            Self::Contention => "contention",
        }
    }
}

/// A service with what tables group it by.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) model: Model,
    pub(super) service: Service,
    /// Workers, connections or cores.
    pub(super) places: u32,
    pub(super) deadline_secs: f64,
    /// Coefficient of variation of the service times; may be infinite.
    pub(super) variation: f64,
}

/// Uniform in the logarithm.
pub(super) fn log_between(rng: &mut Rng, (low, high): (f64, f64)) -> f64 {
    low * math::exp(rng.uniform() * math::ln(high / low))
}

pub(super) fn pick<T: Copy>(rng: &mut Rng, all: &[T]) -> Option<T> {
    all.get((rng.uniform() * all.len() as f64) as usize).copied()
}

pub(super) fn draw(rng: &mut Rng) -> Drawn {
    loop {
        let drawn = any(rng);
        if f64::from(drawn.places) / drawn.service.mean_secs <= MOST_PER_SECOND {
            return drawn;
        }
    }
}

fn any(rng: &mut Rng) -> Drawn {
    let model = model(rng);
    let places = log_between(rng, (PLACES.0, PLACES.1 + 1.0)) as u32;
    let mean_secs = log_between(rng, MEAN_SECS);
    let mut distribution = distribution(rng);
    let service = match model {
        Model::Fifo => Service::fifo(places, mean_secs),
        Model::Sharing => Service::sharing(places, mean_secs),
        Model::Waiting => Service::waiting(places, mean_secs, rng.between(0.1, 0.9)),
        Model::Pooled => Service::pooled(places, mean_secs),
        Model::Pausing => {
            let every_secs = log_between(rng, (1.0, 10.0));
            let max_secs = rng.between(0.05, 0.3);
            let pauses = Pauses { every_secs, min_secs: 0.02, max_secs };
            let base = if rng.uniform() < 0.5 { Service::fifo } else { Service::sharing };
            Service { pauses: Some(pauses), ..base(places, mean_secs) }
        }
        Model::Costs => {
            let (share, factor) = (rng.between(0.02, 0.1), log_between(rng, (5.0, 30.0)));
            distribution = Distribution::Bimodal { share, factor };
            Service::sharing(places, mean_secs)
        }
        Model::Contention => {
            let knee = f64::from(places) * rng.between(1.5, 4.0);
            let contention = Contention { knee, strength: log_between(rng, (0.1, 1.0)) };
            Service { contention: Some(contention), ..Service::sharing(places, mean_secs) }
        }
    };
    let deadline = pick(rng, &DEADLINES).unwrap_or(10.0);
    Drawn {
        model,
        service: service.with_distribution(distribution),
        places,
        deadline_secs: deadline * mean_secs,
        variation: variation(&distribution),
    }
}

fn model(rng: &mut Rng) -> Model {
    let total: u32 = MODELS.iter().map(|(_, weight)| weight).sum();
    let mut left = rng.uniform() * f64::from(total);
    for (model, weight) in MODELS {
        left -= f64::from(weight);
        if left < 0.0 {
            return model;
        }
    }
    Model::Fifo
}

/// Mostly lognormal, from light to heavy; now and then another shape.
fn distribution(rng: &mut Rng) -> Distribution {
    let kind = rng.uniform();
    if kind < 0.8 {
        Distribution::Lognormal { cv: log_between(rng, VARIATION) }
    } else if kind < 0.88 {
        Distribution::Exponential
    } else if kind < 0.92 {
        Distribution::Constant
    } else {
        Distribution::Pareto { shape: rng.between(1.5, 3.0) }
    }
}

/// Coefficient of variation.
fn variation(distribution: &Distribution) -> f64 {
    match *distribution {
        Distribution::Constant => 0.0,
        Distribution::Exponential => 1.0,
        Distribution::Lognormal { cv } => cv,
        Distribution::Bimodal { share, factor } => {
            let mean = 1.0 + share * (factor - 1.0);
            let square = 1.0 + share * (factor * factor - 1.0);
            math::sqrt(square / (mean * mean) - 1.0)
        }
        Distribution::Pareto { shape } if shape > 2.0 => 1.0 / math::sqrt(shape * (shape - 2.0)),
        Distribution::Pareto { .. } => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variations_are_those_of_the_distributions() {
        let close = |d: Distribution, cv: f64| (variation(&d) - cv).abs() < 1e-3;
        assert!(close(Distribution::Bimodal { share: 0.05, factor: 20.0 }, 2.124));
        assert!(close(Distribution::Pareto { shape: 5.0 }, 0.258));
        assert!(variation(&Distribution::Pareto { shape: 1.9 }).is_infinite());
    }

    #[test]
    fn draws_span_the_range_they_claim() {
        let mut rng = Rng::new(1, 1);
        let all: Vec<Drawn> = (0..2000).map(|_| draw(&mut rng)).collect();
        for model in Model::ALL {
            let of = all.iter().filter(|d| d.model == model).count();
            assert!(of >= 80, "{model:?}: {of} of 2000, seed 1");
        }
        let places = |want: fn(u32) -> bool| all.iter().filter(|d| want(d.places)).count();
        assert!(places(|c| c == 1) > 100 && places(|c| c > 128) > 40);
        assert!(all.iter().all(|d| (1..=256).contains(&d.places)));
        let secs = |want: fn(f64) -> bool| all.iter().filter(|d| want(d.service.mean_secs)).count();
        assert!(secs(|s| s < 0.003) > 100 && secs(|s| s > 0.2) > 100);
        assert!(all.iter().filter(|d| d.variation >= 1.5).count() > 400);
    }
}
