//! The provider that users see.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atrion_commercial::secret::Secret;
use atrion_core::time::Timestamp;
use atrion_core::vector::PhysicsVector;
use atrion_state::clock::Clock;
use atrion_state::license::{License, LicenseRefused};
use atrion_state::provider::{
    BoxFuture, Health, ProviderError, RouteVector, StateProvider, check_route,
};
use atrion_state::pulse::PulseConfig;

use crate::builder::Builder;
use crate::error::StoreError;
use crate::gate::Gate;
use crate::link::{Link, News, Phase};
use crate::memory::Memory;
use crate::recall::recall;
use crate::runtime::Drive;
use crate::session::by;
use crate::stats::{Counters, Stats, add};
use crate::store::{Identity, Opened, Store};

/// Remembers the state of routes in PostgreSQL, so that a restarted process knows which
/// dependencies were in trouble.
///
/// [`update_vectors`](StateProvider::update_vectors) succeeds when the batch is committed. While
/// PostgreSQL is away it fails, and whoever drives the provider (the pulse, or a
/// [`Composed`](atrion_state::composed::Composed)) keeps the latest of each route and tries again;
/// requests never notice. `docs/postgres.md` has the details.
///
/// ```no_run
/// use atrion_postgres::PostgresPersistenceAdapter;
///
/// let provider = PostgresPersistenceAdapter::builder()
///     .url(std::env::var("DATABASE_URL").unwrap_or_default())
///     .application("shop")
///     .build()?;
/// // Atrion::builder().provider(provider).license(std::env::var("ATRION_LICENSE_KEY")).build()?
/// # Ok::<(), atrion_postgres::PostgresConfigError>(())
/// ```
///
/// # Licence
/// Storing needs a licence (see `docs/licensing.md`). Without one the provider is a store in memory
/// that says so.
///
/// # Threads
/// Inside a tokio runtime connections are driven there; elsewhere by a thread of its own.
pub struct PostgresPersistenceAdapter {
    shared: Arc<Shared>,
}

/// What the builder passes on.
pub(crate) struct Settings {
    /// What nothing that the server or the client says may show.
    pub(crate) password: Secret,
    pub(crate) healing_per_sec: f64,
    pub(crate) pulse: PulseConfig,
}

struct Shared {
    store: Store,
    settings: Settings,
    clock: Arc<dyn Clock>,
    gate: Gate,
    drive: Drive,
    link: Mutex<Link>,
    memory: Mutex<Memory>,
    identity: Mutex<Option<Identity>>,
    /// This process's incarnation once the store has given one, else 0.
    incarnation: AtomicI64,
    /// One opens at a time.
    opening: tokio::sync::Mutex<()>,
    counters: Counters,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every step leaves a whole value behind, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PostgresPersistenceAdapter {
    /// Starts building; only the URL has no default.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(store: Store, settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let memory = Memory::new(store.config.max_routes);
        Self {
            shared: Arc::new(Shared {
                settings,
                gate: Gate::new(),
                drive: Drive::default(),
                link: Mutex::new(Link::new(clock.now())),
                memory: Mutex::new(memory),
                identity: Mutex::new(None),
                incarnation: AtomicI64::new(0),
                opening: tokio::sync::Mutex::new(()),
                counters: Counters::default(),
                clock,
                store,
            }),
        }
    }

    /// Counters since the provider was made.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read(lock(&self.shared.memory).len())
    }

    /// How the licence stands, as a stable word for metrics and as a sentence; `None` before one
    /// was looked for, which happens when the instance is built or the provider connected.
    pub fn license_status(&self) -> Option<(&'static str, String)> {
        self.shared.gate.status()
    }
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the provider may do at the moment; `NotConnected` if it has to be connected first.
    fn phase(&self) -> Result<Phase, ProviderError> {
        let mut link = lock(&self.link);
        if link.take_license_check(self.now()) {
            self.gate.check();
        }
        match (link.phase(), self.gate.permits()) {
            (Phase::Open, false) => link.rest(self.gate.obstacle()),
            // Licensed now: whoever drives the provider connects again.
            (Phase::Resting, true) => return Err(ProviderError::NotConnected),
            _ => {}
        }
        match link.phase() {
            Phase::Off | Phase::Wanted => Err(ProviderError::NotConnected),
            phase => Ok(phase),
        }
    }

    async fn connect(self: &Arc<Self>) -> Result<(), ProviderError> {
        self.gate.settle();
        {
            let mut link = lock(&self.link);
            if link.phase() == Phase::Open {
                return Ok(());
            }
            link.want();
            if !self.gate.permits() {
                link.rest(self.gate.obstacle());
                return Ok(());
            }
        }
        let shared = Arc::clone(self);
        let opened = self.drive.run(async move { shared.open().await }).await;
        opened.map_err(|error| error.on("connect"))
    }

    async fn open(&self) -> Result<(), StoreError> {
        let _one = self.opening.lock().await;
        let (epoch, phase) = {
            let link = lock(&self.link);
            (link.epoch(), link.phase())
        };
        if phase != Phase::Wanted {
            return Ok(());
        }
        let opened = self.store.open(self.known_incarnation()).await;
        let opened = self.note(epoch, opened)?;
        self.settle(epoch, opened);
        Ok(())
    }

    fn known_incarnation(&self) -> Option<i64> {
        Some(self.incarnation.load(Relaxed)).filter(|known| *known > 0)
    }

    fn take_identity(&self, identity: Identity) {
        self.incarnation.store(identity.incarnation, Relaxed);
        *lock(&self.identity) = Some(identity);
    }

    /// Takes in what was read.
    fn settle(&self, epoch: u64, opened: Opened) {
        let now = self.now();
        let own = opened.own.len() as u64;
        let recalled =
            recall(opened.own, opened.others, self.settings.healing_per_sec, opened.read_at);
        let mut link = lock(&self.link);
        if !link.opened(epoch, now) {
            return;
        }
        // Under the link's lock: a disconnection forgets what was recalled, or comes before.
        lock(&self.memory).recall(recalled.vectors);
        match opened.identity {
            Some(identity) => self.take_identity(identity),
            None => *lock(&self.identity) = None,
        }
        drop(link);
        let counters = &self.counters;
        add(&counters.opens, 1);
        add(&counters.restored_own, own);
        add(&counters.restored_others, recalled.from_others);
        add(&counters.refused_rows, opened.refused);
        add(&counters.left_out, opened.left_out);
        if opened.refused > 0 {
            tracing::warn!(
                rows = opened.refused,
                "rows that no program of ours has written were left alone"
            );
        }
        if let Some(obstacle) = opened.obstacle {
            // It was read, and cannot be written: a failure like any other.
            let _ = self.note(epoch, Err::<(), _>(obstacle));
        }
    }

    /// Takes note of how an exchange ended.
    fn note<T>(&self, epoch: u64, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let now = self.now();
        let news = match &result {
            Ok(_) => lock(&self.link).succeeded(epoch, now),
            Err(error) => {
                add(&self.counters.failures, 1);
                if matches!(error, StoreError::TimedOut { .. }) {
                    add(&self.counters.timeouts, 1);
                }
                let reopen = matches!(error, StoreError::Changed { .. });
                let reason = self.settings.password.scrub(&error.to_string());
                lock(&self.link).failed(epoch, reason, reopen, now)
            }
        };
        match news {
            Some(News::Up(recovered)) => tracing::info!(
                after_ms = recovered.failed_for.as_millis(),
                failures = recovered.failures,
                "PostgreSQL serves again"
            ),
            Some(News::Down(failing, reason)) => tracing::warn!(
                %reason,
                failures = failing.failures,
                suppressed = failing.suppressed,
                "PostgreSQL does not serve; this node goes on from memory"
            ),
            None => {}
        }
        result
    }

    async fn update(self: &Arc<Self>, batch: &[RouteVector]) -> Result<(), ProviderError> {
        let phase = self.phase()?;
        batch.iter().try_for_each(|change| check_route(&change.route))?;
        let taken = lock(&self.memory).take(batch);
        add(&self.counters.older, taken.older);
        add(&self.counters.evictions, taken.evicted);
        if phase == Phase::Resting {
            return Ok(());
        }
        let shared = Arc::clone(self);
        let epoch = lock(&self.link).epoch();
        let work = async move {
            let timeout = shared.store.config.operation_timeout;
            let result = by(timeout, shared.save(&taken.sayings, &taken.forgotten)).await;
            if result.is_err() {
                lock(&shared.memory).not_forgotten(taken.forgotten);
            }
            shared.note(epoch, result)
        };
        let saved = self.drive.run(work).await;
        self.prune();
        saved.map_err(|error| match error {
            // Whoever drives the provider connects again, and then sends everything anew.
            StoreError::Changed { .. } => ProviderError::NotConnected,
            error => error.on("update_vectors"),
        })
    }

    async fn save(
        &self,
        sayings: &[crate::memory::Saying],
        forgotten: &[Arc<str>],
    ) -> Result<(), StoreError> {
        let known = *lock(&self.identity);
        let identity = if let Some(identity) = known {
            identity
        } else {
            let identity = self.store.register_late(self.known_incarnation()).await?;
            self.take_identity(identity);
            identity
        };
        if sayings.is_empty() && forgotten.is_empty() {
            let incarnation = self.store.ping(identity).await?;
            if incarnation > identity.incarnation {
                self.told_of_conflict();
            }
            return Ok(());
        }
        let written = self.store.write(identity, sayings, forgotten).await?;
        add(&self.counters.batches, 1);
        add(&self.counters.saved, sayings.len() as u64);
        add(&self.counters.overtaken, written.overtaken);
        Ok(())
    }

    fn told_of_conflict(&self) {
        if self.counters.conflicts.fetch_add(1, Relaxed) == 0 {
            tracing::warn!(
                node = %self.store.config.node,
                "a later process goes by this node's name; its rows stand before this one's"
            );
        }
    }

    /// Starts to look for old rows if it is time, and does not wait for it.
    fn prune(self: &Arc<Self>) {
        if !lock(&self.link).take_prune(self.now()) {
            return;
        }
        let shared = Arc::clone(self);
        self.drive.start(async move {
            match by(shared.store.config.restore_timeout, shared.store.prune()).await {
                Ok(pruned) => add(&shared.counters.pruned, pruned),
                // The next time will do; what is wrong with the store is said elsewhere.
                Err(error) => {
                    let reason = shared.settings.password.scrub(&error.to_string());
                    tracing::debug!(%reason, "old rows were not removed");
                }
            }
        });
    }

    fn disconnect(&self) {
        let mut link = lock(&self.link);
        link.close();
        lock(&self.memory).clear();
        self.store.drop_idle();
    }
}

impl StateProvider for PostgresPersistenceAdapter {
    /// Reads what is remembered; fails while that cannot be done, and may be tried again.
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(self.shared.connect())
    }

    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async {
            self.shared.disconnect();
            Ok(())
        })
    }

    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        Box::pin(async move {
            self.shared.phase()?;
            check_route(route)?;
            Ok(lock(&self.shared.memory).get(route))
        })
    }

    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move { self.shared.update(&[RouteVector::new(route, vector)]).await })
    }

    /// Succeeds when the batch is committed; without a licence, when it is in memory.
    fn update_vectors<'a>(
        &'a self,
        batch: &'a [RouteVector],
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(self.shared.update(batch))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        Box::pin(async {
            self.shared.phase()?;
            Ok(lock(&self.shared.memory).snapshot())
        })
    }

    fn health(&self) -> Health {
        lock(&self.shared.link).health()
    }

    fn trouble(&self) -> Option<String> {
        lock(&self.shared.link).trouble().map(str::to_owned)
    }

    fn pulse(&self) -> PulseConfig {
        self.shared.settings.pulse
    }

    fn license(&self, license: &License) -> Result<(), LicenseRefused> {
        self.shared.gate.take(license)
    }
}

impl std::fmt::Debug for PostgresPersistenceAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresPersistenceAdapter")
            .field("application", &self.shared.store.config.application)
            .field("node", &self.shared.store.config.node)
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
