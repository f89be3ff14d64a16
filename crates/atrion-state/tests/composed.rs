//! Two providers as one: the contract, and parts in trouble.

#![cfg(feature = "test-util")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::future::{pending, poll_fn};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use atrion_core::time::Timestamp;
use atrion_core::units::Ohms;
use atrion_core::vector::PhysicsVector;
use atrion_state::blocking::block_on;
use atrion_state::composed::Composed;
use atrion_state::contract::Fixture;
use atrion_state::in_memory::InMemoryProvider;
use atrion_state::license::{License, LicensePolicy, LicenseRefused};
use atrion_state::provider::{
    BoxFuture, Health, ProviderError, RouteVector, StateProvider, Vitals,
};

const CAPACITY: usize = 32;

fn memory() -> InMemoryProvider {
    InMemoryProvider::with_capacity(NonZeroUsize::new(CAPACITY).unwrap())
}

async fn composed() -> Fixture {
    let sharing = memory();
    let peer = sharing.peer().remembered_by(memory());
    let provider = sharing.remembered_by(memory());
    Fixture::new(Arc::new(provider)).with_peer(Arc::new(peer)).with_capacity(CAPACITY)
}

atrion_state::provider_contract!(two_in_memory, atrion_state::blocking::block_on, composed);

const WELL: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;
const REFUSES_LICENCE: u8 = 3;

/// A provider whose mood can be changed.
#[derive(Clone)]
struct Moody(Arc<Inner>);

struct Inner {
    memory: InMemoryProvider,
    mood: AtomicU8,
    calls: AtomicUsize,
    licences: AtomicUsize,
    batches: Mutex<Vec<usize>>,
}

impl Moody {
    fn new(mood: u8) -> Self {
        Self(Arc::new(Inner {
            memory: memory(),
            mood: AtomicU8::new(mood),
            calls: AtomicUsize::new(0),
            licences: AtomicUsize::new(0),
            batches: Mutex::new(Vec::new()),
        }))
    }

    fn becomes(&self, mood: u8) {
        self.0.mood.store(mood, Relaxed);
    }

    async fn mood(&self) -> Result<(), ProviderError> {
        self.0.calls.fetch_add(1, Relaxed);
        match self.0.mood.load(Relaxed) {
            FAILS => Err(ProviderError::unavailable("a call", "it is in no mood")),
            HANGS => pending().await,
            _ => Ok(()),
        }
    }
}

impl StateProvider for Moody {
    fn vitals(&self) -> Vitals {
        Vitals::new(None, 3)
    }

    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async {
            self.mood().await?;
            self.0.memory.connect().await
        })
    }

    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.0.memory.disconnect()
    }

    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        self.0.memory.get_vector(route)
    }

    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move { self.update_vectors(&[RouteVector::new(route, vector)]).await })
    }

    fn update_vectors<'a>(
        &'a self,
        batch: &'a [RouteVector],
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            self.mood().await?;
            self.0.batches.lock().unwrap().push(batch.len());
            self.0.memory.update_vectors(batch).await
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        self.0.memory.snapshot()
    }

    fn health(&self) -> Health {
        self.0.memory.health()
    }

    fn license(&self, _: &License) -> Result<(), LicenseRefused> {
        self.0.licences.fetch_add(1, Relaxed);
        if self.0.mood.load(Relaxed) == REFUSES_LICENCE {
            return Err(LicenseRefused { feature: "moods", source: "none".into() });
        }
        Ok(())
    }
}

fn both(sharing: u8, remembering: u8) -> (Composed, Moody, Moody) {
    let (one, two) = (Moody::new(sharing), Moody::new(remembering));
    (one.clone().remembered_by(two.clone()), one, two)
}

fn ohms(ohms: u32, millis: u64) -> PhysicsVector {
    PhysicsVector {
        scar_tissue: Ohms::from(ohms),
        ..PhysicsVector::idle(Ohms::ZERO, Timestamp::from_millis(millis))
    }
}

/// What the part itself holds of a route.
fn held(part: &Moody, route: &str) -> Option<f64> {
    let held = block_on(part.get_vector(route)).ok().flatten();
    held.map(|held| held.scar_tissue.get())
}

/// Polls once, as a caller whose deadline is now.
fn once<T>(future: BoxFuture<'_, T>) -> Option<T> {
    let mut future = future;
    block_on(poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    }))
}

/// Heartbeats until `look` says yes; the backoff of a part ends by the clock.
fn beat_until(composed: &Composed, look: impl Fn() -> bool) {
    for _ in 0..100_000_000_u64 {
        let _ = once(composed.update_vectors(&[]));
        if look() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("never");
}

#[test]
fn a_part_that_fails_holds_nobody_up_and_gets_the_newest_in_the_end() {
    for ill_is_sharing in [false, true] {
        let (composed, one, two) = both(WELL, WELL);
        let (ill, well) = if ill_is_sharing { (one, two) } else { (two, one) };
        block_on(composed.connect()).unwrap();
        ill.becomes(FAILS);
        for step in 1..=50 {
            block_on(composed.update_vector("r", ohms(step, u64::from(step)))).unwrap();
            assert_eq!(held(&well, "r"), Some(f64::from(step)));
        }
        assert!(ill.0.calls.load(Relaxed) < 20, "it is not asked again at every call");
        assert_eq!(held(&ill, "r"), None);
        assert_eq!(composed.health(), Health::Degraded);
        let name = if ill_is_sharing { "sharing: " } else { "remembering: " };
        let trouble = composed.trouble().unwrap();
        assert!(trouble.starts_with(name) && trouble.contains("no mood"), "{trouble}");
        let read = block_on(composed.get_vector("r")).unwrap().unwrap();
        assert_eq!(read.scar_tissue.get().to_bits(), 50.0_f64.to_bits());
        ill.becomes(WELL);
        beat_until(&composed, || held(&ill, "r") == Some(50.0));
        assert_eq!((composed.health(), composed.trouble()), (Health::Healthy, None));
    }
}

#[test]
fn a_part_that_hangs_is_waited_for_once() {
    let (composed, one, two) = both(WELL, WELL);
    block_on(composed.connect()).unwrap();
    two.becomes(HANGS);
    assert!(once(composed.update_vector("r", ohms(1, 1))).is_none(), "somebody waits for it");
    assert_eq!(held(&one, "r"), Some(1.0));
    // From now on nobody does.
    for step in 2..=9 {
        assert!(matches!(
            once(composed.update_vector("r", ohms(step, u64::from(step)))),
            Some(Ok(()))
        ));
        assert_eq!(held(&one, "r"), Some(f64::from(step)));
    }
    let all = block_on(composed.snapshot()).unwrap();
    assert_eq!(all.len(), 1);
    assert!(matches!(once(composed.disconnect()), Some(Ok(()))), "nothing keeps it from leaving");
    assert_eq!(one.health(), Health::Disconnected);
    assert_eq!(two.health(), Health::Disconnected);
}

#[test]
fn what_waits_for_a_part_is_bounded() {
    let (composed, _one, two) = both(WELL, FAILS);
    block_on(composed.connect()).unwrap();
    let max = composed.pulse().max_routes();
    let batch: Vec<_> =
        (0..max + 10).map(|n| RouteVector::new(format!("r{n}"), ohms(1, 1))).collect();
    block_on(composed.update_vectors(&batch)).unwrap();
    two.becomes(WELL);
    beat_until(&composed, || !two.0.batches.lock().unwrap().is_empty());
    assert_eq!(two.0.batches.lock().unwrap().first(), Some(&max));
}

#[test]
fn one_part_is_enough_to_connect_and_the_other_is_recalled_late() {
    let remembering = Moody::new(WELL);
    block_on(async {
        remembering.0.memory.connect().await.unwrap();
        remembering.0.memory.update_vector("old", ohms(7, 1)).await.unwrap();
    });
    remembering.becomes(FAILS);
    let composed = memory().remembered_by(remembering.clone());
    block_on(composed.connect()).unwrap();
    assert_eq!(composed.health(), Health::Degraded);
    assert!(block_on(composed.snapshot()).unwrap().is_empty());
    assert!(composed.recalled().is_empty());
    remembering.becomes(WELL);
    beat_until(&composed, || composed.health() == Health::Healthy);
    let recalled = composed.recalled();
    assert_eq!(recalled.len(), 1);
    assert_eq!(&*recalled[0].route, "old");
    assert!(composed.recalled().is_empty(), "once");
}

#[test]
fn without_any_part_there_is_no_connection() {
    let (composed, one, two) = both(FAILS, FAILS);
    assert!(block_on(composed.connect()).is_err());
    assert_eq!(composed.health(), Health::Disconnected);
    one.becomes(WELL);
    two.becomes(WELL);
    block_on(composed.connect()).unwrap();
    assert_eq!(composed.health(), Health::Healthy);
}

#[test]
fn the_newest_of_both_is_what_is_known() {
    let (composed, one, two) = both(WELL, WELL);
    block_on(composed.connect()).unwrap();
    block_on(one.update_vector("a", ohms(1, 10))).unwrap();
    block_on(two.update_vector("a", ohms(2, 20))).unwrap();
    block_on(one.update_vector("b", ohms(3, 20))).unwrap();
    block_on(two.update_vector("b", ohms(4, 10))).unwrap();
    block_on(two.update_vector("c", ohms(5, 1))).unwrap();
    let mut all: Vec<_> = block_on(composed.snapshot())
        .unwrap()
        .into_iter()
        .map(|held| (held.route.to_string(), held.vector.scar_tissue.get() as u32))
        .collect();
    all.sort();
    let expected = [("a", 2), ("b", 3), ("c", 5)].map(|(route, ohms)| (route.to_owned(), ohms));
    assert_eq!(all, expected);
    for (route, ohms) in expected {
        let read = block_on(composed.get_vector(&route)).unwrap().unwrap();
        assert_eq!(read.scar_tissue.get() as u32, ohms);
    }
}

#[test]
fn the_licence_goes_to_both_and_either_may_refuse() {
    for (sharing, remembering) in [(REFUSES_LICENCE, WELL), (WELL, REFUSES_LICENCE)] {
        let (composed, one, two) = both(sharing, remembering);
        let license = License { source: "key".into(), policy: LicensePolicy::Strict };
        assert!(composed.license(&license).is_err());
        assert_eq!((one.0.licences.load(Relaxed), two.0.licences.load(Relaxed)), (1, 1));
    }
}

#[test]
fn what_both_parts_refused_is_told_together() {
    let composed = Moody::new(WELL).remembered_by(Moody::new(WELL));
    assert_eq!(composed.vitals(), Vitals::new(None, 6));
}
