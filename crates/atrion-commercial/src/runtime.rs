//! A runtime for programs that have none.

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A tokio runtime on a thread of its own. Both end when this is dropped, and with them whatever
/// runs there.
#[derive(Debug)]
pub struct OwnRuntime {
    handle: Handle,
    _alive: oneshot::Sender<()>,
}

impl OwnRuntime {
    /// Starts a thread of this name.
    ///
    /// # Errors
    /// What the operating system says if it refuses a thread, or what a runtime needs of it.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Ends with an error when the sender is dropped, which is what it is for.
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { handle, _alive: alive })
    }

    /// Where to start what shall run there.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn it_serves_until_it_is_dropped() {
        let own = OwnRuntime::start("atrion-test").expect("a thread");
        let (sender, receiver) = mpsc::channel();
        own.handle().spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            let _ = sender.send(std::thread::current().name().map(str::to_owned));
            std::future::pending::<()>().await;
        });
        assert_eq!(receiver.recv(), Ok(Some("atrion-test".to_owned())));
        drop(own);
        assert!(receiver.recv().is_err(), "what ran there was dropped");
    }
}
