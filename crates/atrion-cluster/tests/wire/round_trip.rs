//! What goes in comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use atrion_cluster::wire::{
    CHANGE_BYTES, Change, Codec, Frame, HEADER_BYTES, MAC_BYTES, MAX_CHANGES, MAX_FRAME_BYTES,
    MAX_NAME_BYTES, MAX_SCAR_OHMS, NAMES_THAT_FIT, WireError,
};
use atrion_core::merge::Stamp;
use atrion_core::time::Timestamp;
use atrion_core::units::{Evidence, Ohms, PerSecond};
use atrion_core::vector::{PhysicsVector, Stance};
use atrion_state::peers::{NodeId, RouteId};
use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

use super::{authenticated, change, full, open, sorted};

fn stances() -> impl Strategy<Value = Stance> {
    (0..3_u8, any::<bool>()).prop_map(|(mode, good)| Stance {
        open: mode == 1,
        held: mode == 2,
        good,
    })
}

fn numbers() -> impl Strategy<Value = f32> {
    prop_oneof![0.0..=f32::MAX, 0.0..1e4_f32, Just(0.0), Just(f32::MAX), Just(f32::MIN_POSITIVE)]
}

fn changes() -> impl Strategy<Value = Change> {
    let scars = prop_oneof![0.0..=MAX_SCAR_OHMS, Just(0.0), Just(MAX_SCAR_OHMS)];
    (scars, numbers(), numbers(), numbers(), numbers(), stances()).prop_map(
        |(scar, evidence, demand, momentum, resistance, stance)| {
            let route = RouteId(0);
            Change { route, scar, evidence, demand, momentum, resistance, stance }
        },
    )
}

/// Frames that may be sent; some routes change, some of the others are forgotten.
fn frames() -> impl Strategy<Value = Frame> {
    let routes = btree_map(any::<u64>(), prop_oneof![Just(None), changes().prop_map(Some)], 0..40);
    let head = (any::<[u64; 4]>(), any::<u32>(), any::<bool>(), proptest::option::of("\\PC{0,40}"));
    (head, routes, btree_set("\\PC{0,60}", 0..8)).prop_map(|(head, routes, names)| {
        let ([node, incarnation, sequence, sent_millis], age_millis, leaving, node_name) = head;
        let mut frame = Frame::new(NodeId(node), Stamp { incarnation, sequence });
        frame.sent_millis = sent_millis;
        frame.age_millis = age_millis;
        frame.leaving = leaving;
        frame.node_name = node_name.map(Arc::from);
        for (route, change) in routes {
            match change {
                Some(change) => frame.changes.push(Change { route: RouteId(route), ..change }),
                None => frame.forgotten.push(RouteId(route)),
            }
        }
        frame.names = names.into_iter().map(|name| (RouteId(0), name.into())).collect();
        frame
    })
}

/// `frame` with the ids that `codec` gives to its names.
fn named(codec: &Codec, mut frame: Frame) -> Frame {
    let names: BTreeMap<RouteId, Arc<str>> =
        frame.names.into_iter().map(|(_, name)| (codec.route_id(&name), name)).collect();
    frame.names = names.into_iter().collect();
    frame
}

proptest! {
    #[test]
    fn every_frame_comes_back(frame in frames(), rotation in 0..40_usize) {
        for codec in [open(), authenticated()] {
            let frame = named(&codec, frame.clone());
            let bytes = codec.encode(&frame).unwrap();
            prop_assert_eq!(bytes.len(), codec.encoded_bytes(&frame));
            prop_assert_eq!(codec.decode(&bytes).unwrap(), frame.clone());

            let mut turned = frame.clone();
            turned.changes.rotate_left(rotation.min(frame.changes.len()));
            turned.forgotten.reverse();
            turned.names.reverse();
            prop_assert_eq!(codec.encode(&turned).unwrap(), bytes, "one encoding, any order");
        }
    }

    #[test]
    fn any_vector_can_be_said(
        numbers in any::<[f64; 5]>(), bits in any::<[bool; 3]>(), secs in 0..1_000_000_u64,
    ) {
        let value = |i: usize| if numbers[i].is_finite() { numbers[i].abs() } else { f64::MAX };
        let vector = PhysicsVector {
            resistance: Ohms::try_new(value(0)).unwrap(),
            momentum: PerSecond::try_new(value(1)).unwrap(),
            scar_tissue: Ohms::try_new(value(2)).unwrap(),
            timestamp: Timestamp::from_secs(secs),
            evidence: Evidence::try_new(value(3)).unwrap(),
            demand: PerSecond::try_new(value(4)).unwrap(),
            stance: Stance { open: bits[0], held: bits[1], good: bits[2] },
        };
        let mut frame = Frame::new(NodeId(1), Stamp { incarnation: 1, sequence: 1 });
        frame.changes.push(Change::of(RouteId(9), &vector));
        let back = open().decode(&open().encode(&frame).unwrap()).unwrap();
        let heard = back.changes[0].vector(vector.timestamp);
        for (said, heard, max) in [
            (value(0), heard.resistance.get(), f64::from(f32::MAX)),
            (value(1), heard.momentum.get(), f64::from(f32::MAX)),
            (value(2), heard.scar_tissue.get(), f64::from(MAX_SCAR_OHMS)),
            (value(3), heard.evidence.get(), f64::from(f32::MAX)),
            (value(4), heard.demand.get(), f64::from(f32::MAX)),
        ] {
            let said = if said > max { max } else { said };
            prop_assert!((heard - said).abs() <= said * 6e-8 + 1e-45, "{} for {}", heard, said);
        }
        prop_assert_eq!(heard.stance.open, bits[0]);
        prop_assert_eq!(heard.stance.held, bits[1] && !bits[0]);
    }
}

#[test]
fn the_last_frame_leaves_no_trace_in_the_next() {
    let codec = open();
    let mut frame = full(&codec);
    let alive = Frame::new(NodeId(3), Stamp { incarnation: 1, sequence: 2 });
    codec.decode_into(&codec.encode(&alive).unwrap(), &mut frame).unwrap();
    assert_eq!(frame, alive);
    assert!(frame.changes.capacity() >= 3, "its memory is used again");
    // Refused at its very end, by the name of the node.
    let mut frame = full(&codec);
    let mut spoiled = codec.encode(&frame).unwrap().to_vec();
    *spoiled.last_mut().unwrap() = 0xFF;
    assert_eq!(codec.decode_into(&spoiled, &mut frame).unwrap_err().kind(), "name_not_text");
    assert_eq!(frame, Frame::new(NodeId(0), Stamp { incarnation: 0, sequence: 0 }));
}

#[test]
fn a_changed_route_costs_at_most_32_bytes_in_a_full_frame() {
    for codec in [open(), authenticated()] {
        let mut frame = Frame::new(codec.node_id("pod-7"), Stamp { incarnation: 1, sequence: 1 });
        frame.changes = (0..MAX_CHANGES as u64).map(|i| change(RouteId(i))).collect();
        let bytes = codec.encode(&frame).unwrap().len();
        assert!(bytes <= 32 * MAX_CHANGES, "{bytes} bytes");
        assert!(bytes < 30 * MAX_CHANGES, "{bytes} bytes, 29.02 to be exact");
        assert!(bytes <= MAX_FRAME_BYTES);

        frame.changes.truncate(25);
        let bytes = codec.encode(&frame).unwrap().len();
        let mac = if codec.is_authenticated() { MAC_BYTES } else { 0 };
        assert_eq!(bytes, HEADER_BYTES + 5 + 25 * CHANGE_BYTES + mac);
        assert!(bytes <= 32 * 25, "already with 25 routes");
    }
}

#[test]
fn the_fullest_frame_fits() {
    let codec = authenticated();
    let mut frame = full(&codec);
    let most = MAX_CHANGES as u64;
    frame.changes = (0..most).map(|i| change(RouteId(i))).collect();
    frame.forgotten = (most..2 * most).map(RouteId).collect();
    let names = (0..NAMES_THAT_FIT).map(|i| format!("{i:0>MAX_NAME_BYTES$}"));
    frame.names = names.map(|name| (codec.route_id(&name), name.into())).collect();
    frame.node_name = Some("x".repeat(MAX_NAME_BYTES).into());
    let bytes = codec.encode(&frame).unwrap();
    assert_eq!(codec.decode(&bytes).unwrap(), sorted(frame));
}

#[test]
fn what_cannot_be_decoded_cannot_be_encoded() {
    let codec = open();
    let refused = |spoil: &dyn Fn(&mut Frame)| {
        let mut frame = full(&codec);
        spoil(&mut frame);
        codec.encode(&frame).unwrap_err()
    };
    let long: Arc<str> = "x".repeat(MAX_NAME_BYTES + 1).into();
    assert_eq!(
        refused(&|f| f.changes = vec![change(RouteId(1)); 4097]),
        WireError::TooMany { what: "changed routes", count: 4097, max: 4096 }
    );
    assert_eq!(
        refused(&|f| f.changes = vec![change(RouteId(1)); 2]),
        WireError::Duplicate { what: "changed routes", route: RouteId(1) }
    );
    assert_eq!(refused(&|f| f.forgotten = vec![RouteId(1); 4097]).kind(), "too_many");
    assert_eq!(refused(&|f| f.names = vec![(RouteId(1), "x".into()); 4097]).kind(), "too_many");
    assert_eq!(refused(&|f| f.forgotten.extend(f.forgotten.clone())).kind(), "duplicate");
    assert_eq!(refused(&|f| f.names.extend(f.names.clone())).kind(), "duplicate");
    assert_eq!(refused(&|f| f.names[0].0.0 ^= 1).kind(), "wrong_name");
    assert_eq!(
        refused(&|f| f.changes[0].stance = Stance { open: true, held: true, good: true }).kind(),
        "open_and_held"
    );
    assert_eq!(refused(&|f| f.forgotten.push(f.changes[2].route)).kind(), "changed_and_forgotten");
    assert_eq!(refused(&|f| f.changes[2].evidence = f32::NAN).kind(), "bad_number");
    assert_eq!(
        refused(&|f| f.node_name = Some(long.clone())),
        WireError::NameTooLong { what: "name of the node", bytes: 513, max: 512 }
    );
    assert_eq!(
        refused(&|f| f.names.push((codec.route_id(&long), long.clone()))).kind(),
        "name_too_long"
    );
    let many = |f: &mut Frame| {
        let names = (0..600).map(|i| format!("{i:0>500}"));
        f.names = names.map(|name| (codec.route_id(&name), name.into())).collect();
    };
    assert_eq!(refused(&many).kind(), "too_long");
}

#[test]
fn ids_depend_on_the_cluster_and_on_the_secret() {
    let route = |codec: Codec| codec.route_id("/pay");
    let ids = [
        route(Codec::new("shop", None)),
        route(Codec::new("shop", Some(b"a"))),
        route(Codec::new("shop", Some(b"b"))),
        route(Codec::new("shopa", None)),
        route(Codec::new("sho", Some(b"p"))),
    ];
    for (i, id) in ids.iter().enumerate() {
        assert!(!ids[..i].contains(id), "{i}");
    }
    assert_ne!(open().route_id("pod-7").0, open().node_id("pod-7").0);
    assert!(!format!("{:?}", authenticated()).contains("horse"), "no key is shown");
    assert_eq!(sorted(full(&open())), full(&open()));
}
