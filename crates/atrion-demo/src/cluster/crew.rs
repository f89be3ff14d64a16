//! The processes of a run as the conductor sees them.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use atrion_license::issue::{Issuer, Terms};
use atrion_license::{SystemWallClock, Tier, WallClock as _};
use tokio::time::timeout;

use super::wire::{Event, Order, Target};
use super::{NODES, Part, Role, SHARED};
use crate::args;
use crate::part::Part as Process;
use crate::wire as parts;

/// How long the store may take to start.
const PATIENCE: Duration = Duration::from_secs(35);
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
    /// Starts everybody but the liar. The last node that shares reaches Redis through a proxy.
    ///
    /// # Errors
    ///
    /// A sentence if one of them cannot be started.
    pub(crate) async fn start(seed: u64, origin: u64) -> Result<Self, String> {
        let mut crew = Self { members: Vec::new(), seed, origin, ports: Vec::new(), redis: 0 };
        let mut store = crew.process("store", Part::Store, &[])?;
        let (redis, proxy) = match timeout(PATIENCE, store.event()).await {
            Ok(Ok(parts::Event::Cluster(Event::Store { redis, proxy }))) => (redis, proxy),
            Ok(Ok(other)) => return Err(format!("the store said {other:?} instead of its port")),
            Ok(Err(why)) => return Err(why),
            Err(_) => return Err("the store did not start".to_owned()),
        };
        crew.members.push((Who::Store, store));
        crew.redis = redis;
        let mut callee = crew.process("dependency", Part::Callee, &[])?;
        let dependency = callee.port().await?;
        crew.members.push((Who::Callee, callee));
        let license = development_license()?;
        for index in 0..NODES {
            let redis = match index {
                _ if index >= SHARED => None,
                _ if index + 1 == SHARED => Some(proxy),
                _ => Some(redis),
            };
            let part = Part::Node { index, dependency, redis };
            let node = crew.process("node", part, &[(LICENSE_VARIABLE, &license)])?;
            crew.members.push((Who::Node(index), node));
        }
        for (who, process) in &mut crew.members {
            if matches!(who, Who::Node(_)) {
                crew.ports.push(process.port().await?);
            }
        }
        let load = crew.process("load", Part::Load, &[])?;
        crew.members.push((Who::Load, load));
        Ok(crew)
    }

    fn process(
        &self,
        name: &'static str,
        part: Part,
        variables: &[(&str, &str)],
    ) -> Result<Process, String> {
        let role = Role { part, seed: self.seed, origin: self.origin };
        Process::start_with(name, args::Role::Cluster(role), variables)
    }

    /// Starts the liar.
    ///
    /// # Errors
    ///
    /// A sentence if the system refuses.
    pub(crate) fn start_liar(&mut self) -> Result<(), String> {
        let liar = self.process("liar", Part::Liar { redis: self.redis }, &[])?;
        self.members.push((Who::Liar, liar));
        Ok(())
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
    pub(crate) async fn end_all(mut self) {
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
