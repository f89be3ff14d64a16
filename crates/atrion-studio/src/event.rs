//! What happened, for the page's list: a bounded log, and the observer that fills it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use atrion_core::law::BreakerMode;
use atrion_engine::{Event, Interest, Observer, Shed};
use atrion_license::SystemWallClock;
use atrion_state::peers::Notice;
use atrion_state::pulse::PulseEvent;
use serde_json::{Value, json};

use crate::history::Refused;
use crate::ring::{Page, Ring};

/// Entries that are kept.
pub(crate) const EVENTS: usize = 1000;
/// Refusals that wait for the desk.
const INBOX: usize = 1000;

/// How much attention an entry needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at_ms: u64,
    pub(crate) kind: &'static str,
    pub(crate) level: Level,
    /// The route's name.
    pub(crate) route: Option<Arc<str>>,
    pub(crate) text: String,
}

impl Entry {
    /// As JSON; `id` is that of its route.
    pub(crate) fn describe(&self, seq: u64, id: Option<u64>) -> Value {
        json!({
            "seq": seq, "at_ms": self.at_ms, "kind": self.kind, "severity": self.level.as_str(),
            "route": id, "name": self.route.as_deref(), "text": self.text,
        })
    }
}

/// The present calendar time in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemWallClock.unix_micros() / 1000
}

/// What the observer leaves for the desk and the page.
#[derive(Debug)]
pub(crate) struct Journal {
    ring: Mutex<Ring<Entry>>,
    /// Routes whose refusals somebody wants to see.
    watched: RwLock<HashSet<Arc<str>>>,
    refused: Mutex<Vec<(Arc<str>, Refused)>>,
    /// How often the configuration was replaced, and when last.
    reloads: Mutex<(u64, Option<u64>)>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            ring: Mutex::new(Ring::new(EVENTS)),
            watched: RwLock::new(HashSet::new()),
            refused: Mutex::new(Vec::new()),
            reloads: Mutex::new((0, None)),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring<Entry>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something.
    pub(crate) fn note(
        &self,
        kind: &'static str,
        level: Level,
        route: Option<&str>,
        text: impl Into<String>,
    ) {
        let entry =
            Entry { at_ms: now_ms(), kind, level, route: route.map(Arc::from), text: text.into() };
        self.ring().push(entry);
    }

    pub(crate) fn page(&self, after: u64, limit: usize) -> Page<Entry> {
        self.ring().page(after, limit)
    }

    pub(crate) fn newest(&self) -> u64 {
        self.ring().newest()
    }

    /// Refusals of these routes are kept from now on, and of no others.
    pub(crate) fn watch(&self, names: impl Iterator<Item = Arc<str>>) {
        *self.watched.write().unwrap_or_else(PoisonError::into_inner) = names.collect();
    }

    /// The refusals since the last call.
    pub(crate) fn take_refused(&self) -> Vec<(Arc<str>, Refused)> {
        std::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often the configuration was replaced, and when last, in milliseconds since 1970.
    pub(crate) fn reloads(&self) -> (u64, Option<u64>) {
        *self.reloads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reloaded(&self) {
        let mut reloads = self.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        *reloads = (reloads.0 + 1, Some(now_ms()));
    }

    fn refused(&self, name: &str, shed: &Shed, shadow: bool) {
        let watched = self.watched.read().unwrap_or_else(PoisonError::into_inner);
        let Some(name) = watched.get(name).cloned() else { return };
        drop(watched);
        let refused = Refused {
            at_ms: now_ms(),
            reason: shed.reason().as_str(),
            volt: shed.voltage().get(),
            parts: shed.parts().values(),
            retry_after_ms: u64::try_from(shed.retry_after().as_millis()).unwrap_or(u64::MAX),
            shadow,
            text: shed.explain().to_string(),
        };
        let mut inbox = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if inbox.len() < INBOX {
            inbox.push((name, refused));
        }
    }
}

/// Fills a [`Journal`].
#[derive(Debug)]
pub(crate) struct Watcher {
    journal: Arc<Journal>,
    interest: Interest,
}

impl Watcher {
    /// Notes what is rare.
    pub(crate) fn of_events(journal: &Arc<Journal>) -> Self {
        let interest = Interest::MODES | Interest::INSTANCE | Interest::CLUSTER;
        Self { journal: Arc::clone(journal), interest }
    }

    /// Notes refusals, of which there may be many: attached while somebody looks at a route.
    pub(crate) fn of_refusals(journal: &Arc<Journal>) -> Self {
        Self { journal: Arc::clone(journal), interest: Interest::FIRST_SHEDS }
    }
}

impl Observer for Watcher {
    fn event(&self, event: &Event) {
        let note = |kind, level, route: Option<&str>, text: String| {
            self.journal.note(kind, level, route, text);
        };
        match event {
            Event::Shed { route, shed, shadow } => {
                self.journal.refused(route.name(), shed, *shadow);
            }
            Event::ModeChanged { route, mode: BreakerMode::Open, .. } => {
                note("mode", Level::Warning, Some(route.name()), "the breaker opened".into());
            }
            Event::ModeChanged { route, mode: BreakerMode::Closed, .. } => {
                note("mode", Level::Info, Some(route.name()), "the breaker closed".into());
            }
            Event::Held { route, held: true, .. } => note(
                "held",
                Level::Warning,
                Some(route.name()),
                "held back because of what other nodes say".into(),
            ),
            Event::Held { route, held: false, .. } => {
                note("held", Level::Info, Some(route.name()), "not held back any more".into());
            }
            Event::Evicted { name } => note(
                "evicted",
                Level::Warning,
                Some(name),
                "forgotten to make room for another route".into(),
            ),
            Event::Reloaded => {
                self.journal.reloaded();
                note("reloaded", Level::Info, None, "the configuration was replaced".into());
            }
            Event::Pulse(news) => {
                let (level, text) = pulse_text(news);
                note("pulse", level, None, text);
            }
            Event::Cluster(notice) => {
                let (kind, level, text) = notice_text(notice);
                note(kind, level, None, text);
            }
            _ => {}
        }
    }

    fn interest(&self) -> Interest {
        self.interest
    }
}

fn pulse_text(news: &PulseEvent) -> (Level, String) {
    match news {
        PulseEvent::Unhealthy { reason, failures, failing_for, .. } => (
            Level::Warning,
            format!(
                "the exchange with the store fails, {failures} times in {:.1} s: {reason}",
                failing_for.as_secs_f64()
            ),
        ),
        PulseEvent::Healthy { failed_for, .. } => (
            Level::Info,
            format!(
                "the exchange with the store works again, after {:.1} s",
                failed_for.as_secs_f64()
            ),
        ),
        other => (Level::Info, format!("{other:?}")),
    }
}

fn notice_text(notice: &Notice) -> (&'static str, Level, String) {
    match notice {
        Notice::LinkUp { after } => (
            "link",
            Level::Info,
            format!("the store is reached, after {:.1} s", after.as_secs_f64()),
        ),
        Notice::LinkDown { reason } => {
            ("link", Level::Error, format!("the store is away: {reason}"))
        }
        Notice::NodeJoined { id, name } => {
            ("node", Level::Info, format!("node {id} joined: {name}"))
        }
        Notice::NodeLeft { id, name } => {
            ("node", Level::Warning, format!("node {id} left: {name}"))
        }
        Notice::DuplicateNode { id } => (
            "node",
            Level::Warning,
            format!("another process uses the id {id} too; this one has taken a new one"),
        ),
        Notice::License { status, message } => {
            let level = match *status {
                "valid" => Level::Info,
                "expiring" | "grace" => Level::Warning,
                _ => Level::Error,
            };
            ("license", level, message.clone())
        }
        other => ("node", Level::Info, format!("{other:?}")),
    }
}
