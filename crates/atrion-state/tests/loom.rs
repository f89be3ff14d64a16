//! All interleavings of the hand-over of changes from writers to the pulse, under loom
//! (`RUSTFLAGS="--cfg loom"`).

#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../src/dirty.rs"]
mod dirty;
#[path = "../src/shim.rs"]
mod shim;

use std::collections::VecDeque;

use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::sync::{Arc, Mutex};
use loom::thread;

use dirty::DirtyMark;

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
