//! Random numbers that are the same everywhere: integer arithmetic and `libm` only.

use atrion_core::math;

/// SplitMix64: one addition and one mix per draw, any seed is a good seed.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A stream of its own for every pair: `seed` names the run, `stream` its use.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(mix(seed ^ mix(stream.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in the open interval (0, 1).
    pub fn uniform(&mut self) -> f64 {
        ((self.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in the logarithm.
    pub fn between_log(&mut self, low: f64, high: f64) -> f64 {
        math::exp(self.between(math::ln(low), math::ln(high)))
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.uniform() * from.len() as f64) as usize]
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -math::ln(self.uniform())
    }

    /// Standard normal, by Marsaglia's polar method.
    pub fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square > 0.0 {
                return x * math::sqrt(-2.0 * math::ln(square) / square);
            }
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A lognormal distribution, given by its mean and coefficient of variation.
#[derive(Clone, Copy, Debug)]
pub struct Lognormal {
    mu: f64,
    sigma: f64,
}

impl Lognormal {
    pub fn new(mean: f64, cv: f64) -> Self {
        let variance = math::ln(1.0 + cv * cv);
        Self { mu: math::ln(mean) - variance / 2.0, sigma: math::sqrt(variance) }
    }

    pub fn draw(&self, rng: &mut Rng) -> f64 {
        math::exp(self.mu + self.sigma * rng.normal())
    }
}

#[test]
fn lognormal_has_the_mean_and_variation_asked_for() {
    let (law, mut rng) = (Lognormal::new(0.02, 1.0), Rng::new(1, 2));
    let draws: Vec<f64> = (0..200_000).map(|_| law.draw(&mut rng)).collect();
    let mean = draws.iter().sum::<f64>() / draws.len() as f64;
    let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / draws.len() as f64;
    assert!((mean / 0.02 - 1.0).abs() < 0.01, "{mean}");
    assert!((math::sqrt(variance) / mean - 1.0).abs() < 0.05, "{variance}");
}
