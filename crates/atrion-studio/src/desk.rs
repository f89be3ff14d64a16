//! The desk: one thread that does all the work, and only while somebody looks.
//!
//! Requests hand it jobs and wait for the answers; at each interval it goes over all routes once and
//! writes one line, which every viewer gets as it is. So whatever is asked, and by however many, at
//! most one thread of the process is busy with it, and no request of the application's waits.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_engine::{Atrion, Config, Route, RouteReport, Subscription, Tally};
use atrion_license::Severity;
use atrion_state::clock::{Clock as _, MonotonicClock};
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use tokio::sync::{broadcast, oneshot};

use crate::action::{Action, RouteState};
use crate::answer::ApiError;
use crate::audit::Audit;
use crate::confirm::Confirmations;
use crate::error::StudioError;
use crate::event::{Journal, Level, Watcher, now_ms};
use crate::frame::Overview;
use crate::history::Histories;
use crate::license::Gate;
use crate::number::rounded;
use crate::source;
use crate::studio::Settings;

/// Jobs that may wait.
const JOBS: usize = 1024;
/// Lines that a viewer may lag behind.
const LAG: usize = 4;
/// How often the licence is looked at, and the configuration while nobody looks.
const CHECK: Duration = Duration::from_secs(60);
/// A pause of so many intervals gives no rates.
const PAUSE: u32 = 5;
/// A route that adds so many ohms is in trouble.
const TROUBLE_OHMS: f64 = 0.5;
/// Troubled routes that are remembered of a round.
const TROUBLED: usize = 1000;

type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// The way to the desk. It ends when the last one is gone.
#[derive(Clone)]
pub(crate) struct Handle(SyncSender<Job>);

impl Handle {
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Desk) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |desk: &mut Desk| {
            // Whoever asked may have gone.
            let _ = answer.send(job(desk));
        });
        let busy = |message| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message);
        match self.0.try_send(job) {
            Ok(()) => answered.await.map_err(|_| busy("this could not be answered")),
            Err(TrySendError::Full(_)) => Err(busy("too many requests wait")),
            Err(TrySendError::Disconnected(_)) => Err(busy("Studio has ended")),
        }
    }
}

/// A line of the overview and all that follow.
pub(crate) struct Feed {
    pub(crate) first: Bytes,
    pub(crate) seq: u64,
    pub(crate) rest: broadcast::Receiver<Bytes>,
}

/// A route that is in trouble.
pub(crate) struct Troubled {
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    score: f64,
}

/// The viewers of one route.
struct RouteFeed {
    lines: broadcast::Sender<Bytes>,
    seq: u64,
    refused: u64,
}

/// What ends by itself.
pub(crate) struct Undo {
    pub(crate) at: Timestamp,
    pub(crate) route: Route,
    pub(crate) what: UndoWhat,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum UndoWhat {
    /// An override, which the engine ends.
    Force,
    /// Shadowing, which goes back to what it was.
    Shadow(bool),
}

pub(crate) struct Desk {
    pub(crate) atrion: Atrion,
    pub(crate) settings: Settings,
    pub(crate) gate: Arc<Gate>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) clock: MonotonicClock,
    pub(crate) overview: Overview,
    pub(crate) histories: Histories,
    pub(crate) confirmations: Confirmations<Action, RouteState>,
    pub(crate) undo: Vec<Undo>,
    pub(crate) troubled: Vec<Troubled>,
    viewers: Arc<AtomicUsize>,
    tallies: HashMap<u64, Tally>,
    frames: broadcast::Sender<Bytes>,
    snapshot: Option<(u64, Bytes)>,
    feeds: HashMap<u64, RouteFeed>,
    last_round: Option<Timestamp>,
    last_check: Timestamp,
    config: Arc<Config>,
    previous: Option<Arc<Config>>,
    /// Exchanges that worked, and when the last one was noticed.
    exchanged: (u64, Timestamp),
    /// Detached when this goes.
    _events: Option<Subscription>,
    refusals: Option<Subscription>,
}

impl Desk {
    pub(crate) fn start(
        atrion: Atrion,
        settings: Settings,
        gate: Arc<Gate>,
        journal: Arc<Journal>,
        audit: Arc<Audit>,
        viewers: Arc<AtomicUsize>,
    ) -> Result<Handle, StudioError> {
        let (jobs, waiting) = sync_channel(JOBS);
        let events = attach(&atrion, Watcher::of_events(&journal));
        std::thread::Builder::new()
            .name("atrion-studio".into())
            .spawn(move || {
                let clock = MonotonicClock::new();
                let now = clock.now();
                let histories = Histories::new(settings.history_routes, settings.history_samples);
                let desk = Self {
                    config: atrion.config(),
                    previous: None,
                    overview: Overview::default(),
                    histories,
                    confirmations: Confirmations::new(),
                    undo: Vec::new(),
                    troubled: Vec::new(),
                    viewers,
                    tallies: HashMap::new(),
                    frames: broadcast::Sender::new(LAG),
                    snapshot: None,
                    feeds: HashMap::new(),
                    last_round: None,
                    last_check: now,
                    exchanged: (0, now),
                    _events: events,
                    refusals: None,
                    atrion,
                    settings,
                    gate,
                    journal,
                    audit,
                    clock,
                };
                desk.run(&waiting);
            })
            .map_err(StudioError::Thread)?;
        Ok(Handle(jobs))
    }

    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(self.pause()) {
                Ok(job) => self.contain(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.contain(Self::catch_up);
        }
    }

    /// A panic of one job must not end the others'.
    fn contain(&mut self, job: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| job(self))).is_err() {
            tracing::error!("Studio: a request panicked");
        }
    }

    fn is_looked_at(&self) -> bool {
        self.settings.history && self.gate.is_open()
            || self.frames.receiver_count() > 0
            || self.feeds.values().any(|feed| feed.lines.receiver_count() > 0)
    }

    /// For how long there is nothing to do.
    fn pause(&self) -> Duration {
        let now = self.clock.now();
        let until = |then: Timestamp| then.since(now);
        let mut pause = until(self.last_check.saturating_add(CHECK));
        if self.is_looked_at() {
            pause =
                pause.min(self.last_round.map_or(Duration::ZERO, |last| {
                    until(last.saturating_add(self.settings.interval))
                }));
        }
        let undo = self.undo.iter().map(|undo| until(undo.at)).min();
        undo.map_or(pause, |undo| pause.min(undo))
    }

    /// Does what is due.
    fn catch_up(&mut self) {
        let now = self.clock.now();
        if now.since(self.last_check) >= CHECK {
            self.check(now);
        }
        self.end_what_is_over(now);
        let due = self.last_round.is_none_or(|last| now.since(last) >= self.settings.interval);
        if due && self.is_looked_at() {
            self.round(now);
        }
    }

    fn check(&mut self, now: Timestamp) {
        self.last_check = now;
        self.look_at_config();
        for (severity, text) in self.gate.check() {
            let level = match severity {
                Severity::Info => Level::Info,
                Severity::Warning => Level::Warning,
                Severity::Error => Level::Error,
            };
            self.journal.note("license", level, None, text);
        }
    }

    /// Notices that the configuration was replaced.
    pub(crate) fn look_at_config(&mut self) {
        let config = self.atrion.config();
        if !Arc::ptr_eq(&config, &self.config) {
            self.previous = Some(std::mem::replace(&mut self.config, config));
        }
    }

    /// The configuration in force, and the one before.
    pub(crate) fn configs(&self) -> (&Arc<Config>, Option<&Arc<Config>>) {
        (&self.config, self.previous.as_ref())
    }

    /// Milliseconds since the last exchange that worked was noticed.
    pub(crate) fn lag_ms(&self) -> u64 {
        u64::try_from(self.clock.now().since(self.exchanged.1).as_millis()).unwrap_or(u64::MAX)
    }

    /// Goes over all routes once, and writes the line that all viewers get.
    fn round(&mut self, now: Timestamp) {
        let paused = self.settings.interval * PAUSE;
        let elapsed = self.last_round.map(|last| now.since(last)).filter(|time| *time <= paused);
        let secs = elapsed.map_or(0.0, |time| time.as_secs_f64());
        self.last_round = Some(now);
        self.look_at_config();
        let at_ms = now_ms();
        let Self { atrion, overview, histories, tallies, troubled, settings, .. } = self;
        overview.begin(secs);
        troubled.clear();
        atrion.visit_reports(|report| {
            let id = overview.observe(&report.name, &source::reading(&report));
            let score = trouble(&report);
            if score > 0.0 {
                if settings.history {
                    histories.want(id, &report.name, now);
                }
                if troubled.len() < TROUBLED {
                    troubled.push(Troubled { id, name: Arc::clone(&report.name), score });
                }
            }
            if histories.get(id).is_some() {
                histories.push(id, source::sample(&report, at_ms, tallies.get(&id), secs));
                if let Some(tally) = report.tally {
                    tallies.insert(id, tally);
                }
            }
        });
        troubled.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.take_refusals();
        let rest = self.totals_and_health(now);
        let line = self.overview.finish(at_ms, rest);
        // Nobody may be listening.
        let _ = self.frames.send(line);
        self.feed_routes(at_ms);
        self.histories.sweep(now);
        self.tend_histories();
    }

    fn take_refusals(&mut self) {
        for (name, refused) in self.journal.take_refused() {
            let track = self.overview.id(&name).and_then(|id| self.histories.get_mut(id));
            if let Some(track) = track {
                track.refuse(refused);
            }
        }
    }

    /// Watches the refusals of the routes that are kept, and of no others.
    pub(crate) fn tend_histories(&mut self) {
        let histories = &self.histories;
        self.tallies.retain(|id, _| histories.get(*id).is_some());
        self.journal.watch(histories.kept().map(|(_, name)| Arc::clone(name)));
        if histories.is_empty() {
            self.refusals = None;
        } else if self.refusals.is_none() {
            self.refusals = attach(&self.atrion, Watcher::of_refusals(&self.journal));
        }
    }

    fn totals_and_health(&mut self, now: Timestamp) -> String {
        let (stats, pulse) = (self.atrion.stats(), self.atrion.pulse_stats());
        let exchanged = pulse.batches + pulse.heartbeats;
        if exchanged != self.exchanged.0 {
            self.exchanged = (exchanged, now);
        }
        let sums = self.overview.sums();
        let [_, open, held, forced_open, forced_closed] = sums.by_mode;
        let totals = json!({
            "routes": self.overview.len(), "resting": stats.resting, "in_flight": sums.in_flight,
            "admitted_rate": rounded(sums.admitted_rate), "shed_rate": rounded(sums.shed_rate),
            "open": open, "held": held, "forced": forced_open + forced_closed,
            "shadow": sums.shadowed, "evicted": stats.evicted, "overflowed": stats.overflowed,
            "bad_names": stats.bad_names,
        });
        let health = self.atrion.health();
        let health = json!({
            "provider": source::health(health),
            "trouble": self.atrion.trouble(),
            "nodes": self.atrion.nodes().len(),
            "lag_ms": health.map(|_| self.lag_ms()),
            "pending": pulse.pending,
            "license": self.gate.code(),
            "viewers": self.viewers.load(Relaxed),
            "audit_seq": self.audit.newest(),
            "event_seq": self.journal.newest(),
            "observer_dropped": stats.observer.dropped,
        });
        format!("\"totals\":{totals},\"health\":{health}")
    }

    /// A round now, unless the last one is still fresh.
    pub(crate) fn freshen(&mut self) {
        let now = self.clock.now();
        if self.last_round.is_none_or(|last| now.since(last) >= self.settings.interval) {
            self.round(now);
        }
    }

    /// The whole overview in one line.
    pub(crate) fn whole(&mut self) -> Bytes {
        self.freshen();
        let seq = self.overview.seq();
        if let Some((of, snapshot)) = &self.snapshot
            && *of == seq
        {
            return snapshot.clone();
        }
        let snapshot = self.overview.snapshot();
        self.snapshot = Some((seq, snapshot.clone()));
        snapshot
    }

    /// The overview now, and all that follows.
    pub(crate) fn subscribe(&mut self) -> Feed {
        let first = self.whole();
        Feed { first, seq: self.overview.seq(), rest: self.frames.subscribe() }
    }

    /// One route now, and all that follows; `None` if it is gone.
    pub(crate) fn subscribe_route(&mut self, id: u64) -> Option<Feed> {
        let value = self.describe_route(id, true)?;
        let first = line("route", &value);
        let refused = self.histories.get(id).map_or(0, |track| track.refusals(0).1);
        let feed = self.feeds.entry(id).or_insert_with(|| RouteFeed {
            lines: broadcast::Sender::new(LAG),
            seq: 0,
            refused,
        });
        Some(Feed { first, seq: feed.seq, rest: feed.lines.subscribe() })
    }

    fn feed_routes(&mut self, at_ms: u64) {
        let mut feeds = std::mem::take(&mut self.feeds);
        feeds.retain(|id, feed| {
            if feed.lines.receiver_count() == 0 {
                return false;
            }
            let written = self.route_line(*id, feed, at_ms);
            let alive = written.is_some();
            let _ = feed.lines.send(written.unwrap_or_else(|| line("gone", &json!({}))));
            alive
        });
        self.feeds = feeds;
    }

    fn route_line(&mut self, id: u64, feed: &mut RouteFeed, at_ms: u64) -> Option<Bytes> {
        feed.seq += 1;
        let now = self.clock.now();
        let name = Arc::clone(self.overview.name(id)?);
        self.histories.want(id, &name, now);
        if feed.seq.is_multiple_of(10) {
            return Some(line("route", &self.describe_route(id, false)?));
        }
        let report = self.atrion.report(&name)?;
        let track = self.histories.get(id)?;
        let mut sample = String::new();
        let newest = track.samples().last().copied();
        newest.unwrap_or_else(|| source::sample(&report, at_ms, None, 0.0)).put(&mut sample);
        let (new, refused) = track.refusals(feed.refused);
        let mut refusals = String::new();
        for refusal in new {
            if !refusals.is_empty() {
                refusals.push(',');
            }
            refusal.put(&mut refusals);
        }
        feed.refused = refused;
        let rest = json!({
            "mode": source::mode_name(source::mode(&report)),
            "flags": source::flag_names(&report),
            "force": source::force(&report),
            "next_probe_secs": source::next_probe_secs(&report),
        })
        .to_string();
        let rest = rest.strip_prefix('{').unwrap_or("}");
        Some(Bytes::from(format!(
            "{{\"t\":\"sample\",\"seq\":{},\"sample\":{sample},\"refusals\":[{refusals}],{rest}\n",
            feed.seq
        )))
    }
}

/// One line of a stream: an object with its kind.
fn line(kind: &str, value: &serde_json::Value) -> Bytes {
    let members = value.to_string();
    let members = members.strip_prefix('{').unwrap_or("}");
    let comma = if members == "}" { "" } else { "," };
    Bytes::from(format!("{{\"t\":\"{kind}\"{comma}{members}\n"))
}

/// How much attention a route needs; nothing if it is well.
fn trouble(report: &RouteReport) -> f64 {
    let ohms = report.parts.scar + report.parts.cluster_scar + report.parts.reported;
    let closed_off = source::mode(report) != 0;
    let ohms = if ohms >= TROUBLE_OHMS { ohms } else { 0.0 };
    if closed_off { 1e9 + ohms } else { ohms }
}

/// A subscription, if there may be one more.
fn attach(atrion: &Atrion, watcher: Watcher) -> Option<Subscription> {
    atrion
        .observe(watcher)
        .inspect_err(|error| tracing::warn!("Studio shows no events: {error}"))
        .ok()
}
