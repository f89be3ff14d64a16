//! Counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters since the provider was made. All only grow, except the gauges at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Batches committed.
    pub batches: u64,
    /// Vectors in them. One that was newer in the store counts too.
    pub saved: u64,
    /// Vectors that another process of this node's name had overtaken, and that the store kept.
    pub overtaken: u64,
    /// Times another, later process was found to go by this node's name.
    pub conflicts: u64,
    /// Vectors of this node read at a connection.
    pub restored_own: u64,
    /// Routes that other nodes' vectors were merged for at a connection.
    pub restored_others: u64,
    /// Rows refused: not a number, infinite, negative, from the future, over-long, no text.
    pub refused_rows: u64,
    /// Rows left out because more were stored than are kept in memory.
    pub left_out: u64,
    /// Rows removed because they were older than the retention.
    pub pruned: u64,
    /// Own vectors older than what is held.
    pub older: u64,
    /// Own routes forgotten to make room for others.
    pub evictions: u64,
    /// Connections opened.
    pub opens: u64,
    /// Exchanges that failed, including those below.
    pub failures: u64,
    /// Exchanges that did not end by their deadline.
    pub timeouts: u64,
    /// Gauge: routes held in memory.
    pub routes: u64,
}

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// The counters themselves.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: AtomicU64),* }

        impl Counters {
            pub(crate) fn read(&self, routes: usize) -> Stats {
                Stats { $($name: self.$name.load(Relaxed),)* routes: routes as u64 }
            }
        }
    };
}

counters!(
    batches,
    saved,
    overtaken,
    conflicts,
    restored_own,
    restored_others,
    refused_rows,
    left_out,
    pruned,
    older,
    evictions,
    opens,
    failures,
    timeouts,
);

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Relaxed);
}
