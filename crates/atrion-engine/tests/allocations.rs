//! `admit` and `record` allocate nothing: not while calm, not while shedding, not while probing.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Builder, Event, Interest, Observer, Reason, Route};
use atrion_state::clock::ManualClock;

fn allocations(f: impl FnOnce()) -> u64 {
    allocation_counter::measure(f).count_total
}

#[test]
fn the_request_path_allocates_nothing() {
    whatever_happens(Atrion::builder());
}

#[test]
fn neither_does_it_with_the_process_in_series() {
    whatever_happens(Atrion::builder().process_circuit(true));
}

/// Whoever is told frees the events on its own thread.
struct Watches;

impl Observer for Watches {
    fn event(&self, _: &Event) {}

    fn interest(&self) -> Interest {
        Interest::ALL
    }
}

#[test]
fn neither_does_it_when_everything_is_counted_and_told() {
    let builder = Atrion::builder().tally(true).sample_decisions(1);
    whatever_happens(builder.observer(Watches).observer(Watches));
}

/// The same in one call, of either kind.
fn called(route: &Route, clock: &ManualClock) {
    clock.advance(Duration::from_millis(50));
    let _ = route.run(Priority::Normal, || Err::<(), ()>(()));
    let call = pin!(route.call(Priority::Normal, async || Ok::<(), ()>(())));
    let _ = call.poll(&mut Context::from_waker(Waker::noop()));
}

fn whatever_happens(builder: Builder) {
    assert!(
        allocations(|| drop(std::hint::black_box(Box::new([0u8; 64])))) > 0,
        "the counter works"
    );

    let clock = ManualClock::new();
    let builder = builder.clock(clock.clone()).seed(7);
    let atrion = builder.build().expect("valid");
    let route = atrion.route("checkout");
    let mut held = Vec::with_capacity(4096);
    let (mut served, mut saturated, mut open) = (0, 0, 0);
    // The first use of the clock, thread-locals and configuration guard may set themselves up.
    drop(route.admit(Priority::Normal));

    let count = allocations(|| {
        // Calm, past start-up, then an overload, then a dead dependency: every phase and mode.
        for step in 0..20_000u32 {
            clock.advance(Duration::from_micros(500));
            let overload = (8_000..12_000).contains(&step);
            match route.admit(Priority::Normal) {
                Ok(permit) if overload => held.push(permit),
                Ok(permit) => {
                    clock.advance(Duration::from_micros(300));
                    served += 1;
                    if step < 12_000 { permit.success() } else { permit.failure() }
                }
                Err(shed) if shed.reason() == Reason::BreakerOpen => open += 1,
                Err(_) => saturated += 1,
            }
            if step == 12_000 {
                held.clear();
            }
        }
    });
    assert_eq!(count, 0);
    assert_eq!(allocations(|| (0..100).for_each(|_| called(&route, &clock))), 0);
    assert!(served > 5_000 && saturated > 1_000 && open > 1_000, "{served} {saturated} {open}");
}
