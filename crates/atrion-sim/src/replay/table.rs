//! Replays as text, CSV and JSON.

use std::fmt::Write as _;

use atrion_trace::{Finish, Mark, Step, Trace};
use serde::Serialize;

use super::model::{Model, ModelledRun, Written};
use super::open::OpenLoop;
use super::tiers::{Figures, Tier};
use super::{Discipline, Fit};
use crate::table::{align, quoted};

/// What was replayed of one route.
#[derive(Clone, Debug)]
pub struct RouteReplay {
    /// The route's name.
    pub route: String,
    /// The open-loop replay, one for each configuration; empty if there was none.
    pub open: Vec<OpenLoop>,
    /// The model and a run for each configuration, if it was asked for; or why there is none.
    pub model: Option<Result<(Model, Vec<ModelledRun>), String>>,
}

/// What was replayed of one trace.
#[derive(Clone, Debug)]
pub struct TraceReplay {
    /// The file's name.
    pub trace: String,
    /// What the trace is, and what in it a replay does not do again: one sentence each.
    pub notes: Vec<String>,
    /// The routes.
    pub routes: Vec<RouteReplay>,
}

const UNTRUSTED: &str = "THE MODEL DOES NOT FIT: what was recorded was no such service, or it changed over time. Do not rely on the figures below.\n";

/// Sentences about a trace: its size, how it ended, what is missing in it, and what acted on its
/// routes that a replay does not do again.
pub fn notes(trace: &Trace, bytes: u64) -> Vec<String> {
    let requests = trace.requests().len();
    let per_request = bytes as f64 / requests.max(1) as f64;
    let mut notes = vec![format!(
        "{requests} requests, {bytes} bytes ({per_request:.1} for each), routes: {}",
        trace.routes().len()
    )];
    match trace.finish() {
        Finish::Cut { bytes } => notes.push(format!(
            "the recording was cut off; what can be read is used, {bytes} bytes after it are not"
        )),
        Finish::Whole(totals) if totals.unwritten > 0 => {
            notes.push(format!("{} observations were left out of the file", totals.unwritten));
        }
        Finish::Whole(_) => {}
    }
    if trace.lost() > 0 {
        notes.push(format!(
            "{} observations were dropped while recording: requests without an end leave after the longest latency",
            trace.lost()
        ));
    }
    if trace.unmatched_ends() > 0 {
        notes.push(format!("{} ends belong to no recorded arrival", trace.unmatched_ends()));
    }
    let unmeasured = trace.requests().iter().filter(|r| r.in_flight.is_none()).count();
    if unmeasured > 0 {
        notes.push(format!(
            "{unmeasured} requests were counted and not measured by the engine; the replay may choose others"
        ));
    }
    let warm: Vec<&str> = trace.routes().iter().filter(|r| !r.is_new).map(|r| &*r.name).collect();
    if !warm.is_empty() {
        notes.push(format!(
            "recording began on routes in use ({}): the replay has to learn first what they knew",
            warm.join(", ")
        ));
    }
    let mut influences: std::collections::BTreeMap<Mark, u64> = std::collections::BTreeMap::new();
    for step in trace.steps() {
        if let Step::Mark { mark, .. } = step
            && mark.is_outside_influence()
        {
            *influences.entry(*mark).or_default() += 1;
        }
    }
    if !influences.is_empty() {
        let all: Vec<String> =
            influences.iter().map(|(mark, count)| format!("{} {count}x", mark.as_str())).collect();
        notes.push(format!("not replayed, but it acted on decisions: {}", all.join(", ")));
    }
    notes
}

/// Everything, for people.
pub fn text(replay: &TraceReplay) -> String {
    let mut out = format!("{}\n", replay.trace);
    for note in &replay.notes {
        let _ = writeln!(out, "  {note}");
    }
    for route in &replay.routes {
        if !route.open.is_empty() {
            let _ = writeln!(
                out,
                "\n{}: open loop, the recorded outcomes fed to the engine",
                route.route
            );
            out.push_str(&open_text(&route.open));
        }
        match &route.model {
            Some(Ok((model, runs))) => {
                let _ = writeln!(
                    out,
                    "\n{}: model, the recorded callers before a fitted service",
                    route.route
                );
                let _ = writeln!(out, "{}", fit_text(&model.fit, model.deadline_secs()));
                if !model.fit.is_trusted() {
                    out.push_str(UNTRUSTED);
                }
                out.push_str(&model_text(model, runs));
            }
            Some(Err(why)) => {
                let _ = writeln!(out, "\n{}: no model: {why}", route.route);
            }
            None => {}
        }
    }
    out
}

fn percent(value: f64) -> String {
    format!("{value:.2}")
}

fn tier_headings(line: &mut Vec<String>, tiers: &[Tier]) {
    line.extend(tiers.iter().map(|tier| format!("shed {} V %", tier.volts)));
}

fn open_text(replays: &[OpenLoop]) -> String {
    let headings = [
        "config",
        "shed %",
        "agree %",
        "newly shed",
        "newly passed",
        "first differs s",
        "opened",
        "max ohm",
    ];
    let mut lines = vec![headings.map(str::to_owned).to_vec()];
    if let (Some(first), Some(head)) = (replays.first(), lines.first_mut()) {
        tier_headings(head, &first.recorded);
        let opened = first.recorded_modes.iter().filter(|(_, open)| *open).count();
        let mut line =
            vec!["recorded".to_owned(), percent(total(&first.recorded).refused_percent())];
        line.extend(["-", "-", "-", "-"].map(str::to_owned));
        line.extend([opened.to_string(), "-".to_owned()]);
        line.extend(first.recorded.iter().map(|tier| percent(tier.refused_percent())));
        lines.push(line);
    }
    for replay in replays {
        let most = replay.bins.iter().map(|bin| bin.ohms).fold(0.0, atrion_core::math::max);
        let opened = replay.modes.iter().filter(|(_, open)| *open).count();
        let differs =
            replay.first_difference_secs.map_or("never".to_owned(), |s| format!("{s:.3}"));
        let mut line = vec![
            replay.config.clone(),
            percent(total(&replay.replayed).refused_percent()),
            percent(replay.agreement_percent()),
            replay.newly_refused.to_string(),
            replay.newly_admitted.to_string(),
            differs,
            opened.to_string(),
            format!("{most:.1}"),
        ];
        line.extend(replay.replayed.iter().map(|tier| percent(tier.refused_percent())));
        lines.push(line);
    }
    align(&lines)
}

fn total(tiers: &[Tier]) -> Tier {
    let (asked, refused) =
        (tiers.iter().map(|t| t.asked).sum(), tiers.iter().map(|t| t.refused).sum());
    Tier { volts: 0.0, asked, refused }
}

fn fit_text(fit: &Fit, deadline_secs: f64) -> String {
    let discipline = match fit.discipline {
        Discipline::Fifo => "workers in order of arrival",
        Discipline::Sharing => "shared cores",
    };
    let bound = if fit.is_lower_bound { "at least " } else { "" };
    let unseen = if fit.is_lower_bound { " (no queue was recorded)" } else { "" };
    let errors = if fit.errors.is_empty() {
        "no failures".to_owned()
    } else {
        format!("failures in {} stretches", fit.errors.len())
    };
    format!(
        "fitted: {bound}{} {discipline}{unseen}, {:.3} ms mean, variation {:.2} (from {} successes with at most {} in flight), {errors}\nerror of the fit: {:.1} % (latencies under the recorded load); good is within {:.1} ms",
        fit.workers,
        1000.0 * fit.mean_secs,
        fit.cv,
        fit.samples,
        fit.samples_in_flight,
        100.0 * fit.error,
        1000.0 * deadline_secs
    )
}

fn model_text(model: &Model, runs: &[ModelledRun]) -> String {
    let headings = ["config", "good /s", "good %", "shed %", "p50 ms", "p99 ms"];
    let mut lines = vec![headings.map(str::to_owned).to_vec()];
    if let Some(head) = lines.first_mut() {
        tier_headings(head, &model.recorded.tiers);
    }
    let mut add =
        |name: &str, figures: &Figures, by_tier: bool| {
            let millis =
                |secs: Option<f64>| secs.map_or("-".to_owned(), |s| format!("{:.2}", 1000.0 * s));
            let good = 100.0 * figures.good as f64 / figures.asked.max(1) as f64;
            let mut line = vec![
                name.to_owned(),
                format!("{:.1}", figures.good_per_sec),
                percent(good),
                percent(figures.refused_percent()),
                millis(figures.p50_secs),
                millis(figures.p99_secs),
            ];
            line.extend(figures.tiers.iter().map(|tier| {
                if by_tier { percent(tier.refused_percent()) } else { "-".to_owned() }
            }));
            lines.push(line);
        };
    add("recorded", &model.recorded, true);
    // Held to a number in flight, the model refuses without regard to voltage.
    add("as recorded, modelled", &model.as_recorded.figures, false);
    for run in runs {
        add(&run.config, &run.figures, true);
    }
    align(&lines)
}

/// CSV over time: one row for each trace, route, configuration, replay and stretch. What a replay
/// does not know is empty.
pub fn csv(replays: &[TraceReplay]) -> String {
    let mut out = String::from(
        "trace,route,config,replay,from_secs,asked,recorded_refused,refused,ohms,open,good,p99_secs\r\n",
    );
    for replay in replays {
        for route in &replay.routes {
            let start = format!("{},{}", quoted(&replay.trace), quoted(&route.route));
            for open in &route.open {
                for bin in &open.bins {
                    let _ = write!(
                        out,
                        "{start},{},open,{},{},{},{},{},{},,\r\n",
                        quoted(&open.config),
                        bin.from_secs,
                        bin.asked,
                        bin.recorded_refused,
                        bin.refused,
                        bin.ohms,
                        u8::from(bin.open)
                    );
                }
            }
            let Some(Ok((model, runs))) = &route.model else { continue };
            for run in std::iter::once(&model.as_recorded).chain(runs) {
                for (index, bin) in run.report.bins.iter().enumerate() {
                    let p99 = bin.p99_secs.map(|secs| secs.to_string()).unwrap_or_default();
                    let _ = write!(
                        out,
                        "{start},{},model,{},{},,{},,,{},{p99}\r\n",
                        quoted(&run.config),
                        index as f64 * run.report.bin_secs,
                        bin.asked,
                        bin.refused,
                        bin.good
                    );
                }
            }
        }
    }
    out
}

#[derive(Serialize)]
struct WrittenTrace<'a> {
    trace: &'a str,
    notes: &'a [String],
    routes: Vec<WrittenRoute<'a>>,
}

#[derive(Serialize)]
struct WrittenRoute<'a> {
    route: &'a str,
    open_loop: &'a [OpenLoop],
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Written<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_model: Option<&'a str>,
}

/// Everything as a value that serializers take; over time the open-loop replays only.
pub fn data(replays: &[TraceReplay]) -> impl Serialize + '_ {
    replays.iter().map(WrittenTrace::of).collect::<Vec<_>>()
}

impl<'a> WrittenTrace<'a> {
    fn of(replay: &'a TraceReplay) -> Self {
        let routes = replay.routes.iter().map(WrittenRoute::of).collect();
        Self { trace: &replay.trace, notes: &replay.notes, routes }
    }
}

impl<'a> WrittenRoute<'a> {
    fn of(route: &'a RouteReplay) -> Self {
        let (model, no_model) = match &route.model {
            Some(Ok((model, runs))) => {
                let written = Written {
                    deadline_secs: model.deadline_secs(),
                    fit: &model.fit,
                    recorded: &model.recorded,
                    as_recorded: &model.as_recorded.figures,
                    runs: runs.iter().map(|run| (run.config.as_str(), &run.figures)).collect(),
                };
                (Some(written), None)
            }
            Some(Err(why)) => (None, Some(why.as_str())),
            None => (None, None),
        };
        Self { route: &route.route, open_loop: &route.open, model, no_model }
    }
}
