//! The server: a thread of its own, so that a flood of connections is no runtime's of the
//! application's.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower_service::Service as _;

use crate::error::StudioError;
use crate::patient::Patient;
use crate::studio::{Settings, Studio};

/// Longest head of a request, in bytes.
const HEAD: usize = 16 * 1024;
/// After a failure to accept, such as for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);
/// How long connections may take to end.
const FAREWELL: Duration = Duration::from_millis(500);

/// Whom a request came from, and whether its server ends.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) addr: SocketAddr,
    closing: watch::Receiver<bool>,
}

impl Peer {
    /// Waits until the server ends.
    pub(crate) async fn closing(&mut self) {
        // A server that is gone ends too.
        let _ = self.closing.wait_for(|closing| *closing).await;
    }
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
#[must_use = "dropping a server ends it"]
pub struct Server {
    addr: SocketAddr,
    closing: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(studio: &Studio, addr: SocketAddr) -> Result<Self, StudioError> {
        let settings = &studio.0.settings;
        if !addr.ip().to_canonical().is_loopback() && settings.token.is_none() {
            return Err(StudioError::TokenRequired { addr });
        }
        let bind = |source| StudioError::Bind { addr, source };
        let listener = TcpListener::bind(addr).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let local = listener.local_addr().map_err(bind)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StudioError::Thread)?;
        let (closing, closed) = watch::channel(false);
        let (router, settings) = (studio.router(), settings.clone());
        let keeper = studio.clone();
        let thread = std::thread::Builder::new()
            .name("atrion-studio-http".into())
            .spawn(move || {
                runtime.block_on(accept(listener, router, settings, closed));
                drop(keeper);
                runtime.shutdown_timeout(FAREWELL);
            })
            .map_err(StudioError::Thread)?;
        tracing::info!(%local, "Studio: listening");
        Ok(Self { addr: local, closing, thread: Some(thread) })
    }

    /// Where it listens: the port is known even if any was asked for.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends it, and waits until its thread has ended: half a second at most, plus whatever request
    /// is being answered.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.closing.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("Studio: the server panicked");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    settings: Settings,
    mut closing: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!("Studio: cannot listen: {error}");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(settings.most_connections));
    let all = u32::try_from(settings.most_connections).unwrap_or(u32::MAX);
    loop {
        let accepted = tokio::select! {
            _ = closing.wait_for(|closing| *closing) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, addr)) => {
                // One too many is closed at once: waiting would only move the queue elsewhere.
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                let peer = Peer { addr, closing: closing.clone() };
                let conversation = converse(stream, router.clone(), peer, settings.patience, place);
                tokio::spawn(conversation);
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!("Studio: cannot accept a connection: {error}");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    // Whoever still talks is given a moment to end.
    let _ = tokio::time::timeout(FAREWELL, places.acquire_many(all)).await;
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn converse(
    stream: TcpStream,
    router: Router,
    peer: Peer,
    patience: Duration,
    _place: OwnedSemaphorePermit,
) {
    // Lines are small and wanted at once. A socket that refuses is slower, and works.
    let _ = stream.set_nodelay(true);
    let mut closing = peer.clone();
    let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let mut router = router.clone();
        async move { router.call(request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, 3 * patience)), service);
    tokio::pin!(connection);
    tokio::select! {
        // What goes wrong with one connection is that caller's business.
        _ = connection.as_mut() => return,
        () = closing.closing() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
