//! Pods that warn each other: Atrion's scars shared over Redis.

pub mod machine;
pub mod names;
mod secret;
pub mod transport;
pub mod url;
pub mod wire;
