//! One suite for every transport, against real servers and real faults.

#![cfg(all(unix, any(feature = "redis", feature = "fred")))]

mod basics;
mod deployments;
mod faults;
mod harness;
mod refusals;
mod tls;
