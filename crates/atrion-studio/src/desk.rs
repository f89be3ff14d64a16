//! The desk: one thread that does all the work, and only while somebody looks.
//!
//! Requests hand it jobs and wait for the answers; at each interval it goes over all routes once and
//! writes one line, which every viewer gets as it is. So whatever is asked, and by however many, at
//! most one thread of the process is busy with it, and no request of the application's waits.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_engine::{Atrion, Config, Route, Subscription, Tally};
use atrion_license::Severity;
use atrion_state::clock::{Clock as _, MonotonicClock};
use bytes::Bytes;
use http::StatusCode;
use tokio::sync::{broadcast, oneshot};

use crate::action::{Action, RouteState};
use crate::answer::ApiError;
use crate::audit::Audit;
use crate::confirm::Confirmations;
use crate::error::StudioError;
use crate::event::{Journal, Level, Watcher};
use crate::frame::Overview;
use crate::history::Histories;
use crate::license::Gate;
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

mod feed;
mod round;

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
}

/// A subscription, if there may be one more.
fn attach(atrion: &Atrion, watcher: Watcher) -> Option<Subscription> {
    atrion
        .observe(watcher)
        .inspect_err(|error| tracing::warn!("Studio shows no events: {error}"))
        .ok()
}
