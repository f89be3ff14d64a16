//! The atomics and locks that loom replaces when it explores all interleavings (`--cfg loom`).

#[cfg(loom)]
pub(crate) use loom::sync::atomic;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic;
