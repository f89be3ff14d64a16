//! Failures, backoff, warnings, and the property that nothing is lost.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[test]
fn a_failed_batch_is_sent_again_at_the_front_unless_something_newer_waits() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.beat(&[("a", vector(1, 10.0)), ("b", vector(1, 20.0))]);
    let (transmit, _) = bench.push();
    bench.pulse.handle_change(&Arc::from("c"), vector(1, 30.0));
    bench.pulse.handle_change(&Arc::from("b"), vector(2, 21.0));
    bench.fail(&transmit, &away());
    assert_eq!(bench.transmit(), None, "not before the backoff has passed");
    bench.advance(Duration::from_millis(100));
    bench.report(&[]);
    assert_eq!(bench.push_ok(), [sent("a", 10.0), sent("c", 30.0), sent("b", 21.0)]);
}

#[test]
fn what_failed_does_not_wait_for_the_next_pulse() {
    let slow = PulseConfig::builder().interval(Duration::from_secs(10));
    let mut bench = Bench::running(slow.heartbeat(Duration::from_secs(60)));
    bench.beat(&[("a", vector(1, 10.0))]);
    let (transmit, _) = bench.push();
    bench.fail(&transmit, &away());
    assert_eq!(bench.wait(), Duration::from_millis(100));
    bench.advance(bench.wait());
    assert_eq!(bench.push_ok(), [sent("a", 10.0)]);
}

#[test]
fn an_unknown_outcome_is_not_taken_for_the_old_value() {
    // The store may hold 50 although the call failed. Returning to the 10 that was confirmed
    // before is then news, however small the dead band makes it look.
    let mut bench = Bench::running(PulseConfig::builder());
    bench.beat(&[("a", vector(1, 10.0))]);
    bench.push_ok();
    bench.beat(&[("a", vector(2, 50.0))]);
    let (transmit, _) = bench.push();
    bench.fail(&transmit, &away());
    bench.beat(&[("a", vector(3, 10.0))]);
    assert_eq!(bench.push_ok(), [sent("a", 10.0)]);
}

#[test]
fn the_backoff_doubles_up_to_its_cap_and_ends_with_the_first_success() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.beat(&[("a", vector(1, 10.0))]);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let (transmit, _) = bench.push();
        bench.fail(&transmit, &away());
        let failed_at = bench.now;
        while bench.pulse.link.retry_at().is_some() {
            bench.advance(bench.wait());
            // Pulses go on meanwhile.
            if bench.pulse.poll_collect().is_some() {
                assert!(bench.pulse.link.retry_at().is_none() || bench.transmit().is_none());
            }
        }
        waits.push(bench.now.since(failed_at).as_millis());
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    bench.push_ok();
    bench.beat(&[("a", vector(2, 99.0))]);
    let (transmit, _) = bench.push();
    bench.fail(&transmit, &away());
    assert_eq!(bench.wait(), Duration::from_millis(100));
}

#[test]
fn a_call_that_hangs_is_given_up_at_its_deadline_and_its_late_end_ignored() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.beat(&[("a", vector(1, 10.0))]);
    let (hung, _) = bench.push();
    for _ in 0..9 {
        bench.beat(&[]);
        assert_eq!(bench.pulse.in_flight(), Some(hung.id));
    }
    bench.beat(&[("a", vector(2, 11.0))]);
    assert_eq!(bench.pulse.in_flight(), None);
    assert_eq!(bench.pulse.stats().timeouts, 1);
    bench.succeed(&hung);
    assert_eq!(bench.pulse.stats().delivered, 0);
    bench.beat(&[]);
    assert_eq!(bench.push_ok(), [sent("a", 11.0)]);
}

#[test]
fn a_lost_connection_is_made_again_and_everything_asked_for() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.beat(&[("a", vector(1, 10.0))]);
    bench.push_ok();
    bench.beat(&[("b", vector(1, 20.0))]);
    let (transmit, _) = bench.push();
    bench.fail(&transmit, &ProviderError::NotConnected);
    assert!(!bench.pulse.is_healthy());
    bench.beat(&[]);
    let connect = bench.transmit().unwrap();
    assert_eq!(connect.request, Request::Connect);
    bench.succeed(&connect);
    assert_eq!(bench.push_ok(), [sent("b", 20.0)]);
    bench.advance(Duration::from_millis(100));
    let mut collector = bench.pulse.poll_collect().unwrap();
    assert!(collector.wants_all());
    collector.push(&Arc::from("a"), vector(1, 10.0));
    assert_eq!(bench.push_ok(), [sent("a", 10.0)], "the store may have lost it");
}

#[test]
fn a_batch_refused_for_good_holds_up_nothing_else() {
    let mut bench = Bench::running(PulseConfig::builder());
    let changes: Vec<(String, PhysicsVector)> =
        (0..64).map(|index| (index.to_string(), vector(1, 10.0 + f64::from(index)))).collect();
    let changes: Vec<(&str, PhysicsVector)> =
        changes.iter().map(|(route, vector)| (&**route, *vector)).collect();
    bench.beat(&changes);
    // A provider that will not take route 13, and refuses every batch with it.
    for _ in 0..2_000 {
        if bench.pulse.stats().delivered == 63 {
            break;
        }
        let Some(transmit) = bench.transmit() else {
            bench.advance(bench.wait());
            bench.pulse.poll_collect();
            continue;
        };
        let Request::Push(batch) = &transmit.request else {
            panic!("{transmit:?}");
        };
        if batch.iter().any(|change| &*change.route == "13") {
            bench.fail(&transmit, &refused());
        } else {
            bench.succeed(&transmit);
        }
    }
    let stats = bench.pulse.stats();
    assert_eq!((stats.delivered, stats.pending), (63, 1), "{stats:?}");
}

#[test]
fn a_snapshot_that_is_refused_for_good_does_not_keep_us_from_sending() {
    let mut bench = Bench::new(PulseConfig::builder());
    let connect = bench.transmit().unwrap();
    bench.succeed(&connect);
    let snapshot = bench.transmit().unwrap();
    bench.fail(&snapshot, &away());
    bench.beat(&[("a", vector(1, 10.0))]);
    let again = bench.transmit().unwrap();
    assert_eq!(again.request, Request::WarmStart);
    bench.fail(&again, &refused());
    bench.beat(&[]);
    bench.beat(&[]);
    let subscribe = bench.transmit().unwrap();
    bench.pulse.handle_subscribed(subscribe.id, false, bench.now);
    assert_eq!(bench.push_ok(), [sent("a", 10.0)]);
}

#[test]
fn an_outage_is_warned_of_once_then_at_a_bounded_rate_and_its_end_reported() {
    let mut bench = Bench::running(PulseConfig::builder());
    let mut unhealthy = Vec::new();
    let start = bench.now;
    while bench.now.since(start) < Duration::from_secs(150) {
        bench.beat(&[("a", vector(1, 10.0))]);
        if let Some(transmit) = bench.transmit() {
            bench.fail(&transmit, &away());
        }
        while let Some(event) = bench.pulse.poll_event() {
            let PulseEvent::Unhealthy { reason, .. } = event else {
                panic!("{event:?}");
            };
            assert!(reason.ends_with("unavailable: connection reset"), "{reason}");
            unhealthy.push(bench.now.since(start).as_secs());
        }
    }
    assert_eq!(unhealthy.len(), 3, "{unhealthy:?}");
    bench.pulse.handle_flush(bench.now);
    bench.report(&[]);
    bench.push_ok();
    assert!(matches!(bench.pulse.poll_event(), Some(PulseEvent::Healthy { .. })));
    assert!(bench.pulse.is_healthy());
}

#[test]
fn a_provider_that_works_from_memory_is_unhealthy_but_sent_to() {
    let mut bench = Bench::running(PulseConfig::builder());
    bench.pulse.handle_health(Health::Degraded, None, bench.now, Bench::draw());
    assert!(!bench.pulse.is_healthy());
    assert!(matches!(bench.pulse.poll_event(), Some(PulseEvent::Unhealthy { .. })));
    bench.beat(&[("a", vector(1, 10.0))]);
    assert_eq!(bench.push_ok(), [sent("a", 10.0)]);
    assert!(!bench.pulse.is_healthy());
    bench.pulse.handle_health(Health::Healthy, None, bench.now, Bench::draw());
    assert!(bench.pulse.is_healthy());
    bench.pulse.handle_health(Health::Disconnected, None, bench.now, Bench::draw());
    bench.beat(&[]);
    assert_eq!(bench.transmit().unwrap().request, Request::Connect);
}

/// What the store does with a call.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Stored,
    Failed,
    StoredButFailed,
    Refused,
    Lost,
    Hangs,
    StoredButHangs,
    Panicked,
}

#[derive(Clone, Debug)]
enum Step {
    Change(u8, u8),
    Advance(u16),
    PutBack(u16),
    Answer(Fate),
    Forget(u8),
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Fate::*;
    let fate = prop::sample::select(vec![
        Stored,
        Stored,
        Failed,
        StoredButFailed,
        Refused,
        Lost,
        Hangs,
        StoredButHangs,
        Panicked,
    ]);
    let step = prop_oneof![
        4 => (0..8_u8, 0..40_u8).prop_map(|(route, ohms)| Step::Change(route, ohms)),
        3 => (0..400_u16).prop_map(Step::Advance),
        1 => (0..5_000_u16).prop_map(Step::PutBack),
        4 => fate.prop_map(Step::Answer),
        1 => (0..8_u8).prop_map(Step::Forget),
        1 => Just(Step::Flush),
    ];
    prop::collection::vec(step, 0..200)
}

/// The machine, a store with a mind of its own, and what each route is now.
struct World {
    bench: Bench,
    source: HashMap<Arc<str>, PhysicsVector>,
    unreported: Vec<Arc<str>>,
    store: HashMap<Arc<str>, PhysicsVector>,
    in_flight: Option<Transmit>,
    sent_this_round: Vec<Arc<str>>,
    written: u64,
    failures: u64,
}

const ROOM: usize = 6;

impl World {
    fn new() -> Self {
        let config = PulseConfig::builder().max_routes(ROOM).max_batch(2).dead_band(DeadBand {
            resistance: atrion_core::units::Ohms::try_new(2.0).unwrap(),
            ..DeadBand::NONE
        });
        Self {
            bench: Bench::new(config),
            source: HashMap::new(),
            unreported: Vec::new(),
            store: HashMap::new(),
            in_flight: None,
            sent_this_round: Vec::new(),
            written: 0,
            failures: 0,
        }
    }

    fn drain(&mut self) {
        let failed = self.bench.pulse.stats().failures != self.failures;
        self.failures = self.bench.pulse.stats().failures;
        if let Some(mut collector) = self.bench.pulse.poll_collect() {
            self.sent_this_round.clear();
            if collector.wants_all() {
                self.unreported = self.source.keys().cloned().collect();
            }
            let source = &self.source;
            self.unreported.retain(|route| {
                source.get(route).is_some_and(|vector| !collector.push(route, *vector))
            });
        }
        if failed {
            self.sent_this_round.clear();
        }
        while let Some(transmit) = self.bench.transmit() {
            assert!(self.in_flight.is_none(), "two calls at once");
            match &transmit.request {
                Request::Subscribe => {
                    let now = self.bench.now;
                    self.bench.pulse.handle_subscribed(transmit.id, false, now);
                    continue;
                }
                Request::Push(batch) => {
                    assert!(batch.len() <= 2);
                    for change in &**batch {
                        assert!(
                            !self.sent_this_round.contains(&change.route),
                            "{} twice in a pulse",
                            change.route
                        );
                        self.sent_this_round.push(Arc::clone(&change.route));
                    }
                }
                _ => {}
            }
            self.in_flight = Some(transmit);
        }
        self.in_flight.take_if(|call| self.bench.pulse.in_flight() != Some(call.id));
        assert!(self.bench.pulse.stats().pending as usize <= ROOM);
        let timeout = self.bench.pulse.poll_timeout().unwrap();
        assert!(timeout > self.bench.now, "a driver would spin");
    }

    fn store(&mut self) {
        if let Some(Transmit { request: Request::Push(batch), .. }) = &self.in_flight {
            for change in &**batch {
                let held = self.store.get(&change.route);
                if held.is_none_or(|held| held.timestamp <= change.vector.timestamp) {
                    self.store.insert(Arc::clone(&change.route), change.vector);
                }
            }
        }
    }

    fn answer(&mut self, fate: Fate) {
        if matches!(fate, Fate::Stored | Fate::StoredButFailed | Fate::StoredButHangs) {
            self.store();
        }
        if matches!(fate, Fate::Hangs | Fate::StoredButHangs) {
            return;
        }
        let Some(call) = self.in_flight.take() else {
            return;
        };
        match fate {
            Fate::Stored => self.bench.succeed(&call),
            Fate::Refused => self.bench.fail(&call, &refused()),
            Fate::Lost => {
                self.store.clear();
                self.bench.fail(&call, &ProviderError::NotConnected);
            }
            Fate::Panicked => self.bench.fail(
                &call,
                &ProviderError::Panicked { operation: "update_vectors", message: String::new() },
            ),
            _ => self.bench.fail(&call, &away()),
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Change(route, ohms) => {
                self.written += 1;
                let route: Arc<str> = Arc::from(route.to_string());
                let vector = vector(self.written, f64::from(ohms));
                self.source.insert(Arc::clone(&route), vector);
                if !self.unreported.contains(&route) {
                    self.unreported.push(route);
                }
            }
            Step::Advance(millis) => self.bench.advance(Duration::from_millis(millis.into())),
            Step::PutBack(millis) => {
                let back = Duration::from_millis(millis.into());
                self.bench.now = Timestamp::from_nanos(
                    self.bench.now.as_nanos().saturating_sub(back.as_nanos() as u64),
                );
                self.bench.pulse.handle_timeout(self.bench.now, Bench::draw());
            }
            Step::Answer(fate) => self.answer(fate),
            Step::Forget(route) => {
                let route = route.to_string();
                self.source.remove(&*route);
                self.unreported.retain(|other| **other != *route);
                self.bench.pulse.handle_forget(&route);
            }
            Step::Flush => self.bench.pulse.handle_flush(self.bench.now),
        }
        self.drain();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// Whatever fails in whatever order: once calls succeed, the store holds the latest vector of
    /// each route, or one within the dead band of it. On the way memory is bounded, one call is
    /// under way at a time, a route is sent once per pulse, and the driver never spins.
    #[test]
    fn nothing_is_lost_under_any_interleaving_of_failures(steps in steps()) {
        let mut world = World::new();
        world.drain();
        for step in &steps {
            world.take(step);
        }
        for _ in 0..2_000 {
            world.take(&Step::Answer(Fate::Stored));
            world.take(&Step::Advance(25));
        }
        prop_assert_eq!(world.bench.pulse.stats().pending, 0);
        prop_assert!(world.bench.pulse.is_healthy());
        let band = world.bench.pulse.config().dead_band();
        for (route, latest) in &world.source {
            let held = world.store.get(route);
            prop_assert!(
                held.is_some_and(|held| band.contains(held, latest)),
                "{}: the store has {:?}, the latest is {:?}", route, held, latest
            );
        }
    }
}
