//! What the cluster asks of a Redis client.
//!
//! Two clients implement it, `redis` (default) and `fred`, and both pass the same suite. A
//! transport carries bytes and decides nothing: when to connect, how long to wait, what to send
//! again is decided by the link machine, which also puts a deadline around every call. Dropping
//! the future of a call is always allowed; whether the server did what was asked is then unknown.
//!
//! What the clients have in common (which commands are sent, how answers are read, how the server
//! in charge is found in a Redis Cluster or through sentinels) is written once; a client only
//! brings connections. Neither client's own handling of clusters, sentinels and reconnection is
//! used: it would try again and subscribe again behind the machine's back, and what was published
//! in between would be missing without a sign.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use atrion_state::provider::BoxFuture;
use bytes::Bytes;
use thiserror::Error;
use tokio::sync::mpsc;

pub use atrion_commercial::tls::{TlsError, TlsOptions};

#[cfg(any(feature = "redis", feature = "fred"))]
mod client;
#[cfg(any(feature = "redis", feature = "fred"))]
mod commands;
#[cfg(feature = "fred")]
mod fred_rs;
#[cfg(any(feature = "redis", feature = "fred"))]
mod locate;
#[cfg(feature = "redis")]
mod redis_rs;
#[cfg(any(feature = "redis", feature = "fred"))]
mod reply;
#[cfg(any(feature = "redis", feature = "fred"))]
mod session;

#[cfg(feature = "fred")]
pub use fred_rs::FredTransport;
#[cfg(feature = "redis")]
pub use redis_rs::RedisTransport;

/// The longest frame that is delivered, in bytes. Longer ones are dropped and counted; they are
/// none of ours.
pub const MAX_FRAME_BYTES: usize = crate::wire::MAX_FRAME_BYTES;

/// The most bytes that wait in an [`Inbox`], whatever its capacity in frames.
pub const MAX_WAITING_BYTES: usize = 32 << 20;

/// Opens links to one Redis deployment.
pub trait Transport: Send + Sync + 'static {
    /// Connects, subscribes to the channel, and returns once the server has confirmed the
    /// subscription: whatever is published from then on reaches `inbox`, or the loss does.
    ///
    /// # Errors
    /// [`TransportError`]. Nothing is left behind, and `inbox` is told nothing any more.
    fn open(&self, inbox: Inbox) -> BoxFuture<'_, Result<Box<dyn Session>, TransportError>>;
}

/// An open link. Dropping it closes its connections.
///
/// A session never reconnects by itself: an error that ends the link is reported through the
/// inbox ([`Inbox::lost`]), by the call that met it, or by both, and the machine opens a new
/// session, after which it reads everything anew. The link also ends when the server says that it
/// is not in charge any more: a master that became a replica, a slot that moved to another node.
///
/// What the node itself publishes is delivered to its own inbox too: that it comes back shows that
/// the subscription lives.
pub trait Session: Send + Sync {
    /// The server's wall clock, in milliseconds since 1970: nodes date what they store by it, so
    /// that their own clocks do not matter.
    ///
    /// # Errors
    /// [`TransportError`].
    fn server_millis(&self) -> BoxFuture<'_, Result<u64, TransportError>>;

    /// Carries out one [`Commit`] in one round trip, and tells whether the store knew the node
    /// before: one that suddenly does not has lost what it held.
    ///
    /// # Errors
    /// [`TransportError`]. Any part of it may have been done.
    fn commit<'a>(&'a self, commit: &'a Commit) -> BoxFuture<'a, Result<bool, TransportError>>;

    /// The nodes that were seen at or after `since_millis` on the server's clock, at most `limit`
    /// of them, the latest seen first.
    ///
    /// # Errors
    /// [`TransportError`].
    fn nodes(
        &self,
        since_millis: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, TransportError>>;

    /// The stored fields of one node, at most `limit` of them, in no particular order. Empty if
    /// nothing is stored. Must not block the server for long: large hashes are scanned in steps.
    ///
    /// # Errors
    /// [`TransportError`].
    fn state<'a>(
        &'a self,
        node: &'a [u8],
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Bytes, Bytes)>, TransportError>>;

    /// Registers `member` under `register` at `now_millis` and returns everybody registered there
    /// who was seen at or after `since_millis`; who was not is removed. Used for the limits of a
    /// licence.
    ///
    /// # Errors
    /// [`TransportError`].
    fn register<'a>(
        &'a self,
        register: &'a str,
        member: &'a [u8],
        now_millis: u64,
        since_millis: u64,
    ) -> BoxFuture<'a, Result<Vec<Registered>, TransportError>>;
}

/// One node's news: published, and stored for those who come later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The node, as it is named in the index and in the key of its stored state.
    pub node: Bytes,
    /// Published on the channel unless empty.
    pub frame: Bytes,
    /// Fields to set in the node's stored state.
    pub set: Vec<(Bytes, Bytes)>,
    /// Fields to remove from it.
    pub remove: Vec<Bytes>,
    /// Remove the node's whole stored state first: it starts anew.
    pub clear: bool,
    /// Remove the node from the index and delete its state: it leaves. Excludes `set`.
    pub leave: bool,
    /// When, on the server's clock, the node is noted as seen.
    pub seen_millis: u64,
    /// How long its state outlives it, in milliseconds: time to live of the stored state; index
    /// entries older than that are removed.
    pub ttl_millis: u64,
}

/// Somebody in a register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The member.
    pub member: Bytes,
    /// When it was first registered, on the server's clock.
    pub first_millis: u64,
    /// When it last was.
    pub last_millis: u64,
}

/// Why a call of the transport failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The server cannot be reached, or the connection broke.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The server does not let us in, or not do this: wrong password, unknown user, no permission
    /// for a command, key or channel.
    #[error("the server denies access: {0}")]
    Denied(String),
    /// The server answered with an error that may pass: out of memory, read-only replica, loading,
    /// failing over.
    #[error("the server cannot serve: {0}")]
    Unavailable(String),
    /// What answers does not speak the protocol, or not as expected.
    #[error("the server's answer makes no sense: {0}")]
    Protocol(String),
}

impl TransportError {
    /// Whether trying again can help without a change by the operator.
    pub const fn is_transient(&self) -> bool {
        !matches!(self, Self::Denied(_))
    }
}

/// What arrives at an [`Inbox`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Something was published on the channel.
    Frame(Bytes),
    /// The link is gone; nothing more arrives.
    Lost(TransportError),
}

/// Where a session puts what arrives. Never waits: what does not fit is dropped and counted, and
/// the machine, which sees the gap, reads everything anew.
#[derive(Clone, Debug)]
pub struct Inbox {
    frames: mpsc::Sender<Incoming>,
    counts: Arc<Counts>,
}

/// What both ends of an inbox count.
#[derive(Debug, Default)]
struct Counts {
    /// Bytes of the frames that wait.
    waiting: AtomicUsize,
    dropped: AtomicU64,
    too_long: AtomicU64,
}

/// The receiving end of an [`Inbox`].
#[derive(Debug)]
pub struct Arrivals {
    frames: mpsc::Receiver<Incoming>,
    counts: Arc<Counts>,
}

impl Inbox {
    /// An inbox for `capacity` frames, with its receiving end.
    ///
    /// # Panics
    /// If `capacity` is zero.
    pub fn new(capacity: usize) -> (Self, Arrivals) {
        let (sender, receiver) = mpsc::channel(capacity);
        let counts = Arc::new(Counts::default());
        (
            Self { frames: sender, counts: Arc::clone(&counts) },
            Arrivals { frames: receiver, counts },
        )
    }

    /// A frame has arrived. One longer than [`MAX_FRAME_BYTES`] is dropped and counted.
    pub fn frame(&self, frame: Bytes) {
        let bytes = frame.len();
        if bytes > MAX_FRAME_BYTES {
            self.counts.too_long.fetch_add(1, Relaxed);
            return;
        }
        let waiting = self.counts.waiting.fetch_add(bytes, Relaxed);
        if waiting + bytes > MAX_WAITING_BYTES
            || self.frames.try_send(Incoming::Frame(frame)).is_err()
        {
            self.counts.waiting.fetch_sub(bytes, Relaxed);
            self.dropped(1);
        }
    }

    /// The client had to drop `count` frames.
    pub fn dropped(&self, count: u64) {
        self.counts.dropped.fetch_add(count, Relaxed);
    }

    /// The link is gone. Waits for room if there is none, because this must not be lost; give the
    /// call to a task of its own.
    pub async fn lost(&self, error: TransportError) {
        // Nobody listens any more: then nobody needs to know.
        let _ = self.frames.send(Incoming::Lost(error)).await;
    }
}

impl Arrivals {
    /// The next thing to arrive; `None` once every inbox of this end is gone.
    pub async fn next(&mut self) -> Option<Incoming> {
        let next = self.frames.recv().await;
        self.taken(next)
    }

    /// The next thing that has arrived already.
    pub fn try_next(&mut self) -> Option<Incoming> {
        let next = self.frames.try_recv().ok();
        self.taken(next)
    }

    /// Whether nothing can arrive any more.
    pub fn is_closed(&self) -> bool {
        self.frames.is_closed() && self.frames.is_empty()
    }

    /// How many frames found no room since this was last asked.
    pub fn take_dropped(&self) -> u64 {
        self.counts.dropped.swap(0, Relaxed)
    }

    /// How many were too long since this was last asked.
    pub fn take_too_long(&self) -> u64 {
        self.counts.too_long.swap(0, Relaxed)
    }

    fn taken(&self, next: Option<Incoming>) -> Option<Incoming> {
        if let Some(Incoming::Frame(frame)) = &next {
            self.counts.waiting.fetch_sub(frame.len(), Relaxed);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_is_bounded_in_frames_and_in_bytes_and_counts_what_it_leaves_out() {
        let (inbox, mut arrivals) = Inbox::new(4_096);
        let frame = Bytes::from(vec![0; MAX_FRAME_BYTES]);
        let fit = MAX_WAITING_BYTES / MAX_FRAME_BYTES;
        (0..2 * fit).for_each(|_| inbox.frame(frame.clone()));
        assert_eq!(arrivals.take_dropped(), fit as u64);
        inbox.frame(Bytes::from(vec![0; MAX_FRAME_BYTES + 1]));
        assert_eq!((arrivals.take_too_long(), arrivals.take_dropped()), (1, 0));
        // What is taken out makes room.
        assert_eq!(arrivals.try_next(), Some(Incoming::Frame(frame.clone())));
        inbox.frame(frame);
        assert_eq!(std::iter::from_fn(|| arrivals.try_next()).count(), fit);
        (0..5_000).for_each(|_| inbox.frame(Bytes::new()));
        assert_eq!(arrivals.take_dropped(), 5_000 - 4_096);
    }
}
