//! A service as its users would write it: HTTP, a dependency, Atrion before both, a cluster, a memory and a
//! dashboard. It looks at itself all the time and says what does not hold.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atrion::studio::Studio;
use atrion::tower::{AtrionLayer, TIER_HEADER};
use atrion::{
    Atrion, Config, Force, LawConfig, LicensePolicy, PostgresPersistenceAdapter, Priority,
    RedisClusterProvider, Shed, StateProvider as _, Telemetry, Volts, provider::Health,
};
use axum::body::Body;
use axum::extract::{Path, Request, State as Of};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::args::NodeOptions;
use crate::client::Client;
use crate::ledger::{Invariant, Ledger};
use crate::schedule::{FIXED, PRESETS};
use crate::watch::{TickWatch, Watched, look};
use crate::wire::{CLUSTER, Done, Heard, Listening, Order, State, VIOLATION, Witness, node_name};

/// How long the service waits for its dependency.
const DEPENDENCY_DEADLINE: Duration = Duration::from_millis(1_500);
/// Requests that the service works on at once.
const WORKERS: usize = 4;
/// Routes that are kept, far fewer than there are names.
const ROUTE_LIMIT: usize = 160;
/// Routes that nobody used for so long make room for others.
const ROUTE_IDLE_SECS: f64 = 2.0;
/// Pause between two looks at itself.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The header of a refusal that names its reason.
pub(crate) const REFUSED: HeaderName = HeaderName::from_static("x-refused");
/// A request for a long task.
pub(crate) const TASK: &str = "task";
/// Failures that open any breaker.
const FAILURES: u32 = 60;

struct Shared {
    atrion: Atrion,
    cluster: Arc<RedisClusterProvider>,
    memory: Arc<PostgresPersistenceAdapter>,
    fixed: Arc<Vec<Watched>>,
    workers: Semaphore,
    dependency: Client,
    dependency_port: u16,
    ledger: Mutex<Ledger>,
}

impl Shared {
    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the book, and says aloud what does not hold.
    fn book(&self, looked: &Ledger) {
        for invariant in Invariant::ALL {
            for words in looked.line(invariant).examples {
                eprintln!("{VIOLATION}{invariant:?}: {words}");
            }
        }
        self.ledger().add_checks(looked);
    }
}

/// The configuration of this number.
fn config(preset: usize) -> Result<Config, String> {
    let law = LawConfig::builder();
    let law = match preset {
        0 => law,
        1 => law.healing_per_sec(0.2).probe_secs(0.5),
        2 => law.scar_max_ohms(300.0).open_ohms(80.0).error_samples(10.0),
        _ => law.queue_baselines(2.0).start_limit(8.0).tick_secs(0.02),
    };
    let law = law.build().map_err(|e| e.to_string())?;
    let config = Config::builder().law(law).route_idle_secs(ROUTE_IDLE_SECS);
    config.route_limit(ROUTE_LIMIT).build().map_err(|e| e.to_string())
}

/// Serves until its standard input ends, that is, until the driver is gone.
///
/// # Errors
///
/// A sentence if something cannot be built.
pub(crate) async fn run(options: NodeOptions) -> Result<(), String> {
    let shared = Arc::new(build(&options)?);
    let studio = Studio::builder(&shared.atrion)
        .instance(node_name(options.index))
        .interval(Duration::from_millis(500))
        .history(true)
        .history_size(32, 120)
        .actions(true)
        .build()
        .map_err(|e| format!("Studio cannot be built: {e}"))?;
    let server = studio.serve((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    let watching = shared.atrion.observe(TickWatch(Arc::clone(&shared.fixed)));
    let _watching = watching.map_err(|e| e.to_string())?;
    let (users, orders) = (listen().await?, listen().await?);
    let port = |listener: &TcpListener| listener.local_addr().map(|a| a.port());
    let listening = Listening {
        port: port(&users).map_err(|e| e.to_string())?,
        orders: port(&orders).map_err(|e| e.to_string())?,
        studio: server.addr().port(),
    };
    println!("{}", serde_json::to_string(&listening).map_err(|e| e.to_string())?);
    tokio::spawn(look_often(Arc::clone(&shared)));
    let orders_router = Router::new().route("/order", post(obey)).with_state(Arc::clone(&shared));
    tokio::select! {
        ended = async { axum::serve(users, service(&shared)).await } => ended.map_err(|e| e.to_string()),
        ended = async { axum::serve(orders, orders_router).await } => ended.map_err(|e| e.to_string()),
        () = driver_gone() => Ok(()),
    }
}

fn build(options: &NodeOptions) -> Result<Shared, String> {
    let cluster = RedisClusterProvider::builder()
        .url(format!("redis://127.0.0.1:{}", options.redis))
        .cluster(CLUSTER)
        .node(node_name(options.index))
        .build()
        .map_err(|e| format!("the cluster cannot be built: {e}"))?;
    let memory = PostgresPersistenceAdapter::builder()
        .url(options.postgres.clone())
        .application(CLUSTER)
        .node(node_name(options.index))
        .build()
        .map_err(|e| format!("the memory cannot be built: {e}"))?;
    let (cluster, memory) = (Arc::new(cluster), Arc::new(memory));
    let atrion = Atrion::builder()
        .config(config(0)?)
        .seed(options.seed)
        .tally(true)
        .sample_decisions(50)
        .provider(Arc::clone(&cluster).remembered_by(Arc::clone(&memory)))
        .license_policy(LicensePolicy::Strict)
        .build()
        .map_err(|e| format!("Atrion cannot be built: {e}"))?;
    let fixed = FIXED.iter().map(|name| Watched::new(atrion.route(&format!("GET /{name}"))));
    Ok(Shared {
        fixed: Arc::new(fixed.collect()),
        atrion,
        cluster,
        memory,
        workers: Semaphore::new(WORKERS),
        dependency: Client::new(),
        dependency_port: options.dependency,
        ledger: Mutex::default(),
    })
}

async fn listen() -> Result<TcpListener, String> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
    listener.map_err(|e| format!("no port can be had: {e}"))
}

async fn driver_gone() {
    let mut input = tokio::io::stdin();
    let mut buffer = [0; 64];
    while let Ok(1..) = tokio::io::AsyncReadExt::read(&mut input, &mut buffer).await {}
}

/// The service: fixed routes behind the middleware, others by their own hands.
fn service(shared: &Arc<Shared>) -> Router {
    let mut fixed = Router::new();
    for (index, name) in FIXED.iter().enumerate() {
        let handler = move |Of(shared): Of<Arc<Shared>>| async move {
            if let Some(watched) = shared.fixed.get(index) {
                watched.book.begun.fetch_add(1, SeqCst);
            }
            work(&shared).await
        };
        let counted = Arc::clone(shared);
        let count = move |request: Request, next: Next| {
            let shared = Arc::clone(&counted);
            async move { counting(&shared, index, request, next).await }
        };
        let refusing = Arc::clone(shared);
        let layer =
            AtrionLayer::server(&shared.atrion).trust_headers(|_| true).answer_with(move |shed| {
                if let Some(watched) = refusing.fixed.get(index) {
                    watched.book.refused.fetch_add(1, SeqCst);
                }
                refusal(shed).map(|()| Bytes::new())
            });
        let one = Router::new().route(&format!("/{name}"), get(handler));
        fixed = fixed.merge(one.layer(layer).layer(middleware::from_fn(count)));
    }
    fixed
        .route("/item/{name}", get(item))
        .route(&format!("/{TASK}/{{name}}"), get(task))
        .with_state(Arc::clone(shared))
}

/// Counts a request in when it comes and out when it is over, however that is.
async fn counting(shared: &Arc<Shared>, index: usize, request: Request, next: Next) -> Response {
    struct Over(Arc<Shared>, usize);
    impl Drop for Over {
        fn drop(&mut self) {
            if let Some(watched) = self.0.fixed.get(self.1) {
                watched.book.over.fetch_add(1, SeqCst);
            }
        }
    }
    if let Some(watched) = shared.fixed.get(index) {
        watched.book.asked.fetch_add(1, SeqCst);
    }
    let _over = Over(Arc::clone(shared), index);
    next.run(request).await
}

fn refusal(shed: &Shed) -> http::Response<()> {
    let secs = shed.retry_after().as_secs().max(1);
    let mut response = http::Response::new(());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, secs.into());
    headers.insert(REFUSED, http::HeaderValue::from_static(shed.reason().as_str()));
    response
}

/// The work: a place among the workers, and a call of the dependency.
async fn work(shared: &Shared) -> Response {
    let call = async {
        let _place = shared.workers.acquire().await.ok()?;
        let answer = shared.dependency.get(shared.dependency_port, "price", None).await.ok()?;
        Some(answer.status.is_success())
    };
    match timeout(DEPENDENCY_DEADLINE, call).await {
        Ok(Some(true)) => "done".into_response(),
        _ => (StatusCode::BAD_GATEWAY, "the dependency failed").into_response(),
    }
}

fn tier(headers: &HeaderMap) -> Priority {
    let text = headers.get(TIER_HEADER).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A route of the request's choosing.
async fn item(
    Of(shared): Of<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let route = shared.atrion.route(&format!("item/{name}"));
    match route.admit_owned(tier(&headers)) {
        Err(shed) => refusal(&shed).map(|()| Body::empty()),
        Ok(permit) => {
            let answer = work(&shared).await;
            if answer.status().is_success() {
                permit.success();
            } else {
                permit.failure();
            }
            answer
        }
    }
}

/// A long task with a lease. One in a few forgets its heartbeats, and its lease expires.
async fn task(
    Of(shared): Of<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let route = shared.atrion.route("task");
    let lease = match route.lease(tier(&headers), Duration::from_millis(250)) {
        Ok(lease) => lease,
        Err(shed) => return refusal(&shed).map(|()| Body::empty()),
    };
    let forgetful = name.ends_with('7');
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        if !forgetful && lease.heartbeat().is_err() {
            break;
        }
    }
    lease.success();
    "done".into_response()
}

async fn look_often(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let shared = Arc::clone(&shared);
        // Explaining takes locks: not on the threads that serve.
        let looked = tokio::task::spawn_blocking(move || {
            let mut looked = Ledger::default();
            look(&shared.atrion, &shared.fixed, &mut looked);
            shared.stores(&mut looked);
            shared.book(&looked);
        });
        if looked.await.is_err() {
            return;
        }
    }
}

impl Shared {
    fn stores(&self, ledger: &mut Ledger) {
        let stats = self.cluster.stats();
        let words = || format!("{stats:?}");
        // A register for each route of each other node, and of those that died a moment ago.
        ledger.check(Invariant::Bounds, stats.registers <= 20_000, words);
        ledger.check(Invariant::Bounds, stats.pending <= 5_000, words);
        ledger.check(Invariant::Bounds, stats.own_routes <= 20_000, words);
        ledger.check(Invariant::Bounds, stats.nodes <= 32, words);
        let routes = self.memory.stats().routes;
        ledger.check(Invariant::Bounds, routes <= 20_000, || format!("{routes} remembered"));
    }

    fn state(&self) -> State {
        let mut state = State {
            ledger: std::mem::take(&mut *self.ledger()),
            healthy: self.atrion.health() == Some(Health::Healthy),
            trouble: self.atrion.trouble(),
            nodes: self.atrion.nodes().len(),
            saved: self.memory.stats().saved,
            frames_in: self.cluster.stats().frames_in,
            ..State::default()
        };
        state.refused = self.atrion.vitals().map_or(0, |vitals| vitals.refused);
        let stats = self.atrion.stats();
        (state.routes, state.evicted, state.overflowed) =
            (stats.routes, stats.evicted, stats.overflowed);
        self.atrion.visit_reports(|report| {
            state.in_flight += u64::from(report.counts.in_flight);
            state.forced += u32::from(report.forced.is_some());
            let closed_off = report.mode == atrion::BreakerMode::Open || report.held;
            state.closed_off += u32::from(closed_off);
        });
        state
    }

    fn force(&self, route: usize, open: bool, millis: u32) {
        if let Some(watched) = self.fixed.get(route) {
            let force = if open { Force::Open } else { Force::Closed };
            watched.route.force(force, Duration::from_millis(millis.into()));
        }
    }

    fn reload(&self, preset: usize, ledger: &mut Ledger) {
        let config = config(preset % PRESETS);
        ledger
            .check(Invariant::BadInput, config.is_ok(), || format!("preset {preset}: {config:?}"));
        if let Ok(config) = config {
            self.atrion.reload(config);
        }
    }

    /// Configurations as files may hold them: none of these may be taken.
    fn reload_bad(&self, ledger: &mut Ledger) {
        let before = self.atrion.config();
        for text in [
            r#"{"law": {"probe_secs": -1}}"#,
            r#"{"law": {"probe_secs": 1e999}}"#,
            r#"{"law": {"close_ohms": 200, "open_ohms": 100}}"#,
            r#"{"law": {"scar_max_ohms": null}}"#,
            r#"{"route_limit": 0}"#,
            r#"{"surprise": 1}"#,
            "{",
        ] {
            let read: Result<Config, _> = serde_json::from_str(text);
            ledger.check(Invariant::BadInput, read.is_err(), || format!("taken: {text}"));
        }
        let after = self.atrion.config();
        ledger.check(Invariant::BadInput, before == after, || "the configuration changed".into());
    }

    /// Telemetry and voltages that are none, and some telemetry that is valid.
    fn poison(&self, seed: u64, ledger: &mut Ledger) {
        let route = self.atrion.route("reported");
        let before = route.report().counts;
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
            let taken = [
                Telemetry::builder().saturation(bad).build().is_ok(),
                Telemetry::builder().latency_secs(bad).build().is_ok(),
                Telemetry::builder().error_rate(bad).build().is_ok(),
                // Any finite voltage is one, however absurd.
                bad.to_bits() != 1e300_f64.to_bits() && Volts::try_new(bad).is_ok(),
            ];
            ledger
                .check(Invariant::BadInput, taken == [false; 4], || format!("{bad:e}: {taken:?}"));
        }
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..20 {
            let sample = Telemetry::builder()
                .saturation(rng.random_range(0.0..3.0))
                .latency_secs(rng.random_range(0.0..10.0))
                .outcomes(rng.random_range(0..1000), rng.random_range(0..1000))
                .build();
            let Ok(sample) = sample else { continue };
            let ohms = route.update_physics(&sample).resistance().get();
            ledger.check(Invariant::Numbers, ohms.is_finite(), || format!("{sample:?}: {ohms}"));
        }
        let after = route.report().counts;
        ledger.check(Invariant::BadInput, before == after, || "telemetry was counted".into());
    }

    async fn witness(&self, name: &str) -> Witness {
        let well = || self.atrion.health() == Some(Health::Healthy);
        let was_well = well();
        let route = self.atrion.route(name);
        let start = Instant::now();
        while !route.is_open() && start.elapsed() < Duration::from_millis(2_500) {
            for _ in 0..FAILURES {
                let Ok(permit) = route.admit(Volts::MAX) else { break };
                permit.failure();
            }
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        let flushed = timeout(Duration::from_secs(2), self.atrion.flush()).await;
        let acknowledged =
            was_well && well() && matches!(flushed, Ok(Ok(report)) if report.undelivered == 0);
        Witness { acknowledged, scar_ohms: route.vector().scar_tissue.get() }
    }

    fn hear(&self, names: &[String]) -> BTreeMap<String, Heard> {
        let nodes = self.atrion.nodes();
        let healing = self.atrion.config().law().healing_per_sec();
        let mut heard = BTreeMap::new();
        for name in names {
            // Who has no such route hears nothing about it.
            let route = self.atrion.route(name);
            let mut said =
                Heard { own_scar_ohms: route.vector().scar_tissue.get(), others: BTreeMap::new() };
            let mut voices = self.atrion.hearing(name).map(|h| h.voices).unwrap_or_default();
            // A node that was started again may be heard twice for a while: its last word counts.
            voices.sort_by(|a, b| b.report.age_secs.total_cmp(&a.report.age_secs));
            for voice in voices {
                let Some(node) = nodes.iter().find(|node| node.id == voice.node) else { continue };
                let left = atrion::core::math::decay(healing, voice.report.age_secs);
                said.others.insert(node.name.to_string(), voice.report.scar.get() * left);
            }
            heard.insert(name.clone(), said);
        }
        heard
    }
}

async fn obey(Of(shared): Of<Arc<Shared>>, Json(order): Json<Order>) -> Json<Done> {
    let mut ledger = Ledger::default();
    let mut done = Done::default();
    match order {
        Order::Look => done.state = Some(shared.state()),
        Order::Force { route, open, millis } => shared.force(route, open, millis),
        Order::Reset { route } => {
            if let Some(watched) = shared.fixed.get(route) {
                watched.route.reset();
            }
        }
        Order::Reload { preset } => shared.reload(preset, &mut ledger),
        Order::ReloadBad => shared.reload_bad(&mut ledger),
        Order::Poison { seed } => shared.poison(seed, &mut ledger),
        Order::Witness { route } => done.witness = Some(shared.witness(&route).await),
        Order::Hear { routes } => done.heard = shared.hear(&routes),
    }
    shared.book(&ledger);
    Json(done)
}
