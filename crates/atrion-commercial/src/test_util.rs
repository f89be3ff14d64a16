//! Development keys for tests.

use atrion_license::issue::{Issuer, Terms};
use atrion_license::{SystemWallClock, Tier, WallClock as _};

/// A development key that is good today, as `cargo xtask license dev` makes it.
///
/// # Panics
/// Never: the key that signs it is part of the licence crate.
pub fn development_key() -> String {
    let id = "test-suite".parse().expect("an identifier");
    development_key_of(&Terms::new(Tier::Development, id, "the test suite", SystemWallClock.now()))
}

/// A development key of these terms.
///
/// # Panics
/// If no development key may have such terms.
pub fn development_key_of(terms: &Terms) -> String {
    let issuer = Issuer::development().expect("the development key is part of the crate");
    issuer.issue(terms).expect("allowed")
}
