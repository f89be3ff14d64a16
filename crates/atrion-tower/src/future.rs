//! The futures of the protected services.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use atrion_engine::{CallError, Outcome, Overloaded};
use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::answer::{DECISION_HEADER, Decision};
use crate::body::{ServerBody, TrackedBody, Watch};
use crate::tracker::Tracker;

pin_project! {
    /// The inner service at work, with the permit in hand.
    #[derive(Debug)]
    pub(crate) struct Run<F> {
        #[pin]
        inner: F,
        tracker: Option<Tracker>,
        decision: Option<Decision>,
    }
}

impl<F> Run<F> {
    pub(crate) const fn new(
        inner: F,
        tracker: Option<Tracker>,
        decision: Option<Decision>,
    ) -> Self {
        Self { inner, tracker, decision }
    }
}

impl<F> Run<F> {
    /// Polls the inner service; its body is tracked and then wrapped as the role needs it.
    fn poll_with<B, E, W>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        wrap: impl FnOnce(TrackedBody<B>) -> W,
    ) -> Poll<Result<Response<W>, E>>
    where
        F: Future<Output = Result<Response<B>, E>>,
        B: Body,
    {
        let this = self.project();
        let calm = Tracker::alert(this.tracker);
        let polled = this.inner.poll(cx);
        Tracker::relax(this.tracker, calm);
        let tracker = this.tracker.take_if(|_| polled.is_ready());
        let mut response = match ready!(polled) {
            Ok(response) => response,
            Err(error) => {
                if let Some(tracker) = tracker {
                    tracker.end(Outcome::Failure);
                }
                return Poll::Ready(Err(error));
            }
        };
        let watch = tracker.and_then(|tracker| Watch::begin(&response, tracker));
        if let Some(decision) = this.decision.take() {
            response.headers_mut().insert(DECISION_HEADER, decision.value());
        }
        Poll::Ready(Ok(response.map(|body| wrap(TrackedBody::new(body, watch)))))
    }
}

pin_project! {
    /// Future of a protected server: the inner service's response, or a refusal.
    ///
    /// Dropping it before it is ready returns the permit and counts as cancelled.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ServerFuture<F> {
        #[pin]
        state: ServerState<F>,
    }
}

pin_project! {
    #[project = ServerStateProj]
    #[derive(Debug)]
    enum ServerState<F> {
        Run { #[pin] run: Run<F> },
        // Boxed: a response is large, refusals are rare, and every admitted request would carry it.
        Refused { answer: Option<Box<Response<Bytes>>> },
    }
}

impl<F> ServerFuture<F> {
    pub(crate) const fn run(run: Run<F>) -> Self {
        Self { state: ServerState::Run { run } }
    }

    pub(crate) fn refused(answer: Response<Bytes>) -> Self {
        Self { state: ServerState::Refused { answer: Some(Box::new(answer)) } }
    }
}

impl<F, B, E> Future for ServerFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ServerBody<B>>, E>;

    /// # Panics
    /// If polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            ServerStateProj::Run { run } => run.poll_with(cx, ServerBody::inner),
            ServerStateProj::Refused { answer } => {
                #[expect(clippy::expect_used, reason = "the contract of Future forbids it")]
                let answer = answer.take().expect("polled after it was ready");
                Poll::Ready(Ok(answer.map(ServerBody::refusal)))
            }
        }
    }
}

pin_project! {
    /// Future of a protected client: the inner service's response, or an error that says whether
    /// the call was refused or failed.
    ///
    /// Dropping it before it is ready returns the permit and counts as cancelled.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ClientFuture<F> {
        #[pin]
        state: ClientState<F>,
    }
}

pin_project! {
    #[project = ClientStateProj]
    #[derive(Debug)]
    enum ClientState<F> {
        Run { #[pin] run: Run<F> },
        Refused { refusal: Option<Box<Overloaded>> },
    }
}

impl<F> ClientFuture<F> {
    pub(crate) const fn run(run: Run<F>) -> Self {
        Self { state: ClientState::Run { run } }
    }

    pub(crate) fn refused(refusal: Overloaded) -> Self {
        Self { state: ClientState::Refused { refusal: Some(Box::new(refusal)) } }
    }
}

impl<F, B, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<TrackedBody<B>>, CallError<E>>;

    /// # Panics
    /// If polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            ClientStateProj::Run { run } => {
                run.poll_with(cx, std::convert::identity).map_err(CallError::Inner)
            }
            ClientStateProj::Refused { refusal } => {
                #[expect(clippy::expect_used, reason = "the contract of Future forbids it")]
                let refusal = refusal.take().expect("polled after it was ready");
                Poll::Ready(Err(CallError::Overloaded(*refusal)))
            }
        }
    }
}
