//! What the request path pays for the cluster: nothing, whatever Redis does.
//!
//! - Allocations are counted on the requesting thread alone, so that the link's own do not disturb.
//! - System calls are those that the kernel saw: a copy of this program runs under `strace`, and
//!   between two marks the requesting thread must make none at all.
//! - How long `admit` takes is measured and printed for every state of Redis. Only a bound far above
//!   all of them is asserted, because a test's machine is busy.

#![cfg(all(target_os = "linux", any(feature = "redis", feature = "fred")))]
#![expect(clippy::indexing_slicing, reason = "helpers of tests may fail")]

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, thread};

use atrion_cluster::{Client, RedisClusterProvider};
use atrion_commercial::test_util::development_key;
use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Route};
use atrion_state::blocking::block_on;
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::in_memory::InMemoryProvider;
use atrion_state::provider::{Health, StateProvider};
use atrion_testkit::wait::until_some_blocking;
use atrion_testkit::{Fault, FaultProxy, RedisServer};
use tokio::runtime::Runtime;

fn allocations(f: impl FnOnce()) -> u64 {
    allocation_counter::measure(f).count_total
}

fn clients() -> Vec<Client> {
    let all = [(Client::Redis, cfg!(feature = "redis")), (Client::Fred, cfg!(feature = "fred"))];
    all.into_iter().filter(|(_, there)| *there).map(|(client, _)| client).collect()
}

/// An instance with a provider on that Redis, driven by `runtime`.
fn sharing(runtime: &Runtime, client: Client, port: u16) -> (Atrion, Arc<RedisClusterProvider>) {
    let _inside = runtime.enter();
    let provider = RedisClusterProvider::builder()
        .client(client)
        .url(format!("redis://127.0.0.1:{port}"))
        .sync_interval(Duration::from_millis(5))
        .operation_timeout(Duration::from_millis(200))
        .build()
        .expect("valid");
    let provider = Arc::new(provider);
    let builder = Atrion::builder().provider(Arc::clone(&provider)).license(development_key());
    (builder.build().expect("valid"), provider)
}

fn wait_for(provider: &RedisClusterProvider, health: Health) {
    let what = format!("the link is {health:?}");
    until_some_blocking(&what, || (provider.health() == health).then_some(()));
}

/// Requests of every kind: served ones, failing ones until the breaker opens, refused ones and
/// probes.
fn requests(steady: &Route, failing: &Route, count: u32) -> (u32, u32) {
    let (mut served, mut refused) = (0, 0);
    for _ in 0..count {
        if let Ok(permit) = steady.admit(Priority::Normal) {
            permit.success();
            served += 1;
        }
        match failing.admit(Priority::Normal) {
            Ok(permit) => permit.failure(),
            Err(_) => refused += 1,
        }
    }
    (served, refused)
}

fn assert_no_allocations(what: &str, atrion: &Atrion) {
    let (steady, failing) = (atrion.route("steady"), atrion.route("failing"));
    // The first use of the clock, thread-locals and configuration guard may set themselves up.
    requests(&steady, &failing, 1);
    // Long enough for many pulses, frames and reconnections to happen meanwhile.
    let mut done = (0, 0);
    let clock = MonotonicClock::new();
    let start = clock.now();
    let count = allocations(|| {
        while clock.now().since(start) < Duration::from_millis(400) {
            let (served, refused) = requests(&steady, &failing, 1_000);
            done = (done.0 + served, done.1 + refused);
        }
    });
    assert_eq!(count, 0, "allocations on the request path: {what}");
    assert!(done.0 > 10_000 && done.1 > 10_000, "{what}: {done:?}");
}

#[test]
fn requests_allocate_nothing_whatever_redis_does() {
    assert!(allocations(|| drop(std::hint::black_box(Box::new([0u8; 64])))) > 0);
    let runtime = Runtime::new().expect("a runtime");
    assert_no_allocations("without a provider", &Atrion::builder().build().expect("valid"));
    for client in clients() {
        let mut server = RedisServer::start().expect("a server");
        let (atrion, provider) = sharing(&runtime, client, server.port());
        // Another node, so that there is something to hear.
        let (peer, _) = sharing(&runtime, client, server.port());
        requests(&peer.route("steady"), &peer.route("failing"), 1_000);
        wait_for(&provider, Health::Healthy);
        assert_no_allocations("while the link is up", &atrion);
        server.stop().expect("stops");
        assert_no_allocations("while Redis hangs", &atrion);
        wait_for(&provider, Health::Degraded);
        server.kill();
        assert_no_allocations("while Redis is dead", &atrion);
        server.restart_empty().expect("restarts");
        assert_no_allocations("while the link comes back", &atrion);
        wait_for(&provider, Health::Healthy);
        let frames = provider.stats().frames_out;
        assert!(frames > 10, "the link was at work: {frames}");
    }
}

/// Where the copy of this program looks for what it is to do.
const SCENE: &str = "ATRION_TEST_SCENE";
const BEGIN: &str = "/atrion-test-begins";
const END: &str = "/atrion-test-ends";

/// Not a test of its own: what runs under `strace`, see below.
#[test]
#[ignore = "runs under strace, started by another test"]
fn the_traced_program() {
    let Ok(scene) = env::var(SCENE) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let mut words = scene.split(' ');
    let (client, health) = match words.next() {
        Some("redis") => (Some(Client::Redis), words.next()),
        Some("fred") => (Some(Client::Fred), words.next()),
        _ => (None, None),
    };
    let (atrion, _provider) = match client {
        None => (Atrion::builder().build().expect("valid"), None),
        Some(client) => {
            let port = words.next().and_then(|port| port.parse().ok()).expect("a port");
            let (atrion, provider) = sharing(&runtime, client, port);
            let wanted = if health == Some("up") { Health::Healthy } else { Health::Degraded };
            wait_for(&provider, wanted);
            (atrion, Some(provider))
        }
    };
    let (steady, failing) = (atrion.route("steady"), atrion.route("failing"));
    requests(&steady, &failing, 100);
    // Asking for a file that is not there is the mark in the trace.
    assert!(fs::metadata(BEGIN).is_err());
    let done = requests(&steady, &failing, 300_000);
    assert!(fs::metadata(END).is_err());
    assert!(done.0 > 0 && done.1 > 0, "{done:?}");
}

/// The system calls that the requesting thread made in that scene.
fn system_calls(scene: &str) -> Vec<String> {
    let trace = env::temp_dir().join(format!("atrion-trace-{}", std::process::id()));
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .arg(env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "the_traced_program", "--test-threads", "1"])
        .env(SCENE, scene)
        .output();
    let output = match status {
        Ok(output) => output,
        Err(e) => panic!("`strace` cannot be started ({e}): run `cargo xtask setup`"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{scene}: {said}");
    let calls = between_marks(&trace);
    let _ = fs::remove_file(&trace);
    calls
}

fn between_marks(trace: &Path) -> Vec<String> {
    let trace = fs::read_to_string(trace).expect("a trace");
    let thread = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let begin = trace.lines().position(|line| line.contains(BEGIN)).expect("it began");
    let who = thread(trace.lines().nth(begin).unwrap_or_default());
    let of_thread = trace.lines().skip(begin + 1).filter(|line| thread(line) == who);
    // The mark itself may be split in two by what other threads do.
    let calls = of_thread.filter(|line| !line.contains("resumed>"));
    let calls: Vec<String> = calls.map(str::to_owned).collect();
    let end = calls.iter().position(|line| line.contains(END)).expect("it ended");
    calls.into_iter().take(end).collect()
}

#[test]
fn requests_make_no_system_call_whatever_redis_does() {
    assert_eq!(system_calls("alone"), Vec::<String>::new(), "without a provider");
    let server = RedisServer::start().expect("a server");
    // Takes connections and never answers.
    let hung = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let hung_port = hung.local_addr().expect("bound").port();
    let dead = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let dead_port = dead.local_addr().expect("bound").port();
    drop(dead);
    for client in clients() {
        let client = if client == Client::Fred { "fred" } else { "redis" };
        for (state, port) in [("up", server.port()), ("hung", hung_port), ("dead", dead_port)] {
            let calls = system_calls(&format!("{client} {state} {port}"));
            assert_eq!(calls, Vec::<String>::new(), "{client}, {state}");
        }
    }
}

/// How long `admit` takes, in nanoseconds, at the median, the 99th percentile and the 99.9th.
fn admit_takes(atrion: &Atrion) -> [u64; 3] {
    let (clock, route) = (MonotonicClock::new(), atrion.route("steady"));
    let mut times = Vec::with_capacity(300_000);
    let mut refused = 0;
    for _ in 0..300_000 {
        let before = clock.now();
        let permit = route.admit(Priority::Normal);
        times.push(clock.now().as_nanos().saturating_sub(before.as_nanos()));
        match permit {
            Ok(permit) => permit.success(),
            Err(_) => refused += 1,
        }
    }
    assert_eq!(refused, 0, "a calm route serves");
    times.sort_unstable();
    [150_000, 297_000, 299_700].map(|rank| times[rank])
}

#[test]
fn how_long_requests_take_is_printed_for_every_state_of_redis() {
    let runtime = Runtime::new().expect("a runtime");
    let mut rows = vec![("alone", admit_takes(&Atrion::builder().build().expect("valid")))];
    let in_memory = {
        let _inside = runtime.enter();
        Atrion::builder().provider(InMemoryProvider::new()).build().expect("valid")
    };
    rows.push(("in memory", admit_takes(&in_memory)));
    for client in clients() {
        let server = RedisServer::start().expect("a server");
        let proxy = runtime.block_on(FaultProxy::start(server.port())).expect("a proxy");
        let (atrion, provider) = sharing(&runtime, client, proxy.port());
        wait_for(&provider, Health::Healthy);
        rows.push(("up", admit_takes(&atrion)));
        let flapping = thread::scope(|scope| {
            let measuring = scope.spawn(|| admit_takes(&atrion));
            while !measuring.is_finished() {
                proxy.set_both(Fault::Cut);
                proxy.set_both(Fault::Pass);
                thread::sleep(Duration::from_millis(5));
            }
            measuring.join().expect("no panic")
        });
        rows.push(("flapping", flapping));
        server.stop().expect("stops");
        rows.push(("hung", admit_takes(&atrion)));
        drop(server);
        wait_for(&provider, Health::Degraded);
        rows.push(("dead", admit_takes(&atrion)));
        let report = block_on(atrion.flush()).expect("memory serves");
        assert_eq!(report.undelivered, 0);
    }
    println!("admit, two clock readings included, ns: median, 99 %, 99.9 %");
    for (state, [median, p99, p999]) in &rows {
        println!("{state:>10} {median:>8} {p99:>8} {p999:>8}");
        assert!(*p99 < 1_000_000, "{state}: a request waited");
    }
}
