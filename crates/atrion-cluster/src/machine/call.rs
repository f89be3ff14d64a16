//! What the machine asks of the transport, and what it gets.

use std::sync::Arc;

use atrion_state::peers::NodeId;
use bytes::Bytes;

use crate::transport::{Commit, Registered};

/// Names one call of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) u64);

/// A call to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name, for [`ClusterCore::handle_completed`](super::ClusterCore::handle_completed).
    pub id: CallId,
    /// What to do.
    pub request: Request,
}

/// What to do with the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// [`Transport::open`](crate::transport::Transport::open), with a new inbox.
    Open,
    /// [`Session::server_millis`](crate::transport::Session::server_millis).
    ServerMillis,
    /// [`Session::commit`](crate::transport::Session::commit).
    Commit(Commit),
    /// [`Session::nodes`](crate::transport::Session::nodes).
    Nodes {
        /// Seen at or after this, on the server's clock.
        since_millis: u64,
        /// At most so many.
        limit: usize,
    },
    /// [`Session::state`](crate::transport::Session::state).
    State {
        /// Whose.
        node: NodeId,
        /// Its name in the index and in keys: [`node_key`] of it.
        key: Bytes,
        /// At most so many fields.
        limit: usize,
    },
    /// [`Session::register`](crate::transport::Session::register).
    Register {
        /// In which register.
        register: Arc<str>,
        /// Who.
        member: Bytes,
        /// Now, on the server's clock.
        now_millis: u64,
        /// Who was not seen since is forgotten.
        since_millis: u64,
    },
    /// Drop the session and everything that still arrives from it. Takes effect at once, is never
    /// in flight and has no reply; there may be no session at all.
    Close,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// To [`Request::Open`].
    Opened,
    /// To [`Request::ServerMillis`]: the server's clock, in milliseconds since 1970.
    Millis(u64),
    /// To [`Request::Commit`].
    Committed,
    /// The same, to a store that did not know this node: it is new there, or the store has lost
    /// what it held.
    CommittedAnew,
    /// To [`Request::Nodes`].
    Nodes(Vec<Bytes>),
    /// To [`Request::State`].
    State(Vec<(Bytes, Bytes)>),
    /// To [`Request::Register`].
    Registered(Vec<Registered>),
}

/// What the licence allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The licence's id, under which clusters are registered.
    pub license: Arc<str>,
    /// How many clusters it covers; any number if `None`.
    pub clusters: Option<u32>,
    /// How many nodes a cluster may have; any number if `None`.
    pub nodes: Option<u32>,
}

/// How a node is named in the index and in the key of its stored state: 16 hexadecimal digits.
pub fn node_key(node: NodeId) -> Bytes {
    Bytes::from(node.to_string())
}

/// The node of that key, if it is one.
pub(crate) fn node_of(key: &[u8]) -> Option<NodeId> {
    let text = std::str::from_utf8(key).ok().filter(|text| text.len() == 16)?;
    let node = NodeId(u64::from_str_radix(text, 16).ok()?);
    // Neither capitals nor a sign: one node has one key.
    (node.to_string() == text).then_some(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_one_key_and_nothing_else_is_one() {
        for id in [0, 1, 0xdead_beef, u64::MAX] {
            assert_eq!(node_of(&node_key(NodeId(id))), Some(NodeId(id)));
        }
        let foreign: [&[u8]; 6] = [
            b"",
            b"1",
            b"00000000DEADBEEF",
            b"+00000000000000f",
            b"00000000000000001",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ];
        for key in foreign {
            assert_eq!(node_of(key), None, "{key:?}");
        }
    }
}
