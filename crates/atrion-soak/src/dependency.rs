//! The dependency: a small HTTP server that can be slow, fail and hang.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::board::Board;
use crate::schedule::Health;

/// How long a healthy answer takes.
const TAKES: Duration = Duration::from_millis(20);

/// Serves on a free port until the program ends.
///
/// # Errors
///
/// A sentence if there is no port.
pub(crate) async fn serve(board: &Arc<Board>) -> Result<u16, String> {
    let router = Router::new().route("/price", get(answer)).with_state(board.health.subscribe());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.map_err(|e| format!("no port can be had: {e}"))?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(port)
}

async fn answer(State(mut health): State<watch::Receiver<Health>>) -> (StatusCode, &'static str) {
    // Whoever was left hanging gets an answer once it heals, if still there.
    let found = health.wait_for(|health| *health != Health::Hanging).await.map(|health| *health);
    let (factor, failing) = match found {
        Ok(Health::Slow(factor)) => (factor, 0),
        Ok(Health::Failing(percent)) => (1, percent),
        Ok(Health::Healthy | Health::Hanging) | Err(_) => (1, 0),
    };
    tokio::time::sleep(TAKES * factor).await;
    if hundredth() < failing {
        (StatusCode::INTERNAL_SERVER_ERROR, "no")
    } else {
        (StatusCode::OK, "42")
    }
}

/// Spread evenly over 0 to 99, in no order that anybody knows.
fn hundredth() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // The golden ratio's multiples modulo 2^32.
    (COUNT.fetch_add(1, Relaxed).wrapping_mul(0x9e37_79b9) >> 16) % 100
}
