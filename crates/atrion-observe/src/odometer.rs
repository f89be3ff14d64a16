//! Counters that wrap, turned into what was added since they were last read.

/// How far a counter may seem to step back without having begun anew. Sums of several words are
/// not read at one instant, and may miss what is just being moved from one to another.
const JITTER: u32 = 64;
/// Steps from here on are taken for steps back.
const HALF: u32 = 1 << 31;

/// The last readings of several counters that live and die together, each modulo 2^32.
///
/// Exact as long as they are read once in 2^31 steps of each. If they begin anew between two
/// readings, what was counted after the first of them is lost, never counted twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odometer<const N: usize> {
    last: [u32; N],
}

impl<const N: usize> Default for Odometer<N> {
    fn default() -> Self {
        Self { last: [0; N] }
    }
}

impl<const N: usize> Odometer<N> {
    /// What each counter has gained since the last reading.
    pub fn advance(&mut self, reading: &[u32; N]) -> [u32; N] {
        let pairs = || reading.iter().zip(&self.last);
        if pairs().any(|(&now, &last)| began_anew(now, last)) {
            self.last = *reading;
            return *reading;
        }
        let mut gained = [0; N];
        let all = gained.iter_mut().zip(&mut self.last).zip(reading);
        for ((gained, last), &now) in all {
            let step = now.wrapping_sub(*last);
            if step < HALF {
                *gained = step;
                *last = now;
            }
        }
        gained
    }
}

fn began_anew(now: u32, last: u32) -> bool {
    let back = last.wrapping_sub(now);
    now.wrapping_sub(last) >= HALF && back > JITTER
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wrap_is_a_step_forward() {
        let mut odometer = Odometer { last: [u32::MAX - 1] };
        assert_eq!(odometer.advance(&[3]), [5]);
        assert_eq!(odometer.advance(&[3]), [0]);
    }

    #[test]
    fn all_begin_anew_if_one_did() {
        let mut odometer = Odometer::default();
        assert_eq!(odometer.advance(&[1_000, 7]), [1_000, 7]);
        assert_eq!(odometer.advance(&[4, 9]), [4, 9]);
        assert_eq!(odometer.advance(&[5, 9]), [1, 0]);
    }

    #[test]
    fn a_small_step_back_waits_until_it_is_made_good() {
        let mut odometer = Odometer::default();
        assert_eq!(odometer.advance(&[100]), [100]);
        assert_eq!(odometer.advance(&[99]), [0]);
        assert_eq!(odometer.advance(&[101]), [1]);
    }

    proptest! {
        /// However far it goes, and however often it wraps: the gains add up to the way.
        #[test]
        fn nothing_is_lost_or_counted_twice(
            start in any::<u32>(),
            steps in proptest::collection::vec((0u32..HALF, 0u32..HALF), 1..50),
        ) {
            let mut counters = [start, start.wrapping_mul(31)];
            let mut odometer = Odometer { last: counters };
            let (mut way, mut told) = ([0u64; 2], [0u64; 2]);
            for (a, b) in steps {
                for (i, step) in [a, b].into_iter().enumerate() {
                    counters[i] = counters[i].wrapping_add(step);
                    way[i] += u64::from(step);
                }
                for (sum, gained) in told.iter_mut().zip(odometer.advance(&counters)) {
                    *sum += u64::from(gained);
                }
            }
            prop_assert_eq!(way, told);
        }

        /// With routes that vanish and come back at any moment, no more is told than happened.
        #[test]
        fn a_restart_is_never_counted_twice(
            lives in proptest::collection::vec(
                proptest::collection::vec(0u32..10_000, 1..6), 1..20),
        ) {
            let mut odometer = Odometer::<1>::default();
            let (mut happened, mut told) = (0u64, 0u64);
            for life in lives {
                let mut counter = 0u32;
                for step in life {
                    counter += step;
                    happened += u64::from(step);
                    told += u64::from(odometer.advance(&[counter])[0]);
                    prop_assert!(told <= happened);
                }
            }
        }
    }
}
