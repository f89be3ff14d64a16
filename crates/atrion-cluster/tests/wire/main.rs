//! The wire format: what goes in comes out, and what is not allowed does not.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail")]

mod golden;
mod hostile;
mod round_trip;
mod versions;

use atrion_cluster::wire::{Change, Codec, Frame};
use atrion_core::merge::Stamp;
use atrion_core::vector::Stance;
use atrion_state::peers::RouteId;

const CLUSTER: &str = "shop";
const SECRET: &[u8] = b"correct horse battery staple";

fn open() -> Codec {
    Codec::new(CLUSTER, None)
}

fn authenticated() -> Codec {
    Codec::new(CLUSTER, Some(SECRET))
}

fn change(route: RouteId) -> Change {
    Change {
        route,
        scar: 40.5,
        evidence: 5.0,
        demand: 20.0,
        momentum: 0.25,
        resistance: 41.0,
        stance: Stance { open: true, held: false, good: true },
    }
}

/// A frame that uses every part of the format.
fn full(codec: &Codec) -> Frame {
    let stamp = Stamp { incarnation: 1_750_000_000_000, sequence: 42 };
    let mut frame = Frame::new(codec.node_id("pod-7"), stamp);
    frame.sent_millis = 1_750_000_123_456;
    frame.age_millis = 99;
    frame.leaving = true;
    frame.node_name = Some("pod-7".into());
    frame.changes = ["/pay", "/cart", "/käse"].map(|name| change(codec.route_id(name))).into();
    let calm = Stance { held: true, ..Stance::CALM };
    frame.changes[1] = Change { scar: 0.0, momentum: 0.0, stance: calm, ..frame.changes[1] };
    frame.names = ["/pay", "/käse"].map(|name| (codec.route_id(name), name.into())).into();
    frame.forgotten = ["/old", "/older"].map(|name| codec.route_id(name)).into();
    sorted(frame)
}

/// As decoding returns it.
fn sorted(mut frame: Frame) -> Frame {
    frame.changes.sort_unstable_by_key(|change| change.route);
    frame.names.sort_unstable_by_key(|(route, _)| *route);
    frame.forgotten.sort_unstable();
    frame
}
