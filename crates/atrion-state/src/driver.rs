//! The pulse as a task on tokio (feature `tokio`).
//!
//! The task carries out what the machine decides: one `select!` over the timer, the call of the
//! provider that is under way, the subscription, and the handle's wishes. Hangs end by deadline;
//! errors and panics of the provider and of the source are counted and never spread.
//!
//! ```
//! use std::sync::Arc;
//! use atrion_state::{
//!     clock::MonotonicClock, driver::PulseTask, in_memory::InMemoryProvider,
//!     manager::StateManager, pulse::PulseConfig,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let manager = Arc::new(StateManager::new());
//! let pulse = PulseTask::new(
//!     Arc::new(InMemoryProvider::new()),
//!     Arc::clone(&manager) as _,
//!     MonotonicClock::new(),
//!     PulseConfig::default(),
//! )
//! .spawn()?;
//! // ... the program runs ...
//! let report = pulse.stop().await;
//! assert_eq!(report.undelivered, 0);
//! # Ok(())
//! # }
//! ```

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use atrion_core::time::Timestamp;
use futures_core::Stream;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::contain::GuardedStream;
use crate::entropy::Draws;
use crate::provider::{ProviderError, RemoteVector, StateProvider};
use crate::pulse::{FlushReport, PulseConfig, PulseSource, PulseStats};
use crate::runner::{Call, Reply, Runner};

/// Flushes that may wait for the task at once; further callers wait for their turn.
const MAX_WISHES: usize = 16;

/// The pulse was to be started outside of a tokio runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the pulse needs a tokio runtime: spawn it from one, or use ManualPulse")]
pub struct NoRuntime;

/// A pulse about to be started.
#[must_use = "nothing happens until it is spawned"]
pub struct PulseTask<C> {
    provider: Arc<dyn StateProvider>,
    source: Arc<dyn PulseSource>,
    clock: C,
    config: PulseConfig,
    draws: Draws,
}

impl<C: Clock> PulseTask<C> {
    /// Puts together what the pulse needs. The jitter is unpredictable unless
    /// [`seed`](PulseTask::seed)ed.
    pub fn new(
        provider: Arc<dyn StateProvider>,
        source: Arc<dyn PulseSource>,
        clock: C,
        config: PulseConfig,
    ) -> Self {
        Self { provider, source, clock, config, draws: Draws::unpredictable() }
    }

    /// Makes the jitter repeatable.
    pub fn seed(mut self, seed: u64) -> Self {
        self.draws = Draws::from_seed(seed);
        self
    }

    /// Starts the task on the current runtime, whose time driver must be enabled.
    ///
    /// # Errors
    /// [`NoRuntime`] outside of a runtime.
    pub fn spawn(self) -> Result<PulseHandle, NoRuntime> {
        let runtime = Handle::try_current().map_err(|_| NoRuntime)?;
        Ok(self.spawn_on(&runtime))
    }

    /// Starts the task on `runtime`, whose time driver must be enabled.
    pub fn spawn_on(self, runtime: &Handle) -> PulseHandle {
        let runner = Runner::new(self.provider, self.source, self.clock, self.config, self.draws);
        let (wishes, inbox) = mpsc::channel(MAX_WISHES);
        let (status_sender, status) = watch::channel(Status::default());
        let body = Body {
            runner,
            inbox: Some(inbox),
            status: status_sender,
            call: None,
            stream: None,
            flushes: Vec::new(),
        };
        runtime.spawn(body.run());
        PulseHandle { wishes, status }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Status {
    stats: PulseStats,
    healthy: bool,
    closed: Option<FlushReport>,
}

/// The running pulse. Dropping it lets the pulse deliver what waits and end by itself, as long
/// as the runtime lives; to know that it did, [`stop`](PulseHandle::stop) it.
#[derive(Debug)]
#[must_use = "dropping the handle stops the pulse"]
pub struct PulseHandle {
    wishes: mpsc::Sender<Wish>,
    status: watch::Receiver<Status>,
}

impl PulseHandle {
    /// Visits the source once more, delivers what waits, disconnects and ends the task. Takes no
    /// longer than the flush timeout and one operation timeout together. Calling it again gives
    /// the same report.
    ///
    /// Dropped before its end, it has stopped the pulse all the same. If the runtime shuts down
    /// before, the report says what was undelivered last.
    pub async fn stop(&self) -> FlushReport {
        // Errors mean that the task has ended, by itself or with its runtime.
        let _ = self.wishes.send(Wish::Stop).await;
        let mut status = self.status.clone();
        let _ = status.wait_for(|status| status.closed.is_some()).await;
        last_report(&status)
    }

    /// Collects and pushes now, without waiting for the next pulse or the end of a backoff.
    /// Returns when all that had changed was accepted, or when a call has failed (what was not
    /// delivered waits for the next attempt).
    pub async fn flush(&self) -> FlushReport {
        let (reply, report) = oneshot::channel();
        if self.wishes.send(Wish::Flush(reply)).await.is_err() {
            return last_report(&self.status);
        }
        report.await.unwrap_or_else(|_| last_report(&self.status))
    }

    /// The counters as of the last beat.
    pub fn stats(&self) -> PulseStats {
        self.status.borrow().stats
    }

    /// Whether the provider is connected, answers, and reports no trouble.
    pub fn is_healthy(&self) -> bool {
        self.status.borrow().healthy
    }
}

/// The final report, or what is known if the task has gone with its runtime.
fn last_report(status: &watch::Receiver<Status>) -> FlushReport {
    let status = status.borrow();
    status.closed.unwrap_or(FlushReport {
        delivered: 0,
        undelivered: usize::try_from(status.stats.pending).unwrap_or(usize::MAX),
    })
}

struct Body<C> {
    runner: Runner<C>,
    /// `None` once the handle is gone.
    inbox: Option<mpsc::Receiver<Wish>>,
    status: watch::Sender<Status>,
    call: Option<Call>,
    stream: Option<GuardedStream<RemoteVector>>,
    flushes: Vec<oneshot::Sender<FlushReport>>,
}

enum Wish {
    Flush(oneshot::Sender<FlushReport>),
    Stop,
}

enum Input {
    Timer,
    /// `None` once the handle is gone.
    Wish(Option<Wish>),
    Completed(Result<Reply, ProviderError>),
    Heard(Option<RemoteVector>),
}

impl<C: Clock> Body<C> {
    async fn run(mut self) {
        while let Some(wait) = self.drain() {
            // In this order, so that a run can be replayed: an answer that is there beats its
            // deadline, and nobody who always has more (flushes, a subscription) beats the timer.
            let input = tokio::select! {
                biased;
                result = next_result(&mut self.call) => Input::Completed(result),
                () = sleep(wait) => Input::Timer,
                wish = next_wish(&mut self.inbox) => Input::Wish(wish),
                item = next_item(&mut self.stream) => Input::Heard(item),
            };
            self.take(input);
            // A subscription that always has more must not keep the runtime to itself.
            tokio::task::consume_budget().await;
        }
    }

    /// Carries out what the machine wants; returns how long to wait, `None` at the end.
    fn drain(&mut self) -> Option<Duration> {
        if let Some(call) = self.runner.drain() {
            self.call = Some(call);
        }
        // A call that the machine has given up is dropped here.
        let in_flight = self.runner.pulse.in_flight();
        self.call.take_if(|call| Some(call.id) != in_flight);
        self.publish();
        if let Some(report) = self.runner.pulse.poll_flushed() {
            for waiting in self.flushes.drain(..) {
                // Whoever asked may have stopped waiting.
                let _ = waiting.send(report);
            }
        }
        let until = self.runner.pulse.poll_timeout()?;
        Some(until.since(self.runner.clock.now()))
    }

    fn take(&mut self, input: Input) {
        let now = self.runner.clock.now();
        match input {
            Input::Timer => self.runner.time_out(),
            Input::Wish(Some(Wish::Flush(reply))) => {
                self.flushes.push(reply);
                self.runner.pulse.handle_flush(now);
            }
            Input::Wish(Some(Wish::Stop)) => self.runner.pulse.handle_shutdown(now),
            Input::Wish(None) => {
                self.inbox = None;
                self.runner.pulse.handle_shutdown(now);
            }
            Input::Completed(mut result) => {
                if let Some(call) = self.call.take()
                    && let Some(stream) = self.runner.finish(call.id, &mut result)
                {
                    self.stream = Some(stream);
                }
            }
            Input::Heard(item) => {
                if item.is_none() {
                    self.stream = None;
                }
                self.runner.hear(item);
            }
        }
    }

    fn publish(&self) {
        let status = Status {
            stats: self.runner.pulse.stats(),
            healthy: self.runner.pulse.is_healthy(),
            closed: self.runner.pulse.poll_closed(),
        };
        self.status.send_if_modified(|shown| {
            let changed = *shown != status;
            *shown = status;
            changed
        });
    }
}

async fn next_wish(inbox: &mut Option<mpsc::Receiver<Wish>>) -> Option<Wish> {
    match inbox {
        Some(inbox) => inbox.recv().await,
        None => pending().await,
    }
}

async fn next_result(call: &mut Option<Call>) -> Result<Reply, ProviderError> {
    match call {
        Some(call) => (&mut call.future).await,
        None => pending().await,
    }
}

async fn next_item(stream: &mut Option<GuardedStream<RemoteVector>>) -> Option<RemoteVector> {
    match stream {
        Some(stream) => poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await,
        None => pending().await,
    }
}

/// Tokio's own clock, which tests can pause and advance (`tokio::time::pause`).
///
/// Its origin is the moment it was made; clones share it.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: Instant,
}

impl TokioClock {
    /// A clock that reads zero now. Inside a runtime whose time is paused, it stands still too.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO.saturating_add(Instant::now().saturating_duration_since(self.origin))
    }
}

#[cfg(test)]
mod tests;
