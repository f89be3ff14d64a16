//! A service as its users would write it: HTTP, a dependency, and Atrion before both.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atrion::{
    Atrion, BreakerMode, Event as Happened, LicensePolicy, Observer, RedisClusterProvider, Volts,
};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderName, StatusCode, header};
use tokio::time::Instant;

use super::clock::SharedClock;
use super::wire::{Event, Order, Peer, SHOP, Stats};
use super::{CLUSTER, INTERVAL, orders, tell};
use crate::caller::Caller;
use crate::dependency::listen;
use crate::stats::{micros, percentile};

/// How long the service waits for its dependency: longer than a busy machine lets it wait, so that
/// it fails only where it is told to.
const DEPENDENCY_DEADLINE: Duration = Duration::from_secs(1);
/// The header of a refusal that names its reason.
pub(crate) const REFUSED: HeaderName = HeaderName::from_static("x-refused");
/// Failures that open any breaker.
const FAILURES: u32 = 40;

const STALL_TOLD_EVERY: Duration = Duration::from_millis(500);
const STALL_PROBED_EVERY: Duration = Duration::from_millis(10);

/// What a node has to know.
pub(crate) struct Setting {
    pub(crate) index: usize,
    pub(crate) dependency: u16,
    pub(crate) redis: Option<u16>,
    pub(crate) seed: u64,
}

struct Shared {
    index: usize,
    atrion: Atrion,
    dependency: Caller,
    /// What each call of `admit` on the everyday route took that was admitted, in nanoseconds.
    admits: Mutex<Vec<u32>>,
}

/// What it calls itself.
pub(crate) fn name(index: usize) -> String {
    format!("node-{index}")
}

/// Serves until the conductor is gone.
///
/// # Errors
///
/// A sentence if it cannot listen, or Atrion cannot be built.
pub(crate) async fn run(setting: Setting, clock: SharedClock) -> Result<(), String> {
    let provider = setting.redis.map(|port| provider(port, setting.index, clock)).transpose()?;
    let mut builder = Atrion::builder().seed(setting.seed).clock(clock).observer(Teller);
    if let Some(provider) = &provider {
        // The licence is in the variable where it is looked for.
        builder = builder.provider(Arc::clone(provider)).license_policy(LicensePolicy::Strict);
    }
    let atrion = builder.build().map_err(|e| format!("Atrion cannot be built: {e}"))?;
    let shared = Arc::new(Shared {
        index: setting.index,
        atrion,
        dependency: Caller::new(setting.dependency, "")?,
        admits: Mutex::default(),
    });
    let router = Router::new().route("/{*route}", get(handle)).with_state(Arc::clone(&shared));
    let listener = listen().await?;
    tokio::select! {
        ended = async { axum::serve(listener, router).await } => {
            ended.map_err(|e| format!("cannot serve: {e}"))
        }
        obeyed = obey(&shared, provider.as_deref()) => obeyed,
        never = watch_stalls() => match never {},
    }
}

fn provider(
    port: u16,
    index: usize,
    clock: SharedClock,
) -> Result<Arc<RedisClusterProvider>, String> {
    let provider = RedisClusterProvider::builder()
        .url(format!("redis://127.0.0.1:{port}"))
        .cluster(CLUSTER)
        .node(name(index))
        .sync_interval(INTERVAL)
        .clock(clock)
        .build();
    provider.map(Arc::new).map_err(|e| format!("the provider cannot be built: {e}"))
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    Path(route): Path<String>,
    headers: HeaderMap,
) -> Response {
    let volts = headers.get("x-atrion-voltage").and_then(|value| value.to_str().ok());
    let volts = volts.and_then(|text| Volts::try_new(text.parse().ok()?).ok());
    let atrion_route = shared.atrion.route(&route);
    let asked = Instant::now();
    let admitted = atrion_route.admit_owned(volts.unwrap_or(Volts::ZERO));
    let took = asked.elapsed();
    let permit = match admitted {
        Ok(permit) => permit,
        Err(shed) => {
            let secs = shed.retry_after().as_secs().max(1).to_string();
            let headers = [(header::RETRY_AFTER, secs), (REFUSED, shed.reason().to_string())];
            return (StatusCode::SERVICE_UNAVAILABLE, headers, shed.explain().to_string())
                .into_response();
        }
    };
    if route == SHOP {
        shared.note_admit(took);
    }
    let Ok(call) = shared.dependency.to(&format!("{}/{route}", shared.index)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match tokio::time::timeout(DEPENDENCY_DEADLINE, call.get(None)).await {
        Ok(Ok(answer)) if answer.status.is_success() => {
            permit.success();
            "done".into_response()
        }
        _ => {
            permit.failure();
            (StatusCode::BAD_GATEWAY, "the dependency failed").into_response()
        }
    }
}

impl Shared {
    fn admits(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.admits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_admit(&self, took: Duration) {
        self.admits().push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
    }

    fn stats(&self, provider: Option<&RedisClusterProvider>) -> Stats {
        let mut admits = std::mem::take(&mut *self.admits());
        admits.sort_unstable();
        let stats = provider.map(RedisClusterProvider::stats).unwrap_or_default();
        let nodes = self.atrion.nodes();
        let peers = nodes.iter().filter(|node| !node.is_self).map(|node| Peer {
            name: node.name.to_string(),
            frames: node.frames,
            complaints: node.complaints,
            silent_ms: u64::try_from(node.silent_for.as_millis()).unwrap_or(u64::MAX),
        });
        Stats {
            bytes_out: stats.bytes_out,
            changes_out: stats.changes_out,
            frames_out: stats.frames_out,
            pending: stats.pending,
            peers: peers.collect(),
            admit_p99_ns: percentile(&admits, 0.99).unwrap_or_default(),
        }
    }

    /// Lets that many routes fail often enough to open their breakers, or to deepen their scars.
    fn scar(&self, routes: u32) {
        for number in 0..routes {
            let route = self.atrion.route(&format!("catalogue/{number}"));
            for _ in 0..FAILURES {
                let Ok(permit) = route.admit(Volts::MAX) else { break };
                permit.failure();
            }
        }
    }
}

async fn obey(shared: &Shared, provider: Option<&RedisClusterProvider>) -> Result<(), String> {
    let mut orders = orders();
    while let Some(order) = orders.next().await? {
        match order {
            Order::Know { routes } => {
                for route in routes {
                    shared.atrion.route(&route);
                }
            }
            Order::Scar { routes } => shared.scar(routes),
            Order::Stats => tell(Event::Stats(shared.stats(provider))),
            other => return Err(format!("a node cannot {other:?}")),
        }
    }
    shared.atrion.disconnect().await;
    Ok(())
}

/// Tells how much later than asked for a short sleep ends, at most.
async fn watch_stalls() -> std::convert::Infallible {
    let mut stall = Duration::ZERO;
    let mut told = Instant::now();
    loop {
        let asleep = Instant::now();
        tokio::time::sleep(STALL_PROBED_EVERY).await;
        stall = stall.max(asleep.elapsed().saturating_sub(STALL_PROBED_EVERY));
        if told.elapsed() >= STALL_TOLD_EVERY {
            told = Instant::now();
            tell(Event::Stall { micros: micros(std::mem::take(&mut stall)) });
        }
    }
}

/// Passes on what the conductor wants to know.
struct Teller;

impl Observer for Teller {
    fn event(&self, event: &Happened) {
        match event {
            Happened::ModeChanged { route, mode, at } => tell(Event::Mode {
                route: route.name().to_owned(),
                open: *mode == BreakerMode::Open,
                at: at.as_nanos(),
            }),
            Happened::Held { route, held, at } => {
                tell(Event::Held {
                    route: route.name().to_owned(),
                    held: *held,
                    at: at.as_nanos(),
                });
            }
            _ => {}
        }
    }
}
