//! An HTTP client for loopback.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// Connections that nobody uses are kept for so long.
const IDLE: Duration = Duration::from_secs(3);

/// Sends requests to ports of this machine; clones share their connections.
#[derive(Clone, Debug)]
pub(crate) struct Client(Pool<HttpConnector, Full<Bytes>>);

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn new() -> Self {
        let mut pool = Pool::builder(TokioExecutor::new());
        // What is not used any more is closed soon, so that descriptors can be counted.
        pool.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Self(pool.build_http())
    }

    /// Sends a request and reads the whole answer. Dropping the future gives it up.
    ///
    /// # Errors
    ///
    /// If there was no complete answer.
    pub(crate) async fn get(
        &self,
        port: u16,
        path: &str,
        extra: Option<(&'static str, &str)>,
    ) -> io::Result<Answer> {
        let mut request = Request::get(uri(port, path));
        if let Some((name, value)) = extra {
            request = request.header(name, value);
        }
        self.send(request.body(Full::default())).await
    }

    /// Sends JSON.
    ///
    /// # Errors
    ///
    /// If there was no complete answer.
    pub(crate) async fn post(&self, port: u16, path: &str, json: String) -> io::Result<Answer> {
        let request = Request::post(uri(port, path));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Full::from(json))).await
    }

    /// Asks for an answer without end.
    ///
    /// # Errors
    ///
    /// If it does not begin.
    pub(crate) async fn stream(
        &self,
        port: u16,
        path: &str,
    ) -> io::Result<http::Response<Incoming>> {
        let request = Request::get(uri(port, path)).body(Full::default());
        self.0.request(request.map_err(io::Error::other)?).await.map_err(io::Error::other)
    }

    async fn send(&self, request: http::Result<Request<Full<Bytes>>>) -> io::Result<Answer> {
        let answer = self.0.request(request.map_err(io::Error::other)?).await;
        let (head, body) = answer.map_err(io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

fn uri(port: u16, path: &str) -> String {
    format!("http://{}:{port}/{path}", Ipv4Addr::LOCALHOST)
}
