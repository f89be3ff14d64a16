//! What pods say to each other, byte by byte.
//!
//! A [`Frame`] is one node's news: the routes that changed since its last one, with the node's own
//! observations only. The same format serves for messages on the channel and for the fields that
//! are stored for those who come later. `docs/wire-format.md` describes it for other languages;
//! the vectors in `testdata/wire` are compared byte for byte by the tests.
//!
//! Whatever arrives is hostile until proven otherwise. [`Codec::decode`] returns a frame only
//! after every byte of it has been judged; it never panics, and what it allocates is bounded by a
//! small multiple of the input.
//!
//! ```
//! use atrion_cluster::wire::{Change, Codec, Frame};
//! use atrion_core::{merge::Stamp, time::Timestamp, units::Ohms, vector::PhysicsVector};
//!
//! let codec = Codec::new("shop", Some(b"a long shared secret"));
//! let vector = PhysicsVector {
//!     scar_tissue: Ohms::from(40_u32),
//!     ..PhysicsVector::idle(Ohms::try_new(0.5)?, Timestamp::ZERO)
//! };
//! let mut frame = Frame::new(codec.node_id("pod-7"), Stamp { incarnation: 3, sequence: 1 });
//! frame.changes.push(Change::of(codec.route_id("/pay"), &vector));
//!
//! let bytes = codec.encode(&frame)?;
//! assert_eq!(codec.decode(&bytes)?, frame);
//! assert!(Codec::new("shop", None).decode(&bytes).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod decode;
mod encode;
mod error;
#[cfg(any(test, feature = "test-util"))]
mod fuzz;
mod keys;
mod layout;

use std::fmt;
use std::sync::Arc;

use atrion_core::error::OutOfRange;
use atrion_core::merge::Stamp;
use atrion_core::time::Timestamp;
use atrion_core::units::{Evidence, Ohms, PerSecond};
use atrion_core::vector::{PhysicsVector, Stance};
use atrion_state::peers::{NodeId, RouteId};
use atrion_state::provider::MAX_ROUTE_BYTES;

pub use error::WireError;
#[cfg(any(test, feature = "test-util"))]
pub use fuzz::{FUZZ_CLUSTER, fuzz};
use keys::Keys;

/// The major version spoken here. Frames of a higher one are refused.
pub const MAJOR: u8 = 1;
/// The minor version spoken here. Frames of any minor version are understood.
pub const MINOR: u8 = 0;
/// The longest frame, in bytes.
pub const MAX_FRAME_BYTES: usize = 256 * 1024;
/// The most changed routes in a frame, and the most forgotten ones.
pub const MAX_CHANGES: usize = 4096;
/// The most names of routes in a frame.
pub const MAX_NAMES: usize = 4096;
/// So many names, however long, fit into a frame that is full of everything else.
pub const NAMES_THAT_FIT: usize = 192;
/// The longest name of a route or of a node, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = MAX_ROUTE_BYTES;
/// The largest scar that is believed, in ohms.
pub const MAX_SCAR_OHMS: f32 = 1e6;
/// What a frame without anything in it takes, in bytes.
pub const HEADER_BYTES: usize = layout::HEADER_BYTES;
/// What each changed route takes, in bytes.
pub const CHANGE_BYTES: usize = layout::CHANGE_BYTES;
/// What authentication adds to a frame, in bytes.
pub const MAC_BYTES: usize = layout::MAC_BYTES;

/// One node's news.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Who says it.
    pub node: NodeId,
    /// The age of the word in the life of its node.
    pub stamp: Stamp,
    /// When it was sent, on the server's wall clock in milliseconds since 1970; 0 if unknown.
    pub sent_millis: u64,
    /// How long before it was sent the changes were true, in milliseconds.
    pub age_millis: u32,
    /// Whether the node takes its leave: nothing follows.
    pub leaving: bool,
    /// What the node calls itself, of at most [`MAX_NAME_BYTES`]; not in every frame.
    pub node_name: Option<Arc<str>>,
    /// What changed, at most [`MAX_CHANGES`] different routes. Decoded frames have them in
    /// ascending order of the route.
    pub changes: Vec<Change>,
    /// What routes are called, at most [`MAX_NAMES`] different ones; in ascending order once
    /// decoded. An id is always the one that [`Codec::route_id`] gives to the name.
    pub names: Vec<(RouteId, Arc<str>)>,
    /// Routes that the node has no word about any more, at most [`MAX_CHANGES`] different ones,
    /// none of them among the changes; in ascending order once decoded.
    pub forgotten: Vec<RouteId>,
}

impl Frame {
    /// A frame that says only that its node is alive.
    pub const fn new(node: NodeId, stamp: Stamp) -> Self {
        Self {
            node,
            stamp,
            sent_millis: 0,
            age_millis: 0,
            leaving: false,
            node_name: None,
            changes: Vec::new(),
            names: Vec::new(),
            forgotten: Vec::new(),
        }
    }
}

/// What a node says about one route, in single precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Which route.
    pub route: RouteId,
    /// S, the node's own scar, in ohms; `[0, MAX_SCAR_OHMS]`.
    pub scar: f32,
    /// E, the evidence for the claim, in requests; finite and not negative, as all that follow.
    pub evidence: f32,
    /// d, how much the node is asked for the route, in requests per second.
    pub demand: f32,
    /// M, how fast pressure moved, in 1/s.
    pub momentum: f32,
    /// R, what a request had to overcome, in ohms.
    pub resistance: f32,
    /// What the node does about it; not open and held at once.
    pub stance: Stance,
}

impl Change {
    /// What there is to say about `route`, rounded to single precision.
    ///
    /// What is too large to be said becomes the largest that can be: [`MAX_SCAR_OHMS`] for the
    /// scar, `f32::MAX` for all else. A route that is open is not also called held.
    pub fn of(route: RouteId, vector: &PhysicsVector) -> Self {
        let Stance { open, held, good } = vector.stance;
        Self {
            route,
            scar: single(vector.scar_tissue.get(), MAX_SCAR_OHMS),
            evidence: single(vector.evidence.get(), f32::MAX),
            demand: single(vector.demand.get(), f32::MAX),
            momentum: single(vector.momentum.get(), f32::MAX),
            resistance: single(vector.resistance.get(), f32::MAX),
            stance: Stance { open, held: held && !open, good },
        }
    }

    /// The same as a vector that was true at `timestamp`, on the reader's clock.
    ///
    /// Decoded changes hold valid numbers. Of a change that was put together by hand an invalid
    /// one counts against the claim: as the largest scar or resistance, as no evidence, demand or
    /// momentum.
    pub fn vector(&self, timestamp: Timestamp) -> PhysicsVector {
        PhysicsVector {
            resistance: double(self.resistance, Ohms::try_new, Ohms::MAX),
            momentum: double(self.momentum, PerSecond::try_new, PerSecond::ZERO),
            scar_tissue: double(self.scar, Ohms::try_new, Ohms::MAX),
            timestamp,
            evidence: double(self.evidence, Evidence::try_new, Evidence::ZERO),
            demand: double(self.demand, PerSecond::try_new, PerSecond::ZERO),
            stance: self.stance,
        }
    }
}

/// `value`, which is not negative, in single precision and at most `max`.
fn single(value: f64, max: f32) -> f32 {
    if value < f64::from(max) { value as f32 } else { max }
}

/// `value` as a quantity, or `otherwise` if it is none.
fn double<Q>(value: f32, quantity: impl Fn(f64) -> Result<Q, OutOfRange>, otherwise: Q) -> Q {
    quantity(f64::from(value)).unwrap_or(otherwise)
}

/// Writes and reads the frames of one cluster.
///
/// All nodes of a cluster use the same name and the same secret. Frames of another cluster are
/// told apart by a tag; with a secret, all frames carry a code that only its holders can compute,
/// and frames without one are refused. Without a secret, frames with one are refused, so that a
/// node that was forgotten in a roll-out is noticed.
///
/// The code does not stop an old frame from being sent again; stamps do, for readers that know a
/// newer one.
#[derive(Clone)]
pub struct Codec {
    keys: Keys,
}

impl Codec {
    /// A codec for the cluster of that name, with an optional shared secret of any length.
    ///
    /// A secret is as strong as it is hard to guess; an empty one protects nothing.
    pub fn new(cluster: &str, secret: Option<&[u8]>) -> Self {
        Self { keys: Keys::new(cluster, secret) }
    }

    /// The abbreviation of a route's name within this cluster.
    ///
    /// With a secret nobody but its holders can look for two names with the same abbreviation.
    pub fn route_id(&self, route: &str) -> RouteId {
        RouteId(self.keys.route(route))
    }

    /// The abbreviation of a node's name within this cluster.
    pub fn node_id(&self, name: &str) -> NodeId {
        NodeId(self.keys.node(name))
    }

    /// Whether frames carry a code of authentication.
    pub fn is_authenticated(&self) -> bool {
        self.keys.mac.is_some()
    }
}

impl fmt::Debug for Codec {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("authenticated", &self.is_authenticated())
            .finish_non_exhaustive()
    }
}
