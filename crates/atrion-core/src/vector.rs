//! What nodes share about a route.

use crate::time::Timestamp;
pub use crate::units::Evidence;
use crate::units::{Ohms, PerSecond};

/// What a node does about a route at the moment, as far as it concerns the other nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default))]
pub struct Stance {
    /// Its own failures opened its breaker.
    pub open: bool,
    /// It holds its requests back because of what others said.
    pub held: bool,
    /// A probe of it succeeded within the last half second.
    pub good: bool,
}

impl Stance {
    /// Nothing to tell: requests flow, and nobody probes.
    pub const CALM: Self = Self { open: false, held: false, good: false };

    /// Whether only probes pass, for whatever reason.
    pub const fn is_looking(self) -> bool {
        self.open || self.held
    }
}

/// The state of one route at one moment: the four fields of RFC-0007, section 3.1, the evidence
/// behind them, and what the sharing of probes needs.
///
/// A vector is a plain value. Whoever stores or sends it never has to look inside, and whoever
/// reads it can rely on every number being finite and not negative.
///
/// ```
/// use atrion_core::{time::Timestamp, units::Ohms, vector::{Evidence, PhysicsVector}};
///
/// let now = Timestamp::from_secs(7);
/// let idle = PhysicsVector::idle(Ohms::try_new(0.1)?, now);
/// let scarred = PhysicsVector { scar_tissue: Ohms::from(40_u32), ..idle };
/// assert_eq!(scarred.evidence, Evidence::ZERO);
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct PhysicsVector {
    /// R, what a request had to overcome.
    pub resistance: Ohms,
    /// M, how fast pressure moved.
    pub momentum: PerSecond,
    /// S, the memory of errors, as of `timestamp`.
    pub scar_tissue: Ohms,
    /// When this was true, on the clock of whoever observed it.
    pub timestamp: Timestamp,
    /// Requests observed, decayed: zero means that nobody has looked.
    pub evidence: Evidence,
    /// d, the requests per second that ask for the route, admitted or refused.
    #[cfg_attr(feature = "serde", serde(default))]
    pub demand: PerSecond,
    /// What the node does about the route.
    #[cfg_attr(feature = "serde", serde(default))]
    pub stance: Stance,
}

impl PhysicsVector {
    /// A route without a past, at its base resistance, that nobody has looked at.
    pub const fn idle(base: Ohms, now: Timestamp) -> Self {
        Self {
            resistance: base,
            momentum: PerSecond::ZERO,
            scar_tissue: Ohms::ZERO,
            timestamp: now,
            evidence: Evidence::ZERO,
            demand: PerSecond::ZERO,
            stance: Stance::CALM,
        }
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;

    #[test]
    fn survives_serde_and_refuses_poison() {
        let vector = PhysicsVector {
            scar_tissue: Ohms::from(40_u32),
            ..PhysicsVector::idle(Ohms::from(1_u32), Timestamp::from_secs(7))
        };
        let text = serde_json::to_string(&vector).unwrap();
        assert_eq!(serde_json::from_str::<PhysicsVector>(&text).unwrap(), vector);
        let poisoned = text.replace("\"scar_tissue\":40.0", "\"scar_tissue\":-40.0");
        assert_ne!(poisoned, text);
        assert!(serde_json::from_str::<PhysicsVector>(&poisoned).is_err());
        let extended = text.replace('{', "{\"surprise\":1,");
        assert!(serde_json::from_str::<PhysicsVector>(&extended).is_err());
    }
}
