//! Views of requests and responses without their bodies.
//!
//! Keys, priorities and verdicts are found from heads alone. The views have no body type, so a
//! function over them fits every service.

use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri};

/// What is known of a request before its body is read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target as the service sees it.
    pub uri: &'a Uri,
    /// The headers, in the caller's words.
    pub headers: &'a HeaderMap,
    /// What outer layers and the server attached: the peer's address, the matched path.
    pub extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    /// The head of this request.
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

/// What is known of a response before its body is read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// What the inner service attached.
    pub extensions: &'a Extensions,
}

impl<'a> ResponseHead<'a> {
    /// The head of this response.
    pub fn of<B>(response: &'a Response<B>) -> Self {
        Self {
            status: response.status(),
            headers: response.headers(),
            extensions: response.extensions(),
        }
    }
}
