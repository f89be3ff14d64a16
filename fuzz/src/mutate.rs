//! Spoils inputs.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// The longest input that is made, in bytes: more than any parser here accepts.
pub(crate) const MAX_BYTES: usize = 8192;

/// Bytes that mean something to most parsers.
const TELLING: &[u8] = b"\0\x01\x7f\x80\xff \n\"\\{}[]:,.=_-0919AZaz+/";

/// Draws spoilt inputs; the same seed draws the same ones from the same pool.
#[derive(Debug)]
pub(crate) struct Mutator {
    rng: StdRng,
    words: &'static [&'static [u8]],
}

impl Mutator {
    pub(crate) fn new(seed: u64, words: &'static [&'static [u8]]) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), words }
    }

    /// A number below `bound`, or 0 if there is none.
    fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.rng.random_range(0..bound) }
    }

    /// A member of `pool`, spoilt in one to eight places, more often in few: what is spoilt in many
    /// is refused at the door.
    pub(crate) fn draw(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let at = self.below(pool.len());
        let mut input = pool.get(at).cloned().unwrap_or_default();
        let most = self.below(8);
        for _ in 0..=self.below(most + 1) {
            self.spoil(&mut input, pool);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn spoil(&mut self, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = at + self.below(input.len() - at + 1);
        match self.below(9) {
            0 => self.flip(input, at),
            1 => self.replace(input, at),
            2 => drop(input.drain(at..end)),
            3 => input.truncate(at),
            4 => {
                let piece = input.get(at..end).unwrap_or_default().to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            5 => {
                let other = self.below(pool.len());
                let other = pool.get(other).map(Vec::as_slice).unwrap_or_default();
                let from = self.below(other.len() + 1);
                let tail = other.get(from..).unwrap_or_default().to_vec();
                input.splice(at..end, tail);
            }
            6 => {
                let word = self.below(self.words.len());
                let word = self.words.get(word).copied().unwrap_or(b"\0");
                let end = if self.below(2) == 0 { at } else { end };
                input.splice(at..end, word.iter().copied());
            }
            7 => {
                let byte = self.rng.random();
                let count = self.below(64);
                input.splice(at..at, std::iter::repeat_n(byte, count));
            }
            _ => self.count(input, at),
        }
    }

    fn flip(&mut self, input: &mut [u8], at: usize) {
        let bit = self.below(8);
        if let Some(byte) = input.get_mut(at) {
            *byte ^= 1 << bit;
        }
    }

    fn replace(&mut self, input: &mut [u8], at: usize) {
        let telling = self.below(TELLING.len());
        let any = self.rng.random();
        let new =
            if self.below(2) == 0 { TELLING.get(telling).copied().unwrap_or(any) } else { any };
        if let Some(byte) = input.get_mut(at) {
            *byte = new;
        }
    }

    /// One more or one less: lengths and digits are where parsers err.
    fn count(&mut self, input: &mut [u8], at: usize) {
        let up = self.below(2) == 0;
        if let Some(byte) = input.get_mut(at) {
            *byte = if up { byte.wrapping_add(1) } else { byte.wrapping_sub(1) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_inputs_and_another_does_not() {
        let pool = [b"atrion".to_vec(), Vec::new(), vec![0; 300]];
        let draw = |seed| {
            let mut mutator = Mutator::new(seed, &[b"word"]);
            (0..500).map(|_| mutator.draw(&pool)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(3).iter().all(|input| input.len() <= MAX_BYTES));
        let spoilt = draw(4).iter().filter(|input| !pool.contains(input)).count();
        assert!(spoilt > 400, "{spoilt} of 500");
    }

    #[test]
    fn an_empty_pool_and_no_words_are_no_obstacle() {
        let mut mutator = Mutator::new(1, &[]);
        assert!((0..200).any(|_| !mutator.draw(&[]).is_empty()));
    }
}
