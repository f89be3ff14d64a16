//! The service: sixteen workers behind one first-come-first-served queue, each request needing
//! an answer of the dependency and some work of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::dependency::{self, listen};
use crate::guard::Guard;
use crate::protect::Protection;
use crate::stats::micros;
use crate::traffic::WorkTimes;
use crate::wire::{Event, Orders, tell};

/// How many requests are worked on at once.
pub(crate) const WORKERS: usize = 16;
/// How many may wait for a worker; more are turned away with an error, as servers with a bounded
/// backlog do.
const BACKLOG: usize = 512;
/// How long a request's own work takes on average.
const MEAN: Duration = Duration::from_millis(18);
const VARIATION: f64 = 0.5;
/// How long the service waits for its dependency: less than its own callers wait for it.
const DEPENDENCY_DEADLINE: Duration = Duration::from_millis(150);

const GAUGE_EVERY: Duration = Duration::from_millis(100);
const PROBE_EVERY: Duration = Duration::from_millis(10);

/// The path it serves.
pub(crate) const PATH: &str = "work";

struct Shared {
    workers: Semaphore,
    /// Requests waiting or being worked on.
    present: AtomicUsize,
    times: Mutex<WorkTimes>,
    dependency: Caller,
}

/// Serves until the conductor is gone.
///
/// # Errors
///
/// A sentence if it cannot listen, or Atrion cannot be built.
pub(crate) async fn run(seed: u64, guard: Guard, dependency: u16) -> Result<(), String> {
    let protection = Protection::new(guard, seed)?;
    let shared = Arc::new(Shared {
        workers: Semaphore::new(WORKERS),
        present: AtomicUsize::new(0),
        times: Mutex::new(WorkTimes::new(MEAN, VARIATION, seed)?),
        dependency: Caller::new(dependency, dependency::PATH)?,
    });
    let router = Router::new().route(&format!("/{PATH}"), get(handle)).with_state(shared);
    let router = protection.apply(router)?;
    let listener = listen().await?;
    let mut orders = Orders::new();
    tokio::select! {
        ended = async { axum::serve(listener, router).await } => {
            ended.map_err(|e| format!("cannot serve: {e}"))
        }
        gone = orders.next() => match gone? {
            None => Ok(()),
            Some(order) => Err(format!("the service cannot {order:?}")),
        },
        never = report(&protection) => match never {},
    }
}

/// Tells the conductor about resistance, and about stalls of this process: how much later than
/// asked for a short sleep ends at most.
async fn report(protection: &Protection) -> std::convert::Infallible {
    let mut stall = Duration::ZERO;
    let mut told = Instant::now();
    loop {
        let asleep = Instant::now();
        tokio::time::sleep(PROBE_EVERY).await;
        stall = stall.max(asleep.elapsed().saturating_sub(PROBE_EVERY));
        if told.elapsed() >= GAUGE_EVERY {
            told = Instant::now();
            tell(&Event::Gauge {
                resistance_ohms: protection.resistance_ohms(),
                stall_us: micros(std::mem::take(&mut stall)),
            });
        }
    }
}

/// Queues the request and waits for its result.
///
/// The work is a task of its own: as in a server with a pool of threads, a caller who leaves
/// does not take the work away that was queued for him. That is what makes an overload last.
async fn handle(State(shared): State<Arc<Shared>>) -> Response {
    if shared.present.fetch_add(1, Ordering::Relaxed) >= WORKERS + BACKLOG {
        shared.present.fetch_sub(1, Ordering::Relaxed);
        return (StatusCode::SERVICE_UNAVAILABLE, "backlog full").into_response();
    }
    let job = tokio::spawn(async move {
        let answer = work(&shared).await;
        shared.present.fetch_sub(1, Ordering::Relaxed);
        answer
    });
    job.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn work(shared: &Shared) -> Response {
    // Closed never, so this is only an error of a program that is ending.
    let Ok(_worker) = shared.workers.acquire().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    match tokio::time::timeout(DEPENDENCY_DEADLINE, shared.dependency.get(None)).await {
        Ok(Ok(answer)) if answer.status.is_success() => {}
        Ok(Ok(answer)) => {
            let why = format!("the dependency answered {}", answer.status.as_u16());
            return (StatusCode::BAD_GATEWAY, why).into_response();
        }
        Ok(Err(_)) => return (StatusCode::BAD_GATEWAY, "the dependency is gone").into_response(),
        Err(_) => return (StatusCode::GATEWAY_TIMEOUT, "the dependency is late").into_response(),
    }
    let time = shared.times.lock().unwrap_or_else(PoisonError::into_inner).draw();
    tokio::time::sleep(time).await;
    "done".into_response()
}
