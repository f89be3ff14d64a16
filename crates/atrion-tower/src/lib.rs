//! Admission control for Tower services: axum, tonic and hyper servers, and HTTP clients.
#![doc = include_str!("../README.md")]

mod answer;
mod body;
mod call;
pub mod classify;
mod exempt;
mod future;
mod grpc;
mod head;
mod key;
mod layer;
mod priority;
mod service;
mod stats;
mod table;
mod tracker;

pub use answer::{DECISION_HEADER, RETRY_AFTER_MS};
pub use atrion_engine::{CallError, Overloaded};
pub use body::{ServerBody, TrackedBody};
pub use call::{CallFuture, CallLayer, CallService};
pub use classify::Hold;
pub use future::{ClientFuture, ServerFuture};
pub use head::{RequestHead, ResponseHead};
pub use key::RouteKey;
pub use layer::{AtrionLayer, Client, Server};
pub use priority::{TIER_HEADER, VOLTAGE_HEADER};
pub use service::AtrionService;
pub use stats::LayerStats;
pub use table::UNMATCHED_ROUTE;
