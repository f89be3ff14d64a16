//! Subscriptions: what the others write, handed to whoever reads, the latest of each route.

use std::hash::RandomState;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use atrion_state::provider::RemoteVector;
use futures_core::Stream;
use hashlink::LinkedHashMap;

/// All subscriptions of one provider.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    readers: Mutex<Vec<Weak<Mutex<Pending>>>>,
}

#[derive(Debug)]
struct Pending {
    /// In the order of their first unread change.
    routes: LinkedHashMap<Arc<str>, RemoteVector, RandomState>,
    capacity: usize,
    waker: Option<Waker>,
    ended: bool,
}

impl Pending {
    /// A reader that leaves more than `capacity` routes unread has missed something: its stream
    /// ends, and it subscribes again (clause 18 of the port).
    fn push(&mut self, remote: &RemoteVector) {
        if let Some(waiting) = self.routes.get_mut(&*remote.route) {
            *waiting = remote.clone();
        } else if self.routes.len() < self.capacity {
            self.routes.insert(Arc::clone(&remote.route), remote.clone());
        } else {
            self.ended = true;
        }
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every step leaves a whole value behind, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feed {
    /// A subscription that begins with `known`.
    pub(crate) fn subscribe(&self, known: &[RemoteVector], capacity: usize) -> Subscription {
        let mut pending = Pending {
            routes: LinkedHashMap::with_hasher(RandomState::new()),
            capacity: capacity.max(known.len()),
            waker: None,
            ended: false,
        };
        for remote in known {
            pending.push(remote);
        }
        let pending = Arc::new(Mutex::new(pending));
        lock(&self.readers).push(Arc::downgrade(&pending));
        Subscription(pending)
    }

    /// A subscription that has ended.
    pub(crate) fn ended() -> Subscription {
        Subscription(Arc::new(Mutex::new(Pending {
            routes: LinkedHashMap::with_hasher(RandomState::new()),
            capacity: 0,
            waker: None,
            ended: true,
        })))
    }

    /// Tells every reader.
    pub(crate) fn tell(&self, remote: &RemoteVector) {
        lock(&self.readers).retain(|reader| {
            let Some(pending) = reader.upgrade() else { return false };
            lock(&pending).push(remote);
            true
        });
    }

    /// Ends every subscription.
    pub(crate) fn end(&self) {
        for reader in lock(&self.readers).drain(..) {
            if let Some(pending) = reader.upgrade() {
                let mut pending = lock(&pending);
                pending.ended = true;
                pending.wake();
            }
        }
    }
}

/// One reader's stream.
#[derive(Debug)]
pub(crate) struct Subscription(Arc<Mutex<Pending>>);

impl Stream for Subscription {
    type Item = RemoteVector;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RemoteVector>> {
        let mut pending = lock(&self.0);
        if let Some((_, remote)) = pending.routes.pop_front() {
            return Poll::Ready(Some(remote));
        }
        if pending.ended {
            return Poll::Ready(None);
        }
        pending.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use atrion_core::time::Timestamp;
    use atrion_core::units::Ohms;
    use atrion_core::vector::PhysicsVector;

    use super::*;

    fn remote(route: &str, ohms: u32) -> RemoteVector {
        RemoteVector::new(route, PhysicsVector::idle(Ohms::from(ohms), Timestamp::ZERO))
    }

    fn read(stream: &mut Subscription) -> Poll<Option<(String, f64)>> {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(stream)
            .poll_next(&mut context)
            .map(|item| item.map(|r| (r.route.to_string(), r.vector.resistance.get())))
    }

    #[test]
    fn a_slow_reader_gets_the_latest_of_each_route_in_order_of_first_change() {
        let feed = Feed::default();
        let mut stream = feed.subscribe(&[remote("known", 1)], 8);
        for ohms in 2..10 {
            feed.tell(&remote("a", ohms));
        }
        feed.tell(&remote("known", 9));
        assert_eq!(read(&mut stream), Poll::Ready(Some(("known".to_owned(), 9.0))));
        assert_eq!(read(&mut stream), Poll::Ready(Some(("a".to_owned(), 9.0))));
        assert_eq!(read(&mut stream), Poll::Pending);
    }

    #[test]
    fn a_reader_that_falls_too_far_behind_is_told_by_the_end_of_its_stream() {
        let feed = Feed::default();
        let mut stream = feed.subscribe(&[], 2);
        for route in ["a", "b", "c"] {
            feed.tell(&remote(route, 1));
        }
        assert!(matches!(read(&mut stream), Poll::Ready(Some(_))));
        assert!(matches!(read(&mut stream), Poll::Ready(Some(_))));
        assert_eq!(read(&mut stream), Poll::Ready(None));
    }

    #[test]
    fn the_end_reaches_everybody_and_the_gone_are_forgotten() {
        let feed = Feed::default();
        drop(feed.subscribe(&[], 1));
        let mut stream = feed.subscribe(&[], 1);
        feed.tell(&remote("a", 1));
        assert_eq!(lock(&feed.readers).len(), 1);
        feed.end();
        assert_eq!(read(&mut stream), Poll::Ready(Some(("a".to_owned(), 1.0))));
        assert_eq!(read(&mut stream), Poll::Ready(None));
        assert_eq!(read(&mut Feed::ended()), Poll::Ready(None));
    }
}
