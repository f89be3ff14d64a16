//! What is not a frame is refused, whatever it is.

use atrion_cluster::wire::{Codec, Frame, MAX_CHANGES, MAX_FRAME_BYTES, WireError};
use atrion_core::merge::Stamp;
use atrion_state::peers::{NodeId, RouteId};
use proptest::prelude::*;

use super::{CLUSTER, authenticated, change, full, open};

/// Where the parts of a frame are that has changes only.
const FLAGS: usize = 6;
const HEADER_LENGTH: usize = 8;
const FRAME_LENGTH: usize = 10;
const SECTION: usize = 54;
const FIRST: usize = SECTION + 5;

/// A frame with two changed routes, 1 and 2, with `bytes` in place of what is at `at`.
fn patched(at: usize, bytes: &[u8]) -> Result<Frame, WireError> {
    let mut frame = Frame::new(NodeId(1), Stamp { incarnation: 1, sequence: 1 });
    frame.changes = vec![change(RouteId(1)), change(RouteId(2))];
    let mut encoded = open().encode(&frame).unwrap().to_vec();
    encoded[at..at + bytes.len()].copy_from_slice(bytes);
    open().decode(&encoded)
}

/// A frame of the given sections, without authentication.
fn of_sections(sections: &[u8]) -> Result<Frame, WireError> {
    let alive = Frame::new(NodeId(1), Stamp { incarnation: 1, sequence: 1 });
    let mut encoded = open().encode(&alive).unwrap().to_vec();
    encoded.extend_from_slice(sections);
    let length = (encoded.len() as u32).to_le_bytes();
    encoded[FRAME_LENGTH..FRAME_LENGTH + 4].copy_from_slice(&length);
    open().decode(&encoded)
}

/// An item of the section of names.
fn named(name: &str) -> Vec<u8> {
    let mut item = (name.len() as u16 + 10).to_le_bytes().to_vec();
    item.extend_from_slice(&open().route_id(name).0.to_le_bytes());
    item.extend_from_slice(&(name.len() as u16).to_le_bytes());
    item.extend_from_slice(name.as_bytes());
    item
}

#[test]
fn foreign_bytes_are_called_foreign() {
    let redis = b"*3\r\n$7\r\nmessage\r\n$11\r\natrion:sync\r\n$5\r\nhello\r\n";
    let others: [&[u8]; 9] = [
        b"",
        b"\0",
        b"{\"route\":\"/pay\",\"scar\":40}",
        redis,
        b"ATRION:v0:pod-1",
        &[0xFF; 300],
        &[0; 300],
        b"\xA7ATQ and so on",
        b"\xA7ATR\0 there never was a version 0, and this is long enough for a header",
    ];
    for bytes in others {
        assert_eq!(open().decode(bytes), Err(WireError::Foreign), "{bytes:?}");
    }
    let short = WireError::Truncated { need: 54, have: 4 };
    assert_eq!(open().decode(b"\xA7ATR"), Err(short));
}

#[test]
fn every_truncation_and_every_extension_is_noticed() {
    for codec in [open(), authenticated()] {
        let bytes = codec.encode(&full(&codec)).unwrap();
        for length in 0..bytes.len() {
            codec.decode(&bytes[..length]).unwrap_err();
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert_eq!(codec.decode(&longer), Err(WireError::TrailingBytes { bytes: 1 }));
    }
}

#[test]
fn a_flipped_bit_never_passes_authentication_and_otherwise_leaves_a_valid_frame() {
    let (plain, safe) = (open(), authenticated());
    let mut changed = 0;
    for codec in [&plain, &safe] {
        let frame = full(codec);
        let bytes = codec.encode(&frame).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match codec.decode(&flipped) {
                Err(_) => {}
                Ok(other) => {
                    assert!(!codec.is_authenticated(), "bit {bit}");
                    codec.encode(&other).unwrap();
                    changed += usize::from(other != frame);
                }
            }
        }
    }
    assert!(changed > 500, "the test changes something: {changed}");
}

#[test]
fn two_flipped_bits_never_pass_authentication() {
    let codec = authenticated();
    let mut frame = Frame::new(NodeId(1), Stamp { incarnation: 1, sequence: 1 });
    frame.changes.push(change(RouteId(1)));
    let bytes = codec.encode(&frame).unwrap();
    for first in (0..bytes.len() * 8).step_by(5) {
        for second in 0..first {
            let mut flipped = bytes.to_vec();
            flipped[first / 8] ^= 1 << (first % 8);
            flipped[second / 8] ^= 1 << (second % 8);
            assert!(codec.decode(&flipped).is_err(), "bits {first} and {second}");
        }
    }
}

#[test]
fn secrets_have_to_agree() {
    let (plain, safe) = (open(), authenticated());
    let said_plainly = plain.encode(&full(&plain)).unwrap();
    let said_safely = safe.encode(&full(&safe)).unwrap();
    assert_eq!(safe.decode(&said_plainly), Err(WireError::Unauthenticated));
    assert_eq!(plain.decode(&said_safely), Err(WireError::UnexpectedAuthentication));
    let other = Codec::new(CLUSTER, Some(b"correct horse battery stapl"));
    assert_eq!(other.decode(&said_safely), Err(WireError::BadMac));
    let elsewhere = Codec::new("shop2", Some(super::SECRET));
    assert_eq!(elsewhere.decode(&said_safely).unwrap_err().kind(), "other_cluster");
    // Too short to hold the code that it claims to have.
    let alive = Frame::new(NodeId(1), Stamp { incarnation: 1, sequence: 1 });
    let mut bytes = plain.encode(&alive).unwrap().to_vec();
    bytes[FLAGS + 1] |= 1;
    assert_eq!(safe.decode(&bytes), Err(WireError::Truncated { need: 70, have: 54 }));
}

#[test]
fn numbers_outside_their_domain_are_named() {
    let fields = ["scar", "evidence", "demand", "momentum", "resistance"];
    let bad = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1e9, -f32::MIN_POSITIVE];
    for (i, field) in fields.into_iter().enumerate() {
        for value in bad {
            for item in [0, 29] {
                let at = FIRST + item + 8 + 4 * i;
                let error = patched(at, &value.to_le_bytes()).unwrap_err();
                assert_eq!(error.kind(), "bad_number", "{field} {value}");
                assert!(error.to_string().starts_with(&format!("{field} is {value}, ")), "{error}");
            }
        }
    }
    let error = patched(FIRST + 8, &1_000_001_f32.to_le_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "scar is 1000001, allowed is 0 to 1000000");
    let zero = patched(FIRST + 8, &(-0.0_f32).to_le_bytes()).unwrap();
    assert_eq!(zero.changes[0].scar.to_bits(), 0, "-0 is 0");
}

#[test]
fn contradictions_are_refused() {
    assert_eq!(patched(FIRST + 28, &[3]), Err(WireError::OpenAndHeld { route: RouteId(1) }));
    let what = "changed routes";
    let twice = WireError::Duplicate { what, route: RouteId(2) };
    assert_eq!(patched(FIRST, &2_u64.to_le_bytes()), Err(twice));
    let down = WireError::Unordered { what, route: RouteId(2) };
    assert_eq!(patched(FIRST, &3_u64.to_le_bytes()), Err(down));
    let forgotten = [2, 8, 0, 2, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(of_sections(&forgotten).unwrap_err().kind(), "duplicate");
    let mut frame = full(&open());
    frame.forgotten.push(frame.changes[0].route);
    let error = open().encode(&frame).unwrap_err();
    assert_eq!(error, WireError::ChangedAndForgotten { route: frame.changes[0].route });
    let mut both = vec![1, 29, 0, 1, 0];
    both.extend_from_slice(&[7; 8]);
    both.extend_from_slice(&[0; 21]);
    both.extend_from_slice(&[2, 8, 0, 1, 0, 7, 7, 7, 7, 7, 7, 7, 7]);
    assert_eq!(of_sections(&both).unwrap_err().kind(), "changed_and_forgotten");
}

#[test]
fn counts_and_sizes_that_lie_are_refused() {
    let long = vec![0xA7; MAX_FRAME_BYTES + 1];
    let too_long = WireError::TooLong { bytes: MAX_FRAME_BYTES + 1, max: MAX_FRAME_BYTES };
    assert_eq!(open().decode(&long), Err(too_long));
    let many = WireError::TooMany { what: "changed routes", count: 65_535, max: MAX_CHANGES };
    assert_eq!(patched(SECTION + 3, &[0xFF, 0xFF]), Err(many));
    let short = WireError::Truncated { need: 29 * 4096, have: 58 };
    assert_eq!(patched(SECTION + 3, &4096_u16.to_le_bytes()), Err(short));
    let small = WireError::BadSize { what: "changed routes", bytes: 28, min: 29, max: 65_535 };
    assert_eq!(patched(SECTION + 1, &[28, 0]), Err(small));
    assert_eq!(patched(SECTION + 1, &[0, 0]).unwrap_err().kind(), "bad_size");
    let forgotten = of_sections(&[2, 8, 0, 1, 16]);
    assert_eq!(forgotten.unwrap_err().to_string(), "4097 of forgotten routes, allowed are 4096");
    assert_eq!(of_sections(&[3, 0, 0, 1, 16]).unwrap_err().kind(), "too_many");
    assert_eq!(patched(HEADER_LENGTH, &[53, 0]).unwrap_err().kind(), "bad_size");
    assert_eq!(patched(HEADER_LENGTH, &[255, 255]).unwrap_err().kind(), "truncated");
    assert_eq!(patched(FRAME_LENGTH, &[0; 4]).unwrap_err().kind(), "trailing_bytes");
    assert_eq!(patched(FRAME_LENGTH, &[0xFF; 4]).unwrap_err().kind(), "truncated");
    let first = WireError::SectionOrder { section: 0, after: 0 };
    assert_eq!(patched(SECTION, &[0]), Err(first));
    let again = [9, 1, 0, 0, 0, 9, 1, 0, 0, 0];
    assert_eq!(of_sections(&again), Err(WireError::SectionOrder { section: 9, after: 9 }));
    assert_eq!(of_sections(&[9, 1, 0, 0]), Err(WireError::Truncated { need: 5, have: 4 }));
    let unknown = [9, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_eq!(of_sections(&unknown).unwrap_err().kind(), "truncated");
    assert_eq!(of_sections(&[9, 0, 0, 0xFF, 0xFF]).unwrap_err().kind(), "truncated");
}

#[test]
fn names_that_are_none_are_refused() {
    let node = |text: &[u8]| {
        let mut section = vec![4, 0, 0, 1, 0];
        section.extend_from_slice(&(text.len() as u16 + 2).to_le_bytes());
        section.extend_from_slice(&(text.len() as u16).to_le_bytes());
        section.extend_from_slice(text);
        of_sections(&section)
    };
    assert_eq!(node(b"pod").unwrap().node_name.as_deref(), Some("pod"));
    let not_text = WireError::NameNotText { what: "name of the node", at: 2 };
    assert_eq!(node(b"po\xFFd"), Err(not_text));
    assert_eq!(node(&[b'x'; 513]).unwrap_err().kind(), "name_too_long");
    assert_eq!(of_sections(&[4, 0, 0, 2, 0]).unwrap_err().kind(), "too_many");
    assert_eq!(of_sections(&[4, 9, 0, 1, 0]).unwrap_err().kind(), "bad_size");
    // A name that is longer than the item that holds it.
    assert_eq!(of_sections(&[4, 0, 0, 1, 0, 3, 0, 2, 0, b'x']).unwrap_err().kind(), "truncated");
    let id = [7; 8];
    let mut wrong = vec![3, 0, 0, 1, 0, 11, 0];
    wrong.extend_from_slice(&id);
    wrong.extend_from_slice(&[1, 0, b'x']);
    let route = RouteId(u64::from_le_bytes(id));
    let twice = [[3, 0, 0, 2, 0].as_slice(), &named("x"), &named("x")].concat();
    assert_eq!(of_sections(&twice).unwrap_err().kind(), "duplicate");
    assert_eq!(of_sections(&wrong), Err(WireError::WrongName { route }));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(open().decode(&bytes).is_err());
        let mut begun = open().encode(&full(&open())).unwrap().to_vec();
        begun.truncate(SECTION);
        begun.extend_from_slice(&bytes);
        let length = (begun.len() as u32).to_le_bytes();
        begun[FRAME_LENGTH..FRAME_LENGTH + 4].copy_from_slice(&length);
        if let Ok(frame) = open().decode(&begun) {
            open().encode(&frame).unwrap();
        }
    }
}
