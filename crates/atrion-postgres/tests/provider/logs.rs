//! Reads everything that is logged, and remembers what must never be.

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// What no log line and no error may show: passwords, secrets and the keys' own parts.
static FORBIDDEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// The lines that did.
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static COUNT: AtomicU64 = AtomicU64::new(0);

fn lock<T>(list: &'static Mutex<Vec<T>>) -> std::sync::MutexGuard<'static, Vec<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens from now on, once for the whole process.
pub(crate) fn listen() {
    static LISTENS: OnceLock<()> = OnceLock::new();
    LISTENS.get_or_init(|| {
        tracing::subscriber::set_global_default(Listener).expect("nobody else listens");
    });
}

/// From now on `text` must not be shown anywhere.
pub(crate) fn forbid(text: &str) {
    let mut forbidden = lock(&FORBIDDEN);
    if !forbidden.iter().any(|known| known == text) {
        forbidden.push(text.to_owned());
    }
}

/// Whether `text` shows something that it must not.
pub(crate) fn leaks(text: &str) -> bool {
    lock(&FORBIDDEN).iter().any(|forbidden| text.contains(forbidden.as_str()))
}

/// Panics if anything was shown that must not be.
pub(crate) fn assert_tight() {
    let leaks = lock(&LEAKS);
    assert!(leaks.is_empty(), "secrets were logged: {leaks:#?}");
}

struct Listener;

/// One line of an event: its level, where it is from, and its fields.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(String::new());
        span.record(&mut line);
        look_at(&line.0);
        Id::from_u64(COUNT.fetch_add(1, Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{} {}:", metadata.level(), metadata.target()));
        event.record(&mut line);
        look_at(&line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn look_at(line: &str) {
    if leaks(line) {
        lock(&LEAKS).push(line.to_owned());
    }
}
