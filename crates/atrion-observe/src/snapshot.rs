//! Everything that is told at one collection.

use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_engine::{ProcessCircuit, Stats};
use atrion_state::provider::{Health, Vitals};
use atrion_state::pulse::PulseStats;

use crate::aggregate::{OtherRow, RouteRow};

/// What one collection found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// When, on the collector's clock.
    pub at: Timestamp,
    /// Routes that have or had a label value of their own.
    pub routes: Vec<RouteRow>,
    /// All the others.
    pub other: OtherRow,
    /// Whether admissions are counted by tier and refusals by reason.
    pub tallied: bool,
    /// Label values that may be made.
    pub names_limit: usize,
    /// Counters of the instance.
    pub stats: Stats,
    /// The process's element, if there is one.
    pub process: Option<ProcessCircuit>,
    /// The provider and what lies behind it, if there is one.
    pub provider: Option<ProviderRow>,
}

/// How the exchange with the provider is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProviderRow {
    /// How the link is.
    pub health: Health,
    /// What the provider tells of itself: the licence, what it refused.
    pub vitals: Vitals,
    /// Counters of the pulse.
    pub pulse: PulseStats,
    /// Since a collection last found that something had been delivered, or since the first.
    pub since_delivery: Duration,
    /// The other nodes, if the provider can tell them apart.
    pub cluster: Option<ClusterRow>,
}

/// The cluster, as this node sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterRow {
    /// Nodes believed to be alive, this one included.
    pub nodes: u64,
    /// The longest that one of the others has been silent.
    pub longest_silence: Duration,
    /// Complaints of the others about routes, now.
    pub complaints: u64,
    /// Frames of the others that were taken in. Never goes down.
    pub frames: u64,
    /// Frames of the others that are known to be missing. Never goes down.
    pub lost: u64,
}
