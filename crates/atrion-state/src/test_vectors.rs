//! Vectors for this crate's own tests.

use atrion_core::time::Timestamp;
use atrion_core::units::{Evidence, Ohms, PerSecond};
use atrion_core::vector::PhysicsVector;

/// A vector of `ohms` at `millis`, otherwise at rest.
pub(crate) fn vector(millis: u64, ohms: f64) -> PhysicsVector {
    PhysicsVector {
        resistance: Ohms::try_new(ohms).unwrap(),
        momentum: PerSecond::ZERO,
        scar_tissue: Ohms::ZERO,
        timestamp: Timestamp::from_millis(millis),
        evidence: Evidence::ZERO,
    }
}
