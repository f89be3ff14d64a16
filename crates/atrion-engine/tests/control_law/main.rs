//! The control law against simulated services: a discrete-event simulation of callers, services
//! and policies, deterministic by seed.
//!
//! * `service`, `scenario`, `world`: what is served, what happens, the event loop
//! * `policy`, `spec_law`, `engine`: static limits, the law as written, the shipped engine
//! * `gates`, `recipes`, `failures`: what must hold
//! * `study`, `draws`: tables, printed on demand with `ATRION_STUDY=1`
#![allow(
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "one test binary: nothing is exported, and an index out of bounds is a failing test"
)]

mod draws;
mod engine;
mod failures;
mod gates;
mod oracle;
mod policy;
mod recipes;
mod rng;
mod scenario;
mod service;
mod spec_law;
mod study;
mod world;
