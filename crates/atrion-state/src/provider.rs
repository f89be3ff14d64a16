//! The state port: what the engine asks of whatever remembers and shares its state.
//!
//! An adapter implements [`StateProvider`]. What it must guarantee is written down in numbered
//! clauses on the trait, and each clause is a test of the public suite in the module `contract`
//! (feature `test-util`), which third parties' adapters run too.

use std::pin::Pin;
use std::sync::Arc;

use atrion_core::vector::PhysicsVector;
use futures_core::Stream;

pub use crate::error::{Cause, ProviderError};
pub use crate::license::{License, LicensePolicy, LicenseRefused, LicenseSource, LicenseView};
pub use crate::peers::{Node, NodeId, Notice, Peers, RouteId};
use crate::pulse::PulseConfig;

/// A boxed future, so that the port can be used as `dyn StateProvider`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A boxed stream that owns what it needs.
pub type BoxStream<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// The longest route name a provider has to store, in bytes of UTF-8.
pub const MAX_ROUTE_BYTES: usize = 512;

/// A route and this node's own view of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteVector {
    /// The route's name.
    pub route: Arc<str>,
    /// Its state.
    pub vector: PhysicsVector,
}

impl RouteVector {
    /// Puts a route's name and its state together.
    pub fn new(route: impl Into<Arc<str>>, vector: PhysicsVector) -> Self {
        Self { route: route.into(), vector }
    }
}

/// What the other nodes say about a route, merged by the provider.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RemoteVector {
    /// The route's name.
    pub route: Arc<str>,
    /// The merged state. Its timestamp is the point on *this* process's clock at which the newest
    /// observation in it was made.
    pub vector: PhysicsVector,
}

impl RemoteVector {
    /// Puts a route's name and what others say about it together.
    pub fn new(route: impl Into<Arc<str>>, vector: PhysicsVector) -> Self {
        Self { route: route.into(), vector }
    }
}

/// How a provider's link to its store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// Not connected yet, or disconnected.
    Disconnected,
    /// Connected, and the last exchange with the store worked.
    Healthy,
    /// Meant to be connected, but the store does not serve at the moment. Local protection goes
    /// on without it.
    Degraded,
}

/// What a provider tells of itself, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vitals {
    /// How its licence stands; `None` if it needs none, or was given none yet.
    pub license: Option<LicenseView>,
    /// Messages and stored values that it refused because they were not what they should be:
    /// garbage, lies, numbers out of range. Only grows.
    pub refused: u64,
}

impl Vitals {
    /// Those of a provider with this licence, which has refused so much.
    pub const fn new(license: Option<LicenseView>, refused: u64) -> Self {
        Self { license, refused }
    }
}

/// Remembers and shares the state of routes: memory, Redis, PostgreSQL or anything else.
///
/// The port is asynchronous, needs no particular runtime and can be used as
/// `Arc<dyn StateProvider>`. Nothing on the request path ever waits for it.
///
/// # The contract
///
/// An *own* vector is one written through this provider; a *remote* one was written by another
/// node through its own provider over the same store. Each clause is a test of the same number
/// in the contract suite.
///
/// 1. **Before `connect`** every call except `connect`, `disconnect`, `subscribe` and `health`
///    fails with [`ProviderError::NotConnected`], and `health` is [`Health::Disconnected`].
///    Afterwards health is no longer `Disconnected`.
/// 2. **`connect` is idempotent.** On a connected provider it succeeds and changes nothing.
/// 3. **`disconnect` is idempotent**, succeeds on a provider that was never connected, and takes
///    effect even if the store is unreachable.
/// 4. **After `disconnect`** the provider behaves as before `connect`, its subscriptions have
///    ended, and it may be connected again. Whether vectors outlive the disconnection is up to
///    the store.
/// 5. **Cold start.** A route nobody wrote is `Ok(None)`, not an error.
/// 6. **Read your writes.** Once `update_vector` has succeeded, `get_vector` of the same provider
///    gives that vector bit for bit, as long as nobody writes a newer one and it is not evicted.
/// 7. **Older vectors are ignored.** A vector whose timestamp is before that of the vector held
///    is dropped; the call succeeds. Timestamps are points on the clock of the process that calls;
///    an adapter that stores outside the process stores ages and converts.
/// 8. **Duplicates are harmless**, and between two vectors with equal timestamps the one written
///    later stands. Whoever does not know whether a call took effect repeats it.
/// 9. **Ordering.** Calls for one route that do not overlap in time take effect in their order.
///    Between routes no order is promised.
/// 10. **Batches** do what their elements do one after the other; an empty batch succeeds and
///     means "alive, nothing new". A batch is not a transaction: after an error any part of it
///     may have been stored, except after [`ProviderError::RouteTooLong`], when nothing was.
/// 11. **Route names are hostile.** Every name of up to [`MAX_ROUTE_BYTES`] bytes is stored and
///     never confused with another, whatever characters it holds: empty, control characters,
///     wildcards, separators of the store's key syntax. A longer one is refused with
///     [`ProviderError::RouteTooLong`].
/// 12. **Concurrent use.** All methods may be called at once from any number of threads; when all
///     calls have returned, the newest vector of each route stands.
/// 13. **Cancellation.** A future that was never polled has no effect. One dropped between two
///     polls leaves the write done, not done, or still to be done, but never half done, and the
///     provider usable.
/// 14. **Bounded memory.** However many routes are written, the provider keeps a bounded number
///     (the least recently used go first) and keeps serving.
/// 15. **`snapshot`** holds one vector for each route that the provider knows, the same that
///     `get_vector` gives.
/// 16. **`subscribe`** is optional: `None` means that the provider does not share. A stream
///     begins with what is known of the other nodes and goes on with what they write. For each
///     route the newest state arrives in the end; states in between may be skipped, any state
///     may arrive twice, and between routes there is no order. Numbers may have travelled in
///     single precision.
/// 17. **No echo.** A subscription never delivers the provider's own vectors.
/// 18. **Gaps in delivery.** A slow reader delays nobody and costs bounded memory. A provider
///     that lost something which it cannot make good ends the stream; the reader subscribes
///     again and gets everything anew, see clause 16.
///
/// **Staleness** is not hidden: `get_vector` and `subscribe` may deliver old vectors, with their
/// true age in the timestamp, and the reader discounts them. **Deadlines** are the caller's: a
/// call may hang as long as the store does, and dropping it is the remedy (clause 13). A call
/// must not block the thread that polls it.
pub trait StateProvider: Send + Sync + 'static {
    /// Connects to the store (clauses 1 and 2).
    ///
    /// # Errors
    /// The store is unreachable or refuses; the provider stays disconnected.
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>>;

    /// Lets go of the store (clauses 3 and 4).
    ///
    /// # Errors
    /// Something could not be delivered in time; the provider is disconnected all the same.
    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>>;

    /// The newest vector known for `route`, `None` if there is none (clauses 5 to 8).
    ///
    /// # Errors
    /// Not connected, or the store cannot be read.
    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>>;

    /// Stores and shares this node's own vector of `route` (clauses 6 to 9).
    ///
    /// # Errors
    /// Not connected, the name is too long, or the store cannot be written.
    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>>;

    /// Stores and shares several vectors (clause 10). An empty batch is the heartbeat.
    ///
    /// The default checks the names and then calls
    /// [`update_vector`](StateProvider::update_vector) for each; an adapter over a network should
    /// send one message.
    ///
    /// # Errors
    /// The first error met.
    fn update_vectors<'a>(
        &'a self,
        batch: &'a [RouteVector],
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            if self.health() == Health::Disconnected {
                return Err(ProviderError::NotConnected);
            }
            for change in batch {
                check_route(&change.route)?;
            }
            for change in batch {
                self.update_vector(&change.route, change.vector).await?;
            }
            Ok(())
        })
    }

    /// Everything the provider knows, for a warm start (clause 15). The order is unspecified.
    ///
    /// # Errors
    /// Not connected, or the store cannot be read.
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>>;

    /// What the store remembered and could not say when [`snapshot`](Self::snapshot) was asked,
    /// because it was away then: each vector once. The pulse asks at every visit and treats the
    /// answer as a late part of the snapshot. Returns at once. Nothing unless overridden.
    fn recalled(&self) -> Vec<RouteVector> {
        Vec::new()
    }

    /// What other nodes write, from now on (clauses 16 to 18). `None` if the provider does not
    /// share, which is the default. On a provider that is not connected the stream ends at once.
    fn subscribe(&self) -> Option<BoxStream<RemoteVector>> {
        None
    }

    /// How the link is, without waiting.
    fn health(&self) -> Health;

    /// What is wrong while [`health`](Self::health) is not [`Health::Healthy`], in one line for an
    /// operator, without waiting. `None` unless overridden.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// What each other node last said, for providers that can tell the nodes apart. With it a
    /// node weighs the others' word against its own and shares the probing with them. `None`
    /// unless overridden: then [`subscribe`](Self::subscribe) only informs.
    fn peers(&self) -> Option<Arc<dyn Peers>> {
        None
    }

    /// How the pulse should run with this provider, unless the user says otherwise. The defaults
    /// unless overridden.
    fn pulse(&self) -> PulseConfig {
        PulseConfig::default()
    }

    /// Puts this provider, which shares, and one that remembers together: see
    /// [`Composed`](crate::composed::Composed).
    fn remembered_by(self, remembering: impl StateProvider) -> crate::composed::Composed
    where
        Self: Sized,
    {
        crate::composed::Composed::new(self, remembering)
    }

    /// Takes the licence that the user gave, for providers that need one. Called once, before
    /// [`connect`](Self::connect), and again whenever the user replaces it. Takes any unless
    /// overridden.
    ///
    /// # Errors
    /// [`LicenseRefused`] if the licence does not cover this provider and its policy is
    /// [`LicensePolicy::Strict`]. With the lenient policy the provider takes it, keeps to memory
    /// and says so.
    fn license(&self, license: &License) -> Result<(), LicenseRefused> {
        let _ = license;
        Ok(())
    }

    /// What there is to tell of it, without waiting. Nothing unless overridden.
    fn vitals(&self) -> Vitals {
        Vitals::default()
    }
}

/// Refuses names longer than [`MAX_ROUTE_BYTES`], for adapters to call first (clause 11).
///
/// # Errors
/// [`ProviderError::RouteTooLong`].
pub fn check_route(route: &str) -> Result<(), ProviderError> {
    if route.len() > MAX_ROUTE_BYTES {
        return Err(ProviderError::RouteTooLong { bytes: route.len(), max: MAX_ROUTE_BYTES });
    }
    Ok(())
}

impl<P: StateProvider + ?Sized> StateProvider for Arc<P> {
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        P::connect(self)
    }

    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        P::disconnect(self)
    }

    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        P::get_vector(self, route)
    }

    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        P::update_vector(self, route, vector)
    }

    fn update_vectors<'a>(
        &'a self,
        batch: &'a [RouteVector],
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        P::update_vectors(self, batch)
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        P::snapshot(self)
    }

    fn recalled(&self) -> Vec<RouteVector> {
        P::recalled(self)
    }

    fn subscribe(&self) -> Option<BoxStream<RemoteVector>> {
        P::subscribe(self)
    }

    fn health(&self) -> Health {
        P::health(self)
    }

    fn trouble(&self) -> Option<String> {
        P::trouble(self)
    }

    fn peers(&self) -> Option<Arc<dyn Peers>> {
        P::peers(self)
    }

    fn pulse(&self) -> PulseConfig {
        P::pulse(self)
    }

    fn license(&self, license: &License) -> Result<(), LicenseRefused> {
        P::license(self, license)
    }

    fn vitals(&self) -> Vitals {
        P::vitals(self)
    }
}
