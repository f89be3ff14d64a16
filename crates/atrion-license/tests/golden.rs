//! A key of format version 1 stays readable, in the build that users have (without `issue`).
//!
//! `golden/pro.key` was checked with another implementation of Ed25519 (OpenSSL's): the signature
//! is over the domain prefix and all that stands before the dot.

use atrion_license::{Keyring, Tier, WallTime};

#[test]
fn a_key_of_format_version_1_stays_what_it_is() {
    let ring = Keyring::from_text(include_str!("golden/test-1.pub")).expect("readable");
    let licence = ring.verify(include_str!("golden/pro.key").trim_end()).expect("valid");
    let claims = licence.claims();
    assert_eq!(claims.licensee(), "Ada & Söhne");
    assert_eq!((claims.licence_id().as_str(), claims.key_id().as_str()), ("lic-1", "test-1"));
    assert_eq!((claims.tier(), claims.cluster_limit()), (Tier::Pro, Some(5)));
    let date = |text: &str| text.parse::<WallTime>().expect("a date");
    assert_eq!((claims.issued(), claims.not_before()), (date("2027-01-01"), date("2027-01-01")));
    assert_eq!((claims.expires(), claims.grace_ends()), (date("2028-01-01"), date("2028-01-31")));
    assert_eq!(licence.status_at(date("2027-06-01")).code(), "valid");
}

#[test]
fn the_built_in_keys_do_not_accept_the_test_s_key() {
    let found = Keyring::embedded().verify(include_str!("golden/pro.key").trim_end());
    assert_eq!(found.map_err(|e| e.code()), Err("unknown_signer"));
}
