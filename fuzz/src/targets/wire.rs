//! Frames of the cluster, as they come from a channel that anybody may write to.

use atrion_cluster::wire;

use super::Target;

/// Any bytes: what is taken for a frame has to come out as it went in.
pub(super) const FRAME: Target = Target {
    name: "wire-frame",
    words: &[
        b"\x00\x00\xc0\x7f",
        b"\x00\x00\x80\x7f",
        b"\x00\x00\x80\xff",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x80",
        b"\xff\xff",
        b"\x01",
        b"\x00",
    ],
    run: wire::fuzz,
};
