//! Real servers and a proxy with faults, for Atrion's tests and its demonstration.
//!
//! Everything here ends when it is dropped: processes are killed, folders removed, connections
//! closed. Nothing waits for a fixed time: a server is ready when it answers, a fault is there when
//! the proxy says so, and every wait has an end.
//!
//! Redis runs from the `redis-server` in the path, on ports of its own and without writing to disk;
//! PostgreSQL from Debian's newest or the path, in a folder of its own and never as the superuser;
//! Prometheus from `prometheus` and `promtool`, in a folder of its own. A service of the machine is
//! never used.

#[cfg(feature = "browser")]
pub mod browser;
pub mod certificates;
pub mod cluster;
#[cfg(feature = "provider")]
pub mod logs;
pub mod postgres;
pub mod prometheus;
pub mod proxy;
pub mod redis;
pub mod resp;
#[cfg(feature = "provider")]
pub mod seen;
pub mod sentinel;
#[cfg(feature = "provider")]
pub mod traffic;
pub mod wait;

mod process;

#[cfg(feature = "browser")]
pub use browser::Browser;
pub use certificates::Certificates;
pub use cluster::RedisCluster;
pub use postgres::{PostgresOptions, PostgresServer};
pub use process::Folder;
pub use prometheus::{PrometheusServer, Series};
pub use proxy::{Direction, Event, Fault, FaultProxy};
pub use redis::{RedisOptions, RedisServer};
#[cfg(feature = "provider")]
pub use seen::Seen;
pub use sentinel::Sentinels;
#[cfg(feature = "provider")]
pub use traffic::Traffic;

/// Why a server did not start or does not answer, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
