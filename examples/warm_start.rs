//! A process that dies, and the next one that remembers what it knew, over PostgreSQL.
//!
//! ```sh
//! cargo xtask example warm_start     # makes a development key, and starts a PostgreSQL of its own
//! ```
//!
//! The program runs itself twice. The first life meets a dead dependency and is killed. The second
//! begins with the scar, as far as time has not healed it: it looks once instead of failing first.

use std::env;
use std::error::Error;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use atrion::{Atrion, PostgresPersistenceAdapter, Priority, Route};
use atrion_testkit::PostgresServer;
use tokio::time::sleep;

/// What your program does at its start.
fn start() -> Result<Atrion, Box<dyn Error>> {
    let provider = PostgresPersistenceAdapter::builder()
        .url(env::var("DATABASE_URL")?)
        .application("shop")
        .node("shop-1") // a stable name finds its own rows again
        .build()?;
    Ok(Atrion::builder().provider(provider).license(env::var("ATRION_LICENSE_KEY")).build()?)
}

/// The dependency. It is dead in both lives.
async fn pay() -> Result<(), std::io::Error> {
    sleep(Duration::from_millis(2)).await;
    Err(std::io::Error::other("no answer"))
}

fn scar(route: &Route) -> f64 {
    route.explain(Priority::Normal).parts.scar
}

/// Fails until the breaker opens, and dies when that is remembered.
async fn first_life() -> Result<(), Box<dyn Error>> {
    let atrion = start()?;
    let payments = atrion.route("payments");
    let mut failed = 0;
    while !payments.is_open() {
        if payments.call(Priority::Normal, pay).await.is_err() {
            failed += 1;
        }
        sleep(Duration::from_millis(10)).await;
    }
    println!("first life: {failed} customers failed until the breaker opened");
    while atrion.flush().await.is_err() {
        sleep(Duration::from_millis(50)).await; // the store is not there yet
    }
    println!("first life: remembered a scar of {:.0} ohm; killed", scar(&payments));
    std::process::abort();
}

async fn second_life() -> Result<(), Box<dyn Error>> {
    let atrion = start()?;
    let payments = atrion.route("payments");
    // A service waits for this with its readiness probe: `Probe::wait_for_provider`.
    while !payments.is_open() {
        sleep(Duration::from_millis(10)).await;
    }
    println!("second life: begins with a scar of {:.0} ohm, and the breaker open", scar(&payments));
    let (mut asked, mut refused) = (0, 0);
    for _customer in 0..50 {
        match payments.call(Priority::Normal, pay).await {
            Err(error) if error.overloaded().is_some() => refused += 1,
            _ => asked += 1,
        }
        sleep(Duration::from_millis(10)).await;
    }
    println!("second life: of 50 customers {asked} looked, {refused} were spared the wait");
    let report = atrion.disconnect().await; // the farewell that the first life did not have
    println!("second life: ended; {} not remembered", report.undelivered);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let life = env::args().nth(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match life.as_deref() {
        Some("first") => return runtime.block_on(first_life()),
        Some("second") => return runtime.block_on(second_life()),
        _ => {}
    }
    env::var("ATRION_LICENSE_KEY")
        .map_err(|_| "set ATRION_LICENSE_KEY to what `cargo xtask license dev` prints")?;
    let postgres = PostgresServer::start()?; // yours is there already
    live("first", &postgres)?;
    println!("two seconds pass");
    thread::sleep(Duration::from_secs(2));
    if live("second", &postgres)?.success() { Ok(()) } else { Err("the second life failed".into()) }
}

fn live(which: &str, postgres: &PostgresServer) -> Result<ExitStatus, Box<dyn Error>> {
    let mut program = Command::new(env::current_exe()?);
    Ok(program.arg(which).env("DATABASE_URL", postgres.url()).status()?)
}
