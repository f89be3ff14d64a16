use std::future::pending;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use atrion_core::vector::PhysicsVector;

use super::*;
use crate::blocking::block_on;
use crate::clock::ManualClock;
use crate::in_memory::InMemoryProvider;
use crate::manager::StateManager;
use crate::provider::{BoxFuture, BoxStream, Health, RouteVector};
use crate::test_vectors::vector;

/// In memory, but hangs or fails in its writes on demand.
#[derive(Default)]
struct Moody {
    inner: InMemoryProvider,
    hangs: AtomicBool,
    fails: AtomicBool,
}

impl StateProvider for Moody {
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.inner.connect()
    }

    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.inner.disconnect()
    }

    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        self.inner.get_vector(route)
    }

    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            if self.hangs.load(Ordering::Relaxed) {
                pending::<()>().await;
            }
            if self.fails.load(Ordering::Relaxed) {
                return Err(ProviderError::unavailable("update_vector", "away"));
            }
            self.inner.update_vector(route, vector).await
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        self.inner.snapshot()
    }

    fn subscribe(&self) -> Option<BoxStream<RemoteVector>> {
        self.inner.subscribe()
    }

    fn health(&self) -> Health {
        self.inner.health()
    }
}

struct Node {
    provider: Arc<Moody>,
    manager: Arc<StateManager>,
    clock: ManualClock,
    pulse: ManualPulse<ManualClock>,
}

fn node() -> Node {
    let provider = Arc::new(Moody::default());
    let manager = Arc::new(StateManager::new());
    let clock = ManualClock::new();
    let pulse = ManualPulse::new(
        Arc::clone(&provider) as _,
        Arc::clone(&manager) as _,
        clock.clone(),
        PulseConfig::default(),
    );
    Node { provider, manager, clock, pulse }
}

fn held(node: &Node, route: &str) -> Option<PhysicsVector> {
    block_on(node.provider.get_vector(route)).unwrap()
}

#[test]
fn a_flush_connects_pushes_and_pulls_without_a_runtime() {
    let mut node = node();
    let peer = node.provider.inner.peer();
    block_on(peer.connect()).unwrap();
    node.manager.sync("mine", vector(0, 1.0));
    assert_eq!(block_on(node.pulse.flush()).unwrap().delivered, 1);
    assert_eq!(held(&node, "mine"), Some(vector(0, 1.0)));

    block_on(peer.update_vector("theirs", vector(0, 2.0))).unwrap();
    node.clock.advance(Duration::from_millis(100));
    assert_eq!(block_on(node.pulse.flush()).unwrap().delivered, 0);
    assert_eq!(node.manager.get_remote("theirs"), Some(vector(0, 2.0)));
}

#[test]
fn a_failed_flush_says_so_and_the_next_delivers() {
    let mut node = node();
    node.provider.fails.store(true, Ordering::Relaxed);
    node.manager.sync("r", vector(0, 1.0));
    let error = block_on(node.pulse.flush()).unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(node.pulse.stats().pending, 1);
    node.provider.fails.store(false, Ordering::Relaxed);
    assert_eq!(block_on(node.pulse.flush()).unwrap().undelivered, 0);
    assert_eq!(held(&node, "r"), Some(vector(0, 1.0)));
}

#[test]
fn a_flush_dropped_while_the_store_hangs_leaves_everything_to_the_next() {
    let mut node = node();
    block_on(node.pulse.flush()).unwrap();
    node.provider.hangs.store(true, Ordering::Relaxed);
    node.manager.sync("r", vector(0, 1.0));
    {
        let mut flush = pin!(node.pulse.flush());
        let polled = flush.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    node.provider.hangs.store(false, Ordering::Relaxed);
    assert_eq!(block_on(node.pulse.flush()).unwrap().delivered, 1);
    assert_eq!(held(&node, "r"), Some(vector(0, 1.0)));
}

#[test]
fn a_stop_delivers_what_waits_and_disconnects() {
    let node = node();
    let provider = Arc::clone(&node.provider);
    node.manager.sync("r", vector(0, 1.0));
    let report = block_on(node.pulse.stop());
    assert_eq!((report.delivered, report.undelivered), (1, 0));
    assert_eq!(provider.health(), Health::Disconnected);
}

#[test]
fn a_stop_against_a_failing_store_gives_up_disconnects_and_says_what_was_lost() {
    let mut node = node();
    block_on(node.pulse.flush()).unwrap();
    let provider = Arc::clone(&node.provider);
    provider.fails.store(true, Ordering::Relaxed);
    node.manager.sync("r", vector(0, 1.0));
    let report = block_on(node.pulse.stop());
    assert_eq!((report.delivered, report.undelivered), (0, 1));
    assert_eq!(provider.health(), Health::Disconnected);
}

#[test]
fn listening_takes_in_what_the_others_said_and_sends_nothing() {
    let mut node = node();
    let peer = node.provider.inner.peer();
    block_on(peer.connect()).unwrap();
    block_on(node.pulse.listen());
    assert_eq!(node.provider.health(), Health::Disconnected, "nothing happens before a flush");
    block_on(node.pulse.flush()).unwrap();

    node.manager.sync("mine", vector(0, 1.0));
    block_on(peer.update_vector("theirs", vector(0, 2.0))).unwrap();
    block_on(node.pulse.listen());
    assert_eq!(node.manager.get_remote("theirs"), Some(vector(0, 2.0)));
    assert_eq!(held(&node, "mine"), None, "that is for the next flush");
}
