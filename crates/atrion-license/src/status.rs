//! How a licence stands at a given time.

use std::fmt;

use crate::claims::Claims;
use crate::error::LicenseError;
use crate::time::{DAY_SECS, WallTime};

/// How far a machine's clock may be off before it is taken to be wrong, in seconds: one day.
///
/// It is wide enough for a time zone that was mistaken for another.
pub const CLOCK_TOLERANCE_SECS: u64 = DAY_SECS;

/// How a licence stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    Valid {
        /// The first second that is not covered.
        expires: WallTime,
        /// Until then, a started day counting as one.
        days_left: u32,
    },
    /// It works, and ends within 30 days.
    Expiring {
        /// The first second that is not covered.
        expires: WallTime,
        /// Until then, a started day counting as one.
        days_left: u32,
    },
    /// It has ended and still works for 30 days.
    Grace {
        /// When it ended.
        expired: WallTime,
        /// When the grace ends.
        grace_ends: WallTime,
        /// Until then, a started day counting as one.
        days_left: u32,
    },
    /// It has ended, and so has its grace.
    Expired {
        /// When it ended.
        expired: WallTime,
    },
    /// There is none.
    Missing,
    /// There is one that cannot be accepted.
    Invalid(LicenseError),
}

/// How much attention a [`Status`] needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// None.
    Info,
    /// It works now and will not for long.
    Warning,
    /// Commercial features are off.
    Error,
}

impl Status {
    /// How `claims` stand at `now`: a pure function of the two.
    ///
    /// ```text
    /// issued - 1 d ... not_before - 1 d ... expires - 30 d ... expires ... expires + 30 d
    ///   clock behind | not yet valid | valid      | expiring   | grace   | expired
    /// ```
    ///
    /// Each period includes its first second and not its last. Development licences warn for
    /// three days and have no grace (see [`Tier`](crate::Tier)).
    pub fn of(claims: &Claims, now: WallTime) -> Self {
        let early = now.plus_secs(CLOCK_TOLERANCE_SECS);
        let expires = claims.expires;
        if early < claims.issued {
            return Self::Invalid(LicenseError::ClockBehind { now, issued: claims.issued });
        }
        if early < claims.not_before {
            return Self::Invalid(LicenseError::NotYetValid { from: claims.not_before });
        }
        if now < expires {
            let days_left = now.days_until(expires);
            return if expires.secs_since(now) > claims.tier.warning_secs() {
                Self::Valid { expires, days_left }
            } else {
                Self::Expiring { expires, days_left }
            };
        }
        let grace_ends = claims.grace_ends();
        if now < grace_ends {
            let days_left = now.days_until(grace_ends);
            return Self::Grace { expired: expires, grace_ends, days_left };
        }
        Self::Expired { expired: expires }
    }

    /// Whether the commercial features may work.
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Valid { .. } | Self::Expiring { .. } | Self::Grace { .. })
    }

    /// How much attention it needs.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Valid { .. } => Severity::Info,
            Self::Expiring { .. } | Self::Grace { .. } => Severity::Warning,
            Self::Expired { .. } | Self::Missing | Self::Invalid(_) => Severity::Error,
        }
    }

    /// A stable word, for metrics and programs: `valid`, `expiring`, `grace`, `expired`,
    /// `missing` or `invalid`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Valid { .. } => "valid",
            Self::Expiring { .. } => "expiring",
            Self::Grace { .. } => "grace",
            Self::Expired { .. } => "expired",
            Self::Missing => "missing",
            Self::Invalid(_) => "invalid",
        }
    }

    /// All that [`Status::code`] can return, best first.
    pub const CODES: [&'static str; 6] =
        ["valid", "expiring", "grace", "expired", "missing", "invalid"];

    /// The days until the licence (or in grace: the grace) ends; none if it does not work.
    pub fn days_left(&self) -> Option<u32> {
        match self {
            Self::Valid { days_left, .. }
            | Self::Expiring { days_left, .. }
            | Self::Grace { days_left, .. } => Some(*days_left),
            Self::Expired { .. } | Self::Missing | Self::Invalid(_) => None,
        }
    }
}

/// `1 day`, `2 days`.
struct Days(u32);

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "day" } else { "days" })
    }
}

/// What follows for a process whose licence does not work.
const OFF: &str =
    "commercial features are off and work in memory only, the application is not affected";

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid { expires, days_left } => {
                write!(f, "the licence is valid until {expires} ({} left)", Days(*days_left))
            }
            Self::Expiring { expires, days_left } => write!(
                f,
                "the licence expires on {expires}, in {}; renew it and set the new key, no restart is needed",
                Days(*days_left)
            ),
            Self::Grace { expired, grace_ends, days_left } => write!(
                f,
                "the licence expired on {expired}; commercial features go on working until {grace_ends}, for {}; renew it and set the new key, no restart is needed",
                Days(*days_left)
            ),
            Self::Expired { expired } => write!(
                f,
                "the licence expired on {expired} and its grace is over: {OFF}; renew it and set the new key, no restart is needed"
            ),
            Self::Missing => write!(
                f,
                "no licence key is set: {OFF}; set ATRION_LICENSE_KEY, or make a development key with `cargo xtask license dev`"
            ),
            Self::Invalid(why) => {
                write!(f, "the licence key is not accepted: {why}. Until then {OFF}")
            }
        }
    }
}

#[cfg(test)]
#[path = "status/tests.rs"]
mod tests;
