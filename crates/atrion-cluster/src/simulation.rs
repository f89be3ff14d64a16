//! What a simulation of a cluster needs beside the machine itself (feature `simulation`): a hub
//! and a network under a seed, and nodes that lie.
//!
//! The nodes are real: [`Builder::build_simulated`](crate::Builder::build_simulated) makes the
//! shipped provider without a transport, and
//! [`with_core`](crate::RedisClusterProvider::with_core) lets the simulation carry out what its
//! machine asks for. Whoever simulates holds the clock and all chance.
//!
//! # Licence
//! A simulated provider looks for no key: it has no transport, so nothing leaves the process, and
//! evaluation is free. The simulation grants for itself
//! ([`handle_grant`](crate::machine::ClusterCore::handle_grant)).
//!
//! ```
//! use atrion_cluster::RedisClusterProvider;
//! use atrion_cluster::machine::Grant;
//! use atrion_cluster::simulation::Hub;
//! use atrion_core::time::Timestamp;
//! use atrion_state::{blocking::block_on, clock::ManualClock, provider::{Health, StateProvider}};
//!
//! let clock = ManualClock::starting_at(Timestamp::from_secs(1));
//! let provider =
//!     RedisClusterProvider::builder().node("one").clock(clock.clone()).build_simulated(7, 1)?;
//! let mut hub = Hub::new(7, 1);
//! provider.with_core(|core, now| {
//!     let grant = Grant { license: "simulation".into(), clusters: None, nodes: None };
//!     core.handle_grant(Some(grant), now);
//! });
//! block_on(provider.connect())?;
//! while let Some(call) = provider.with_core(|core, now| core.poll_call(now)) {
//!     let now = Timestamp::from_secs(1);
//!     if let Some(reply) = hub.serve(&call.request, 0, now) {
//!         let draw = Default::default();
//!         provider.with_core(|core, now| core.handle_completed(call.id, reply, now, draw));
//!     }
//! }
//! assert_eq!(provider.health(), Health::Healthy);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod hub;
mod lie;

pub use hub::{Answers, Hub, Weather};
pub use lie::Lie;
