//! The provider over real servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod harness;
mod logs;
mod traffic;

mod contract;
mod restarts;
