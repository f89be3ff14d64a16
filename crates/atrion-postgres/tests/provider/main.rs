//! The provider over real servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod harness;

mod composed;
mod contract;
mod faults;
mod hostile;
mod kills;
mod licence;
mod refusals;
mod restarts;
mod versions;
