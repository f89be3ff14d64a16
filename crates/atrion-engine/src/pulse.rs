//! Who drives the exchange with the provider: a task on tokio, the caller, or nobody.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use atrion_state::manual::ManualPulse;
use atrion_state::provider::{ProviderError, StateProvider};
use atrion_state::pulse::{FlushReport, PulseConfig, PulseSource, PulseStats};

#[cfg(feature = "tokio")]
use atrion_state::driver::{PulseHandle, PulseTask};

use crate::instance::Instance;
use crate::sharing::{HubClock, Shared};

enum Driver {
    /// There is no provider, it was disconnected, or another caller is just driving.
    None,
    Caller(Box<ManualPulse<HubClock>>),
    #[cfg(feature = "tokio")]
    Task(Arc<PulseHandle>),
}

/// The pulse of one instance.
pub(crate) struct Pulse {
    driver: Mutex<Driver>,
}

impl Pulse {
    pub(crate) const fn none() -> Self {
        Self { driver: Mutex::new(Driver::None) }
    }

    pub(crate) fn start(
        provider: Arc<dyn StateProvider>,
        instance: Arc<Instance>,
        config: PulseConfig,
        seed: u64,
    ) -> Self {
        let clock = HubClock(Arc::clone(&instance.hub));
        let source: Arc<dyn PulseSource> = Arc::new(Shared::new(instance));
        Self { driver: Mutex::new(driver(provider, source, clock, config, seed)) }
    }

    fn take(&self) -> Driver {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        match &*driver {
            #[cfg(feature = "tokio")]
            Driver::Task(handle) => Driver::Task(Arc::clone(handle)),
            Driver::None | Driver::Caller(_) => mem::replace(&mut *driver, Driver::None),
        }
    }

    fn put_back(&self, taken: Driver) {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = taken;
    }

    pub(crate) async fn flush(&self) -> Result<FlushReport, ProviderError> {
        match self.take() {
            Driver::None => Ok(FlushReport::default()),
            Driver::Caller(pulse) => {
                let mut lent = Lent { owner: self, pulse: Some(pulse) };
                match &mut lent.pulse {
                    Some(pulse) => pulse.flush().await,
                    None => Ok(FlushReport::default()),
                }
            }
            #[cfg(feature = "tokio")]
            Driver::Task(handle) => Ok(handle.flush().await),
        }
    }

    /// A task on tokio listens by itself.
    pub(crate) async fn listen(&self) {
        match self.take() {
            Driver::None => {}
            Driver::Caller(pulse) => {
                let mut lent = Lent { owner: self, pulse: Some(pulse) };
                if let Some(pulse) = &mut lent.pulse {
                    pulse.listen().await;
                }
            }
            #[cfg(feature = "tokio")]
            Driver::Task(_) => {}
        }
    }

    pub(crate) async fn stop(&self) -> FlushReport {
        match self.take() {
            Driver::None => FlushReport::default(),
            Driver::Caller(pulse) => pulse.stop().await,
            #[cfg(feature = "tokio")]
            Driver::Task(handle) => {
                self.put_back(Driver::None);
                handle.stop().await
            }
        }
    }

    pub(crate) fn stats(&self) -> PulseStats {
        match &*self.driver.lock().unwrap_or_else(PoisonError::into_inner) {
            Driver::None => PulseStats::default(),
            Driver::Caller(pulse) => pulse.stats(),
            #[cfg(feature = "tokio")]
            Driver::Task(handle) => handle.stats(),
        }
    }
}

/// A pulse lent to one flush; it goes back even if the flush is dropped half-way.
struct Lent<'a> {
    owner: &'a Pulse,
    pulse: Option<Box<ManualPulse<HubClock>>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(pulse) = self.pulse.take() {
            self.owner.put_back(Driver::Caller(pulse));
        }
    }
}

fn driver(
    provider: Arc<dyn StateProvider>,
    source: Arc<dyn PulseSource>,
    clock: HubClock,
    config: PulseConfig,
    seed: u64,
) -> Driver {
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let task = PulseTask::new(provider, source, clock, config).seed(seed);
        return Driver::Task(Arc::new(task.spawn_on(&runtime)));
    }
    // Without timers nothing is jittered.
    let _ = seed;
    Driver::Caller(Box::new(ManualPulse::new(provider, source, clock, config)))
}
