//! How long to wait before trying again.

use std::time::Duration;

use atrion_core::units::UnitInterval;

/// The wait before attempt `failures + 1`: doubling from `base` up to `cap`, of which half is
/// fixed and half is drawn, so that nodes that failed together do not return together.
///
/// ```text
/// wait = d·(1 + u)/2,  d = min(cap, base·2^(failures−1)),  u the draw in [0, 1]
/// ```
///
/// `failures` counts from 1; 0 is treated as 1.
pub(super) fn backoff(
    base: Duration,
    cap: Duration,
    failures: u32,
    draw: UnitInterval,
) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let full = base.saturating_mul(1_u32 << doublings).min(cap);
    let half = full / 2;
    // The draw is at most 1 and `half` is a bounded configuration value, so this cannot overflow.
    half + half.mul_f64(draw.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(10);

    fn wait(failures: u32, draw: f64) -> Duration {
        backoff(BASE, CAP, failures, UnitInterval::try_new(draw).unwrap())
    }

    #[test]
    fn doubles_from_the_base_to_the_cap() {
        let waits: Vec<u128> = (1..=9).map(|n| wait(n, 1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(wait(0, 1.0), BASE);
        assert_eq!(wait(u32::MAX, 1.0), CAP);
    }

    #[test]
    fn half_of_the_wait_is_drawn() {
        assert_eq!(wait(3, 0.0), Duration::from_millis(200));
        assert_eq!(wait(3, 0.5), Duration::from_millis(300));
        assert_eq!(wait(3, 1.0), Duration::from_millis(400));
    }
}
