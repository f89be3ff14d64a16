#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]

pub mod breaker;
pub mod config;
pub mod error;
pub mod flow;
pub mod law;
pub mod math;
pub mod merge;
pub mod momentum;
pub mod pressure;
pub mod profile;
pub mod resistance;
pub mod scar;
pub mod stability;
pub mod staleness;
pub mod telemetry;
pub mod time;
pub mod tuner;
pub mod units;
pub mod vector;
