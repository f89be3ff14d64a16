//! A thread that sends requests while a store is in trouble, and watches what they feel.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::Atrion;
use atrion_state::clock::{Clock, MonotonicClock};

use crate::wait::until;

/// Requests between two looks at the kernel's counters.
const BATCH: u64 = 100;
/// Far below what the shortest wait for a store would take, the timeout of an operation; far above
/// what a busy machine takes to give a thread its turn.
const LONGEST: Duration = Duration::from_millis(200);

/// Requests on a thread of their own until told to stop.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<Felt>,
}

/// What the requests felt.
#[derive(Debug, Default)]
struct Felt {
    refused: u64,
    longest: Duration,
    /// Times that the kernel put the thread to sleep inside a batch, other than to give another
    /// its turn: a lock, a socket or anything else that can be waited for.
    waits: u64,
}

impl Traffic {
    /// Healthy requests of all kinds on the route `name`, thousands a second.
    pub fn start(atrion: &Atrion, name: &str) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let route = atrion.route(name);
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = thread::spawn(move || {
            let clock = MonotonicClock::new();
            let mut felt = Felt::default();
            while !stopped.load(Relaxed) {
                let before = waits();
                for _ in 0..BATCH {
                    let start = clock.now();
                    match route.admit(Priority::Normal) {
                        Ok(permit) => permit.success(),
                        Err(_) => felt.refused += 1,
                    }
                    let took = clock.now().since(start);
                    felt.longest = felt.longest.max(took);
                }
                felt.waits += waits() - before;
                counted.fetch_add(BATCH, Relaxed);
                // Leaves the processors to the others.
                thread::sleep(Duration::from_millis(1));
            }
            felt
        });
        Self { stop, sent, thread }
    }

    /// How many requests were sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Waits until a few thousand more requests were sent, so that what goes on is not over too soon
    /// for them.
    pub async fn flows(&self) {
        let enough = self.sent() + 2_000;
        until("requests flow", || self.sent() >= enough).await;
    }

    /// Stops.
    ///
    /// # Panics
    /// If any request was refused or waited, or if there were hardly any.
    pub fn assert_unharmed(self) {
        self.stop.store(true, Relaxed);
        let sent = Arc::clone(&self.sent);
        let felt = self.thread.join().expect("requests do not panic");
        let sent = sent.load(Relaxed);
        assert!(sent >= 10 * BATCH, "only {sent} requests were sent");
        assert_eq!(felt.refused, 0, "{felt:?} of {sent}");
        assert!(felt.longest < LONGEST, "{felt:?} of {sent}");
        // The kernel itself may make a thread wait, for a page or for its own books, very rarely.
        assert!(felt.waits <= 5 + sent / BATCH / 100, "{felt:?} of {sent}");
    }
}

/// How often the kernel has put this thread to sleep because it waited for something.
fn waits() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}
