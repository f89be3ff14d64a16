//! The provider that users see.

use std::sync::{Arc, Mutex, PoisonError};

use atrion_core::merge::Report;
use atrion_core::time::Timestamp;
use atrion_core::units::UnitInterval;
use atrion_core::vector::PhysicsVector;
use atrion_state::license::{License, LicenseRefused};
use atrion_state::peers::{Node, NodeId, Notice, Peers, RouteId};
use atrion_state::provider::{
    BoxFuture, BoxStream, Health, ProviderError, RemoteVector, RouteVector, StateProvider, Vitals,
    check_route,
};
use atrion_state::pulse::PulseConfig;

use crate::builder::Builder;
use crate::driver::drive;
use crate::feed::Feed;
use crate::gate::Gate;
use crate::machine::{ClusterCore, Stats};
use crate::shared::Shared;
use crate::task::Task;
use crate::transport::Transport;

/// Shares the state of routes with the other nodes of a cluster over Redis.
///
/// It keeps working in memory whatever Redis does: every call of the port returns at once, and a
/// task of its own sends, receives and reconnects. The link's state is told by
/// [`health`](StateProvider::health); requests never notice it.
///
/// ```no_run
/// use atrion_cluster::RedisClusterProvider;
///
/// let provider = RedisClusterProvider::builder()
///     .url(std::env::var("REDIS_URL").unwrap_or_default())
///     .gamma(0.3)
///     .build()?;
/// // Atrion::builder().provider(provider).license(std::env::var("ATRION_LICENSE_KEY")).build()?
/// # Ok::<(), atrion_cluster::ClusterConfigError>(())
/// ```
///
/// # Licence
/// Sharing needs a licence (see `docs/licensing.md`). Without one the provider is a store in memory
/// that says so, as it is while Redis is away.
///
/// # Threads
/// Connected inside a tokio runtime, the link is driven there; elsewhere by a thread of its own.
pub struct RedisClusterProvider {
    shared: Arc<Shared>,
    transport: Option<Arc<dyn Transport>>,
    gate: Arc<Gate>,
    pulse: PulseConfig,
    task: Mutex<Option<Task>>,
}

impl RedisClusterProvider {
    /// Starts building; only the URL has no default.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(
        shared: Shared,
        transport: Option<Arc<dyn Transport>>,
        pulse: PulseConfig,
    ) -> Self {
        Self {
            shared: Arc::new(shared),
            transport,
            gate: Arc::new(Gate::new()),
            pulse,
            task: Mutex::new(None),
        }
    }

    /// Counters since the provider was made.
    pub fn stats(&self) -> Stats {
        self.shared.read(ClusterCore::stats)
    }

    /// How the licence stands, as a stable word for metrics and as a sentence; `None` before one
    /// was looked for, which happens when the instance is built or the provider connected.
    pub fn license_status(&self) -> Option<(&'static str, String)> {
        self.gate.status()
    }

    /// Lets a simulation feed the machine, in place of the task that drives the link.
    #[cfg(feature = "simulation")]
    pub fn with_core<T>(&self, f: impl FnOnce(&mut ClusterCore, Timestamp) -> T) -> T {
        self.shared.change(f)
    }

    fn task(&self) -> std::sync::MutexGuard<'_, Option<Task>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_connected(&self) -> bool {
        self.shared.read(ClusterCore::health) != Health::Disconnected
    }

    fn connected(&self) -> Result<(), ProviderError> {
        if self.is_connected() { Ok(()) } else { Err(ProviderError::NotConnected) }
    }

    fn start(&self) -> Result<(), ProviderError> {
        // Held throughout: of many who connect at once, one does.
        let mut task = self.task();
        if self.is_connected() {
            return Ok(());
        }
        let Some(transport) = &self.transport else {
            self.shared.change(ClusterCore::handle_connect);
            return Ok(());
        };
        if !self.gate.is_set() {
            // A licence that is not good makes the link rest; it does not fail the connection.
            let _ = self.gate.take(&License::default(), &self.shared);
        }
        let started = self.drive(transport, ClusterCore::handle_connect);
        if started.is_err() {
            self.shared.change(ClusterCore::handle_disconnect);
        }
        *task = Some(started?);
        Ok(())
    }

    /// Starts a driver, which takes over from the one that may be there.
    fn drive(
        &self,
        transport: &Arc<dyn Transport>,
        change: impl FnOnce(&mut ClusterCore, Timestamp),
    ) -> Result<Task, ProviderError> {
        let number = self.shared.hand_over(change);
        let (shared, gate) = (Arc::clone(&self.shared), Arc::clone(&self.gate));
        Task::start(drive(shared, Arc::clone(transport), gate, number))
            .map_err(|e| ProviderError::unavailable("connect", e))
    }

    /// Drives the link on if the runtime that did so has ended.
    fn revive(&self) {
        let Some(transport) = self.transport.as_ref().filter(|_| self.shared.is_driven_by(0))
        else {
            return;
        };
        let mut task = self.task();
        if self.is_connected()
            && self.shared.is_driven_by(0)
            && let Ok(driver) = self.drive(transport, |_, _| ())
        {
            *task = Some(driver);
        }
    }

    fn stop(&self) -> Option<Task> {
        let mut task = self.task();
        self.shared.change(ClusterCore::handle_disconnect);
        self.shared.feed.end();
        task.take()
    }

    fn update(&self, batch: &[RouteVector]) -> Result<(), ProviderError> {
        self.connected()?;
        self.revive();
        for change in batch {
            check_route(&change.route)?;
        }
        if !batch.is_empty() {
            self.shared.change(|core, now| {
                for change in batch {
                    core.handle_update(&change.route, change.vector, now);
                }
            });
        }
        Ok(())
    }
}

impl StateProvider for RedisClusterProvider {
    /// Never fails for want of a store: it begins to connect, and goes on until it succeeds.
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async { self.start() })
    }

    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async {
            if let Some(task) = self.stop() {
                // The machine bounds how long a farewell may take.
                task.ended().await;
            }
            Ok(())
        })
    }

    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        Box::pin(async move {
            self.connected()?;
            check_route(route)?;
            Ok(self.shared.write(|core| core.own(route)))
        })
    }

    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move { self.update(&[RouteVector::new(route, vector)]) })
    }

    fn update_vectors<'a>(
        &'a self,
        batch: &'a [RouteVector],
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move { self.update(batch) })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        Box::pin(async {
            self.connected()?;
            Ok(self.shared.read(ClusterCore::snapshot))
        })
    }

    fn subscribe(&self) -> Option<BoxStream<RemoteVector>> {
        let now = self.shared.now();
        // Under the machine's lock: what changes from here on reaches the subscription, what changed
        // before is known.
        Some(Box::pin(self.shared.read(|core| match core.health() {
            Health::Disconnected => Feed::ended(),
            _ => self.shared.feed.subscribe(&core.known(now), core.config().limits.max_registers),
        })))
    }

    fn health(&self) -> Health {
        self.shared.read(ClusterCore::health)
    }

    fn trouble(&self) -> Option<String> {
        self.shared.trouble()
    }

    fn peers(&self) -> Option<Arc<dyn Peers>> {
        Some(Arc::clone(&self.shared) as Arc<dyn Peers>)
    }

    fn pulse(&self) -> PulseConfig {
        self.pulse
    }

    fn license(&self, license: &License) -> Result<(), LicenseRefused> {
        if self.transport.is_none() {
            // A simulation grants for itself.
            return Ok(());
        }
        self.gate.take(license, &self.shared)
    }

    fn vitals(&self) -> Vitals {
        let refused = self.shared.read(|core| {
            let stats = core.stats();
            let garbage = stats.refused.values().sum::<u64>();
            garbage.saturating_add(stats.foreign_fields).saturating_add(stats.foreign_nodes)
        });
        Vitals::new(self.gate.view(), refused)
    }
}

impl Peers for Shared {
    fn gamma(&self) -> UnitInterval {
        Self::gamma(self)
    }

    fn route_id(&self, route: &str) -> RouteId {
        Self::route_id(self, route)
    }

    fn troubled(&self, now: Timestamp) -> Vec<RouteId> {
        self.read(|core| core.troubled(now))
    }

    fn reports(&self, route: RouteId, now: Timestamp, reports: &mut Vec<Report>) {
        self.read(|core| core.reports(route, now, reports));
    }

    fn voices(&self, route: RouteId, now: Timestamp) -> Vec<(NodeId, Report)> {
        self.read(|core| core.voices(route, now))
    }

    fn nodes(&self, now: Timestamp) -> Vec<Node> {
        self.read(|core| core.nodes(now))
    }

    fn poll_notice(&self) -> Option<Notice> {
        self.next_notice()
    }
}

impl Drop for RedisClusterProvider {
    /// The link ends without a farewell, and without a word about it.
    fn drop(&mut self) {
        self.shared.hand_over(|_, _| ());
    }
}

impl std::fmt::Debug for RedisClusterProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisClusterProvider")
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
