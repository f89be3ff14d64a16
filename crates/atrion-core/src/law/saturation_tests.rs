use super::*;
use crate::law::Latencies;

const SECS: f64 = 0.02;
const DT: f64 = 0.05;

/// A service that was learned to do `parallelism` requests of 20 ms at once.
fn learned(parallelism: f64) -> Saturation {
    let learned = Learned {
        service_secs: SECS,
        service_ln: math::ln(SECS),
        throughput: parallelism / SECS,
        mean_in_flight: parallelism,
        limit_bound: false,
        samples: 100,
    };
    Saturation::new(&learned, math::ln(SECS), Timestamp::ZERO)
}

/// Ticks in which every request takes `secs`, and `per_sec` are served with `in_flight` present.
fn run(s: &mut Saturation, ticks: u64, secs: f64, per_sec: f64, in_flight: u32) {
    let config = LawConfig::default();
    let start = s.calm_since;
    let served_by = |tick: u64| (per_sec * DT * tick as f64) as u32;
    for tick in 1..=ticks {
        let successes = served_by(tick) - served_by(tick - 1);
        let count = successes.min(64);
        let contended =
            Latencies { count, sum_secs: 0.0, sum_ln: f64::from(count) * math::ln(secs) };
        let window = Window { in_flight, successes, contended, ..Window::default() };
        s.tick(&window, DT, start.add_secs(DT * tick as f64), &config);
    }
}

#[test]
fn a_queue_is_bounded_by_the_time_it_takes() {
    let config = LawConfig::default();
    let mut one = learned(1.0);
    assert!(one.queue(&config) > 5.0, "a burst may wait for one worker: {}", one.queue(&config));
    // Seven times slower, and requests pile up.
    run(&mut one, 400, 10.0 * SECS, 50.0 / 7.0, 6);
    assert!(one.is_congested());
    let wait = one.queue(&config) / one.capacity_rate;
    let longest = (WAIT_BASELINES + config.queue_baselines()) * SECS;
    assert!(wait <= 1.01 * longest, "a wait of {wait} s in the queue, at most {longest}");

    // Many workers do not need the bound: their queue is short in time anyway.
    let mut many = learned(64.0);
    run(&mut many, 400, 10.0 * SECS, 3_200.0 / 7.0, 200);
    let little = many.capacity_rate * SECS;
    assert!((many.queue(&config) - config.queue_min() - little).abs() < 1e-9, "{many:?}");
}

#[test]
fn an_emptied_service_does_not_show_its_throughput() {
    let mut s = learned(16.0);
    run(&mut s, 100, 3.0 * SECS, 800.0, 48);
    assert!(s.is_congested());
    let known = s.capacity_rate();
    assert!((known - 800.0).abs() < 40.0, "{known}");
    // Latencies still come in slow, but there is no queue: a lull, not lost capacity.
    run(&mut s, 100, 3.0 * SECS, 80.0, 4);
    assert!(s.is_congested());
    assert!((s.capacity_rate() - known).abs() < 1e-9, "{} after a lull", s.capacity_rate());
}
