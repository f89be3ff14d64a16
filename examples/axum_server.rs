//! An axum server under more load than it can bear.
//!
//! ```sh
//! cargo run -p atrion-examples --features axum_server --bin axum_server
//! cargo run -p atrion-examples --features axum_server --bin axum_server -- --serve   # to use curl on
//! ```
//!
//! It can do 200 requests a second. Callers want several times that: who pays gets most of
//! it, who can wait gets least. With `--serve` it stays at http://127.0.0.1:3000 until Ctrl-C.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atrion::tower::AtrionLayer;
use atrion::{Atrion, Priority};
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// The server. The layer comes last, so that it is outermost: nothing waits outside of it.
fn app(atrion: &Atrion) -> Router {
    let protection = AtrionLayer::server(atrion).priority_with(|head| match head.uri.path() {
        "/checkout" => Priority::High,
        "/export" => Priority::Bulk,
        _ => Priority::Normal,
    });
    Router::new()
        .route("/checkout", post(work))
        .route("/search", get(work))
        .route("/export", get(work))
        .route("/healthz", get(async || "well\n")) // never refused; so are /metrics and their like
        .with_state(Arc::new(Semaphore::new(4)))
        .layer(protection)
}

/// Four at a time, 20 ms each: a pool of connections, say.
async fn work(State(pool): State<Arc<Semaphore>>) -> &'static str {
    let place = pool.acquire().await;
    sleep(Duration::from_millis(20)).await;
    drop(place);
    "done\n"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The routes share one bottleneck, so one element of the whole process stands behind them.
    let atrion = Atrion::builder().process_circuit(true).build()?;
    let stays = std::env::args().any(|arg| arg == "--serve");
    let listener = TcpListener::bind(if stays { "127.0.0.1:3000" } else { "127.0.0.1:0" }).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("serving at {url}");
    let server = axum::serve(listener, app(&atrion)).with_graceful_shutdown(async {
        // If the signal cannot be listened for, the process ends without a farewell.
        let _ = tokio::signal::ctrl_c().await;
    });
    if stays {
        println!("try: curl -i {url}/search");
        return Ok(server.await?);
    }
    tokio::spawn(server.into_future());
    rush(&url).await?;
    Ok(())
}

/// What callers of one kind see.
#[derive(Default)]
struct Seen {
    served: u32,
    refused: u32,
    waited: Duration,
}

/// A quiet second, then three with forty callers.
async fn rush(url: &str) -> Result<(), Box<dyn Error>> {
    for (what, callers, seconds) in [("quiet", 1, 1), ("rush", 14, 3)] {
        println!("{what}:");
        let until = Instant::now() + Duration::from_secs(seconds);
        let kinds = ["/checkout", "/search", "/export"].map(|path| {
            let url = format!("{url}{path}");
            (path, (0..callers).map(|_| tokio::spawn(call(url.clone(), until))).collect::<Vec<_>>())
        });
        for (path, callers) in kinds {
            let mut all = Seen::default();
            for caller in callers {
                let seen = caller.await??;
                all.served += seen.served;
                all.refused += seen.refused;
                all.waited += seen.waited;
            }
            let Seen { served, refused, waited } = all;
            let mean = waited / served.max(1);
            println!(
                "  {path}: {served} served in {} ms on average, {refused} refused",
                mean.as_millis()
            );
        }
    }
    Ok(())
}

/// A caller who comes back when it was served, or when it was told to.
async fn call(url: String, until: Instant) -> Result<Seen, reqwest::Error> {
    let client = reqwest::Client::new();
    let mut seen = Seen::default();
    while Instant::now() < until {
        let asked = Instant::now();
        let is_post = url.ends_with("/checkout");
        let request = if is_post { client.post(&url) } else { client.get(&url) };
        let answer = request.send().await?;
        let wait = answer.headers().get(atrion::tower::RETRY_AFTER_MS).cloned();
        answer.bytes().await?;
        if let Some(wait) = wait {
            seen.refused += 1;
            let millis = wait.to_str().ok().and_then(|ms| ms.parse().ok()).unwrap_or(1000);
            sleep(Duration::from_millis(millis)).await;
        } else {
            seen.served += 1;
            seen.waited += asked.elapsed();
        }
    }
    Ok(seen)
}
