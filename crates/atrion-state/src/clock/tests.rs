use super::*;

#[test]
fn monotonic_readings_of_one_thread_never_decrease() {
    let clock = MonotonicClock::new();
    let mut last = clock.now();
    for _ in 0..100_000 {
        let now = clock.now();
        assert!(now >= last, "{now:?} after {last:?}");
        last = now;
    }
}

/// The rate agrees with the operating system's clock. Each reading is bracketed by two readings
/// of the system clock, so that no pre-emption of the test can make it fail.
#[test]
#[expect(clippy::disallowed_methods, reason = "compares with the system's clock")]
fn monotonic_clock_runs_at_the_rate_of_the_system_clock() {
    use std::time::Instant;
    let clock = MonotonicClock::new();
    let bracket = || (Instant::now(), clock.now(), Instant::now());

    let (before_first, first, after_first) = bracket();
    let (before_last, last, after_last) = loop {
        let reading = bracket();
        if reading.0.duration_since(after_first) > Duration::from_millis(20) {
            break reading;
        }
    };

    let elapsed = last.since(first).as_secs_f64();
    let shortest = before_last.duration_since(after_first).as_secs_f64();
    let longest = after_last.duration_since(before_first).as_secs_f64();
    assert!(
        elapsed > shortest * 0.99 && elapsed < longest * 1.01,
        "{elapsed} s, the system says {shortest} to {longest} s"
    );
}

#[test]
fn monotonic_clocks_of_a_process_share_their_origin() {
    let first = MonotonicClock::new();
    let before = first.now();
    let second = MonotonicClock::default();
    assert!(second.now() >= before);
    assert!(first.now() >= before);
    assert_eq!(first.origin, second.origin);
}

#[test]
fn manual_clock_moves_only_when_told_and_is_shared_by_its_clones() {
    let clock = ManualClock::new();
    let other = clock.clone();
    assert_eq!(clock.now(), Timestamp::ZERO);
    assert_eq!(other.advance(Duration::from_secs(2)), clock.now());
    assert_eq!(clock.now(), Timestamp::from_secs(2));
    assert_eq!(ManualClock::starting_at(Timestamp::from_secs(7)).now(), Timestamp::from_secs(7));
}

#[test]
fn manual_clock_may_step_back_and_stops_at_the_end_of_time() {
    let clock = ManualClock::starting_at(Timestamp::from_secs(9));
    clock.set(Timestamp::from_secs(1));
    assert_eq!(clock.now(), Timestamp::from_secs(1));
    assert_eq!(clock.advance(Duration::MAX), Timestamp::MAX);
    assert_eq!(clock.advance(Duration::from_nanos(1)), Timestamp::MAX);
}

#[test]
fn concurrent_advances_of_a_manual_clock_all_count() {
    let clock = ManualClock::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    clock.advance(Duration::from_nanos(3));
                }
            });
        }
    });
    assert_eq!(clock.now(), Timestamp::from_nanos(12_000));
}

#[test]
fn a_shared_clock_is_a_clock() {
    let manual = ManualClock::starting_at(Timestamp::from_secs(3));
    let dynamic: Arc<dyn Clock> = Arc::new(manual);
    assert_eq!(Arc::clone(&dynamic).now(), Timestamp::from_secs(3));
    assert_eq!(Clock::now(&dynamic), Timestamp::from_secs(3));
}
