//! What verifying a key allocates is bounded by the length of what was given.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use atrion_license::format::MAX_KEY_BYTES;
use atrion_license::{Keyring, Tier};
use common::{key, ring, vendor};
use proptest::prelude::*;

struct Counting;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

fn count(size: usize) {
    BYTES.with(|b| b.set(b.get().saturating_add(size)));
}

// SAFETY: every call is passed on unchanged to the system allocator.
#[expect(unsafe_code, reason = "counting allocations needs a global allocator")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// All bytes that verifying `key` asks for, given back or not.
fn allocated(ring: &Keyring, key: &str) -> usize {
    let before = BYTES.with(Cell::get);
    let _ = std::hint::black_box(ring.verify(key));
    BYTES.with(Cell::get) - before
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
    let before = BYTES.with(Cell::get);
    drop(std::hint::black_box(vec![0u8; 1000]));
    assert!(BYTES.with(Cell::get) - before >= 1000);
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
