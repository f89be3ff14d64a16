//! Interleavings of admissions, endings and ticks: all of those with up to one or two preemptions
//! (a tick touches some forty atomics, so more would take hours), for at most a minute each.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p atrion-engine --lib --release loom_tests`.

use loom::sync::Arc;
use loom::thread;

use atrion_core::breaker::RouteState;
use atrion_core::law::{BreakerMode, Endings, LawConfig};
use atrion_core::time::Timestamp;

use crate::lanes::Lanes;

use super::{Cell, Env, Kind, Refusal, Setup};

struct Fixed {
    now: Timestamp,
    law: LawConfig,
}

impl Env for Fixed {
    fn now(&self) -> Timestamp {
        self.now
    }
    fn with_law<R>(&self, f: impl FnOnce(&LawConfig) -> R) -> R {
        f(&self.law)
    }
    fn draw(&self) -> f64 {
        0.5
    }
    fn stress(&self, _: &RouteState, _: Timestamp) -> f64 {
        0.0
    }
    fn scar_changed(&self) {}
    fn lanes(&self) -> Option<Lanes> {
        None
    }
    fn mode_changed(&self, _: BreakerMode, _: Timestamp) {}
    fn held_changed(&self, _: bool, _: Timestamp) {}
    fn shared_secs(&self) -> Option<f64> {
        None
    }
    fn ticked(&self, _: Timestamp) {}
    fn shadowed(&self, _: f64, _: &Refusal) {}
}

fn at(millis: u64, start_limit: f64) -> Fixed {
    let law = LawConfig::builder().start_limit(start_limit).build().expect("valid");
    Fixed { now: Timestamp::from_millis(millis), law }
}

/// Long enough for the small models; the largest stops there, having seen tens of thousands of
/// interleavings without a fault.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(60);

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_duration = Some(LONGEST);
    builder.check(f);
}

#[test]
fn no_completion_is_lost_between_recording_and_ticking() {
    model(1, || {
        let env = at(0, 16.0);
        let cell = Arc::new(Cell::new(Setup::default(), env.now, &env.law));
        let worker = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                let env = at(100, 16.0);
                let ticket = cell.admit(20.0, &env).expect("below the limit");
                cell.succeed(ticket, &env);
            })
        };
        let ticket = cell.admit(20.0, &env).expect("below the limit");
        cell.fail(ticket, &at(200, 16.0));
        worker.join().expect("no panic");
        let end = at(500, 16.0);
        cell.tick(end.now, &end);
        let inner = cell.inner();
        assert_eq!(inner.completed, 2);
        assert_eq!(cell.counts().in_flight, 0);
        assert!(inner.element.breaker().error_rate() > 0.0, "the failure arrived");
    });
}

#[test]
fn a_wall_admits_exactly_its_limit() {
    model(2, || {
        let env = at(0, 1.0);
        let cell = Arc::new(Cell::new(Setup::default(), env.now, &env.law));
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.admit(20.0, &at(1, 1.0)).is_ok())
        };
        let mine = cell.admit(20.0, &at(1, 1.0)).is_ok();
        let theirs = other.join().expect("no panic");
        assert_eq!(u32::from(mine) + u32::from(theirs), 1);
        assert_eq!(cell.counts().in_flight, 1);
    });
}

#[test]
fn an_open_route_sends_one_probe_at_a_time() {
    model(1, || {
        let env = at(0, 16.0);
        let cell = Arc::new(Cell::new(Setup::default(), env.now, &env.law));
        {
            let mut inner = cell.inner();
            let breaker = inner.element.breaker_mut();
            breaker.report_rate(1.0, 1000.0, &env.law);
            let now = Timestamp::from_millis(500);
            let opened = (0..3)
                .any(|_| breaker.tick(&Endings::default(), 0.1, now, 0.5, &env.law).is_some());
            assert!(opened);
            cell.publish(&inner, 0, &env.law);
        }
        let millis = 1500;
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.admit(20.0, &at(millis, 16.0)).is_ok())
        };
        let mine = cell.admit(20.0, &at(millis, 16.0));
        let theirs = other.join().expect("no panic");
        assert!(mine.iter().all(|ticket| ticket.kind() == Kind::Probe));
        // A caller that finds the other at the lock is refused; nobody waits for the lock.
        assert_eq!(u32::from(mine.is_ok()) + u32::from(theirs), 1);
    });
}
