//! The default provider: a bounded map in this process.
//!
//! It needs no runtime and never fails. Several nodes in one process may share one store (see
//! [`InMemoryProvider::peer`]), which is how clusters are tested without a network.
//!
//! ```
//! use atrion_state::blocking::block_on;
//! use atrion_state::in_memory::InMemoryProvider;
//! use atrion_state::provider::StateProvider;
//!
//! let provider = InMemoryProvider::new();
//! block_on(async {
//!     provider.connect().await?;
//!     assert_eq!(provider.get_vector("api/checkout").await?, None); // cold start
//!     provider.disconnect().await
//! })?;
//! # Ok::<(), atrion_state::provider::ProviderError>(())
//! ```

mod feed;

use std::collections::HashSet;
use std::hash::RandomState;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use atrion_core::vector::PhysicsVector;
use hashlink::LruCache;

use crate::provider::{
    BoxFuture, BoxStream, Health, ProviderError, RemoteVector, RouteVector, StateProvider,
    check_route,
};
use feed::{Feed, Subscription};

/// How many routes an [`InMemoryProvider`] keeps unless told otherwise.
pub const DEFAULT_CAPACITY: NonZeroUsize = match NonZeroUsize::new(100_000) {
    Some(capacity) => capacity,
    None => NonZeroUsize::MIN,
};

/// Keeps the vectors of a bounded number of routes in this process's memory.
///
/// The least recently used route makes room for a new one, exactly, and is counted
/// ([`InMemoryProvider::evictions`]); both reading and writing a route use it. A lock is held for
/// the time of one map operation per vector, or of one copy of the table for a snapshot or a new
/// subscription, and never across an await. Names are hashed with a
/// random key, so that chosen names cannot make the map slow.
///
/// When the last connected node of a store disconnects, the store forgets everything, as the
/// founding RFC has it.
#[derive(Debug)]
pub struct InMemoryProvider {
    store: Arc<Mutex<Store>>,
    node: u64,
}

#[derive(Debug)]
struct Store {
    routes: LruCache<Arc<str>, Entry, RandomState>,
    capacity: NonZeroUsize,
    evictions: u64,
    last_node: u64,
    connected: HashSet<u64>,
    feeds: Vec<(u64, Weak<Feed>)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    vector: PhysicsVector,
    writer: u64,
}

impl InMemoryProvider {
    /// An empty store for [`DEFAULT_CAPACITY`] routes.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// An empty store for `capacity` routes. Memory is taken as routes arrive, not now.
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        let routes = LruCache::with_hasher(capacity.get(), RandomState::new());
        Self {
            store: Arc::new(Mutex::new(Store {
                routes,
                capacity,
                evictions: 0,
                last_node: 0,
                connected: HashSet::new(),
                feeds: Vec::new(),
            })),
            node: 0,
        }
    }

    /// Another node over the same store: what one writes, the others' subscriptions deliver.
    ///
    /// The store holds one vector for each route, the newest that any node wrote. The new node
    /// starts disconnected.
    #[must_use]
    pub fn peer(&self) -> Self {
        let mut store = self.lock();
        store.last_node += 1;
        Self { store: Arc::clone(&self.store), node: store.last_node }
    }

    /// How many routes are held.
    pub fn len(&self) -> usize {
        self.lock().routes.len()
    }

    /// Whether no route is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many routes can be held.
    pub fn capacity(&self) -> NonZeroUsize {
        self.lock().capacity
    }

    /// How many routes have been forgotten to make room for others.
    pub fn evictions(&self) -> u64 {
        self.lock().evictions
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        // Every critical section leaves the store consistent at each step, so a panic elsewhere
        // in a thread that held the lock does no harm.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connected(&self) -> Result<MutexGuard<'_, Store>, ProviderError> {
        let store = self.lock();
        if store.connected.contains(&self.node) {
            Ok(store)
        } else {
            Err(ProviderError::NotConnected)
        }
    }

    fn write(&self, route: &Arc<str>, vector: PhysicsVector) -> Result<(), ProviderError> {
        let woken = self.connected()?.write(route, vector, self.node);
        wake(woken);
        Ok(())
    }

    fn leave(&self) {
        let woken = self.lock().leave(self.node);
        wake(woken);
    }
}

impl Default for InMemoryProvider {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for InMemoryProvider {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Wakers run foreign code, so they run after the locks are released.
fn wake(woken: Vec<Waker>) {
    woken.into_iter().for_each(Waker::wake);
}

impl Store {
    fn write(&mut self, route: &Arc<str>, vector: PhysicsVector, writer: u64) -> Vec<Waker> {
        let entry = Entry { vector, writer };
        match self.routes.get_mut(&**route) {
            Some(held) if vector.timestamp < held.vector.timestamp => return Vec::new(),
            Some(held) => *held = entry,
            None => {
                if self.routes.len() >= self.capacity.get() {
                    self.evictions += 1;
                }
                // The cache drops its least recently used entry by itself.
                self.routes.insert(Arc::clone(route), entry);
            }
        }
        self.publish(route, vector, writer)
    }

    fn publish(&mut self, route: &Arc<str>, vector: PhysicsVector, writer: u64) -> Vec<Waker> {
        let mut woken = Vec::new();
        self.feeds.retain(|(reader, feed)| {
            let Some(feed) = feed.upgrade() else {
                return false;
            };
            if *reader != writer {
                woken.extend(feed.push(route, vector));
            }
            true
        });
        woken
    }

    fn leave(&mut self, node: u64) -> Vec<Waker> {
        let mut woken = Vec::new();
        self.feeds.retain(|(reader, feed)| {
            if *reader == node {
                woken.extend(feed.upgrade().and_then(|feed| feed.end()));
            }
            *reader != node
        });
        if self.connected.remove(&node) && self.connected.is_empty() {
            self.routes = LruCache::with_hasher(self.capacity.get(), RandomState::new());
        }
        woken
    }

    fn subscribe(&mut self, node: u64) -> Subscription {
        let feed = Arc::new(Feed::new(self.capacity));
        if self.connected.contains(&node) {
            for (route, held) in &self.routes {
                if held.writer != node {
                    feed.push(route, held.vector);
                }
            }
            self.feeds.retain(|(_, feed)| feed.strong_count() > 0);
            self.feeds.push((node, Arc::downgrade(&feed)));
        } else {
            feed.end();
        }
        Subscription::new(feed)
    }
}

impl StateProvider for InMemoryProvider {
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            self.lock().connected.insert(self.node);
            Ok(())
        })
    }

    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            self.leave();
            Ok(())
        })
    }

    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        Box::pin(async move {
            check_route(route)?;
            let mut store = self.connected()?;
            Ok(store.routes.get(route).map(|held| held.vector))
        })
    }

    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            check_route(route)?;
            self.write(&Arc::from(route), vector)
        })
    }

    fn update_vectors<'a>(
        &'a self,
        batch: &'a [RouteVector],
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            drop(self.connected()?);
            batch.iter().try_for_each(|change| check_route(&change.route))?;
            // One short lock for each vector, so that a large batch holds nobody up.
            batch.iter().try_for_each(|change| self.write(&change.route, change.vector))
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        Box::pin(async move {
            let store = self.connected()?;
            Ok(store
                .routes
                .iter()
                .map(|(route, held)| RouteVector::new(Arc::clone(route), held.vector))
                .collect())
        })
    }

    fn subscribe(&self) -> Option<BoxStream<RemoteVector>> {
        Some(Box::pin(self.lock().subscribe(self.node)))
    }

    fn health(&self) -> Health {
        if self.lock().connected.contains(&self.node) {
            Health::Healthy
        } else {
            Health::Disconnected
        }
    }
}

#[cfg(test)]
mod tests;
