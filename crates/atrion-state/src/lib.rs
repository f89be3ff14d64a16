//! State for Atrion.

pub mod blocking;
pub mod clock;
mod contain;
#[cfg(feature = "test-util")]
pub mod contract;
mod dirty;
#[cfg(feature = "tokio")]
pub mod driver;
pub mod entropy;
pub mod error;
pub mod in_memory;
pub mod manager;
pub mod manual;
pub mod provider;
pub mod pulse;
mod runner;
mod shim;
#[cfg(test)]
mod test_vectors;
