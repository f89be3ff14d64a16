//! What is passed on of what other nodes say.

use super::*;
use crate::provider::RemoteVector;

fn subscribed() -> Bench {
    let mut bench = Bench::new(PulseConfig::builder());
    for _ in 0..2 {
        let transmit = bench.transmit().unwrap();
        bench.succeed(&transmit);
    }
    let subscribe = bench.transmit().unwrap();
    bench.pulse.handle_subscribed(subscribe.id, true, bench.now);
    bench.beat(&[]);
    bench
}

/// Hears of `route`, observed `age` ago.
fn hear(bench: &mut Bench, route: &str, age: Duration) -> Option<PhysicsVector> {
    let observed = Timestamp::from_nanos(bench.now.as_nanos() - age.as_nanos() as u64);
    hear_at(bench, route, observed)
}

fn hear_at(bench: &mut Bench, route: &str, observed: Timestamp) -> Option<PhysicsVector> {
    let remote = RemoteVector::new(route, PhysicsVector { timestamp: observed, ..vector(0, 10.0) });
    bench.pulse.handle_remote(remote, bench.now).map(|remote| remote.vector)
}

#[test]
fn newer_is_passed_on_duplicates_too_older_is_dropped() {
    let mut bench = subscribed();
    let ago = Duration::from_secs;
    assert!(hear(&mut bench, "a", ago(5)).is_some());
    assert!(hear(&mut bench, "a", ago(5)).is_some(), "harmless");
    assert!(hear(&mut bench, "a", ago(6)).is_none());
    assert!(hear(&mut bench, "b", ago(6)).is_some());
    assert!(hear(&mut bench, "a", ago(4)).is_some());
    let stats = bench.pulse.stats();
    assert_eq!((stats.remote_accepted, stats.remote_older), (4, 1));
}

#[test]
fn what_is_too_old_or_has_too_long_a_name_is_dropped() {
    let mut bench = subscribed();
    assert!(hear(&mut bench, "a", Duration::from_secs(300)).is_some());
    assert!(hear(&mut bench, "b", Duration::from_secs(301)).is_none());
    assert!(hear(&mut bench, &"x".repeat(600), Duration::ZERO).is_none());
    let stats = bench.pulse.stats();
    assert_eq!((stats.remote_stale, stats.remote_refused), (1, 1));
}

#[test]
fn a_vector_from_the_future_is_dated_now_and_shuts_nobody_out() {
    let mut bench = subscribed();
    let now = bench.now;
    let heard = hear_at(&mut bench, "a", Timestamp::MAX).unwrap();
    assert_eq!(heard.timestamp, now);
    bench.advance(Duration::from_millis(1));
    assert!(hear(&mut bench, "a", Duration::ZERO).is_some());
}

#[test]
fn a_clock_put_back_does_not_silence_the_others() {
    let mut bench = subscribed();
    assert!(hear(&mut bench, "a", Duration::ZERO).is_some());
    bench.now = Timestamp::from_secs(10);
    bench.pulse.handle_timeout(bench.now, Bench::draw());
    assert!(hear(&mut bench, "a", Duration::ZERO).is_some());
}

#[test]
fn the_memory_of_what_was_heard_is_bounded() {
    let mut bench = Bench::new(PulseConfig::builder().max_routes(2));
    let ago = Duration::from_secs;
    for route in ["a", "b", "c"] {
        assert!(hear(&mut bench, route, ago(5)).is_some());
    }
    assert!(hear(&mut bench, "c", ago(6)).is_none());
    assert!(hear(&mut bench, "a", ago(6)).is_some(), "forgotten");
}

#[test]
fn a_subscription_that_ends_is_made_again_but_not_in_a_spin() {
    let mut bench = subscribed();
    let mut gaps = Vec::new();
    for _ in 0..9 {
        bench.pulse.handle_stream_end(bench.now, Bench::draw());
        bench.pulse.handle_stream_end(bench.now, Bench::draw());
        let ended = bench.now;
        let subscribe = loop {
            match bench.transmit() {
                Some(transmit) if transmit.request == Request::Subscribe => break transmit,
                Some(heartbeat) => bench.succeed(&heartbeat),
                None => {
                    bench.advance(bench.wait());
                    bench.pulse.poll_collect();
                }
            }
        };
        gaps.push(bench.now.since(ended).as_millis());
        bench.pulse.handle_subscribed(subscribe.id, true, bench.now);
    }
    assert_eq!(gaps, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    assert_eq!(bench.pulse.stats().resubscriptions, 9);

    assert!(hear(&mut bench, "a", Duration::ZERO).is_some());
    bench.pulse.handle_stream_end(bench.now, Bench::draw());
    bench.beat(&[]);
    assert_eq!(bench.transmit().unwrap().request, Request::Subscribe);
}
