//! Trying it without risk: first in shadow, where it decides, counts and refuses nobody; then for real.
//!
//! ```sh
//! cargo run -p atrion-examples --bin shadow_rollout
//! ```
//!
//! A search service does two things at a time. In the rush sixteen callers want ten times that.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use atrion::{Atrion, Config, Event, Observer, Priority, Route};

/// Counts what would have been refused, by whether somebody pays for it.
#[derive(Default)]
struct Missed {
    paid: AtomicU32,
    free: AtomicU32,
}

impl Observer for Missed {
    fn event(&self, event: &Event) {
        if let Event::Shed { shed, shadow: true, .. } = event {
            let is_paid = shed.voltage() >= Priority::High.volts();
            let count = if is_paid { &self.paid } else { &self.free };
            count.fetch_add(1, Relaxed);
        }
    }
}

/// What callers of one kind see.
#[derive(Default)]
struct Seen {
    waits: Mutex<Vec<Duration>>,
    refused: AtomicU32,
}

impl Seen {
    fn show(self, who: &str) {
        let mut waits = self.waits.into_inner().unwrap_or_else(PoisonError::into_inner);
        waits.sort();
        let median = waits.get(waits.len() / 2).copied().unwrap_or_default();
        println!(
            "  {who}: {} served, within {} ms for half of them; {} refused",
            waits.len(),
            median.as_millis(),
            self.refused.into_inner()
        );
    }
}

/// Two of them are all there is of the service.
type Desks = [Mutex<()>; 2];

fn caller(route: &Route, desk: &Mutex<()>, priority: Priority, seen: &Seen, over: &AtomicBool) {
    while !over.load(Relaxed) {
        let asked = Instant::now();
        match route.admit(priority) {
            Ok(permit) => {
                let turn = desk.lock();
                thread::sleep(Duration::from_millis(10));
                drop(turn);
                permit.success();
                seen.waits.lock().unwrap_or_else(PoisonError::into_inner).push(asked.elapsed());
            }
            Err(shed) => {
                seen.refused.fetch_add(1, Relaxed);
                thread::sleep(shed.retry_after());
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Lets so many callers come for so long, every fourth of whom pays.
fn hours(what: &str, route: &Route, desks: &Desks, callers: usize, length: Duration) {
    let (paid, free, over) = (Seen::default(), Seen::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        for (number, desk) in (0..callers).zip(desks.iter().cycle()) {
            let pays = number % 4 == 0;
            let (priority, seen) =
                if pays { (Priority::High, &paid) } else { (Priority::Low, &free) };
            let over = &over;
            scope.spawn(move || caller(route, desk, priority, seen, over));
        }
        thread::sleep(length);
        over.store(true, Relaxed);
    });
    println!("{what}");
    paid.show("paid");
    free.show("free");
}

fn main() -> Result<(), Box<dyn Error>> {
    let missed = Arc::new(Missed::default());
    let config = Config::builder().shadow(true).build()?; // new routes start in shadow
    let atrion = Atrion::builder().config(config).observer(Arc::clone(&missed)).build()?;
    let route = atrion.route("search");
    let desks = Desks::default();

    hours("shadow, quiet hours", &route, &desks, 2, Duration::from_secs(1));
    let quiet = route.counts().shadow_shed;
    println!("  it would have refused {quiet}: on a quiet day that should be next to nothing");

    hours("shadow, rush", &route, &desks, 16, Duration::from_secs(2));
    let rush = route.counts().shadow_shed - quiet;
    let (paid, free) = (missed.paid.load(Relaxed), missed.free.load(Relaxed));
    println!("  it would have refused {rush}, told of {paid} paid and {free} free");

    route.set_shadow(false); // and back at once with `true`
    hours("for real, rush", &route, &desks, 16, Duration::from_secs(2));
    Ok(())
}
