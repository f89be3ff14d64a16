//! Points in time, as the physics sees them.
//!
//! The core never reads a clock: every function that depends on time takes a [`Timestamp`] that
//! the caller obtained from its own monotonic clock. Only differences matter, and a difference
//! is never negative: a clock that steps back yields a step of zero.

use core::time::Duration;

/// A point on the caller's monotonic clock, in nanoseconds since an arbitrary origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);
    /// The latest representable point, some 584 years after the origin.
    pub const MAX: Self = Self(u64::MAX);

    /// A point `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A point `millis` milliseconds after the origin, saturating at [`Timestamp::MAX`].
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// A point `secs` seconds after the origin, saturating at [`Timestamp::MAX`].
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero if `earlier` is later (clocks step back, physics does not).
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// Nanoseconds since `earlier`; zero if `earlier` is later.
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Seconds since `earlier`; zero if `earlier` is later.
    pub fn secs_since(self, earlier: Self) -> f64 {
        self.nanos_since(earlier) as f64 * 1e-9
    }

    /// This point moved by `by`, saturating at [`Timestamp::MAX`].
    #[must_use]
    pub const fn saturating_add(self, by: Duration) -> Self {
        let nanos = by.as_nanos();
        if nanos > u64::MAX as u128 {
            return Self::MAX;
        }
        Self(self.0.saturating_add(nanos as u64))
    }

    /// This point moved by `secs` seconds; anything that is not a positive finite number moves
    /// it by nothing.
    #[must_use]
    pub fn add_secs(self, secs: f64) -> Self {
        if secs > 0.0 && secs.is_finite() {
            // A float-to-integer cast saturates, so even 1e300 s is only `MAX`.
            Self(self.0.saturating_add((secs * 1e9) as u64))
        } else {
            self
        }
    }
}
