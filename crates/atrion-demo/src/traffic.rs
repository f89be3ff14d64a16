//! Random draws: arrivals, tiers and the times that work takes, all from a seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Exp, LogNormal};

use crate::plan::{BUCKET, Stage, TIERS};

/// Poisson arrivals over a schedule: independent users, none of whom waits for another.
#[derive(Debug)]
pub(crate) struct Arrivals {
    rng: StdRng,
    stages: Vec<Stage>,
    stage: usize,
    /// When the current stage began and when the last arrival was, since the start.
    stage_start: Duration,
    last: Duration,
}

/// One request to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// When it is to be sent, since the start.
    pub(crate) at: Duration,
    /// Index into [`TIERS`].
    pub(crate) tier: usize,
}

impl Arrivals {
    pub(crate) fn new(stages: Vec<Stage>, seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            stages,
            stage: 0,
            stage_start: Duration::ZERO,
            last: Duration::ZERO,
        }
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            let stage = self.stages.get(self.stage)?;
            let end = self.stage_start + BUCKET * stage.buckets;
            // A rate that is no rate (zero, negative, NaN) brings nobody.
            let gap = Exp::new(stage.rate)
                .ok()
                .map(|gaps| gaps.sample(&mut self.rng))
                .and_then(|gap| Duration::try_from_secs_f64(gap).ok());
            let next = gap.and_then(|gap| self.last.checked_add(gap));
            if let Some(at) = next.filter(|at| *at < end) {
                self.last = at;
                return Some(Arrival { at, tier: tier(self.rng.random_range(0..100)) });
            }
            // Memoryless: what is left of the gap need not be carried over to the next rate.
            self.stage += 1;
            self.stage_start = end;
            self.last = end;
        }
    }
}

/// The tier that a draw from `0..100` falls into.
pub(crate) fn tier(draw: u32) -> usize {
    let mut sum = 0;
    TIERS
        .iter()
        .position(|tier| {
            sum += tier.share;
            draw < sum
        })
        .unwrap_or(TIERS.len() - 1)
}

/// Times that scatter around a mean as real work does: lognormal.
#[derive(Debug)]
pub(crate) struct WorkTimes {
    rng: StdRng,
    law: LogNormal<f64>,
}

impl WorkTimes {
    /// Times of this mean and coefficient of variation.
    ///
    /// # Errors
    ///
    /// A sentence if the mean or the variation is no usable number.
    pub(crate) fn new(mean: Duration, variation: f64, seed: u64) -> Result<Self, String> {
        let law = LogNormal::from_mean_cv(mean.as_secs_f64(), variation)
            .map_err(|e| format!("no such times: {e}"))?;
        Ok(Self { rng: StdRng::seed_from_u64(seed), law })
    }

    pub(crate) fn draw(&mut self) -> Duration {
        Duration::try_from_secs_f64(self.law.sample(&mut self.rng)).unwrap_or_default()
    }

    /// `true` with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.rng.random::<f64>() < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Phase, length, schedule};

    #[test]
    fn the_same_seed_brings_the_same_requests_and_another_does_not() {
        let of = |seed| Arrivals::new(schedule(300.0, true), seed).collect::<Vec<_>>();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn arrivals_are_in_order_and_as_many_as_the_rates_say() {
        let stages = schedule(1000.0, false);
        let arrivals: Vec<Arrival> = Arrivals::new(stages.clone(), 5).collect();
        assert!(arrivals.windows(2).all(|w| w[0].at <= w[1].at));
        assert!(arrivals.last().unwrap().at < length(&stages));
        let mut start = Duration::ZERO;
        for stage in &stages {
            let end = start + BUCKET * stage.buckets;
            let seen = arrivals.iter().filter(|a| a.at >= start && a.at < end).count() as f64;
            let expected = stage.rate * (BUCKET * stage.buckets).as_secs_f64();
            // Five standard deviations of a Poisson count.
            assert!((seen - expected).abs() < 5.0 * expected.sqrt(), "seed 5: {stage:?}: {seen}");
            start = end;
        }
    }

    #[test]
    fn tiers_come_in_their_shares() {
        let arrivals: Vec<Arrival> = Arrivals::new(schedule(1000.0, false), 6).collect();
        for (index, tier) in TIERS.iter().enumerate() {
            let seen = arrivals.iter().filter(|a| a.tier == index).count() as f64;
            let expected = f64::from(tier.share) / 100.0 * arrivals.len() as f64;
            assert!((seen - expected).abs() < 5.0 * expected.sqrt(), "seed 6: {tier:?}: {seen}");
        }
        assert_eq!([tier(0), tier(9), tier(10), tier(99), tier(100)], [0, 0, 1, 3, 3]);
    }

    #[test]
    fn a_stage_without_a_rate_is_silent() {
        for rate in [0.0, -1.0, f64::NAN] {
            let mut stages = schedule(100.0, true);
            for stage in stages.iter_mut().filter(|s| s.phase == Phase::Calm) {
                stage.rate = rate;
            }
            let first = Arrivals::new(stages, 1).next().unwrap();
            assert!(first.at >= BUCKET * 12, "rate {rate}: {first:?}");
        }
    }

    #[test]
    fn work_times_have_their_mean() {
        let mean = Duration::from_millis(20);
        let mut times = WorkTimes::new(mean, 0.5, 9).unwrap();
        let sum: Duration = (0..20_000).map(|_| times.draw()).sum();
        let seen = sum.as_secs_f64() / 20_000.0;
        // Five standard errors of 20,000 draws with variation 0.5.
        assert!((seen / 0.02 - 1.0).abs() < 5.0 * 0.5 / 20_000f64.sqrt(), "seed 9: {seen}");
        assert!(WorkTimes::new(mean, f64::NAN, 9).is_err());
    }
}
