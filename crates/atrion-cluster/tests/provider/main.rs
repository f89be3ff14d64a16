//! The provider over real Redis processes, real faults and both clients.

#![cfg(all(unix, any(feature = "redis", feature = "fred")))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail")]

mod contract;
mod deployments;
mod faults;
mod harness;
mod hostile;
mod licence;
mod links;
mod outages;
mod pods;
mod refusals;
mod threads;
