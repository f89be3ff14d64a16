//! Who did what: a bounded log, `tracing`, and a sink of the user's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::ring::{Page, Ring};

/// Entries that are kept.
pub(crate) const AUDIT: usize = 1000;

/// One action.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The address that it came from, as far as it is known; behind a reverse proxy that of the
    /// proxy. `studio` for what ended by itself.
    pub from: String,
    /// What was done, such as `force_open`.
    pub action: &'static str,
    /// The route, by its name.
    pub route: Option<Arc<str>>,
    /// In a sentence.
    pub summary: String,
    /// Why, as the one who did it said. Any text of up to 200 characters.
    pub reason: String,
    /// What came of it: `done`, `state_changed` or `expired`.
    pub outcome: &'static str,
}

/// Is told of every action.
///
/// It is called on the thread that does all of Studio's work: one that blocks holds the page up,
/// and nothing else. One that panics is caught.
pub trait AuditSink: Send + Sync + 'static {
    /// One action, in the order in which they were done.
    fn record(&self, entry: &AuditEntry);
}

impl<F: Fn(&AuditEntry) + Send + Sync + 'static> AuditSink for F {
    fn record(&self, entry: &AuditEntry) {
        self(entry);
    }
}

pub(crate) struct Audit {
    ring: Mutex<Ring<AuditEntry>>,
    sink: Option<Box<dyn AuditSink>>,
}

impl Audit {
    pub(crate) fn new(sink: Option<Box<dyn AuditSink>>) -> Self {
        Self { ring: Mutex::new(Ring::new(AUDIT)), sink }
    }

    fn ring(&self) -> MutexGuard<'_, Ring<AuditEntry>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an entry and tells everybody; answers with its number.
    pub(crate) fn record(&self, entry: AuditEntry) -> u64 {
        let AuditEntry { from, action, summary, reason, outcome, .. } = &entry;
        tracing::info!(from, action, summary, reason, outcome, "Studio: action");
        if let Some(sink) = &self.sink {
            let told = std::panic::AssertUnwindSafe(|| sink.record(&entry));
            if std::panic::catch_unwind(told).is_err() {
                tracing::error!("Studio: the audit sink panicked");
            }
        }
        self.ring().push(entry)
    }

    pub(crate) fn newest(&self) -> u64 {
        self.ring().newest()
    }

    pub(crate) fn page(&self, after: u64, limit: usize) -> Page<AuditEntry> {
        self.ring().page(after, limit)
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").field("newest", &self.newest()).finish_non_exhaustive()
    }
}

/// An entry as JSON; `id` is that of its route.
pub(crate) fn describe(entry: &AuditEntry, seq: u64, id: Option<u64>) -> Value {
    json!({
        "seq": seq, "at_ms": entry.at_ms, "from": entry.from, "action": entry.action, "route": id,
        "name": entry.route.as_deref(), "summary": entry.summary, "reason": entry.reason,
        "outcome": entry.outcome,
    })
}
