//! Previews: some seconds of a route recorded, and replayed under another configuration.
//!
//! One at a time, on a thread of its own, bounded in time and in size.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_engine::{Atrion, Config, OVERFLOW_ROUTE};
use atrion_sim::replay::{Model, ModelSettings, OpenLoop, Setting, open_loop};
use atrion_state::clock::{Clock as _, MonotonicClock};
use atrion_trace::{Tape, Trace, Writer};
use serde_json::{Value, json};

use crate::answer::ApiError;
use crate::number::rounded;

/// Shortest and longest recording, in seconds.
pub(crate) const SECS: (f64, f64) = (1.0, 60.0);
/// Bytes of a recording: some 200,000 requests and more.
const BYTES: u64 = 4 << 20;
/// Observations between two looks at the tape.
const PLACES: usize = 1 << 16;
/// How often the tape is looked at.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Debug)]
enum State {
    Idle,
    Recording { since: Timestamp },
    Recorded,
    Running,
    Done(Value),
    Failed(String),
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Recording { .. } => "recording",
            Self::Recorded => "recorded",
            Self::Running => "running",
            Self::Done(_) => "done",
            Self::Failed(_) => "failed",
        }
    }
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// What was recorded last; a run that fails leaves it.
    trace: Option<Arc<Trace>>,
    /// Counts previews, so that a thread whose preview was discarded leaves the next one alone.
    turn: u64,
    /// A thread is at work, for this preview or a discarded one.
    busy: bool,
    route: Option<(u64, Arc<str>)>,
    secs: f64,
    requests: u64,
    dropped: u64,
}

/// The preview of one Studio.
pub(crate) struct Preview {
    atrion: Atrion,
    clock: MonotonicClock,
    inner: Mutex<Inner>,
    discarded: Condvar,
}

impl Preview {
    pub(crate) fn new(atrion: Atrion) -> Self {
        Self {
            atrion,
            clock: MonotonicClock::new(),
            inner: Mutex::new(Inner {
                state: State::Idle,
                trace: None,
                turn: 0,
                busy: false,
                route: None,
                secs: 0.0,
                requests: 0,
                dropped: 0,
            }),
            discarded: Condvar::new(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `GET api/v1/preview` answers.
    pub(crate) fn describe(&self) -> Value {
        let inner = self.inner();
        let elapsed = match inner.state {
            State::Recording { since } => self.clock.now().secs_since(since),
            _ => inner.secs,
        };
        let (result, error) = match &inner.state {
            State::Done(result) => (result.clone(), Value::Null),
            State::Failed(error) => (Value::Null, error.clone().into()),
            _ => (Value::Null, Value::Null),
        };
        json!({
            "state": inner.state.name(),
            "route": inner.route.as_ref().map(|(id, _)| id),
            "name": inner.route.as_ref().map(|(_, name)| &**name),
            "secs": inner.secs, "elapsed_secs": rounded(elapsed), "requests": inner.requests,
            "dropped": inner.dropped, "result": result, "error": error,
        })
    }

    /// Begins to record a route.
    pub(crate) fn record(
        self: &Arc<Self>,
        id: u64,
        name: &Arc<str>,
        secs: f64,
    ) -> Result<(), ApiError> {
        let (min, max) = SECS;
        if !(secs >= min && secs <= max) {
            return Err(ApiError::out_of_range("secs", secs, "s", min, max));
        }
        let turn = {
            let mut inner = self.inner();
            inner.free()?;
            inner.turn += 1;
            inner.busy = true;
            inner.state = State::Recording { since: self.clock.now() };
            inner.trace = None;
            inner.route = Some((id, Arc::clone(name)));
            (inner.secs, inner.requests, inner.dropped) = (secs, 0, 0);
            inner.turn
        };
        let name = Arc::clone(name);
        self.work(turn, move |preview| {
            let trace = preview.record_now(turn, &name, secs)?;
            let mut inner = preview.inner();
            if inner.turn == turn {
                inner.trace = Some(Arc::new(trace));
            }
            Ok(State::Recorded)
        })
    }

    /// Replays what was recorded under `config`, and under the one in force.
    pub(crate) fn run(self: &Arc<Self>, config: Config) -> Result<(), ApiError> {
        let (turn, trace) = {
            let mut inner = self.inner();
            inner.free()?;
            let Some(trace) = inner.trace.clone() else {
                return Err(ApiError::conflict("nothing_recorded", "record a route first"));
            };
            inner.turn += 1;
            inner.busy = true;
            inner.state = State::Running;
            (inner.turn, trace)
        };
        self.work(turn, move |preview| {
            let current = Config::clone(&preview.atrion.config());
            let id = preview.inner().route.as_ref().map(|(id, _)| *id);
            replay(&trace, id, current, config).map(State::Done)
        })
    }

    /// Ends whatever goes on, and forgets what there is.
    pub(crate) fn discard(&self) {
        let mut inner = self.inner();
        inner.turn += 1;
        inner.state = State::Idle;
        (inner.route, inner.trace) = (None, None);
        (inner.secs, inner.requests, inner.dropped) = (0.0, 0, 0);
        drop(inner);
        self.discarded.notify_all();
    }

    fn work(
        self: &Arc<Self>,
        turn: u64,
        job: impl FnOnce(&Self) -> Result<State, String> + Send + 'static,
    ) -> Result<(), ApiError> {
        let preview = Arc::clone(self);
        let thread = std::thread::Builder::new().name("atrion-studio-preview".into());
        let spawned = thread.spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| job(&preview)));
            let state = match result {
                Ok(Ok(state)) => state,
                Ok(Err(error)) => State::Failed(error),
                Err(_) => {
                    State::Failed("the replay panicked, which is a mistake of Atrion's".into())
                }
            };
            let mut inner = preview.inner();
            inner.busy = false;
            if inner.turn == turn {
                inner.state = state;
            }
        });
        spawned.map(drop).map_err(|error| {
            let mut inner = self.inner();
            inner.busy = false;
            inner.state = State::Failed(format!("no thread can be started: {error}"));
            ApiError::new(http::StatusCode::SERVICE_UNAVAILABLE, "busy", "no thread can be started")
        })
    }

    fn record_now(&self, turn: u64, name: &str, secs: f64) -> Result<Trace, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let route = if name == OVERFLOW_ROUTE {
            self.atrion.overflow_route().clone()
        } else {
            self.atrion.route(name)
        };
        let tape = Arc::new(Tape::new(PLACES).map_err(|e| text(&e))?);
        let mut writer = Writer::new(Vec::new(), BYTES).map_err(|e| text(&e))?;
        let recording = self.atrion.record(&tape, &[route]).map_err(|e| text(&e))?;
        let end = self.clock.now().add_secs(secs);
        loop {
            writer.drain(&tape).map_err(|e| text(&e))?;
            let mut inner = self.inner();
            inner.requests = writer.totals().arrivals;
            inner.dropped = tape.dropped();
            let left = end.since(self.clock.now());
            if inner.turn != turn || left.is_zero() || writer.written() >= BYTES {
                break;
            }
            let waited = self.discarded.wait_timeout(inner, left.min(LOOK));
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
        drop(recording);
        writer.drain(&tape).map_err(|e| text(&e))?;
        let (bytes, totals) = writer.finish().map_err(|e| text(&e))?;
        {
            let mut inner = self.inner();
            if inner.turn == turn {
                inner.requests = totals.arrivals;
            }
        }
        Trace::read(&bytes[..]).map_err(|e| text(&e))
    }
}

impl Inner {
    /// Whether another preview may begin.
    fn free(&self) -> Result<(), ApiError> {
        if self.busy {
            return Err(ApiError::conflict("busy", "a preview goes on; wait for it or discard it"));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preview").field("state", &self.inner().state.name()).finish_non_exhaustive()
    }
}

fn replay(
    trace: &Trace,
    id: Option<u64>,
    current: Config,
    changed: Config,
) -> Result<Value, String> {
    if trace.requests().is_empty() {
        return Err("no request arrived while it was recorded".to_owned());
    }
    let current = Setting { name: "current".to_owned(), config: current };
    let changed = Setting { name: "changed".to_owned(), config: changed };
    let once = |setting: &Setting| -> Result<OpenLoop, String> {
        let replayed = open_loop(trace, &[0], setting).map_err(|e| e.to_string())?;
        replayed.into_iter().next().ok_or_else(|| "nothing was recorded".to_owned())
    };
    let (before, after) = (once(&current)?, once(&changed)?);
    let tiers: Vec<Value> = after
        .recorded
        .iter()
        .zip(&after.replayed)
        .enumerate()
        .map(|(place, (recorded, replayed))| {
            json!({
                "volt": recorded.volts, "asked": recorded.asked, "refused_before": recorded.refused,
                "refused_current": before.replayed.get(place).map(|tier| tier.refused),
                "refused_after": replayed.refused,
            })
        })
        .collect();
    let bins: Vec<Value> = after
        .bins
        .iter()
        .map(|bin| {
            json!({
                "at_secs": rounded(bin.from_secs), "admitted": bin.asked - bin.refused, "refused": bin.refused,
                "refused_before": bin.recorded_refused, "resistance_ohm": rounded(bin.ohms), "open": bin.open,
            })
        })
        .collect();
    Ok(json!({
        "route": id, "secs": rounded(after.secs), "agreement": rounded(after.agreement_percent() / 100.0),
        "agreement_current": rounded(before.agreement_percent() / 100.0),
        "newly_refused": after.newly_refused, "newly_admitted": after.newly_admitted,
        "first_difference_secs": after.first_difference_secs, "tiers": tiers,
        "modes_before": after.recorded_modes, "modes_after": after.modes,
        "bin_secs": rounded(after.bin_secs), "bins": bins,
        "model": model(trace, &changed),
    }))
}

/// The same callers before a fitted service; null where none can be fitted.
fn model(trace: &Trace, changed: &Setting) -> Value {
    let Ok(model) = Model::fit(trace, 0, &ModelSettings::default()) else { return Value::Null };
    let Ok(after) = model.run(changed) else { return Value::Null };
    let (before, after) = (&model.as_recorded.figures, &after.figures);
    let ms = |secs: Option<f64>| secs.map(|secs| rounded(1e3 * secs));
    json!({
        "fit_error": rounded(model.fit.error),
        "good_rate_before": rounded(before.good_per_sec), "good_rate_after": rounded(after.good_per_sec),
        "p50_ms_before": ms(before.p50_secs), "p50_ms_after": ms(after.p50_secs),
        "p99_ms_before": ms(before.p99_secs), "p99_ms_after": ms(after.p99_secs),
    })
}
