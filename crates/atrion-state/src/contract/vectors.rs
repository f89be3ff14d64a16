//! Vectors, names and judgements that the clauses share.

use atrion_core::time::Timestamp;
use atrion_core::units::{Evidence, Ohms, PerSecond};
use atrion_core::vector::{PhysicsVector, Stance};

use super::{Fixture, Verdict};
use crate::provider::{ProviderError, StateProvider};

/// Why a clause's test ended early.
pub(super) enum Stop {
    Skip(&'static str),
    Broken(String),
}

/// What a clause's test returns.
pub(super) type Outcome = Result<(), Stop>;

pub(super) fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Ok(()) => Verdict::Holds,
        Err(Stop::Skip(why)) => Verdict::Skipped(why),
        Err(Stop::Broken(what)) => Verdict::Broken(what),
    }
}

/// `Ok` if `holds`, or else broken with what was found.
pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Stop::Broken(what())) }
}

/// The value of a call that has to succeed.
pub(super) fn expect<T>(call: &str, result: Result<T, ProviderError>) -> Result<T, Stop> {
    result.map_err(|error| Stop::Broken(format!("{call} failed: {error}")))
}

/// The error of a call that has to fail with `NotConnected`.
pub(super) fn expect_not_connected<T>(call: &str, result: Result<T, ProviderError>) -> Outcome {
    match result {
        Err(ProviderError::NotConnected) => Ok(()),
        Err(other) => Err(Stop::Broken(format!(
            "{call} should fail with NotConnected, but failed with: {other}"
        ))),
        Ok(_) => Err(Stop::Broken(format!("{call} should fail with NotConnected, but succeeded"))),
    }
}

/// The fixture's provider, connected.
pub(super) async fn connected(fixture: &Fixture) -> Result<&dyn StateProvider, Stop> {
    let provider = &*fixture.provider;
    expect("connect", provider.connect().await)?;
    Ok(provider)
}

/// A vector whose parts are all different and hard to write down in decimals.
pub(super) fn vector(millis: u64, seed: u32) -> PhysicsVector {
    let third = f64::from(seed) + 1.0 / 3.0;
    // Finite and positive for every seed, so the fallbacks are never taken.
    PhysicsVector {
        resistance: Ohms::try_new(10.0 + third).unwrap_or(Ohms::ZERO),
        momentum: PerSecond::try_new(third / 7.0).unwrap_or(PerSecond::ZERO),
        scar_tissue: Ohms::try_new(third * 1e-9).unwrap_or(Ohms::ZERO),
        timestamp: Timestamp::from_millis(millis),
        evidence: Evidence::try_new(third * 1e3).unwrap_or(Evidence::ZERO),
        demand: PerSecond::try_new(third * 11.0).unwrap_or(PerSecond::ZERO),
        stance: Stance { open: seed.is_multiple_of(2), held: false, good: seed.is_multiple_of(3) },
    }
}

/// Whether two vectors are the same bits.
pub(super) fn same(one: &PhysicsVector, other: &PhysicsVector) -> bool {
    let bits = |vector: &PhysicsVector| {
        [
            vector.resistance.get().to_bits(),
            vector.momentum.get().to_bits(),
            vector.scar_tissue.get().to_bits(),
            vector.evidence.get().to_bits(),
            vector.demand.get().to_bits(),
            vector.timestamp.as_nanos(),
        ]
    };
    bits(one) == bits(other) && one.stance == other.stance
}

/// Checks that `route` holds exactly `expected`.
pub(super) async fn expect_held(
    provider: &dyn StateProvider,
    route: &str,
    expected: &PhysicsVector,
) -> Outcome {
    let held = expect("get_vector", provider.get_vector(route).await)?;
    ensure(held.is_some_and(|held| same(&held, expected)), || {
        format!("{route:?} should hold {expected:?}, but holds {held:?}")
    })
}

/// Writes one vector, which has to succeed.
pub(super) async fn write(
    provider: &dyn StateProvider,
    route: &str,
    vector: PhysicsVector,
) -> Outcome {
    expect("update_vector", provider.update_vector(route, vector).await)
}
