//! The licence: what it allows the link to do.

use std::sync::Arc;

use atrion_commercial::gate::Gate as Watch;
use atrion_license::{Event, Feature};
use atrion_state::license::{License, LicenseRefused, LicenseView};
use atrion_state::peers::Notice;

use crate::machine::Grant;
use crate::shared::Shared;

/// Watches the licence of one provider, and tells the machine what it grants.
pub(crate) struct Gate(Watch);

impl Gate {
    pub(crate) const fn new() -> Self {
        Self(Watch::new(Feature::Cluster, "cluster"))
    }

    /// Whether a licence was given.
    pub(crate) fn is_set(&self) -> bool {
        self.0.monitor().is_some()
    }

    /// Takes a licence, or replaces it.
    pub(crate) fn take(&self, license: &License, shared: &Shared) -> Result<(), LicenseRefused> {
        let taken = self.0.take(license);
        if let Some(refused) = taken.refused {
            let message = refused.to_string();
            tracing::warn!("{message}");
            shared.note(Notice::License { status: refused.offered.code(), message });
        }
        self.apply(taken.news, shared);
        taken.verdict
    }

    /// Looks whether the licence has expired, or works now.
    pub(crate) fn check(&self, shared: &Shared) {
        let news = self.0.check();
        if !news.is_empty() {
            self.apply(news, shared);
        }
    }

    /// How the licence stands, as a stable word and as a sentence.
    pub(crate) fn status(&self) -> Option<(&'static str, String)> {
        self.0.status()
    }

    /// The same for operators.
    pub(crate) fn view(&self) -> Option<LicenseView> {
        self.0.view()
    }

    fn apply(&self, news: Vec<Event>, shared: &Shared) {
        for event in news {
            let message = event.to_string();
            atrion_commercial::log!(event.severity(), "{message}");
            let status = self.status().map_or("missing", |(code, _)| code);
            shared.note(Notice::License { status, message });
        }
        let Some(monitor) = self.0.monitor() else { return };
        let snapshot = monitor.snapshot();
        let grant = snapshot.license.as_ref().filter(|_| self.0.permits()).map(|license| Grant {
            license: Arc::from(license.claims().licence_id().as_str()),
            clusters: license.claims().cluster_limit(),
            nodes: license.claims().node_limit(),
        });
        shared.change(|core, now| core.handle_grant(grant, now));
    }
}
