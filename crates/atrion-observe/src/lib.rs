//! Eyes for Atrion: metrics, tracing events and health, never at a request's expense.
//!
//! Most users depend on the crate `atrion` and enable its features `metrics`, `otel` or `tracing`,
//! which re-export this one as `atrion::observe`.
//!
//! | what | feature | how it works |
//! |---|---|---|
//! | [`Collector`], [`Aggregator`] | | reads an instance when asked to; bounded number of series |
#![cfg_attr(
    feature = "metrics",
    doc = "| [`MetricsExporter`] | `metrics` | fills the facade `metrics` before a scrape, or at an interval |"
)]
#![cfg_attr(
    feature = "otel",
    doc = "| [`OtelInstruments`] | `otel` | observable instruments, read when the SDK collects |"
)]
#![cfg_attr(
    feature = "tracing",
    doc = "| [`TracingObserver`] | `tracing` | tells events on the observer's own thread |"
)]
//! | [`Probe`] | (`serde`) | readiness and liveness as data |
//!
//! Names, units and labels: [`instruments`], and `docs/observability.md`, which a test compares
//! with it.
//!
//! # What it costs
//! Nothing is done on the request path. Counters and gauges are those that admission needs anyway,
//! read from outside; `Builder::tally` adds one addition to an admission, for counts by tier.

mod aggregate;
mod collector;
mod health;
mod instrument;
mod label;
#[cfg(feature = "metrics")]
mod metrics_facade;
mod odometer;
#[cfg(feature = "otel")]
mod otel;
mod sample;
mod snapshot;
#[cfg(test)]
mod testing;
mod throttle;
mod top;
#[cfg(feature = "tracing")]
mod tracing_events;
#[cfg(feature = "tracing")]
mod tracing_span;

pub use aggregate::{Aggregator, OtherRow, RouteRow};
pub use collector::Collector;
pub use health::{LicenseHealth, Link, Liveness, Probe, Readiness, Waiting};
pub use instrument::{Emit, Instrument, Kind, Label, Value, instruments, markdown};
pub use label::{LABEL_LIMIT, OTHER, label_value};
#[cfg(feature = "metrics")]
pub use metrics_facade::{MetricsExporter, Refresher};
pub use odometer::Odometer;
#[cfg(feature = "otel")]
pub use otel::OtelInstruments;
pub use sample::{Counters, Gauges, Reading, TallyReading};
pub use snapshot::{ClusterRow, ProviderRow, Snapshot};
pub use throttle::{Throttle, Told};
pub use top::{NAMES_LIMIT, TOP_LIMIT, TopConfig, TopConfigBuilder, TopConfigError};
#[cfg(feature = "tracing")]
pub use tracing_events::TracingObserver;
#[cfg(feature = "tracing")]
pub use tracing_span::{Guarded, guarded};

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
