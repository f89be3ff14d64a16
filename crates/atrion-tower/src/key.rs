//! Which route a request belongs to.
//!
//! A route is something with its own capacity: a handler, a gRPC method, a host. Its name must
//! come from a set that the *service* bounds, never from what callers type, or every made-up path
//! would get a fresh, unscarred route of its own and memory would grow with it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::{Method, Uri};

use crate::grpc;
use crate::head::RequestHead;
use crate::table::Table;

type KeyFn = dyn for<'a> Fn(&RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync;

/// How a layer names the route of a request.
///
/// A request without a name is decided on one shared route, `(unmatched)`. So is every new name
/// beyond the layer's limit ([`AtrionLayer::max_routes`](crate::AtrionLayer::max_routes)).
#[derive(Clone)]
pub struct RouteKey(Kind);

#[derive(Clone)]
enum Kind {
    ServerDefault,
    ClientDefault,
    #[cfg(feature = "axum")]
    MatchedPath,
    GrpcMethod,
    Authority,
    RawPath,
    Fixed(Arc<str>),
    Custom(Arc<KeyFn>),
}

impl RouteKey {
    /// What suits most servers, and the default of one: axum's matched path if there is one
    /// (feature `axum`), else the gRPC method, else no name.
    pub const fn server_default() -> Self {
        Self(Kind::ServerDefault)
    }

    /// What suits most clients, and the default of one: the authority of the request's URI if it
    /// has one, else the gRPC method (tonic adds the authority further in), else no name.
    pub const fn client_default() -> Self {
        Self(Kind::ClientDefault)
    }

    /// Method and axum's matched path: `GET /users/{id}`. Add the layer with `Router::layer`, so
    /// that it runs after routing. Requests that match nothing have no name.
    #[cfg(feature = "axum")]
    pub const fn matched_path() -> Self {
        Self(Kind::MatchedPath)
    }

    /// The gRPC method: `/package.Service/Method`.
    ///
    /// On a server callers could make methods up, so a method gets its own route only once the
    /// service has answered a call to it with another status than `UNIMPLEMENTED`; until then it
    /// shares the unmatched route. On a client the calling program makes the names and they count
    /// at once.
    pub const fn grpc_method() -> Self {
        Self(Kind::GrpcMethod)
    }

    /// Host and port of the request's URI, in lower case, without user and password. For clients.
    pub const fn authority() -> Self {
        Self(Kind::Authority)
    }

    /// Method and path as the caller typed them, without the query. **Only for a known, small set
    /// of paths**: the first paths seen up to the layer's limit keep their routes, all others
    /// share one, and a hostile caller can fill the table first.
    pub const fn raw_path() -> Self {
        Self(Kind::RawPath)
    }

    /// One route for everything.
    pub fn fixed(name: impl Into<Arc<str>>) -> Self {
        Self(Kind::Fixed(name.into()))
    }

    /// A function of your own. Return borrowed text where you can: then a known route is found
    /// without an allocation. `None` means the unmatched route.
    ///
    /// ```
    /// use atrion_tower::RouteKey;
    ///
    /// // One route per tenant, from a header that the gateway has checked.
    /// let key = RouteKey::custom(|head| {
    ///     head.headers.get("x-tenant").and_then(|v| v.to_str().ok()).map(Into::into)
    /// });
    /// # let _ = key;
    /// ```
    pub fn custom<F>(name: F) -> Self
    where
        F: for<'a> Fn(&RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    {
        Self(Kind::Custom(Arc::new(name)))
    }

    /// The name, if all requests have the same.
    #[inline]
    pub(crate) fn only(&self) -> Option<Name<'_>> {
        match &self.0 {
            Kind::Fixed(name) => Some(Name::new(Verb::None, &**name)),
            _ => None,
        }
    }

    /// The name of a request's route; `own` if this program makes the requests itself.
    #[inline]
    pub(crate) fn name<'a>(&'a self, head: &RequestHead<'a>, own: bool) -> Option<Name<'a>> {
        match &self.0 {
            Kind::ServerDefault => {
                matched_path(head).or_else(|| grpc_call(head).map(|m| m.proven(own)))
            }
            Kind::ClientDefault => {
                authority(head.uri).or_else(|| grpc_call(head).map(|m| m.proven(own)))
            }
            #[cfg(feature = "axum")]
            Kind::MatchedPath => matched_path(head),
            Kind::GrpcMethod => grpc_call(head).map(|m| m.proven(own)),
            Kind::Authority => authority(head.uri),
            Kind::RawPath => Some(Name::new(Verb::of(head.method), head.uri.path())),
            Kind::Fixed(name) => Some(Name::new(Verb::None, &**name)),
            Kind::Custom(find) => find(head).map(|name| Name::new(Verb::None, name)),
        }
    }
}

impl fmt::Debug for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::ServerDefault => f.write_str("ServerDefault"),
            Kind::ClientDefault => f.write_str("ClientDefault"),
            #[cfg(feature = "axum")]
            Kind::MatchedPath => f.write_str("MatchedPath"),
            Kind::GrpcMethod => f.write_str("GrpcMethod"),
            Kind::Authority => f.write_str("Authority"),
            Kind::RawPath => f.write_str("RawPath"),
            Kind::Fixed(name) => f.debug_tuple("Fixed").field(name).finish(),
            Kind::Custom(_) => f.write_str("Custom"),
        }
    }
}

/// The name of a route before it is spelled out, so that finding a known one allocates nothing.
#[derive(Clone, Debug)]
pub(crate) struct Name<'a> {
    pub(crate) verb: Verb,
    pub(crate) text: Cow<'a, str>,
    /// Whether the name comes from a bounded set.
    pub(crate) proven: bool,
}

impl<'a> Name<'a> {
    fn new(verb: Verb, text: impl Into<Cow<'a, str>>) -> Self {
        Self { verb, text: text.into(), proven: true }
    }

    const fn proven(mut self, proven: bool) -> Self {
        self.proven = proven;
        self
    }
}

/// The method as part of a name. Methods outside the standard are one: callers can invent any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    None,
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Connect,
    Trace,
    Other,
}

impl Verb {
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            Method::CONNECT => Self::Connect,
            Method::TRACE => Self::Trace,
            _ => Self::Other,
        }
    }

    /// As it stands before the path.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Get => "GET ",
            Self::Head => "HEAD ",
            Self::Post => "POST ",
            Self::Put => "PUT ",
            Self::Patch => "PATCH ",
            Self::Delete => "DELETE ",
            Self::Options => "OPTIONS ",
            Self::Connect => "CONNECT ",
            Self::Trace => "TRACE ",
            Self::Other => "OTHER ",
        }
    }
}

#[cfg(feature = "axum")]
fn matched_path<'a>(head: &RequestHead<'a>) -> Option<Name<'a>> {
    let path = head.extensions.get::<axum::extract::MatchedPath>()?;
    Some(Name::new(Verb::of(head.method), path.as_str()))
}

#[cfg(not(feature = "axum"))]
const fn matched_path<'a>(_: &RequestHead<'a>) -> Option<Name<'a>> {
    None
}

fn grpc_call<'a>(head: &RequestHead<'a>) -> Option<Name<'a>> {
    let path = head.uri.path();
    (grpc::is_grpc(head.headers) && grpc::is_method_path(path)).then(|| Name::new(Verb::None, path))
}

fn authority(uri: &Uri) -> Option<Name<'_>> {
    let authority = uri.authority()?.as_str();
    // Credentials have no place in a name that is logged and shown.
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        return Some(Name::new(Verb::None, host.to_ascii_lowercase()));
    }
    Some(Name::new(Verb::None, host))
}

/// A gRPC method that gets its own route once the service has shown that it exists.
pub(crate) struct Candidate {
    pub(crate) table: Arc<Table>,
    pub(crate) method: Box<str>,
}

impl Candidate {
    pub(crate) fn accept(self) {
        self.table.add(Verb::None, &self.method);
    }
}

#[cfg(test)]
#[path = "key/tests.rs"]
mod tests;
