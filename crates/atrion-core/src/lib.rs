//! The physics of Atrion. (Crate documentation to be completed.)
#![cfg_attr(not(feature = "std"), no_std)]

pub mod error;
pub mod flow;
pub mod law;
pub mod math;
pub mod telemetry;
pub mod time;
pub mod units;
pub mod vector;
