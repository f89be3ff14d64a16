//! The terms of the shipped law, and how each is taken out by configuration.

use atrion_core::law::{LawConfig, LawConfigBuilder};

use crate::error::StudyError;

/// A term of the law that configuration can take out.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// Its name.
    pub name: &'static str,
    /// The setting that removes it, and what is left then.
    pub removed_by: &'static str,
    remove: fn(LawConfigBuilder) -> LawConfigBuilder,
}

impl Term {
    /// The law without it.
    ///
    /// # Errors
    /// [`StudyError::Config`] if the law refuses the setting, which a test rules out.
    pub fn without(&self) -> Result<LawConfig, StudyError> {
        Ok((self.remove)(LawConfig::builder()).build()?)
    }
}

/// A term that configuration cannot take out, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixture {
    /// Its name.
    pub name: &'static str,
    /// Why it stays, or why there is nothing to remove.
    pub why: &'static str,
}

/// Every term that can be removed.
pub const TERMS: &[Term] = &[
    Term {
        name: "burst allowance",
        removed_by: "queue_burst = 0",
        remove: |law| law.queue_burst(0.0),
    },
    Term {
        name: "passing queue",
        removed_by: "queue_passing = 0: voltage counts in every queue",
        remove: |law| law.queue_passing(0.0),
    },
    Term {
        name: "queue in baselines",
        removed_by: "queue_baselines = 0: every service gets the least queue",
        remove: |law| law.queue_baselines(0.0),
    },
    Term { name: "least queue", removed_by: "queue_min = 0", remove: |law| law.queue_min(0.0) },
    Term {
        name: "growth trial",
        removed_by: "growth_max = 1: parallelism grows by calm intervals only",
        remove: |law| law.growth_max(1.0),
    },
    Term {
        name: "way down for C",
        removed_by: "parallelism_slack = 1e9",
        remove: |law| law.parallelism_slack(1e9),
    },
    Term {
        name: "congestion test",
        removed_by: "congestion = 10: only eleven times the baseline counts",
        remove: |law| law.congestion(10.0),
    },
    Term {
        name: "start-up guard",
        removed_by: "start_limit = 1e6: a new route admits everything, and never exhales",
        remove: |law| law.start_limit(1e6),
    },
    Term {
        name: "exhale",
        removed_by: "exhale_samples = 0",
        remove: |law| law.exhale_samples(0.0),
    },
    Term {
        name: "scar",
        removed_by: "trauma_ohms_per_sec = 0, and with it the breaker: nothing ever opens",
        remove: |law| law.trauma_ohms_per_sec(0.0),
    },
    Term {
        name: "decay",
        removed_by: "healing_per_sec = 1e-6: scars heal by probes alone",
        remove: |law| law.healing_per_sec(1e-6),
    },
    Term {
        name: "probing",
        removed_by: "probe_secs = 3600: scars heal by decay alone",
        remove: |law| law.probe_secs(3600.0),
    },
    Term {
        name: "healing by probes",
        removed_by: "probe_heal = 0.99: a good probe leaves the scar",
        remove: |law| law.probe_heal(0.99),
    },
    Term { name: "base resistance", removed_by: "base_ohms = 0", remove: |law| law.base_ohms(0.0) },
];

/// What cannot be removed, or is not there.
pub const FIXTURES: &[Fixture] = &[
    Fixture {
        name: "ground potential",
        why: "cannot be removed without reading the configuration at every arrival, which the \
              request path does not",
    },
    Fixture {
        name: "live in-flight count",
        why: "is the request path; a sampled count would be another engine",
    },
    Fixture {
        name: "freezing while errors are frequent",
        why: "a sample is judged without the configuration; removing it needs another argument there",
    },
    Fixture { name: "momentum", why: "not part of the shipped law: reported, weight zero" },
    Fixture { name: "latency pressure", why: "not part of the shipped law: reported, weight zero" },
    Fixture {
        name: "staleness",
        why: "acts on reported telemetry only, which simulated requests do not use",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_removal_is_allowed_and_changes_something() {
        for term in TERMS {
            let law = term.without().unwrap_or_else(|e| panic!("{}: {e}", term.name));
            assert_ne!(law, LawConfig::default(), "{}", term.name);
            let setting = term.removed_by.split(" = ").next().unwrap_or_default();
            let shown = format!("{law:?}");
            let of = |text: &str| {
                let from = text.find(&format!("{setting}: ")).expect("a field of the law");
                text[from..].split([',', ' ']).nth(1).map(str::to_owned)
            };
            assert_ne!(of(&shown), of(&format!("{:?}", LawConfig::default())), "{}", term.name);
        }
    }
}
