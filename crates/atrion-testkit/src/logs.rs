//! Reads everything that is logged, and remembers what must never be.

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::wait::PATIENCE;

/// What no log line and no error may show: passwords, secrets and the keys' own parts.
static FORBIDDEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// The lines that did.
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static COUNT: AtomicU64 = AtomicU64::new(0);

fn lock<T>(list: &'static Mutex<Vec<T>>) -> std::sync::MutexGuard<'static, Vec<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens from now on, once for the whole process.
///
/// # Panics
/// If somebody else listens already.
pub fn listen() {
    static LISTENS: OnceLock<()> = OnceLock::new();
    LISTENS.get_or_init(|| {
        tracing::subscriber::set_global_default(Listener).expect("nobody else listens");
    });
}

/// From now on `text` must not be shown anywhere.
pub fn forbid(text: &str) {
    let mut forbidden = lock(&FORBIDDEN);
    if !forbidden.iter().any(|known| known == text) {
        forbidden.push(text.to_owned());
    }
}

/// No part of a licence key may be shown.
pub fn forbid_key(key: &str) {
    key.split('.').filter(|part| part.len() > 20).for_each(forbid);
}

/// A licence key, of which no part may be shown from now on.
pub fn unshown(key: String) -> String {
    forbid_key(&key);
    key
}

/// Runs a test. One that hangs says so, and one that gives away a secret fails; `password` is one.
///
/// # Panics
/// In either case.
pub async fn tight(test: &str, password: &str, run: impl Future<Output = ()>) {
    listen();
    forbid(password);
    assert!(tokio::time::timeout(2 * PATIENCE, run).await.is_ok(), "{test} hangs");
    assert_tight();
}

/// Whether `text` shows something that it must not.
pub fn leaks(text: &str) -> bool {
    lock(&FORBIDDEN).iter().any(|forbidden| text.contains(forbidden.as_str()))
}

/// Whether nothing was shown that must not be.
///
/// # Panics
/// With the lines, if something was.
pub fn assert_tight() {
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
