//! Leases: long tasks that keep their place for as long as they show that they live.

use std::cmp::Ordering as Order;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};

use atrion_core::profile::LeaseTerms;
use atrion_core::time::Timestamp;
use atrion_core::units::Volts;
use event_listener::Event as Bell;
use thiserror::Error;

use crate::cell::Ticket;
use crate::observer::{Event, Interest};
use crate::permit::{AsOutcome, Outcome};
use crate::route::Route;
use crate::shed::Shed;

mod claim;

use claim::{Claim, Standing};

/// Leases that one look for expired ones goes through at most: it may be on a request's thread.
const LOOKS: usize = 64;
/// Leases kept track of before those that ended are looked for.
const FIRST_SWEEP: usize = 64;

/// How a [`Lease`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseState {
    /// It holds its place.
    Live,
    /// It holds its place, and somebody wants the task to stop.
    Cancelled,
    /// Its heartbeat stopped, or it lasted as long as it may: its place was given back.
    Expired,
    /// Its holder ended or dropped it.
    Ended,
}

/// What happened to a lease: see [`Event::Lease`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseChange {
    /// It was granted.
    Granted,
    /// Somebody wants the task to stop.
    Cancelled,
    /// Its place was given back without it.
    Expired,
    /// Its holder ended it, or dropped it: then the outcome is [`Outcome::Cancelled`].
    Ended(Outcome),
}

/// A heartbeat that says to its sender: stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LeaseOver {
    /// Somebody [cancelled](LeaseToken::cancel) the lease. It still holds its place, and the
    /// heartbeat counted: stop, and end it.
    #[error("the lease was cancelled")]
    Cancelled,
    /// It had expired: its place may be another's by now, and what it ends with is not recorded.
    #[error("the lease has expired")]
    Expired,
}

/// What holder, tokens and those who look for expired leases share.
struct Shared {
    route: Route,
    ticket: Ticket,
    claim: Claim,
    cancelled: AtomicBool,
    /// Rung when it is live no longer.
    over: Bell,
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.route.0.hub.now()
    }

    fn state(&self) -> LeaseState {
        let now = self.now();
        match self.claim.standing(now) {
            Standing::Live(_) if self.cancelled.load(Relaxed) => LeaseState::Cancelled,
            Standing::Live(_) => LeaseState::Live,
            Standing::Ended => LeaseState::Ended,
            Standing::Expired => LeaseState::Expired,
            Standing::Overdue => {
                self.expire(now);
                LeaseState::Expired
            }
        }
    }

    fn end(&self, outcome: Outcome) {
        let now = self.now();
        if self.claim.end(now) {
            self.give_back(outcome, LeaseChange::Ended(outcome), now);
        } else {
            self.expire(now);
        }
    }

    fn expire(&self, now: Timestamp) {
        if self.claim.expire(now) {
            self.give_back(Outcome::Cancelled, LeaseChange::Expired, now);
        }
    }

    fn give_back(&self, outcome: Outcome, change: LeaseChange, now: Timestamp) {
        self.route.lease_is_over(self.ticket);
        self.route.end(self.ticket, outcome);
        self.tell(change, now);
        self.over.notify(usize::MAX);
    }

    fn cancel(&self) {
        if self.state() == LeaseState::Live && !self.cancelled.swap(true, Relaxed) {
            self.tell(LeaseChange::Cancelled, self.now());
            self.over.notify(usize::MAX);
        }
    }

    fn tell(&self, change: LeaseChange, at: Timestamp) {
        self.route.0.hub.tell(Interest::LEASES, || Event::Lease {
            route: self.route.clone(),
            change,
            held_for: at.since(self.claim.granted()),
            at,
        });
    }
}

/// Leave to do a long task, for as long as it shows that it lives.
///
/// A permit for work that takes minutes rather than milliseconds, and whose holder may die without a
/// word. While it is held the task counts as in flight, and so as saturation. Its holder calls
/// [`heartbeat`](Self::heartbeat) now and then; if none comes for the time that was agreed on, or the
/// task takes longer than was, the lease expires: its place is given back, as cancelled work, and
/// observers are told. Dropping it ends it as cancelled.
///
/// The route learns from it what it learns from any request, its duration included. So give long
/// tasks a route of their own rather than one that answers in milliseconds.
///
/// ```
/// use atrion_core::flow::Priority;
/// use atrion_engine::{Atrion, LeaseState};
/// use std::time::Duration;
///
/// let atrion = Atrion::builder().build()?;
/// let reports = atrion.route("jobs/report");
/// let lease = reports.lease(Priority::Low, Duration::from_secs(30))?;
/// let token = lease.token();
/// for _page in 0..3 {
///     // ... some of the work, then:
///     if lease.heartbeat().is_err() {
///         break;
///     }
/// }
/// assert_eq!(token.state(), LeaseState::Live);
/// lease.success();
/// assert_eq!(token.state(), LeaseState::Ended);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lease dropped at once counts as cancelled work"]
pub struct Lease(Arc<Shared>);

impl Lease {
    /// Shows that the task lives. A few atomic operations; may be called on any thread.
    ///
    /// # Errors
    /// [`LeaseOver`] if the task should stop: somebody cancelled it, or the lease had expired.
    pub fn heartbeat(&self) -> Result<(), LeaseOver> {
        let now = self.0.now();
        if !self.0.claim.beat(now) {
            self.0.expire(now);
            return Err(LeaseOver::Expired);
        }
        if self.0.cancelled.load(Relaxed) { Err(LeaseOver::Cancelled) } else { Ok(()) }
    }

    /// How it stands now.
    pub fn state(&self) -> LeaseState {
        self.0.state()
    }

    /// When it expires if no further heartbeat comes, on the instance's clock; `None` if it has.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self.0.claim.standing(self.0.now()) {
            Standing::Live(until) => Some(until),
            Standing::Overdue | Standing::Expired | Standing::Ended => None,
        }
    }

    /// A view of this lease for others: to see how it stands, to wait for its end, to cancel it.
    pub fn token(&self) -> LeaseToken {
        LeaseToken(Arc::clone(&self.0))
    }

    /// The route that granted it.
    pub fn route(&self) -> &Route {
        &self.0.route
    }

    /// Records how the task ended, judged from its result. Nothing, if the lease has expired.
    pub fn record<O: AsOutcome + ?Sized>(self, result: &O) {
        self.0.end(result.as_outcome());
    }

    /// The task ended well. Records nothing if the lease has expired.
    pub fn success(self) {
        self.0.end(Outcome::Success);
    }

    /// The task failed in a way that speaks against the service. Records nothing if the lease has
    /// expired.
    pub fn failure(self) {
        self.0.end(Outcome::Failure);
    }

    /// The task was given up. The same as dropping the lease.
    pub fn cancel(self) {
        self.0.end(Outcome::Cancelled);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Does nothing if it is over already.
        self.0.end(Outcome::Cancelled);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("route", &self.0.route.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// Others' view of a [`Lease`]: cheap to clone, to be moved anywhere.
#[derive(Clone)]
pub struct LeaseToken(Arc<Shared>);

impl LeaseToken {
    /// How the lease stands now.
    pub fn state(&self) -> LeaseState {
        self.0.state()
    }

    /// Whether the task should stop, or has stopped.
    pub fn is_over(&self) -> bool {
        self.state() != LeaseState::Live
    }

    /// Wants the task to stop. It keeps its place until it does: its holder learns of it from its
    /// next heartbeat, and whoever waits for [`over`](Self::over) at once.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Waits until the lease is live no longer, and says why. Needs no particular runtime; may be
    /// dropped at any time.
    ///
    /// That a lease expired is noticed by whoever looks: its heartbeat, its tokens, the requests of
    /// any route, [`Atrion::tick`](crate::Atrion::tick) and the pulse. If none of them comes, neither
    /// does this.
    pub async fn over(&self) -> LeaseState {
        loop {
            // Listens first and looks second, so that no end is missed in between.
            let bell = self.0.over.listen();
            match self.state() {
                LeaseState::Live => bell.await,
                over => return over,
            }
        }
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseToken")
            .field("route", &self.0.route.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Route {
    /// Asks for leave to do a long task of priority or voltage `v`, with a heartbeat due at least as
    /// often as `terms` say: a [`Duration`](std::time::Duration) is the longest silence; with
    /// [`LeaseTerms`] the task's whole duration is bounded as well, and a
    /// [`Profile`](atrion_core::profile::Profile) has terms for its kind of work.
    ///
    /// Decides as [`admit`](Self::admit) does. Unlike that it allocates, and it may wait for another
    /// thread that grants a lease. A silence of zero is over at once.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub fn lease(&self, v: impl Into<Volts>, terms: impl Into<LeaseTerms>) -> Result<Lease, Shed> {
        let hub = &self.0.hub;
        let now = hub.now();
        hub.leases.reap(now);
        let ticket = self.admitted(v.into())?.leased();
        self.lease_begins(ticket);
        let shared = Arc::new(Shared {
            route: self.clone(),
            ticket,
            claim: Claim::new(now, terms.into()),
            cancelled: AtomicBool::new(false),
            over: Bell::new(),
        });
        hub.leases.add(&shared, now);
        shared.tell(LeaseChange::Granted, now);
        Ok(Lease(shared))
    }

    fn lease_begins(&self, ticket: Ticket) {
        self.0.cell.lease_begins();
        if let Some(process) = self.0.hub.process.as_ref().filter(|_| ticket.is_in_series()) {
            process.lease_begins();
        }
    }

    fn lease_is_over(&self, ticket: Ticket) {
        self.0.cell.lease_is_over();
        if let Some(process) = self.0.hub.process.as_ref().filter(|_| ticket.is_in_series()) {
            process.lease_is_over();
        }
    }
}

/// A lease, and when to look at it next.
struct Entry {
    due: Timestamp,
    lease: Weak<Shared>,
}

impl Entry {
    /// When the lease expires if no heartbeat comes, and the lease; `None` if it is over.
    fn live(&self, now: Timestamp) -> Option<(Timestamp, Arc<Shared>)> {
        let lease = self.lease.upgrade()?;
        match lease.claim.standing(now) {
            Standing::Live(until) => Some((until, lease)),
            Standing::Overdue => Some((now, lease)),
            Standing::Expired | Standing::Ended => None,
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest: the heap has that at its top.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Order {
        other.due.cmp(&self.due)
    }
}

#[derive(Default)]
struct Heap {
    entries: BinaryHeap<Entry>,
    sweep_at: usize,
}

/// The leases of an instance, by when they expire at the earliest.
pub(crate) struct Leases {
    /// When that is for the first of them: all that a tick looks at.
    next: AtomicU64,
    heap: Mutex<Heap>,
}

impl Default for Leases {
    fn default() -> Self {
        Self { next: AtomicU64::new(u64::MAX), heap: Mutex::default() }
    }
}

impl Leases {
    /// Lets those expire whose time is up. Waits for nobody and allocates nothing. Call it with no
    /// lock held: whoever waits for the end of a lease is woken here.
    #[inline]
    pub(crate) fn reap(&self, now: Timestamp) {
        if now.as_nanos() >= self.next.load(Relaxed) {
            self.reap_due(now);
        }
    }

    #[cold]
    fn reap_due(&self, now: Timestamp) {
        let mut looks = LOOKS;
        while let Some(lease) = self.take_due(now, &mut looks) {
            lease.expire(now);
        }
    }

    /// The next whose time is up.
    fn take_due(&self, now: Timestamp, looks: &mut usize) -> Option<Arc<Shared>> {
        let mut heap = self.try_heap()?;
        let mut found = None;
        while found.is_none()
            && *looks > 0
            && let Some(mut top) = heap.entries.peek_mut()
            && top.due <= now
        {
            *looks -= 1;
            match top.live(now) {
                Some((until, _)) if until > now => top.due = until,
                overdue => {
                    found = overdue.map(|(_, lease)| lease);
                    drop(PeekMut::pop(top));
                }
            }
        }
        let next = heap.entries.peek().map_or(u64::MAX, |top| top.due.as_nanos());
        self.next.store(next, Relaxed);
        found
    }

    fn add(&self, lease: &Arc<Shared>, now: Timestamp) {
        let Standing::Live(due) = lease.claim.standing(now) else {
            return lease.expire(now);
        };
        let mut heap = self.heap();
        if heap.entries.len() >= heap.sweep_at {
            heap.entries.retain(|entry| entry.live(now).is_some());
            heap.sweep_at = 2 * heap.entries.len() + FIRST_SWEEP;
        }
        heap.entries.push(Entry { due, lease: Arc::downgrade(lease) });
        self.next.fetch_min(due.as_nanos(), Relaxed);
    }

    fn try_heap(&self) -> Option<MutexGuard<'_, Heap>> {
        match self.heap.try_lock() {
            Ok(heap) => Some(heap),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Does not sleep on the lock: a request that holds it would have to wake the sleeper.
    fn heap(&self) -> MutexGuard<'_, Heap> {
        loop {
            if let Some(heap) = self.try_heap() {
                return heap;
            }
            std::thread::yield_now();
        }
    }
}
