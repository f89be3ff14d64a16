//! What the parts of the driver share: where nodes are, how the load is, what came of it.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::ledger::{Invariant, Ledger};
use crate::schedule::{Health, NODES};
use crate::tally::Tallies;

/// Where a node is; 0 while it is not.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) port: AtomicU16,
    pub(crate) studio: AtomicU16,
}

#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) places: [Place; NODES],
    /// How many times the usual load.
    pub(crate) factor: AtomicU32,
    /// Whether there is any load.
    pub(crate) loading: AtomicBool,
    /// Requests that are under way.
    pub(crate) under_way: AtomicU64,
    pub(crate) health: watch::Sender<Health>,
    pub(crate) lines_read: AtomicU64,
    tallies: Mutex<Tallies>,
    ledger: Mutex<Ledger>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            places: Default::default(),
            factor: AtomicU32::new(1),
            loading: AtomicBool::new(false),
            under_way: AtomicU64::new(0),
            health: watch::Sender::new(Health::Healthy),
            lines_read: AtomicU64::new(0),
            tallies: Mutex::default(),
            ledger: Mutex::default(),
        }
    }

    pub(crate) fn port(&self, node: usize) -> Option<u16> {
        self.places.get(node).map(|place| place.port.load(Relaxed)).filter(|port| *port > 0)
    }

    pub(crate) fn studio(&self, node: usize) -> Option<u16> {
        self.places.get(node).map(|place| place.studio.load(Relaxed)).filter(|port| *port > 0)
    }

    pub(crate) fn put(&self, node: usize, port: u16, studio: u16) {
        if let Some(place) = self.places.get(node) {
            place.port.store(port, Relaxed);
            place.studio.store(studio, Relaxed);
        }
    }

    pub(crate) fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a look; says a violation aloud.
    pub(crate) fn check(&self, invariant: Invariant, holds: bool, words: impl FnOnce() -> String) {
        if holds {
            self.ledger().check(invariant, true, String::new);
        } else {
            self.violated(invariant, words());
        }
    }

    /// Counts a violation and says it aloud.
    pub(crate) fn violated(&self, invariant: Invariant, words: String) {
        println!("  VIOLATION: {}: {words}", invariant.title());
        self.ledger().violated(invariant, words);
    }
}
