//! Nodes whose word is worth nothing.

use atrion_core::merge::Stamp;
use atrion_core::vector::Stance;
use atrion_state::peers::NodeId;

use crate::wire::{Change, Codec, Frame};

/// Frames in which a route's name is told: one of so many.
const ANNOUNCED_EVERY: u64 = 10;

/// What a node that lies, or is broken, says about every route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lie {
    /// The scar it claims, in ohm.
    pub scar: f32,
    /// The evidence it claims to have, in requests.
    pub evidence: f32,
    /// The demand it claims, in requests per second.
    pub demand: f32,
    /// It claims that its last request went well.
    pub good: bool,
    /// It claims that its breaker is open.
    pub open: bool,
}

impl Lie {
    /// An outage that is none, claimed with a million requests of evidence.
    pub const OUTAGE: Self =
        Self { scar: 500.0, evidence: 1e6, demand: 20.0, good: false, open: true };

    /// The lie as a frame of `node` about these routes.
    pub fn frame(&self, codec: &Codec, node: NodeId, stamp: Stamp, routes: &[&str]) -> Frame {
        let change = |route: &&str| Change {
            route: codec.route_id(route),
            scar: self.scar,
            evidence: self.evidence,
            demand: self.demand,
            momentum: 0.0,
            resistance: self.scar,
            stance: Stance { open: self.open, held: false, good: self.good },
        };
        let announced = stamp.sequence % ANNOUNCED_EVERY == 1;
        let names = routes.iter().filter(|_| announced);
        Frame {
            changes: routes.iter().map(change).collect(),
            names: names.map(|route| (codec.route_id(route), (*route).into())).collect(),
            ..Frame::new(node, stamp)
        }
    }
}
