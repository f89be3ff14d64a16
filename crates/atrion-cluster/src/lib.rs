//! Pods that warn each other: Atrion's scars shared over Redis.

pub mod machine;
pub mod transport;
pub mod wire;
