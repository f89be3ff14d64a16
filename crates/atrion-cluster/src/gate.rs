//! The licence: what it allows the link to do.

use std::sync::{Arc, OnceLock};

use atrion_license::{
    ClockGuard, Event, Feature, KeySource, Keyring, LicenseMonitor, Severity, SystemWallClock,
    WallClock,
};
use atrion_state::license::{License, LicensePolicy, LicenseRefused, LicenseSource, LicenseView};
use atrion_state::peers::Notice;

use crate::machine::Grant;
use crate::shared::Shared;

/// Watches the licence of one provider.
pub(crate) struct Gate {
    monitor: OnceLock<LicenseMonitor>,
    clock: Box<dyn WallClock>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { monitor: OnceLock::new(), clock: Box::new(SystemWallClock) }
    }

    /// Whether a licence was given.
    pub(crate) fn is_set(&self) -> bool {
        self.monitor.get().is_some()
    }

    /// Takes a licence, or replaces it.
    pub(crate) fn take(&self, license: &License, shared: &Shared) -> Result<(), LicenseRefused> {
        let source = key_source(&license.source);
        let now = self.clock.now();
        let mut news = Vec::new();
        let mut first = false;
        let monitor = self.monitor.get_or_init(|| {
            first = true;
            let (monitor, events) =
                LicenseMonitor::start(Keyring::embedded(), ClockGuard::new(), &source, now);
            news = events;
            monitor
        });
        if !first {
            match monitor.replace(&source, now) {
                Ok(events) => news = events,
                Err(refused) if license.policy == LicensePolicy::Strict => {
                    return Err(refuse(refused));
                }
                Err(refused) => tell_refused(shared, &refused),
            }
        }
        let strictness = match license.policy {
            LicensePolicy::Strict => atrion_license::LicensePolicy::Strict,
            LicensePolicy::Lenient => atrion_license::LicensePolicy::Lenient,
        };
        let verdict = strictness.judge(&monitor.snapshot().status);
        self.apply(monitor, news, shared);
        verdict.map_err(refuse)
    }

    /// Looks whether the licence has expired, or works now.
    pub(crate) fn check(&self, shared: &Shared) {
        if let Some(monitor) = self.monitor.get() {
            let news = monitor.check(self.clock.now());
            if !news.is_empty() {
                self.apply(monitor, news, shared);
            }
        }
    }

    /// How the licence stands, as a stable word and as a sentence.
    pub(crate) fn status(&self) -> Option<(&'static str, String)> {
        let status = self.monitor.get()?.snapshot().status.clone();
        Some((status.code(), status.to_string()))
    }

    /// The same for operators.
    pub(crate) fn view(&self) -> Option<LicenseView> {
        let status = self.monitor.get()?.snapshot().status.clone();
        Some(LicenseView::new(status.code(), status.to_string(), status.days_left()))
    }

    fn apply(&self, monitor: &LicenseMonitor, news: Vec<Event>, shared: &Shared) {
        for event in news {
            let message = event.to_string();
            match event.severity() {
                Severity::Error => tracing::error!("{message}"),
                Severity::Warning => tracing::warn!("{message}"),
                Severity::Info => tracing::info!("{message}"),
            }
            let status = self.status().map_or("missing", |(code, _)| code);
            shared.note(Notice::License { status, message });
        }
        let snapshot = monitor.snapshot();
        let grant = snapshot.license.as_ref().filter(|_| monitor.permits(Feature::Cluster)).map(
            |license| Grant {
                license: Arc::from(license.claims().licence_id().as_str()),
                clusters: license.claims().cluster_limit(),
                nodes: license.claims().node_limit(),
            },
        );
        shared.change(|core, now| core.handle_grant(grant, now));
    }
}

fn tell_refused(shared: &Shared, refused: &atrion_license::ReplaceRefused) {
    let message = refused.to_string();
    tracing::warn!("{message}");
    shared.note(Notice::License { status: refused.offered.code(), message });
}

fn refuse(source: impl std::error::Error + Send + Sync + 'static) -> LicenseRefused {
    LicenseRefused { feature: "cluster", source: Box::new(source) }
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
