//! What decoding allocates is bounded by the input, whatever the input claims.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail")]

use atrion_cluster::wire::{Change, Codec, Frame, MAX_CHANGES};
use atrion_core::merge::Stamp;
use atrion_core::time::Timestamp;
use atrion_core::units::Ohms;
use atrion_core::vector::PhysicsVector;
use atrion_state::peers::{NodeId, RouteId};

/// Bytes allocated by `f`, freed or not.
fn allocated<T>(f: impl FnOnce() -> T) -> (usize, T) {
    let mut result = None;
    let used = allocation_counter::measure(|| result = Some(f()));
    (used.bytes_total as usize, result.unwrap())
}

fn of_sections(codec: &Codec, sections: &[u8]) -> Vec<u8> {
    let alive = Frame::new(NodeId(1), Stamp { incarnation: 1, sequence: 1 });
    let mut bytes = codec.encode(&alive).unwrap().to_vec();
    bytes.extend_from_slice(sections);
    let length = (bytes.len() as u32).to_le_bytes();
    bytes[10..14].copy_from_slice(&length);
    bytes
}

fn full(codec: &Codec) -> Frame {
    let vector = PhysicsVector::idle(Ohms::from(1_u32), Timestamp::ZERO);
    let mut frame = Frame::new(NodeId(1), Stamp { incarnation: 1, sequence: 1 });
    frame.changes = (0..MAX_CHANGES as u64).map(|i| Change::of(RouteId(i), &vector)).collect();
    frame.forgotten = (0..MAX_CHANGES as u64).map(|i| RouteId(1 << 60 | i)).collect();
    // Short names are the worst: each takes memory of its own.
    frame.names = (0..4096)
        .map(|i: u32| format!("{i:x}"))
        .map(|name| (codec.route_id(&name), name.into()))
        .collect();
    frame.node_name = Some("pod".into());
    frame
}

#[test]
fn decoding_allocates_at_most_four_times_the_input() {
    assert!(allocated(|| drop(std::hint::black_box(Box::new([0_u8; 64])))).0 >= 64, "it counts");
    let codec = Codec::new("shop", None);

    let mut frame = full(&codec);
    let bytes = codec.encode(&frame).unwrap();
    let (used, decoded) = allocated(|| codec.decode(&bytes));
    assert_eq!(decoded.unwrap().names.len(), 4096);
    assert!(used <= 4 * bytes.len(), "{used} for {}", bytes.len());

    frame.names.clear();
    frame.node_name = None;
    let bytes = codec.encode(&frame).unwrap();
    let (used, decoded) = allocated(|| codec.decode(&bytes));
    let mut decoded = decoded.unwrap();
    assert!(used * 10 <= 11 * bytes.len() + 640, "{used} for {}", bytes.len());
    let (used, result) = allocated(|| codec.decode_into(&bytes, &mut decoded));
    assert_eq!((used, result), (0, Ok(())), "the last frame's memory is enough");

    // Nothing but claims: no memory is set aside for them.
    for section in [[1, 29, 0, 0, 16], [2, 8, 0, 0, 16], [3, 0, 0, 0, 16], [1, 0xFF, 0xFF, 0, 16]] {
        let bytes = of_sections(&codec, &section);
        let (used, result) = allocated(|| codec.decode(&bytes));
        assert_eq!(result.unwrap_err().kind(), "truncated", "{section:?}");
        assert_eq!(used, 0, "{section:?}");
    }
    // Room for so many names, but the first of them is none.
    let mut names = vec![3, 0, 0, 0, 16];
    names.resize(5 + 12 * 4096, 0);
    let bytes = of_sections(&codec, &names);
    let (used, result) = allocated(|| codec.decode(&bytes));
    result.unwrap_err();
    assert!(used <= 4 * bytes.len(), "{used} for {}", bytes.len());
}
