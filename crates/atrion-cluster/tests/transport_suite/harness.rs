//! What all tests of the suite need.

use std::time::Duration;

use atrion_cluster::names::Names;
use atrion_cluster::transport::{
    Arrivals, Commit, Inbox, Incoming, Session, TlsOptions, Transport, TransportError,
};
use atrion_cluster::url::RedisUrl;
use bytes::Bytes;

/// The password of every server of the suite that has one; no error may show it.
pub(crate) const PASSWORD: &str = "hunter2-s3cret";

/// Which client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    #[cfg(feature = "redis")]
    Redis,
    #[cfg(feature = "fred")]
    Fred,
}

/// Makes a test of every function named, for each client.
macro_rules! for_each_transport {
    ($($test:ident),* $(,)?) => {
        #[cfg(feature = "redis")]
        mod redis {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                use crate::harness::{Which, in_time};
                in_time(stringify!($test), super::$test(Which::Redis)).await;
            }
        )*}
        #[cfg(feature = "fred")]
        mod fred {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                use crate::harness::{Which, in_time};
                in_time(stringify!($test), super::$test(Which::Fred)).await;
            }
        )*}
    };
}
pub(crate) use for_each_transport;

/// A test that hangs says so.
pub(crate) async fn in_time(test: &str, run: impl Future<Output = ()>) {
    let limit = Duration::from_secs(60);
    assert!(tokio::time::timeout(limit, run).await.is_ok(), "{test} hangs");
}

impl Which {
    pub(crate) fn transport(self, url: &str) -> Box<dyn Transport> {
        self.transport_named(url, names(), &TlsOptions::default())
    }

    pub(crate) fn transport_named(
        self,
        url: &str,
        names: Names,
        tls: &TlsOptions,
    ) -> Box<dyn Transport> {
        let url: RedisUrl = url.parse().unwrap();
        match self {
            #[cfg(feature = "redis")]
            Self::Redis => {
                let transport = atrion_cluster::transport::RedisTransport::new(url, names, tls);
                Box::new(transport.unwrap())
            }
            #[cfg(feature = "fred")]
            Self::Fred => {
                let transport = atrion_cluster::transport::FredTransport::new(url, names, tls);
                Box::new(transport.unwrap())
            }
        }
    }
}

pub(crate) fn names() -> Names {
    Names::new("atrion", "atrion:sync", "suite")
}

/// An open link with its inbox.
pub(crate) struct Node {
    pub(crate) session: Box<dyn Session>,
    pub(crate) arrivals: Arrivals,
}

impl Node {
    pub(crate) async fn open(transport: &dyn Transport) -> Self {
        Self::try_open(transport).await.unwrap()
    }

    pub(crate) async fn try_open(transport: &dyn Transport) -> Result<Self, TransportError> {
        let (inbox, mut arrivals) = Inbox::new(64);
        match transport.open(inbox).await {
            Ok(session) => Ok(Self { session, arrivals }),
            Err(error) => {
                // Whoever fails to open has left the inbox to itself.
                assert_eq!(arrivals.next().await, None);
                Err(tight_lipped(error))
            }
        }
    }

    /// The next thing to arrive, which is a frame.
    pub(crate) async fn frame(&mut self) -> Bytes {
        match self.arrivals.next().await {
            Some(Incoming::Frame(frame)) => frame,
            other => panic!("expected a frame, not {other:?}"),
        }
    }

    /// Waits until the link is reported as lost, whatever arrives before.
    pub(crate) async fn lost(&mut self) -> TransportError {
        loop {
            match self.arrivals.next().await {
                Some(Incoming::Frame(_)) => {}
                Some(Incoming::Lost(error)) => return tight_lipped(error),
                None => panic!("the inbox is left without a word"),
            }
        }
    }

    pub(crate) async fn commit(&self, commit: &Commit) -> Result<(), TransportError> {
        self.session.commit(commit).await.map(drop).map_err(tight_lipped)
    }

    /// Publishes a frame and waits until it has come back.
    pub(crate) async fn round_trip(&mut self, frame: &'static [u8]) {
        self.commit(&news(frame)).await.unwrap();
        assert_eq!(self.frame().await, frame);
    }
}

/// Asserts that an error does not give the password away.
pub(crate) fn tight_lipped(error: TransportError) -> TransportError {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    error
}

/// A commit of a node named `n` with one field and this frame.
pub(crate) fn news(frame: &'static [u8]) -> Commit {
    Commit {
        node: "n".into(),
        frame: Bytes::from_static(frame),
        set: vec![("route".into(), "scar".into())],
        seen_millis: 1_000_000,
        ttl_millis: 60_000,
        ..Commit::default()
    }
}

pub(crate) fn on(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

pub(crate) fn is_denied(error: &TransportError) -> bool {
    matches!(error, TransportError::Denied(_))
}

pub(crate) fn is_unavailable(error: &TransportError) -> bool {
    matches!(error, TransportError::Unavailable(_))
}

pub(crate) fn is_unreachable(error: &TransportError) -> bool {
    matches!(error, TransportError::Unreachable(_))
}
