use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake};

use futures_core::Stream;
use proptest::prelude::*;

use super::*;
use crate::blocking::block_on;
use crate::test_vectors::vector;

fn connected(capacity: usize) -> InMemoryProvider {
    let provider = InMemoryProvider::with_capacity(NonZeroUsize::new(capacity).unwrap());
    block_on(provider.connect()).unwrap();
    provider
}

fn write(provider: &InMemoryProvider, route: &str, millis: u64) {
    block_on(provider.update_vector(route, vector(millis, 1.0))).unwrap();
}

fn holds(provider: &InMemoryProvider, route: &str) -> bool {
    block_on(provider.get_vector(route)).unwrap().is_some()
}

/// Counts its wake-ups.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(stream: &mut BoxStream<RemoteVector>, bell: &Arc<Bell>) -> Poll<Option<String>> {
    let waker = Waker::from(Arc::clone(bell));
    Pin::new(stream)
        .poll_next(&mut Context::from_waker(&waker))
        .map(|item| item.map(|remote| remote.route.to_string()))
}

fn item(route: &str) -> Poll<Option<String>> {
    Poll::Ready(Some(route.to_owned()))
}

#[test]
fn a_million_routes_leave_the_capacity_and_every_eviction_is_counted() {
    let provider = connected(1_000);
    for index in 0..1_000_000_u64 {
        write(&provider, &index.to_string(), index);
    }
    assert_eq!(provider.len(), 1_000);
    assert_eq!(provider.evictions(), 999_000);
    assert!(holds(&provider, "999999") && holds(&provider, "999000"));
    assert!(!holds(&provider, "998999"));
}

#[test]
fn the_default_capacity_takes_no_memory_in_advance_and_can_be_read_back() {
    let provider = InMemoryProvider::default();
    assert_eq!(provider.capacity().get(), 100_000);
    assert!(provider.is_empty());
}

#[test]
fn the_last_node_to_disconnect_empties_the_store() {
    let one = connected(10);
    let two = one.peer();
    block_on(two.connect()).unwrap();
    write(&one, "r", 1);
    block_on(one.disconnect()).unwrap();
    assert!(holds(&two, "r"));
    drop(two);
    assert_eq!(one.len(), 0);
    block_on(one.connect()).unwrap();
    assert!(!holds(&one, "r"));
}

#[test]
fn a_poisoned_lock_does_not_stop_the_provider() {
    let provider = connected(10);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = provider.store.lock().unwrap();
        panic!("while the lock is held");
    }));
    assert!(panicked.is_err() && provider.store.is_poisoned());
    write(&provider, "r", 1);
    assert!(holds(&provider, "r"));
}

#[test]
fn a_busy_route_waits_once_in_the_place_of_its_first_change() {
    let one = connected(10);
    let two = one.peer();
    block_on(two.connect()).unwrap();
    let mut stream = two.subscribe().unwrap();
    let bell = Arc::new(Bell::default());
    assert_eq!(poll(&mut stream, &bell), Poll::Pending);

    write(&one, "busy", 1);
    write(&one, "calm", 1);
    write(&one, "busy", 2);
    assert_eq!(bell.0.load(Ordering::Relaxed), 1, "one wake-up is enough");
    assert_eq!(poll(&mut stream, &bell), item("busy"));
    assert_eq!(poll(&mut stream, &bell), item("calm"));
    assert_eq!(poll(&mut stream, &bell), Poll::Pending);
}

#[test]
fn an_overrun_reader_is_woken_and_finds_the_end() {
    let one = connected(2);
    let two = one.peer();
    block_on(two.connect()).unwrap();
    let mut stream = two.subscribe().unwrap();
    for route in ["a", "b", "c"] {
        write(&one, route, 1);
    }
    let bell = Arc::new(Bell::default());
    assert_eq!(poll(&mut stream, &bell), Poll::Ready(None));
    let mut anew = two.subscribe().unwrap();
    let mut found = [poll(&mut anew, &bell), poll(&mut anew, &bell)];
    found.sort_by_key(|poll| format!("{poll:?}"));
    assert_eq!(found, [item("b"), item("c")]);
}

/// A waker may own anything, even the node whose subscription it waits for.
struct Owner(#[expect(dead_code, reason = "owned for its destructor")] InMemoryProvider);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn wakers_that_own_the_node_are_dropped_outside_the_locks() {
    let provider = connected(4);
    for replaced in [true, false] {
        let node = provider.peer();
        block_on(node.connect()).unwrap();
        let mut stream = node.subscribe().unwrap();
        let owner = Waker::from(Arc::new(Owner(node)));
        assert!(stream.as_mut().poll_next(&mut Context::from_waker(&owner)).is_pending());
        drop(owner);
        assert_eq!(provider.lock().connected.len(), 2, "kept by the subscription");
        if replaced {
            // The node goes with its waker, and the subscription ends with the node.
            let bell = Arc::new(Bell::default());
            assert_eq!(poll(&mut stream, &bell), Poll::Pending);
            assert_eq!(poll(&mut stream, &bell), Poll::Ready(None));
        } else {
            drop(stream);
        }
        assert_eq!(provider.lock().connected.len(), 1);
    }
}

#[test]
fn a_reader_is_woken_by_the_disconnection_and_forgotten_subscriptions_are_freed() {
    let provider = connected(2);
    let mut stream = provider.subscribe().unwrap();
    let bell = Arc::new(Bell::default());
    assert_eq!(poll(&mut stream, &bell), Poll::Pending);
    for _ in 0..100 {
        drop(provider.subscribe());
    }
    assert!(provider.lock().feeds.len() <= 2);
    block_on(provider.disconnect()).unwrap();
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(&mut stream, &bell), Poll::Ready(None));
}

#[test]
fn threads_that_write_read_and_subscribe_at_once_leave_the_newest() {
    const STEPS: u64 = 2_000;
    let provider = connected(8);
    let peer = provider.peer();
    block_on(peer.connect()).unwrap();
    let mut stream = peer.subscribe().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let provider = &provider;
            scope.spawn(move || {
                for step in 0..STEPS {
                    let route = (step % 8).to_string();
                    // Each thread runs through the times in an order of its own.
                    write(provider, &route, (step * (2 * thread + 1)) % STEPS);
                    holds(provider, &route);
                    drop(provider.subscribe());
                }
            });
        }
    });
    let newest = |route: u64| {
        let times = (0..4_u64).flat_map(|thread| {
            let of_route = (0..STEPS).filter(move |step| step % 8 == route);
            of_route.map(move |step| (step * (2 * thread + 1)) % STEPS)
        });
        times.max().unwrap()
    };
    for route in 0..8 {
        let held = block_on(provider.get_vector(&route.to_string())).unwrap().unwrap();
        assert_eq!(held.timestamp, vector(newest(route), 1.0).timestamp);
    }
    let bell = Arc::new(Bell::default());
    let mut heard = 0;
    while poll(&mut stream, &bell).is_ready() {
        heard += 1;
    }
    assert_eq!(heard, 8, "coalesced");
}

proptest! {
    /// Exact LRU, against a list moved by hand.
    #[test]
    fn evicts_exactly_the_least_recently_used(
        capacity in 1_usize..6,
        operations in prop::collection::vec((any::<bool>(), 0_u8..10), 0..200),
    ) {
        let provider = connected(capacity);
        let mut model: VecDeque<String> = VecDeque::new();
        for (is_write, name) in operations {
            let route = name.to_string();
            let place = model.iter().position(|held| *held == route);
            if is_write {
                write(&provider, &route, 1);
            } else {
                prop_assert_eq!(holds(&provider, &route), place.is_some());
            }
            if let Some(place) = place {
                model.remove(place);
            }
            if is_write || place.is_some() {
                model.push_back(route);
            }
            if model.len() > capacity {
                model.pop_front();
            }
        }
        let mut held: Vec<String> = block_on(provider.snapshot())
            .unwrap()
            .iter()
            .map(|held| held.route.to_string())
            .collect();
        held.sort();
        let mut expected: Vec<String> = model.into();
        expected.sort();
        prop_assert_eq!(held, expected);
    }
}
