//! The licence: whether the store may be used.

use std::sync::OnceLock;

use atrion_license::{
    ClockGuard, Event, Feature, KeySource, Keyring, LicenseMonitor, Severity, SystemWallClock,
    WallClock,
};
use atrion_state::license::{License, LicensePolicy, LicenseRefused, LicenseSource};

/// Watches the licence of one provider.
pub(crate) struct Gate {
    monitor: OnceLock<LicenseMonitor>,
    clock: Box<dyn WallClock>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { monitor: OnceLock::new(), clock: Box::new(SystemWallClock) }
    }

    /// Takes a licence, or replaces it. What works is not given up for what does not.
    pub(crate) fn take(&self, license: &License) -> Result<(), LicenseRefused> {
        let source = key_source(&license.source);
        let now = self.clock.now();
        let mut news = None;
        let monitor = self.monitor.get_or_init(|| {
            let (monitor, events) =
                LicenseMonitor::start(Keyring::embedded(), ClockGuard::new(), &source, now);
            news = Some(events);
            monitor
        });
        match news {
            Some(events) => tell(events),
            None => match monitor.replace(&source, now) {
                Ok(events) => tell(events),
                Err(refused) if license.policy == LicensePolicy::Strict => {
                    return Err(refuse(refused));
                }
                Err(refused) => tracing::warn!("{refused}"),
            },
        }
        let strictness = match license.policy {
            LicensePolicy::Strict => atrion_license::LicensePolicy::Strict,
            LicensePolicy::Lenient => atrion_license::LicensePolicy::Lenient,
        };
        strictness.judge(&monitor.snapshot().status).map_err(refuse)
    }

    /// Looks for a licence where it is looked for by default, if none was given.
    pub(crate) fn settle(&self) {
        if self.monitor.get().is_none() {
            // One that is not good makes the link rest; it does not fail the connection.
            let _ = self.take(&License::default());
        }
    }

    /// Looks whether the licence has expired, or works now.
    pub(crate) fn check(&self) {
        if let Some(monitor) = self.monitor.get() {
            tell(monitor.check(self.clock.now()));
        }
    }

    /// Whether the store may be used.
    pub(crate) fn permits(&self) -> bool {
        self.monitor.get().is_some_and(|monitor| monitor.permits(Feature::Persistence))
    }

    /// How the licence stands, as a stable word and as a sentence.
    pub(crate) fn status(&self) -> Option<(&'static str, String)> {
        let status = self.monitor.get()?.snapshot().status.clone();
        Some((status.code(), status.to_string()))
    }

    /// What to say while the store is left alone for want of a licence.
    pub(crate) fn obstacle(&self) -> String {
        let status = self.status().map_or_else(String::new, |(_, sentence)| sentence);
        format!("no licence for persistence, nothing is stored: {status}")
    }
}

fn tell(news: Vec<Event>) {
    for event in news {
        match event.severity() {
            Severity::Error => tracing::error!("{event}"),
            Severity::Warning => tracing::warn!("{event}"),
            Severity::Info => tracing::info!("{event}"),
        }
    }
}

fn refuse(source: impl std::error::Error + Send + Sync + 'static) -> LicenseRefused {
    LicenseRefused { feature: "persistence", source: Box::new(source) }
}

fn key_source(source: &LicenseSource) -> KeySource {
    match source {
        LicenseSource::Inline(key) => KeySource::Inline(key.clone()),
        LicenseSource::File(path) => KeySource::File(path.clone()),
        LicenseSource::Env(name) => KeySource::Env(name.clone()),
        // A kind of source that this version does not know holds no key that it could read.
        _ => KeySource::Inline(String::new()),
    }
}
