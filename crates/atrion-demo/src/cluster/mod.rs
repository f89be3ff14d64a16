//! `cargo xtask demo --cluster`: pods that warn each other, and what becomes of requests when the
//! store between them fails.
//!
//! Ten processes on loopback, all this binary, and a `redis-server` of their own:
//!
//! ```text
//! conductor --orders--> load  --HTTP--> node 0 1 2 --HTTP--> dependency
//!                                        |  |  |
//!                                     Redis | proxy --> Redis     (process `store`)
//!                       load  --HTTP--> node 3 4 5 --HTTP--> dependency       alone
//! ```
//!
//! Nodes 0, 1 and 2 share what they know; nodes 3, 4 and 5 are the same program without a
//! provider and get the same arrivals at the same time. They show what the same outage costs those
//! who share nothing, and what this machine alone does to latencies.
//!
//! What is real: processes, sockets, HTTP, Redis, signals, clocks. What is not: a request's work
//! is waiting.

pub(crate) mod clock;
pub(crate) mod wire;

mod blame;
mod callee;
mod conductor;
mod crew;
mod figures;
mod liar;
mod load;
mod node;
mod record;
mod report;
mod script;
mod store;
mod verdict;
mod watch;

use std::time::Duration;

pub(crate) use conductor::show;

use self::clock::SharedClock;
use crate::wire as parts;

/// How often nodes share news.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
/// The nodes that share, and all nodes.
pub(crate) const SHARED: usize = 3;
pub(crate) const NODES: usize = 2 * SHARED;
/// The cluster's name.
const CLUSTER: &str = "demo";

/// A helper process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) part: Part,
    pub(crate) seed: u64,
    /// The origin of the [`SharedClock`].
    pub(crate) origin: u64,
}

/// What a helper process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A service; without a port of Redis one that shares nothing.
    Node {
        index: usize,
        dependency: u16,
        redis: Option<u16>,
    },
    Callee,
    Store,
    Load,
    Liar {
        redis: u16,
    },
}

impl Role {
    /// The arguments that start this role.
    pub(crate) fn to_args(self) -> Vec<String> {
        let mut args = vec![format!("--seed={}", self.seed), format!("--origin={}", self.origin)];
        match self.part {
            Part::Node { index, dependency, redis } => {
                args.push("--part=node".into());
                args.push(format!("--index={index}"));
                args.push(format!("--dependency={dependency}"));
                args.extend(redis.map(|port| format!("--redis={port}")));
            }
            Part::Callee => args.push("--part=callee".into()),
            Part::Store => args.push("--part=store".into()),
            Part::Load => args.push("--part=load".into()),
            Part::Liar { redis } => {
                args.push("--part=liar".into());
                args.push(format!("--redis={redis}"));
            }
        }
        args
    }

    /// Does its work until the conductor is gone.
    ///
    /// # Errors
    ///
    /// A sentence if it cannot go on.
    pub(crate) async fn run(self) -> Result<(), String> {
        let clock = SharedClock::new(self.origin);
        match self.part {
            Part::Node { index, dependency, redis } => {
                node::run(node::Setting { index, dependency, redis, seed: self.seed }, clock).await
            }
            Part::Callee => callee::run(clock).await,
            Part::Store => store::run(clock).await,
            Part::Load => load::run(clock, self.seed).await,
            Part::Liar { redis } => liar::run(clock, redis).await,
        }
    }
}

/// Tells the conductor.
fn tell(event: wire::Event) {
    parts::tell(&parts::Event::Cluster(event));
}

/// Orders of this demonstration.
struct Orders(parts::Orders);

fn orders() -> Orders {
    Orders(parts::Orders::new())
}

impl Orders {
    /// The next order, or `None` when the conductor is gone. Cancel-safe.
    async fn next(&mut self) -> Result<Option<wire::Order>, String> {
        match self.0.next().await? {
            None => Ok(None),
            Some(parts::Order::Cluster(order)) => Ok(Some(order)),
            Some(other) => Err(format!("nobody here can {other:?}")),
        }
    }
}
