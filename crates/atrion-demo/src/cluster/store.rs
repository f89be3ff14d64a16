//! Redis and what happens to it: a process of its own, so that starting and stopping the server
//! disturbs nobody's clock, and so that no server outlives a conductor that was killed.

use std::sync::{Arc, Mutex, PoisonError};

use atrion_testkit::{Fault, FaultProxy, RedisServer};

use super::clock::SharedClock;
use super::wire::{Deed, Event, Order};
use super::{orders, tell};

/// Runs the server until the conductor is gone.
///
/// # Errors
///
/// A sentence if it cannot be started, with the advice to run the setup if it is not installed.
pub(crate) async fn run(clock: SharedClock) -> Result<(), String> {
    let server = blocking(|| RedisServer::start().map_err(|e| e.to_string())).await?;
    let redis = server.port();
    let server = Arc::new(Mutex::new(server));
    let proxy = FaultProxy::start(redis).await.map_err(|e| e.to_string())?;
    tell(Event::Store { redis, proxy: proxy.port() });
    let mut orders = orders();
    while let Some(order) = orders.next().await? {
        let Order::Store { deed } = order else {
            return Err(format!("the store cannot {order:?}"));
        };
        // Redis answers at some time between the beginning and the end of what makes it answer. Of a
        // restart, which takes a while, the end is told, when it has just answered for the first
        // time; of everything else the beginning.
        let begun = clock.nanos();
        match deed {
            Deed::Part => proxy.set_both(Fault::Stall),
            Deed::Heal => proxy.set_both(Fault::Pass),
            Deed::Kill | Deed::Restart | Deed::Stop | Deed::Continue => {
                let server = Arc::clone(&server);
                blocking(move || {
                    let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
                    carry_out(&mut server, deed).map_err(|e| e.to_string())
                })
                .await?;
            }
        }
        tell(Event::Done { at: if deed == Deed::Restart { clock.nanos() } else { begun } });
    }
    Ok(())
}

fn carry_out(server: &mut RedisServer, deed: Deed) -> Result<(), atrion_testkit::Failure> {
    match deed {
        Deed::Kill => server.kill(),
        Deed::Restart => server.restart_empty()?,
        Deed::Stop => server.stop()?,
        Deed::Continue => server.cont()?,
        Deed::Part | Deed::Heal => {}
    }
    Ok(())
}

/// Waits for work that blocks its thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| format!("the store failed: {e}"))?
}
