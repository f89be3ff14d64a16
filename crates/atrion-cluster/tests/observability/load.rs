//! The traffic: more than a small service can do, and a dependency that can be broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Route};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What the service can do: so many at once, for so long each.
const WORKERS: usize = 4;
const SERVICE: Duration = Duration::from_millis(5);
/// Callers of `/pay`, who share out the tiers among them: together they ask for twice what the service
/// can do, the two highest tiers for less than it can.
const CALLERS: usize = 40;
/// How long a caller waits between two requests.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    broken: AtomicBool,
    admitted: [AtomicU64; 5],
    refused: [AtomicU64; 5],
    completed: AtomicU64,
}

/// Callers at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    callers: JoinSet<()>,
}

/// What the callers of `/pay` have seen.
pub(crate) struct Seen {
    /// Admitted and refused.
    pub(crate) tiers: [(Priority, u64, u64); 5],
    pub(crate) completed: u64,
}

impl Load {
    pub(crate) fn start(atrion: &Atrion) -> Self {
        let shared = Arc::new(Shared::default());
        let workers = Arc::new(Semaphore::new(WORKERS));
        let mut callers = JoinSet::new();
        for i in 0..CALLERS {
            let tier = Priority::ALL[i % 5];
            let route = atrion.route("/pay");
            callers.spawn(pay(Arc::clone(&shared), Arc::clone(&workers), route, tier));
        }
        for _ in 0..4 {
            callers.spawn(stock(Arc::clone(&shared), atrion.route("to stock")));
        }
        Self { shared, callers }
    }

    pub(crate) fn break_dependency(&self, broken: bool) {
        self.shared.broken.store(broken, Relaxed);
    }

    pub(crate) fn completed(&self) -> u64 {
        self.shared.completed.load(Relaxed)
    }

    /// Ends it, and waits for what is in flight.
    pub(crate) async fn stop(mut self) -> Seen {
        self.shared.over.store(true, Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.expect("no caller panics");
        }
        let Shared { admitted, refused, .. } = &*self.shared;
        let count = |counts: &[AtomicU64; 5], tier: usize| counts[tier].load(Relaxed);
        Seen {
            tiers: std::array::from_fn(|i| {
                (Priority::ALL[i], count(admitted, i), count(refused, i))
            }),
            completed: self.completed(),
        }
    }
}

async fn pay(shared: Arc<Shared>, workers: Arc<Semaphore>, route: Route, tier: Priority) {
    while !shared.over.load(Relaxed) {
        match route.admit(tier) {
            Ok(permit) => {
                shared.admitted[tier as usize].fetch_add(1, Relaxed);
                let worker = workers.acquire().await.expect("never closed");
                sleep(SERVICE).await;
                drop(worker);
                permit.success();
                shared.completed.fetch_add(1, Relaxed);
            }
            Err(_) => {
                shared.refused[tier as usize].fetch_add(1, Relaxed);
            }
        }
        sleep(PAUSE).await;
    }
}

async fn stock(shared: Arc<Shared>, route: Route) {
    while !shared.over.load(Relaxed) {
        // The process's circuit stands before this route, too: only the highest tier is sure of a place.
        if let Ok(permit) = route.admit(Priority::Critical) {
            sleep(SERVICE).await;
            let worked = if shared.broken.load(Relaxed) { Err(()) } else { Ok(()) };
            permit.record(&worked);
        }
        sleep(PAUSE).await;
    }
}
