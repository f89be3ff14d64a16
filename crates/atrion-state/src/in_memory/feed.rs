//! What one subscriber has yet to read: the newest vector of each route, bounded.

use std::hash::RandomState;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use atrion_core::vector::PhysicsVector;
use futures_core::Stream;
use hashlink::LinkedHashMap;

use crate::provider::RemoteVector;

/// How much an idle queue keeps allocated.
const KEPT_CAPACITY: usize = 1_024;

/// A queue that coalesces: a route waits once, with its newest vector, in the place of its first.
#[derive(Debug)]
pub(super) struct Feed {
    capacity: NonZeroUsize,
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    pending: LinkedHashMap<Arc<str>, PhysicsVector, RandomState>,
    reader: Option<Waker>,
    ended: bool,
}

impl Feed {
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        Self {
            capacity,
            queue: Mutex::new(Queue {
                pending: LinkedHashMap::with_hasher(RandomState::new()),
                reader: None,
                ended: false,
            }),
        }
    }

    /// Adds a change and returns whom to wake. A reader so slow that a whole store of routes is
    /// waiting for it has lost its place: the feed ends and the reader starts over (clause 18).
    pub(super) fn push(&self, route: &Arc<str>, vector: PhysicsVector) -> Option<Waker> {
        let mut queue = self.lock();
        if queue.ended {
            return None;
        }
        if let Some(waiting) = queue.pending.get_mut(&**route) {
            *waiting = vector;
            return None;
        }
        if queue.pending.len() >= self.capacity.get() {
            return queue.end();
        }
        queue.pending.insert(Arc::clone(route), vector);
        queue.reader.take()
    }

    /// Ends the stream and returns whom to wake.
    pub(super) fn end(&self) -> Option<Waker> {
        self.lock().end()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Consistent at each step, see `InMemoryProvider::lock`.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn end(&mut self) -> Option<Waker> {
        self.ended = true;
        self.pending = LinkedHashMap::with_hasher(RandomState::new());
        self.reader.take()
    }
}

/// The reading end of a [`Feed`].
#[derive(Debug)]
pub(super) struct Subscription {
    feed: Arc<Feed>,
}

impl Subscription {
    pub(super) fn new(feed: Arc<Feed>) -> Self {
        Self { feed }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Here and not with the feed: the store may drop the last reference to that under its
        // lock, and dropping a waker runs foreign code.
        drop(self.feed.end());
    }
}

impl Stream for Subscription {
    type Item = RemoteVector;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RemoteVector>> {
        let mut queue = self.feed.lock();
        if let Some((route, vector)) = queue.pending.pop_front() {
            return Poll::Ready(Some(RemoteVector::new(route, vector)));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        if queue.pending.capacity() > KEPT_CAPACITY {
            // A burst's worth of memory is not kept for the next one.
            queue.pending = LinkedHashMap::with_hasher(RandomState::new());
        }
        let before = queue.reader.replace(context.waker().clone());
        // Foreign code again, so not under the lock.
        drop(queue);
        drop(before);
        Poll::Pending
    }
}
