//! Sequences of operations on an instance, against a model of what it has to say of itself.

use super::Target;

#[path = "../../../crates/atrion-engine/tests/operations/ops.rs"]
mod ops;
#[path = "../../../crates/atrion-engine/tests/operations/world.rs"]
mod world;

/// Any bytes: they stand for operations, see `ops`. The first says how the instance is built.
pub(super) const SEQUENCE: Target = Target {
    name: "operations",
    words: &[
        // A request of a tier on route 0, and its end by each outcome.
        b"\x00\x00\x00\x05",
        b"\x50\x00\x00",
        b"\x50\x00\x02",
        // A failing one: admitted, 10 ms, failed.
        b"\x00\x00\x00\x06\x8c\x00\x10\x27\x50\x00\x02",
        // Time of some milliseconds, and of an hour.
        b"\x8c\x00\x10\x27",
        b"\xaa\x00\x2a\xff\xff\xff\xff\xff\xff\xff\xff",
        // A look-up, a tick, a flush, a restart.
        b"\xca\x03",
        b"\xd7\x00",
        b"\xf7\x00",
        b"\xfd\x00",
        b"\x00\x00",
        b"\xff",
    ],
    run: sequence,
};

fn sequence(bytes: &[u8]) -> &'static str {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let mut world = world::World::new(first & 1 == 1);
    world.play(&ops::decode(rest));
    let summary = world.summary;
    match (summary.opened, summary.restarted) {
        _ if summary.admitted == 0 => "nobody came",
        (true, true) => "opened and restarted",
        (true, false) => "opened",
        (false, true) => "restarted",
        (false, false) if summary.refused > 0 => "refused some",
        (false, false) => "accepted",
    }
}
