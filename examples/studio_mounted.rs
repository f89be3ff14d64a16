//! Studio mounted into an application of yours, under `/studio`.
//!
//! ```sh
//! cargo xtask example studio_mounted -- --serve     # makes a development key
//! ```
//!
//! Then open http://127.0.0.1:3000/studio/. Three routes: one calm, one crowded, one whose dependency
//! fails for ten seconds out of thirty. Force one open from the page, and see it end. Without
//! `--serve` the program looks at its own page, and ends.

use std::error::Error;
use std::time::{Duration, Instant};

use atrion::studio::{AuditEntry, Studio};
use atrion::tower::AtrionLayer;
use atrion::{Atrion, Overloaded, Priority};
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;

fn app(atrion: &Atrion) -> Result<Router, Box<dyn Error>> {
    let studio = Studio::builder(atrion)
        .instance("example") // what the page calls this process
        .actions(true) // off by default, as is the next
        .preview(true)
        .audit(|entry: &AuditEntry| println!("{}: {}", entry.action, entry.summary))
        // .token(...) and .allow_host(...) if it can be reached from other machines
        .build()?;
    Ok(Router::new()
        .route("/hello", get(async || "hello\n"))
        // Whoever looks at an overload is not part of it: outside of the layer.
        .layer(AtrionLayer::server(atrion))
        .nest_service("/studio", studio.router()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let atrion = Atrion::builder().tally(true).build()?; // counts by priority are for the page
    let app = app(&atrion)?;
    traffic(&atrion);

    let stays = std::env::args().any(|arg| arg == "--serve");
    let listener = TcpListener::bind(if stays { "127.0.0.1:3000" } else { "127.0.0.1:0" }).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("the application is at {url}/hello, Studio at {url}/studio/");
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        // If the signal cannot be listened for, the process ends without a farewell.
        let _ = tokio::signal::ctrl_c().await;
    });
    if stays {
        return Ok(server.await?);
    }
    tokio::spawn(server.into_future());
    sleep(Duration::from_secs(1)).await;
    look(&url).await
}

/// What a browser would see.
async fn look(url: &str) -> Result<(), Box<dyn Error>> {
    println!("hello: {}", reqwest::get(format!("{url}/hello")).await?.status());
    let page = reqwest::get(format!("{url}/studio/")).await?;
    println!("page: {}, protected by: {:?}", page.status(), page.headers().get("x-frame-options"));
    let overview = reqwest::get(format!("{url}/studio/api/v1/overview")).await?;
    println!("overview: {}, {}", overview.status(), overview.text().await?);
    Ok(())
}

/// Something to look at.
fn traffic(atrion: &Atrion) {
    let begun = Instant::now();
    let calm = atrion.route("api/search");
    tokio::spawn(async move {
        loop {
            let _ = calm.call(Priority::Normal, || work(true)).await;
        }
    });
    let places: &Semaphore = Box::leak(Box::new(Semaphore::new(1)));
    for (_, priority) in (0..16).zip(Priority::ALL.into_iter().cycle()) {
        let crowded = atrion.route("api/checkout");
        tokio::spawn(async move {
            loop {
                let turn = async || {
                    let _place = places.acquire().await;
                    work(true).await
                };
                if let Err(refused) = crowded.call(priority, turn).await {
                    sleep(refused.overloaded().map_or(Duration::ZERO, Overloaded::retry_after))
                        .await;
                }
            }
        });
    }
    let broken = atrion.route("api/payments");
    tokio::spawn(async move {
        loop {
            let works = begun.elapsed().as_secs() % 30 >= 10;
            let _ = broken.call(Priority::High, || work(works)).await;
            sleep(Duration::from_millis(5)).await;
        }
    });
}

async fn work(well: bool) -> Result<(), std::io::Error> {
    sleep(Duration::from_millis(3)).await;
    if well { Ok(()) } else { Err(std::io::Error::other("no answer")) }
}
