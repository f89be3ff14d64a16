//! Recording: what is recorded is what happened, and requests do not notice.

use std::sync::Arc;
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::telemetry::Telemetry;
use atrion_core::units::Volts;
use atrion_engine::{Atrion, Force, OwnedPermit, Route};
use atrion_state::clock::{Clock as _, ManualClock};
use atrion_trace::{Decision, Kind, Mark, Outcome, Reason, RecordError, Step, Tape, Trace, Writer};

fn allocations(f: impl FnOnce()) -> u64 {
    allocation_counter::measure(f).count_total
}

struct Stand {
    clock: ManualClock,
    atrion: Atrion,
    route: Route,
}

fn stand() -> Stand {
    let clock = ManualClock::new();
    let atrion = Atrion::builder().clock(clock.clone()).seed(7).build().expect("valid");
    let route = atrion.route("checkout");
    Stand { clock, atrion, route }
}

fn written(tape: &Tape) -> Trace {
    let mut writer = Writer::new(Vec::new(), u64::MAX).expect("memory");
    writer.drain(tape).expect("memory");
    Trace::read(&writer.finish().expect("memory").0[..]).expect("what was written")
}

/// What a caller saw of one request: voltage, whether it was admitted, and its latency.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    volts: f64,
    admitted: bool,
    ended: Option<(u64, Outcome)>,
}

/// Calm traffic, an overload, a dead dependency, and calm again.
fn ordeal(stand: &Stand, held: &mut Vec<(usize, OwnedPermit)>, mut see: impl FnMut(usize, Seen)) {
    for step in 0..20_000_usize {
        stand.clock.advance(Duration::from_micros(500));
        let overload = (8_000..12_000).contains(&step);
        let dead = (14_000..18_000).contains(&step);
        let volts = if step % 3 == 0 { Priority::Low } else { Priority::Normal }.volts();
        let mut seen = Seen { volts: volts.get(), admitted: false, ended: None };
        if let Ok(permit) = stand.route.admit_owned(volts) {
            seen.admitted = true;
            if overload && held.len() < held.capacity() {
                held.push((step, permit));
            } else {
                stand.clock.advance(Duration::from_micros(300));
                let at = stand.clock.now().as_nanos();
                if dead {
                    seen.ended = Some((at, Outcome::Failure));
                    permit.failure();
                } else {
                    seen.ended = Some((at, Outcome::Success));
                    permit.success();
                }
            }
        }
        see(step, seen);
        if step == 12_000 {
            held.clear();
        }
    }
}

#[test]
fn recording_allocates_nothing_on_the_request_path() {
    let stand = stand();
    let tape = Arc::new(Tape::new(1 << 17).expect("valid"));
    let recording = stand
        .atrion
        .record(&tape, std::slice::from_ref(&stand.route))
        .expect("nothing is recorded");
    let mut held = Vec::with_capacity(4096);
    // The first use of the clock, thread-locals and guards may set themselves up.
    drop(stand.route.admit(Priority::Normal));
    let mut refused = 0;
    let count =
        allocations(|| ordeal(&stand, &mut held, |_, seen| refused += u32::from(!seen.admitted)));
    assert_eq!(count, 0);
    assert!(refused > 1_000, "{refused}");
    drop(recording);
    assert_eq!(tape.dropped(), 0);
}

#[test]
fn what_is_recorded_is_what_the_callers_saw_and_recording_changes_nothing() {
    let recorded = stand();
    let tape = Arc::new(Tape::new(1 << 17).expect("valid"));
    let recording = recorded
        .atrion
        .record(&tape, std::slice::from_ref(&recorded.route))
        .expect("nothing is recorded");
    let (mut seen, mut free) = (Vec::new(), Vec::new());
    ordeal(&recorded, &mut Vec::with_capacity(4096), |_, one| seen.push(one));
    drop(recording);
    let plain = stand();
    ordeal(&plain, &mut Vec::with_capacity(4096), |_, one| free.push(one));
    assert_eq!(seen, free, "the same decisions without a recording");

    let trace = written(&tape);
    assert_eq!(trace.requests().len(), seen.len());
    for (request, seen) in trace.requests().iter().zip(&seen) {
        assert_eq!(request.decision.is_admitted(), seen.admitted);
        assert_eq!(request.volts.to_bits(), seen.volts.to_bits());
        match seen.ended {
            Some(ended) => assert_eq!(request.end, Some(ended)),
            // Those that were held ended as cancelled, all at once.
            None if seen.admitted => {
                assert!(matches!(request.end, Some((_, Outcome::Cancelled))), "{request:?}");
            }
            None => assert_eq!(request.end, None),
        }
    }
    let kinds = |kind| {
        let is =
            |r: &&atrion_trace::Request| r.decision == Decision::Admitted { kind, shadowed: None };
        trace.requests().iter().filter(is).count()
    };
    assert!(kinds(Kind::Marked) > 0 && kinds(Kind::Probe) > 0 && kinds(Kind::Plain) > 5_000);
    let marks = |mark| {
        trace
            .steps()
            .iter()
            .filter(|s| matches!(s, Step::Mark { mark: m, .. } if *m == mark))
            .count()
    };
    assert!(marks(Mark::Opened) > 0 && marks(Mark::Closed) > 0);
    assert_eq!((trace.unmatched_ends(), trace.lost()), (0, 0));
    assert!(trace.routes()[0].is_new);
}

#[test]
fn requests_that_the_engine_only_counts_are_recorded_with_their_latency() {
    let stand = stand();
    let tape = Arc::new(Tape::new(1 << 18).expect("valid"));
    let recording = stand.atrion.record(&tape, std::slice::from_ref(&stand.route)).expect("free");
    let mut writer = Writer::new(Vec::new(), u64::MAX).expect("memory");
    // Slowly at first, until the route knows its service; then a hundred thousand a second.
    for number in 0..120_000_u32 {
        stand.clock.advance(Duration::from_micros(if number < 20_000 { 1_000 } else { 7 }));
        if let Ok(permit) = stand.route.admit(Priority::Normal) {
            stand.clock.advance(Duration::from_micros(3));
            permit.success();
        }
        writer.drain(&tape).expect("memory");
    }
    drop(recording);
    writer.drain(&tape).expect("memory");
    let trace = Trace::read(&writer.finish().expect("memory").0[..]).expect("what was written");
    let unmeasured = trace.requests().iter().filter(|r| r.in_flight.is_none()).count();
    assert!(unmeasured > 50_000, "{unmeasured} {:?}", stand.route.explain(Priority::Normal));
    assert!(trace.requests().iter().all(|r| r.latency_nanos() == Some(3_000)));
}

#[test]
fn a_shadowed_refusal_says_what_it_would_have_been() {
    let stand = stand();
    let tape = Arc::new(Tape::new(1 << 10).expect("valid"));
    stand.route.set_shadow(true);
    stand.route.force(Force::Open, Duration::from_secs(60));
    let recording = stand.atrion.record(&tape, std::slice::from_ref(&stand.route)).expect("free");
    stand.route.admit(Priority::Normal).expect("shadowed").success();
    stand.route.set_shadow(false);
    let _ = stand.route.admit(Priority::Normal).expect_err("forced open");
    stand.route.release();
    let sample = Telemetry::builder().saturation(0.4).build().expect("valid");
    let _ = stand.route.update_physics(&sample);
    stand.route.reset();
    stand.atrion.reload(stand.atrion.config().as_ref().clone());
    drop(recording);
    let trace = written(&tape);
    let shadowed = Decision::Admitted { kind: Kind::Plain, shadowed: Some(Reason::ForcedOpen) };
    assert_eq!(trace.requests()[0].decision, shadowed);
    assert!(matches!(trace.requests()[0].end, Some((_, Outcome::Success))));
    assert!(matches!(
        trace.requests()[1].decision,
        Decision::Refused { reason: Reason::ForcedOpen, ohms: 0.0.. }
    ));
    let marks: Vec<Mark> = trace
        .steps()
        .iter()
        .filter_map(|s| if let Step::Mark { mark, .. } = s { Some(*mark) } else { None })
        .collect();
    assert_eq!(marks, [Mark::Shadowed, Mark::Forced, Mark::Reported, Mark::Reset, Mark::Reloaded]);
}

#[test]
fn a_lease_is_recorded_as_the_permit_that_it_is() {
    let stand = stand();
    let tape = Arc::new(Tape::new(1 << 10).expect("valid"));
    let recording = stand.atrion.record(&tape, std::slice::from_ref(&stand.route)).expect("free");
    let terms = Duration::from_secs(5);
    let [ends, expires] =
        [(); 2].map(|()| stand.route.lease(Priority::Low, terms).expect("there is room"));
    stand.clock.advance(Duration::from_secs(1));
    ends.success();
    stand.clock.advance(Duration::from_secs(5));
    stand.atrion.tick();
    drop((recording, expires));
    let trace = written(&tape);
    let ends: Vec<_> = trace.requests().iter().map(|request| request.end).collect();
    let at = |secs: u64| secs * 1_000_000_000;
    assert_eq!(ends, [Some((at(1), Outcome::Success)), Some((at(6), Outcome::Cancelled))]);
    assert_eq!(trace.unmatched_ends(), 0);
}

#[test]
fn a_recording_may_begin_and_end_at_any_time() {
    let stand = stand();
    let other = stand.atrion.route("other");
    let tape = Arc::new(Tape::new(1 << 10).expect("valid"));
    let before = stand.route.admit(Priority::Normal).expect("calm");
    let recording = stand.atrion.record(&tape, std::slice::from_ref(&stand.route)).expect("free");
    let again = stand.atrion.record(&tape, std::slice::from_ref(&stand.route));
    assert!(matches!(again, Err(RecordError::AlreadyRecording)));
    let elsewhere = Atrion::builder().build().expect("valid").route("x");
    let foreign = stand.atrion.record(&tape, &[elsewhere]).expect_err("of another instance");
    assert_eq!(foreign.to_string(), "route `x` belongs to another instance");

    before.success();
    let after = stand.route.admit(Volts::from(50_u32)).expect("calm");
    drop(other.admit(Priority::Normal));
    drop(recording);
    after.success();
    drop(stand.route.admit(Priority::Normal));

    let trace = written(&tape);
    assert_eq!((trace.routes()[0].in_flight, trace.routes()[0].is_new), (1, false));
    assert_eq!(trace.unmatched_ends(), 1, "of the request that was under way");
    assert_eq!(trace.requests().len(), 1, "neither other routes nor later requests");
    assert_eq!(trace.requests()[0].end, None, "it ended after the recording");
    drop(stand.atrion.record(&tape, std::slice::from_ref(&stand.route)).expect("free again"));
}

#[test]
fn a_full_tape_costs_observations_and_no_requests() {
    let stand = stand();
    let tape = Arc::new(Tape::new(10).expect("valid"));
    let _recording = stand.atrion.record(&tape, std::slice::from_ref(&stand.route)).expect("free");
    for _ in 0..100 {
        stand.clock.advance(Duration::from_millis(1));
        stand.route.admit(Priority::Normal).expect("calm").success();
    }
    assert_eq!(stand.route.counts().completed, 100);
    assert_eq!(tape.dropped(), 190);
}
