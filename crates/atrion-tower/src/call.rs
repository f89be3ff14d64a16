//! Protection for services that do not speak HTTP: a database pool, a queue, a remote procedure
//! of any kind. One route, one voltage; an error is a failure.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use atrion_core::flow::Priority;
use atrion_core::units::Volts;
use atrion_engine::{CallError, Outcome, Overloaded, Route};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::classify::Rules;
use crate::tracker::Tracker;

/// Puts calls of any kind behind one route.
///
/// `Ok` is a success, `Err` and a panic are failures, a dropped future is cancelled. The permit
/// lives until the future is ready.
///
/// ```
/// use atrion_core::flow::Priority;
/// use atrion_engine::Atrion;
/// use atrion_tower::CallLayer;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let atrion = Atrion::builder().build()?;
/// let mut database = ServiceBuilder::new()
///     .layer(CallLayer::new(atrion.route("database")).priority(Priority::High))
///     .service(service_fn(async |query: &'static str| Ok::<_, std::io::Error>(query.len())));
/// assert_eq!(database.ready().await?.call("select 1").await?, 8);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct CallLayer {
    route: Route,
    volts: Volts,
}

impl CallLayer {
    /// All calls belong to this route and have [`Priority::Normal`].
    pub const fn new(route: Route) -> Self {
        Self { route, volts: Priority::Normal.volts() }
    }

    /// Gives all calls this priority or voltage.
    #[must_use]
    pub fn priority(mut self, voltage: impl Into<Volts>) -> Self {
        self.volts = voltage.into();
        self
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService { inner, route: self.route.clone(), volts: self.volts }
    }
}

/// A service behind one route; made by [`CallLayer`].
///
/// Readiness is the inner service's; the permit is taken in `call`.
#[derive(Clone, Debug)]
pub struct CallService<S> {
    inner: S,
    route: Route,
    volts: Volts,
}

impl<S, Req> Service<Req> for CallService<S>
where
    S: Service<Req>,
{
    type Response = S::Response;
    type Error = CallError<S::Error>;
    type Future = CallFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(CallError::Inner)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let state = match self.route.admit_owned(self.volts) {
            Ok(permit) => {
                let mut tracker = Some(Tracker::new(permit, Rules::default(), false, None));
                let calm = Tracker::alert(&mut tracker);
                let inner = self.inner.call(request);
                Tracker::relax(&mut tracker, calm);
                State::Run { inner, tracker }
            }
            Err(shed) => {
                let refusal = Box::new(Overloaded::new(shed, self.route.clone()));
                State::Refused { refusal: Some(refusal) }
            }
        };
        CallFuture { state }
    }
}

pin_project! {
    /// Future of a [`CallService`].
    ///
    /// Dropping it before it is ready returns the permit and counts as cancelled.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct CallFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Run { #[pin] inner: F, tracker: Option<Tracker> },
        Refused { refusal: Option<Box<Overloaded>> },
    }
}

impl<F, T, E> Future for CallFuture<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, CallError<E>>;

    /// # Panics
    /// If polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Run { inner, tracker } => {
                let calm = Tracker::alert(tracker);
                let polled = inner.poll(cx);
                Tracker::relax(tracker, calm);
                let result = ready!(polled);
                if let Some(tracker) = tracker.take() {
                    let failed = result.is_err();
                    tracker.end(if failed { Outcome::Failure } else { Outcome::Success });
                }
                Poll::Ready(result.map_err(CallError::Inner))
            }
            StateProj::Refused { refusal } => {
                #[expect(clippy::expect_used, reason = "the contract of Future forbids it")]
                let refusal = refusal.take().expect("polled after it was ready");
                Poll::Ready(Err(CallError::Overloaded(*refusal)))
            }
        }
    }
}
