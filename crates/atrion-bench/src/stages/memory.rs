//! What routes and requests take from the allocator.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use allocation_counter::measure;
use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Config, Permit};
use atrion_state::clock::ManualClock;

use super::{Outcome, Setting};
use crate::figure::Figure;
use crate::progress::Bar;
use crate::stage::Stage;
use crate::verdict::Measured;

/// Routes of one process.
const ROUTES_QUICK: usize = 100_000;
const ROUTES_FULL: usize = 1_000_000;
/// Ticks after which every idle route is at rest.
const REST_PASSES: u32 = 4;
/// Requests of each kind.
const REQUESTS: u32 = 200_000;
/// Places for requests in flight; a route under overload admits far fewer.
const PLACES: usize = 4096;
/// Under overload so many requests ask while one is served.
const OVERLOAD: u32 = 10;

pub(super) fn run(setting: &Setting<'_>) -> Result<Outcome, String> {
    let bar = Bar::steps(Stage::Memory.name(), 3);
    let mut sizes = vec![ROUTES_QUICK];
    if !setting.is_quick {
        sizes.push(ROUTES_FULL);
    }
    let mut measured = Vec::new();
    bar.say("routes");
    let per_route: Result<Vec<PerRoute>, String> =
        sizes.iter().map(|routes| bytes_per_route(*routes)).collect();
    let per_route = per_route?;
    let largest = sizes.last().copied().unwrap_or(ROUTES_QUICK);
    let bytes = |goal: &'static str, of: fn(&PerRoute) -> f64| {
        let all: Vec<f64> = per_route.iter().map(of).collect();
        Figure::mean_of(goal, &all).map(|f| Measured::new(goal, f)).map_err(|e| e.to_string())
    };
    let note = format!("{largest} routes in one process, each with a request behind it");
    measured.push(bytes("memory.rest", |bytes| bytes.at_rest)?.note(note.clone()));
    measured.push(bytes("memory.route", |bytes| bytes.in_use)?.note(note));
    bar.step();
    for (goal, overload) in [("memory.calm", false), ("memory.overload", true)] {
        bar.say(goal);
        let seen = allocations(setting.seed, overload)?;
        let share = seen.allocations as f64 / f64::from(REQUESTS);
        let figure = Figure::once(goal, share).map_err(|e| e.to_string())?;
        let Seen { allocations, admitted, refused } = seen;
        let note = format!("{allocations} for {admitted} admitted and {refused} refused requests");
        measured.push(Measured::new(goal, figure).note(note));
        bar.step();
    }
    Ok(Outcome { measured, ..Outcome::default() })
}

/// Bytes for each route.
#[derive(Clone, Copy, Debug)]
struct PerRoute {
    in_use: f64,
    at_rest: f64,
}

/// Bytes that the allocator gave and did not get back, for each route that was made and had one
/// request, without those of its name; then the same once all have come to rest. The tables in
/// which routes are found are part of it.
fn bytes_per_route(routes: usize) -> Result<PerRoute, String> {
    let config = Config::builder().route_limit(routes).build().map_err(|e| e.to_string())?;
    let idle = Duration::from_secs_f64(2.0 * config.route_idle_secs());
    let clock = ManualClock::new();
    let atrion = Atrion::builder().clock(clock.clone()).config(config).build();
    let atrion = atrion.map_err(|e| e.to_string())?;
    let names: Vec<String> = (0..routes).map(|i| format!("api/v1/resource/{i:07}")).collect();
    let name_bytes: usize = names.iter().map(String::len).sum();
    let mut served = 0_usize;
    let used = measure(|| {
        for name in &names {
            if let Ok(permit) = atrion.route(name).admit(Priority::Normal) {
                permit.success();
                served += 1;
            }
        }
    });
    let made = atrion.stats().routes;
    if made < routes || served < routes {
        return Err(format!("of {routes} routes {made} were made and {served} served a request"));
    }
    let given_back = measure(|| {
        clock.advance(idle);
        // The first pass spares those that were looked up lately, and meets some of them twice.
        (0..REST_PASSES).for_each(|_| atrion.tick());
    });
    let resting = atrion.stats().resting;
    if resting < routes {
        return Err(format!("of {routes} idle routes {resting} came to rest"));
    }
    let each = |bytes: i64| (bytes as f64 - name_bytes as f64) / routes as f64;
    let in_use = each(used.bytes_current);
    Ok(PerRoute { in_use, at_rest: each(used.bytes_current + given_back.bytes_current) })
}

/// What was seen of a series of requests.
struct Seen {
    allocations: u64,
    admitted: u32,
    refused: u32,
}

/// Allocations of `REQUESTS` requests on one route that knows its service: each served before the
/// next asks, or ten times as many as are served.
fn allocations(seed: u64, overload: bool) -> Result<Seen, String> {
    let clock = ManualClock::new();
    let atrion = Atrion::builder().clock(clock.clone()).seed(seed).build();
    let route = atrion.map_err(|e| e.to_string())?.route("bench");
    let mut in_flight: VecDeque<Permit<'_>> = VecDeque::with_capacity(PLACES);
    let mut seen = Seen { allocations: 0, admitted: 0, refused: 0 };
    let mut ask = |number: u32, per_served: u32, seen: &mut Seen| {
        clock.advance(Duration::from_micros(1000 / u64::from(per_served)));
        match route.admit(Priority::Normal) {
            Ok(permit) if in_flight.len() < PLACES => {
                seen.admitted += 1;
                in_flight.push_back(permit);
            }
            // Nobody is ever so patient; the queue must not grow while allocations are counted.
            Ok(permit) => permit.cancel(),
            Err(shed) => {
                seen.refused += 1;
                black_box(shed.retry_after());
            }
        }
        if number.is_multiple_of(per_served)
            && let Some(oldest) = in_flight.pop_front()
        {
            clock.advance(Duration::from_micros(300));
            oldest.success();
        }
    };
    let mut before = Seen { allocations: 0, admitted: 0, refused: 0 };
    (0..REQUESTS / 10).for_each(|number| ask(number, 1, &mut before));
    let per_served = if overload { OVERLOAD } else { 1 };
    let used = measure(|| (0..REQUESTS).for_each(|number| ask(number, per_served, &mut seen)));
    seen.allocations = used.count_total;
    if overload && seen.refused == 0 {
        return Err("the overload refused nothing, so that it shows nothing".to_owned());
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_counts() {
        let kept = measure(|| std::mem::forget(black_box(Box::new([0_u8; 64]))));
        assert_eq!((kept.count_total, kept.bytes_current), (1, 64));
    }

    #[test]
    fn a_route_costs_something_and_less_than_a_page() {
        let bytes = bytes_per_route(2_000).expect("they fit");
        assert!((16.0..4096.0).contains(&bytes.in_use), "{bytes:?}");
        assert!(bytes.at_rest > 16.0 && bytes.at_rest < 0.5 * bytes.in_use, "{bytes:?}");
    }

    #[test]
    fn both_kinds_of_load_are_what_they_are_called() {
        let calm = allocations(3, false).expect("it runs");
        assert_eq!((calm.admitted, calm.refused), (REQUESTS, 0), "seed 3");
        let overload = allocations(3, true).expect("it runs");
        assert!(overload.refused > REQUESTS / 2, "{} refused, seed 3", overload.refused);
    }
}
