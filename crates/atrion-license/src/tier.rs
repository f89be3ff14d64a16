//! What a licence is for, and what that allows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::DAY_SECS;

/// What was bought. Every tier has every [`Feature`]; they differ in how many production clusters
/// they cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// For development and evaluation, free for anyone: no production use, at most
    /// [`DEV_NODES`] nodes in a cluster, at most [`DEV_DAYS`] days.
    #[serde(rename = "dev")]
    Development,
    /// One production cluster.
    #[serde(rename = "str")]
    Starter,
    /// Up to five production clusters.
    #[serde(rename = "pro")]
    Pro,
    /// Any number of production clusters.
    #[serde(rename = "ent")]
    Enterprise,
}

/// The most nodes a cluster may have under a development licence.
pub const DEV_NODES: u32 = 3;
/// The longest term of a development licence, from its issue, in days.
pub const DEV_DAYS: u32 = 30;

/// A part of Atrion that needs a licence in production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// Sharing state between nodes through Redis.
    Cluster,
    /// Durable state in PostgreSQL.
    Persistence,
    /// The dashboard.
    Studio,
}

impl Tier {
    /// All tiers.
    pub const ALL: [Self; 4] = [Self::Development, Self::Starter, Self::Pro, Self::Enterprise];

    /// The tier's mark in a key: `dev`, `str`, `pro` or `ent`.
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Development => "dev",
            Self::Starter => "str",
            Self::Pro => "pro",
            Self::Enterprise => "ent",
        }
    }

    /// The tier's name in sentences and on the vendor tool's command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Starter => "starter",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }

    /// The most production clusters a licence of this tier can cover; none is no limit.
    ///
    /// A development licence covers no production at all, so there is nothing to count: its
    /// clusters are bounded by [`Tier::max_nodes`].
    pub const fn max_clusters(self) -> Option<u32> {
        match self {
            Self::Starter => Some(1),
            Self::Pro => Some(5),
            Self::Development | Self::Enterprise => None,
        }
    }

    /// The most nodes of one cluster; none is no limit.
    pub const fn max_nodes(self) -> Option<u32> {
        match self {
            Self::Development => Some(DEV_NODES),
            Self::Starter | Self::Pro | Self::Enterprise => None,
        }
    }

    /// Whether production may run under this tier.
    pub const fn is_for_production(self) -> bool {
        !matches!(self, Self::Development)
    }

    /// Whether the tier includes `feature`. At present every tier includes all of them.
    pub const fn includes(self, feature: Feature) -> bool {
        match feature {
            Feature::Cluster | Feature::Persistence | Feature::Studio => true,
        }
    }

    /// How long before its end a licence warns, in seconds: 30 days, or 3 for development.
    pub const fn warning_secs(self) -> u64 {
        match self {
            Self::Development => 3 * DAY_SECS,
            Self::Starter | Self::Pro | Self::Enterprise => 30 * DAY_SECS,
        }
    }

    /// How long after its end a licence still works, in seconds: 30 days.
    ///
    /// Development licences have no grace: a new one costs one command.
    pub const fn grace_secs(self) -> u64 {
        match self {
            Self::Development => 0,
            Self::Starter | Self::Pro | Self::Enterprise => 30 * DAY_SECS,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tiers are development, starter, pro and enterprise (dev, str, pro, ent)")]
pub struct TierError;

impl FromStr for Tier {
    type Err = TierError;

    /// Reads a tier's name or mark.
    fn from_str(text: &str) -> Result<Self, TierError> {
        let named = |tier: &Self| tier.name() == text || tier.mark() == text;
        Self::ALL.into_iter().find(named).ok_or(TierError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_marks_read_back() {
        for tier in Tier::ALL {
            assert_eq!(tier.name().parse(), Ok(tier));
            assert_eq!(tier.mark().parse(), Ok(tier));
            assert_eq!(tier.mark().len(), 3);
            assert_eq!(serde_json::to_string(&tier).unwrap(), format!("\"{}\"", tier.mark()));
        }
        assert_eq!("PRO".parse::<Tier>(), Err(TierError));
    }

    #[test]
    fn the_limits_are_those_of_the_licence_text() {
        let limits = Tier::ALL.map(|t| (t.max_clusters(), t.max_nodes()));
        assert_eq!(limits, [(None, Some(3)), (Some(1), None), (Some(5), None), (None, None)]);
    }
}
