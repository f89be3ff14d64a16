//! One provider of two: one that shares, such as Redis, and one that remembers, such as
//! PostgreSQL.
//!
//! ```
//! use atrion_state::blocking::block_on;
//! use atrion_state::in_memory::InMemoryProvider;
//! use atrion_state::provider::{Health, StateProvider};
//!
//! let provider = InMemoryProvider::new().remembered_by(InMemoryProvider::new());
//! block_on(provider.connect())?;
//! assert_eq!(provider.health(), Health::Healthy);
//! # Ok::<(), atrion_state::provider::ProviderError>(())
//! ```

mod part;

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;

use atrion_core::vector::PhysicsVector;

use crate::clock::{Clock, MonotonicClock};
use crate::entropy::Draws;
use crate::license::{License, LicenseRefused};
use crate::peers::Peers;
use crate::provider::{
    BoxFuture, BoxStream, Health, ProviderError, RemoteVector, RouteVector, StateProvider, Vitals,
    check_route,
};
use crate::pulse::PulseConfig;
use part::Part;

/// Writes to both of two providers, shares through the first and remembers through both.
///
/// The parts are independent. What one of them has not taken waits for it, the latest of each
/// route and no more routes than a pulse holds, and is sent again with capped backoff; the other
/// is not held back. A call waits for both, once: a part that has let one call run into its
/// caller's deadline is *late*, and the following calls do not wait for it until it has answered.
///
/// | method | answer |
/// |---|---|
/// | `connect`, `update_vector(s)` | succeed if one part succeeds; fail if both do |
/// | `get_vector`, `snapshot` | of each route the newest vector that either knows |
/// | `recalled` | what a part that connected after the snapshot remembers |
/// | `subscribe`, `peers`, `pulse` | those of the sharing part |
/// | `health` | healthy if both are; `trouble` names the part that is not |
/// | `license` | passed to both |
/// | `vitals` | the sharing part's licence, or else the other's; refused by both together |
///
/// So a call that succeeds while the remembering part is in trouble promises no more than
/// [`health`](StateProvider::health) says; with both parts healthy it promises what both promise.
/// Give both the same capacity: the smaller one bounds what is shared or remembered.
pub struct Composed {
    sharing: Part,
    remembering: Part,
    wanted: AtomicBool,
}

impl Composed {
    /// Puts the two together; see also
    /// [`remembered_by`](StateProvider::remembered_by).
    pub fn new(sharing: impl StateProvider, remembering: impl StateProvider) -> Self {
        let max = sharing.pulse().max_routes();
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
        let part = |name, provider| {
            Part::new(name, provider, max, Arc::clone(&clock), Draws::unpredictable())
        };
        Self {
            sharing: part("sharing", Arc::new(sharing)),
            remembering: part("remembering", Arc::new(remembering)),
            wanted: AtomicBool::new(false),
        }
    }

    fn parts(&self) -> [&Part; 2] {
        [&self.sharing, &self.remembering]
    }

    fn connected(&self) -> Result<(), ProviderError> {
        if self.wanted.load(Relaxed) { Ok(()) } else { Err(ProviderError::NotConnected) }
    }

    /// Waits for what was asked of both parts.
    async fn both(&self, tickets: [u64; 2]) -> Result<(), ProviderError> {
        let [first, second] = self.parts();
        let patient = [first.is_on_time(), second.is_on_time()];
        let mut results = [None, None];
        let waiter = Waiter(self);
        poll_fn(|context| {
            let mut waiting = false;
            for (((part, ticket), patient), result) in
                [first, second].into_iter().zip(tickets).zip(patient).zip(&mut results)
            {
                if result.is_some() {
                    continue;
                }
                match part.poll(ticket, context) {
                    Poll::Ready(done) => *result = Some(done),
                    Poll::Pending if patient => waiting = true,
                    Poll::Pending => *result = Some(Err(part.late())),
                }
            }
            if waiting { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        std::mem::forget(waiter);
        let [first, second] = results;
        match (first.unwrap_or(Ok(())), second.unwrap_or(Ok(()))) {
            (Err(error), Err(_)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn write(&self, batch: &[RouteVector]) -> Result<(), ProviderError> {
        self.connected()?;
        batch.iter().try_for_each(|change| check_route(&change.route))?;
        let tickets = self.parts().map(|part| part.offer(batch));
        self.both(tickets).await
    }
}

/// Somebody who waits for both parts; says so when they go before they were answered.
struct Waiter<'a>(&'a Composed);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.parts().into_iter().for_each(Part::given_up);
    }
}

impl StateProvider for Composed {
    /// Succeeds if one part does; the other is tried again.
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async {
            self.wanted.store(true, Relaxed);
            let tickets = self.parts().map(Part::want);
            let connected = self.both(tickets).await;
            if connected.is_err() {
                // As before: whoever asks next asks for both anew.
                self.wanted.store(false, Relaxed);
            }
            connected
        })
    }

    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async {
            self.wanted.store(false, Relaxed);
            let tickets = self.parts().map(Part::unwant);
            self.both(tickets).await
        })
    }

    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        Box::pin(async move {
            self.connected()?;
            check_route(route)?;
            let mut newest: Option<PhysicsVector> = None;
            for part in self.parts() {
                if let Some(vector) = part.get(route).await
                    && newest.is_none_or(|held| vector.timestamp > held.timestamp)
                {
                    newest = Some(vector);
                }
            }
            Ok(newest)
        })
    }

    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            // Before a copy is made of a name that may be of any length.
            self.connected()?;
            check_route(route)?;
            self.write(&[RouteVector::new(route, vector)]).await
        })
    }

    fn update_vectors<'a>(
        &'a self,
        batch: &'a [RouteVector],
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(self.write(batch))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        Box::pin(async {
            self.connected()?;
            let mut newest: HashMap<Arc<str>, PhysicsVector> = HashMap::new();
            for part in self.parts() {
                for RouteVector { route, vector } in part.snapshot().await {
                    let held = newest.entry(route).or_insert(vector);
                    if vector.timestamp > held.timestamp {
                        *held = vector;
                    }
                }
            }
            Ok(newest.into_iter().map(|(route, vector)| RouteVector { route, vector }).collect())
        })
    }

    fn recalled(&self) -> Vec<RouteVector> {
        self.parts().into_iter().flat_map(Part::recalled).collect()
    }

    fn subscribe(&self) -> Option<BoxStream<RemoteVector>> {
        self.sharing.provider().subscribe()
    }

    fn health(&self) -> Health {
        if !self.wanted.load(Relaxed) {
            return Health::Disconnected;
        }
        let healthy = self.parts().into_iter().all(Part::is_healthy);
        if healthy { Health::Healthy } else { Health::Degraded }
    }

    fn trouble(&self) -> Option<String> {
        if !self.wanted.load(Relaxed) {
            return None;
        }
        let troubles: Vec<String> = self.parts().into_iter().filter_map(Part::trouble).collect();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    fn peers(&self) -> Option<Arc<dyn Peers>> {
        self.sharing.provider().peers()
    }

    fn pulse(&self) -> PulseConfig {
        self.sharing.provider().pulse()
    }

    /// The sharing part's licence, or else the other's; what both have refused together.
    fn vitals(&self) -> Vitals {
        let [sharing, remembering] = self.parts().map(|part| part.provider().vitals());
        Vitals::new(
            sharing.license.or(remembering.license),
            sharing.refused.saturating_add(remembering.refused),
        )
    }

    fn license(&self, license: &License) -> Result<(), LicenseRefused> {
        let [first, second] = self.parts().map(|part| part.provider().license(license));
        first.and(second)
    }
}

impl std::fmt::Debug for Composed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Composed")
            .field("health", &self.health())
            .field("trouble", &self.trouble())
            .finish_non_exhaustive()
    }
}
