//! The licence of one part: whether it may do what it is for.

use std::sync::OnceLock;

use atrion_license::{
    ClockGuard, Event, Feature, KeySource, Keyring, LicenseMonitor, ReplaceRefused,
    SystemWallClock, WallClock,
};
use atrion_state::license::{License, LicensePolicy, LicenseRefused, LicenseSource, LicenseView};

/// Watches the licence of one provider. It says nothing to anybody: what it returns is to be told
/// by its owner.
#[derive(Debug)]
pub struct Gate {
    feature: Feature,
    name: &'static str,
    monitor: OnceLock<LicenseMonitor>,
}

/// What came of a licence that was offered.
#[derive(Debug)]
#[must_use = "somebody has to be told"]
pub struct Taken {
    /// What is to be told.
    pub news: Vec<Event>,
    /// The licence was not taken, because what works is not given up for what does not; to be told
    /// too. Under a strict policy this is the verdict instead.
    pub refused: Option<ReplaceRefused>,
    /// An error under a strict policy if the licence that holds now is not good.
    pub verdict: Result<(), LicenseRefused>,
}

impl Gate {
    /// A gate to `feature`, which errors call `name`. No licence has been looked for.
    pub const fn new(feature: Feature, name: &'static str) -> Self {
        Self { feature, name, monitor: OnceLock::new() }
    }

    /// Who watches the licence, once one was given.
    pub fn monitor(&self) -> Option<&LicenseMonitor> {
        self.monitor.get()
    }

    /// Takes a licence, or replaces it. What works is not given up for what does not.
    pub fn take(&self, license: &License) -> Taken {
        let source = key_source(&license.source);
        let now = SystemWallClock.now();
        let mut first = None;
        let monitor = self.monitor.get_or_init(|| {
            let (monitor, news) =
                LicenseMonitor::start(Keyring::embedded(), ClockGuard::new(), &source, now);
            first = Some(news);
            monitor
        });
        let replaced = first.map_or_else(|| monitor.replace(&source, now), Ok);
        let (news, refused) = match replaced {
            Ok(news) => (news, None),
            Err(refused) if license.policy == LicensePolicy::Strict => {
                return Taken {
                    news: Vec::new(),
                    refused: None,
                    verdict: Err(self.refuse(refused)),
                };
            }
            Err(refused) => (Vec::new(), Some(refused)),
        };
        let strictness = match license.policy {
            LicensePolicy::Strict => atrion_license::LicensePolicy::Strict,
            LicensePolicy::Lenient => atrion_license::LicensePolicy::Lenient,
        };
        let verdict = strictness.judge(&monitor.snapshot().status);
        Taken { news, refused, verdict: verdict.map_err(|refused| self.refuse(refused)) }
    }

    /// Looks whether the licence has expired, or works now; returns what is to be told.
    pub fn check(&self) -> Vec<Event> {
        self.monitor().map(|monitor| monitor.check(SystemWallClock.now())).unwrap_or_default()
    }

    /// Whether the feature may be used, as of the last look.
    pub fn permits(&self) -> bool {
        self.monitor().is_some_and(|monitor| monitor.permits(self.feature))
    }

    /// How the licence stands, as a stable word and as a sentence; `None` before one was given.
    pub fn status(&self) -> Option<(&'static str, String)> {
        let status = self.monitor()?.snapshot().status.clone();
        Some((status.code(), status.to_string()))
    }

    /// The same for operators.
    pub fn view(&self) -> Option<LicenseView> {
        let status = self.monitor()?.snapshot().status.clone();
        Some(LicenseView::new(status.code(), status.to_string(), status.days_left()))
    }

    fn refuse(&self, source: impl std::error::Error + Send + Sync + 'static) -> LicenseRefused {
        LicenseRefused { feature: self.name, source: Box::new(source) }
    }
}

/// The source that the user named, as the licence crate reads it.
pub fn key_source(source: &LicenseSource) -> KeySource {
    match source {
        LicenseSource::Inline(key) => KeySource::Inline(key.clone()),
        LicenseSource::File(path) => KeySource::File(path.clone()),
        LicenseSource::Env(name) => KeySource::Env(name.clone()),
        // A kind of source that this version does not know holds no key that it could read.
        _ => KeySource::Inline(String::new()),
    }
}

/// Logs what is new about a licence with `tracing`, as the module that calls it: `log!(severity,
/// "{event}")`.
#[macro_export]
macro_rules! log {
    ($severity:expr, $($said:tt)+) => {
        match $severity {
            ::atrion_license::Severity::Error => ::tracing::error!($($said)+),
            ::atrion_license::Severity::Warning => ::tracing::warn!($($said)+),
            ::atrion_license::Severity::Info => ::tracing::info!($($said)+),
        }
    };
}

#[cfg(test)]
mod tests {
    use atrion_license::issue::{Issuer, Terms};
    use atrion_license::{Tier, WallTime};

    use super::*;

    fn of(key: &str, policy: LicensePolicy) -> License {
        License { source: key.into(), policy }
    }

    fn key(issued: WallTime) -> String {
        let id = "gate".parse().expect("an identifier");
        let issuer = Issuer::development().expect("part of the crate");
        issuer.issue(&Terms::new(Tier::Development, id, "a test", issued)).expect("allowed")
    }

    #[test]
    fn without_a_licence_nothing_is_permitted_and_there_is_nothing_to_check() {
        let gate = Gate::new(Feature::Cluster, "cluster");
        assert!(gate.monitor().is_none() && gate.status().is_none() && gate.view().is_none());
        assert!(!gate.permits() && gate.check().is_empty());
        let taken = gate.take(&of("", LicensePolicy::Lenient));
        assert!(taken.verdict.is_ok() && taken.refused.is_none() && !taken.news.is_empty());
        assert!(!gate.permits());
        assert_eq!(gate.status().map(|(code, _)| code), Some("missing"));
    }

    #[test]
    fn a_strict_policy_names_who_is_refused() {
        let gate = Gate::new(Feature::Persistence, "persistence");
        let taken = gate.take(&of("garbage", LicensePolicy::Strict));
        let refused = taken.verdict.expect_err("no key");
        assert_eq!(refused.feature, "persistence");
        assert!(!taken.news.is_empty(), "it is told all the same");
    }

    #[test]
    fn what_works_is_not_given_up_for_what_does_not() {
        let gate = Gate::new(Feature::Cluster, "cluster");
        let good = key(SystemWallClock.now());
        assert!(gate.take(&of(&good, LicensePolicy::Strict)).verdict.is_ok());
        assert!(gate.permits());
        let expired = key(WallTime::EPOCH);
        let lenient = gate.take(&of(&expired, LicensePolicy::Lenient));
        assert!(lenient.refused.is_some() && lenient.verdict.is_ok() && lenient.news.is_empty());
        let strict = gate.take(&of(&expired, LicensePolicy::Strict));
        assert!(strict.verdict.is_err() && strict.refused.is_none() && strict.news.is_empty());
        assert!(gate.permits());
        assert_eq!(gate.view().map(|view| view.status), gate.status().map(|(code, _)| code));
    }
}
