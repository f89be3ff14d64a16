//! A service with metrics for Prometheus, readiness for Kubernetes, and a log of what happens.
//!
//! ```sh
//! cargo run -p atrion-examples --features metrics --bin metrics
//! cargo run -p atrion-examples --features metrics --bin metrics -- --serve     # stays, for curl:
//! curl -i http://127.0.0.1:3000/hello/world
//! curl http://127.0.0.1:3000/metrics            # for Prometheus
//! curl http://127.0.0.1:3000/readyz             # 200 or 503, with details
//! curl -X POST http://127.0.0.1:3000/close      # refuse everything for ten seconds, and look again
//! ```
//!
//! Without `--serve` it does the same itself, and ends. `docs/observability.md` has the names of the
//! metrics, a dashboard and alerts.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use atrion::observe::{MetricsExporter, Probe, Readiness, TracingObserver};
use atrion::tower::AtrionLayer;
use atrion::{Atrion, Force};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

#[derive(Clone)]
struct App {
    atrion: Atrion,
    probe: Arc<Probe>,
    exporter: MetricsExporter,
    prometheus: PrometheusHandle,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let prometheus = PrometheusBuilder::new().install_recorder()?;
    // With a subscriber of your own, such as tracing-subscriber's, this is what it is told.
    let atrion = Atrion::builder().tally(true).observer(TracingObserver::new()).build()?;
    let app = App {
        probe: Arc::new(Probe::new(&atrion).wait_for_provider(Duration::from_secs(5))),
        exporter: MetricsExporter::new(&atrion),
        prometheus,
        atrion: atrion.clone(),
    };
    let probe = Arc::clone(&app.probe);
    // Probes and scrapes pass whatever the load; `AtrionLayer` exempts the usual paths by itself.
    let protection = AtrionLayer::server(&atrion).exempt("/close");
    let router = Router::new()
        .route("/hello/{name}", get(hello))
        .route("/metrics", get(metrics))
        .route("/livez", get(|State(app): State<App>| async move { Json(app.probe.liveness()) }))
        .route("/readyz", get(ready))
        .route("/close", post(close))
        .with_state(app)
        .layer(protection);
    let stays = std::env::args().any(|arg| arg == "--serve");
    let listener = TcpListener::bind(if stays { "127.0.0.1:3000" } else { "127.0.0.1:0" }).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("listening on {url}");
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        // If the signal cannot be listened for, the process ends without a farewell.
        let _ = tokio::signal::ctrl_c().await;
        probe.drain(); // from here on `/readyz` says no
    });
    if stays {
        return Ok(server.await?);
    }
    tokio::spawn(server.into_future());
    look(&url).await
}

/// What curl and Prometheus would see.
async fn look(url: &str) -> Result<(), Box<dyn Error>> {
    let get = |path: &str| reqwest::get(format!("{url}{path}"));
    println!("hello: {}", get("/hello/world").await?.status());
    println!("ready: {}", get("/readyz").await?.text().await?);
    reqwest::Client::new().post(format!("{url}/close")).send().await?;
    println!("hello, when closed: {}", get("/hello/world").await?.status());
    println!("metrics:");
    let metrics = get("/metrics").await?.text().await?;
    let greetings = |line: &&str| line.contains("/hello") && !line.ends_with(" 0");
    metrics.lines().filter(greetings).for_each(|line| println!("  {line}"));
    Ok(())
}

async fn hello(Path(name): Path<String>) -> String {
    format!("hello, {name}\n")
}

/// Refreshed for each scrape: nothing runs between two of them.
async fn metrics(State(app): State<App>) -> String {
    app.exporter.refresh();
    app.prometheus.render()
}

async fn ready(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let told = app.probe.readiness();
    let status = if told.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(told))
}

async fn close(State(app): State<App>) -> &'static str {
    app.atrion.route("GET /hello/{name}").force(Force::Open, Duration::from_secs(10));
    "closed to greetings for ten seconds\n"
}
