//! Finds the server in charge: anew at every opening, so that a failover is followed.
//!
//! All keys of one of our clusters live on one node of a Redis Cluster (see
//! [`Names`]), so a link is a connection to that node and nothing has to be
//! routed. When the node stops being in charge it says so, the link ends, and the next one is
//! opened to its successor.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::client::{Address, Client, Endpoint, Link};
use super::reply::{Command, Reply, all_well, one_line};
use super::{TlsError, TlsOptions, TransportError};
use crate::names::Names;
use crate::url::{Deployment, Host, Login, RedisUrl};

/// A client together with where to connect it to.
pub(crate) struct Site<C> {
    pub(crate) client: C,
    pub(crate) names: Names,
    url: RedisUrl,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// Which of several hosts is asked first. One that hangs costs one deadline: the next opening
    /// begins with its neighbour.
    turn: AtomicUsize,
}

impl<C: Client> Site<C> {
    pub(crate) fn new(
        client: C,
        url: RedisUrl,
        names: Names,
        tls: &TlsOptions,
    ) -> Result<Self, TlsError> {
        let tls = if url.uses_tls() { Some(Arc::new(tls.client_config()?)) } else { None };
        Ok(Self { client, names, url, tls, turn: AtomicUsize::new(0) })
    }

    pub(crate) const fn is_cluster(&self) -> bool {
        matches!(self.url.deployment(), Deployment::Cluster(_))
    }

    /// The server that holds `slot`; elsewhere than in a Redis Cluster it holds everything.
    pub(crate) async fn locate(&self, slot: u16) -> Result<Endpoint, TransportError> {
        match self.url.deployment() {
            Deployment::Standalone(host) => Ok(self.server(host.clone())),
            Deployment::Unix(path) => {
                let address = Address::Unix(path.clone());
                Ok(Endpoint { address, tls: None, ..self.server(Host::new("", 0)) })
            }
            Deployment::Cluster(hosts) => {
                self.ask_in_turn(hosts, |host| self.owner(slot, host)).await
            }
            Deployment::Sentinel { sentinels, master, login } => {
                let ask = |host| self.master(host, master, login);
                self.ask_in_turn(sentinels, ask).await
            }
        }
    }

    /// Connects for commands, and makes sure that a master found through sentinels is one.
    pub(crate) async fn connect(&self, to: &Endpoint) -> Result<C::Link, TransportError> {
        let link = self.client.connect(to).await?;
        if matches!(self.url.deployment(), Deployment::Sentinel { .. }) {
            let role = one(&link, Command::new("ROLE")).await;
            let is_replica = role.ok().and_then(|r| r.list().ok()).is_some_and(
                |role| matches!(role.first(), Some(Reply::Text(text)) if text != "master"),
            );
            // Who may not ask for the role finds out by the first commit.
            if is_replica {
                let text = "READONLY the sentinels name a master that is a replica";
                return Err(TransportError::Unavailable(text.to_owned()));
            }
        }
        Ok(link)
    }

    fn server(&self, host: Host) -> Endpoint {
        Endpoint {
            address: Address::Tcp(host),
            login: self.url.login().clone(),
            database: self.url.database(),
            tls: self.tls.clone(),
        }
    }

    async fn ask_in_turn<F>(
        &self,
        hosts: &[Host],
        ask: impl Fn(Host) -> F,
    ) -> Result<Endpoint, TransportError>
    where
        F: Future<Output = Result<Endpoint, TransportError>>,
    {
        let start = self.turn.fetch_add(1, Relaxed);
        let mut problem = TransportError::Unreachable("there is no host to ask".to_owned());
        for offset in 0..hosts.len() {
            let index = start.wrapping_add(offset) % hosts.len();
            let Some(host) = hosts.get(index) else { continue };
            match ask(host.clone()).await {
                Ok(endpoint) => {
                    self.turn.store(index, Relaxed);
                    return Ok(endpoint);
                }
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    /// Asks a node of a Redis Cluster which node holds `slot`.
    async fn owner(&self, slot: u16, seed: Host) -> Result<Endpoint, TransportError> {
        let link = self.client.connect(&self.server(seed.clone())).await?;
        let slots = one(&link, Command::new("CLUSTER").arg(&b"SLOTS"[..])).await?.list()?;
        for range in slots {
            let mut parts = range.list()?.into_iter();
            let mut next = || {
                let short = || TransportError::Protocol("a range of slots is incomplete".into());
                parts.next().ok_or_else(short)
            };
            let (from, to, node) = (next()?.unsigned()?, next()?.unsigned()?, next()?.list()?);
            if (from..=to).contains(&u64::from(slot)) {
                return Ok(self.server(host(node, Some(&seed.name))?));
            }
        }
        Err(TransportError::Unavailable(format!("no node of the cluster serves slot {slot}")))
    }

    /// Asks a sentinel where the master is.
    async fn master(
        &self,
        sentinel: Host,
        master: &str,
        login: &Login,
    ) -> Result<Endpoint, TransportError> {
        let at = Endpoint { login: login.clone(), database: 0, ..self.server(sentinel) };
        let link = self.client.connect(&at).await?;
        let command =
            Command::new("SENTINEL").arg(&b"GET-MASTER-ADDR-BY-NAME"[..]).arg(master.to_owned());
        match one(&link, command).await? {
            Reply::Nil => Err(TransportError::Unavailable(format!(
                "the sentinels know no master `{}`",
                one_line(master)
            ))),
            reply => Ok(self.server(host(reply.list()?, None)?)),
        }
    }
}

/// Sends one command and returns its answer.
pub(crate) async fn one(link: &impl Link, command: Command) -> Result<Reply, TransportError> {
    let mut replies = all_well(link.send(vec![command]).await?)?;
    replies.pop().ok_or_else(|| TransportError::Protocol("no answer to a command".to_owned()))
}

/// A host and a port at the start of a list. A node that does not know its own name says nothing,
/// and is to be found where it was asked.
fn host(list: Vec<Reply>, asked_at: Option<&str>) -> Result<Host, TransportError> {
    let nonsense = || TransportError::Protocol("an address is not one".to_owned());
    let mut list = list.into_iter();
    let name = match list.next() {
        Some(Reply::Text(text)) => String::from_utf8(text.to_vec()).map_err(|_| nonsense())?,
        Some(Reply::Nil) => String::new(),
        _ => return Err(nonsense()),
    };
    let port = list.next().ok_or_else(nonsense)?.unsigned()?;
    let port = u16::try_from(port).map_err(|_| nonsense())?;
    match (name.as_str(), asked_at) {
        ("", Some(asked_at)) => Ok(Host::new(asked_at, port)),
        ("", None) => Err(nonsense()),
        ("?", _) => {
            Err(TransportError::Unavailable("the cluster does not know where a node is".into()))
        }
        _ => Ok(Host::new(name, port)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn addresses_are_read_with_care() {
        let text = |t: &'static str| Reply::Text(Bytes::from_static(t.as_bytes()));
        let node = |name: Reply, port: Reply| host(vec![name, port], Some("seed"));
        assert_eq!(node(text("h"), Reply::Integer(7)), Ok(Host::new("h", 7)));
        assert_eq!(node(text(""), text("7")), Ok(Host::new("seed", 7)));
        assert_eq!(node(Reply::Nil, Reply::Integer(7)), Ok(Host::new("seed", 7)));
        assert!(matches!(node(text("?"), Reply::Integer(7)), Err(TransportError::Unavailable(_))));
        for bad in [vec![], vec![text("h")], vec![text("h"), Reply::Integer(70000)]] {
            assert!(matches!(host(bad, None), Err(TransportError::Protocol(_))));
        }
        assert!(host(vec![text(""), Reply::Integer(7)], None).is_err());
    }
}
