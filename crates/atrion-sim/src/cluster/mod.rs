//! Clusters: several nodes that warn each other (feature `cluster`).
//!
//! Each node is a [`Scenario`](crate::Scenario) of its own, before the shipped engine, with the
//! shipped provider and its machines of link, outbox and registers behind it. What is simulated is
//! the hub (a Redis) and the network: delay, loss, duplication, reordering, partitions, a hub that
//! is killed, hangs or loses everything, processes that die and come back, clocks that differ,
//! drift and leap, and nodes that lie.
//!
//! ```
//! use atrion_sim::cluster::{ClusterSummary, Sharing, find, run};
//!
//! let scenario = find("warned@cluster3")?;
//! let report = run(&scenario, Sharing::gamma(0.3)?, 1)?;
//! let summary = ClusterSummary::of(&[report]).unwrap();
//! let (half, nearly_all) = summary.known.unwrap();
//! assert!(half <= 1.05 && nearly_all <= 1.05, "the others know within an interval");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Licence
//! The simulated provider is `atrion-cluster`, which is commercial: with this feature its licence
//! holds for what you build. Simulating needs no key (see `atrion_cluster::simulation`), since
//! nothing is shared with anybody.
//!
//! # What is simplified
//! The hub answers a call in no time of its own; calls and frames take the network's delay. A
//! server's limits (bandwidth, buffers of slow readers) show only as the loss one asks for. Pulses
//! come at the interval exactly; between two of them a node listens, as the shipped pulse on tokio
//! does. A frame published while a node was not subscribed is not delivered once it is.

mod check;
mod clock;
mod converge;
mod net;
mod node;
mod parts;
mod presets;
mod report;
mod run;
mod scenario;
mod table;
mod trouble;
mod watch;

pub use parts::{NodeFault, Skew, Split, Trouble, TroubleKind, Weather};
pub use presets::{find, is_cluster, presets};
pub use report::{ClusterReport, ClusterSummary, Harm};
pub use run::{Sharing, run};
pub use scenario::{ClusterScenario, ClusterScenarioBuilder};
pub use table::{csv, text};

use atrion_cluster::ClusterConfigError;
use atrion_engine::BuildError;
use thiserror::Error;

/// A cluster that cannot be run. A valid scenario can always be run, unless the machine lacks
/// something.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// An engine could not be built.
    #[error(transparent)]
    Engine(#[from] BuildError),
    /// A provider could not be built.
    #[error(transparent)]
    Provider(#[from] ClusterConfigError),
}
