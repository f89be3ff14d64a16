//! A process that remembers. Start it beside a PostgreSQL, let it fail, kill it, start it again:
//!
//! ```sh
//! export ATRION_LICENSE_KEY=$(cargo xtask license dev)
//! export DATABASE_URL=postgres://user:password@127.0.0.1/database
//! cargo run -p atrion --features postgres --example postgres -- failing
//! cargo run -p atrion --features postgres --example postgres
//! ```
//!
//! The first meets a dead dependency until its breaker opens. Kill it and start the second within
//! half a minute: it knows, and looks with a probe instead of failing first. With the feature
//! `cluster` and `REDIS_URL` set, pods warn each other, too.

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use atrion::{Atrion, Event, Observer, PostgresPersistenceAdapter, Priority, StateProvider};

/// Prints what an operator wants to know.
struct Print;

impl Observer for Print {
    fn event(&self, event: &Event) {
        match event {
            Event::ModeChanged { route, mode, .. } => println!("{}: {mode:?}", route.name()),
            Event::Pulse(news) => println!("memory: {news:?}"),
            _ => {}
        }
    }
}

fn provider() -> Result<Arc<dyn StateProvider>, Box<dyn Error>> {
    let remembers = PostgresPersistenceAdapter::builder()
        .url(env::var("DATABASE_URL")?)
        .application("example")
        .node("example")
        .build()?;
    #[cfg(feature = "cluster")]
    if let Ok(url) = env::var("REDIS_URL") {
        let shares = atrion::RedisClusterProvider::builder().url(url).cluster("example").build()?;
        return Ok(Arc::new(shares.remembered_by(remembers)));
    }
    Ok(Arc::new(remembers))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let failing = env::args().nth(1).is_some_and(|arg| arg == "failing");
    let atrion = Atrion::builder()
        .provider(provider()?)
        .license(env::var("ATRION_LICENSE_KEY"))
        .observer(Print)
        .build()?;
    let payments = atrion.route("payments");
    loop {
        match payments.admit(Priority::Normal) {
            Ok(permit) if failing => permit.failure(),
            Ok(permit) => permit.cancel(),
            Err(shed) => println!("refused: {}", shed.explain()),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    let report = atrion.disconnect().await;
    println!("{} not remembered", report.undelivered);
    Ok(())
}
