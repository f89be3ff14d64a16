//! Studio over real HTTP.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what is missing from an answer fails the test at the place that needs it"
)]

mod access;
mod actions;
mod client;
mod cluster;
mod mounted;
mod paths;
mod preview;
mod viewers;
