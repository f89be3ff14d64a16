//! A Tower stack before the simulated service: a request is a call whose future is polled when it
//! asks and when it ends.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use ::tower::Service;

use crate::policy::{Arrival, Completion, Outcome, Verdict};

const NONE: u8 = 0;
const SUCCESS: u8 = 1;
const FAILURE: u8 = 2;

/// What the simulated service will answer to one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer(Arc<AtomicU8>);

impl Answer {
    fn set(&self, outcome: Outcome) {
        let value = match outcome {
            Outcome::Success => SUCCESS,
            Outcome::Failure => FAILURE,
        };
        self.0.store(value, Ordering::Release);
    }
}

/// The simulated service failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated service failed")
    }
}

impl std::error::Error for Failed {}

/// The innermost service. Always ready: what waits for what is the simulation's business.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Simulated;

impl Service<Answer> for Simulated {
    type Response = ();
    type Error = Failed;
    type Future = Awaited;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, answer: Answer) -> Awaited {
        Awaited(answer)
    }
}

/// Ready once the simulation says how the call ended.
#[derive(Debug)]
pub(super) struct Awaited(Answer);

impl Future for Awaited {
    type Output = Result<(), Failed>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.0.load(Ordering::Acquire) {
            NONE => Poll::Pending,
            SUCCESS => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(Failed)),
        }
    }
}

struct Call<F> {
    answer: Answer,
    future: Pin<Box<F>>,
}

/// A stack and its calls under way.
///
/// A clone of the stack serves each call, as a server has one for each connection. What is not
/// ready sheds: a caller is told so at once, and nobody queues.
pub(super) struct Stack<S: Service<Answer>> {
    service: S,
    calls: Vec<Option<Call<S::Future>>>,
}

impl<S: Service<Answer> + Clone> Stack<S> {
    pub(super) fn new(service: S) -> Self {
        Self { service, calls: Vec::new() }
    }

    pub(super) fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        let mut cx = Context::from_waker(Waker::noop());
        let mut service = self.service.clone();
        if !matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))) {
            return Verdict::Refuse;
        }
        let answer = Answer::default();
        let mut future = Box::pin(service.call(answer.clone()));
        if future.as_mut().poll(&mut cx).is_ready() {
            // The simulated service has not answered, so this is a refusal.
            return Verdict::Refuse;
        }
        let index = arrival.slot as usize;
        if index >= self.calls.len() {
            self.calls.resize_with(index + 1, || None);
        }
        if let Some(place) = self.calls.get_mut(index) {
            *place = Some(Call { answer, future });
        }
        Verdict::Admit
    }

    pub(super) fn done(&mut self, completion: &Completion) {
        let call = self.calls.get_mut(completion.slot as usize).and_then(Option::take);
        if let Some(mut call) = call {
            call.answer.set(completion.outcome);
            let polled = call.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            debug_assert!(polled.is_ready(), "nothing but the simulated service is waited for");
        }
    }
}
