//! The provider over real Redis processes, real faults and both clients.

#![cfg(all(unix, any(feature = "redis", feature = "fred")))]

mod contract;
mod deployments;
mod faults;
mod harness;
mod hostile;
mod licence;
mod links;
mod logs;
mod outages;
mod pods;
mod refusals;
mod threads;
mod traffic;
