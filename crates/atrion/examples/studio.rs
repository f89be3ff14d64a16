//! A service under changing load, and the dashboard that shows it.
//!
//! ```sh
//! export ATRION_LICENSE_KEY=$(cargo xtask license dev)
//! cargo run --release -p atrion --features studio --example studio
//! ```
//!
//! Then open http://127.0.0.1:9900/. Four routes: one calm, one crowded, one whose dependency fails for
//! ten seconds out of thirty, one in shadow mode. Force one open from the page, and see it end.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use atrion::studio::Studio;
use atrion::{Atrion, Priority, Route};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Counts by priority are for the page; everything else is as anywhere.
    let atrion = Atrion::builder().tally(true).build()?;
    let studio = Studio::builder(&atrion)
        .instance("example")
        .actions(true)
        .preview(true)
        .history(true)
        .audit(|entry: &atrion::studio::AuditEntry| println!("{}: {}", entry.action, entry.summary))
        .build()?;
    let server = studio.serve(([127, 0, 0, 1], 9900))?;
    println!("http://{}/  (Ctrl-C ends it)", server.addr());

    let calm = atrion.route("api/search");
    let crowded = atrion.route("api/checkout");
    let broken = atrion.route("api/payments");
    let shadow = atrion.route("api/reports");
    shadow.set_shadow(true);
    let (one, other) = (Mutex::new(()), Mutex::new(()));
    thread::scope(|scope| {
        scope.spawn(|| call(&calm, Priority::Normal, None, |_| true));
        for caller in 0..16 {
            let priority = Priority::ALL.into_iter().nth(caller % 5).unwrap_or_default();
            let (crowded, shadow, one, other) = (&crowded, &shadow, &one, &other);
            scope.spawn(move || call(crowded, priority, Some(one), |_| true));
            scope.spawn(move || call(shadow, priority, Some(other), |_| true));
        }
        scope.spawn(|| call(&broken, Priority::High, None, |secs| secs % 30 >= 10));
    });
    Ok(())
}

/// Asks for ever; the work takes some milliseconds, one at a time if there is a `place`.
fn call(route: &Route, priority: Priority, place: Option<&Mutex<()>>, works: impl Fn(u64) -> bool) {
    #[expect(clippy::disallowed_methods, reason = "an example's own clock")]
    let start = Instant::now();
    loop {
        match route.admit(priority) {
            Ok(permit) => {
                let turn = place.map(Mutex::lock);
                thread::sleep(Duration::from_millis(3));
                drop(turn);
                if works(start.elapsed().as_secs()) { permit.success() } else { permit.failure() }
            }
            Err(shed) => thread::sleep(shed.retry_after().min(Duration::from_millis(50))),
        }
    }
}
