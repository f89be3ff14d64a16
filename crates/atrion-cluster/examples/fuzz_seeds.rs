//! Writes the seeds of the fuzz target `wire-frame` into the folder given.

use std::path::Path;

use atrion_cluster::wire::{Change, Codec, FUZZ_CLUSTER, Frame};
use atrion_core::merge::Stamp;
use atrion_core::vector::Stance;
use atrion_state::peers::NodeId;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder")?;
    for (name, secret) in [("plain", None), ("authenticated", Some(b"fuzz".as_slice()))] {
        let codec = Codec::new(FUZZ_CLUSTER, secret);
        let node = NodeId(7);
        let stamp = Stamp { incarnation: 3, sequence: 9 };
        let alive = Frame::new(node, stamp);
        let change = |route: &str, scar: f32| Change {
            route: codec.route_id(route),
            scar,
            evidence: 5.0,
            demand: 20.0,
            momentum: 0.0,
            resistance: scar + 0.1,
            stance: Stance { open: scar > 100.0, ..Stance::CALM },
        };
        let stored = Frame {
            sent_millis: 1_700_000_000_000,
            age_millis: 40,
            node_name: Some("pod-1".into()),
            changes: vec![change("api/checkout", 500.0)],
            names: vec![(codec.route_id("api/checkout"), "api/checkout".into())],
            ..alive.clone()
        };
        let full = Frame {
            changes: (0..8).map(|n| change(&format!("route/{n}"), n as f32 * 60.0)).collect(),
            forgotten: vec![codec.route_id("gone")],
            leaving: true,
            ..stored.clone()
        };
        for (kind, frame) in [("alive", &alive), ("stored", &stored), ("full", &full)] {
            std::fs::write(
                Path::new(&folder).join(format!("{kind}-{name}")),
                codec.encode(frame)?,
            )?;
        }
    }
    Ok(())
}
