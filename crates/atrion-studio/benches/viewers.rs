//! What Studio costs: bytes of its lines, and processor time of its threads, by how many look.
//!
//! `cargo bench -p atrion-studio --bench viewers -- [SECS] [--json FILE]`. Linux only: processor time is
//! read from `/proc`. Viewers are real connections; their own time is not counted. With `--json` only
//! the larger crowds are measured, and their figures written to the file.

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use atrion_commercial::test_util::development_key;
use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Config, Route};
use atrion_state::clock::{Clock as _, MonotonicClock};
use atrion_studio::Studio;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const ROUTES: usize = 10_000;
/// How this ends where it cannot measure, for who runs it among others.
const NOT_HERE: i32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().position(|arg| arg == "--json");
    let json = json.map(|at| arguments.get(at + 1).ok_or("--json needs a file")).transpose()?;
    let given = arguments.iter().find_map(|arg| arg.parse().ok());
    // Built by the tests, it only shows that it runs.
    let is_bench = arguments.iter().any(|arg| arg == "--bench");
    let secs: u64 = given.unwrap_or(if is_bench { 10 } else { 1 });
    if fs::metadata("/proc/self/task").is_err() {
        eprintln!("processor time of threads is read from /proc, which is not here");
        std::process::exit(NOT_HERE);
    }
    if secs == 0 {
        return Err("SECS is 0, at least 1 is needed".into());
    }
    let atrion = Atrion::builder()
        .config(Config::builder().route_limit(2 * ROUTES).build()?)
        .tally(true)
        .build()?;
    let routes: Vec<Route> = (0..ROUTES)
        .map(|n| atrion.route(&format!("api/service-{}/endpoint-{n}", n % 40)))
        .collect();
    let studio = Studio::builder(&atrion).license(development_key()).build()?;
    let server = studio.serve(([127, 0, 0, 1], 0))?;

    whole(server.addr())?;
    println!("{ROUTES} routes, one line a second, {secs} s each");
    println!(
        "{:>8} {:>14} {:>12} {:>12} {:>12}",
        "viewers", "routes busy", "kB/s/viewer", "desk %", "http %"
    );
    let all = [(0, 10), (1, 0), (1, 10), (1, 100), (100, 0), (100, 10), (100, 100)];
    let large = [(1, 100), (100, 10), (100, 100)];
    let mut figures = serde_json::Map::new();
    for (viewers, share) in if json.is_some() { &large[..] } else { &all[..] } {
        let costs = stage(server.addr(), &routes, *viewers, *share, secs);
        figures.insert(
            format!("{viewers}_viewers_{share}_percent_busy"),
            serde_json::json!({"kb_per_s_each": costs.kb_per_s, "percent_of_a_core": costs.percent}),
        );
    }
    server.shutdown();
    if let Some(file) = json {
        fs::write(file, serde_json::to_vec_pretty(&figures)?)
            .map_err(|e| format!("--json `{file}` cannot be written: {e}"))?;
    }
    Ok(())
}

/// What a crowd costs.
struct Costs {
    kb_per_s: f64,
    percent: f64,
}

/// The whole state in one line: how large, and how long from asking to the last byte.
fn whole(addr: SocketAddr) -> Result<(), Box<dyn Error>> {
    for what in ["with a visit of all routes", "and again, from what was written"] {
        let clock = MonotonicClock::new();
        let (start, before) = (clock.now(), cpu());
        let mut stream = TcpStream::connect(addr)?;
        write!(
            stream,
            "GET /api/v1/overview HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let took = 1e3 * clock.now().secs_since(start);
        let desk = 1e3 * (cpu().0 - before.0);
        let size = answer.len() / 1000;
        println!("whole state: {size} kB in {took:.1} ms, desk {desk:.1} ms, {what}");
    }
    Ok(())
}

fn stage(addr: SocketAddr, routes: &[Route], viewers: u64, share: usize, secs: u64) -> Costs {
    let (over, bytes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let crowd = {
        let (over, bytes) = (Arc::clone(&over), Arc::clone(&bytes));
        thread::Builder::new()
            .name("viewers".into())
            .spawn(move || watch(addr, viewers, &over, &bytes))
    };
    let costs = thread::scope(|scope| {
        let (over, busy) = (&over, ROUTES * share / 100);
        scope.spawn(move || {
            while !over.load(Relaxed) {
                for route in routes.iter().take(busy) {
                    if let Ok(permit) = route.admit(Priority::Normal) {
                        permit.success();
                    }
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        // The first line of each is the whole state; what is measured is what follows.
        thread::sleep(Duration::from_secs(3));
        let (clock, sent, before) = (MonotonicClock::new(), bytes.load(Relaxed), cpu());
        let start = clock.now();
        thread::sleep(Duration::from_secs(secs));
        let (after, took) = (cpu(), clock.now().secs_since(start));
        let rate = (bytes.load(Relaxed) - sent) as f64 / took / 1e3 / viewers.max(1) as f64;
        let desk = 100.0 * (after.0 - before.0) / took;
        let http = 100.0 * (after.1 - before.1) / took;
        println!("{viewers:>8} {share:>12} % {rate:>12.1} {desk:>12.2} {http:>12.2}");
        over.store(true, Relaxed);
        Costs { kb_per_s: rate, percent: desk + http }
    });
    if let Ok(crowd) = crowd {
        let _ = crowd.join();
    }
    costs
}

/// Reads streams and throws away what comes.
fn watch(addr: SocketAddr, viewers: u64, over: &AtomicBool, bytes: &Arc<AtomicU64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        for _ in 0..viewers {
            let bytes = Arc::clone(bytes);
            tokio::spawn(async move {
                let mut stream = tokio::net::TcpStream::connect(addr).await?;
                let request = format!("GET /api/v1/stream HTTP/1.1\r\nhost: {addr}\r\n\r\n");
                stream.write_all(request.as_bytes()).await?;
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    let read = stream.read(&mut buffer).await?;
                    if read == 0 {
                        return Ok::<(), std::io::Error>(());
                    }
                    bytes.fetch_add(read as u64, Relaxed);
                }
            });
        }
        while !over.load(Relaxed) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

/// Seconds of processor time of the desk's thread and of the server's.
fn cpu() -> (f64, f64) {
    let mut spent = (0.0, 0.0);
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let Ok(stat) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let nanos: f64 = stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default();
        match name.trim() {
            "atrion-studio" => spent.0 += nanos / 1e9,
            // Names are cut off after fifteen characters.
            "atrion-studio-h" => spent.1 += nanos / 1e9,
            _ => {}
        }
    }
    spent
}
