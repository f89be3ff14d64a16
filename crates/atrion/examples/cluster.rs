//! One pod of several. Start it in two terminals beside a Redis, and let one of them fail:
//!
//! ```sh
//! export ATRION_LICENSE_KEY=$(cargo xtask license dev)
//! cargo run -p atrion --features cluster --example cluster -- redis://127.0.0.1:6379
//! cargo run -p atrion --features cluster --example cluster -- redis://127.0.0.1:6379 failing
//! ```
//!
//! The failing one meets a dead dependency ten times a second; the other asks once in three seconds,
//! and is held before it has failed itself. Stop Redis, start it again: both go on.

use std::env;
use std::error::Error;
use std::time::Duration;

use atrion::{Atrion, Event, Observer, Priority, RedisClusterProvider};

/// Prints what an operator wants to know.
struct Print;

impl Observer for Print {
    fn event(&self, event: &Event) {
        match event {
            Event::Cluster(notice) => println!("cluster: {notice:?}"),
            Event::Held { route, held, .. } => println!("{}: held {held}", route.name()),
            Event::ModeChanged { route, mode, .. } => println!("{}: {mode:?}", route.name()),
            Event::Pulse(news) => println!("pulse: {news:?}"),
            _ => {}
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let url = args.next().ok_or("name a Redis: redis://127.0.0.1:6379")?;
    let failing = args.next().is_some_and(|arg| arg == "failing");

    let atrion = Atrion::builder()
        .provider(RedisClusterProvider::builder().url(url).cluster("example").build()?)
        .license(env::var("ATRION_LICENSE_KEY"))
        .observer(Print)
        .build()?;
    let payments = atrion.route("payments");

    let pause = Duration::from_millis(if failing { 100 } else { 3_000 });
    loop {
        match payments.admit(Priority::Normal) {
            Ok(permit) if failing => permit.failure(),
            Ok(permit) => permit.cancel(),
            Err(shed) => println!("refused: {}", shed.explain()),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    let report = atrion.disconnect().await;
    println!("left the cluster; {} not delivered", report.undelivered);
    Ok(())
}
