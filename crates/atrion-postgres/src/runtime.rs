//! Where the connections are driven: on the runtime that is there, or on a thread of our own, so
//! that programs without a runtime are served too.

use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};

use atrion_commercial::runtime::OwnRuntime;
use tokio::runtime::Handle;

use crate::error::StoreError;

/// The runtime of one provider.
#[derive(Debug, Default)]
pub(crate) struct Drive {
    own: Mutex<Option<OwnRuntime>>,
}

impl Drive {
    /// Runs `work` to its end, also if the returned future is dropped before.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let handle = self.handle().map_err(|e| StoreError::Ended(e.to_string()))?;
        match handle.spawn(work).await {
            Ok(result) => result,
            Err(error) => Err(StoreError::Ended(error.to_string())),
        }
    }

    /// Starts `work` and does not wait for it.
    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(handle) = self.handle() {
            drop(handle.spawn(work));
        }
    }

    fn handle(&self) -> io::Result<Handle> {
        if let Ok(handle) = Handle::try_current() {
            return Ok(handle);
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = &*own {
            return Ok(own.handle().clone());
        }
        Ok(own.insert(OwnRuntime::start("atrion-postgres")?).handle().clone())
    }
}

#[cfg(test)]
mod tests {
    use atrion_state::blocking::block_on;
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn without_a_runtime_a_thread_serves() {
        let drive = Drive::default();
        let work = || async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            Ok(7)
        };
        assert_eq!(block_on(drive.run(work())).unwrap(), 7);
        assert_eq!(block_on(drive.run(work())).unwrap(), 7);
    }

    #[test]
    fn what_a_runtime_takes_with_it_is_an_error_and_the_next_one_serves() {
        let drive = Drive::default();
        let runtime = Builder::new_current_thread().build().unwrap();
        let mut work = std::pin::pin!(drive.run(std::future::pending::<Result<(), _>>()));
        runtime.block_on(async {
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(work.as_mut().poll(context).is_pending())
            });
            assert!(polled.await);
        });
        drop(runtime);
        assert!(matches!(block_on(work), Err(StoreError::Ended(_))));
        assert!(block_on(drive.run(async { Ok(()) })).is_ok());
    }
}
