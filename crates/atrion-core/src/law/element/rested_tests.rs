use super::*;
use crate::law::{Latencies, Phase, Sample, TickReport, Window};

const TICK_SECS: f64 = 0.02;

/// One request of 10 ms in a tick.
fn serve(element: &mut Element, now: Timestamp, config: &LawConfig) -> TickReport {
    element.sample(&Sample { secs: 0.01, ln: -4.605, in_flight: 1, marked: true });
    let one = Latencies { count: 1, sum_secs: 0.01, sum_ln: -4.605 };
    let running = element.phase() == Phase::Running;
    let uncontended = if running { one } else { Latencies::default() };
    let window = Window { successes: 1, uncontended, marked_done: 1, ..Window::default() };
    element.tick(&window, false, now, 0.5, config)
}

fn after(requests: u32, config: &LawConfig) -> (Element, Timestamp) {
    let mut element = Element::new(Timestamp::ZERO, config);
    let mut now = Timestamp::ZERO;
    for _ in 0..requests {
        now = now.add_secs(TICK_SECS);
        serve(&mut element, now, config);
    }
    (element, now)
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs(),
        (a, b) => a == b,
    }
}

#[test]
fn whoever_slept_goes_on_as_if_it_had_not() {
    let config = LawConfig::default();
    for requests in [0, 1, 9, 29, 200, 2_000] {
        let (mut awake, rested_at) = after(requests, &config);
        let mut woken = awake.rest().expect("calm and idle").wake(&config);
        let mut now = rested_at.add_secs(3_600.0);
        for _ in 0..300 {
            let (a, b) = (serve(&mut awake, now, &config), serve(&mut woken, now, &config));
            assert_eq!((a, awake.phase()), (b, woken.phase()), "after {requests}");
            assert!(near(awake.parallelism(), woken.parallelism()), "{awake:?} {woken:?}");
            assert!(near(awake.service_secs(), woken.service_secs()), "{awake:?} {woken:?}");
            assert!(near(awake.capacity_rate(), woken.capacity_rate()), "{awake:?} {woken:?}");
            let (a, b) = (awake.gate(0.0, &config), woken.gate(0.0, &config));
            assert_eq!((a.wall, a.open, a.exact), (b.wall, b.open, b.exact));
            assert!(near(Some(a.free_zone), Some(b.free_zone)), "{a:?} {b:?}");
            assert!(near(Some(a.queue), Some(b.queue)), "{a:?} {b:?}");
            now = now.add_secs(TICK_SECS);
        }
        assert_eq!(awake.phase(), Phase::Running);
    }
}

#[test]
fn a_start_under_load_and_an_open_breaker_do_not_rest() {
    let config = LawConfig::default();
    let (mut element, _) = after(3, &config);
    for in_flight in [1, 2, 3] {
        assert!(element.rest().is_some());
        element.sample(&Sample { secs: 0.01, ln: -4.605, in_flight, marked: false });
    }
    assert_eq!(element.rest(), None, "three classes of in-flight counts");
    let (mut element, now) = after(200, &config);
    element.breaker_mut().restore_scar(400.0, now, &config);
    assert_eq!(element.rest(), None);
}

#[test]
fn rest_is_small() {
    assert!(size_of::<Rested>() <= 120, "{}", size_of::<Rested>());
}

#[test]
fn a_route_is_stalled_after_twenty_service_times_within_bounds() {
    let config = LawConfig::default();
    let stalled = |secs: f64| {
        let mut element = Element::new(Timestamp::ZERO, &config);
        element.sample(&Sample { secs, ln: crate::math::ln(secs), in_flight: 1, marked: true });
        element.stalled_after_secs()
    };
    for (secs, expected) in [(0.01, 1.0), (0.5, 10.0), (2.0, 40.0), (10.0, 60.0), (30.0, 90.0)] {
        assert!((stalled(secs) - expected).abs() < 1e-9, "{secs} s: {}", stalled(secs));
    }
}

#[test]
fn a_fifth_of_a_queue_is_no_reason_to_grow() {
    let config = LawConfig::default();
    let (mut element, now) = after(200, &config);
    assert!(!element.grow(0.2, now, now));
    assert!(element.grow(0.201, now, now));
}
