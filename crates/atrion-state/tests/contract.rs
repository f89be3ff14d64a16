//! The shipped provider passes the contract, through `dyn`, `Arc` and the batch default too.

#![cfg(feature = "test-util")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::num::NonZeroUsize;
use std::sync::Arc;

use atrion_core::vector::PhysicsVector;
use atrion_state::contract::Fixture;
use atrion_state::in_memory::InMemoryProvider;
use atrion_state::provider::{
    BoxFuture, BoxStream, Health, ProviderError, RemoteVector, RouteVector, StateProvider,
};

const CAPACITY: usize = 32;

fn nodes() -> (InMemoryProvider, InMemoryProvider) {
    let capacity = NonZeroUsize::new(CAPACITY).unwrap();
    let provider = InMemoryProvider::with_capacity(capacity);
    let peer = provider.peer();
    (provider, peer)
}

async fn in_memory() -> Fixture {
    let (provider, peer) = nodes();
    Fixture::new(Arc::new(provider)).with_peer(Arc::new(peer)).with_capacity(CAPACITY)
}

atrion_state::provider_contract!(in_memory_provider, atrion_state::blocking::block_on, in_memory);

/// Implements only what has no default.
struct Minimal(InMemoryProvider);

impl StateProvider for Minimal {
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.0.connect()
    }

    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.0.disconnect()
    }

    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        self.0.get_vector(route)
    }

    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.0.update_vector(route, vector)
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        self.0.snapshot()
    }

    fn health(&self) -> Health {
        self.0.health()
    }
}

async fn minimal() -> Fixture {
    let provider: Arc<dyn StateProvider> = Arc::new(Minimal(nodes().0));
    // An `Arc` of a provider is a provider.
    Fixture::new(Arc::new(provider)).with_capacity(CAPACITY)
}

atrion_state::provider_contract!(defaults, atrion_state::blocking::block_on, minimal);

#[test]
fn a_provider_does_not_share_by_default() {
    let subscription: Option<BoxStream<RemoteVector>> = Minimal(nodes().0).subscribe();
    assert!(subscription.is_none());
}

#[test]
fn the_suite_runs_on_a_multi_threaded_runtime_too() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let report =
        runtime.block_on(runtime.spawn(atrion_state::contract::run_all(in_memory))).unwrap();
    report.assert_holds();
    assert_eq!(report.skipped().count(), 0, "{report}");
}
