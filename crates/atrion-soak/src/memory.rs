//! Whether a figure is flat: resident memory, file descriptors, threads.

use serde::Serialize;

/// The share of a run that is warm-up: tables fill, histories grow to their bounds.
const WARM_UP_SHARE: f64 = 0.25;
/// Warm-up is never longer than this, in seconds.
const WARM_UP_MAX_SECS: f64 = 600.0;
/// Memory may differ by this much between the first and the last third after warm-up.
const TOLERANCE: f64 = 0.05;
/// Below so many seconds after warm-up nothing can be said of a trend: only a leak that shows
/// within minutes does.
const TREND_SECS: f64 = 360.0;
const TOLERANCE_SHORT: f64 = 0.25;
/// Thirds with fewer samples say nothing.
const FEWEST: usize = 3;

/// A figure at a moment, in seconds since the process began.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Sample {
    pub(crate) secs: f64,
    pub(crate) value: f64,
}

/// The medians of the first and the last third after warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Trend {
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) samples: usize,
    /// From the end of the warm-up to the last sample, in seconds.
    pub(crate) span_secs: f64,
}

impl Trend {
    /// How much more the last third is than the first, as a share.
    pub(crate) fn growth(&self) -> f64 {
        if self.first > 0.0 { self.last / self.first - 1.0 } else { 0.0 }
    }

    /// How much memory may grow, and shrink, over what was seen.
    pub(crate) fn tolerance(&self) -> f64 {
        if self.span_secs < TREND_SECS { TOLERANCE_SHORT } else { TOLERANCE }
    }

    /// Whether memory is flat: it may shrink, it must not grow.
    pub(crate) fn is_flat(&self) -> bool {
        self.growth() <= self.tolerance()
    }

    /// Whether a small whole number, such as of threads, is flat: it may move by `slack`.
    pub(crate) fn is_within(&self, slack: f64) -> bool {
        self.last <= self.first + slack
    }
}

/// The trend of a process's samples, in the order of time; `None` if there are too few.
pub(crate) fn trend(samples: &[Sample]) -> Option<Trend> {
    let (from, to) = (samples.first()?.secs, samples.last()?.secs);
    let warm_up = ((to - from) * WARM_UP_SHARE).clamp(0.0, WARM_UP_MAX_SECS);
    let start = from + warm_up;
    let third = (to - start) / 3.0;
    let within = |from: f64, to: f64| -> Vec<f64> {
        samples.iter().filter(|s| s.secs >= from && s.secs <= to).map(|s| s.value).collect()
    };
    let (first, last) = (within(start, start + third), within(to - third, to));
    if first.len() < FEWEST || last.len() < FEWEST {
        return None;
    }
    Some(Trend {
        first: median(first),
        last: median(last),
        samples: within(start, to).len(),
        span_secs: to - start,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(secs: u32, value: impl Fn(f64) -> f64) -> Vec<Sample> {
        (0..=secs / 5)
            .map(|n| f64::from(n * 5))
            .map(|secs| Sample { secs, value: value(secs) })
            .collect()
    }

    #[test]
    fn growth_in_the_warm_up_is_no_leak_and_growth_after_it_is() {
        let filling =
            trend(&run(1800, |t| 20.0 + 10.0 * (t / 400.0).clamp(0.0, 1.0))).expect("enough");
        assert!(filling.is_flat(), "{filling:?}");
        assert!((filling.span_secs - 1350.0).abs() < 1.0, "{filling:?}");
        let leaking = trend(&run(1800, |t| 20.0 + t * 0.003)).expect("enough");
        assert!(!leaking.is_flat(), "{leaking:?}");
        assert!(leaking.growth() > 0.05 && leaking.tolerance() < 0.06, "{leaking:?}");
    }

    #[test]
    fn shrinking_is_no_leak() {
        assert!(trend(&run(1800, |t| 40.0 - t * 0.01)).expect("enough").is_flat());
    }

    #[test]
    fn a_short_run_is_judged_by_a_wider_measure() {
        let short = trend(&run(60, |t| 20.0 + t * 0.05)).expect("enough");
        assert!(short.is_flat() && short.growth() > 0.05, "{short:?}");
        let leak = trend(&run(60, |t| 20.0 + t * 0.5)).expect("enough");
        assert!(!leak.is_flat(), "{leak:?}");
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(trend(&[]), None);
        assert_eq!(trend(&run(15, |_| 1.0)), None);
    }

    #[test]
    fn one_spike_does_not_decide() {
        let mut samples = run(1800, |_| 20.0);
        samples.last_mut().expect("some").value = 90.0;
        assert!(trend(&samples).expect("enough").is_flat());
    }

    #[test]
    fn small_whole_numbers_may_move_by_their_slack() {
        let threads = trend(&run(1800, |t| if t < 900.0 { 11.0 } else { 13.0 })).expect("enough");
        assert!(threads.is_within(2.0) && !threads.is_within(1.0));
    }
}
