//! One of the two: what it has not taken yet, and the one call of it that is under way.

use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_core::vector::PhysicsVector;
use hashlink::LinkedHashMap;

use crate::clock::Clock;
use crate::contain::Guarded;
use crate::entropy::Draws;
use crate::provider::{Health, ProviderError, RouteVector, StateProvider};
use crate::retry::backoff;

const BACKOFF_BASE: Duration = Duration::from_millis(100);
const BACKOFF_CAP: Duration = Duration::from_secs(5);

/// What a call was for.
enum Work {
    Connect,
    Push(Arc<[RouteVector]>),
    Disconnect,
}

enum Reply {
    Done,
    /// Connected, and this is what it remembers.
    Remembers(Vec<RouteVector>),
}

struct Flight {
    work: Work,
    /// Everything asked up to this ticket is answered by its end.
    ticket: u64,
    future: Guarded<Reply>,
    /// Somebody has given up waiting for it.
    late: bool,
}

/// Whether what the part remembers was told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    No,
    /// A snapshot was asked while it could not tell: what its connection finds is recalled.
    Awaited,
    Yes,
}

struct State {
    wanted: bool,
    connected: bool,
    /// The latest of each route that the part has not taken.
    waiting: LinkedHashMap<Arc<str>, PhysicsVector, RandomState>,
    /// An empty batch was offered and not passed on yet.
    heartbeat: bool,
    flight: Option<Flight>,
    /// The last ticket given, the last that was answered well, and the last that was not.
    asked: u64,
    done: u64,
    failed: u64,
    failures: u32,
    retry_at: Option<Timestamp>,
    trouble: Option<String>,
    told: Told,
    recalled: Vec<RouteVector>,
    draws: Draws,
}

/// One part of a [`Composed`](super::Composed).
pub(super) struct Part {
    name: &'static str,
    provider: Arc<dyn StateProvider>,
    max_waiting: usize,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    bell: Arc<Bell>,
}

/// Wakes everybody who waits for the call under way: it knows only who polled it last.
#[derive(Default)]
struct Bell(Mutex<Vec<Waker>>);

impl Bell {
    fn listen(&self, waker: &Waker) {
        let mut wakers = lock(&self.0);
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    fn ring(&self) {
        let wakers = std::mem::take(&mut *lock(&self.0));
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every step leaves a whole value behind, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Part {
    pub(super) fn new(
        name: &'static str,
        provider: Arc<dyn StateProvider>,
        max_waiting: usize,
        clock: Arc<dyn Clock>,
        draws: Draws,
    ) -> Self {
        let state = State {
            wanted: false,
            connected: false,
            waiting: LinkedHashMap::with_hasher(RandomState::new()),
            heartbeat: false,
            flight: None,
            asked: 0,
            done: 0,
            failed: 0,
            failures: 0,
            retry_at: None,
            trouble: None,
            told: Told::No,
            recalled: Vec::new(),
            draws,
        };
        Self { name, provider, max_waiting, clock, state: Mutex::new(state), bell: Arc::default() }
    }

    pub(super) fn provider(&self) -> &Arc<dyn StateProvider> {
        &self.provider
    }

    /// Whether it is worth waiting for: nobody has given up waiting for what is under way.
    pub(super) fn is_on_time(&self) -> bool {
        lock(&self.state).flight.as_ref().is_none_or(|flight| !flight.late)
    }

    /// Somebody has given up waiting.
    pub(super) fn given_up(&self) {
        if let Some(flight) = &mut lock(&self.state).flight {
            flight.late = true;
        }
    }

    pub(super) fn late(&self) -> ProviderError {
        ProviderError::unavailable("a call", format!("the {} part does not answer", self.name))
    }

    /// It is to be connected.
    pub(super) fn want(&self) -> u64 {
        let mut state = lock(&self.state);
        state.wanted = true;
        state.retry_at = None;
        state.asked += 1;
        state.asked
    }

    /// It is to be disconnected; what it has not taken by then is not sent.
    pub(super) fn unwant(&self) -> u64 {
        let mut state = lock(&self.state);
        state.wanted = false;
        state.waiting.clear();
        state.heartbeat = false;
        state.recalled.clear();
        state.told = Told::No;
        state.trouble = None;
        // Whatever hangs must not keep it from being let go.
        state.flight = None;
        state.asked += 1;
        state.asked
    }

    /// Takes a batch for it, the latest of each route.
    pub(super) fn offer(&self, batch: &[RouteVector]) -> u64 {
        let mut state = lock(&self.state);
        state.heartbeat |= batch.is_empty();
        for change in batch {
            state.take(change, self.max_waiting);
        }
        state.asked += 1;
        state.asked
    }

    /// Goes on with what is under way, and says how what was asked under `ticket` ended.
    pub(super) fn poll(
        &self,
        ticket: u64,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ProviderError>> {
        self.bell.listen(context.waker());
        let waker = Waker::from(Arc::clone(&self.bell));
        let now = self.clock.now();
        let mut state = lock(&self.state);
        loop {
            if state.done >= ticket {
                return Poll::Ready(Ok(()));
            }
            if state.failed >= ticket {
                return Poll::Ready(Err(self.failure(&state)));
            }
            let Some(flight) = &mut state.flight else {
                if let Some(result) = self.start(&mut state, now) {
                    return Poll::Ready(result);
                }
                continue;
            };
            let future = std::pin::Pin::new(&mut flight.future);
            let Poll::Ready(result) = future.poll(&mut Context::from_waker(&waker)) else {
                return Poll::Pending;
            };
            if let Some(flight) = state.flight.take() {
                state.landed(flight, result, now, self.max_waiting);
            }
            // The others learn of it, too.
            self.bell.ring();
        }
    }

    fn failure(&self, state: &State) -> ProviderError {
        let why = state.trouble.clone().unwrap_or_else(|| "it failed".to_owned());
        ProviderError::unavailable("a call", format!("the {} part: {why}", self.name))
    }

    /// Starts the next call, or says why there is none.
    fn start(&self, state: &mut State, now: Timestamp) -> Option<Result<(), ProviderError>> {
        if state.wanted && state.retry_at.is_some_and(|at| now < at) {
            state.failed = state.asked;
            return Some(Err(self.failure(state)));
        }
        let provider = Arc::clone(&self.provider);
        let (work, operation, future): (_, _, crate::provider::BoxFuture<'static, _>) = if !state
            .wanted
        {
            let leave = async move { provider.disconnect().await.map(|()| Reply::Done) };
            (Work::Disconnect, "disconnect", Box::pin(leave))
        } else if !state.connected {
            let connect = async move {
                provider.connect().await?;
                // Not to be had, it is as if there were nothing.
                Ok(Reply::Remembers(provider.snapshot().await.unwrap_or_default()))
            };
            (Work::Connect, "connect", Box::pin(connect))
        } else if state.waiting.is_empty() && !state.heartbeat {
            state.done = state.asked;
            return Some(Ok(()));
        } else {
            let batch: Arc<[RouteVector]> = std::mem::replace(
                &mut state.waiting,
                LinkedHashMap::with_hasher(RandomState::new()),
            )
            .into_iter()
            .map(|(route, vector)| RouteVector { route, vector })
            .collect();
            state.heartbeat = false;
            let sent = Arc::clone(&batch);
            let push = async move { provider.update_vectors(&sent).await.map(|()| Reply::Done) };
            (Work::Push(batch), "update_vectors", Box::pin(push))
        };
        let future = Guarded::new(operation, future);
        state.flight = Some(Flight { work, ticket: state.asked, future, late: false });
        None
    }

    /// Its newest vector of `route`: what it has not taken yet, else what it knows. A part that is
    /// late is not asked.
    pub(super) async fn get(&self, route: &str) -> Option<PhysicsVector> {
        {
            let state = lock(&self.state);
            if let Some(vector) = state.on_its_way(route) {
                return Some(vector);
            }
            if !state.connected || state.flight.is_some() {
                return None;
            }
        }
        self.provider.get_vector(route).await.ok().flatten()
    }

    /// All that it knows or has not taken yet.
    pub(super) async fn snapshot(&self) -> Vec<RouteVector> {
        let on_its_way = {
            let mut state = lock(&self.state);
            if state.told == Told::No {
                state.told = Told::Awaited;
            }
            state.recalled.clear();
            let all = state.all_on_its_way();
            if !state.connected || state.flight.is_some() {
                return all;
            }
            all
        };
        let mut all = self.provider.snapshot().await.unwrap_or_default();
        all.extend(on_its_way);
        all
    }

    /// What was found by a connection that came after the snapshot.
    pub(super) fn recalled(&self) -> Vec<RouteVector> {
        let mut recalled = std::mem::take(&mut lock(&self.state).recalled);
        recalled.extend(self.provider.recalled());
        recalled
    }

    pub(super) fn is_healthy(&self) -> bool {
        let state = lock(&self.state);
        state.connected && state.trouble.is_none() && self.provider.health() == Health::Healthy
    }

    /// What is wrong with it, by its name.
    pub(super) fn trouble(&self) -> Option<String> {
        if self.is_healthy() {
            return None;
        }
        let said = self.provider.trouble().or_else(|| lock(&self.state).trouble.clone());
        let said = said.unwrap_or_else(|| "it is not connected".to_owned());
        Some(format!("{}: {said}", self.name))
    }
}

impl State {
    fn take(&mut self, change: &RouteVector, max: usize) {
        if let Some(held) = self.waiting.get_mut(&*change.route) {
            if change.vector.timestamp >= held.timestamp {
                *held = change.vector;
            }
            return;
        }
        if self.waiting.len() >= max {
            self.waiting.pop_front();
        }
        self.waiting.insert(Arc::clone(&change.route), change.vector);
    }

    fn landed(
        &mut self,
        flight: Flight,
        result: Result<Reply, ProviderError>,
        now: Timestamp,
        max: usize,
    ) {
        match (flight.work, result) {
            (Work::Connect, Ok(reply)) => {
                self.connected = true;
                if let (Told::Awaited, Reply::Remembers(vectors)) = (self.told, reply) {
                    self.recalled = vectors;
                }
                self.told = Told::Yes;
                self.succeeded();
                if self.waiting.is_empty() && !self.heartbeat {
                    self.done = flight.ticket;
                }
            }
            (Work::Push(_), Ok(_)) => {
                self.succeeded();
                self.done = flight.ticket;
            }
            (Work::Disconnect, _) => {
                // In effect whatever it says.
                self.connected = false;
                self.retry_at = None;
                self.done = flight.ticket;
            }
            (work, Err(error)) => {
                if let Work::Push(batch) = work {
                    for change in &*batch {
                        // What came meanwhile is newer.
                        if !self.waiting.contains_key(&*change.route) {
                            self.take(change, max);
                        }
                    }
                }
                if matches!(error, ProviderError::NotConnected) {
                    self.connected = false;
                }
                self.failures = self.failures.saturating_add(1);
                let draw = self.draws.draw();
                let wait = backoff(BACKOFF_BASE, BACKOFF_CAP, self.failures, draw);
                self.retry_at = Some(now.saturating_add(wait));
                self.trouble = Some(describe(&error));
                self.failed = flight.ticket;
            }
        }
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.retry_at = None;
        self.trouble = None;
    }

    fn on_its_way(&self, route: &str) -> Option<PhysicsVector> {
        if let Some(vector) = self.waiting.get(route) {
            return Some(*vector);
        }
        let Some(Flight { work: Work::Push(batch), .. }) = &self.flight else { return None };
        batch.iter().find(|change| &*change.route == route).map(|change| change.vector)
    }

    fn all_on_its_way(&self) -> Vec<RouteVector> {
        let mut all = Vec::new();
        if let Some(Flight { work: Work::Push(batch), .. }) = &self.flight {
            all.extend(batch.iter().cloned());
        }
        let waiting = self.waiting.iter();
        all.extend(waiting.map(|(route, vector)| RouteVector::new(Arc::clone(route), *vector)));
        all
    }
}

/// An error with its sources on one line.
fn describe(error: &ProviderError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
