//! The observer port: what happened, told to whoever watches, never at the request's expense.
//!
//! The request path only puts an event into a bounded queue and goes on; a thread of its own
//! hands them to the observer. A full queue drops events and counts them; an observer that
//! blocks delays only itself; one that panics is counted and stays in use.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use atrion_core::law::BreakerMode;
use atrion_core::time::Timestamp;
use atrion_state::peers::Notice;
use atrion_state::pulse::PulseEvent;
use crossbeam_queue::ArrayQueue;

use crate::route::Route;
use crate::shed::Shed;

/// Something an [`Observer`] is told about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A request was refused, or would have been on a shadowed route.
    Shed {
        /// The route.
        route: Route,
        /// Why, by how much, and when to retry.
        shed: Shed,
        /// The route is shadowed: the request was admitted all the same.
        shadow: bool,
    },
    /// The breaker of a route opened or closed.
    ModeChanged {
        /// The route.
        route: Route,
        /// The new mode.
        mode: BreakerMode,
        /// When, on the instance's clock.
        at: Timestamp,
    },
    /// A route holds its requests back because of what other nodes said, or no longer.
    Held {
        /// The route.
        route: Route,
        /// Whether it does so from now on.
        held: bool,
        /// When, on the instance's clock.
        at: Timestamp,
    },
    /// A route was forgotten to make room for another.
    Evicted {
        /// Its name.
        name: Arc<str>,
    },
    /// The configuration in force was replaced.
    Reloaded,
    /// The exchange with the provider has news: trouble, recovery, lost data.
    Pulse(PulseEvent),
    /// The cluster has news: links, nodes, the licence.
    Cluster(Notice),
}

/// Watches an instance. All methods have a default, so implement what you need.
pub trait Observer: Send + Sync + 'static {
    /// One event, in the order of their happening on each thread.
    fn event(&self, event: &Event);
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn event(&self, event: &Event) {
        O::event(self, event);
    }
}

/// How the observer fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObserverHealth {
    /// Events it was given.
    pub delivered: u64,
    /// Events dropped because it did not keep up.
    pub dropped: u64,
    /// Events during which it panicked.
    pub panicked: u64,
}

#[derive(Debug)]
struct Queue {
    events: ArrayQueue<Event>,
    closed: AtomicBool,
    asleep: AtomicBool,
    delivered: AtomicU64,
    dropped: AtomicU64,
    panicked: AtomicU64,
}

/// The queue and the thread behind it.
#[derive(Debug)]
pub(crate) struct Relay {
    queue: Arc<Queue>,
    thread: Thread,
    worker: std::sync::Mutex<Option<JoinHandle<()>>>,
}

/// Longest nap of the thread: how late an event may be told if its wake-up was missed.
const NAP: Duration = Duration::from_millis(50);

impl Relay {
    pub(crate) fn start(observer: Box<dyn Observer>, capacity: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue {
            events: ArrayQueue::new(capacity.max(1)),
            closed: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
        });
        let theirs = Arc::clone(&queue);
        let worker = thread::Builder::new()
            .name("atrion-observer".into())
            .spawn(move || theirs.deliver(&*observer))?;
        Ok(Self {
            queue,
            thread: worker.thread().clone(),
            worker: std::sync::Mutex::new(Some(worker)),
        })
    }

    /// Queues an event; never waits, never allocates.
    pub(crate) fn tell(&self, event: Event) {
        if self.queue.events.push(event).is_err() {
            self.queue.dropped.fetch_add(1, Relaxed);
        } else if self.queue.asleep.load(Relaxed) && self.queue.asleep.swap(false, Relaxed) {
            self.thread.unpark();
        }
    }

    pub(crate) fn health(&self) -> ObserverHealth {
        ObserverHealth {
            delivered: self.queue.delivered.load(Relaxed),
            dropped: self.queue.dropped.load(Relaxed),
            panicked: self.queue.panicked.load(Relaxed),
        }
    }

    /// Lets the thread tell what is queued and end. Does not wait for it: an observer that hangs
    /// must not hang a shutdown.
    pub(crate) fn close(&self) {
        self.queue.closed.store(true, Relaxed);
        self.thread.unpark();
        if let Ok(mut worker) = self.worker.lock() {
            drop(worker.take());
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

impl Queue {
    fn deliver(&self, observer: &dyn Observer) {
        loop {
            while let Some(event) = self.events.pop() {
                if catch_unwind(AssertUnwindSafe(|| observer.event(&event))).is_ok() {
                    self.delivered.fetch_add(1, Relaxed);
                } else {
                    self.panicked.fetch_add(1, Relaxed);
                }
            }
            if self.closed.load(Relaxed) && self.events.is_empty() {
                return;
            }
            self.asleep.store(true, Relaxed);
            thread::park_timeout(NAP);
        }
    }
}
