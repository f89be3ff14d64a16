//! A proxy that sends each request to one of several servers, chosen by their resistance.
//!
//! ```sh
//! cargo run -p atrion-examples --features hyper_proxy --bin hyper_proxy
//! ```
//!
//! Three servers: one of them becomes slow, then another one dies, then both recover. The shares follow by themselves;
//! no health check is made, no weight is set.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use atrion::{AsOutcome, Atrion, Outcome, Priority, Route};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How sharply to prefer: a server with 1/0.3 ohms more gets e times less.
const PER_OHM: f64 = 0.3;

struct Proxy {
    atrion: Atrion,
    client: Client,
    /// One route for each server, named by its address.
    routes: Vec<Route>,
}

impl Proxy {
    async fn pass_on(self: Arc<Self>, path: String) -> Response<Full<Bytes>> {
        let chosen = self.atrion.select_route(&self.routes, Priority::Normal, PER_OHM);
        let Ok(Some(route)) = chosen else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "no server can take this now");
        };
        match route.call_with(Priority::Normal, || self.ask(route.name(), &path), judge).await {
            Ok(answer) => answer,
            Err(why) => plain(StatusCode::BAD_GATEWAY, why.to_string()),
        }
    }

    async fn ask(&self, server: &str, path: &str) -> Result<Response<Full<Bytes>>, reqwest::Error> {
        let answer = self.client.get(format!("http://{server}{path}")).send().await?;
        let status = answer.status();
        // The whole of it: the server works on it until then.
        Ok(plain(status, answer.bytes().await?))
    }
}

/// A 5xx is an answer to the caller, and a failure of the server.
fn judge(result: &Result<Response<Full<Bytes>>, reqwest::Error>) -> Outcome {
    match result {
        Ok(answer) if answer.status().is_server_error() => Outcome::Failure,
        result => result.as_outcome(),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}

/// Answers every request at a free port with what `answer` makes of its path.
async fn serve<A, F>(answer: A) -> Result<String, std::io::Error>
where
    A: Fn(String) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(request.uri().path().to_owned());
                async move { Ok::<_, Infallible>(answer.await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(addr)
}

/// How many of its eight places a request takes: all of them if a server is slow.
const WELL: u32 = 1;
const SLOW: u32 = 8;
const DEAD: u32 = 0;

/// One of the servers.
struct Server {
    needs: AtomicU32,
    places: Semaphore,
    answered: AtomicU32,
}

async fn work(server: Arc<Server>) -> Response<Full<Bytes>> {
    server.answered.fetch_add(1, Relaxed);
    let needs = server.needs.load(Relaxed);
    if needs == DEAD {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "out of order");
    }
    let place = server.places.acquire_many(needs).await;
    sleep(Duration::from_millis(5)).await;
    drop(place);
    plain(StatusCode::OK, "hello")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let atrion = Atrion::builder().build()?;
    let (mut servers, mut routes) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (needs, places) = (WELL.into(), Semaphore::new(8));
        let server = Arc::new(Server { needs, places, answered: 0.into() });
        servers.push(Arc::clone(&server));
        routes.push(atrion.route(&serve(move |_path| work(Arc::clone(&server))).await?));
    }
    let proxy = Arc::new(Proxy { atrion, client: Client::new(), routes });
    let address = serve(move |path| Arc::clone(&proxy).pass_on(path)).await?;
    let url = format!("http://{address}/greeting");

    for (what, second, third) in [
        ("all are well", WELL, WELL),
        ("the second is slow", SLOW, WELL),
        ("and the third is dead", SLOW, DEAD),
        ("both are well again", WELL, WELL),
    ] {
        for (server, needs) in servers.iter().zip([WELL, second, third]) {
            server.needs.store(needs, Relaxed);
        }
        callers(what, &url, &servers).await?;
    }
    Ok(())
}

/// Twelve callers for a second and a half, and which server had how much of it.
async fn callers(what: &str, url: &str, servers: &[Arc<Server>]) -> Result<(), Box<dyn Error>> {
    let until = Instant::now() + Duration::from_millis(1500);
    let client = Client::new();
    let mut callers = JoinSet::new();
    for _ in 0..12 {
        let (url, client) = (url.to_owned(), client.clone());
        callers.spawn(async move {
            let mut failed = 0;
            while Instant::now() < until {
                let answer = client.get(&url).send().await;
                failed += u32::from(!answer.is_ok_and(|answer| answer.status().is_success()));
                sleep(Duration::from_millis(2)).await;
            }
            failed
        });
    }
    let failed: u32 = callers.join_all().await.iter().sum();
    let counts: Vec<u32> = servers.iter().map(|s| s.answered.swap(0, Relaxed)).collect();
    let total = counts.iter().sum::<u32>().max(1);
    let shares: Vec<String> = counts.iter().map(|n| format!("{} %", 100 * n / total)).collect();
    println!("{what}: {}; {total} requests, {failed} failed", shares.join(", "));
    Ok(())
}
