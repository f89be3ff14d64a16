//! For programs without an async runtime: waiting for one future on the calling thread.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs `future` to its end, parking the thread while there is nothing to do.
///
/// Any executor will do for the futures of this crate that do not mention tokio; this one saves
/// a synchronous program from having to bring its own. Never call it from async code: it holds
/// up the thread that polls it.
///
/// ```
/// assert_eq!(atrion_state::blocking::block_on(async { 6 * 7 }), 42);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // A wake-up that came before the park makes it return at once, and a spurious return
        // only polls once more.
        thread::park();
    }
}
