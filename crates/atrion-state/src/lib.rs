//! The state of [Atrion](https://docs.rs/atrion): what remembers it, what shares it, and what
//! tells the time. It is used through the `atrion` crate; use it directly to write an adapter for
//! another store.
//!
//! | module | what it holds |
//! |---|---|
//! | [`provider`] | the port: [`StateProvider`](provider::StateProvider), with its contract in numbered clauses |
//! | `contract` | the contract as a test suite for any adapter (feature `test-util`) |
//! | [`peers`] | the cluster's part of the port: what each other node last said |
//! | [`license`] | what the user says about the licence, for the providers that need one |
//! | [`in_memory`] | the default provider: bounded, least recently used goes first |
//! | [`composed`] | one provider of two: one shares, the other remembers |
//! | [`manager`] | a cache of routes with lock-free reads that feeds the pulse |
//! | [`pulse`] | compute, buffer, push, pull: a machine without I/O |
//! | `driver` | the pulse as a task on tokio (feature `tokio`) |
//! | [`manual`] | the pulse for programs without a runtime |
//! | [`retry`] | how long to wait before trying again, and how often to complain |
//! | [`clock`] | the only place that reads the machine's clock |
//! | [`entropy`], [`blocking`] | seeded draws; waiting for one future on this thread |
//!
//! # The loop
//!
//! ```text
//!  request path           pulse, every 100 ms                    provider
//!  ------------           -------------------                    --------
//!  compute state  ----->  collect what changed
//!  read cache     <---    keep the latest of each route
//!                     \   push a batch, one at a time  ------->  store, share
//!                      -- pass on what is newer        <-------  subscription
//! ```
//!
//! Nothing on the request path waits for the pulse, and nothing that a provider does (fail, hang,
//! panic, lie) reaches the request path. What fails is kept and sent again; what cannot be kept is
//! counted.
//!
//! # Features
//!
//! - `tokio`: the driver on tokio.
//! - `test-util`: the contract suite.
//!
//! Neither is on by default; without them the crate needs no runtime.

pub mod blocking;
pub mod clock;
pub mod composed;
mod contain;
#[cfg(feature = "test-util")]
pub mod contract;
mod dirty;
#[cfg(feature = "tokio")]
pub mod driver;
pub mod entropy;
pub mod error;
pub mod in_memory;
pub mod license;
pub mod manager;
pub mod manual;
pub mod peers;
pub mod provider;
pub mod pulse;
pub mod retry;
mod runner;
mod shim;
#[cfg(test)]
mod test_vectors;

/// The README's examples, compiled and run.
#[cfg(all(doctest, feature = "test-util"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
