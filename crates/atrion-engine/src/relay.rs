//! From the request path to the observers: a bounded queue and a thread for each.
//!
//! The request path only puts an event into a queue and goes on; the thread hands it to the observer.
//! A full queue drops events and counts them; an observer that blocks delays only itself; one that
//! panics is counted and stays in use.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_queue::ArrayQueue;

use crate::error::ObserveError;
use crate::hub::Hub;
use crate::observer::{Event, Interest, Observer, ObserverHealth};

/// Events an observer may lag behind before they are dropped.
const QUEUE: usize = 4096;
/// Observers that one instance may have at a time.
pub(crate) const OBSERVER_LIMIT: usize = 16;
/// Longest nap of a thread: how late an event may be told if its wake-up was missed.
const NAP: Duration = Duration::from_millis(50);
/// What comes in masses wakes nobody: it is told after the nap.
const MASSES: Interest = Interest::of_bits(Interest::DECISIONS.bits() | Interest::TICKS.bits());

#[derive(Debug, Default)]
struct Health {
    delivered: AtomicU64,
    dropped: AtomicU64,
    panicked: AtomicU64,
}

impl Health {
    fn read(&self) -> ObserverHealth {
        ObserverHealth {
            delivered: self.delivered.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            panicked: self.panicked.load(Relaxed),
        }
    }
}

/// What all relays of an instance share, past ones included.
#[derive(Debug, Default)]
struct Totals {
    health: Health,
    /// Threads that have not ended.
    threads: AtomicUsize,
}

#[derive(Debug)]
struct Queue {
    events: ArrayQueue<Event>,
    closed: AtomicBool,
    asleep: AtomicBool,
    health: Health,
    totals: Arc<Totals>,
}

/// One observer's queue, and the thread behind it.
#[derive(Debug)]
pub(crate) struct Relay {
    queue: Arc<Queue>,
    interest: Interest,
    thread: Thread,
}

impl Relay {
    fn start(
        observer: Box<dyn Observer>,
        interest: Interest,
        totals: &Arc<Totals>,
    ) -> Result<Self, ObserveError> {
        let queue = Arc::new(Queue {
            events: ArrayQueue::new(QUEUE),
            closed: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            health: Health::default(),
            totals: Arc::clone(totals),
        });
        let theirs = Arc::clone(&queue);
        totals.threads.fetch_add(1, Relaxed);
        let counted = Counted(Arc::clone(totals));
        let worker = thread::Builder::new().name("atrion-observer".into()).spawn(move || {
            let _counted = counted;
            theirs.deliver(&*observer);
        });
        let worker = worker.map_err(ObserveError::Thread)?;
        Ok(Self { queue, interest, thread: worker.thread().clone() })
    }

    /// Queues an event; never waits, never allocates.
    fn tell(&self, event: Event, kind: Interest) {
        let queue = &*self.queue;
        let full = queue.events.push(event).is_err();
        if full {
            queue.health.dropped.fetch_add(1, Relaxed);
            queue.totals.health.dropped.fetch_add(1, Relaxed);
        }
        let urgent = full || !MASSES.contains(kind);
        if urgent && queue.asleep.load(Relaxed) && queue.asleep.swap(false, Relaxed) {
            self.thread.unpark();
        }
    }

    /// Lets the thread tell what is queued and end. Does not wait for it: an observer that hangs
    /// must not hang a shutdown.
    fn close(&self) {
        self.queue.closed.store(true, Relaxed);
        self.thread.unpark();
    }
}

/// One of the living threads.
struct Counted(Arc<Totals>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.threads.fetch_sub(1, Relaxed);
    }
}

impl Queue {
    fn deliver(&self, observer: &dyn Observer) {
        loop {
            while let Some(event) = self.events.pop() {
                let fine = catch_unwind(AssertUnwindSafe(|| observer.event(&event))).is_ok();
                for health in [&self.health, &self.totals.health] {
                    let count = if fine { &health.delivered } else { &health.panicked };
                    count.fetch_add(1, Relaxed);
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

/// All observers of an instance.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    /// What any of them wants: all that a request looks at while nobody does.
    wanted: AtomicU32,
    list: ArcSwap<Vec<Arc<Relay>>>,
    totals: Arc<Totals>,
    changing: Mutex<()>,
}

impl Relays {
    /// Whether anybody wants to be told any of `kinds`.
    #[inline]
    pub(crate) fn want(&self, kinds: Interest) -> bool {
        Interest::of_bits(self.wanted.load(Relaxed)).intersects(kinds)
    }

    /// Tells whoever wants to be told any of `kinds`. The event is made only for them.
    pub(crate) fn tell(&self, kinds: Interest, event: impl FnOnce() -> Event) {
        if !self.want(kinds) {
            return;
        }
        let list = self.list.load();
        let mut wanting = list.iter().filter(|relay| relay.interest.intersects(kinds)).peekable();
        if wanting.peek().is_none() {
            return;
        }
        let event = event();
        while let Some(relay) = wanting.next() {
            if wanting.peek().is_none() {
                return relay.tell(event, kinds);
            }
            relay.tell(event.clone(), kinds);
        }
    }

    pub(crate) fn attach(&self, observer: Box<dyn Observer>) -> Result<Arc<Relay>, ObserveError> {
        let interest = observer.interest();
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.totals.threads.load(Relaxed) >= OBSERVER_LIMIT {
            return Err(ObserveError::TooMany { limit: OBSERVER_LIMIT });
        }
        let relay = Arc::new(Relay::start(observer, interest, &self.totals)?);
        let mut list = Vec::clone(&self.list.load());
        list.push(Arc::clone(&relay));
        self.replace(list);
        Ok(relay)
    }

    fn detach(&self, relay: &Arc<Relay>) {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = Vec::clone(&self.list.load());
        list.retain(|other| !Arc::ptr_eq(other, relay));
        self.replace(list);
        relay.close();
    }

    fn replace(&self, list: Vec<Arc<Relay>>) {
        let wanted = list.iter().fold(Interest::NONE, |all, relay| all | relay.interest);
        self.list.store(Arc::new(list));
        self.wanted.store(wanted.bits(), Relaxed);
    }

    pub(crate) fn health(&self) -> ObserverHealth {
        self.totals.health.read()
    }
}

impl Drop for Relays {
    fn drop(&mut self) {
        for relay in self.list.load().iter() {
            relay.close();
        }
    }
}

/// An observer attached to a running instance by [`Atrion::observe`](crate::Atrion::observe).
/// Dropping this detaches it.
#[derive(Debug)]
#[must_use = "dropping a subscription detaches its observer"]
pub struct Subscription {
    hub: Weak<Hub>,
    relay: Arc<Relay>,
}

impl Subscription {
    pub(crate) fn new(hub: &Arc<Hub>, relay: Arc<Relay>) -> Self {
        Self { hub: Arc::downgrade(hub), relay }
    }

    /// How the observer fares.
    pub fn health(&self) -> ObserverHealth {
        self.relay.queue.health.read()
    }

    /// What the observer said that it wants to be told.
    pub fn interest(&self) -> Interest {
        self.relay.interest
    }

    /// Detaches the observer, as dropping does: nothing new is queued for it, what is queued
    /// already is still told, and its thread ends. Does not wait for that.
    pub fn detach(self) {}

    /// Leaves the observer attached for as long as the instance exists.
    pub fn keep(mut self) {
        self.hub = Weak::new();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.relays.detach(&self.relay);
        }
    }
}
