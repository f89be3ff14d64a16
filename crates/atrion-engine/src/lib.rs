//! The request path of Atrion: routes, permits, refusals.
//!
//! Most users depend on the crate `atrion`, which re-exports this one. Middleware and dashboards
//! depend on it directly, so that the facade can depend on them.
//!
//! ```
//! use atrion_core::flow::Priority;
//! use atrion_engine::Atrion;
//!
//! let atrion = Atrion::builder().build()?;
//! let route = atrion.route("api/checkout");
//! match route.admit(Priority::Normal) {
//!     Ok(permit) => permit.success(),
//!     Err(shed) => println!("{}, retry in {:?}", shed.reason(), shed.retry_after()),
//! }
//! # Ok::<(), atrion_engine::BuildError>(())
//! ```
//!
//! [`Route::run`] and [`Route::call`] do this around a function or a future.
//!
//! # What happens where
//! [`Route::admit`] and the permits touch a few atomics. They never wait, never allocate and do no
//! I/O (a thread's first use of an instance sets up its thread-locals); `tests/allocations.rs` and the loom tests hold them to it. Whoever passes a deadline
//! computes the next state on its own thread, if nobody else does so at that moment. No
//! background task is needed for protection.
//!
//! [`Route::explain`], [`Route::update_physics`], [`Route::force`] and their like may wait for the
//! length of a tick (well below a microsecond) and belong beside the request path.
//!
//! # Threads and runtimes
//! Everything is `Send + Sync`. Without an observer and a provider the crate starts no thread. Each
//! observer has a thread of its own. A provider's pulse is a tokio task (feature `tokio`) or is
//! driven by the caller with [`Atrion::flush`].
//!
//! # Features
//! - `tokio`: starts the pulse on tokio when an instance with a provider is built inside a runtime.
//! - `serde`: `Serialize` and `Deserialize` for [`Config`], validated while it is read.
//! - `trace`: `Atrion::record`, which leaves what routes go through on a tape of `atrion-trace`.

mod call;
mod cell;
mod config;
mod counter;
mod error;
mod hearing;
mod hub;
mod instance;
mod lanes;
mod lease;
mod neighbours;
mod observer;
mod permit;
mod process;
mod pulse;
mod registry;
mod relay;
mod report;
mod route;
mod select;
mod sharing;
mod shed;
mod shim;
mod tally;
#[cfg(feature = "trace")]
#[path = "tap.rs"]
mod tap;
#[cfg(not(feature = "trace"))]
#[path = "tap/off.rs"]
mod tap;

pub use call::{CallError, Overloaded};
pub use cell::{Counts, Force};
pub use config::{Config, ConfigBuilder, ROUTE_NAME_LIMIT};
pub use error::{BuildError, ObserveError, RouteNameError};
pub use hearing::{Hearing, Voice};
pub use instance::{Atrion, Builder, OVERFLOW_ROUTE, Stats};
pub use lease::{Lease, LeaseChange, LeaseOver, LeaseState, LeaseToken};
pub use observer::{Event, Interest, Observer, ObserverHealth};
pub use permit::{AsOutcome, Outcome, OwnedPermit, Permit};
pub use process::ProcessCircuit;
pub use relay::Subscription;
pub use report::{Forced, RouteReport};
pub use route::{Explanation, Route};
pub use shed::{Parts, Reason, Shed};
pub use tally::Tally;
#[cfg(feature = "trace")]
pub use tap::Recording;
