//! The end: flush, deadline, disconnection.

use super::*;

#[test]
fn everything_that_waits_is_delivered_before_the_disconnection() {
    let mut bench = Bench::running(PulseConfig::builder().max_batch(2));
    bench.beat(&[("a", vector(1, 1.0))]);
    bench.pulse.handle_shutdown(bench.now);
    bench.pulse.handle_shutdown(bench.now);
    bench.report(&[("b", vector(1, 2.0)), ("c", vector(1, 3.0))]);
    assert_eq!(bench.push_ok(), [sent("a", 1.0), sent("b", 2.0)]);
    assert_eq!(bench.push_ok(), [sent("c", 3.0)]);
    let disconnect = bench.transmit().unwrap();
    assert_eq!(disconnect.request, Request::Disconnect);
    assert_eq!(bench.pulse.poll_closed(), None);
    bench.succeed(&disconnect);
    let report = bench.pulse.poll_closed().unwrap();
    assert_eq!((report.delivered, report.undelivered), (3, 0));
    assert_eq!(bench.pulse.poll_timeout(), None);
    assert_eq!(bench.transmit(), None);
}

#[test]
fn a_source_with_more_than_fits_is_visited_until_it_has_nothing_left() {
    let mut bench = Bench::running(PulseConfig::builder().max_routes(2));
    bench.pulse.handle_shutdown(bench.now);
    let mut rest: VecDeque<(&str, f64)> =
        [("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0), ("e", 5.0)].into();
    let mut delivered = Vec::new();
    while bench.pulse.poll_closed().is_none() {
        if let Some(mut collector) = bench.pulse.poll_collect() {
            while let Some((route, ohms)) = rest.front()
                && collector.push(&Arc::from(*route), vector(1, *ohms))
            {
                rest.pop_front();
            }
        }
        let Some(transmit) = bench.transmit() else {
            continue;
        };
        if let Request::Push(batch) = &transmit.request {
            delivered.extend(contents(batch));
        }
        bench.succeed(&transmit);
    }
    assert_eq!(delivered.len(), 5, "{delivered:?}");
}

#[test]
fn a_dead_store_holds_the_shutdown_up_until_its_deadline_and_no_longer() {
    let mut bench = Bench::running(PulseConfig::builder());
    let started = bench.now;
    bench.pulse.handle_shutdown(bench.now);
    bench.report(&[("a", vector(1, 1.0))]);
    let mut attempts = 0;
    while bench.pulse.poll_closed().is_none() {
        if let Some(transmit) = bench.transmit() {
            attempts += 1;
            bench.fail(&transmit, &away());
        } else {
            assert!(bench.pulse.poll_timeout().unwrap() > bench.now, "a driver would spin");
            bench.advance(bench.wait());
        }
    }
    assert_eq!(bench.now.since(started), Duration::from_secs(2));
    assert!(attempts > 3, "{attempts}");
    let report = bench.pulse.poll_closed().unwrap();
    assert_eq!((report.delivered, report.undelivered), (0, 1));
}

#[test]
fn a_store_that_hangs_in_every_call_takes_no_longer_than_promised() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.beat(&[("a", vector(1, 1.0))]);
    let _hangs = bench.push();
    let started = bench.now;
    bench.pulse.handle_shutdown(bench.now);
    bench.report(&[]);
    while bench.pulse.poll_closed().is_none() {
        if bench.transmit().is_none() {
            assert!(bench.pulse.poll_timeout().unwrap() > bench.now, "a driver would spin");
            bench.advance(bench.wait());
        }
    }
    let config = bench.pulse.config();
    let promised = config.flush_timeout() + config.operation_timeout();
    assert!(bench.now.since(started) <= promised);
    assert_eq!(bench.pulse.poll_closed().unwrap().undelivered, 1);
}

#[test]
fn a_call_under_way_may_not_take_longer_than_the_shutdown() {
    let config = PulseConfig::builder()
        .operation_timeout(Duration::from_secs(60))
        .flush_timeout(Duration::from_secs(1));
    let mut bench = Bench::running(config);
    bench.beat(&[("a", vector(1, 1.0))]);
    let _hangs = bench.push();
    bench.pulse.handle_shutdown(bench.now);
    bench.report(&[]);
    assert_eq!(bench.wait(), Duration::from_secs(1));
    bench.advance(bench.wait());
    assert_eq!(bench.transmit().unwrap().request, Request::Disconnect);
}

#[test]
fn a_pulse_that_never_connected_tries_to_deliver_and_else_closes_at_once() {
    let mut bench = Bench::new(PulseConfig::builder());
    bench.pulse.handle_shutdown(bench.now);
    bench.report(&[]);
    assert_eq!(bench.transmit(), None);
    assert_eq!(bench.pulse.poll_closed(), Some(FlushReport::default()));

    let mut bench = Bench::new(PulseConfig::builder());
    bench.pulse.handle_shutdown(bench.now);
    bench.report(&[("a", vector(1, 1.0))]);
    let connect = bench.transmit().unwrap();
    assert_eq!(connect.request, Request::Connect);
    bench.succeed(&connect);
    assert_eq!(bench.push_ok(), [sent("a", 1.0)]);
}

#[test]
fn a_flush_under_way_ends_with_the_shutdown() {
    let mut bench = Bench::new(PulseConfig::builder());
    bench.pulse.handle_flush(bench.now);
    bench.pulse.handle_shutdown(bench.now);
    bench.report(&[]);
    assert_eq!(bench.transmit(), None);
    assert!(bench.pulse.poll_flushed().is_some());
}
