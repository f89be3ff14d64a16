//! An HTTP client for loopback with kept connections.

use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// Sends requests to one port; a clone shares its connections.
#[derive(Clone)]
pub(crate) struct Caller {
    client: Client<Loopback, Empty<Bytes>>,
    uri: Uri,
}

/// A complete answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Caller {
    /// A client for `GET http://127.0.0.1:port/path`.
    ///
    /// # Errors
    ///
    /// A sentence if `path` is no path.
    pub(crate) fn new(port: u16, path: &str) -> Result<Self, String> {
        let uri = format!("http://{}:{port}/{path}", Ipv4Addr::LOCALHOST);
        let uri = uri.parse().map_err(|e| format!("`{uri}` is no address: {e}"))?;
        let client = Client::builder(TokioExecutor::new()).build(Loopback { port });
        Ok(Self { client, uri })
    }

    /// The same client for another path.
    ///
    /// # Errors
    ///
    /// A sentence if `path` is no path.
    pub(crate) fn to(&self, path: &str) -> Result<Self, String> {
        let port = self.uri.port_u16().unwrap_or_default();
        let uri = format!("http://{}:{port}/{path}", Ipv4Addr::LOCALHOST);
        let uri = uri.parse().map_err(|e| format!("`{uri}` is no address: {e}"))?;
        Ok(Self { client: self.client.clone(), uri })
    }

    /// Sends one request and reads the whole answer. Dropping the future gives the request up
    /// and resets its connection, as a caller with a deadline does.
    ///
    /// # Errors
    ///
    /// `Err` if there was no complete answer.
    pub(crate) async fn get(&self, volts: Option<&'static str>) -> Result<Answer, io::Error> {
        let mut request = Request::get(self.uri.clone());
        if let Some(volts) = volts {
            request = request.header("x-atrion-voltage", volts);
        }
        let request = request.body(Empty::new()).map_err(io::Error::other)?;
        let answer = self.client.request(request).await.map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// Connects to a port of the loopback interface.
#[derive(Clone, Copy)]
struct Loopback {
    port: u16,
}

impl tower_service::Service<Uri> for Loopback {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let port = self.port;
        Box::pin(async move {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            stream.set_nodelay(true)?;
            // Thousands of requests are given up during an overload. Closing their connections
            // with a reset leaves none of them lingering, which would use up the local ports.
            stream.set_zero_linger()?;
            Ok(TokioIo::new(stream))
        })
    }
}
