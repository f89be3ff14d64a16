//! Licence keys: the text of a key, the claims behind a good signature, and key files.

use std::sync::LazyLock;

use atrion_license::issue::{Issuer, unverified_claims};
use atrion_license::keyring::KeyUse;
use atrion_license::{Keyring, License, LicenseError, Tier, WallTime};

use super::Target;

/// The text of a key. Nothing but the keys that were really issued may be accepted.
pub(super) const KEY: Target = Target {
    name: "license-key",
    words: &[
        b"atrion_",
        b"dev_",
        b"str_",
        b"pro_",
        b"ent_",
        b"_",
        b".",
        b"=",
        b"==",
        b"\n",
        b" ",
        b"-",
        b"AA",
        b"eyJ2IjoxLCJrZXkiOiJ0ZXN0LTEi",
        b"eyJ2IjoyfQ",
        b"eyJ2IjoxfQ",
    ],
    run: key,
};

/// A payload, signed by a key that is trusted.
pub(super) const CLAIMS: Target = Target {
    name: "license-claims",
    words: &[
        b"\"v\":1",
        b"\"v\":2",
        b"\"key\":\"test-1\"",
        b"\"licence\":",
        b"\"licensee\":",
        b"\"tier\":\"pro\"",
        b"\"clusters\":",
        b"\"issued\":",
        b"\"not_before\":",
        b"\"expires\":",
        b"null",
        b"true",
        b"-1",
        b"0",
        b"1e9",
        b"1.5",
        b"NaN",
        b"18446744073709551615",
        b"18446744073709551616",
        b"253402300800",
        b"4294967296",
        b"\\u0000",
        b"\\u00e9",
        b"\\ud800",
        b"\xe2\x80\xae",
        b"\xff",
        b"[",
        b"]",
        b"{",
        b"}",
        b"\"",
        b",",
        b":",
    ],
    run: claims,
};

/// A file of public or private keys.
pub(super) const KEYFILE: Target = Target {
    name: "license-keyfile",
    words: &[
        b"atrion-public-key",
        b"atrion-private-key",
        b"vendor",
        b"development",
        b"retired",
        b"revoked",
        b"2026-06-01",
        b"9999-12-31",
        b"\n",
        b"\r\n",
        b"#",
        b" ",
        b"\t",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ],
    run: key_file,
};

/// The keys that were issued: the seeds of [`KEY`].
const ISSUED: [&str; 4] = [
    include_str!("../../../testdata/fuzz/license-key/dev"),
    include_str!("../../../testdata/fuzz/license-key/ent"),
    include_str!("../../../testdata/fuzz/license-key/pro"),
    include_str!("../../../testdata/fuzz/license-key/str"),
];

/// The vendor of the tests, whose licences most of the seeds are.
static VENDOR: LazyLock<Issuer> = LazyLock::new(|| {
    let id = "test-1".parse().expect("an identifier");
    Issuer::from_seed(id, KeyUse::Vendor, &[7; 32])
});

/// A ring with that vendor and the development key.
static RING: LazyLock<Keyring> = LazyLock::new(|| {
    let mut ring = Keyring::default();
    let development = Issuer::development().expect("part of the crate");
    for issuer in [&*VENDOR, &development] {
        ring.add(issuer.public_key().expect("a good key")).expect("a new name");
    }
    ring
});

fn key(input: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(input) else { return "not_text" };
    let found = RING.verify(text);
    if found.is_ok() {
        assert!(ISSUED.contains(&text), "a key that nobody issued is accepted");
    }
    judge(text, found)
}

fn claims(input: &[u8]) -> &'static str {
    let text = VENDOR.sign_payload(Tier::Pro, input);
    let found = RING.verify(&text);
    if let Ok(licence) = &found {
        // The payload is text in canonical form; what it says is shown to people.
        assert!(std::str::from_utf8(input).is_ok(), "the payload is no text");
        assert!(!licence.claims().licensee().chars().any(char::is_control), "control characters");
    }
    judge(&text, found)
}

/// Follows an answer to its end, and checks what holds for every key.
fn judge(text: &str, found: Result<License, LicenseError>) -> &'static str {
    let shown = unverified_claims(text);
    match found {
        Ok(licence) => {
            assert_eq!(shown.as_ref(), Ok(licence.claims()), "what is shown is what was signed");
            let claims = licence.claims();
            for at in [WallTime::EPOCH, claims.issued(), claims.expires(), WallTime::MAX] {
                assert!(!licence.status_at(at).to_string().is_empty());
            }
            assert!(
                !licence.status_at(WallTime::MAX).is_usable()
                    || claims.grace_ends() == WallTime::MAX
            );
            "accepted"
        }
        Err(why) => {
            let said = why.to_string();
            let repeats = text.len() >= 24 && said.contains(text);
            assert!(!repeats && !said.contains('\n'), "an error repeats the key");
            why.code()
        }
    }
}

fn key_file(input: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(input) else { return "not_text" };
    let private = Issuer::from_text(text);
    if let Ok(issuer) = &private {
        assert_eq!(
            Issuer::from_text(&issuer.private_text()).map(|i| i.public_text()).ok(),
            Some(issuer.public_text())
        );
    }
    match (Keyring::from_text(text), private) {
        (Ok(ring), _) if ring.keys().next().is_none() => "empty",
        (Ok(_), Err(_)) => "accepted",
        (Err(_), Ok(_)) => "private",
        (Ok(_), Ok(_)) => panic!("a file is both public and private"),
        (Err(_), Err(_)) => "refused",
    }
}
