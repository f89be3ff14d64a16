//! What a layer counts beside the engine's own counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of a layer and all its clones, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerStats {
    /// Routes the layer knows by name.
    pub known_routes: usize,
    /// Requests that passed as exempt, without a permit.
    pub exempt: u64,
    /// Requests that had no route of their own and were decided on the unmatched route: no
    /// matched path, an unproven gRPC method, a name too long, or too many names.
    pub unmatched: u64,
    /// Requests among the unmatched that had a usable name for which there was no room.
    pub over_limit: u64,
    /// Priority headers of trusted callers that could not be read and were ignored.
    pub malformed_headers: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) exempt: Counter,
    pub(crate) unmatched: Counter,
    pub(crate) over_limit: Counter,
    pub(crate) malformed: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
