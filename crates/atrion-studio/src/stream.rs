//! Streams: the lines that the desk writes, on their way to one viewer.
//!
//! All viewers get the same bytes out of one short ring. Whoever does not keep up finds it has moved
//! on, and is given the whole state anew; nobody else notices.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use tokio::sync::broadcast::error::RecvError;

use crate::answer::{ApiError, text};
use crate::desk::Feed;
use crate::server::Peer;
use crate::studio::{Shared, Viewer};

type Renewal = Pin<Box<dyn Future<Output = Result<Option<Feed>, ApiError>> + Send>>;

/// One viewer's stream.
struct Watching {
    shared: Arc<Shared>,
    feed: Feed,
    /// What the viewer gets next.
    next: Option<Bytes>,
    renew: fn(&Arc<Shared>, u64) -> Renewal,
    id: u64,
    peer: Option<Peer>,
    over: bool,
    _viewer: Viewer,
}

/// The stream of the overview.
pub(crate) fn overview(
    shared: Arc<Shared>,
    feed: Feed,
    viewer: Viewer,
    peer: Option<Peer>,
) -> Response {
    let renew: fn(&Arc<Shared>, u64) -> Renewal = |shared, _| {
        let shared = Arc::clone(shared);
        Box::pin(async move { shared.ask(crate::desk::Desk::subscribe).await.map(Some) })
    };
    respond(shared, 0, feed, viewer, peer, renew)
}

/// The stream of one route.
pub(crate) fn route(
    shared: Arc<Shared>,
    id: u64,
    feed: Feed,
    viewer: Viewer,
    peer: Option<Peer>,
) -> Response {
    let renew: fn(&Arc<Shared>, u64) -> Renewal = |shared, id| {
        let shared = Arc::clone(shared);
        Box::pin(async move { shared.ask(move |desk| desk.subscribe_route(id)).await })
    };
    respond(shared, id, feed, viewer, peer, renew)
}

fn respond(
    shared: Arc<Shared>,
    id: u64,
    feed: Feed,
    viewer: Viewer,
    peer: Option<Peer>,
    renew: fn(&Arc<Shared>, u64) -> Renewal,
) -> Response {
    let next = Some(feed.first.clone());
    let watching = Watching { shared, feed, next, renew, id, peer, over: false, _viewer: viewer };
    let lines = unfold(watching, |mut watching| async move {
        watching.line().await.map(|line| (Ok::<_, Infallible>(line), watching))
    });
    text("application/x-ndjson", Body::from_stream(lines))
}

impl Watching {
    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if !self.shared.gate.is_open() {
            return Some(self.bye("unlicensed"));
        }
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        let received = match &mut self.peer {
            None => self.feed.rest.recv().await,
            Some(peer) => tokio::select! {
                biased;
                () = peer.closing() => return Some(self.bye("shutdown")),
                received = self.feed.rest.recv() => received,
            },
        };
        match received {
            Ok(line) => {
                self.over = line.starts_with(b"{\"t\":\"gone\"");
                Some(line)
            }
            Err(RecvError::Lagged(_)) => Some(self.resync().await),
            Err(RecvError::Closed) => Some(self.bye("shutdown")),
        }
    }

    async fn resync(&mut self) -> Bytes {
        match (self.renew)(&self.shared, self.id).await {
            Ok(Some(feed)) => {
                self.next = Some(feed.first.clone());
                self.feed = feed;
                Bytes::from(format!("{{\"t\":\"resync\",\"seq\":{}}}\n", self.feed.seq))
            }
            Ok(None) => {
                self.over = true;
                Bytes::from_static(b"{\"t\":\"gone\"}\n")
            }
            Err(_) => self.bye("shutdown"),
        }
    }

    fn bye(&mut self, reason: &str) -> Bytes {
        self.over = true;
        Bytes::from(format!("{{\"t\":\"bye\",\"reason\":\"{reason}\"}}\n"))
    }
}
