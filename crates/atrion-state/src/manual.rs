//! The pulse without a runtime: the program says when.
//!
//! ```
//! use std::sync::Arc;
//! use atrion_state::{
//!     blocking::block_on, clock::MonotonicClock, in_memory::InMemoryProvider,
//!     manager::StateManager, manual::ManualPulse, pulse::PulseConfig,
//! };
//!
//! let provider = Arc::new(InMemoryProvider::new());
//! let manager = Arc::new(StateManager::new());
//! let mut pulse = ManualPulse::new(
//!     provider,
//!     manager,
//!     MonotonicClock::new(),
//!     PulseConfig::default(),
//! );
//! // From a loop of the program's own, about every 100 ms:
//! let report = block_on(pulse.flush())?;
//! assert_eq!(report.undelivered, 0);
//! // At the end:
//! block_on(pulse.stop());
//! # Ok::<(), atrion_state::provider::ProviderError>(())
//! ```

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_core::Stream;

use crate::clock::Clock;
use crate::contain::GuardedStream;
use crate::entropy::Draws;
use crate::provider::{ProviderError, RemoteVector, StateProvider};
use crate::pulse::{FlushReport, Pulse, PulseConfig, PulseSource, PulseStats, Request};
use crate::runner::{Call, Runner};

/// A pulse that beats when the program says so.
///
/// Its futures need no runtime of their own beyond what the provider needs, and use no timers:
/// they take as long as the provider does. A program that must not hang on a hanging store puts
/// its own deadline around them and drops them (nothing is lost by that), or uses the driver on
/// tokio, which finds hangs by itself.
pub struct ManualPulse<C> {
    runner: Runner<C>,
    stream: Option<GuardedStream<RemoteVector>>,
}

impl<C: Clock> ManualPulse<C> {
    /// A pulse that has not beaten yet. Nothing is connected before the first
    /// [`flush`](ManualPulse::flush).
    pub fn new(
        provider: Arc<dyn StateProvider>,
        source: Arc<dyn PulseSource>,
        clock: C,
        config: PulseConfig,
    ) -> Self {
        // No wait is ever slept here, so the jitter's seed does not matter.
        let draws = Draws::from_seed(0);
        Self { runner: Runner::new(provider, source, clock, config, draws), stream: None }
    }

    /// One full pulse: connects if need be, visits the source, pushes all that changed, and
    /// passes on what other nodes said since the last one.
    ///
    /// Dropped before its end, it leaves what was not confirmed to the next one.
    ///
    /// # Errors
    /// The first call of the provider that failed. What was not delivered waits for the next
    /// flush.
    pub async fn flush(&mut self) -> Result<FlushReport, ProviderError> {
        // A call that a dropped flush left behind will never end; let it run into its deadline.
        self.abandon_call();
        self.runner.time_out();
        self.runner.pulse.handle_flush(self.runner.clock.now());
        while let Some(call) = self.runner.drain() {
            self.complete(call).await?;
        }
        self.pull().await;
        self.runner.tell();
        Ok(self.runner.pulse.poll_flushed().unwrap_or_default())
    }

    /// Passes on what other nodes said since the last [`flush`](Self::flush), without visiting the
    /// source or calling the provider: between two pulses, news need not wait for the next one.
    /// Does nothing before the first flush.
    pub async fn listen(&mut self) {
        self.pull().await;
        self.runner.tell();
    }

    /// Delivers what waits, if the provider takes it at the first attempt, and disconnects.
    pub async fn stop(mut self) -> FlushReport {
        self.abandon_call();
        self.runner.pulse.handle_shutdown(self.runner.clock.now());
        let delivered = self.stats().delivered;
        while let Some(call) = self.runner.drain() {
            if self.complete(call).await.is_err() && self.runner.pulse.poll_closed().is_none() {
                // There is no timer to wait for another attempt.
                let _ = self.runner.call(Request::Disconnect).await;
                break;
            }
        }
        let stats = self.stats();
        self.runner.pulse.poll_closed().unwrap_or(FlushReport {
            delivered: stats.delivered - delivered,
            undelivered: usize::try_from(stats.pending).unwrap_or(usize::MAX),
        })
    }

    /// The counters.
    pub fn stats(&self) -> PulseStats {
        self.runner.pulse.stats()
    }

    /// The machine.
    pub fn machine(&self) -> &Pulse {
        &self.runner.pulse
    }

    async fn complete(&mut self, call: Call) -> Result<(), ProviderError> {
        let mut result = call.future.await;
        if let Some(stream) = self.runner.finish(call.id, &mut result) {
            self.stream = Some(stream);
        }
        result.map(|_| ())
    }

    fn abandon_call(&mut self) {
        if let Some(id) = self.runner.pulse.in_flight() {
            let abandoned = ProviderError::unavailable("pulse", "its future was dropped");
            self.runner.finish(id, &mut Err(abandoned));
        }
    }

    /// Takes what the subscription has ready, without waiting for more.
    async fn pull(&mut self) {
        // No more in one go than there can be routes, so that a provider that always has more
        // cannot keep us here.
        for _ in 0..self.runner.pulse.config().max_routes() {
            let Some(stream) = &mut self.stream else {
                return;
            };
            let ready = poll_fn(|context| Poll::Ready(Pin::new(&mut *stream).poll_next(context)));
            let Poll::Ready(item) = ready.await else {
                return;
            };
            if item.is_none() {
                self.stream = None;
            }
            self.runner.hear(item);
        }
    }
}

#[cfg(test)]
mod tests;
