//! The other nodes, one by one: what a provider can tell that knows who said what.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atrion_core::merge::Report;
use atrion_core::time::Timestamp;
use atrion_core::units::UnitInterval;

/// A route's name as the nodes of one cluster abbreviate it. Which number stands for which name is
/// up to the provider; all nodes of a cluster agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub u64);

/// Who a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// One node of the cluster, as this one sees it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// Who it is.
    pub id: NodeId,
    /// What it calls itself; empty if that was not heard yet. Hostile input like any name.
    pub name: Arc<str>,
    /// Whether it is this node.
    pub is_self: bool,
    /// How long ago it was last heard of; zero for this node.
    pub silent_for: Duration,
    /// Routes that it has a register for here.
    pub routes: usize,
    /// Routes that it complains about.
    pub complaints: usize,
    /// Frames of it that were taken in.
    pub frames: u64,
    /// Frames of it that are known to be missing, by the gaps in their numbers.
    pub lost: u64,
}

impl Node {
    /// A node that was just heard of.
    pub fn new(id: NodeId, name: impl Into<Arc<str>>) -> Self {
        Self {
            id,
            name: name.into(),
            is_self: false,
            silent_for: Duration::ZERO,
            routes: 0,
            complaints: 0,
            frames: 0,
            lost: 0,
        }
    }
}

/// News of the cluster, for the operator. Rate-limited by the provider, so they can be logged as they
/// come.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// The link to the store works, and everything was read from it.
    LinkUp {
        /// How long it took since it was lost or first asked for.
        after: Duration,
    },
    /// The link to the store is gone. Local protection goes on.
    LinkDown {
        /// What the store's client said.
        reason: String,
    },
    /// A node was heard of for the first time.
    NodeJoined {
        /// Who it is.
        id: NodeId,
        /// What it calls itself.
        name: Arc<str>,
    },
    /// A node said goodbye, or was silent for too long.
    NodeLeft {
        /// Who it was.
        id: NodeId,
        /// What it called itself.
        name: Arc<str>,
    },
    /// Another process uses this node's id; this one has taken a new one.
    DuplicateNode {
        /// The id that was taken by both.
        id: NodeId,
    },
    /// The licence has news: what it is, and what to do.
    License {
        /// A stable word for the status, such as `expiring`.
        status: &'static str,
        /// The status in a sentence.
        message: String,
    },
}

/// The last word of every other node about every route, for the pulse to read.
///
/// All methods return at once, from memory. They are called from the pulse, never from the request
/// path, except [`gamma`](Self::gamma) and [`route_id`](Self::route_id): whoever makes a route asks
/// for them, so they must not wait for a lock.
///
/// Nothing that was heard is ever passed on as one's own, and a node never finds its own word among
/// the reports.
pub trait Peers: Send + Sync + 'static {
    /// What weight the cluster's word has (RFC-0007, section 5).
    fn gamma(&self) -> UnitInterval;

    /// The abbreviation of a route's name.
    fn route_id(&self, route: &str) -> RouteId;

    /// The routes that some node complains about at `now` (see [`Report::complains`]).
    fn troubled(&self, now: Timestamp) -> Vec<RouteId>;

    /// The last word of each other node that is alive about `route`, aged to `now`, appended to
    /// `reports`. At most one for each node.
    fn reports(&self, route: RouteId, now: Timestamp, reports: &mut Vec<Report>);

    /// The same with the node that said it, for people to look at. Empty unless overridden.
    fn voices(&self, route: RouteId, now: Timestamp) -> Vec<(NodeId, Report)> {
        let _ = (route, now);
        Vec::new()
    }

    /// All nodes that are believed to be alive, this one first.
    fn nodes(&self, now: Timestamp) -> Vec<Node>;

    /// The next piece of news, if there is any. None unless overridden.
    fn poll_notice(&self) -> Option<Notice> {
        None
    }
}
