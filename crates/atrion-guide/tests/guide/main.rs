//! What the guide says, held against what is there.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failing test may say so")]

mod codemods;
mod common;
mod kubernetes;
mod migration;
mod pages;
