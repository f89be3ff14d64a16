//! Scars reach the provider, survive a restart and heal meanwhile; a provider that fails or hangs
//! is never felt by a request.

use std::sync::Arc;
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::vector::PhysicsVector;
use atrion_engine::{Atrion, Reason, Route};
use atrion_state::blocking::block_on;
use atrion_state::clock::ManualClock;
use atrion_state::in_memory::InMemoryProvider;
use atrion_state::provider::{BoxFuture, Health, ProviderError, RouteVector, StateProvider};

fn built(provider: impl StateProvider, clock: &ManualClock) -> Atrion {
    Atrion::builder().clock(clock.clone()).provider(provider).seed(3).build().expect("valid")
}

/// Fails every request until the breaker opens.
fn wound(route: &Route, clock: &ManualClock) {
    while !route.is_open() {
        clock.advance(Duration::from_millis(10));
        if let Ok(permit) = route.admit(Priority::Normal) {
            permit.failure();
        }
    }
}

#[test]
fn a_restarted_process_remembers_and_looks() {
    let clock = ManualClock::new();
    let store = Arc::new(InMemoryProvider::new());
    {
        let atrion = built(Arc::clone(&store), &clock);
        wound(&atrion.route("payments"), &clock);
        let report = block_on(atrion.flush()).expect("memory serves");
        assert_eq!((report.delivered, report.undelivered), (1, 0));
    }
    let saved = block_on(store.get_vector("payments")).expect("serves").expect("saved");
    assert!((saved.scar_tissue.get() - 500.0).abs() < 1.0, "{saved:?}");
    assert!(saved.evidence.get() > 0.0);

    clock.advance(Duration::from_secs(10));
    let atrion = built(store, &clock);
    block_on(atrion.flush()).expect("memory serves");
    let route = atrion.route("payments");
    let e = route.explain(Priority::Normal);
    assert_eq!(e.reason(), Some(Reason::BreakerOpen), "{e:?}");
    // What the past says is looked at once: the dependency has healed meanwhile.
    let mut waited = Duration::ZERO;
    while route.is_open() {
        if let Ok(probe) = route.admit(Priority::Normal) {
            probe.success();
        }
        clock.advance(Duration::from_millis(10));
        waited += Duration::from_millis(10);
        assert!(waited < Duration::from_secs(1), "a healed dependency reopens within a second");
    }
}

#[test]
fn only_what_changed_is_delivered_and_healing_needs_no_traffic() {
    let clock = ManualClock::new();
    let store = Arc::new(InMemoryProvider::new());
    let atrion = built(Arc::clone(&store), &clock);
    for i in 0..50 {
        let route = atrion.route(&format!("calm/{i}"));
        route.admit(Priority::Normal).expect("calm").success();
    }
    // The first two flushes connect and report everything there is.
    for _ in 0..2 {
        block_on(atrion.flush()).expect("serves");
    }
    assert_eq!(block_on(atrion.flush()).expect("serves").delivered, 0);
    wound(&atrion.route("payments"), &clock);
    assert_eq!(block_on(atrion.flush()).expect("serves").delivered, 1);
    let before = block_on(store.get_vector("payments")).expect("serves").expect("saved");
    clock.advance(Duration::from_secs(20));
    assert_eq!(block_on(atrion.flush()).expect("serves").delivered, 1);
    let after = block_on(store.get_vector("payments")).expect("serves").expect("saved");
    assert!(after.scar_tissue.get() < before.scar_tissue.get() * 0.2, "e^-2 in 20 s");
}

/// A provider that answers nothing, or only errors.
#[derive(Clone, Copy)]
enum Broken {
    #[cfg(feature = "tokio")]
    Hangs,
    Fails,
}

impl Broken {
    fn answer<T: Send + 'static>(self) -> BoxFuture<'static, Result<T, ProviderError>> {
        match self {
            #[cfg(feature = "tokio")]
            Self::Hangs => Box::pin(std::future::pending()),
            Self::Fails => Box::pin(async { Err(ProviderError::NotConnected) }),
        }
    }
}

impl StateProvider for Broken {
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.answer()
    }
    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.answer()
    }
    fn get_vector<'a>(
        &'a self,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        self.answer()
    }
    fn update_vector<'a>(
        &'a self,
        _: &'a str,
        _: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.answer()
    }
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        self.answer()
    }
    fn health(&self) -> Health {
        Health::Degraded
    }
}

#[test]
fn a_failing_provider_is_an_error_of_the_flush_and_of_nothing_else() {
    let clock = ManualClock::new();
    let atrion = built(Broken::Fails, &clock);
    let route = atrion.route("payments");
    wound(&route, &clock);
    assert!(block_on(atrion.flush()).is_err());
    assert!(route.is_open(), "protection does not need the provider");
    block_on(atrion.disconnect());
}

#[cfg(feature = "tokio")]
#[tokio::test(start_paused = true)]
async fn a_hanging_provider_never_holds_up_a_request_or_a_shutdown() {
    let atrion = Atrion::builder().provider(Broken::Hangs).build().expect("valid");
    let route = atrion.route("payments");
    for _ in 0..1000 {
        if let Ok(permit) = route.admit(Priority::Normal) {
            permit.success();
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(route.counts().completed, 1000);
    // The paused clock advances when nothing else is left to do: this ends by its deadlines.
    let report = atrion.disconnect().await;
    assert_eq!(report.delivered, 0);
}

#[cfg(feature = "tokio")]
#[tokio::test(start_paused = true)]
async fn the_pulse_runs_by_itself_on_tokio_and_disconnect_flushes() {
    let clock = ManualClock::new();
    let store = InMemoryProvider::new();
    let other = store.peer();
    other.connect().await.expect("memory connects");
    let atrion = built(store, &clock);
    wound(&atrion.route("payments"), &clock);
    atrion.disconnect().await;
    wound(&atrion.route("late"), &clock);
    assert!(other.get_vector("payments").await.expect("serves").is_some());
    assert!(other.get_vector("late").await.expect("serves").is_none(), "not shared any more");
}
