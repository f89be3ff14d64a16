use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tower_resilience_circuitbreaker::CircuitBreakerLayer;
use tower_service::Service;

use super::*;
use crate::policy::testing::{arrival, failure, success};

/// 0 while the call is under way, then 1 for a success and 2 for a failure.
type Answer = Arc<AtomicU8>;

#[derive(Clone)]
struct Answers;

impl Service<Answer> for Answers {
    type Response = ();
    type Error = ();
    type Future = Pin<Box<dyn Future<Output = Result<(), ()>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, answer: Answer) -> Self::Future {
        Box::pin(std::future::poll_fn(move |_| match answer.load(Ordering::Acquire) {
            0 => Poll::Pending,
            1 => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(())),
        }))
    }
}

type Call<F> = (Answer, Pin<Box<F>>);

/// Asks the real one; the call under way, if it was let through.
fn begin<S: Service<Answer>>(service: &mut S) -> Option<Call<S::Future>> {
    let mut cx = Context::from_waker(Waker::noop());
    let answer = Answer::default();
    if !matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))) {
        return None;
    }
    let mut future = Box::pin(service.call(Arc::clone(&answer)));
    future.as_mut().poll(&mut cx).is_pending().then_some((answer, future))
}

fn end<F: Future>((answer, mut future): Call<F>, ok: bool) {
    answer.store(if ok { 1 } else { 2 }, Ordering::Release);
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready());
}

#[test]
fn the_published_settings() {
    let mut policy = TowerBreaker::new(TowerBreakerSettings::published(1.0));
    let call = |policy: &mut TowerBreaker, at: f64, ok: bool| {
        let admitted = policy.arrive(&arrival(at, 0)) == Verdict::Admit;
        if admitted {
            policy.done(&if ok { success(at, 0, 0.01) } else { failure(at, 0) });
        }
        admitted
    };
    for i in 0..100 {
        assert!(call(&mut policy, 1.0, i % 2 == 0), "99 calls are too few to judge");
    }
    assert!(!call(&mut policy, 30.9, true), "30 s have to be over");
    assert!(call(&mut policy, 31.1, true), "one call decides");
    assert_eq!(policy.transitions(), 2);
    assert!(call(&mut policy, 31.1, false));
}

/// The window does not slide: after a million good calls it takes a million bad ones.
#[test]
fn what_was_long_ago_counts_as_much_as_what_is_now() {
    let mut policy = TowerBreaker::new(TowerBreakerSettings::published(1.0));
    for i in 0..1_999 {
        policy.arrive(&arrival(1.0, 0));
        policy.done(&if i < 1000 { success(1.0, 0, 0.01) } else { failure(1.0, 0) });
        assert_eq!(policy.transitions(), 0, "call {i}");
    }
    policy.arrive(&arrival(1.0, 0));
    policy.done(&failure(1.0, 0));
    assert_eq!(policy.transitions(), 1);
}

proptest! {
    /// Any interleaving of calls and results: the crate and this one let the same calls through.
    /// The crate stays open for no time at all, or for longer than the test takes.
    #[test]
    fn it_decides_as_the_crate_does(
        steps in prop::collection::vec((0_u32..6, any::<bool>()), 1..200),
        window in 1_usize..12,
        half_open_calls in 1_usize..4,
        reopens in any::<bool>(),
    ) {
        let open_secs = if reopens { 0.0 } else { 3600.0 };
        let layer = CircuitBreakerLayer::builder()
            .sliding_window_size(window)
            .permitted_calls_in_half_open(half_open_calls)
            .wait_duration_in_open(Duration::from_secs_f64(open_secs))
            .build()
            .expect("in range");
        let mut real = layer.layer_fn(Answers);
        let settings = TowerBreakerSettings {
            window,
            open_secs,
            half_open_calls,
            ..TowerBreakerSettings::published(1e6)
        };
        let mut ours = TowerBreaker::new(settings);
        let mut under_way = BTreeMap::new();
        for (step, (slot, ok)) in steps.into_iter().enumerate() {
            let at = step as f64 / 1000.0;
            if let Some(call) = under_way.remove(&slot) {
                end(call, ok);
                ours.done(&if ok { success(at, slot, 0.01) } else { failure(at, slot) });
            } else {
                let call = begin(&mut real);
                let verdict = ours.arrive(&arrival(at, slot));
                prop_assert_eq!(verdict == Verdict::Admit, call.is_some(), "step {}", step);
                call.map(|call| under_way.insert(slot, call));
            }
        }
    }
}
