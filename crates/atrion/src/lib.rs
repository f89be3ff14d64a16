//! Admission control that behaves like physics.
//!
//! Every route of a service is a circuit. Its *resistance* rises with saturation and with the
//! scars of past failures; a request carries a *voltage*, its priority, and flows only if that
//! overcomes the resistance. Under overload the cheap traffic is refused first and the service
//! keeps working at full capacity; a dead dependency is left alone after a few failures and found
//! again by probing. Nothing needs tuning: a route learns how much its service can do.
//!
//! # In one minute
//!
//! ```
//! use atrion::{Atrion, CallError, Priority};
//!
//! # fn pay() -> Result<&'static str, std::io::Error> { Ok("paid") }
//! # fn main() -> Result<(), atrion::BuildError> {
//! let atrion = Atrion::builder().build()?;       // in memory, no configuration, no runtime
//! let payments = atrion.route("payments");       // a cheap handle: resolve it once
//!
//! match payments.run(Priority::High, pay) {
//!     Ok(receipt) => println!("{receipt}"),
//!     Err(CallError::Inner(why)) => eprintln!("failed: {why}"),
//!     Err(CallError::Overloaded(refusal)) => {
//!         // Answer 503 with `Retry-After`; the log line says why.
//!         eprintln!("not asked: {refusal} (retry in {:?})", refusal.retry_after());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Route::call`] is the same for futures; [`Route::run_with`] and [`Route::call_with`] take a judge of
//! the result. Where work is more than one call, [`Route::admit`] gives a [`Permit`] to hold meanwhile.
//!
//! With axum, tonic or any Tower service, enable the feature `tower` (or `axum`) and put
//! `atrion::tower::AtrionLayer` in front of it.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | voltage V | priority of a request: [`Priority`], or [`Volts`] of your own |
//! | resistance R | what a request has to overcome; it passes if V > R |
//! | scar S | memory of failures; heals with time, and by probes when the breaker is open |
//! | parallelism C | how many requests the service works on at once, learned |
//! | permit | leave to do the work; it says how the work ended |
//!
//! # Rolling it out
//!
//! Start with [`Route::set_shadow`] (or `shadow` in the [`Config`]): decisions are computed,
//! counted and told to the observer, and everything is admitted. [`Route::explain`] says what a
//! voltage would meet and why. [`Route::force`] is the hand on the switch during an incident.
//!
//! # Looking at it
//!
//! [`Atrion::visit_reports`] says of every route what it is doing, [`Atrion::report`] of one, and
//! neither changes anything. [`Builder::tally`] counts what is admitted and refused by priority. An
//! [`Observer`] is told what happens, on a thread of its own: give it to the [`Builder`], or to
//! [`Atrion::observe`] later.
//!
//! # Long tasks
//!
//! [`Route::lease`] is for work that takes minutes: it shows by heartbeats that it lives, and gives its
//! place back when those stop.
//!
//! # Several pods
//!
//! With the feature `cluster` and a licence key, pods that share a Redis warn each other:
//!
//! ```no_run
//! # #[cfg(feature = "cluster")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use atrion::{Atrion, RedisClusterProvider};
//! use std::{env, time::Duration};
//!
//! let atrion = Atrion::builder()
//!     .provider(
//!         RedisClusterProvider::builder()
//!             .url(env::var("REDIS_URL")?)
//!             .sync_interval(Duration::from_millis(100))
//!             .channel("atrion:sync")
//!             .gamma(0.3)
//!             .build()?,
//!     )
//!     .license(env::var("ATRION_LICENSE_KEY"))
//!     .build()?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "cluster"))]
//! # fn main() {}
//! ```
//!
//! Redis may be slow, hung or gone, and the licence missing: requests do not notice. See
//! `docs/cluster.md` and `docs/licensing.md`.
//!
//! # Restarts that remember
//!
//! With the feature `postgres` and a licence key, a restarted process knows which dependencies were in
//! trouble:
//!
//! ```no_run
//! # #[cfg(feature = "postgres")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use atrion::{Atrion, PostgresPersistenceAdapter};
//! use std::env;
//!
//! let atrion = Atrion::builder()
//!     .provider(PostgresPersistenceAdapter::builder().url(env::var("DATABASE_URL")?).build()?)
//!     .license(env::var("ATRION_LICENSE_KEY"))
//!     .build()?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "postgres"))]
//! # fn main() {}
//! ```
//!
//! Redis shares and PostgreSQL remembers with
//! `RedisClusterProvider::builder()…build()?.remembered_by(PostgresPersistenceAdapter::builder()…build()?)`,
//! a method of [`StateProvider`]. See `docs/postgres.md`.
//!
//! # Features
//!
//! None is on by default; the default build starts no thread and needs no runtime.
//!
//! - `cluster`: sharing over Redis, with the client `redis`; `fred`: with the client `fred`.
//! - `postgres`: state that survives restarts, in PostgreSQL.
//! - `studio`: the dashboard, one call (`atrion::studio::serve`) or mounted into an axum application.
//! - `tower`, `axum`: middleware.
//! - `tokio`: the pulse as a task, for instances with a provider.
//! - `serde`: configuration from files.
//! - `metrics`, `otel`, `tracing`: what happens, for those who watch; `observe`: readiness alone.
//! - `trace`: recording what routes go through (`Atrion::record`), for `cargo xtask sim replay`.

#[cfg(any(feature = "cluster", feature = "fred"))]
pub use atrion_cluster::{ClusterConfigError, RedisClusterProvider};
pub use atrion_core::error::{ConfigError, OutOfRange};
pub use atrion_core::flow::Priority;
pub use atrion_core::law::{self, BreakerMode, LawConfig, Phase};
pub use atrion_core::profile::{LeaseTerms, Profile};
pub use atrion_core::telemetry::{Telemetry, TelemetryError};
pub use atrion_core::time::Timestamp;
pub use atrion_core::units::{Evidence, Ohms, PerSecond, UnitInterval, Volts};
pub use atrion_core::vector::PhysicsVector;
#[cfg(feature = "trace")]
pub use atrion_engine::Recording;
pub use atrion_engine::{
    AsOutcome, Atrion, BuildError, Builder, CallError, Config, ConfigBuilder, Counts, Event,
    Explanation, Force, Forced, Hearing, Interest, Lease, LeaseChange, LeaseOver, LeaseState,
    LeaseToken, OVERFLOW_ROUTE, ObserveError, Observer, ObserverHealth, Outcome, Overloaded,
    OwnedPermit, Parts, Permit, ROUTE_NAME_LIMIT, Reason, Route, RouteNameError, RouteReport, Shed,
    Stats, Subscription, Tally, Voice,
};
#[cfg(feature = "postgres")]
pub use atrion_postgres::{PostgresConfigError, PostgresPersistenceAdapter};
pub use atrion_state::blocking::block_on;
pub use atrion_state::clock::{Clock, ManualClock, MonotonicClock};
pub use atrion_state::composed::Composed;
pub use atrion_state::in_memory::InMemoryProvider;
pub use atrion_state::license::{
    License, LicensePolicy, LicenseRefused, LicenseSource, LicenseView,
};
pub use atrion_state::manager::StateManager;
pub use atrion_state::peers::{Node, NodeId, Notice, Peers};
pub use atrion_state::provider::{self, Health, StateProvider, Vitals};
pub use atrion_state::pulse;

/// The physics, for those who want only that: pure functions and machines, `no_std`.
pub use atrion_core as core;

/// Sharing over Redis (features `cluster` and `fred`): settings, counters, the wire format.
#[cfg(any(feature = "cluster", feature = "fred"))]
pub use atrion_cluster as cluster;

/// State in PostgreSQL (feature `postgres`): settings, counters, what can be wrong.
#[cfg(feature = "postgres")]
pub use atrion_postgres as postgres;

/// The dashboard (feature `studio`).
#[cfg(feature = "studio")]
pub use atrion_studio as studio;

/// Licence keys (features of the commercial parts): what they are checked with.
#[cfg(any(feature = "cluster", feature = "fred", feature = "postgres", feature = "studio"))]
pub use atrion_license as license;

/// Metrics, tracing events, readiness (features `metrics`, `otel`, `tracing`, and `observe` for what
/// all three share): see `docs/observability.md`.
#[cfg(feature = "observe")]
pub use atrion_observe as observe;

/// Tower middleware (feature `tower`).
#[cfg(feature = "tower")]
pub use atrion_tower as tower;

/// Traces (feature `trace`): the recorder, and the format with its reader and writer.
#[cfg(feature = "trace")]
pub use atrion_trace as trace;
