//! An axum server behind Atrion.
//!
//! ```text
//! cargo run -p atrion-tower --features axum --example axum_server
//! curl -i http://127.0.0.1:3000/hello/world      # 200
//! curl -i -X POST http://127.0.0.1:3000/close    # refuse everything for ten seconds ...
//! curl -i http://127.0.0.1:3000/hello/world      # ... 503 with Retry-After
//! curl -i http://127.0.0.1:3000/healthz          # exempt: 200
//! curl http://127.0.0.1:3000/metrics             # what the routes have counted
//! ```

use std::fmt::Write;
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Force};
use atrion_tower::AtrionLayer;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let atrion = Atrion::builder().build()?;
    let protection = AtrionLayer::server(&atrion)
        .exempt("/close")
        .decision_header(true)
        .priority_with(|head| match head.uri.path() {
            path if path.ends_with("/boss") => Priority::Critical,
            _ => Priority::Normal,
        });
    let app = Router::new()
        .route("/hello/{name}", get(hello))
        .route("/healthz", get(|| async { "well" }))
        .route("/metrics", get(metrics))
        .route("/close", post(close))
        .with_state(atrion)
        .layer(protection);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn hello(Path(name): Path<String>) -> String {
    format!("hello, {name}\n")
}

async fn close(State(atrion): State<Atrion>) -> &'static str {
    atrion.route("GET /hello/{name}").force(Force::Open, Duration::from_secs(10));
    "closed to greetings for ten seconds\n"
}

async fn metrics(State(atrion): State<Atrion>) -> String {
    let mut text = String::new();
    for route in atrion.routes() {
        let counts = route.counts();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}: {} done, {} shed, {} in flight",
            route.name(),
            counts.completed,
            counts.shed,
            counts.in_flight
        );
    }
    text
}
