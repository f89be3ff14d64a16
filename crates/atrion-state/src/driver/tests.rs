//! Providers and sources that fail, hang, panic or lie, on tokio's virtual time. Nothing here
//! sleeps in real time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use atrion_core::vector::PhysicsVector;
use tokio::time::advance;

use super::*;
use crate::in_memory::InMemoryProvider;
use crate::manager::StateManager;
use crate::provider::{BoxFuture, BoxStream, Health, RouteVector};
use crate::pulse::{Collector, PulseEvent};
use crate::test_vectors::vector;

/// What a [`Wicked`] provider does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Works,
    Fails,
    Hangs,
    PanicsWhenCalled,
    PanicsWhenPolled,
    PanicsWhenDropped,
    Refuses,
}

/// An in-memory provider that misbehaves on demand.
struct Wicked {
    inner: InMemoryProvider,
    mood: Mutex<Mood>,
    calls: AtomicU64,
    /// Futures that were made and not dropped yet.
    alive: AtomicU64,
    endless: AtomicBool,
}

impl Wicked {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            inner: InMemoryProvider::new(),
            mood: Mutex::new(mood),
            calls: AtomicU64::new(0),
            alive: AtomicU64::new(0),
            endless: AtomicBool::new(false),
        })
    }

    fn is_now(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn do_it<'a, T: Send + 'a>(
        &'a self,
        call: BoxFuture<'a, Result<T, ProviderError>>,
    ) -> BoxFuture<'a, Result<T, ProviderError>> {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                assert!(std::thread::panicking(), "a destructor that panics");
            }
        }
        struct Alive<'a>(&'a AtomicU64);
        impl Drop for Alive<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mood = *self.mood.lock().unwrap();
        assert!(mood != Mood::PanicsWhenCalled, "in the call itself");
        self.alive.fetch_add(1, Ordering::Relaxed);
        let alive = Alive(&self.alive);
        Box::pin(async move {
            let _alive = alive;
            match mood {
                Mood::Works => call.await,
                Mood::Fails => Err(ProviderError::unavailable("test", "away")),
                Mood::Refuses => Err(ProviderError::refused("test", "no permission")),
                Mood::Hangs => pending().await,
                Mood::PanicsWhenDropped => {
                    let _bomb = Bomb;
                    pending().await
                }
                Mood::PanicsWhenCalled | Mood::PanicsWhenPolled => panic!("in the future"),
            }
        })
    }
}

impl StateProvider for Wicked {
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.do_it(self.inner.connect())
    }

    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.do_it(Box::pin(async { Ok(()) }))
    }

    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        self.do_it(self.inner.get_vector(route))
    }

    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.do_it(self.inner.update_vector(route, vector))
    }

    fn update_vectors<'a>(
        &'a self,
        batch: &'a [RouteVector],
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.do_it(self.inner.update_vectors(batch))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        self.do_it(self.inner.snapshot())
    }

    fn subscribe(&self) -> Option<BoxStream<RemoteVector>> {
        struct Endless;
        impl Stream for Endless {
            type Item = RemoteVector;
            fn poll_next(
                self: Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<RemoteVector>> {
                std::task::Poll::Ready(Some(RemoteVector::new("flood", vector(u64::MAX, 1.0))))
            }
        }
        if self.endless.load(Ordering::Relaxed) {
            return Some(Box::pin(Endless));
        }
        self.inner.subscribe()
    }

    fn health(&self) -> Health {
        assert!(*self.mood.lock().unwrap() != Mood::PanicsWhenCalled);
        self.inner.health()
    }
}

fn task(
    provider: &Arc<impl StateProvider>,
    source: &Arc<impl PulseSource>,
    config: PulseConfig,
) -> PulseHandle {
    PulseTask::new(Arc::clone(provider) as _, Arc::clone(source) as _, TokioClock::new(), config)
        .seed(7)
        .spawn()
        .unwrap()
}

/// Lets virtual time pass in steps, so that every timer fires in its turn.
async fn pass(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        advance(Duration::from_millis(5)).await;
        tokio::task::yield_now().await;
    }
}

async fn held(provider: &InMemoryProvider, route: &str) -> Option<f64> {
    let held = provider.get_vector(route).await.unwrap();
    held.map(|held| held.resistance.get())
}

#[tokio::test(start_paused = true)]
async fn what_is_synced_reaches_the_provider_within_an_interval_and_the_peer_hears_of_it() {
    let provider = Wicked::new(Mood::Works);
    let peer = Arc::new(provider.inner.peer());
    let (mine, theirs) = (Arc::new(StateManager::new()), Arc::new(StateManager::new()));
    let here = task(&provider, &mine, PulseConfig::default());
    let there = task(&peer, &theirs, PulseConfig::default());
    pass(Duration::from_millis(150)).await;
    assert!(here.is_healthy() && there.is_healthy());

    mine.sync("r", vector(1, 42.0));
    pass(Duration::from_millis(105)).await;
    assert_eq!(held(&provider.inner, "r").await, Some(42.0));
    let remote = theirs.get_remote("r").unwrap();
    assert_eq!(remote.resistance.get().to_bits(), 42.0_f64.to_bits());
    assert_eq!(mine.get_remote("r"), None, "no echo");
    assert_eq!(here.stats().delivered, 1);
    here.stop().await;
    there.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_fails_or_panics_loses_nothing_and_recovers() {
    for mood in [
        Mood::Fails,
        Mood::Hangs,
        Mood::Refuses,
        Mood::PanicsWhenCalled,
        Mood::PanicsWhenPolled,
        Mood::PanicsWhenDropped,
    ] {
        let provider = Wicked::new(Mood::Works);
        let manager = Arc::new(StateManager::new());
        let pulse = task(&provider, &manager, PulseConfig::default());
        manager.sync("before", vector(1, 1.0));
        pass(Duration::from_millis(300)).await;
        assert!(pulse.is_healthy(), "{mood:?}");

        provider.is_now(mood);
        manager.sync("meanwhile", vector(2, 2.0));
        pass(Duration::from_secs(30)).await;
        assert!(!pulse.is_healthy(), "{mood:?}");
        let stats = pulse.stats();
        assert!(stats.failures >= 4, "{mood:?}: {stats:?}");
        assert_eq!(stats.pending, 1, "{mood:?}: {stats:?}");
        let hangs = matches!(mood, Mood::Hangs | Mood::PanicsWhenDropped);
        assert_eq!(stats.timeouts > 0, hangs, "{mood:?}: {stats:?}");
        let panics = matches!(mood, Mood::PanicsWhenCalled | Mood::PanicsWhenPolled);
        assert_eq!(stats.panics > 0, panics, "{mood:?}: {stats:?}");
        assert!(provider.calls() < 30, "{mood:?}: backoff bounds the attempts");

        provider.is_now(Mood::Works);
        pass(Duration::from_secs(12)).await;
        assert!(pulse.is_healthy(), "{mood:?}");
        assert_eq!(held(&provider.inner, "meanwhile").await, Some(2.0));
        let report = pulse.stop().await;
        assert_eq!(report.undelivered, 0, "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_dropped_at_its_deadline() {
    let provider = Wicked::new(Mood::Hangs);
    let manager = Arc::new(StateManager::new());
    let pulse = task(&provider, &manager, PulseConfig::default());
    pass(Duration::from_millis(990)).await;
    assert_eq!(provider.alive.load(Ordering::Relaxed), 1);
    pass(Duration::from_millis(20)).await;
    assert_eq!((provider.alive.load(Ordering::Relaxed), provider.calls()), (0, 1));
    provider.is_now(Mood::Works);
    pulse.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_delivers_what_waits() {
    let provider = Wicked::new(Mood::Works);
    let manager = Arc::new(StateManager::new());
    let pulse = task(&provider, &manager, PulseConfig::default());
    pass(Duration::from_millis(50)).await;
    for route in 0..5_000 {
        manager.sync(&route.to_string(), vector(1, f64::from(route)));
    }
    let report = pulse.stop().await;
    assert_eq!((report.delivered, report.undelivered), (5_000, 0));
    assert_eq!(pulse.stop().await, report);
    assert_eq!(pulse.flush().await, report);
    assert_eq!(held(&provider.inner, "4999").await, Some(4_999.0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_against_a_dead_store_ends_in_time_and_says_what_was_lost() {
    for mood in [Mood::Hangs, Mood::Fails, Mood::PanicsWhenDropped] {
        let provider = Wicked::new(mood);
        let manager = Arc::new(StateManager::new());
        let pulse = task(&provider, &manager, PulseConfig::default());
        manager.sync("r", vector(1, 1.0));
        pass(Duration::from_millis(500)).await;
        let started = Instant::now();
        let report = pulse.stop().await;
        assert_eq!((report.delivered, report.undelivered), (0, 1), "{mood:?}");
        let config = PulseConfig::default();
        let promised = config.flush_timeout() + config.operation_timeout();
        // Tokio's timer has a resolution of a millisecond.
        assert!(started.elapsed() <= promised + Duration::from_millis(5), "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_still_flushes() {
    let provider = Wicked::new(Mood::Works);
    let manager = Arc::new(StateManager::new());
    let pulse = task(&provider, &manager, PulseConfig::default());
    pass(Duration::from_millis(50)).await;
    manager.sync("r", vector(1, 1.0));
    drop(pulse);
    pass(Duration::from_millis(50)).await;
    assert_eq!(held(&provider.inner, "r").await, Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_comes_while_stopping_ends_with_the_stop() {
    let provider = Wicked::new(Mood::Hangs);
    let manager = Arc::new(StateManager::new());
    let pulse = task(&provider, &manager, PulseConfig::default());
    manager.sync("r", vector(1, 1.0));
    let (stopped, flushed) = tokio::join!(pulse.stop(), pulse.flush());
    assert_eq!((stopped.undelivered, flushed.undelivered), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_the_providers_word() {
    let provider = Wicked::new(Mood::Works);
    let manager = Arc::new(StateManager::new());
    let pulse = task(&provider, &manager, PulseConfig::default());
    pass(Duration::from_millis(50)).await;
    manager.sync("r", vector(1, 1.0));
    let started = Instant::now();
    let report = pulse.flush().await;
    assert_eq!((report.delivered, report.undelivered), (1, 0));
    assert_eq!(started.elapsed(), Duration::ZERO, "no waiting for the pulse");

    provider.is_now(Mood::Fails);
    manager.sync("r", vector(2, 2.0));
    assert_eq!(pulse.flush().await.undelivered, 1);
    provider.is_now(Mood::Works);
    assert_eq!(pulse.flush().await.undelivered, 0, "no waiting for the backoff");
    assert_eq!(held(&provider.inner, "r").await, Some(2.0));
    pulse.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_warm_start_restores_what_the_store_held() {
    let provider = Wicked::new(Mood::Works);
    provider.inner.connect().await.unwrap();
    provider.inner.update_vector("r", vector(1, 7.0)).await.unwrap();
    let manager = Arc::new(StateManager::new());
    let pulse = task(&provider, &manager, PulseConfig::default());
    pass(Duration::from_millis(20)).await;
    assert_eq!(manager.get_local("r"), Some(vector(1, 7.0)));
    pulse.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_never_ends_starves_neither_the_pulse_nor_the_runtime() {
    let provider = Wicked::new(Mood::Works);
    provider.endless.store(true, Ordering::Relaxed);
    let manager = Arc::new(StateManager::new());
    let pulse = task(&provider, &manager, PulseConfig::default());
    manager.sync("r", vector(1, 1.0));
    pass(Duration::from_millis(300)).await;
    assert_eq!(held(&provider.inner, "r").await, Some(1.0));
    assert!(pulse.stats().pulses >= 2);
    assert!(manager.get_remote("flood").is_some());
    assert_eq!(pulse.stop().await.undelivered, 0);
}

/// A source that panics in everything.
#[derive(Default)]
struct Rude {
    visits: AtomicU64,
    events: Mutex<Vec<String>>,
}

impl PulseSource for Rude {
    fn collect(&self, now: Timestamp, changes: &mut Collector<'_>) {
        self.visits.fetch_add(1, Ordering::Relaxed);
        changes.push(&Arc::from("r"), PhysicsVector { timestamp: now, ..vector(0, 3.0) });
        panic!("in the source");
    }

    fn warm_start(&self, _: Vec<RouteVector>, _: Timestamp) {
        panic!("in the source");
    }

    fn apply_remote(&self, _: &RemoteVector, _: Timestamp) {
        panic!("in the source");
    }

    fn on_event(&self, event: &PulseEvent) {
        self.events.lock().unwrap().push(format!("{event:?}"));
        panic!("in the source");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_is_counted_and_visited_again() {
    let provider = Wicked::new(Mood::Works);
    let peer = provider.inner.peer();
    peer.connect().await.unwrap();
    peer.update_vector("theirs", vector(1, 1.0)).await.unwrap();
    let source = Arc::new(Rude::default());
    let pulse = task(&provider, &source, PulseConfig::default());
    pass(Duration::from_millis(450)).await;
    provider.is_now(Mood::Fails);
    pass(Duration::from_secs(3)).await;
    assert!(source.visits.load(Ordering::Relaxed) > 4);
    let stats = pulse.stats();
    assert!(stats.source_panics > 4 && stats.delivered >= 1, "{stats:?}");
    assert_eq!(source.events.lock().unwrap().len(), 1, "one warning");
    provider.is_now(Mood::Works);
    pulse.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_pulse_costs_one_heartbeat_a_second() {
    let provider = Wicked::new(Mood::Works);
    let manager = Arc::new(StateManager::new());
    for route in 0..1_000 {
        manager.sync(&route.to_string(), vector(1, 1.0));
    }
    let pulse = task(&provider, &manager, PulseConfig::default());
    pass(Duration::from_millis(500)).await;
    let before = provider.calls();
    pass(Duration::from_secs(10)).await;
    assert!((8..=10).contains(&(provider.calls() - before)));
    assert_eq!(pulse.stats().delivered, 1_000, "the resync found nothing new");
    pulse.stop().await;
}

#[test]
fn runs_on_several_threads_and_the_real_clock() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let provider = Wicked::new(Mood::Works);
    let manager = Arc::new(StateManager::new());
    let pulse = PulseTask::new(
        Arc::clone(&provider) as _,
        Arc::clone(&manager) as _,
        crate::clock::MonotonicClock::new(),
        PulseConfig::default(),
    )
    .spawn_on(runtime.handle());
    let stats = runtime.block_on(async {
        for round in 1..=20 {
            for route in 0..100 {
                manager.sync(&route.to_string(), vector(round, (round * 1_000 + route) as f64));
            }
            assert_eq!(pulse.flush().await.undelivered, 0);
        }
        let stats = pulse.stats();
        pulse.stop().await;
        stats
    });
    // By the flush or by a pulse between the writes, each vector of each round was sent.
    assert_eq!(stats.delivered, 2_000, "{stats:?}");
    assert_eq!(runtime.block_on(held(&provider.inner, "99")), Some(20_099.0));
}

#[test]
fn without_a_runtime_there_is_an_error_not_a_panic() {
    let provider = Wicked::new(Mood::Works);
    let manager = Arc::new(StateManager::new());
    let task =
        PulseTask::new(provider, manager, crate::clock::ManualClock::new(), PulseConfig::default());
    assert_eq!(task.spawn().err(), Some(NoRuntime));
}

#[test]
fn a_runtime_that_goes_away_does_not_leave_the_handle_waiting() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let manager = Arc::new(StateManager::new());
    let guard = runtime.enter();
    let pulse = task(&Wicked::new(Mood::Works), &manager, PulseConfig::default());
    drop(guard);
    drop(runtime);
    let flushed = crate::blocking::block_on(pulse.flush());
    assert_eq!(flushed, FlushReport::default());
    assert_eq!(crate::blocking::block_on(pulse.stop()), FlushReport::default());
}

/// The jitter comes from the seed alone: equal seeds, equal runs; other seeds, other runs.
#[tokio::test(start_paused = true)]
async fn a_run_can_be_replayed_from_its_seed() {
    let mut traces: HashMap<u64, Vec<Vec<Duration>>> = HashMap::new();
    for seed in [1, 2, 1] {
        let provider = Wicked::new(Mood::Fails);
        let manager = Arc::new(StateManager::new());
        let pulse = PulseTask::new(
            Arc::clone(&provider) as _,
            manager,
            TokioClock::new(),
            PulseConfig::default(),
        )
        .seed(seed)
        .spawn()
        .unwrap();
        let started = Instant::now();
        let mut trace = Vec::new();
        while trace.len() < 6 {
            let before = provider.calls();
            pass(Duration::from_millis(5)).await;
            if provider.calls() > before {
                trace.push(started.elapsed());
            }
        }
        traces.entry(seed).or_default().push(trace);
        pulse.stop().await;
    }
    assert_eq!(traces[&1][0], traces[&1][1]);
    assert_ne!(traces[&1][0], traces[&2][0]);
}
