//! What is shown while it runs: in a terminal a table that grows, a live row and a progress bar;
//! elsewhere plain lines.

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::figures::PhaseFigures;
use crate::plan::{Phase, Stage, phases};
use crate::report::latency;
use crate::stats::Bucket;

/// How many buckets the live row averages over.
const WINDOW: usize = 4;

pub(crate) struct Live {
    bars: Option<Bars>,
    now: RefCell<Now>,
}

struct Bars {
    all: MultiProgress,
    row: ProgressBar,
    progress: ProgressBar,
}

/// What is known of the phase that runs.
#[derive(Default)]
struct Now {
    phase: Option<Phase>,
    buckets: Vec<Bucket>,
    peak_ohms: Option<f64>,
}

impl Live {
    /// A display for runs that take so long together.
    pub(crate) fn new(length: Duration) -> Self {
        let bars = std::io::stdout().is_terminal().then(|| {
            let all = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::stdout());
            let row = all.add(ProgressBar::no_length());
            row.set_style(style("{msg}"));
            let buckets = (length.as_millis() / crate::plan::BUCKET.as_millis()) as u64;
            let progress = all.add(ProgressBar::new(buckets));
            progress.set_style(style("[{bar:40}] {percent:>3} %  {elapsed} of about {duration}"));
            Bars { all, row, progress }
        });
        Self { bars, now: RefCell::default() }
    }

    /// Prints a line that stays.
    pub(crate) fn line(&self, text: &str) {
        match &self.bars {
            // A terminal that went away takes nothing from the run.
            Some(bars) => drop(bars.all.println(text)),
            None => println!("{text}"),
        }
    }

    /// Shows what is being done outside the schedule.
    pub(crate) fn doing(&self, what: &str) {
        match &self.bars {
            Some(bars) => bars.row.set_message(what.to_owned()),
            None => println!("{what} ..."),
        }
    }

    /// Prints the head of a run's table.
    pub(crate) fn begin_run(&self, title: &str) {
        self.line(&format!(
            "\n{title:14} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>10}",
            "offered", "good", "refused", "failed", "late", "p99", "R (ohm)"
        ));
        self.now.replace(Now::default());
    }

    /// A stage begins.
    pub(crate) fn stage(&self, stage: Stage) {
        if self.bars.is_none() && self.now.borrow().phase != Some(stage.phase) {
            println!("  {} ...", stage.phase.title());
        }
    }

    /// A bucket is complete.
    pub(crate) fn bucket(&self, stages: &[Stage], bucket: &Bucket, ohms: Option<f64>) {
        let phase = phases(stages).get(bucket.index as usize).copied();
        if self.now.borrow().phase != phase {
            self.end_phase();
            self.now.borrow_mut().phase = phase;
        }
        let mut now = self.now.borrow_mut();
        now.buckets.push(bucket.clone());
        now.peak_ohms = match (now.peak_ohms, ohms) {
            (Some(peak), Some(ohms)) if ohms <= peak => Some(peak),
            (peak, ohms) => ohms.or(peak),
        };
        if let (Some(bars), Some(phase)) = (&self.bars, phase) {
            let from = now.buckets.len().saturating_sub(WINDOW);
            let recent = now.buckets.get(from..).unwrap_or_default();
            bars.row.set_message(row(&PhaseFigures::new(phase, recent), ohms));
            bars.progress.inc(1);
        }
    }

    /// Prints the row of the phase that ended.
    fn end_phase(&self) {
        let now = self.now.replace(Now::default());
        if let Some(phase) = now.phase.filter(|phase| *phase != Phase::Rest) {
            self.line(&row(&PhaseFigures::new(phase, &now.buckets), now.peak_ohms));
        }
    }

    /// The run is over.
    pub(crate) fn end_run(&self) {
        self.end_phase();
    }

    /// Everything is over: leaves only the lines.
    pub(crate) fn finish(&self) {
        if let Some(bars) = &self.bars {
            bars.row.finish_and_clear();
            bars.progress.finish_and_clear();
        }
    }
}

/// One row of the table; the resistance is the highest of the phase.
fn row(figures: &PhaseFigures, ohms: Option<f64>) -> String {
    let PhaseFigures { phase, seconds, count, .. } = figures;
    let rate = |n: u64| if *seconds > 0.0 { n as f64 / seconds } else { 0.0 };
    let ohms = ohms.map_or_else(|| "-".to_owned(), |ohms| format!("{ohms:.1}"));
    let p99 =
        if count.good + count.timed_out == 0 { "-".to_owned() } else { latency(figures.p99_ms) };
    format!(
        "  {:12} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {p99:>10} {ohms:>10}",
        phase.title(),
        rate(count.sent),
        rate(count.good),
        rate(count.shed),
        rate(count.failed),
        rate(count.timed_out),
    )
}

fn style(template: &str) -> ProgressStyle {
    // The templates are fixed; a broken one would show the default bar instead.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_in_requests_per_second() {
        let mut bucket = Bucket::new(0);
        bucket.tiers[0].sent = 100;
        bucket.tiers[0].good = 75;
        bucket.tiers[3].sent = 25;
        bucket.tiers[3].shed = 25;
        bucket.latencies_us = vec![30_000; 75];
        let text = row(&PhaseFigures::new(Phase::Overload, &[bucket]), Some(1.25));
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words, ["3x", "overload", "500", "300", "100", "0", "0", "30", "ms", "1.2"]);
    }

    #[test]
    fn a_phase_in_which_nothing_was_let_in_has_no_latency() {
        let text = row(&PhaseFigures::new(Phase::Outage, &[]), None);
        assert!(text.trim_end().ends_with("- -") || text.ends_with('-'), "{text}");
    }
}
