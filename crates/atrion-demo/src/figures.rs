//! From what was recorded to the figures that are compared.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::plan::{BUCKET, Phase, Stage, TIERS, phases};
use crate::stats::{Bucket, Count, latency_percentile, percentile};
use crate::wire::ShedSample;

/// Everything seen during one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) buckets: Vec<Bucket>,
    /// Resistance over time since the start of the schedule.
    pub(crate) gauges: Vec<(Duration, Option<f64>)>,
    /// How long the service's process stalled at most in each tenth of a second.
    pub(crate) stalls: Vec<Duration>,
    /// Requests that had reached the dependency one second into the outage, and when it healed.
    pub(crate) reached_at_reaction: u64,
    pub(crate) reached_at_heal: u64,
    pub(crate) shed_sample: Option<ShedSample>,
    /// How much later than intended requests were sent.
    pub(crate) lag_p99: Duration,
    pub(crate) lag_max: Duration,
}

impl Record {
    /// The latest resistance, in ohms.
    pub(crate) fn resistance(&self) -> Option<f64> {
        self.gauges.last().and_then(|(_, ohms)| *ohms)
    }
}

/// Both runs, and the capacity they are measured against.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) seed: u64,
    pub(crate) short: bool,
    pub(crate) capacity_per_second: f64,
    pub(crate) capacity_after_per_second: f64,
    pub(crate) unprotected: RunFigures,
    pub(crate) protected: RunFigures,
}

/// The figures of one run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunFigures {
    pub(crate) calm_goodput_per_second: f64,
    pub(crate) shed_while_calm: u64,
    /// Good answers during the overload, in percent of the measured capacity.
    pub(crate) overload_goodput_percent: f64,
    /// Served in percent per tier, during the overload.
    pub(crate) overload_served_percent: BTreeMap<&'static str, f64>,
    /// The top tier during the overload: requests sent and requests not served.
    pub(crate) top_tier_sent: u64,
    pub(crate) top_tier_missed: u64,
    /// Requests that reached the dead dependency after the first second of the outage, in
    /// percent of those that users sent meanwhile. Above 100 if a backlog of the first second
    /// gets there later.
    pub(crate) dead_dependency_percent: f64,
    /// From the healing of the dependency until at least 95 % of the requests are served for a
    /// whole second; `None` if that did not happen.
    pub(crate) recovery_seconds: Option<f64>,
    pub(crate) shed_sample: Option<ShedSample>,
    pub(crate) generator_lag_p99_ms: f64,
    pub(crate) generator_lag_max_ms: f64,
    pub(crate) service_stall_p99_ms: f64,
    pub(crate) phases: Vec<PhaseFigures>,
}

/// The figures of one phase.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PhaseFigures {
    pub(crate) phase: Phase,
    pub(crate) seconds: f64,
    pub(crate) offered_per_second: f64,
    pub(crate) goodput_per_second: f64,
    pub(crate) count: Count,
    /// Latency over the requests let in; `None`: beyond the objective.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
}

impl PhaseFigures {
    pub(crate) fn new(phase: Phase, buckets: &[Bucket]) -> Self {
        let count: Count = buckets.iter().map(Bucket::total).sum();
        let seconds = BUCKET.as_secs_f64() * buckets.len() as f64;
        let per_second = |n: u64| if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
        let ms = |p| latency_percentile(buckets, p).map(millis);
        Self {
            phase,
            seconds,
            offered_per_second: per_second(count.sent),
            goodput_per_second: per_second(count.good),
            count,
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
        }
    }
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl RunFigures {
    /// The figures of a run of this schedule against a service of this capacity per second.
    pub(crate) fn from_record(record: &Record, stages: &[Stage], capacity: f64) -> Self {
        let of = |phase| of_phase(record, stages, phase);
        let phases: Vec<PhaseFigures> =
            Phase::REPORTED.iter().map(|p| PhaseFigures::new(*p, &of(*p))).collect();
        let calm = PhaseFigures::new(Phase::Calm, &of(Phase::Calm));
        let overload = of(Phase::Overload);
        let overload_figures = PhaseFigures::new(Phase::Overload, &overload);
        let tier = |index: usize| -> Count {
            overload.iter().filter_map(|b| b.tiers.get(index).copied()).sum()
        };
        let top = tier(0);
        let mut stalls = record.stalls.clone();
        stalls.sort_unstable();
        Self {
            calm_goodput_per_second: calm.goodput_per_second,
            shed_while_calm: calm.count.shed,
            overload_goodput_percent: 100.0 * overload_figures.goodput_per_second / capacity,
            overload_served_percent: (0..TIERS.len())
                .zip(TIERS)
                .map(|(index, t)| (t.name, tier(index).served_percent()))
                .collect(),
            top_tier_sent: top.sent,
            top_tier_missed: top.sent.saturating_sub(top.good),
            dead_dependency_percent: dead_dependency_percent(record, &of(Phase::Outage)),
            recovery_seconds: recovery(&of(Phase::Recovery)),
            shed_sample: record.shed_sample.clone(),
            generator_lag_p99_ms: millis(record.lag_p99),
            generator_lag_max_ms: millis(record.lag_max),
            service_stall_p99_ms: percentile(&stalls, 0.99).map_or(0.0, millis),
            phases,
        }
    }
}

/// The buckets of one phase, in order.
pub(crate) fn of_phase(record: &Record, stages: &[Stage], phase: Phase) -> Vec<Bucket> {
    let phases = phases(stages);
    let in_phase = |b: &&Bucket| phases.get(b.index as usize) == Some(&phase);
    record.buckets.iter().filter(in_phase).cloned().collect()
}

fn dead_dependency_percent(record: &Record, outage: &[Bucket]) -> f64 {
    let sent: u64 = outage.iter().skip(per_second()).map(|b| b.total().sent).sum();
    let reached = record.reached_at_heal.saturating_sub(record.reached_at_reaction);
    if sent == 0 { 0.0 } else { 100.0 * reached as f64 / sent as f64 }
}

/// Buckets per second.
fn per_second() -> usize {
    (Duration::from_secs(1).as_nanos() / BUCKET.as_nanos()) as usize
}

/// The share of requests served from which on a service counts as restored.
const RESTORED_PERCENT: f64 = 95.0;

/// Seconds until a whole second of buckets is served in full.
fn recovery(buckets: &[Bucket]) -> Option<f64> {
    let full = |b: &Bucket| b.total().served_percent() >= RESTORED_PERCENT;
    let first = buckets.windows(per_second()).position(|second| second.iter().all(full))?;
    Some(BUCKET.as_secs_f64() * first as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::schedule;

    /// A bucket with `sent` normal requests of which `good` were served, the rest shed.
    fn bucket(index: u32, sent: u64, good: u64) -> Bucket {
        let mut bucket = Bucket::new(index);
        bucket.tiers[2] = Count { sent, good, shed: sent - good, ..Count::default() };
        bucket.latencies_us = vec![10_000; good as usize];
        bucket
    }

    #[test]
    fn recovery_is_the_first_full_second() {
        let of = |percents: &[u64]| {
            let buckets: Vec<Bucket> =
                percents.iter().enumerate().map(|(i, p)| bucket(i as u32, 100, *p)).collect();
            recovery(&buckets)
        };
        assert_eq!(of(&[100, 95, 100, 100]), Some(0.0));
        assert_eq!(of(&[0, 50, 94, 100, 100, 100, 100]), Some(0.75));
        // A single good moment is not full service.
        assert_eq!(of(&[0, 100, 100, 0, 100, 100, 100, 100]), Some(1.0));
        assert_eq!(of(&[0, 0, 0, 0, 0]), None);
        assert_eq!(of(&[100, 100, 100]), None);
    }

    #[test]
    fn a_run_is_summed_up_phase_by_phase() {
        let stages = schedule(400.0, true);
        let record = Record {
            buckets: phases(&stages)
                .iter()
                .enumerate()
                .map(|(i, phase)| match phase {
                    Phase::Overload => bucket(i as u32, 300, 96),
                    Phase::Outage => bucket(i as u32, 70, 0),
                    _ => bucket(i as u32, 70, 70),
                })
                .collect(),
            reached_at_reaction: 1000,
            reached_at_heal: 1007,
            ..Record::default()
        };
        let figures = RunFigures::from_record(&record, &stages, 400.0);
        assert_eq!(figures.shed_while_calm, 0);
        assert!((figures.calm_goodput_per_second - 280.0).abs() < 1e-9);
        assert!((figures.overload_goodput_percent - 96.0).abs() < 1e-9);
        assert!((figures.overload_served_percent["normal"] - 32.0).abs() < 1e-9);
        // 14 buckets of outage, of which the first 4 are the first second.
        assert!((figures.dead_dependency_percent - 100.0 * 7.0 / 700.0).abs() < 1e-9);
        assert_eq!(figures.recovery_seconds, Some(0.0));
        let overload = &figures.phases[1];
        assert_eq!((overload.phase, overload.p99_ms), (Phase::Overload, Some(10.0)));
        assert!((overload.offered_per_second - 1200.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_recorded_gives_figures_without_nan() {
        let figures = RunFigures::from_record(&Record::default(), &schedule(400.0, true), 400.0);
        assert!(figures.dead_dependency_percent.abs() < 1e-12);
        assert!(figures.overload_goodput_percent.abs() < 1e-12);
        assert_eq!(figures.recovery_seconds, None);
        assert!(figures.phases.iter().all(|p| p.goodput_per_second.is_finite()));
    }
}
