//! Studio's page in a real Chromium, in front of a real instance under traffic.
//!
//! Chromium and its driver are installed by `cargo xtask setup`. One browser runs at a time. Every
//! test ends with a look at what the browser complained of: violations of the page's security policy
//! and errors on its console are failures, whatever else was tested.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail")]

mod accessibility;
mod actions;
mod cluster;
mod connection;
mod harness;
mod hostile;
mod keyboard;
mod load;
mod pages;
mod pictures;
mod preview;
mod traffic;
