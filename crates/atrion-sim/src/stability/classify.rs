//! What a loop does over time: precise criteria on series of shares.
//!
//! A series is the share of requests admitted in each of consecutive stretches of equal length,
//! 0 to 1. The criteria look at phases in which nothing outside changes, so whatever moves is the
//! loop's own doing.

use serde::Serialize;

/// Below and above this, a share counts as closed and as open.
const CLOSED: f64 = 0.25;
const OPEN: f64 = 0.75;
/// Changes between closed and open within one phase that make an oscillation: two whole swings, and
/// one in every hundred stretches, so that single blips in a long phase do not.
const CHANGES: usize = 4;
const CHANGES_PER_STRETCH: f64 = 0.02;
/// Twins that differ by this much of all shares at the end, on average, have parted ...
const PARTED: f64 = 0.1;
/// ... if that is also this many times what they differed by just after the disturbance. A mere
/// shift in time, or one request's worth of difference, does not grow.
const GROWN: f64 = 4.0;

/// What a point of the map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// None of the others.
    Stable,
    /// Swings between closed and open although nothing outside changes.
    Oscillating,
    /// Admits nothing although the service could serve.
    Deadlock,
    /// Two runs that differ by one request part, and part further.
    Chaotic,
    /// The configuration refuses these numbers.
    Refused,
}

impl Class {
    /// All of them, in the order of legends.
    pub const ALL: [Self; 5] =
        [Self::Stable, Self::Oscillating, Self::Deadlock, Self::Chaotic, Self::Refused];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Oscillating => "oscillating",
            Self::Deadlock => "deadlock",
            Self::Chaotic => "chaotic",
            Self::Refused => "refused",
        }
    }
}

/// One phase of two runs, the second disturbed by one request.
#[derive(Clone, Copy, Debug)]
pub struct Twins<'a> {
    /// Shares admitted by the undisturbed run.
    pub one: &'a [f64],
    /// Shares admitted by its twin.
    pub other: &'a [f64],
}

/// How often a series goes from closed to open or back. In between, nothing counts.
pub fn changes(series: &[f64]) -> usize {
    let mut count = 0;
    let mut was_open: Option<bool> = None;
    for share in series {
        let is_open = if *share < CLOSED {
            false
        } else if *share > OPEN {
            true
        } else {
            continue;
        };
        count += usize::from(was_open.is_some_and(|was| was != is_open));
        was_open = Some(is_open);
    }
    count
}

/// Mean distance of two series, over as many stretches as both have; 0 for none.
pub fn distance(one: &[f64], other: &[f64]) -> f64 {
    let n = one.len().min(other.len());
    if n == 0 {
        return 0.0;
    }
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).sum::<f64>() / n as f64
}

/// How far twins are apart in the first tenth of `busy`, and in its late half or in `calm`, whichever
/// is more.
pub fn apart(busy: Twins<'_>, calm: Twins<'_>) -> (f64, f64) {
    let early = distance(first_tenth(busy.one), first_tenth(busy.other));
    let late = distance(late_half(busy.one), late_half(busy.other));
    (early, atrion_core::math::max(late, distance(calm.one, calm.other)))
}

/// The class of a point.
///
/// - **deadlock**: not one request is admitted in `calm`, in either run, although the load fits and
///   nothing is wrong any more. An empty `calm` is no deadlock.
/// - **chaotic**: in the late half of `busy`, or in `calm`, the twins are 0.1 apart on average, and
///   four times as far as in the first tenth of `busy`, which begins with the disturbance.
/// - **oscillating**: four changes between closed (below 0.25) and open (above 0.75), and two in
///   every hundred stretches, in the late half of `busy`, or in `calm`.
/// - **stable**: none of these.
///
/// They are tried in this order.
///
/// ```
/// use atrion_sim::stability::{Class, Twins, classify};
///
/// let level = [0.5; 60];
/// let swing: Vec<f64> = (0..60).map(|k| if k % 10 < 5 { 0.0 } else { 1.0 }).collect();
/// let twins = |series| Twins { one: series, other: series };
/// assert_eq!(classify(twins(&level), twins(&[1.0; 60])), Class::Stable);
/// assert_eq!(classify(twins(&swing), twins(&[1.0; 60])), Class::Oscillating);
/// assert_eq!(classify(twins(&level), twins(&[0.0; 60])), Class::Deadlock);
/// ```
pub fn classify(busy: Twins<'_>, calm: Twins<'_>) -> Class {
    let nothing = |series: &[f64]| series.iter().all(|share| *share <= 0.0);
    if !calm.one.is_empty() && nothing(calm.one) && nothing(calm.other) {
        return Class::Deadlock;
    }
    let (early, late) = apart(busy, calm);
    if late >= PARTED && late >= GROWN * early {
        return Class::Chaotic;
    }
    if swings(late_half(busy.one)) || swings(calm.one) {
        return Class::Oscillating;
    }
    Class::Stable
}

fn swings(series: &[f64]) -> bool {
    let count = changes(series);
    count >= CHANGES && count as f64 >= CHANGES_PER_STRETCH * series.len() as f64
}

fn late_half(series: &[f64]) -> &[f64] {
    series.get(series.len() / 2..).unwrap_or_default()
}

fn first_tenth(series: &[f64]) -> &[f64] {
    series.get(..series.len().div_ceil(10)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_ALWAYS: [f64; 50] = [1.0; 50];

    fn same(series: &[f64]) -> Twins<'_> {
        Twins { one: series, other: series }
    }

    /// x' = r x (1 - x), the textbook's way to chaos.
    fn logistic(r: f64, start: f64) -> Vec<f64> {
        let mut x = start;
        (0..200)
            .map(|_| {
                x = r * x * (1.0 - x);
                x
            })
            .collect()
    }

    /// The logistic map, stretched to span closed and open, and its twin a millionth apart.
    fn twins_of(r: f64) -> (Vec<f64>, Vec<f64>) {
        let stretched = |series: Vec<f64>| -> Vec<f64> {
            series.into_iter().map(|x| ((x - 0.5) * 2.0).clamp(0.0, 1.0)).collect()
        };
        (stretched(logistic(r, 0.3)), stretched(logistic(r, 0.300_001)))
    }

    #[test]
    fn the_logistic_map_goes_from_stable_over_oscillating_to_chaotic() {
        let of = |r: f64| {
            let (one, other) = twins_of(r);
            classify(Twins { one: &one, other: &other }, same(&OPEN_ALWAYS))
        };
        // A fixed point, a period of two around it, and chaos.
        assert_eq!(of(2.5), Class::Stable);
        assert_eq!(of(4.0), Class::Chaotic);
        let period_two: Vec<f64> =
            logistic(3.2, 0.3).iter().map(|x| f64::from(u8::from(*x > 0.65))).collect();
        assert_eq!(classify(same(&period_two), same(&OPEN_ALWAYS)), Class::Oscillating);
    }

    #[test]
    fn a_shift_in_time_is_no_chaos() {
        let square = |shift: usize| -> Vec<f64> {
            (0..100).map(|k| f64::from(u8::from((k + shift) % 10 < 5))).collect()
        };
        let (one, other) = (square(0), square(2));
        let class = classify(Twins { one: &one, other: &other }, same(&OPEN_ALWAYS));
        assert_eq!(class, Class::Oscillating, "apart by as much from the first moment on");
    }

    #[test]
    fn parting_for_good_is_chaos_even_without_any_swing() {
        let busy = [0.5; 100];
        let (open, closed) = ([1.0; 50], [0.0; 50]);
        let calm = Twins { one: &open, other: &closed };
        assert_eq!(classify(same(&busy), calm), Class::Chaotic, "one twin latches");
        assert_eq!(classify(same(&busy), same(&closed)), Class::Deadlock, "both do");
    }

    #[test]
    fn small_waves_transients_and_noise_are_stable() {
        let wave: Vec<f64> = (0..100).map(|k| 0.5 + 0.2 * f64::from(k % 2)).collect();
        let transient: Vec<f64> =
            (0..100).map(|k| if k < 40 { f64::from(k % 2) } else { 0.5 }).collect();
        let noise: Vec<f64> = wave.iter().map(|x| x + 0.02).collect();
        for busy in [same(&wave), same(&transient), Twins { one: &wave, other: &noise }] {
            assert_eq!(classify(busy, same(&OPEN_ALWAYS)), Class::Stable);
        }
        let mut blips = [1.0; 400];
        (blips[50], blips[350]) = (0.0, 0.0);
        assert_eq!(classify(same(&wave), same(&blips)), Class::Stable, "two blips in 400");
        // One trickle is enough for not being locked; nothing measured proves nothing.
        let mut trickle = [0.0; 50];
        trickle[30] = 0.02;
        assert_eq!(classify(same(&wave), same(&trickle)), Class::Stable);
        assert_eq!(classify(same(&[]), same(&[])), Class::Stable);
    }

    #[test]
    fn changes_count_whole_swings_only() {
        assert_eq!(changes(&[0.0, 1.0, 0.0, 1.0]), 3);
        assert_eq!(changes(&[0.0, 0.5, 0.0, 0.5, 0.7]), 0);
        assert_eq!(changes(&[0.2, 0.5, 0.8, 0.5, 0.2]), 2);
    }
}
