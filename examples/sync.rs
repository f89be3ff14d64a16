//! A plain synchronous program: no runtime, no thread, nothing to configure.
//!
//! ```sh
//! cargo run -p atrion-examples --bin sync
//! ```
//!
//! Pages need a warehouse that dies and comes back. Watch how few pages wait for it while it is
//! dead, and how soon it is found again.

use std::error::Error;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use atrion::{Atrion, CallError, Priority, Route};

/// Stands in for a library that blocks: a database driver, a client, a disk.
struct Warehouse {
    works: bool,
}

impl Warehouse {
    fn items(&self) -> Result<u32, io::Error> {
        thread::sleep(Duration::from_millis(2));
        if self.works { Ok(3) } else { Err(io::Error::other("no connection")) }
    }
}

#[derive(Debug, Default)]
struct Pages {
    with_stock: u32,
    failed: u32,
    not_asked: u32,
    refusal: Option<String>,
}

/// Shows one page. This is all there is to protecting a call.
fn page(route: &Route, warehouse: &Warehouse, pages: &mut Pages) {
    match route.run(Priority::Normal, || warehouse.items()) {
        Ok(_items) => pages.with_stock += 1,
        Err(CallError::Inner(_why)) => pages.failed += 1,
        // At once: show the page without the number, or answer 503 with `refusal.retry_after()`.
        Err(CallError::Overloaded(refusal)) => {
            pages.not_asked += 1;
            pages.refusal = Some(refusal.shed().explain().to_string());
        }
    }
    thread::sleep(Duration::from_millis(3)); // until somebody wants the next one
}

fn show(what: &str, pages: &Pages) {
    println!(
        "{what}: {} pages with stock, {} waited in vain, {} did not ask",
        pages.with_stock, pages.failed, pages.not_asked
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let atrion = Atrion::builder().build()?; // once per program
    let route = atrion.route("warehouse"); // once per dependency; both are cheap to clone
    let mut warehouse = Warehouse { works: true };

    let mut pages = Pages::default();
    for _ in 0..100 {
        page(&route, &warehouse, &mut pages);
    }
    show("all is well", &pages);

    warehouse.works = false;
    let mut pages = Pages::default();
    let died = Instant::now();
    while !route.is_open() {
        page(&route, &warehouse, &mut pages);
    }
    println!("it died, and the breaker opened after {} ms", died.elapsed().as_millis());
    for _ in 0..200 {
        page(&route, &warehouse, &mut pages);
    }
    show("it is dead", &pages);
    println!("  why: {}", pages.refusal.unwrap_or_default());

    warehouse.works = true;
    let mut pages = Pages::default();
    let healed = Instant::now();
    while route.is_open() {
        page(&route, &warehouse, &mut pages);
    }
    println!("it came back, and was found after {} ms", healed.elapsed().as_millis());
    for _ in 0..100 {
        page(&route, &warehouse, &mut pages);
    }
    show("all is well again", &pages);
    Ok(())
}
