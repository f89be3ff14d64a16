//! The services: decide, then let the inner service work.

use std::sync::Arc;
use std::task::{Context, Poll};

use atrion_engine::{CallError, Overloaded, Route, Shed};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::answer::{self, Decision};
use crate::body::{ServerBody, TrackedBody};
use crate::future::{ClientFuture, Run, ServerFuture};
use crate::grpc;
use crate::head::RequestHead;
use crate::layer::{Client, Server, Shared};
use crate::tracker::Tracker;

/// A service behind admission control; made by [`AtrionLayer`](crate::AtrionLayer).
///
/// - **Readiness** is the inner service's, passed on as it is. No permit is taken before `call`,
///   so an idle clone holds nothing. `call` runs the very instance that was polled ready; nothing
///   is cloned or swapped.
/// - **The decision** falls in `call`, from the head alone, before any of the body is read.
/// - After a refusal the inner service stays ready and unused, and its readiness serves the next
///   request. Do not put something that reserves scarce things in `poll_ready` (a concurrency
///   limit) inside the layer: requests would also wait there unseen.
#[derive(Debug)]
pub struct AtrionService<S, R> {
    inner: S,
    shared: Arc<Shared>,
    role: std::marker::PhantomData<fn() -> R>,
}

// By hand, because `derive` would ask the role to be `Clone`.
impl<S: Clone, R> Clone for AtrionService<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
            role: std::marker::PhantomData,
        }
    }
}

/// What is to become of a request.
enum Ruling {
    Exempt,
    Admitted(Tracker, Option<Decision>),
    Refused(Shed, Route),
}

impl<S, R> AtrionService<S, R> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared, role: std::marker::PhantomData }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl Shared {
    /// Rules on a request; `own` if this program makes the requests itself.
    fn rule<B>(&self, request: &Request<B>, own: bool) -> Ruling {
        if self.exempt.contains(request.uri().path()) {
            self.counters.exempt.add_one();
            return Ruling::Exempt;
        }
        let head = RequestHead::of(request);
        let volts = self.priority.volts(&head, &self.counters.malformed);
        let decide = |route: &Route, candidate| {
            let decision = self.decision_header.then(|| {
                // Also asks the routes that are shadowed and so would admit it anyway.
                if route.explain(volts).flows() { Decision::Admit } else { Decision::ShadowShed }
            });
            match route.admit_owned(volts) {
                Ok(permit) => {
                    let bodiless = *request.method() == Method::HEAD;
                    let rules = self.rules.clone();
                    Ruling::Admitted(Tracker::new(permit, rules, bodiless, candidate), decision)
                }
                Err(shed) => Ruling::Refused(shed, route.clone()),
            }
        };
        if let Some(name) = self.key.only() {
            return self.table.with_only_route(&name, &self.counters, decide);
        }
        let name = self.key.name(&head, own);
        self.table.with_route(name.as_ref(), &self.counters, decide)
    }

    /// The response that says so.
    #[cold]
    fn answer(&self, shed: &Shed, is_grpc: bool) -> Response<Bytes> {
        let mut answer = match &self.answer {
            _ if is_grpc => answer::grpc(shed),
            Some(make) => make(shed),
            None => answer::http(shed),
        };
        answer::add_retry_after(&mut answer, shed.retry_after());
        if self.decision_header {
            answer.headers_mut().insert(answer::DECISION_HEADER, Decision::Shed.value());
        }
        answer
    }
}

impl<S, B, ResBody> Service<Request<B>> for AtrionService<S, Server>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body,
    ResBody::Data: From<Bytes>,
{
    type Response = Response<ServerBody<ResBody>>;
    type Error = S::Error;
    type Future = ServerFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut tracker, decision) = match self.shared.rule(&request, false) {
            Ruling::Exempt => (None, None),
            Ruling::Admitted(tracker, decision) => (Some(tracker), decision),
            Ruling::Refused(shed, _) => {
                let is_grpc = grpc::is_grpc(request.headers());
                return ServerFuture::refused(self.shared.answer(&shed, is_grpc));
            }
        };
        // Even a panic in `call` itself is a failure.
        let calm = Tracker::alert(&mut tracker);
        let future = self.inner.call(request);
        Tracker::relax(&mut tracker, calm);
        ServerFuture::run(Run::new(future, tracker, decision))
    }
}

impl<S, B, ResBody> Service<Request<B>> for AtrionService<S, Client>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<TrackedBody<ResBody>>;
    type Error = CallError<S::Error>;
    type Future = ClientFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(CallError::Inner)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut tracker, decision) = match self.shared.rule(&request, true) {
            Ruling::Exempt => (None, None),
            Ruling::Admitted(tracker, decision) => (Some(tracker), decision),
            Ruling::Refused(shed, route) => {
                return ClientFuture::refused(Overloaded::new(shed, route));
            }
        };
        // Even a panic in `call` itself is a failure.
        let calm = Tracker::alert(&mut tracker);
        let future = self.inner.call(request);
        Tracker::relax(&mut tracker, calm);
        ClientFuture::run(Run::new(future, tracker, decision))
    }
}
