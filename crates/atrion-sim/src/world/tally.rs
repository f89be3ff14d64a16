//! What a run is judged by, counted while it goes on.

use atrion_core::math;

use super::Ask;
use crate::report::{Bin, Latency, Report, Served};
use crate::scenario::Scenario;

/// Width of the time bins, for services of up to 20 ms; slower ones get wider bins.
const BIN_SECS: f64 = 0.1;
/// The service that the figures in this file are for.
const USUAL_SECS: f64 = 0.02;
/// Recovered: this share of what was asked for is served in time, over this many bins.
const RECOVERED_SHARE: f64 = 0.9;
const RECOVERED_BINS: usize = 10;
/// Time to settle after everything is over, in bins.
const SETTLE_BINS: f64 = 20.0;
/// Bins that a run may have at most; longer runs get wider ones.
const MOST_BINS: f64 = 20_000.0;

/// Something counted, and how many of it.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    of: u64,
    are: u64,
}

impl Share {
    fn percent(self) -> Option<f64> {
        (self.of > 0).then(|| 100.0 * self.are as f64 / self.of as f64)
    }
}

pub(super) struct Tally<'a> {
    scenario: &'a Scenario,
    report: Report,
    window: (f64, f64),
    /// The period before anything happens, start excluded; all of the window without faults.
    calm: (f64, f64),
    calm_refused: Share,
    /// When everything is over and has settled.
    settled: f64,
    settled_refused: Share,
    bin_secs: f64,
    /// Latencies of the successes that arrived within the window, and the bins they arrived in.
    latencies: Vec<(u32, f32)>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let end = scenario.duration_secs();
        let stretch = math::max(scenario.service().mean_secs / USUAL_SECS, 1.0);
        let bin_secs = math::max(BIN_SECS * stretch, end / MOST_BINS);
        let window = scenario.window_secs();
        let (calm, settled) = scenario.acting_secs().map_or((window, f64::INFINITY), |acting| {
            ((acting.0 / 4.0, acting.0), acting.1 + SETTLE_BINS * bin_secs)
        });
        let classes = scenario.classes().iter().map(|c| Served {
            name: c.name.clone(),
            volts: c.volts,
            ..Served::default()
        });
        let report = Report {
            scenario: scenario.name().to_owned(),
            seed,
            ideal_work: scenario.ideal(),
            capacity_per_sec: scenario.capacity_per_sec(),
            deadline_secs: scenario.deadline_secs(),
            classes: classes.collect(),
            bin_secs,
            bins: vec![Bin::default(); (end / bin_secs) as usize + 1],
            ..Report::default()
        };
        Self {
            scenario,
            report,
            window,
            calm,
            calm_refused: Share::default(),
            settled,
            settled_refused: Share::default(),
            bin_secs,
            latencies: Vec::new(),
        }
    }

    /// Requests so far, those asked again included.
    pub(super) const fn requests(&self) -> u64 {
        self.report.requests
    }

    pub(super) fn asked(&mut self, ask: Ask, arrived: f64) {
        self.report.requests += 1;
        let work = self.cost(ask);
        if self.in_window(arrived)
            && let Some(class) = self.report.classes.get_mut(ask.class)
        {
            class.asked += 1;
        }
        self.calm_refused.of += u64::from(self.is_calm(arrived));
        self.settled_refused.of += u64::from(arrived >= self.settled);
        if let Some(bin) = self.bin(arrived) {
            bin.asked += work;
            bin.fresh += if ask.attempt == 0 { work } else { 0.0 };
        }
    }

    pub(super) fn refused(&mut self, ask: Ask, arrived: f64) {
        self.calm_refused.are += u64::from(self.is_calm(arrived));
        self.settled_refused.are += u64::from(arrived >= self.settled);
        let work = self.cost(ask);
        if let Some(bin) = self.bin(arrived) {
            bin.refused += work;
        }
    }

    pub(super) fn admitted(&mut self, ask: Ask, arrived: f64, is_dead: bool) {
        self.report.admitted += 1;
        self.report.sent_to_dead += u64::from(is_dead);
        if self.in_window(arrived)
            && let Some(class) = self.report.classes.get_mut(ask.class)
        {
            class.admitted += 1;
        }
    }

    pub(super) fn ended(&mut self, ask: Ask, arrived: f64, now: f64, ok: bool, gave_up: bool) {
        let latency = now - arrived;
        let good = ok && !gave_up && latency <= self.report.deadline_secs;
        let work = self.cost(ask);
        if good && self.in_window(now) {
            self.report.good_work += work;
        }
        if self.in_window(arrived) {
            if good && let Some(class) = self.report.classes.get_mut(ask.class) {
                class.good += 1;
            }
            if ok {
                self.latencies.push(((arrived / self.bin_secs) as u32, latency as f32));
            }
        }
        if good && let Some(bin) = self.bin(arrived) {
            bin.good += work;
        }
    }

    pub(super) fn finish(mut self, transitions: u32) -> Report {
        self.report.transitions = transitions;
        self.per_bin_p99();
        let mut sorted: Vec<f32> = self.latencies.iter().map(|(_, secs)| *secs).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let at = |share: f64| {
            let index = (sorted.len() as f64 * share) as usize;
            sorted.get(index.min(sorted.len().saturating_sub(1))).map_or(0.0, |s| f64::from(*s))
        };
        self.report.latency = (!sorted.is_empty()).then(|| Latency {
            p50_secs: at(0.5),
            p90_secs: at(0.9),
            p99_secs: at(0.99),
            p999_secs: at(0.999),
            max_secs: at(1.0),
        });
        // Refusing what does not fit harms nobody.
        let calm_fits = self.scenario.offered_at(self.calm.0) < self.report.capacity_per_sec;
        self.report.calm_refused = if calm_fits { self.calm_refused.percent() } else { None };
        self.report.settled_refused = self.settled_refused.percent();
        self.report.recovery_secs = self.recovery();
        self.report
    }

    /// From the end of the last fault to the first bin from which on requests are served again.
    fn recovery(&self) -> Option<f64> {
        let (_, over) = self.scenario.acting_secs()?;
        let first = (over / self.bin_secs + 0.5) as usize;
        let bins = self.report.bins.get(first..)?;
        if bins.len() <= 2 * RECOVERED_BINS {
            return None;
        }
        for (index, stretch) in bins.windows(RECOVERED_BINS).enumerate() {
            let fresh: f64 = stretch.iter().map(|b| b.fresh).sum();
            let good: f64 = stretch.iter().map(|b| b.good).sum();
            let begins = stretch.first().is_some_and(|b| 2.0 * b.good >= b.fresh);
            if good >= RECOVERED_SHARE * fresh && begins {
                return Some(index as f64 * self.bin_secs);
            }
        }
        Some(f64::INFINITY)
    }

    fn per_bin_p99(&mut self) {
        self.latencies.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for run in self.latencies.chunk_by(|a, b| a.0 == b.0) {
            let worst = run.get((run.len() * 99 / 100).min(run.len() - 1));
            if let Some((index, secs)) = worst
                && let Some(bin) = self.report.bins.get_mut(*index as usize)
            {
                bin.p99_secs = Some(*secs);
            }
        }
    }

    fn bin(&mut self, t: f64) -> Option<&mut Bin> {
        self.report.bins.get_mut((t / self.bin_secs) as usize)
    }

    fn cost(&self, ask: Ask) -> f64 {
        self.scenario.classes().get(ask.class).map_or(1.0, |c| c.cost)
    }

    fn in_window(&self, t: f64) -> bool {
        t >= self.window.0 && t < self.window.1
    }

    fn is_calm(&self, t: f64) -> bool {
        t >= self.calm.0 && t < self.calm.1
    }
}
