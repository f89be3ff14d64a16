use core::time::Duration;

use proptest::prelude::*;

use crate::breaker::{Decision, Mode, RouteState, update_physics};
use crate::config::PhysicsConfig;
use crate::flow::Priority;
use crate::telemetry::{Telemetry, TelemetryBuilder};
use crate::time::Timestamp;

const PLACES: f64 = 16.0;

fn at(tick: u64) -> Timestamp {
    Timestamp::from_millis(100 * tick)
}

fn with(in_flight: u64, ended: u64) -> TelemetryBuilder {
    let saturation = in_flight as f64 / PLACES;
    Telemetry::builder().saturation(saturation).in_flight(in_flight).outcomes(ended, 0)
}

/// Sixteen places that end 800 a second; reports every 100 ms of 11 in flight and 56 ended.
fn calm() -> (RouteState, Decision) {
    let config = PhysicsConfig::default();
    let start = RouteState::new(at(0), &config);
    let step = |(state, _): (RouteState, Decision), tick| {
        update_physics(&state, with(11, 56), at(tick), &config).unwrap()
    };
    (1..=100).fold((start, start.decision(at(0), &config)), step)
}

/// How many pass at once, `secs` after the report.
fn most(decision: &Decision, priority: Priority, secs: f64) -> u64 {
    let since = Duration::from_secs_f64(secs);
    (0..1_000_000).find(|n| !decision.flow_after(priority, *n, since).passes()).unwrap()
}

#[test]
fn reports_show_size_and_speed() {
    let outlook = calm().1.outlook.unwrap();
    assert!((outlook.places() - PLACES).abs() < 1e-9);
    assert!((outlook.drain_per_sec() / 814.5 - 1.0).abs() < 0.01, "{outlook:?}");
    let later = outlook.in_flight(20, Duration::from_millis(10));
    assert!((later - (11.0 + 20.0 - 8.1)).abs() < 0.1, "{later}");
}

/// Between two reports of 100 ms a flash crowd of any size puts less than two bare service times of
/// work before the service.
#[test]
fn a_surge_between_two_reports_meets_the_resistance_it_causes() {
    let (_, decision) = calm();
    assert!(decision.flow(Priority::Bulk).passes(), "calm at the report");
    for priority in Priority::ALL {
        let at_once = most(&decision, priority, 0.0) as f64;
        assert!(at_once > PLACES - 11.0, "{priority}: what has a place passes, {at_once}");
        assert!(11.0 + at_once < 6.0 * PLACES, "{priority}: {at_once} at once");
        let tenth = most(&decision, priority, 0.1) as f64;
        assert!(
            (tenth - at_once - 82.5).abs() <= 2.5,
            "{priority}: what ended makes room: {tenth}"
        );
    }
    let limits = Priority::ALL.map(|priority| most(&decision, priority, 0.0));
    assert!(limits.is_sorted() && limits[0] < limits[4], "by priority: {limits:?}");
}

#[test]
fn a_slower_service_gets_a_shorter_queue() {
    let config = PhysicsConfig::default();
    let (mut state, before) = calm();
    let mut decision = before;
    for tick in 101..150 {
        (state, decision) = update_physics(&state, with(20, 12), at(tick), &config).unwrap();
    }
    let room =
        |decision: &Decision, n: f64| most(decision, Priority::Normal, 0.0) as f64 + n - PLACES;
    assert!(room(&decision, 20.0) < 0.75 * room(&before, 11.0), "{decision:?}");
}

#[test]
fn without_an_in_flight_count_a_decision_stays_as_it_was() {
    let config = PhysicsConfig::builder().bootstrap_secs(0.0).build().unwrap();
    let full = Telemetry::builder().saturation(1.2).outcomes(80, 0);
    let start = RouteState::new(at(0), &config);
    let (_, decision) = update_physics(&start, full, at(1), &config).unwrap();
    assert_eq!(decision.outlook, None);
    for priority in Priority::ALL {
        let later = decision.flow_after(priority, 1_000, Duration::from_secs(1));
        assert_eq!(later, decision.flow(priority), "{priority}");
    }
}

/// A count that is not repeated must not keep anybody out, whatever else is reported meanwhile.
#[test]
fn a_count_that_is_no_longer_reported_ends() {
    let config = PhysicsConfig::default();
    let outcomes = Telemetry::builder().outcomes(80, 0);
    for other in [outcomes, outcomes.saturation(0.5)] {
        let (mut state, mut decision) =
            update_physics(&calm().0, with(1_000, 0), at(101), &config).unwrap();
        assert!(!decision.flow(Priority::Critical).passes());
        for tick in 102..200 {
            (state, decision) = update_physics(&state, other, at(tick), &config).unwrap();
        }
        assert!(decision.flow(Priority::Bulk).passes(), "{other:?}: {decision:?}");
    }
}

/// A new route has nothing but its first report, of a service that is overrun already.
#[test]
fn a_start_inside_an_overload_is_bounded_from_the_first_report_on() {
    let config = PhysicsConfig::default();
    let start = RouteState::new(at(0), &config);
    let (_, decision) = update_physics(&start, with(160, 80), at(1), &config).unwrap();
    assert_eq!(decision.mode, Mode::Bootstrap);
    assert!(!decision.flow(Priority::Critical).passes(), "{decision:?}");
    let later = |priority| most(&decision, priority, 0.2);
    assert!(later(Priority::Critical) > later(Priority::Bulk), "when the queue is shorter");
}

/// Who is refused has no failures to report: at 20 V the scar would swing around 20 ohm for ever.
#[test]
fn an_outage_opens_at_any_interval_and_probes_end_it() {
    let config = PhysicsConfig::default();
    for millis in [10, 20, 50, 100, 250, 1_000] {
        let mut healed = None;
        let mut state = RouteState::new(at(0), &config);
        let mut decision = state.decision(at(0), &config);
        let (mut opened, mut reached) = (false, 0);
        for tick in 1..=60_000 / millis {
            let now = Timestamp::from_millis(millis * tick);
            let dead = (20_000..40_000).contains(&(millis * tick));
            // As many ask as fit; whoever passes has its answer by the next report.
            let since = Duration::from_millis(millis);
            let passed = (0..millis)
                .take_while(|n| decision.flow_after(Priority::Normal, *n, since).passes());
            let passed = passed.count() as u64;
            reached += if dead { passed } else { 0 };
            let (ok, failed) = if dead { (0, passed) } else { (passed, 0) };
            let sample = Telemetry::builder().saturation(0.1).in_flight(1).outcomes(ok, failed);
            (state, decision) = update_physics(&state, sample, now, &config).unwrap();
            opened |= decision.mode == Mode::CircuitBreaker;
            if !dead && millis * tick > 40_000 && decision.mode == Mode::Operational {
                healed = healed.or(Some(millis * tick - 40_000));
            }
        }
        assert!(opened, "every {millis} ms");
        assert!(reached <= 1_000 + 2 * millis, "every {millis} ms: {reached} of 20000");
        let healed = healed.expect("it heals");
        assert!(healed <= 1_000 + 6 * millis, "every {millis} ms: after {healed} ms");
    }
}

#[test]
fn probes_that_fail_keep_the_circuit_open() {
    let config = PhysicsConfig::default();
    let mut state = RouteState::new(at(0), &config);
    let mut looked = 0;
    for tick in 1..=600 {
        let open = state.mode() == Mode::CircuitBreaker;
        let sample =
            Telemetry::builder().saturation(0.0).outcomes(0, if open { looked } else { 10 });
        let (next, decision) = update_physics(&state, sample, at(tick), &config).unwrap();
        looked = u64::from(decision.probes);
        state = next;
        assert!(looked <= 1, "one at a time while they fail: {looked}");
    }
    assert_eq!(state.mode(), Mode::CircuitBreaker);
}

proptest! {
    /// More admitted never means less resistance, more time never more, and both are bounded.
    #[test]
    fn resistance_follows_what_was_let_through(
        in_flight in 0..=crate::telemetry::REQUESTS_MAX, saturation in 0.0..=1e3_f64,
        ended in 0..=crate::telemetry::REQUESTS_MAX,
        a in any::<u64>(), b in any::<u64>(), t in any::<u64>(), u in any::<u64>(),
    ) {
        let config = PhysicsConfig::builder().bootstrap_secs(0.0).build().unwrap();
        let sample = Telemetry::builder()
            .saturation(saturation).in_flight(in_flight).outcomes(ended, 0);
        let start = RouteState::new(at(0), &config);
        let (_, decision) = update_physics(&start, sample, at(1), &config).unwrap();
        let r = |n, nanos| decision.resistance_after(n, Duration::from_nanos(nanos));
        prop_assert!(r(a.min(b), t) <= r(a.max(b), t));
        prop_assert!(r(a, t.max(u)) <= r(a, t.min(u)));
        prop_assert!(r(u64::MAX, 0).get() <= config.ceiling_ohms());
        prop_assert_eq!(decision.resistance(), r(0, 0));
    }
}

mod pace {
    use crate::breaker::outlook::Pace;
    use crate::config::PhysicsConfig;
    use crate::telemetry::{Telemetry, TelemetryBuilder};

    const MEMORY_SECS: f64 = 4.0;

    fn observe(pace: &mut Pace, sample: TelemetryBuilder, secs: f64) {
        pace.observe(&sample.build().unwrap(), secs, secs, MEMORY_SECS);
    }

    fn counted(in_flight: u64, saturation: f64) -> TelemetryBuilder {
        Telemetry::builder().in_flight(in_flight).saturation(saturation)
    }

    #[test]
    fn what_is_not_reported_again_fades() {
        let mut pace = Pace { in_flight: 10.0, places: 16.0, ..Pace::default() };
        observe(&mut pace, Telemetry::builder().latency_secs(0.1), 2.0);
        assert!((pace.in_flight - 10.0 * crate::math::exp(-0.5)).abs() < 1e-9, "{pace:?}");
    }

    #[test]
    fn places_are_learned_from_a_count_and_a_share_that_are_not_zero() {
        let mut pace = Pace::default();
        observe(&mut pace, counted(8, 0.5), 0.1);
        assert!((pace.places - 16.0).abs() < 1e-12);
        observe(&mut pace, counted(0, 0.5), 0.1);
        observe(&mut pace, counted(5, 0.0), 0.1);
        assert!((pace.places - 16.0).abs() < 1e-12, "{pace:?}");
    }

    #[test]
    fn the_bare_pace_is_learned_while_nobody_waits_and_something_ends() {
        let mut pace = Pace::default();
        observe(&mut pace, counted(8, 0.5).requests(0), 0.1);
        assert!(pace.bare_per_sec.abs() < 1e-12);
        observe(&mut pace, counted(8, 0.5).requests(40), 0.1);
        let known = pace.bare_per_sec;
        assert!(known > 0.0);
        observe(&mut pace, counted(8, 0.5).requests(0), 0.1);
        assert!((pace.bare_per_sec - known).abs() < 1e-12, "nothing ended: {pace:?}");
        observe(&mut pace, counted(16, 1.0).requests(400), 0.1);
        assert!((pace.bare_per_sec - known).abs() < 1e-12, "full: {pace:?}");
        observe(&mut pace, counted(8, 0.5).requests(400), 0.1);
        assert!(pace.bare_per_sec > known);
    }

    #[test]
    fn a_service_of_less_than_a_place_gets_a_queue_of_two_service_times() {
        let config = PhysicsConfig::default();
        let mut pace = Pace::default();
        observe(&mut pace, counted(1, 2.0), 0.1);
        // Half a place; nothing has ended, so nothing is slower than it was.
        let outlook = pace.outlook(&config).expect("places are known");
        assert!((outlook.free - 1.5).abs() < 1e-9, "{outlook:?}");
    }
}
