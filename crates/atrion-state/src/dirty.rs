//! The hand-over of "this route has changed" from whoever changes it to the pulse.

use crate::shim::atomic::{AtomicBool, Ordering};

/// One route's mark.
///
/// A writer stores its value, then [`set`](DirtyMark::set)s the mark, and queues the route if the
/// mark was not set. The reader takes the route from the queue, [`clear`](DirtyMark::clear)s the
/// mark, then reads the value. So a route is queued at most once at a time, and the value that the
/// reader sees is at least as new as the last one whose writer found the mark set: such a writer's
/// swap precedes the reader's in the order of the mark's modifications, and the reader's acquires
/// what it released. The loom test explores it.
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

#[cfg(all(loom, test))]
mod loom_tests {
    use std::collections::VecDeque;

    use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    use super::DirtyMark;

    /// The value is relaxed on purpose: only the mark orders it. Each queue operation takes its
    /// own lock for the operation alone, as the lock-free queue of the manager does.
    #[derive(Default)]
    struct Slot {
        value: AtomicUsize,
        mark: DirtyMark,
        queue: Mutex<VecDeque<()>>,
    }

    impl Slot {
        fn write(&self, value: usize) {
            self.value.fetch_max(value, Relaxed);
            if self.mark.set() {
                let mut queue = self.queue.lock().unwrap();
                queue.push_back(());
                assert_eq!(queue.len(), 1, "a route is queued at most once");
            }
        }

        fn take(&self) -> Option<usize> {
            self.queue.lock().unwrap().pop_front()?;
            self.mark.clear();
            Some(self.value.load(Relaxed))
        }
    }

    #[test]
    fn the_latest_value_is_taken_in_the_end_and_a_route_is_queued_once() {
        loom::model(|| {
            let slot = Arc::new(Slot::default());
            let writers: Vec<_> = [1, 2]
                .into_iter()
                .map(|value| {
                    let slot = Arc::clone(&slot);
                    thread::spawn(move || slot.write(value))
                })
                .collect();
            let reader = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || slot.take())
            };
            let mut last = reader.join().unwrap();
            for writer in writers {
                writer.join().unwrap();
            }
            while let Some(taken) = slot.take() {
                last = Some(taken);
            }
            assert_eq!(last, Some(2));
        });
    }
}
