//! Work that is done if its route admits it: `run`, `call`, and what they count.

use std::error::Error;
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, CallError, Counts, Force, Outcome, Overloaded, Reason, Route};
use atrion_state::clock::ManualClock;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("broken: {0}")]
struct Broken(u32);

fn route() -> (Route, ManualClock) {
    let clock = ManualClock::new();
    let atrion = Atrion::builder().clock(clock.clone()).seed(5).build().expect("valid");
    (atrion.route("r"), clock)
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// In flight, completed, cancelled.
fn ledger(route: &Route) -> (u32, u32, u32) {
    let Counts { in_flight, completed, cancelled, .. } = route.counts();
    (in_flight, completed, cancelled)
}

/// Does the same again and again until the error rate is that of what it ended with.
fn error_rate(route: &Route, clock: &ManualClock, work: impl Fn()) -> f64 {
    for _ in 0..1000 {
        clock.advance(Duration::from_millis(10));
        work();
    }
    route.explain(Priority::Critical).error_rate
}

#[test]
fn an_outcome_is_what_the_result_says() {
    let (route, clock) = route();
    let well = error_rate(&route, &clock, || {
        assert_eq!(route.run(Priority::Normal, || Ok::<_, Broken>(3)).ok(), Some(3));
    });
    assert!(well < 1e-9, "{well}");
    assert_eq!(ledger(&route), (0, 1000, 0));

    let ill = error_rate(&route, &clock, || {
        let _ = route.run(Priority::Normal, || Err::<(), _>(Broken(1)));
    });
    assert!(ill > 0.9 && route.is_open(), "{ill}");
}

#[test]
fn a_future_is_counted_as_a_function_is() {
    let (route, clock) = route();
    let well = error_rate(&route, &clock, || {
        let done = poll(pin!(route.call(Priority::Normal, || ready(Ok::<_, Broken>(3)))));
        assert!(matches!(done, Poll::Ready(Ok(3))));
    });
    assert!(well < 1e-9, "{well}");
    let ill = error_rate(&route, &clock, || {
        let work = || ready(Err::<(), _>(Broken(1)));
        let _ = poll(pin!(route.call(Priority::Normal, work)));
    });
    assert!(ill > 0.9 && route.is_open(), "{ill}");
}

#[test]
fn a_judge_decides_what_a_result_says_of_the_service() {
    let (route, clock) = route();
    // Every odd error is the caller's own.
    let judge = |result: &Result<u32, Broken>| match result {
        Ok(500..) | Err(Broken(0)) => Outcome::Failure,
        Ok(_) => Outcome::Success,
        Err(_) => Outcome::Cancelled,
    };
    let fine = error_rate(&route, &clock, || {
        let failed = route.run_with(Priority::Normal, || Err(Broken(1)), judge);
        assert!(matches!(failed, Err(CallError::Inner(Broken(1)))));
    });
    assert!(fine < 1e-9, "{fine}");
    assert_eq!(ledger(&route), (0, 0, 1000));
    let ill = error_rate(&route, &clock, || {
        let _ = poll(pin!(route.call_with(Priority::Normal, || ready(Ok(503)), judge)));
    });
    assert!(ill > 0.9, "{ill}");
}

#[test]
fn what_is_refused_is_not_begun_and_says_why() {
    let (route, _) = route();
    route.force(Force::Open, Duration::from_secs(60));
    let refused = route.run(Priority::Critical, || -> Result<(), Broken> { unreachable!() });
    let Err(CallError::Overloaded(refusal)) = &refused else { panic!("{refused:?}") };
    assert_eq!((refusal.shed().reason(), refusal.route()), (Reason::ForcedOpen, &route));
    assert!(refusal.retry_after() >= Duration::from_secs(60));
    assert!(refusal.to_string().starts_with("route \"r\": "), "{refusal}");

    let call = route
        .call(Priority::Critical, || -> std::future::Ready<Result<(), Broken>> { unreachable!() });
    let Poll::Ready(Err(error)) = poll(pin!(call)) else { panic!("refused at once") };
    assert!(error.overloaded().is_some());
    assert_eq!(ledger(&route), (0, 0, 0));
    assert_eq!(route.counts().shed, 2);
}

#[test]
fn nothing_happens_before_the_first_poll_and_giving_up_is_cancelling() {
    let (route, _) = route();
    let call = || route.call(Priority::Normal, pending::<Result<(), Broken>>);
    drop(call());
    assert_eq!(ledger(&route), (0, 0, 0));
    {
        let mut call = pin!(call());
        assert!(poll(call.as_mut()).is_pending());
        assert!(poll(call.as_mut()).is_pending());
        assert_eq!(ledger(&route), (1, 0, 0));
    }
    assert_eq!(ledger(&route), (0, 0, 1));
}

/// The work is gone by the time its place is another's.
#[test]
fn the_place_is_given_back_after_the_work_is_dropped() {
    struct Sees<'r>(&'r Route);
    impl Drop for Sees<'_> {
        fn drop(&mut self) {
            assert_eq!(self.0.counts().in_flight, 1);
        }
    }
    let (route, _) = route();
    let work = async || {
        let _sees = Sees(&route);
        pending::<Result<(), Broken>>().await
    };
    assert!(poll(pin!(route.call(Priority::Normal, work))).is_pending());
    assert_eq!(ledger(&route), (0, 0, 1));
}

#[test]
fn a_panic_is_a_failure() {
    let (route, clock) = route();
    // Unwinds as a panic does, without its message.
    let panic = || -> Result<(), Broken> { resume_unwind(Box::new("as planned")) };
    let run = || route.run(Priority::Normal, panic);
    let call = || poll(pin!(route.call(Priority::Normal, async || panic())));
    let ill = error_rate(&route, &clock, || {
        let _ = catch_unwind(AssertUnwindSafe(run));
        let _ = catch_unwind(AssertUnwindSafe(call));
    });
    assert!(ill > 0.9 && route.is_open(), "{ill}");
    assert_eq!(ledger(&route).0, 0);
    assert_eq!(ledger(&route).2, 0, "nothing was cancelled");
}

#[test]
fn a_refusal_is_found_whatever_it_is_wrapped_in() {
    #[derive(Debug, thiserror::Error)]
    #[error("checkout failed")]
    struct Checkout(#[source] Box<dyn Error + Send + Sync>);

    let (route, _) = route();
    route.force(Force::Open, Duration::from_secs(1));
    let refused = route.run(Priority::Low, || Err::<(), _>(Broken(1))).expect_err("refused");
    let wrapped = Checkout(refused.into());
    assert_eq!(Overloaded::find_in(&wrapped).map(Overloaded::route), Some(&route));

    route.release();
    let failed = route.run(Priority::Low, || Err::<(), _>(Broken(1))).expect_err("failed");
    assert_eq!(failed.source().and_then(|e| e.downcast_ref()), Some(&Broken(1)));
    assert!(Overloaded::find_in(&Checkout(failed.into())).is_none());

    // Boxed errors are no errors themselves; `into_boxed` leaves them as they are.
    let boxed = CallError::<Box<dyn Error + Send + Sync>>::Inner(Box::new(Broken(2))).into_boxed();
    assert_eq!(boxed.downcast_ref(), Some(&Broken(2)));
}

/// What spawns and threads need; it compiles or it does not.
#[test]
fn calls_may_move_between_threads() {
    fn movable<T: Send>(_: &T) {}
    let (route, _) = route();
    movable(&route.call(Priority::Low, async || Ok::<_, Broken>(String::new())));
    movable(&route.run(Priority::Low, || Ok::<_, Broken>(())));
}
