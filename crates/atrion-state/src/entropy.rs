//! Seeded draws for jitter, so that a run can be replayed from its seed.

use std::hash::{BuildHasher, RandomState};

use atrion_core::units::UnitInterval;

/// A small generator (SplitMix64) of uniform draws. Not for secrets.
///
/// ```
/// use atrion_state::entropy::Draws;
///
/// let (mut one, mut two) = (Draws::from_seed(7), Draws::from_seed(7));
/// assert_eq!(one.draw(), two.draw());
/// ```
#[derive(Debug)]
pub struct Draws {
    state: u64,
}

impl Draws {
    /// The sequence of `seed`.
    pub const fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A sequence unlike that of any other node or instance, from the hash keys that the standard
    /// library draws from the operating system.
    pub fn unpredictable() -> Self {
        Self::from_seed(RandomState::new().hash_one(0_u8))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next draw, uniform in `[0, 1)`.
    pub fn draw(&mut self) -> UnitInterval {
        // 53 random bits scaled by 2⁻⁵³ lie in [0, 1), so the fallback is never taken.
        let unit = (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        UnitInterval::try_new(unit).unwrap_or(UnitInterval::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published test sequence of SplitMix64.
    #[test]
    fn is_splitmix64() {
        let mut draws = Draws::from_seed(1_234_567);
        let numbers: Vec<u64> = (0..5).map(|_| draws.next_u64()).collect();
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn draws_fill_the_unit_interval_evenly() {
        let mut draws = Draws::from_seed(1);
        let mut deciles = [0_u32; 10];
        for _ in 0..10_000 {
            deciles[(draws.draw().get() * 10.0) as usize] += 1;
        }
        assert!(deciles.iter().all(|n| (850..1_150).contains(n)), "{deciles:?}");
    }

    #[test]
    fn instances_differ() {
        assert_ne!(Draws::unpredictable().next_u64(), Draws::unpredictable().next_u64());
    }
}
