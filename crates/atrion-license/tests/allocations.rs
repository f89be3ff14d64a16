//! What verifying a key allocates is bounded by the length of what was given.

mod common;

use atrion_license::format::MAX_KEY_BYTES;
use atrion_license::{Keyring, Tier};
use common::{key, ring, vendor};
use proptest::prelude::*;

/// All bytes that verifying `key` asks for, given back or not.
fn allocated(ring: &Keyring, key: &str) -> usize {
    let used = allocation_counter::measure(|| {
        let _ = std::hint::black_box(ring.verify(key));
    });
    used.bytes_total as usize
}

/// The bound: a small multiple of the input and room for an error of the JSON reader.
fn bound(key: &str) -> usize {
    8 * key.len() + 512
}

fn test_ring() -> Keyring {
    ring(&[&vendor("test-1", 7)])
}

#[test]
fn the_counter_counts() {
    let used = allocation_counter::measure(|| drop(std::hint::black_box(vec![0u8; 1000])));
    assert!(used.bytes_total >= 1000);
}

#[test]
fn good_and_spoilt_keys_stay_within_the_bound() {
    let (ring, good) = (test_ring(), key(Tier::Pro));
    assert!(allocated(&ring, &good) <= bound(&good));
    for at in 0..good.len() {
        let cut = &good[..at];
        assert!(allocated(&ring, cut) <= bound(cut), "cut to {at}");
    }
}

#[test]
fn what_is_no_key_or_too_long_costs_nothing() {
    let ring = test_ring();
    let huge = format!("atrion_pro_{}", "A".repeat(64 * 1024 * 1024));
    let longest = "A".repeat(MAX_KEY_BYTES);
    for text in ["", "hello", huge.as_str(), longest.as_str(), "atrion_pro_AAAA.AA"] {
        assert_eq!(allocated(&ring, text), 0, "{} bytes", text.len());
    }
}

#[test]
fn signed_payloads_made_to_cost_stay_within_the_bound() {
    let (ring, vendor) = (test_ring(), vendor("test-1", 7));
    let header = "{\"v\":1,\"key\":\"test-1\"";
    let room = 2800;
    for payload in [
        format!("{header},\"x\":{}", "[".repeat(room)),
        format!("{header},\"x\":{}", "{\"a\":".repeat(room / 5)),
        format!("{header},\"licensee\":\"{}\"}}", "\\u00e9".repeat(room / 6)),
        format!("{header},\"{}\":1}}", "k".repeat(room)),
        format!("{header},\"issued\":{}}}", "9".repeat(room)),
        format!("{{{}\"v\":1}}", "\"key\":\"test-1\",".repeat(room / 15)),
        format!("{{\"v\":1,\"key\":\"{}\"}}", "a".repeat(room)),
    ] {
        let key = vendor.sign_payload(Tier::Pro, payload.as_bytes());
        assert!(key.len() <= MAX_KEY_BYTES);
        assert!(ring.verify(&key).is_err());
        let used = allocated(&ring, &key);
        assert!(used <= bound(&key), "{used} bytes for {}: {:.60}", key.len(), payload);
    }
}

proptest! {
    #[test]
    fn arbitrary_signed_payloads_stay_within_the_bound(
        payload in prop::collection::vec(any::<u8>(), 1..2500),
    ) {
        let key = vendor("test-1", 7).sign_payload(Tier::Pro, &payload);
        prop_assert!(allocated(&test_ring(), &key) <= bound(&key));
    }

    #[test]
    fn arbitrary_texts_stay_within_the_bound(text in "(atrion_pro_)?[A-Za-z0-9_.-]{0,3000}") {
        prop_assert!(allocated(&test_ring(), &text) <= bound(&text));
    }
}
