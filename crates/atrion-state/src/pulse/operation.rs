//! Calls of the provider, as the machine sees them.

use std::sync::Arc;

use super::steady::Elapsed;
use crate::provider::RouteVector;

/// Tells one call of the provider from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationId(pub(super) u64);

/// A call of the provider to make.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// `connect`.
    Connect,
    /// `snapshot`; hand the result to
    /// [`PulseSource::warm_start`](super::PulseSource::warm_start).
    WarmStart,
    /// `subscribe`; answer with [`Pulse::handle_subscribed`](super::Pulse::handle_subscribed).
    Subscribe,
    /// `update_vectors`; an empty batch is the heartbeat.
    Push(Arc<[RouteVector]>),
    /// `disconnect`.
    Disconnect,
}

impl Request {
    /// The method of [`StateProvider`](crate::provider::StateProvider) to call.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::WarmStart => "snapshot",
            Self::Subscribe => "subscribe",
            Self::Push(_) => "update_vectors",
            Self::Disconnect => "disconnect",
        }
    }
}

/// A call to make, with the id under which to report its end.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "the machine waits for the end of this call"]
pub struct Transmit {
    /// The id for [`Pulse::handle_completed`](super::Pulse::handle_completed).
    pub id: OperationId,
    /// What to call.
    pub request: Request,
}

#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) id: OperationId,
    pub(super) request: Request,
    pub(super) started: Elapsed,
    pub(super) deadline: Elapsed,
}
