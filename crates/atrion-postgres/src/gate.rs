//! The licence: whether the store may be used.

use atrion_commercial::gate::Gate as Watch;
use atrion_license::{Event, Feature};
use atrion_state::license::{License, LicenseRefused};

/// Watches the licence of one provider.
pub(crate) struct Gate(Watch);

impl Gate {
    pub(crate) const fn new() -> Self {
        Self(Watch::new(Feature::Persistence, "persistence"))
    }

    /// Takes a licence, or replaces it. What works is not given up for what does not.
    pub(crate) fn take(&self, license: &License) -> Result<(), LicenseRefused> {
        let taken = self.0.take(license);
        tell(taken.news);
        if let Some(refused) = taken.refused {
            tracing::warn!("{refused}");
        }
        taken.verdict
    }

    /// Looks for a licence where it is looked for by default, if none was given.
    pub(crate) fn settle(&self) {
        if self.0.monitor().is_none() {
            // One that is not good makes the link rest; it does not fail the connection.
            let _ = self.take(&License::default());
        }
    }

    /// Looks whether the licence has expired, or works now.
    pub(crate) fn check(&self) {
        tell(self.0.check());
    }

    /// Whether the store may be used.
    pub(crate) fn permits(&self) -> bool {
        self.0.permits()
    }

    /// How the licence stands, as a stable word and as a sentence.
    pub(crate) fn status(&self) -> Option<(&'static str, String)> {
        self.0.status()
    }

    /// What to say while the store is left alone for want of a licence.
    pub(crate) fn obstacle(&self) -> String {
        let status = self.status().map_or_else(String::new, |(_, sentence)| sentence);
        format!("no licence for persistence, nothing is stored: {status}")
    }
}

fn tell(news: Vec<Event>) {
    for event in news {
        atrion_commercial::log!(event.severity(), "{event}");
    }
}
