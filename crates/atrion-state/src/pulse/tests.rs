mod faults;
mod remote;
mod shutdown;

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::test_vectors::vector;

/// A machine with a hand-driven clock.
struct Bench {
    pulse: Pulse,
    now: Timestamp,
}

impl Bench {
    fn new(config: PulseConfigBuilder) -> Self {
        let now = Timestamp::from_secs(1_000);
        let mut pulse = Pulse::new(config.build().unwrap(), now);
        assert!(pulse.poll_collect().is_some(), "the first pulse is due at once");
        Self { pulse, now }
    }

    /// Connected, warm, without a subscription, and past its first pulse.
    fn running(config: PulseConfigBuilder) -> Self {
        let mut bench = Self::new(config);
        for expected in ["connect", "snapshot"] {
            let transmit = bench.transmit().unwrap();
            assert_eq!(transmit.request.name(), expected);
            bench.succeed(&transmit);
        }
        let subscribe = bench.transmit().unwrap();
        assert_eq!(subscribe.request, Request::Subscribe);
        bench.pulse.handle_subscribed(subscribe.id, false, bench.now);
        bench.beat(&[]);
        bench
    }

    fn draw() -> UnitInterval {
        UnitInterval::try_new(1.0).unwrap()
    }

    fn advance(&mut self, by: Duration) {
        self.now = self.now.saturating_add(by);
        self.pulse.handle_timeout(self.now, Self::draw());
    }

    /// One interval later the source reports `changes`.
    fn beat(&mut self, changes: &[(&str, PhysicsVector)]) {
        self.advance(self.pulse.config().interval());
        self.report(changes);
    }

    fn report(&mut self, changes: &[(&str, PhysicsVector)]) {
        let mut collector = self.pulse.poll_collect().expect("a visit is due");
        for (route, vector) in changes {
            collector.push(&Arc::from(*route), *vector);
        }
    }

    fn transmit(&mut self) -> Option<Transmit> {
        self.pulse.poll_transmit(self.now)
    }

    fn succeed(&mut self, transmit: &Transmit) {
        self.pulse.handle_completed(transmit.id, Ok(()), self.now, Self::draw());
    }

    fn fail(&mut self, transmit: &Transmit, error: &ProviderError) {
        self.pulse.handle_completed(transmit.id, Err(error), self.now, Self::draw());
    }

    /// The next call, which must be a push, as names and ohms.
    fn push(&mut self) -> (Transmit, Vec<(String, f64)>) {
        let transmit = self.transmit().expect("something to send");
        let Request::Push(batch) = &transmit.request else {
            panic!("expected a push, got {transmit:?}");
        };
        let batch = contents(batch);
        (transmit, batch)
    }

    fn push_ok(&mut self) -> Vec<(String, f64)> {
        let (transmit, batch) = self.push();
        self.succeed(&transmit);
        batch
    }

    fn wait(&self) -> Duration {
        self.pulse.poll_timeout().unwrap().since(self.now)
    }
}

fn contents(batch: &[RouteVector]) -> Vec<(String, f64)> {
    batch.iter().map(|change| (change.route.to_string(), change.vector.resistance.get())).collect()
}

fn sent(route: &str, ohms: f64) -> (String, f64) {
    (route.to_owned(), ohms)
}

fn away() -> ProviderError {
    ProviderError::unavailable("update_vectors", "connection reset")
}

fn refused() -> ProviderError {
    ProviderError::refused("update_vectors", "no permission")
}

#[test]
fn sets_up_in_order_then_sends_what_changed() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.beat(&[("a", vector(1, 10.0)), ("b", vector(1, 20.0))]);
    assert_eq!(bench.push_ok(), [sent("a", 10.0), sent("b", 20.0)]);
    assert_eq!(bench.transmit(), None);
    assert_eq!(bench.pulse.stats().delivered, 2);
    assert_eq!(bench.pulse.stats().pending, 0);
    assert!(bench.pulse.is_healthy());
}

#[test]
fn nothing_is_sent_before_the_source_was_visited_and_one_call_is_under_way_at_a_time() {
    let mut bench = Bench::running(PulseConfig::builder().max_batch(1));
    bench.advance(Duration::from_millis(100));
    assert_eq!(bench.transmit(), None, "the visit comes first");
    bench.report(&[("a", vector(1, 10.0)), ("b", vector(1, 20.0))]);
    let (first, _) = bench.push();
    assert_eq!(bench.transmit(), None);
    assert_eq!(bench.pulse.in_flight(), Some(first.id));
    bench.succeed(&first);
    assert_eq!(bench.push_ok(), [sent("b", 20.0)]);
}

#[test]
fn the_latest_vector_wins_and_keeps_its_place() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.beat(&[("a", vector(1, 10.0)), ("b", vector(1, 20.0)), ("a", vector(2, 30.0))]);
    assert_eq!(bench.push_ok(), [sent("a", 30.0), sent("b", 20.0)]);
    assert_eq!(bench.pulse.stats().coalesced, 1);
}

#[test]
fn a_route_is_sent_once_per_pulse() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.beat(&[("a", vector(1, 10.0))]);
    assert_eq!(bench.push_ok(), [sent("a", 10.0)]);
    assert!(bench.pulse.handle_change(&Arc::from("a"), vector(2, 20.0)));
    assert_eq!(bench.transmit(), None, "waits for the next pulse");
    bench.beat(&[]);
    assert_eq!(bench.push_ok(), [sent("a", 20.0)]);
}

#[test]
fn changes_within_the_dead_band_are_not_sent_and_drift_does_not_escape_it() {
    let band =
        DeadBand { resistance: atrion_core::units::Ohms::try_new(1.0).unwrap(), ..DeadBand::NONE };
    let mut bench =
        Bench::running(PulseConfig::builder().dead_band(band).heartbeat(Duration::from_secs(60)));
    bench.beat(&[("a", vector(1, 10.0))]);
    assert_eq!(bench.push_ok(), [sent("a", 10.0)]);
    for step in 1..=10_u32 {
        bench.beat(&[("a", vector(1, 10.0 + f64::from(step) / 10.0))]);
        assert_eq!(bench.transmit(), None, "step {step}");
    }
    bench.beat(&[("a", vector(1, 11.1))]);
    assert_eq!(bench.push_ok(), [sent("a", 11.1)]);
    assert_eq!(bench.pulse.stats().within_dead_band, 10);
}

#[test]
fn the_dead_band_looks_at_every_part() {
    use atrion_core::units::{Evidence, Ohms, PerSecond};
    use atrion_core::vector::Stance;
    let band = DeadBand::default();
    let base = PhysicsVector { evidence: Evidence::try_new(100.0).unwrap(), ..vector(1, 10.0) };
    let later = |millis| PhysicsVector { timestamp: Timestamp::from_millis(millis), ..base };
    assert!(band.contains(&base, &later(250)), "a moment later is no news");
    assert!(!band.contains(&base, &later(251)), "silence would be taken for absence");
    let inside = PhysicsVector {
        resistance: Ohms::try_new(10.05).unwrap(),
        evidence: Evidence::try_new(120.0).unwrap(),
        ..base
    };
    assert!(band.contains(&base, &inside) && band.contains(&inside, &base));
    for outside in [
        PhysicsVector { resistance: Ohms::try_new(10.2).unwrap(), ..base },
        PhysicsVector { scar_tissue: Ohms::try_new(0.2).unwrap(), ..base },
        PhysicsVector { momentum: PerSecond::try_new(0.2).unwrap(), ..base },
        PhysicsVector { evidence: Evidence::try_new(140.0).unwrap(), ..base },
        PhysicsVector { demand: PerSecond::try_new(1.0).unwrap(), ..base },
        PhysicsVector { stance: Stance { good: true, ..Stance::CALM }, ..base },
    ] {
        assert!(!band.contains(&base, &outside), "{outside:?}");
        assert!(!band.contains(&outside, &base), "{outside:?}");
        assert!(!DeadBand::NONE.contains(&base, &outside));
    }
    assert!(DeadBand::NONE.contains(&base, &base));
}

#[test]
fn a_quiet_node_says_so_once_per_heartbeat() {
    let mut bench = Bench::running(PulseConfig::builder());
    let change = [("a", vector(1, 10.0))];
    let mut beats = Vec::new();
    for pulse in 1..=40 {
        bench.beat(if pulse == 15 { &change } else { &[] });
        if let Some(transmit) = bench.transmit() {
            let Request::Push(batch) = &transmit.request else {
                panic!("{transmit:?}");
            };
            beats.push((pulse, batch.len()));
            bench.succeed(&transmit);
        }
    }
    // The bench made one pulse before; a push counts as a sign of life too.
    assert_eq!(beats, [(9, 0), (15, 1), (25, 0), (35, 0)]);
    assert_eq!(bench.pulse.stats().heartbeats, 3);
}

#[test]
fn a_full_buffer_refuses_new_routes_but_not_news_of_those_that_wait() {
    let mut bench = Bench::running(PulseConfig::builder().max_routes(2));
    bench.beat(&[]);
    let mut offer =
        |route: &str, ohms| bench.pulse.handle_change(&Arc::from(route), vector(1, ohms));
    assert!(offer("a", 10.0) && offer("b", 20.0));
    assert!(!offer("c", 30.0));
    assert!(offer("a", 11.0));
    assert!(offer(&"x".repeat(600), 1.0), "dropped for good, so taken");
    let stats = bench.pulse.stats();
    assert_eq!((stats.refused_full, stats.refused_name, stats.pending), (1, 1, 2));
    assert_eq!(bench.pulse.room(), 0);
    bench.beat(&[]);
    let (transmit, batch) = bench.push();
    assert_eq!(batch, [sent("a", 11.0), sent("b", 20.0)]);
    assert!(!bench.pulse.handle_change(&Arc::from("c"), vector(1, 30.0)), "in flight counts");
    bench.succeed(&transmit);
    assert!(bench.pulse.handle_change(&Arc::from("c"), vector(1, 30.0)));
}

#[test]
fn a_forgotten_route_is_not_sent() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.beat(&[("a", vector(1, 10.0)), ("b", vector(1, 20.0))]);
    bench.pulse.handle_forget("a");
    assert_eq!(bench.push_ok(), [sent("b", 20.0)]);
}

#[test]
fn pulses_slept_through_are_not_made_up_for() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.advance(Duration::from_secs(3_600));
    bench.report(&[]);
    assert!(bench.pulse.poll_collect().is_none());
    assert_eq!(bench.wait(), Duration::from_millis(100));
}

#[test]
fn a_clock_put_back_delays_nothing() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.now = Timestamp::from_secs(3);
    bench.pulse.handle_timeout(bench.now, Bench::draw());
    assert!(bench.pulse.poll_collect().is_none());
    assert_eq!(bench.wait(), Duration::from_millis(100));
    bench.beat(&[("a", vector(1, 10.0))]);
    assert_eq!(bench.push_ok(), [sent("a", 10.0)]);
}

#[test]
fn a_flush_does_not_wait_for_the_pulse_and_reports_its_end() {
    let mut bench = Bench::running(PulseConfig::builder().max_batch(2));
    assert_eq!(bench.pulse.poll_flushed(), None);
    bench.pulse.handle_flush(bench.now);
    assert_eq!(bench.pulse.poll_flushed(), None, "the source comes first");
    bench.report(&[("a", vector(1, 1.0)), ("b", vector(1, 2.0)), ("c", vector(1, 3.0))]);
    assert_eq!(bench.push_ok().len(), 2);
    assert_eq!(bench.pulse.poll_flushed(), None);
    assert_eq!(bench.push_ok().len(), 1);
    let report = bench.pulse.poll_flushed().unwrap();
    assert_eq!((report.delivered, report.undelivered), (3, 0));
    assert_eq!(bench.pulse.poll_flushed(), None);

    bench.pulse.handle_flush(bench.now);
    bench.report(&[("a", vector(2, 9.0))]);
    let (transmit, _) = bench.push();
    bench.fail(&transmit, &away());
    let report = bench.pulse.poll_flushed().unwrap();
    assert_eq!((report.delivered, report.undelivered), (0, 1));

    // Without a connection there is nothing to wait for either.
    bench.pulse.handle_flush(bench.now);
    bench.report(&[]);
    let (transmit, _) = bench.push();
    bench.fail(&transmit, &ProviderError::NotConnected);
    assert_eq!(bench.pulse.poll_flushed().unwrap().undelivered, 1);
}

#[test]
fn a_snapshot_that_lies_is_cut_to_size_and_dated_now() {
    let mut bench = Bench::new(PulseConfig::builder().max_routes(2));
    let snapshot = vec![
        RouteVector::new("x".repeat(600), vector(1, 1.0)),
        RouteVector::new("a", PhysicsVector { timestamp: Timestamp::MAX, ..vector(1, 2.0) }),
        RouteVector::new("b", vector(1, 3.0)),
        RouteVector::new("c", vector(1, 4.0)),
    ];
    let taken = bench.pulse.handle_snapshot(snapshot, bench.now);
    assert_eq!(contents(&taken), [sent("a", 2.0), sent("b", 3.0)]);
    assert_eq!(taken[0].vector.timestamp, bench.now);
}

#[test]
fn a_source_that_panicked_is_asked_for_everything() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.beat(&[]);
    bench.advance(Duration::from_millis(100));
    assert!(!bench.pulse.poll_collect().unwrap().wants_all());
    bench.pulse.handle_source_panic();
    bench.advance(Duration::from_millis(100));
    assert!(bench.pulse.poll_collect().unwrap().wants_all());
}

#[test]
fn the_default_settings_are_valid_and_each_bound_is_checked() {
    assert_eq!(PulseConfig::builder().build(), Ok(PulseConfig::default()));
    let zero = Duration::ZERO;
    let year = Duration::from_secs(365 * 86_400);
    let of = PulseConfig::builder;
    let refused: [(PulseConfigBuilder, &str); 14] = [
        (of().interval(zero), "pulse.interval"),
        (of().interval(year), "pulse.interval"),
        (of().heartbeat(zero), "pulse.heartbeat"),
        (of().heartbeat(Duration::from_millis(99)), "pulse.heartbeat"),
        (of().operation_timeout(zero), "pulse.operation_timeout"),
        (of().flush_timeout(year), "pulse.flush_timeout"),
        (of().backoff(zero, year), "pulse.backoff.base"),
        (of().backoff(Duration::from_secs(1), year), "pulse.backoff.cap"),
        (of().backoff(Duration::from_secs(2), Duration::from_secs(1)), "pulse.backoff.base"),
        (of().warn_interval(zero), "pulse.warn_interval"),
        (of().remote_max_age(year), "pulse.remote_max_age"),
        (of().max_batch(0), "pulse.max_batch"),
        (of().max_routes(0), "pulse.max_routes"),
        (of().max_routes(usize::MAX), "pulse.max_routes"),
    ];
    for (builder, field) in refused {
        let error = builder.build().unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn events_of_a_driver_that_fetches_none_are_bounded() {
    let mut bench = Bench::new(PulseConfig::builder().warn_interval(Duration::from_secs(1)));
    for _ in 0..200 {
        bench.advance(Duration::from_secs(10));
        bench.report(&[]);
        let transmit = bench.transmit().unwrap();
        bench.fail(&transmit, &away());
    }
    let events: VecDeque<PulseEvent> = std::iter::from_fn(|| bench.pulse.poll_event()).collect();
    assert_eq!(events.len(), 16);
}
