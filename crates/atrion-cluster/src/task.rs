//! Where the link is driven: on the runtime that is there, or on a thread of its own.

use std::future::Future;
use std::io;

use atrion_commercial::runtime::OwnRuntime;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A future under way. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Task {
    abort: AbortHandle,
    ended: watch::Receiver<()>,
    _own: Option<OwnRuntime>,
}

impl Task {
    /// Starts `future` on the present runtime, or else on a thread of its own, so that programs
    /// without a runtime are served too.
    pub(crate) fn start(future: impl Future<Output = ()> + Send + 'static) -> io::Result<Self> {
        // The receiver learns of the end, however it comes, by the sender's being dropped.
        let (sender, ended) = watch::channel(());
        let future = async move {
            let _sender = sender;
            future.await;
        };
        let (runtime, own) = if let Ok(runtime) = Handle::try_current() {
            (runtime, None)
        } else {
            let own = OwnRuntime::start("atrion-cluster")?;
            (own.handle().clone(), Some(own))
        };
        Ok(Self { abort: runtime.spawn(future).abort_handle(), ended, _own: own })
    }

    /// Waits for the end.
    pub(crate) async fn ended(mut self) {
        while self.ended.changed().await.is_ok() {}
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use atrion_state::blocking::block_on;

    use super::*;

    #[test]
    fn without_a_runtime_a_thread_serves_and_ends() {
        let (sender, receiver) = mpsc::channel();
        let task = Task::start(async move {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            let _ = sender.send(7);
        });
        block_on(task.expect("a thread").ended());
        assert_eq!(receiver.recv(), Ok(7));
    }

    #[test]
    fn dropping_a_task_ends_what_it_does() {
        let (sender, receiver) = mpsc::channel::<()>();
        let task = Task::start(async move {
            let _sender = sender;
            std::future::pending::<()>().await;
        });
        drop(task);
        assert!(receiver.recv().is_err(), "the future was dropped");
    }
}
