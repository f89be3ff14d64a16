//! The format, byte by byte: these vectors never change within a major version.
//!
//! They were written by another implementation of `docs/wire-format.md`, not by this one.

use atrion_cluster::wire::{Change, Codec, Frame, MAX_SCAR_OHMS};
use atrion_core::merge::Stamp;
use atrion_core::vector::Stance;
use atrion_state::peers::{NodeId, RouteId};

use super::{authenticated, full, open, sorted};

/// The bytes of a file of hexadecimal digits with `#` comments.
fn bytes(text: &str) -> Vec<u8> {
    text.lines()
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
        .map(|digits| u8::from_str_radix(digits, 16).unwrap())
        .collect()
}

/// Both directions.
fn check(codec: &Codec, file: &str, frame: &Frame) {
    let golden = bytes(file);
    assert_eq!(codec.encode(frame).unwrap(), golden);
    assert_eq!(&codec.decode(&golden).unwrap(), frame);
}

#[test]
fn alive() {
    let frame = Frame::new(open().node_id("pod-7"), Stamp { incarnation: 1, sequence: 2 });
    check(&open(), include_str!("../../../../testdata/wire/alive.hex"), &frame);
}

#[test]
fn all_parts() {
    let file = include_str!("../../../../testdata/wire/full.hex");
    check(&open(), file, &full(&open()));
}

#[test]
fn all_parts_authenticated() {
    let file = include_str!("../../../../testdata/wire/authenticated.hex");
    check(&authenticated(), file, &full(&authenticated()));
}

#[test]
fn a_stored_field() {
    let codec = authenticated();
    let mut frame = full(&codec);
    let pay = codec.route_id("/pay");
    frame.stamp.sequence += 1;
    frame.sent_millis += 500;
    frame.age_millis = 0;
    frame.leaving = false;
    frame.changes.retain(|change| change.route == pay);
    frame.names.retain(|(route, _)| *route == pay);
    frame.forgotten.clear();
    check(&codec, include_str!("../../../../testdata/wire/stored.hex"), &frame);
}

#[test]
fn the_largest_and_the_smallest_numbers() {
    let codec = Codec::new("", None);
    let stamp = Stamp { incarnation: u64::MAX, sequence: u64::MAX };
    let mut frame = Frame::new(codec.node_id(""), stamp);
    frame.sent_millis = u64::MAX;
    frame.age_millis = u32::MAX;
    let of = |name: &str, number: f32, good: bool| Change {
        route: codec.route_id(name),
        scar: if number > MAX_SCAR_OHMS { MAX_SCAR_OHMS } else { number },
        evidence: number,
        demand: number,
        momentum: number,
        resistance: number,
        stance: Stance { good, ..Stance::CALM },
    };
    frame.changes = vec![of("", f32::MAX, false), of("a", f32::from_bits(1), true)];
    check(&codec, include_str!("../../../../testdata/wire/extremes.hex"), &sorted(frame));
}

#[test]
fn ids() {
    assert_eq!(open().route_id("/pay"), RouteId(0xaa28_2f4c_3260_a62c));
    assert_eq!(open().node_id("pod-7"), NodeId(0x5da2_f5dc_6ec2_e79a));
    assert_eq!(authenticated().route_id("/pay"), RouteId(0x026c_528e_e116_292f));
    assert_eq!(authenticated().node_id("pod-7"), NodeId(0xf737_2792_ac4d_46bf));
}

#[test]
fn the_document_shows_the_same() {
    let document = include_str!("../../../../docs/wire-format.md");
    let example = document.split("```").find(|block| block.contains("a7 41 54 52")).unwrap();
    let columns = example.lines().skip(1).filter_map(|line| line.split("    ").next());
    let digits = columns.collect::<Vec<_>>().join("\n");
    assert_eq!(bytes(&digits), bytes(include_str!("../../../../testdata/wire/alive.hex")));

    for codec in [open(), authenticated()] {
        for id in [codec.route_id("/pay").0, codec.node_id("pod-7").0] {
            let id = format!("`{:016x}`", id.swap_bytes());
            assert!(document.contains(&id), "{id}");
        }
    }
}
