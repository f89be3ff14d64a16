//! Keys for the tests: a vendor of our own, so that nothing depends on the real one's secret.
#![allow(dead_code, reason = "each test binary uses its part")]

use atrion_license::issue::{Issuer, Terms};
use atrion_license::keyring::KeyUse;
use atrion_license::{Keyring, Tier, WallTime};

/// A point in time, as a date.
pub(crate) fn date(text: &str) -> WallTime {
    text.parse().expect("a date")
}

/// When the licences of the tests are issued.
pub(crate) fn issued() -> WallTime {
    date("2027-01-01")
}

/// A vendor's signing key that follows from one byte.
pub(crate) fn vendor(id: &str, seed: u8) -> Issuer {
    Issuer::from_seed(id.parse().expect("an identifier"), KeyUse::Vendor, &[seed; 32])
}

/// A ring with the public halves of `issuers` and the development key.
pub(crate) fn ring(issuers: &[&Issuer]) -> Keyring {
    let mut ring = Keyring::default();
    let development = Issuer::development().expect("part of the crate");
    for issuer in issuers.iter().copied().chain([&development]) {
        ring.add(issuer.public_key().expect("good")).expect("new");
    }
    ring
}

/// Terms of 365 days (development: 30) from [`issued`] on.
pub(crate) fn terms(tier: Tier) -> Terms {
    Terms::new(tier, "lic-1".parse().expect("an identifier"), "Ada & Söhne", issued())
}

/// A valid key of the vendor `test-1` with seed 7.
pub(crate) fn key(tier: Tier) -> String {
    vendor("test-1", 7).issue(&terms(tier)).expect("allowed")
}
