//! What the pulse has to tell, and its counters.

use std::time::Duration;

/// Something worth telling an operator. Events are rate-limited by the machine itself, so they
/// can be logged as they come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PulseEvent {
    /// The provider fails or reports trouble. Local protection goes on, changes are kept and will
    /// be sent. At most one is raised in each
    /// [`warn_interval`](super::PulseConfigBuilder::warn_interval).
    Unhealthy {
        /// The last error, as its `Display` and its sources say it.
        reason: String,
        /// Failures in a row so far.
        failures: u32,
        /// Since the first of them.
        failing_for: Duration,
        /// Failures since the last event of this kind that raised none.
        suppressed: u64,
    },
    /// The provider works again; raised only after an [`PulseEvent::Unhealthy`].
    Healthy {
        /// How long it had failed.
        failed_for: Duration,
        /// How many attempts had failed in a row.
        failures: u32,
    },
}

/// What the pulse has done since it was made. All numbers only grow, except `pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PulseStats {
    /// Pulses: visits to the source.
    pub pulses: u64,
    /// Changes taken from the source.
    pub changes: u64,
    /// Changes that replaced one of the same route that had not been sent yet.
    pub coalesced: u64,
    /// Changes not sent because the store is known to hold nearly the same.
    pub within_dead_band: u64,
    /// Changes refused because the buffer was full; a well-behaved source keeps and repeats them.
    pub refused_full: u64,
    /// Changes dropped because the route's name is longer than a provider has to store.
    pub refused_name: u64,
    /// Batches that the provider accepted.
    pub batches: u64,
    /// Vectors in them.
    pub delivered: u64,
    /// Heartbeats that the provider accepted.
    pub heartbeats: u64,
    /// Calls that failed, including those below.
    pub failures: u64,
    /// Calls that did not finish by their deadline.
    pub timeouts: u64,
    /// Calls that panicked.
    pub panics: u64,
    /// Visits in which the source panicked.
    pub source_panics: u64,
    /// Remote vectors passed on.
    pub remote_accepted: u64,
    /// Remote vectors dropped because a newer one of the route had been passed on.
    pub remote_older: u64,
    /// Remote vectors dropped because they were older than
    /// [`remote_max_age`](super::PulseConfigBuilder::remote_max_age).
    pub remote_stale: u64,
    /// Remote vectors dropped because the route's name was too long.
    pub remote_refused: u64,
    /// Subscriptions that ended and were made again.
    pub resubscriptions: u64,
    /// Routes waiting to be sent, those in flight included.
    pub pending: u64,
}

/// What became of the changes when a flush or a shutdown was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushReport {
    /// Vectors that the provider accepted since the flush or shutdown began.
    pub delivered: u64,
    /// Vectors that could not be delivered in time.
    pub undelivered: usize,
}
