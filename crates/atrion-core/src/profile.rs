//! Workload profiles and leases: an expected half-hour job is not pressure.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use thiserror::Error;

use crate::time::Timestamp;

/// What latency is normal for a kind of work.
///
/// ```
/// use atrion_core::profile::Profile;
/// use std::time::Duration;
///
/// assert_eq!(Profile::default(), Profile::Standard);
/// assert_eq!("heavy".parse(), Ok(Profile::Heavy));
/// assert_eq!(Profile::Heavy.latency(), Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Profile {
    /// Lookups: 10 ms.
    Light,
    /// Ordinary requests: 100 ms.
    #[default]
    Standard,
    /// Reports, conversions, models: 5 s.
    Heavy,
    /// Jobs: 60 s.
    Extreme,
}

impl Profile {
    /// All profiles, lightest first.
    pub const ALL: [Self; 4] = [Self::Light, Self::Standard, Self::Heavy, Self::Extreme];

    /// The latency that is normal: 10 ms, 100 ms, 5 s or 60 s.
    pub const fn latency(self) -> Duration {
        match self {
            Self::Light => Duration::from_millis(10),
            Self::Standard => Duration::from_millis(100),
            Self::Heavy => Duration::from_secs(5),
            Self::Extreme => Duration::from_secs(60),
        }
    }

    /// The terms of a lease for work of this kind.
    ///
    /// A heartbeat is due every 2 s, or twice per normal latency if that is longer; a lease ends
    /// after three missed ones, and after a hundred normal latencies in any case.
    pub const fn lease_terms(self) -> LeaseTerms {
        let latency = self.latency();
        let half = Duration::from_nanos(latency.as_nanos() as u64 / 2);
        let floor = Duration::from_secs(2);
        let beat = if half.as_nanos() > floor.as_nanos() { half } else { floor };
        let longest = latency.saturating_mul(100);
        let least = beat.saturating_mul(10);
        LeaseTerms {
            silence: beat.saturating_mul(3),
            longest: if longest.as_nanos() > least.as_nanos() { longest } else { least },
        }
    }

    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Standard => "standard",
            Self::Heavy => "heavy",
            Self::Extreme => "extreme",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is not the name of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a profile is one of light, standard, heavy, extreme")]
pub struct UnknownProfile;

impl FromStr for Profile {
    type Err = UnknownProfile;

    /// Reads a name, in upper or lower case.
    ///
    /// # Errors
    /// [`UnknownProfile`] for anything else.
    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        let named = |p: &Self| p.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or(UnknownProfile)
    }
}

/// How long a lease lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// It ends this long after the last heartbeat.
    pub silence: Duration,
    /// It ends this long after it was granted, heartbeats or not.
    pub longest: Duration,
}

/// Terms of a lease that ends this long after its last heartbeat, and lives for as long as they come.
impl From<Duration> for LeaseTerms {
    fn from(silence: Duration) -> Self {
        Self { silence, longest: Duration::MAX }
    }
}

/// [`Profile::lease_terms`].
impl From<Profile> for LeaseTerms {
    fn from(profile: Profile) -> Self {
        profile.lease_terms()
    }
}

/// A long task's claim on a route: it counts as saturation while it lives.
///
/// A task that dies without saying so stops its heartbeat, and its place is free again; a task
/// that hangs with a lively heartbeat ends with the longest term.
///
/// ```
/// use atrion_core::profile::{Lease, LeaseTerms};
/// use atrion_core::time::Timestamp;
/// use std::time::Duration;
///
/// let terms = LeaseTerms { silence: Duration::from_secs(6), longest: Duration::from_secs(60) };
/// let lease = Lease::grant(Timestamp::ZERO, terms);
/// let lease = lease.heartbeat(Timestamp::from_secs(5)).unwrap();
/// assert!(lease.is_live(Timestamp::from_secs(10)));
/// assert!(!lease.is_live(Timestamp::from_secs(11)));
/// assert!(lease.heartbeat(Timestamp::from_secs(11)).is_err()); // too late to come back
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    granted: Timestamp,
    last_beat: Timestamp,
    terms: LeaseTerms,
}

/// A heartbeat that came too late: the place has been given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the lease had expired {late:?} ago")]
pub struct LeaseExpired {
    /// How long before the heartbeat the lease ended.
    pub late: Duration,
}

impl Lease {
    /// A lease from now on.
    pub const fn grant(now: Timestamp, terms: LeaseTerms) -> Self {
        Self { granted: now, last_beat: now, terms }
    }

    /// A lease as of its last heartbeat, for whoever keeps only these.
    pub const fn resumed(granted: Timestamp, last_beat: Timestamp, terms: LeaseTerms) -> Self {
        Self { granted, last_beat, terms }
    }

    /// When it was granted.
    pub const fn granted(&self) -> Timestamp {
        self.granted
    }

    /// When its last heartbeat came.
    pub const fn last_beat(&self) -> Timestamp {
        self.last_beat
    }

    /// The lease with a heartbeat at `now`. A clock that stepped back is no heartbeat missed.
    ///
    /// # Errors
    /// [`LeaseExpired`] if it had ended; an ended lease cannot be revived, because its place may
    /// be taken.
    pub fn heartbeat(self, now: Timestamp) -> Result<Self, LeaseExpired> {
        if self.is_live(now) {
            Ok(Self { last_beat: self.last_beat.max(now), ..self })
        } else {
            Err(LeaseExpired { late: now.since(self.expires_at()) })
        }
    }

    /// When it ends if no further heartbeat comes.
    pub fn expires_at(&self) -> Timestamp {
        let silent = self.last_beat.saturating_add(self.terms.silence);
        silent.min(self.granted.saturating_add(self.terms.longest))
    }

    /// Whether it still holds its place.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_profile_has_a_name_and_more_time_than_the_lighter_one() {
        for profile in Profile::ALL {
            assert_eq!(profile.as_str().parse(), Ok(profile));
            let terms = profile.lease_terms();
            assert!(terms.silence < terms.longest && terms.longest > profile.latency());
        }
        for pair in Profile::ALL.windows(2) {
            assert!(pair[0].latency() < pair[1].latency());
        }
        assert_eq!("".parse::<Profile>(), Err(UnknownProfile));
    }

    #[test]
    fn a_lively_hang_ends_with_the_longest_term() {
        let terms =
            LeaseTerms { silence: Duration::from_secs(6), longest: Duration::from_secs(60) };
        let mut lease = Lease::grant(Timestamp::ZERO, terms);
        let mut ended = None;
        for second in 1..100 {
            match lease.heartbeat(Timestamp::from_secs(second)) {
                Ok(next) => lease = next,
                Err(error) => {
                    ended = Some((second, error.late));
                    break;
                }
            }
        }
        assert_eq!(ended, Some((60, Duration::ZERO)));
    }

    proptest! {
        /// Invariant 6.
        #[test]
        fn no_clock_makes_it_immortal_or_panic(
            granted: u64, beats in prop::collection::vec(any::<u64>(), 0..20), silence: u64,
        ) {
            let terms = LeaseTerms {
                silence: Duration::from_nanos(silence),
                longest: Duration::from_secs(60),
            };
            let start = Timestamp::from_nanos(granted);
            let mut lease = Lease::grant(start, terms);
            for beat in beats {
                lease = lease.heartbeat(Timestamp::from_nanos(beat)).unwrap_or(lease);
            }
            prop_assert!(lease.expires_at() <= start.saturating_add(terms.longest));
            let again = Lease::resumed(lease.granted(), lease.last_beat(), terms);
            prop_assert_eq!(again, lease);
        }
    }
}
