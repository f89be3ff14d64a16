//! The hand-over of "this route has changed" from whoever changes it to the pulse.

use crate::shim::atomic::{AtomicBool, Ordering};

/// One route's mark.
///
/// A writer stores its value, then [`set`](DirtyMark::set)s the mark, and queues the route if the
/// mark was not set. The reader takes the route from the queue, [`clear`](DirtyMark::clear)s the
/// mark, then reads the value. So a route is queued at most once at a time, and the value that the
/// reader sees is at least as new as the last one whose writer found the mark set: such a writer's
/// swap precedes the reader's in the order of the mark's modifications, and the reader's acquires
/// what it released. `tests/loom.rs` explores it.
#[derive(Debug, Default)]
pub(crate) struct DirtyMark(AtomicBool);

impl DirtyMark {
    /// Sets the mark; `true` if the caller has to queue the route.
    pub(crate) fn set(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Clears the mark; read the value after it, never before.
    pub(crate) fn clear(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}
