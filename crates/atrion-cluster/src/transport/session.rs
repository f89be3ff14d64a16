//! An open link, written once for both clients.

use std::collections::HashMap;
use std::sync::Arc;

use atrion_state::provider::BoxFuture;
use bytes::Bytes;

use super::client::{Channel, Client, Link, Subscription};
use super::locate::Site;
use super::reply::{Command, Reply, all_well, is_not_in_charge, is_unknown_command};
use super::{Commit, Inbox, Registered, Session, TransportError, commands};
use crate::names::Names;

/// A connection for commands and a subscription, both to the server in charge.
pub(crate) struct RedisSession<C: Client> {
    site: Arc<Site<C>>,
    link: C::Link,
    subscription: Subscription,
    sharded: bool,
}

impl<C: Client> RedisSession<C> {
    /// Subscribes last: until everything else works, nothing reaches the inbox.
    ///
    /// In a Redis Cluster the subscription, too, is at the node that holds the keys, and whether
    /// channels are sharded is decided by whether that node knows them: so all of us decide alike.
    pub(crate) async fn open(site: Arc<Site<C>>, inbox: Inbox) -> Result<Self, TransportError> {
        let endpoint = site.locate(site.names.slot()).await?;
        let link = site.connect(&endpoint).await?;
        if site.is_cluster() {
            let channel = Channel { name: site.names.shard_channel().clone(), sharded: true };
            match site.client.subscribe(&endpoint, &channel, &inbox).await {
                Ok(subscription) => return Ok(Self { site, link, subscription, sharded: true }),
                Err(error) if is_unknown_command(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let channel = Channel { name: site.names.channel().clone(), sharded: false };
        let subscription = site.client.subscribe(&endpoint, &channel, &inbox).await?;
        Ok(Self { site, link, subscription, sharded: false })
    }

    async fn send(&self, commands: Vec<Command>) -> Result<Vec<Reply>, TransportError> {
        let result = self.link.send(commands).await.and_then(all_well);
        if let Err(error) = &result
            && (is_not_in_charge(error) || matches!(error, TransportError::Unreachable(_)))
        {
            self.subscription.loss().report(error.clone());
        }
        result
    }

    async fn one(&self, command: Command) -> Result<Reply, TransportError> {
        let mut replies = self.send(vec![command]).await?;
        replies.pop().ok_or_else(|| TransportError::Protocol("no answer to a command".to_owned()))
    }

    async fn read_state(
        &self,
        node: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, TransportError> {
        let key = self.site.names.state(node);
        let mut fields = HashMap::new();
        let mut cursor = Bytes::from_static(b"0");
        while fields.len() < limit {
            let step = self.one(commands::state_step(key.clone(), cursor)).await?;
            let mut step = step.list()?.into_iter();
            let (next, page) = match (step.next(), step.next()) {
                (Some(next), Some(page)) => (next.text()?, page.list()?),
                _ => return Err(TransportError::Protocol("a scan's answer is short".to_owned())),
            };
            // A scan may name a field twice.
            for (field, value) in pairs(page)? {
                if fields.len() < limit || fields.contains_key(&field) {
                    fields.insert(field, value.text()?);
                }
            }
            cursor = next;
            if cursor == "0" {
                break;
            }
        }
        Ok(fields.into_iter().collect())
    }

    /// Where keys are on different nodes, a register's node is asked over a connection of its own:
    /// that happens once a minute or so.
    async fn registrations(
        &self,
        register: &str,
        commands: Vec<Command>,
    ) -> Result<Vec<Reply>, TransportError> {
        if !self.site.is_cluster() {
            return self.send(commands).await;
        }
        let owner = self.site.locate(Names::register_slot(register)).await?;
        let link = self.site.connect(&owner).await?;
        link.send(commands).await.and_then(all_well)
    }
}

impl<C: Client> Session for RedisSession<C> {
    fn server_millis(&self) -> BoxFuture<'_, Result<u64, TransportError>> {
        Box::pin(async move {
            let mut parts = self.one(commands::time()).await?.list()?.into_iter();
            match (parts.next(), parts.next()) {
                (Some(seconds), Some(micros)) => {
                    let seconds = seconds.unsigned()?.checked_mul(1000);
                    let millis = micros.unsigned()? / 1000;
                    seconds.and_then(|seconds| seconds.checked_add(millis)).ok_or_else(|| {
                        TransportError::Protocol("the server's time is out of range".to_owned())
                    })
                }
                _ => Err(TransportError::Protocol("the server's time is incomplete".to_owned())),
            }
        })
    }

    fn commit<'a>(&'a self, commit: &'a Commit) -> BoxFuture<'a, Result<bool, TransportError>> {
        Box::pin(async move {
            let commands = commands::commit(&self.site.names, commit, self.sharded);
            let noted = commands.iter().position(|command| command.name == commands::NOTES_NODE);
            let replies = self.send(commands).await?;
            // How many nodes the index has gained: none if this one was known.
            let gained = noted.and_then(|noted| replies.into_iter().nth(noted));
            Ok(gained.is_none_or(|gained| gained == Reply::Integer(0)))
        })
    }

    fn nodes(
        &self,
        since_millis: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, TransportError>> {
        Box::pin(async move {
            let command = commands::nodes(&self.site.names, since_millis, limit);
            self.one(command).await?.list()?.into_iter().map(Reply::text).collect()
        })
    }

    fn state<'a>(
        &'a self,
        node: &'a [u8],
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Bytes, Bytes)>, TransportError>> {
        Box::pin(self.read_state(node, limit))
    }

    fn register<'a>(
        &'a self,
        register: &'a str,
        member: &'a [u8],
        now_millis: u64,
        since_millis: u64,
    ) -> BoxFuture<'a, Result<Vec<Registered>, TransportError>> {
        Box::pin(async move {
            let keys = self.site.names.register(register);
            let member = Bytes::copy_from_slice(member);
            let commands = commands::register(keys, &member, now_millis, since_millis);
            let mut replies = self.registrations(register, commands).await?.into_iter().rev();
            match (replies.next(), replies.next()) {
                (Some(last), Some(first)) => {
                    registered(pairs(first.list()?)?, pairs(last.list()?)?)
                }
                _ => Err(TransportError::Protocol("a register's answer is short".to_owned())),
            }
        })
    }
}

/// Cuts a flat list into pairs whose first half is text.
fn pairs(list: Vec<Reply>) -> Result<Vec<(Bytes, Reply)>, TransportError> {
    let mut pairs = Vec::with_capacity(list.len() / 2);
    let mut list = list.into_iter();
    while let Some(name) = list.next() {
        let odd = || TransportError::Protocol("a list of pairs is odd".to_owned());
        pairs.push((name.text()?, list.next().ok_or_else(odd)?));
    }
    Ok(pairs)
}

/// Joins first and last times; whoever has only a last time came in between, just now.
fn registered(
    first: Vec<(Bytes, Reply)>,
    last: Vec<(Bytes, Reply)>,
) -> Result<Vec<Registered>, TransportError> {
    let mut firsts = HashMap::with_capacity(first.len());
    for (member, time) in first {
        firsts.insert(member, time.unsigned()?);
    }
    last.into_iter()
        .map(|(member, time)| {
            let last_millis = time.unsigned()?;
            let first_millis = firsts.get(&member).copied().unwrap_or(last_millis);
            Ok(Registered { member, first_millis, last_millis })
        })
        .collect()
}

/// Opens a session of `site` as the port wants it.
pub(crate) fn open<C: Client>(
    site: &Arc<Site<C>>,
    inbox: Inbox,
) -> BoxFuture<'static, Result<Box<dyn Session>, TransportError>> {
    let site = Arc::clone(site);
    Box::pin(async move {
        let session = RedisSession::open(site, inbox).await?;
        Ok(Box::new(session) as Box<dyn Session>)
    })
}
