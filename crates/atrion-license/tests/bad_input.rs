//! Every way to spoil a key that we could think of, and what each is refused as.

mod common;

use atrion_license::format::MAX_KEY_BYTES;
use atrion_license::issue::Issuer;
use atrion_license::{Keyring, Tier};
use common::{issued, key, ring, terms, vendor};
use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;

fn test_ring() -> Keyring {
    ring(&[&vendor("test-1", 7)])
}

fn code(key: &str) -> &'static str {
    match test_ring().verify(key) {
        Ok(licence) => panic!("accepted: {licence:?}"),
        Err(why) => why.code(),
    }
}

/// The payload of a key.
fn payload(key: &str) -> Vec<u8> {
    let text = key.get(11..).and_then(|rest| rest.split('.').next()).expect("a payload");
    BASE64URL_NOPAD.decode(text.as_bytes()).expect("canonical")
}

/// A key over `text`, signed by a key that is in the ring.
fn signed(tier: Tier, text: &str) -> String {
    vendor("test-1", 7).sign_payload(tier, text.as_bytes())
}

/// The payload of a good pro licence with one piece replaced.
fn altered(from: &str, to: &str) -> String {
    let good = String::from_utf8(payload(&key(Tier::Pro))).expect("text");
    assert!(good.contains(from), "{from} is not in {good}");
    good.replacen(from, to, 1)
}

#[test]
fn every_flipped_bit_of_every_tier_s_key_is_refused() {
    let ring = test_ring();
    let development = Issuer::development().expect("part of the crate");
    let keys = [
        key(Tier::Starter),
        key(Tier::Pro),
        key(Tier::Enterprise),
        development.issue(&terms(Tier::Development)).expect("allowed"),
    ];
    for key in keys {
        assert!(ring.verify(&key).is_ok());
        for at in 0..key.len() {
            for bit in 0..8 {
                let mut bytes = key.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                // A byte above 127 alone is no text, which no source lets through.
                if let Ok(flipped) = String::from_utf8(bytes) {
                    assert!(ring.verify(&flipped).is_err(), "byte {at} bit {bit}");
                }
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_the_decoded_parts_is_refused() {
    let (ring, key) = (test_ring(), key(Tier::Pro));
    let (head, signature) = key.rsplit_once('.').expect("a signature");
    let good = BASE64URL_NOPAD.decode(signature.as_bytes()).expect("canonical");
    for bit in 0..good.len() * 8 {
        let mut spoilt = good.clone();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        let key = format!("{head}.{}", BASE64URL_NOPAD.encode(&spoilt));
        assert_eq!(ring.verify(&key).map_err(|e| e.code()), Err("signature"), "bit {bit}");
    }
    let good = payload(&key);
    for bit in 0..good.len() * 8 {
        let mut spoilt = good.clone();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        let key = format!("atrion_pro_{}.{signature}", BASE64URL_NOPAD.encode(&spoilt));
        assert!(ring.verify(&key).is_err(), "bit {bit}");
    }
}

#[test]
fn cut_off_or_lengthened_anywhere_it_is_refused() {
    let (ring, key) = (test_ring(), key(Tier::Pro));
    for length in 0..key.len() {
        assert!(ring.verify(&key[..length]).is_err(), "cut to {length}");
        assert!(ring.verify(&key[key.len() - length..]).is_err(), "the last {length}");
        let mut shorter = key.clone();
        shorter.remove(length);
        assert!(ring.verify(&shorter).is_err(), "without character {length}");
    }
    for extra in ["A", "=", "==", ".", "-", "\n", " ", "\0", "é", "\u{feff}", "\r\n"] {
        for at in 0..=key.len() {
            let mut longer = key.clone();
            longer.insert_str(at, extra);
            assert!(ring.verify(&longer).is_err(), "{extra:?} at {at}");
        }
    }
    assert!(ring.verify(&key.repeat(2)).is_err());
}

#[test]
fn blanks_around_or_within_are_refused_by_name() {
    let key = key(Tier::Pro);
    for spoilt in [
        format!("{key}\n"),
        format!("{key}\r\n"),
        format!(" {key}"),
        format!("\t{key}"),
        format!("\"{key}\""),
        format!("\u{feff}{key}"),
        key.replace('.', ".\n"),
        key.replace("atrion", "аtrion"), // a Cyrillic letter
    ] {
        assert_eq!(code(&spoilt), "foreign_character", "{spoilt:?}");
    }
}

#[test]
fn empty_oversized_and_foreign_texts_are_refused_by_name() {
    assert_eq!(code(""), "empty");
    assert_eq!(code(&"A".repeat(MAX_KEY_BYTES + 1)), "too_long");
    let padded = format!("atrion_pro_{}.{}", "A".repeat(MAX_KEY_BYTES), "A".repeat(86));
    assert_eq!(code(&padded), "too_long");
    assert_eq!(code("eyJhbGciOiJFZERTQSJ9.e30.AAAA"), "shape");
    assert_eq!(code("atrion_pro"), "shape");
}

#[test]
fn another_tier_in_front_breaks_the_signature() {
    let key = key(Tier::Starter);
    for mark in ["ent", "pro", "dev"] {
        assert_eq!(code(&key.replacen("_str_", &format!("_{mark}_"), 1)), "signature");
    }
    assert_eq!(code(&key.replacen("_str_", "_max_", 1)), "unknown_tier");
    assert_eq!(code(&key.replacen("atrion_", "Atrion_", 1)), "shape");
    assert_eq!(code(&key.replacen("atrion_", "atrion_atrion_", 1)), "unknown_tier");
}

#[test]
fn another_tier_within_is_refused_even_when_signed() {
    let good = String::from_utf8(payload(&key(Tier::Pro))).expect("text");
    assert_eq!(code(&signed(Tier::Enterprise, &good)), "tier_mismatch");
    assert_eq!(code(&signed(Tier::Development, &good)), "tier_mismatch");
    let upgraded = altered("\"pro\"", "\"ent\"");
    assert_eq!(code(&signed(Tier::Pro, &upgraded)), "tier_mismatch");
}

#[test]
fn signed_by_another_key_of_the_same_name_or_an_unknown_one_it_is_refused() {
    let forged = vendor("test-1", 8).issue(&terms(Tier::Pro)).expect("allowed");
    assert_eq!(code(&forged), "signature");
    let unknown = vendor("test-2", 7).issue(&terms(Tier::Pro)).expect("allowed");
    assert_eq!(code(&unknown), "unknown_signer");
    assert_eq!(Keyring::default().verify(&unknown).map_err(|e| e.code()), Err("unknown_signer"));
    let real = Keyring::embedded().verify(&key(Tier::Pro));
    assert_eq!(real.map_err(|e| e.code()), Err("unknown_signer"));
}

#[test]
fn the_development_key_signs_development_licences_only_and_alone() {
    let development = Issuer::development().expect("part of the crate");
    let id = development.id().as_str();
    for tier in [Tier::Starter, Tier::Pro, Tier::Enterprise] {
        assert_eq!(development.issue(&terms(tier)).map_err(|e| e.code()), Err("wrong_signer"));
        let text = String::from_utf8(payload(&key(tier))).expect("text");
        let forged = development.sign_payload(tier, text.replace("test-1", id).as_bytes());
        assert_eq!(code(&forged), "wrong_signer", "{tier}");
    }
    let vendor_dev = vendor("test-1", 7).issue(&terms(Tier::Development));
    assert_eq!(vendor_dev.map_err(|e| e.code()), Err("wrong_signer"));
    let good = development.issue(&terms(Tier::Development)).expect("allowed");
    let text = String::from_utf8(payload(&good)).expect("text").replace(id, "test-1");
    assert_eq!(code(&signed(Tier::Development, &text)), "wrong_signer");

    let longer = terms(Tier::Development).days(31);
    assert_eq!(development.issue(&longer).map_err(|e| e.code()), Err("development_term"));
    let later = terms(Tier::Development).not_before(issued().plus_days(1));
    assert_eq!(development.issue(&later).map_err(|e| e.code()), Err("development_term"));
    let text = String::from_utf8(payload(&good)).expect("text");
    let end = issued().plus_days(30).as_unix_secs();
    let forged = text.replace(&end.to_string(), &(end + 1).to_string());
    let forged = development.sign_payload(Tier::Development, forged.as_bytes());
    assert_eq!(code(&forged), "development_term");
}

#[test]
fn signed_claims_that_make_no_sense_are_refused() {
    let start = issued().as_unix_secs().to_string();
    let not_before = format!("\"not_before\":{start}");
    for (from, to, expected) in [
        (not_before.as_str(), "\"not_before\":-1", "payload"),
        (&not_before, "\"not_before\":NaN", "payload"),
        (&not_before, "\"not_before\":1e9", "payload"),
        (&not_before, "\"not_before\":1.5", "payload"),
        (&not_before, "\"not_before\":null", "payload"),
        (&not_before, "\"not_before\":99999999999999999999", "payload"),
        (&not_before, "\"not_before\":18446744073709551615", "claim"),
        (&not_before, "\"not_before\":0", "claim"),
        ("\"clusters\":5", "\"clusters\":-5", "payload"),
        ("\"clusters\":5", "\"clusters\":50", "cluster_limit"),
        ("\"clusters\":5", "\"clusters\":null", "cluster_limit"),
        ("\"clusters\":5", "\"clusters\":5,\"nodes\":9", "payload"),
        ("\"clusters\":5", "\"clusters\":5,\"clusters\":5", "payload"),
        ("\"v\":1", "\"v\":2", "unsupported_version"),
        ("\"v\":1", "\"v\":1.0", "payload"),
        ("\"v\":1,", "", "payload"),
        ("\"v\":1,", "\"v\": 1,", "payload"),
        ("Ada", "Ada\\u0000", "claim"),
        ("Ada", "\u{202e}Ada", "claim"),
        ("Ada & Söhne", "", "claim"),
    ] {
        assert_eq!(code(&signed(Tier::Pro, &altered(from, to))), expected, "{from} -> {to}");
    }
    let deep =
        format!("{{\"v\":1,\"key\":\"test-1\",\"x\":{}{}}}", "[".repeat(900), "]".repeat(900));
    assert_eq!(code(&signed(Tier::Pro, &deep)), "payload");
    assert_eq!(code(&vendor("test-1", 7).sign_payload(Tier::Pro, &[0xff, 0xfe])), "payload");
    assert_eq!(code(&signed(Tier::Pro, "")), "shape");
}

#[test]
fn a_licence_of_1970_verifies_and_is_expired() {
    let terms = atrion_license::issue::Terms::new(
        Tier::Pro,
        "old".parse().expect("an identifier"),
        "Ada",
        atrion_license::WallTime::EPOCH,
    );
    let key = vendor("test-1", 7).issue(&terms.days(1)).expect("allowed");
    let status = test_ring().assess(&key, issued());
    assert_eq!(status.code(), "expired");
    assert!(status.to_string().contains("1970-01-02"), "{status}");
}

#[test]
fn no_error_repeats_any_part_of_the_key() {
    let (ring, key) = (test_ring(), key(Tier::Pro));
    for at in 0..key.len() {
        let mut spoilt = key.clone();
        spoilt.replace_range(at..=at, if key.as_bytes()[at] == b'A' { "B" } else { "A" });
        let why = ring.verify(&spoilt).expect_err("spoilt");
        for said in [why.to_string(), format!("{why:?}")] {
            let repeats = (11..key.len() - 8).any(|i| said.contains(&key[i..i + 8]));
            assert!(!repeats, "byte {at}: {said}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_at_all_makes_it_panic_or_accept(text in ".{0,300}") {
        prop_assert!(test_ring().verify(&text).is_err());
    }

    #[test]
    fn nothing_in_a_key_s_shape_is_accepted_unsigned(
        mark in "dev|str|pro|ent|[a-z]{0,4}",
        payload in prop::collection::vec(any::<u8>(), 0..300),
        signature in prop::collection::vec(any::<u8>(), 60..70),
    ) {
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let key = format!("atrion_{mark}_{}.{}", encode(&payload), encode(&signature));
        prop_assert!(test_ring().verify(&key).is_err());
    }

    #[test]
    fn any_payload_may_be_signed_and_none_makes_it_panic(
        payload in prop::collection::vec(any::<u8>(), 1..300),
    ) {
        let key = vendor("test-1", 7).sign_payload(Tier::Pro, &payload);
        prop_assert!(test_ring().verify(&key).is_err());
    }

    #[test]
    fn what_may_be_issued_verifies(
        days in 1u32..40_000,
        clusters in 1u32..=5,
        licensee in "[\\PC&&[^\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{206f}\u{feff}]]{1,40}",
    ) {
        let name = licensee.trim();
        prop_assume!(!name.is_empty());
        let terms = atrion_license::issue::Terms::new(
            Tier::Pro, "l".parse().expect("an identifier"), name, issued(),
        );
        match vendor("test-1", 7).issue(&terms.days(days).clusters(clusters)) {
            Ok(key) => {
                prop_assert!(key.len() < 1200);
                let licence = test_ring().verify(&key).expect("just issued");
                prop_assert_eq!(licence.claims().licensee(), name);
                prop_assert_eq!(licence.claims().cluster_limit(), Some(clusters));
            }
            Err(why) => prop_assert_eq!(why.code(), "claim"),
        }
    }
}
