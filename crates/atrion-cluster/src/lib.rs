//! Pods that warn each other: Atrion's scars shared over Redis.
//!
//! Used through the crate `atrion` with its feature `cluster`; `docs/cluster.md` tells how to set
//! it up, what is shared and how it is blended.
//!
//! | module | what it holds |
//! |---|---|
//! | [`RedisClusterProvider`] | the provider: a store in memory whose link to Redis may come and go |
//! | [`wire`] | the format of frames, see `docs/wire-format.md` |
//! | [`machine`] | link, outbox and registers as a machine without I/O |
//! | [`transport`] | what is asked of a Redis client, and the two clients |
//! | `simulation` | what a simulation of a cluster needs beside the machine (feature `simulation`) |
//! | [`url`], [`names`] | where Redis is, and what keys and channels are called |
//!
//! Commercial: see `LICENSE-COMMERCIAL`. Evaluation and development are free.

mod builder;
mod driver;
mod feed;
mod gate;
pub mod machine;
pub mod names;
mod provider;
mod shared;
#[cfg(feature = "simulation")]
pub mod simulation;
mod task;
pub mod transport;
pub mod url;
pub mod wire;

pub use builder::{Builder, Client, ClusterConfigError, MAX_NAME_BYTES};
pub use machine::{Limits, Stats};
pub use provider::RedisClusterProvider;
