//! The processes of a run as the conductor sees them.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use atrion_license::issue::{Issuer, Terms};
use atrion_license::{SystemWallClock, Tier, WallClock as _};

use super::wire::{Event, Order, Target};
use super::{NODES, Part, Role, SHARED};
use crate::args;
use crate::part::Part as Process;
use crate::wire as parts;

/// Where a node looks for its licence.
const LICENSE_VARIABLE: &str = "ATRION_LICENSE_KEY";

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Node(usize),
    Callee,
    Store,
    Load,
    Liar,
}

pub(crate) struct Crew {
    members: Vec<(Who, Process)>,
    seed: u64,
    origin: u64,
    /// The ports of the nodes, and of Redis itself.
    ports: Vec<u16>,
    redis: u16,
}

impl Crew {
    /// Nobody yet.
    pub(crate) const fn new(seed: u64, origin: u64) -> Self {
        Self { members: Vec::new(), seed, origin, ports: Vec::new(), redis: 0 }
    }

    /// Starts everybody but the liar. The last node that shares reaches Redis through a proxy.
    /// Whoever was started is a member even if the rest fails: end them all.
    ///
    /// # Errors
    ///
    /// A sentence if one of them cannot be started.
    pub(crate) async fn start(&mut self) -> Result<(), String> {
        let (redis, proxy) = match self.join(Who::Store, "store", Part::Store, &[])?.event().await?
        {
            parts::Event::Cluster(Event::Store { redis, proxy }) => (redis, proxy),
            other => return Err(format!("the store said {other:?} instead of its port")),
        };
        self.redis = redis;
        let dependency = self.join(Who::Callee, "dependency", Part::Callee, &[])?.port().await?;
        let license = development_license()?;
        for index in 0..NODES {
            let redis = match index {
                _ if index >= SHARED => None,
                _ if index + 1 == SHARED => Some(proxy),
                _ => Some(redis),
            };
            let part = Part::Node { index, dependency, redis };
            self.join(Who::Node(index), "node", part, &[(LICENSE_VARIABLE, &license)])?;
        }
        for (who, process) in &mut self.members {
            if matches!(who, Who::Node(_)) {
                self.ports.push(process.port().await?);
            }
        }
        self.join(Who::Load, "load", Part::Load, &[])?;
        Ok(())
    }

    /// Starts a process.
    fn join(
        &mut self,
        who: Who,
        name: &'static str,
        part: Part,
        variables: &[(&str, &str)],
    ) -> Result<&mut Process, String> {
        let role = Role { part, seed: self.seed, origin: self.origin };
        let process = Process::start_with(name, args::Role::Cluster(role), variables)?;
        self.members.push((who, process));
        self.members.last_mut().map(|(_, process)| process).ok_or_else(|| "nobody".to_owned())
    }

    /// Starts the liar.
    ///
    /// # Errors
    ///
    /// A sentence if the system refuses.
    pub(crate) fn start_liar(&mut self) -> Result<(), String> {
        let part = Part::Liar { redis: self.redis };
        self.join(Who::Liar, "liar", part, &[]).map(drop)
    }

    /// Where to send requests for a node.
    pub(crate) fn target(&self, node: usize) -> Target {
        Target { node, port: self.ports.get(node).copied().unwrap_or_default() }
    }

    /// Gives an order.
    ///
    /// # Errors
    ///
    /// A sentence if that process is gone.
    pub(crate) async fn order(&mut self, who: Who, order: Order) -> Result<(), String> {
        let Some((_, process)) = self.members.iter_mut().find(|(member, _)| *member == who) else {
            return Err(format!("{who:?} is not there any more"));
        };
        process.order(&parts::Order::Cluster(order)).await
    }

    /// The next event of anybody. Cancel-safe.
    ///
    /// # Errors
    ///
    /// A sentence if a process ended or reports that it cannot go on.
    pub(crate) async fn event(&mut self) -> Result<(Who, Event), String> {
        let mut listening: Vec<_> = self
            .members
            .iter_mut()
            .map(|(who, process)| (*who, Box::pin(process.event())))
            .collect();
        let next = poll_fn(|context| {
            for (who, event) in &mut listening {
                if let Poll::Ready(event) = event.as_mut().poll(context) {
                    return Poll::Ready((*who, event));
                }
            }
            Poll::Pending
        });
        match pin!(next).await {
            (who, Ok(parts::Event::Cluster(event))) => Ok((who, event)),
            (who, Ok(other)) => Err(format!("{who:?} said {other:?}")),
            (_, Err(why)) => Err(why),
        }
    }

    /// Ends one process and waits until it is gone.
    pub(crate) async fn end(&mut self, who: Who) {
        if let Some(index) = self.members.iter().position(|(member, _)| *member == who) {
            self.members.remove(index).1.end().await;
        }
    }

    /// Ends everybody: the load first, the store last.
    pub(crate) async fn end_all(&mut self) {
        while let Some((_, process)) = self.members.pop() {
            process.end().await;
        }
    }
}

/// A development licence, as `cargo xtask license dev` makes them: anybody may.
fn development_license() -> Result<String, String> {
    let issuer = Issuer::development().map_err(|e| e.to_string())?;
    let id = "demo".parse().map_err(|e| format!("{e}"))?;
    let now = SystemWallClock.now();
    let terms = Terms::new(Tier::Development, id, "cargo xtask demo", now);
    issuer.issue(&terms).map_err(|e| format!("no development licence: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anybody_can_have_a_development_licence() {
        assert!(development_license().unwrap().starts_with("atrion_dev_"));
    }
}
