//! The contract suite is itself tested: for each clause there is a provider that breaks it, and
//! the suite says so.

#![cfg(feature = "test-util")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use atrion_core::time::Timestamp;
use atrion_core::units::Ohms;
use atrion_core::vector::PhysicsVector;
use atrion_state::blocking::block_on;
use atrion_state::contract::{self, Fixture, Verdict};
use atrion_state::in_memory::InMemoryProvider;
use atrion_state::provider::{
    BoxFuture, BoxStream, Health, ProviderError, RemoteVector, RouteVector, StateProvider,
};
use futures_core::Stream;

/// How a provider breaks its contract.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    WritesBeforeConnect,
    HealthyBeforeConnect,
    ForgetsOnSecondConnect,
    FailsSecondDisconnect,
    ServesAfterDisconnect,
    InventsVectors,
    RoundsVectors,
    TakesOlder,
    KeepsFirstOfEqual,
    WritesLate,
    StoresBatchInPart,
    RefusesEmptyBatch,
    TrimsNames,
    IgnoresCase,
    TakesAnyName,
    WritesWhenMade,
    FailsForGoodWhenDropped,
    GrowsForEver,
    SnapshotIsStale,
    SubscriptionSkipsWhatIs,
    SubscriptionOutlivesConnection,
    Echoes,
    LosesSilently,
}

/// A correct provider behind a flaw.
struct Flawed {
    flaw: Flaw,
    inner: InMemoryProvider,
    /// Where the flaw keeps what it should not have.
    stash: Mutex<HashMap<String, PhysicsVector>>,
    tripped: AtomicBool,
    /// A second node, to overhear the first.
    ear: InMemoryProvider,
}

impl Flawed {
    fn new(flaw: Flaw, inner: InMemoryProvider) -> Self {
        let ear = inner.peer();
        Self { flaw, inner, stash: Mutex::default(), tripped: AtomicBool::new(false), ear }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// Sets the mark and says whether it was set before.
    fn trip(&self) -> bool {
        self.tripped.swap(true, Ordering::Relaxed)
    }

    fn stash(&self, route: &str, vector: PhysicsVector) {
        self.stash.lock().unwrap().insert(route.to_owned(), vector);
    }

    fn name(&self, route: &str) -> String {
        match self.flaw {
            Flaw::TrimsNames => route.trim().to_owned(),
            Flaw::IgnoresCase => route.to_lowercase(),
            Flaw::TakesAnyName => route.chars().take(100).collect(),
            _ => route.to_owned(),
        }
    }

    async fn write(&self, route: &str, vector: PhysicsVector) -> Result<(), ProviderError> {
        let held = self.inner.get_vector(route).await.unwrap_or_default();
        let vector = match (self.flaw, held) {
            (Flaw::RoundsVectors, _) => PhysicsVector {
                resistance: Ohms::try_new((vector.resistance.get() * 1e6).round() / 1e6).unwrap(),
                ..vector
            },
            (Flaw::TakesOlder, Some(held)) if vector.timestamp < held.timestamp => {
                PhysicsVector { timestamp: held.timestamp, ..vector }
            }
            (Flaw::KeepsFirstOfEqual, Some(held)) if vector.timestamp == held.timestamp => held,
            (Flaw::LosesSilently, _) if vector.timestamp > Timestamp::from_millis(20) => {
                return Ok(());
            }
            _ => vector,
        };
        self.inner.update_vector(&self.name(route), vector).await
    }
}

impl StateProvider for Flawed {
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            if self.is(Flaw::ForgetsOnSecondConnect) && self.trip() {
                self.inner.disconnect().await?;
            }
            if self.is(Flaw::Echoes) {
                self.ear.connect().await?;
            }
            self.inner.connect().await
        })
    }

    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            match self.flaw {
                Flaw::FailsSecondDisconnect if self.trip() => Err(ProviderError::NotConnected),
                Flaw::ServesAfterDisconnect => Ok(()),
                _ => self.inner.disconnect().await,
            }
        })
    }

    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        Box::pin(async move {
            if self.is(Flaw::FailsForGoodWhenDropped) && self.tripped.load(Ordering::Relaxed) {
                return Err(ProviderError::NotConnected);
            }
            let held = self.inner.get_vector(&self.name(route)).await?;
            let stashed = self.stash.lock().unwrap().get(route).copied();
            Ok(match self.flaw {
                Flaw::InventsVectors if held.is_none() => {
                    self.inner.snapshot().await?.first().map(|any| any.vector)
                }
                Flaw::GrowsForEver | Flaw::WritesBeforeConnect => held.or(stashed),
                Flaw::WritesLate => stashed,
                _ => held,
            })
        })
    }

    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        struct Dropped<'a>(&'a AtomicBool);
        impl Drop for Dropped<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        if self.is(Flaw::WritesWhenMade) {
            block_on(self.inner.update_vector(route, vector)).ok();
        }
        Box::pin(async move {
            match self.flaw {
                Flaw::WritesBeforeConnect | Flaw::GrowsForEver => self.stash(route, vector),
                // The write before the last is what can be read.
                Flaw::WritesLate => {
                    if let Some(before) = self.inner.get_vector(route).await? {
                        self.stash(route, before);
                    }
                }
                Flaw::SnapshotIsStale if !self.stash.lock().unwrap().contains_key(route) => {
                    self.stash(route, vector);
                }
                Flaw::FailsForGoodWhenDropped => {
                    let guard = Dropped(&self.tripped);
                    let mut first = true;
                    std::future::poll_fn(|context| {
                        if std::mem::take(&mut first) {
                            context.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                        Poll::Ready(())
                    })
                    .await;
                    std::mem::forget(guard);
                }
                _ => {}
            }
            self.write(route, vector).await
        })
    }

    fn update_vectors<'a>(
        &'a self,
        batch: &'a [RouteVector],
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            if self.is(Flaw::RefusesEmptyBatch) && batch.is_empty() && self.inner.is_empty() {
                self.inner.update_vectors(&[]).await?;
                return Err(ProviderError::refused("update_vectors", "nothing to do"));
            }
            if !self.is(Flaw::StoresBatchInPart) {
                self.inner.update_vectors(&[]).await?;
                for change in batch {
                    atrion_state::provider::check_route(&change.route)?;
                }
            }
            for change in batch {
                self.update_vector(&change.route, change.vector).await?;
            }
            self.inner.update_vectors(&[]).await
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        Box::pin(async move {
            let all = self.inner.snapshot().await?;
            let stash = self.stash.lock().unwrap();
            Ok(match self.flaw {
                Flaw::SnapshotIsStale | Flaw::GrowsForEver => stash
                    .iter()
                    .map(|(route, vector)| RouteVector::new(&**route, *vector))
                    .collect(),
                _ => all,
            })
        })
    }

    fn subscribe(&self) -> Option<BoxStream<RemoteVector>> {
        let stream = match self.flaw {
            Flaw::Echoes => self.ear.subscribe()?,
            Flaw::SubscriptionSkipsWhatIs => {
                Box::pin(Skips { inner: self.inner.subscribe()?, skip: self.inner.len() })
            }
            Flaw::SubscriptionOutlivesConnection => {
                Box::pin(Endless { inner: self.inner.subscribe()?, last: None })
            }
            _ => self.inner.subscribe()?,
        };
        Some(stream)
    }

    fn health(&self) -> Health {
        if self.is(Flaw::HealthyBeforeConnect) {
            return Health::Healthy;
        }
        self.inner.health()
    }
}

/// Leaves out what was there when it was made, and ends instead of waiting.
struct Skips {
    inner: BoxStream<RemoteVector>,
    skip: usize,
}

impl Stream for Skips {
    type Item = RemoteVector;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<RemoteVector>> {
        loop {
            match self.inner.as_mut().poll_next(context) {
                Poll::Ready(Some(_)) if self.skip > 0 => self.skip -= 1,
                Poll::Pending => return Poll::Ready(None),
                Poll::Ready(item) => return Poll::Ready(item),
            }
        }
    }
}

/// Repeats itself instead of ending.
struct Endless {
    inner: BoxStream<RemoteVector>,
    last: Option<RemoteVector>,
}

impl Stream for Endless {
    type Item = RemoteVector;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<RemoteVector>> {
        let next = self.inner.as_mut().poll_next(context);
        if let Poll::Ready(Some(remote)) = &next {
            self.last = Some(remote.clone());
        }
        match next {
            Poll::Ready(None) if self.last.is_some() => Poll::Ready(self.last.clone()),
            other => other,
        }
    }
}

const CAPACITY: usize = 32;

/// Runs `future` to its end, `None` if it waits for something that nobody will ever do.
fn settle<F: Future>(future: F) -> Option<F::Output> {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    while woken.0.swap(false, Ordering::Relaxed) {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
    }
    None
}

fn fixture(flaw: Flaw) -> Fixture {
    let inner = InMemoryProvider::with_capacity(NonZeroUsize::new(CAPACITY).unwrap());
    let peer = inner.peer();
    let peer: Arc<dyn StateProvider> = if flaw == Flaw::LosesSilently {
        Arc::new(Flawed::new(flaw, peer))
    } else {
        Arc::new(peer)
    };
    Fixture::new(Arc::new(Flawed::new(flaw, inner))).with_peer(peer).with_capacity(CAPACITY)
}

/// The clauses that the suite finds broken, with what it says.
fn broken(flaw: Flaw) -> Vec<(u8, String)> {
    let mut broken = Vec::new();
    for clause in contract::CLAUSES {
        match settle((clause.check)(fixture(flaw))) {
            Some(Verdict::Holds | Verdict::Skipped(_)) => {}
            Some(Verdict::Broken(what)) => broken.push((clause.number, what)),
            None => broken.push((clause.number, "waits for ever".to_owned())),
        }
    }
    broken
}

#[test]
fn each_flaw_is_found_by_its_clause() {
    let flaws = [
        (Flaw::WritesBeforeConnect, 1),
        (Flaw::HealthyBeforeConnect, 1),
        (Flaw::ForgetsOnSecondConnect, 2),
        (Flaw::FailsSecondDisconnect, 3),
        (Flaw::ServesAfterDisconnect, 4),
        (Flaw::InventsVectors, 5),
        (Flaw::RoundsVectors, 6),
        (Flaw::TakesOlder, 7),
        (Flaw::KeepsFirstOfEqual, 8),
        (Flaw::WritesLate, 9),
        (Flaw::StoresBatchInPart, 10),
        (Flaw::RefusesEmptyBatch, 10),
        (Flaw::TrimsNames, 11),
        (Flaw::IgnoresCase, 11),
        (Flaw::TakesAnyName, 11),
        (Flaw::TakesOlder, 12),
        (Flaw::WritesWhenMade, 13),
        (Flaw::FailsForGoodWhenDropped, 13),
        (Flaw::GrowsForEver, 14),
        (Flaw::SnapshotIsStale, 15),
        (Flaw::SubscriptionSkipsWhatIs, 16),
        (Flaw::SubscriptionOutlivesConnection, 16),
        (Flaw::Echoes, 17),
        (Flaw::LosesSilently, 18),
    ];
    let mut covered: Vec<u8> = Vec::new();
    for (flaw, clause) in flaws {
        let found = broken(flaw);
        assert!(
            found.iter().any(|(number, _)| *number == clause),
            "{flaw:?} should break clause {clause}, found {found:?}"
        );
        covered.push(clause);
    }
    for clause in contract::CLAUSES {
        assert!(covered.contains(&clause.number), "no flaw breaks {clause}");
    }
}

#[test]
fn the_message_names_the_clause_and_what_was_found() {
    let caught = std::panic::catch_unwind(|| {
        block_on(contract::assert_clause(7, || async {
            Fixture::new(Arc::new(Flawed::new(Flaw::TakesOlder, InMemoryProvider::new())))
        }));
    });
    let message = *caught.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("clause 7 (older vectors are ignored)"), "{message}");
    assert!(message.contains("should hold"), "{message}");
}

#[test]
fn clauses_that_cannot_be_tried_are_skipped_with_the_reason() {
    let report =
        block_on(contract::run_all(|| async { Fixture::new(Arc::new(InMemoryProvider::new())) }));
    report.assert_holds();
    let skipped: Vec<u8> = report.skipped().map(|(clause, _)| clause.number).collect();
    assert_eq!(skipped, [14, 16, 17, 18]);
}
