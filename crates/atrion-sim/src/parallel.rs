//! Independent pieces of work on several threads, with a result that does not depend on them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// `work(0), work(1), ...` in this order, computed by up to `threads` threads. After a failure no
/// further piece is begun, and the failure with the lowest index is returned.
pub(crate) fn map<T: Send, E: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let done: Mutex<Vec<(usize, Result<T, E>)>> = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Relaxed);
                    if index >= count || failed.load(Relaxed) {
                        break;
                    }
                    let result = work(index);
                    failed.fetch_or(result.is_err(), Relaxed);
                    // Nothing panics while it holds the lock, so a poisoned one is sound.
                    done.lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        let expected: Vec<usize> = (0..100).map(|i| i * i).collect();
        for threads in [1, 2, 7, 1000] {
            assert_eq!(map(100, threads, |i| Ok::<_, ()>(i * i)), Ok(expected.clone()));
        }
        assert_eq!(map(0, 2, |_| Ok::<(), ()>(())), Ok(Vec::new()));
    }

    #[test]
    fn a_failure_is_returned_and_ends_the_work() {
        let begun = std::sync::atomic::AtomicUsize::new(0);
        let result = map(1000, 1, |i| {
            begun.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if i == 3 { Err(i) } else { Ok(()) }
        });
        assert_eq!((result, begun.into_inner()), (Err(3), 4));
    }
}
