//! One suite for every transport, against real servers and real faults.

#![cfg(all(unix, any(feature = "redis", feature = "fred")))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests, whose bodies clippy does not take for tests because each runs for each client"
)]

mod basics;
mod deployments;
mod faults;
mod harness;
mod refusals;
mod tls;
