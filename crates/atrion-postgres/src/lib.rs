//! Atrion's memory: the state of routes in PostgreSQL.
//!
//! Used through the crate `atrion` with its feature `postgres`; `docs/postgres.md` tells how to set
//! it up, what is stored, and what a restart makes of it.
//!
//! | part | what it does |
//! |---|---|
//! | [`PostgresPersistenceAdapter`] | the provider: what was acknowledged is committed |
//! | [`Builder`], [`TlsOptions`] | its settings |
//! | [`StoreError`] | what can be wrong with the store, for whoever wants to tell the cases apart |
//! | [`Stats`] | counters |
//!
//! Commercial: see `LICENSE-COMMERCIAL`. Evaluation and development are free.

mod builder;
mod error;
mod gate;
mod link;
mod memory;
mod provider;
mod recall;
mod runtime;
mod schema;
mod session;
mod stats;
mod store;

pub use atrion_commercial::tls::{TlsError, TlsOptions};
pub use builder::{Builder, MAX_NAME_BYTES, PostgresConfigError};
pub use error::StoreError;
pub use provider::PostgresPersistenceAdapter;
pub use stats::Stats;
