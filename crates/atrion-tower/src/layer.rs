//! The layer and its settings.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use atrion_core::units::Volts;
use atrion_engine::{Atrion, Outcome, Shed};
use bytes::Bytes;
use http::Response;
use tower_layer::Layer;

use crate::classify::{Hold, Rules};
use crate::exempt::Exempt;
use crate::head::{RequestHead, ResponseHead};
use crate::key::RouteKey;
use crate::priority::{PriorityPolicy, Voltage};
use crate::service::AtrionService;
use crate::stats::{Counters, LayerStats};
use crate::table::Table;

/// Routes a layer knows by name, unless told otherwise.
const MAX_ROUTES: usize = 1024;

/// Role of a layer in front of one's own service: it answers refusals itself.
#[derive(Clone, Copy, Debug)]
pub enum Server {}

/// Role of a layer in front of somebody else's service: refusals are errors.
#[derive(Clone, Copy, Debug)]
pub enum Client {}

type AnswerFn = dyn Fn(&Shed) -> Response<Bytes> + Send + Sync;

/// Settings and common state of a layer, its clones and their services.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) exempt: Exempt,
    pub(crate) key: RouteKey,
    pub(crate) priority: PriorityPolicy,
    pub(crate) rules: Rules,
    pub(crate) answer: Option<Arc<AnswerFn>>,
    pub(crate) decision_header: bool,
    pub(crate) table: Arc<Table>,
    pub(crate) counters: Arc<Counters>,
    atrion: Atrion,
    prefix: Box<str>,
    max_routes: usize,
}

/// Puts services behind admission control.
///
/// Usable as it comes from [`server`](AtrionLayer::server) or [`client`](AtrionLayer::client);
/// every setting has a default. What is learned about a route lives in the [`Atrion`] instance,
/// so every clone of the layer, every `layer()` call and every clone of a service share it, and so
/// do two layers of one instance that use the same route names (see [`prefix`](Self::prefix)).
///
/// A setting changes only the layer it is called on and what is cloned from it afterwards.
pub struct AtrionLayer<R> {
    shared: Arc<Shared>,
    role: PhantomData<fn() -> R>,
}

impl AtrionLayer<Server> {
    /// A layer for servers: axum, tonic, hyper through Tower.
    ///
    /// Routes are named by [`RouteKey::server_default`]; health, readiness and metrics paths are
    /// exempt; refusals are answered with 503 or, for gRPC, `UNAVAILABLE`.
    ///
    /// Make it the outermost layer, outside everything that queues, limits or times out.
    pub fn server(atrion: &Atrion) -> Self {
        Self::new(atrion, RouteKey::server_default(), Exempt::common())
    }

    /// Answers a refusal over HTTP with this response instead of the built-in problem document.
    /// `Retry-After` and [`RETRY_AFTER_MS`](crate::RETRY_AFTER_MS) are added unless it has them.
    /// gRPC calls keep their own form.
    #[must_use]
    pub fn answer_with<F>(self, answer: F) -> Self
    where
        F: Fn(&Shed) -> Response<Bytes> + Send + Sync + 'static,
    {
        self.set(|shared| shared.answer = Some(Arc::new(answer)))
    }
}

impl AtrionLayer<Client> {
    /// A layer for clients: whatever sends `http` requests through Tower.
    ///
    /// Routes are named by [`RouteKey::client_default`], nothing is exempt, and a refusal is
    /// [`CallError::Overloaded`](crate::CallError::Overloaded). Read response bodies to their
    /// end: one that is dropped unread counts as cancelled and teaches nothing (or choose
    /// [`Hold::Head`]).
    pub fn client(atrion: &Atrion) -> Self {
        Self::new(atrion, RouteKey::client_default(), Exempt::default())
    }
}

impl<R> AtrionLayer<R> {
    fn new(atrion: &Atrion, key: RouteKey, exempt: Exempt) -> Self {
        let shared = Shared {
            exempt,
            key,
            priority: PriorityPolicy::default(),
            rules: Rules::default(),
            answer: None,
            decision_header: false,
            table: Arc::new(Table::new(atrion.clone(), "", MAX_ROUTES)),
            counters: Arc::default(),
            atrion: atrion.clone(),
            prefix: "".into(),
            max_routes: MAX_ROUTES,
        };
        Self { shared: Arc::new(shared), role: PhantomData }
    }

    fn set(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.shared));
        self
    }

    /// Names routes this way.
    #[must_use]
    pub fn key(self, key: RouteKey) -> Self {
        self.set(|shared| {
            shared.key = key;
            shared.renew_table();
        })
    }

    /// Puts this before every route name, so that a server and a client, or two clients, that
    /// share an instance do not share routes by accident. Default: nothing.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        self.set(|shared| {
            shared.prefix = prefix.into();
            shared.renew_table();
        })
    }

    /// Knows at most this many routes by name; the requests of further names share the unmatched
    /// route. Default 1,024. The instance has a limit of its own
    /// ([`Config::route_limit`](atrion_engine::Config::route_limit)).
    #[must_use]
    pub fn max_routes(self, routes: usize) -> Self {
        self.set(|shared| {
            shared.max_routes = routes;
            shared.renew_table();
        })
    }

    /// Lets requests to exactly this path pass without a permit.
    #[must_use]
    pub fn exempt(self, path: &str) -> Self {
        self.set(|shared| shared.exempt.add_exact(path))
    }

    /// Lets requests to this path and to everything below it pass without a permit.
    /// `/internal` covers `/internal/x` and not `/internals`.
    #[must_use]
    pub fn exempt_below(self, prefix: &str) -> Self {
        self.set(|shared| shared.exempt.add_prefix(prefix))
    }

    /// Exempts nothing, not even what is exempt by default on a server: `/health`, `/healthz`,
    /// `/live`, `/livez`, `/ready`, `/readyz`, `/metrics`, `/-/healthy`, `/-/ready` and
    /// `/grpc.health.v1.Health`, each with what lies below it.
    #[must_use]
    pub fn without_exemptions(self) -> Self {
        self.set(|shared| shared.exempt = Exempt::default())
    }

    /// Gives every request this priority or voltage. Default: [`Priority::Normal`].
    ///
    /// [`Priority::Normal`]: atrion_core::flow::Priority::Normal
    #[must_use]
    pub fn priority(self, voltage: impl Into<Volts>) -> Self {
        let volts = voltage.into();
        self.set(|shared| shared.priority.otherwise = Voltage::Fixed(volts))
    }

    /// Finds the priority or voltage of a request this way. Whatever it looks at must not be the
    /// caller's to choose; for headers see [`trust_headers`](Self::trust_headers).
    #[must_use]
    pub fn priority_with<F, V>(self, find: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> V + Send + Sync + 'static,
        V: Into<Volts>,
    {
        let find = move |head: &RequestHead<'_>| find(head).into();
        self.set(|shared| shared.priority.otherwise = Voltage::Computed(Arc::new(find)))
    }

    /// Reads [`VOLTAGE_HEADER`](crate::VOLTAGE_HEADER) and [`TIER_HEADER`](crate::TIER_HEADER) of
    /// the requests for which the predicate holds, before the priority function is asked. Default:
    /// of none, since anybody can send a header. The voltage goes before the tier. A header that
    /// is not exactly one plain number or tier is ignored and counted
    /// ([`LayerStats::malformed_headers`]).
    ///
    /// The predicate runs only if such a header is there. Let it check what a caller cannot forge:
    /// the peer's address, a client certificate, a secret shared with the gateway.
    #[must_use]
    pub fn trust_headers<F>(self, trusted: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
    {
        self.set(|shared| shared.priority.trusted = Some(Arc::new(trusted)))
    }

    /// No header lifts a request above this voltage. Default: that of `Priority::Critical`.
    #[must_use]
    pub fn header_ceiling(self, ceiling: impl Into<Volts>) -> Self {
        let ceiling = ceiling.into();
        self.set(|shared| shared.priority.header_ceiling = ceiling)
    }

    /// Judges responses this way; where it says `None`, the [built-in rules](crate::classify)
    /// apply. It sees the head only.
    #[must_use]
    pub fn classify<F>(self, judge: F) -> Self
    where
        F: Fn(&ResponseHead<'_>) -> Option<Outcome> + Send + Sync + 'static,
    {
        self.set(|shared| shared.rules.custom = Some(Arc::new(judge)))
    }

    /// What a 429 or `RESOURCE_EXHAUSTED` says about the service. Default: nothing
    /// (`Cancelled`), since it speaks of the caller's quota and its quick answer is no latency.
    #[must_use]
    pub fn too_many(self, outcome: Outcome) -> Self {
        self.set(|shared| shared.rules.too_many = outcome)
    }

    /// What a refusal by an Atrion further down says about the service. Default: nothing
    /// (`Cancelled`): it protects itself already, and it knows which of our requests matter. A
    /// failure would open the breaker here and refuse even those that pass there.
    #[must_use]
    pub fn downstream_shed(self, outcome: Outcome) -> Self {
        self.set(|shared| shared.rules.downstream_shed = outcome)
    }

    /// Until when a request holds its permit. Default: to the end of the response body.
    #[must_use]
    pub fn hold(self, hold: Hold) -> Self {
        self.set(|shared| shared.rules.hold = hold)
    }

    /// Adds [`DECISION_HEADER`](crate::DECISION_HEADER) to responses: `admit`, `shed`, or
    /// `shadow-shed` where a shadowed route (or a probe) let pass what it would have refused.
    /// Default: off. It is for trying things out: it tells callers about the service's state, and
    /// each request pays for an [`explain`](atrion_engine::Route::explain).
    #[must_use]
    pub fn decision_header(self, on: bool) -> Self {
        self.set(|shared| shared.decision_header = on)
    }

    /// Counters of the layer.
    pub fn stats(&self) -> LayerStats {
        let counters = &self.shared.counters;
        LayerStats {
            known_routes: self.shared.table.len(),
            exempt: counters.exempt.get(),
            unmatched: counters.unmatched.get(),
            over_limit: counters.over_limit.get(),
            malformed_headers: counters.malformed.get(),
        }
    }
}

impl Shared {
    /// Names or their number changed: what is known under the old ones is of no use.
    fn renew_table(&mut self) {
        self.table = Arc::new(Table::new(self.atrion.clone(), &self.prefix, self.max_routes));
    }
}

impl<S, R> Layer<S> for AtrionLayer<R> {
    type Service = AtrionService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        AtrionService::new(inner, Arc::clone(&self.shared))
    }
}

impl<R> Clone for AtrionLayer<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), role: PhantomData }
    }
}

impl<R> fmt::Debug for AtrionLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtrionLayer")
            .field("settings", &*self.shared)
            .field("stats", &self.stats())
            .finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("key", &self.key)
            .field("exempt", &self.exempt)
            .field("priority", &self.priority)
            .field("rules", &self.rules)
            .field("decision_header", &self.decision_header)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}
