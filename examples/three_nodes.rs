//! Three nodes of one service that warn each other over Redis.
//!
//! ```sh
//! cargo xtask example three_nodes     # makes a development key, and starts a Redis of its own
//! ```
//!
//! A dependency dies. Only node a is busy enough to notice; the others hold back before they have
//! failed once. It comes back, and all find out together. Then Redis is killed, and nobody notices.

use std::env;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use atrion::{Atrion, CallError, Health, Priority, RedisClusterProvider, Route};
use atrion_testkit::RedisServer;
use tokio::time::sleep;

/// What each node of yours does once, at its start.
fn join(name: &str, redis: &str, license: &str) -> Result<Atrion, Box<dyn Error>> {
    let provider = RedisClusterProvider::builder()
        .url(redis)
        .cluster("shop") // nodes of one name share
        .node(name) // the host's name by default
        .build()?;
    Ok(Atrion::builder().provider(provider).license(license).build()?)
}

/// The dependency that all of them call.
struct Payments {
    works: AtomicBool,
    asked: AtomicU32,
}

impl Payments {
    async fn pay(&self) -> Result<(), std::io::Error> {
        self.asked.fetch_add(1, Relaxed);
        sleep(Duration::from_millis(2)).await;
        if self.works.load(Relaxed) { Ok(()) } else { Err(std::io::Error::other("no answer")) }
    }
}

struct Node {
    name: &'static str,
    atrion: Atrion,
    route: Route,
}

impl Node {
    /// So many customers pay here; says how it went.
    async fn customers(&self, count: u32, payments: &Payments) {
        let (mut paid, mut failed, mut refused) = (0, 0, 0);
        payments.asked.store(0, Relaxed);
        for _ in 0..count {
            match self.route.call(Priority::Normal, || payments.pay()).await {
                Ok(()) => paid += 1,
                Err(CallError::Inner(_)) => failed += 1,
                Err(CallError::Overloaded(refusal)) => {
                    if refused == 0 {
                        println!("  {}: {}", self.name, refusal.shed().explain());
                    }
                    refused += 1;
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
        println!("  {}: {paid} paid, {failed} failed, {refused} not asked", self.name);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let license = env::var("ATRION_LICENSE_KEY")
        .map_err(|_| "set ATRION_LICENSE_KEY to what `cargo xtask license dev` prints")?;
    let mut redis = RedisServer::start()?; // yours is there already
    let url = format!("redis://127.0.0.1:{}", redis.port());
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        let atrion = join(name, &url, &license)?;
        nodes.push(Node { name, route: atrion.route("payments"), atrion });
    }
    let [a, b, c] = &nodes[..] else { unreachable!("there are three") };
    let payments = Payments { works: true.into(), asked: 0.into() };
    until("all nodes see each other", || nodes.iter().all(|n| n.atrion.nodes().len() == 3)).await;

    println!("all is well");
    a.customers(50, &payments).await;

    payments.works.store(false, Relaxed);
    println!("payments is dead");
    while !a.route.is_open() {
        a.customers(10, &payments).await;
    }
    println!("  a: opened its breaker, and says so");
    until("b and c have heard", || b.route.is_held() && c.route.is_held()).await;
    b.customers(30, &payments).await;
    c.customers(30, &payments).await;

    payments.works.store(true, Relaxed);
    println!("payments is back");
    let troubled = |node: &&Node| {
        node.route.is_open() || node.route.is_held() || !node.route.would_flow(Priority::Normal)
    };
    while nodes.iter().any(|node| troubled(&node)) {
        for node in nodes.iter().filter(troubled) {
            node.customers(10, &payments).await;
        }
    }
    println!("  all of them pay again");

    redis.kill();
    println!("Redis is dead");
    let health = || a.atrion.health().is_some_and(|health| health == Health::Healthy);
    until("a has noticed", || !health()).await;
    for node in &nodes {
        node.customers(20, &payments).await;
    }
    Ok(())
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        sleep(Duration::from_millis(10)).await;
    }
    println!("  {what}");
}
