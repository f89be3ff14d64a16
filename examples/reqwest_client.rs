//! A client of an HTTP service that is not always well, with reqwest.
//!
//! ```sh
//! cargo run -p atrion-examples --features reqwest_client --bin reqwest_client
//! ```
//!
//! The service answers, then fails for a while, then answers again. While it fails it gets a few
//! probes a second instead of everything.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use atrion::{AsOutcome, Atrion, CallError, Outcome, Priority, Route};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use reqwest::Client;
use tokio::time::sleep;

/// What is protected: to the end of the answer, with everything that can go wrong on the way.
async fn rate(client: &Client, url: &str) -> Result<String, reqwest::Error> {
    client.get(url).send().await?.error_for_status()?.text().await
}

/// A 4xx is our own mistake, and was answered in time. Everything else that is an error speaks
/// against the service: 5xx, no connection, no answer within the client's time limit.
fn judge(result: &Result<String, reqwest::Error>) -> Outcome {
    match result {
        Err(error) if error.status().is_some_and(|s| s.is_client_error()) => Outcome::Success,
        result => result.as_outcome(),
    }
}

/// Counts how calls end.
#[derive(Default)]
struct Tally {
    answered: u32,
    failed: u32,
    not_sent: u32,
}

/// One call, as a handler of yours would make it.
async fn once(route: &Route, client: &Client, url: &str, tally: &mut Tally) {
    match route.call_with(Priority::Normal, || rate(client, url), judge).await {
        Ok(_rate) => tally.answered += 1,
        Err(CallError::Inner(_why)) => tally.failed += 1,
        Err(CallError::Overloaded(refusal)) => {
            if tally.not_sent == 0 {
                println!("  not sent: {}", refusal.shed().explain());
            }
            tally.not_sent += 1;
        }
    }
    sleep(Duration::from_millis(5)).await;
}

fn show(what: &str, Tally { answered, failed, not_sent }: &Tally, service: &Service) {
    let received = service.received.swap(0, Relaxed);
    println!(
        "{what}: {answered} answered, {failed} failed, {not_sent} not sent; it received {received}"
    );
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Arc::new(Service { works: true.into(), received: 0.into() });
    let url = serve(Arc::clone(&service)).await?;

    let atrion = Atrion::builder().build()?;
    let route = atrion.route("rates");
    // The limit is inside the call, so that running into it counts as a failure.
    let client = Client::builder().timeout(Duration::from_secs(5)).build()?;

    let mut tally = Tally::default();
    for _ in 0..100 {
        once(&route, &client, &url, &mut tally).await;
    }
    show("well", &tally, &service);

    service.works.store(false, Relaxed);
    let mut tally = Tally::default();
    while !route.is_open() {
        once(&route, &client, &url, &mut tally).await;
    }
    show("failing, until the breaker opened", &tally, &service);
    let mut tally = Tally::default();
    for _ in 0..200 {
        once(&route, &client, &url, &mut tally).await;
    }
    show("failing, afterwards", &tally, &service);

    service.works.store(true, Relaxed);
    let mut tally = Tally::default();
    while route.is_open() {
        once(&route, &client, &url, &mut tally).await;
    }
    for _ in 0..100 {
        once(&route, &client, &url, &mut tally).await;
    }
    show("well again", &tally, &service);
    Ok(())
}

/// The service, which would be somebody else's.
struct Service {
    works: AtomicBool,
    received: AtomicU32,
}

async fn serve(service: Arc<Service>) -> Result<String, std::io::Error> {
    let answer = async |State(service): State<Arc<Service>>| {
        service.received.fetch_add(1, Relaxed);
        if service.works.load(Relaxed) { Ok("1.09") } else { Err(StatusCode::BAD_GATEWAY) }
    };
    let app = axum::Router::new().route("/rate", get(answer)).with_state(service);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/rate", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(url)
}
