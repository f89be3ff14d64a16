//! The licence: whether Studio may show anything.

use atrion_commercial::gate::key_source;
use atrion_license::{
    ClockGuard, Event, Feature, Keyring, LicenseMonitor, ReplaceRefused, Severity, SystemWallClock,
    WallClock,
};
use atrion_state::license::LicenseSource;
use serde_json::{Value, json};

/// Watches the licence.
#[derive(Debug)]
pub(crate) struct Gate {
    monitor: LicenseMonitor,
    clock: SystemWallClock,
}

impl Gate {
    pub(crate) fn start(source: &LicenseSource) -> Self {
        let clock = SystemWallClock;
        let (monitor, events) = LicenseMonitor::start(
            Keyring::embedded(),
            ClockGuard::new(),
            &key_source(source),
            clock.now(),
        );
        log(&events);
        Self { monitor, clock }
    }

    /// Takes another licence, at once.
    pub(crate) fn replace(&self, source: &LicenseSource) -> Result<(), ReplaceRefused> {
        self.monitor.replace(&key_source(source), self.clock.now()).map(|events| log(&events))
    }

    /// Looks at the clock. Answers with what is new, for the log of events.
    pub(crate) fn check(&self) -> Vec<(Severity, String)> {
        let events = self.monitor.check(self.clock.now());
        log(&events);
        events.iter().map(|event| (event.severity(), event.to_string())).collect()
    }

    /// Whether Studio may show anything, as of the last look at the clock.
    pub(crate) fn is_open(&self) -> bool {
        self.monitor.permits(Feature::Studio)
    }

    /// The word for how it stands.
    pub(crate) fn code(&self) -> &'static str {
        let snapshot = self.monitor.snapshot();
        if snapshot.status.is_usable() && !snapshot.permits(Feature::Studio) {
            "not_covered"
        } else {
            snapshot.status.code()
        }
    }

    /// One sentence on how it stands and what to do.
    pub(crate) fn message(&self) -> String {
        match self.code() {
            "not_covered" => "the licence does not cover Studio; ask for one that does".to_owned(),
            _ => self.monitor.snapshot().status.to_string(),
        }
    }

    /// What `GET api/v1/license` answers.
    pub(crate) fn describe(&self) -> Value {
        let snapshot = self.monitor.snapshot();
        let licence = snapshot.license.as_ref();
        let claims = licence.map(|licence| licence.claims());
        let features = licence.map(|licence| {
            [
                (Feature::Cluster, "cluster"),
                (Feature::Persistence, "persistence"),
                (Feature::Studio, "studio"),
            ]
            .into_iter()
            .filter(|(feature, _)| licence.includes(*feature))
            .map(|(_, name)| name)
            .collect::<Vec<_>>()
        });
        let severity = match snapshot.status.severity() {
            _ if !self.is_open() => "error",
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        json!({
            "usable": self.is_open(),
            "status": self.code(),
            "severity": severity,
            "message": self.message(),
            "days_left": snapshot.status.days_left(),
            "tier": claims.map(|claims| claims.tier().name()),
            "licensee": claims.map(atrion_license::Claims::licensee),
            "id": claims.map(|claims| claims.licence_id().as_str()),
            "features": features,
            "issued": claims.map(|claims| claims.issued().to_string()),
            "expires": claims.map(|claims| claims.expires().to_string()),
            "clock_set_back": snapshot.clock.is_some(),
        })
    }
}

fn log(events: &[Event]) {
    for event in events {
        atrion_commercial::log!(event.severity(), "Studio: {event}");
    }
}
