//! Vectors for this crate's own tests.

use atrion_core::time::Timestamp;
use atrion_core::units::Ohms;
use atrion_core::vector::PhysicsVector;

/// A vector of `ohms` at `millis`, otherwise at rest.
pub(crate) fn vector(millis: u64, ohms: f64) -> PhysicsVector {
    PhysicsVector::idle(Ohms::try_new(ohms).unwrap(), Timestamp::from_millis(millis))
}
