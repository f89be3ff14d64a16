//! What is a queue, how long it may be, and what it shows.

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
        variance_ln: 0.69,
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
    assert!(
        one.queue(0.0, &config) > 5.0,
        "a burst may wait for one worker: {}",
        one.queue(0.0, &config)
    );
    // Seven times slower, and requests pile up.
    run(&mut one, 400, 10.0 * SECS, 50.0 / 7.0, 6);
    assert!(one.congested);
    let wait = one.queue(0.0, &config) / one.capacity_rate;
    let longest = (WAIT_BASELINES + config.queue_baselines()) * SECS;
    let longest = math::max(longest, LEAST_QUEUE / one.capacity_rate);
    assert!(wait <= 1.01 * longest, "a wait of {wait} s in the queue, at most {longest}");

    // Many workers do not need the bound: their queue is short in time anyway.
    let mut many = learned(64.0);
    run(&mut many, 400, 10.0 * SECS, 3_200.0 / 7.0, 200);
    let little = many.capacity_rate * SECS;
    assert!((many.queue(0.0, &config) - config.queue_min() - little).abs() < 1e-9, "{many:?}");
}

/// A route that is hardly used shows next to no throughput: a second request at once is no queue.
#[test]
fn two_requests_at_once_are_never_one_too_many() {
    let config = LawConfig::default();
    for congested in [false, true] {
        let s = Saturation { capacity_rate: 1e-3, congested, ..learned(1.0) };
        let queue = s.queue(0.0, &config);
        assert!(queue > 1.0, "{queue} places, congested {congested}");
        assert_eq!(congested, queue < config.queue_burst());
    }
}

#[test]
fn an_emptied_service_does_not_show_its_throughput() {
    let mut s = learned(16.0);
    run(&mut s, 100, 3.0 * SECS, 800.0, 48);
    assert!(s.congested);
    let known = s.capacity_rate();
    assert!((known - 800.0).abs() < 40.0, "{known}");
    // Latencies still come in slow, but there is no queue: a lull, not lost capacity.
    run(&mut s, 100, 3.0 * SECS, 80.0, 4);
    assert!(s.congested);
    assert!((s.capacity_rate() - known).abs() < 1e-9, "{} after a lull", s.capacity_rate());
}

/// One tick of 64 contended requests whose logarithm lies `shift` above the bare one on average, and
/// `quick` of which were quick.
fn shifted(s: &mut Saturation, shift: f64, quick: u32) {
    let config = LawConfig::default();
    let contended = Latencies { count: 64, sum_secs: 0.0, sum_ln: 64.0 * (math::ln(SECS) + shift) };
    let window = Window { in_flight: 40, successes: 64, contended, quick, ..Window::default() };
    let now = s.grown_at.add_secs(DT);
    s.tick(&window, DT, now, &config);
}

#[test]
fn requests_that_are_slow_by_themselves_are_no_queue() {
    let mut s = learned(16.0);
    // Thirty in a hundred take twenty times as long, the others what they always took.
    let (shift, quick) = (0.3 * math::ln(20.0), (0.7 * 0.5 * 64.0) as u32);
    (0..20).for_each(|_| shifted(&mut s, shift, quick));
    assert!(s.congested && !s.is_queueing());
    let (now, mut last) = (s.grown_at, Timestamp::ZERO);
    assert!(s.grow(now, &mut last, now), "more may be in flight");
    // That made a queue: nobody is quick any more.
    (0..20).for_each(|_| shifted(&mut s, shift, 0));
    let now = s.grown_at;
    assert!(s.is_queueing() && !s.grow(now, &mut Timestamp::ZERO.clone(), now));
}

#[test]
fn a_queue_is_one_however_wide_the_latencies_spread() {
    for spread in [0.3_f64, 0.83, 1.5] {
        let mut s = learned(16.0);
        s.spread_ln = spread as f32;
        for shift in [0.4, 0.7, 1.5] {
            // What is left below the bare median when everybody takes `e^shift` times as long.
            let left = 1.0 / (1.0 + math::exp(LOGISTIC * shift / spread));
            (0..20).for_each(|_| shifted(&mut s, shift, (64.0 * left) as u32));
            assert!(s.is_queueing(), "spread {spread}, shift {shift}");
        }
    }
}

/// A hang returns nothing, so no latency says that anything is wrong; what piles up meanwhile is
/// not what the service works on.
#[test]
fn a_service_that_returns_nothing_shows_no_parallelism() {
    let mut hung = learned(16.0);
    run(&mut hung, 400, SECS, 0.0, 40);
    assert!(!hung.congested && hung.parallelism <= 16.0, "{hung:?}");
    // Nor does one that returns a tenth of what so many in flight would.
    let mut collapsed = learned(16.0);
    run(&mut collapsed, 400, SECS, 0.1 * 40.0 / SECS, 40);
    assert!(collapsed.parallelism <= 16.0, "{collapsed:?}");
    let mut wide = learned(16.0);
    run(&mut wide, 400, SECS, 40.0 / SECS, 40);
    assert!(wide.parallelism > 39.0, "what works shows what it is: {wide:?}");
}

#[test]
fn a_clock_that_steps_back_does_not_put_off_what_calm_shows() {
    let mut s = learned(1.0);
    s.calm_since = Timestamp::from_secs(1_000);
    s.rebase(Timestamp::from_secs(10));
    // From here on ten in flight are served: the next calm interval is over soon.
    run(&mut s, 100, SECS, 10.0 / SECS, 10);
    assert!(s.parallelism > 9.0, "{s:?}");
}

#[test]
fn a_trial_wants_something_to_have_come_back_within_two_service_times() {
    let mut s = learned(4.0);
    let (done, mut last) = (Timestamp::from_secs(10), Timestamp::ZERO);
    let late = Timestamp::from_millis(10_500);
    s.service_secs = late.secs_since(done) / 2.0;
    assert!(!s.grow(done, &mut last, late));
    assert!(s.grow(done, &mut last, Timestamp::from_millis(10_499)));
}
