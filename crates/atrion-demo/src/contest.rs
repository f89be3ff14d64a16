//! The crates of others and Atrion before the same service, under three and ten times what it can do.
//!
//! They are tier-blind, and two of them are told what nobody tells Atrion: the number of workers, or
//! what the callers find too late. One after the other gets the same arrivals.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::args::Options;
use crate::conductor::{Interrupt, Stopped, capacity, run};
use crate::figures::{PhaseFigures, Record, millis, of_phase};
use crate::guard::Guard;
use crate::live::Live;
use crate::plan::{BUCKET, Phase, Stage, contest, length};
use crate::report::{latency, make_folder_of};
use crate::stats::{Bucket, Count, percentile};
use crate::verdict::{Busy, Check, Verdict};

/// Good answers in percent of the capacity, at least.
const GOODPUT: f64 = 95.0;
/// The top tier served, in percent, at least.
const TOP: f64 = 99.9;
/// The overloads, by their names in the figures.
const OVERLOADS: [(&str, Phase); 2] = [("x3", Phase::Overload), ("x10", Phase::Tenfold)];

/// What one protection did under one overload.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Figures {
    /// Good answers in percent of the measured capacity.
    goodput_percent: f64,
    /// Two standard errors around it, from the quarters of a second.
    goodput_low: f64,
    goodput_high: f64,
    /// `None`: beyond the objective.
    p99_ms: Option<f64>,
    top_served_percent: f64,
}

impl Figures {
    fn new(phase: Phase, buckets: &[Bucket], capacity: f64) -> Self {
        let figures = PhaseFigures::new(phase, buckets);
        let percent = |per_second: f64| 100.0 * per_second / capacity;
        let rates: Vec<f64> = buckets
            .iter()
            .map(|bucket| percent(bucket.total().good as f64 / BUCKET.as_secs_f64()))
            .collect();
        let mean = percent(figures.goodput_per_second);
        let spread = 2.0 * standard_error(&rates, mean);
        let top: Count = buckets.iter().filter_map(|b| b.tiers.first().copied()).sum();
        Self {
            goodput_percent: mean,
            goodput_low: if spread < mean { mean - spread } else { 0.0 },
            goodput_high: mean + spread,
            p99_ms: figures.p99_ms,
            top_served_percent: top.served_percent(),
        }
    }
}

/// The standard error of the mean; 0 of fewer than two values.
fn standard_error(values: &[f64], mean: f64) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    let n = values.len() as f64;
    (squares / (n - 1.0) / n).sqrt()
}

/// All figures: by overload, then by protection.
#[derive(Clone, Debug, Serialize)]
struct Contest {
    seed: u64,
    short: bool,
    capacity_per_second: f64,
    capacity_after_per_second: f64,
    generator_lag_p99_ms: f64,
    service_stall_p99_ms: f64,
    #[serde(flatten)]
    overloads: BTreeMap<&'static str, BTreeMap<&'static str, Figures>>,
}

/// Lets one after the other stand before the service, and judges Atrion.
///
/// # Errors
///
/// [`Stopped`] if it was interrupted, if a part could not be started or failed, or if the file
/// cannot be written. No process is left behind in any of these cases.
pub(crate) async fn show(options: &Options, interrupt: &Interrupt) -> Result<Verdict, Stopped> {
    let runs = Guard::CONTESTANTS.len() as u32;
    let live = Live::new(runs * length(&contest(1.0, options.short)));
    let before = capacity(options, &live, interrupt).await?;
    live.line(&format!("capacity measured: {before:.0} requests/s"));
    let stages = contest(before, options.short);
    let mut records = Vec::new();
    for guard in Guard::CONTESTANTS {
        records.push((guard, run(options, guard, &stages, &live, interrupt).await?));
    }
    let after = capacity(options, &live, interrupt).await?;
    live.finish();
    let contest = Contest::new(options, [before, after], &stages, &records);
    let checks = contest.checks();
    let verdict = contest.judge(&checks);
    print!("{}", contest.table());
    if let Some(file) = &options.json {
        contest.write(&checks, verdict, file)?;
        println!("\nfigures: {}", file.display());
    }
    print!("{}", contest.closing(&checks, verdict));
    Ok(verdict)
}

impl Contest {
    fn new(
        options: &Options,
        [before, after]: [f64; 2],
        stages: &[Stage],
        records: &[(Guard, Record)],
    ) -> Self {
        let of = |phase: Phase| {
            let figures =
                |record: &Record| Figures::new(phase, &of_phase(record, stages, phase), before);
            records.iter().map(|(guard, record)| (guard.name(), figures(record))).collect()
        };
        let worst = |of: &dyn Fn(&Record) -> f64| {
            records.iter().map(|(_, record)| of(record)).fold(0.0, |a, b| if b > a { b } else { a })
        };
        let stall = |record: &Record| {
            let mut stalls = record.stalls.clone();
            stalls.sort_unstable();
            percentile(&stalls, 0.99).map_or(0.0, millis)
        };
        Self {
            seed: options.seed,
            short: options.short,
            capacity_per_second: before,
            capacity_after_per_second: after,
            generator_lag_p99_ms: worst(&|record| millis(record.lag_p99)),
            service_stall_p99_ms: worst(&stall),
            overloads: OVERLOADS.iter().map(|(name, phase)| (*name, of(*phase))).collect(),
        }
    }

    /// What was promised of Atrion.
    fn checks(&self) -> Vec<Check> {
        // What the machine can do is measured at both ends; the overloads lie in between.
        let (before, after) = (self.capacity_per_second, self.capacity_after_per_second);
        let lost = if after > 0.0 && after < before { before / after } else { 1.0 };
        let mut checks = Vec::new();
        let mut check = |promise: String, measured: String, met: bool| {
            checks.push(Check { promise, measured, met });
        };
        for (name, phase) in OVERLOADS {
            let title = phase.title();
            let Some(figures) = self.overloads.get(name) else { continue };
            let Some(ours) = figures.get(Guard::Atrion.name()) else { continue };
            let goodput = ours.goodput_percent * lost;
            check(
                format!("{title}: goodput at least {GOODPUT} % of the capacity"),
                format!("{goodput:.1} %"),
                goodput >= GOODPUT,
            );
            let others = figures.iter().filter(|(name, _)| **name != Guard::Atrion.name());
            let best = others.max_by(|a, b| a.1.goodput_percent.total_cmp(&b.1.goodput_percent));
            if let Some((best, theirs)) = best {
                check(
                    format!("{title}: no crate answers more"),
                    format!(
                        "{:.1} %, {best} {:.1} %",
                        ours.goodput_percent, theirs.goodput_percent
                    ),
                    ours.goodput_high >= theirs.goodput_low,
                );
            }
            // At ten times the capacity the top tier's tenth alone asks for all of it.
            if phase == Phase::Tenfold {
                continue;
            }
            let top = ours.top_served_percent;
            check(
                format!("{title}: at least {TOP} % of the top tier served"),
                format!("{top:.2} %"),
                top >= TOP,
            );
        }
        checks
    }

    fn judge(&self, checks: &[Check]) -> Verdict {
        if checks.iter().all(|check| check.met) {
            Verdict::Met
        } else if self.busy().is_some() {
            Verdict::TooBusy
        } else {
            Verdict::Missed
        }
    }

    fn busy(&self) -> Option<String> {
        Busy {
            lag_p99_ms: self.generator_lag_p99_ms,
            stall_p99_ms: self.service_stall_p99_ms,
            before: self.capacity_per_second,
            after: self.capacity_after_per_second,
        }
        .why()
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for (name, phase) in OVERLOADS {
            let _ = writeln!(
                text,
                "\n{:14} {:>20} {:>10} {:>10}",
                phase.title(),
                "good, % of capacity",
                "top tier",
                "p99"
            );
            let figures = self.overloads.get(name);
            for guard in Guard::CONTESTANTS {
                let Some(figures) = figures.and_then(|all| all.get(guard.name())) else { continue };
                let spread = figures.goodput_high - figures.goodput_percent;
                let _ = writeln!(
                    text,
                    "{:14} {:>13.1} +- {spread:>3.1} {:>8.2} % {:>10}",
                    guard.title(),
                    figures.goodput_percent,
                    figures.top_served_percent,
                    latency(figures.p99_ms),
                );
            }
        }
        text
    }

    fn closing(&self, checks: &[Check], verdict: Verdict) -> String {
        let mut text = String::from("\n");
        for check in checks {
            let mark = if check.met { "kept  " } else { "MISSED" };
            let _ = writeln!(text, "{mark}  {} ({})", check.promise, check.measured);
        }
        let _ = writeln!(
            text,
            "\nthe measuring itself: requests sent {:.1} ms late (p99); service stalled {:.0} ms (p99); \
             capacity {:.0} before, {:.0} after",
            self.generator_lag_p99_ms,
            self.service_stall_p99_ms,
            self.capacity_per_second,
            self.capacity_after_per_second,
        );
        let missed = checks.iter().filter(|check| !check.met).count();
        let _ = match (verdict, self.busy()) {
            (Verdict::Met, _) => writeln!(text, "contest passed: every promise kept"),
            (Verdict::TooBusy, Some(why)) => writeln!(
                text,
                "contest without a verdict: the machine is too busy to measure ({why}); \
                 run it again when nothing else runs"
            ),
            (Verdict::TooBusy | Verdict::Missed, _) => {
                writeln!(text, "contest failed: {missed} of {} promises missed", checks.len())
            }
        };
        text
    }

    fn write(&self, checks: &[Check], verdict: Verdict, file: &Path) -> Result<(), String> {
        #[derive(Serialize)]
        struct Report<'r> {
            #[serde(flatten)]
            contest: &'r Contest,
            checks: &'r [Check],
            verdict: Verdict,
        }
        let text = serde_json::to_string_pretty(&Report { contest: self, checks, verdict })
            .map_err(|e| format!("the figures cannot be written as JSON: {e}"))?;
        make_folder_of(file)?;
        std::fs::write(file, text + "\n")
            .map_err(|e| format!("{} cannot be written: {e}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(index: u32, good: u64) -> Bucket {
        let mut bucket = Bucket::new(index);
        bucket.tiers[0] = Count { sent: 10, good: 10, ..Count::default() };
        bucket.tiers[3] =
            Count { sent: 500, good: good - 10, shed: 510 - good, ..Count::default() };
        bucket.latencies_us = vec![40_000; good as usize];
        bucket
    }

    fn contest_of(ours: u64, theirs: u64, lag_ms: f64) -> Contest {
        let stages = contest(600.0, true);
        let record = |good: u64| {
            let buckets = stages.iter().map(|s| s.buckets).sum();
            let lag_p99 = std::time::Duration::from_secs_f64(lag_ms / 1e3);
            let buckets =
                (0..buckets).map(|index| bucket(index, good + u64::from(index % 2))).collect();
            Record { buckets, lag_p99, ..Record::default() }
        };
        let options = Options {
            cluster: false,
            peers: true,
            short: true,
            seed: 1,
            json: None,
            svg: "x".into(),
        };
        let records = [(Guard::Atrion, record(ours)), (Guard::Limit, record(theirs))];
        Contest::new(&options, [600.0, 600.0], &stages, &records)
    }

    #[test]
    fn goodput_has_a_spread_and_stands_beside_the_best_crate() {
        // 150 good answers in a quarter of a second are 600 in a second.
        let contest = contest_of(149, 149, 1.0);
        let figures = &contest.overloads["x3"]["protected"];
        assert!((figures.goodput_percent - 99.67).abs() < 0.01, "{figures:?}");
        assert!(figures.goodput_low < figures.goodput_percent);
        assert!(figures.goodput_high > figures.goodput_percent);
        assert!((figures.top_served_percent - 100.0).abs() < 1e-9);
        let checks = contest.checks();
        assert_eq!(checks.len(), 5);
        assert_eq!(contest.judge(&checks), Verdict::Met);
        assert!(contest.closing(&checks, Verdict::Met).contains("every promise kept"));
    }

    #[test]
    fn who_is_surpassed_by_more_than_the_spread_has_lost() {
        let contest = contest_of(144, 149, 1.0);
        let checks = contest.checks();
        let lost: Vec<&str> =
            checks.iter().filter(|c| !c.met).map(|c| c.promise.as_str()).collect();
        assert_eq!(
            lost,
            ["3x overload: no crate answers more", "10x overload: no crate answers more"]
        );
        assert_eq!(contest.judge(&checks), Verdict::Missed);
        assert!(contest.closing(&checks, Verdict::Missed).contains("2 of 5 promises missed"));
    }

    #[test]
    fn a_busy_machine_gives_no_verdict_but_excuses_no_more() {
        let busy = contest_of(100, 149, 80.0);
        assert_eq!(busy.judge(&busy.checks()), Verdict::TooBusy);
        let kept = contest_of(149, 149, 80.0);
        assert_eq!(kept.judge(&kept.checks()), Verdict::Met);
    }

    #[test]
    fn the_file_holds_every_figure_by_overload_and_name() {
        let contest = contest_of(149, 149, 1.0);
        let json = serde_json::to_value(&contest).unwrap();
        for path in ["/x3/protected/goodput_percent", "/x10/tower/goodput_low", "/x10/tower/p99_ms"]
        {
            assert!(json.pointer(path).is_some_and(serde_json::Value::is_number), "{path}: {json}");
        }
    }
}
