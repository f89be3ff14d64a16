//! The dependency: a small HTTP server that can be told to be slow, to hang or to fail.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::plan::Health;
use crate::traffic::WorkTimes;
use crate::wire::{Event, Order, Orders, tell};

/// How long a healthy answer takes on average.
const MEAN: Duration = Duration::from_millis(5);
const VARIATION: f64 = 0.2;
/// In a gray failure this share of the answers takes this many times as long.
const SLOW_SHARE: f64 = 0.3;
const SLOW_FACTOR: u32 = 20;

/// The path it serves.
pub(crate) const PATH: &str = "price";

struct Shared {
    health: watch::Receiver<Health>,
    times: Mutex<WorkTimes>,
    reached: AtomicU64,
}

/// Serves until the conductor is gone.
///
/// # Errors
///
/// A sentence if it cannot listen or is given something that is no order.
pub(crate) async fn run(seed: u64) -> Result<(), String> {
    let (health, watched) = watch::channel(Health::Healthy);
    let shared = Arc::new(Shared {
        health: watched,
        times: Mutex::new(WorkTimes::new(MEAN, VARIATION, seed)?),
        reached: AtomicU64::new(0),
    });
    let router = Router::new().route(&format!("/{PATH}"), get(answer)).with_state(shared.clone());
    let listener = listen().await?;
    let serve = axum::serve(listener, router);
    let obey = async {
        let mut orders = Orders::new();
        while let Some(order) = orders.next().await? {
            match order {
                Order::Be { health: new } => drop(health.send_replace(new)),
                Order::Tally => {}
                other => return Err(format!("the dependency cannot {other:?}")),
            }
            tell(&Event::Reached { total: shared.reached.load(Ordering::Relaxed) });
        }
        Ok(())
    };
    tokio::select! {
        ended = async { serve.await } => ended.map_err(|e| format!("cannot serve: {e}")),
        obeyed = obey => obeyed,
    }
}

/// A listener on a free port of the loopback interface, announced to the conductor.
///
/// # Errors
///
/// A sentence if the system grants none.
pub(crate) async fn listen()
-> Result<impl axum::serve::Listener<Addr = std::net::SocketAddr>, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(|e| format!("no port of the loopback interface can be had: {e}"))?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    tell(&Event::Listening { port });
    Ok(listener.tap_io(|stream| {
        // Only costs latency where it fails.
        drop(stream.set_nodelay(true));
    }))
}

async fn answer(State(shared): State<Arc<Shared>>) -> Response {
    shared.reached.fetch_add(1, Ordering::Relaxed);
    let mut health = shared.health.clone();
    // Whoever was left hanging gets an answer once the dependency heals, if still there.
    let hung = health.wait_for(|health| *health != Health::Hanging).await;
    let health = hung.map_or(Health::Failing, |health| *health);
    if health == Health::Failing {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let time = {
        let mut times = shared.times.lock().unwrap_or_else(PoisonError::into_inner);
        let time = times.draw();
        let slow = health == Health::Gray && times.chance(SLOW_SHARE);
        if slow { time * SLOW_FACTOR } else { time }
    };
    tokio::time::sleep(time).await;
    "42".into_response()
}
