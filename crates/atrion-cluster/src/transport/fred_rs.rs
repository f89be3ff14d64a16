//! The transport over the crate `fred`.

use std::sync::Arc;
use std::time::Duration;

use atrion_state::provider::BoxFuture;
use bytes::Bytes;
use fred::prelude::{ClientLike, EventInterface, PubsubInterface};
use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, Server, ServerConfig, TlsConfig, TlsConnector,
    TlsHostMapping,
};
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, RespVersion, Value};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::client::{Address, Channel, Client, Endpoint, Link, Loss, Subscription, Task};
use super::locate::Site;
use super::reply::{Command, Reply, one_line, refusal};
use super::{Inbox, Session, TlsError, TlsOptions, Transport, TransportError, session};
use crate::names::Names;
use crate::url::RedisUrl;

/// How many frames wait between the client and the inbox. The task between them only moves frames,
/// so this bridges the time until it is its turn.
const BACKLOG: usize = 4096;

/// Longer than any deadline of the driver's, which drops the call long before.
const NEVER: Duration = Duration::from_secs(3600);

/// Links over the crate `fred`.
pub struct FredTransport {
    site: Arc<Site<Fred>>,
}

impl FredTransport {
    /// A transport to the deployment at `url`, with the keys and channels of `names`. Connects to
    /// nothing yet.
    ///
    /// # Errors
    /// [`TlsError`] if the URL asks for TLS and `tls` cannot be used.
    pub fn new(url: RedisUrl, names: Names, tls: &TlsOptions) -> Result<Self, TlsError> {
        Ok(Self { site: Arc::new(Site::new(Fred, url, names, tls)?) })
    }
}

impl Transport for FredTransport {
    fn open(&self, inbox: Inbox) -> BoxFuture<'_, Result<Box<dyn Session>, TransportError>> {
        session::open(&self.site, inbox)
    }
}

struct Fred;

/// A client with its connection's task, which ends with it.
struct FredLink {
    client: fred::clients::Client,
    scrub: Endpoint,
    task: Option<ConnectHandle>,
}

impl Client for Fred {
    type Link = FredLink;

    async fn connect(&self, to: &Endpoint) -> Result<FredLink, TransportError> {
        FredLink::connect(to, RespVersion::RESP2).await
    }

    async fn subscribe(
        &self,
        to: &Endpoint,
        channel: &Channel,
        inbox: &Inbox,
    ) -> Result<Subscription, TransportError> {
        let mut link = FredLink::connect(to, RespVersion::RESP3).await?;
        let (loss, watch) = Loss::watched(inbox.clone());
        let receive = Task::spawn(receive(link.client.message_rx(), inbox.clone()));
        let name = String::from_utf8_lossy(&channel.name).into_owned();
        if channel.sharded {
            link.client.ssubscribe(name).await.map_err(|e| trouble(&e, to))?;
        } else {
            // Returns when the command is written. The server answers in order, so what answers the
            // next command says how this one went: its error comes first.
            link.client.subscribe(name).await.map_err(|e| trouble(&e, to))?;
            link.client.ping::<Value>(None).await.map_err(|e| trouble(&e, to))?;
        }
        let end = link.end(loss.clone());
        Ok(Subscription::new(loss, vec![receive, end, watch], link))
    }
}

impl Link for FredLink {
    async fn send(&self, commands: Vec<Command>) -> Result<Vec<Reply>, TransportError> {
        let pipeline = self.client.pipeline();
        let fail = |error| trouble(&error, &self.scrub);
        for Command { name, args } in commands {
            let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
            let args: Vec<Value> = args.into_iter().map(Value::Bytes).collect();
            let _: Value = pipeline.custom(command, args).await.map_err(fail)?;
        }
        let answers = pipeline.try_all::<Value>().await.into_iter().map(|answer| match answer {
            Ok(value) => Ok(reply(value)),
            Err(error) if is_reply(&error) => Ok(Reply::Error(error.details().to_owned())),
            Err(error) => Err(fail(error)),
        });
        answers.collect()
    }
}

impl FredLink {
    /// Connects once and never again: without a policy for reconnecting, the client's task ends with
    /// its connection.
    async fn connect(to: &Endpoint, version: RespVersion) -> Result<Self, TransportError> {
        let server = match &to.address {
            Address::Tcp(host) => {
                ServerConfig::Centralized { server: Server::new(host.name.clone(), host.port) }
            }
            Address::Unix(path) => ServerConfig::Unix { path: path.clone() },
        };
        let config = Config {
            server,
            version,
            fail_fast: true,
            username: to.login.user.clone(),
            password: to.login.password.as_ref().map(|p| p.reveal().to_owned()),
            database: (to.database > 0).then_some(to.database),
            tls: to.tls.as_ref().map(|tls| TlsConfig {
                connector: TlsConnector::from((**tls).clone()),
                hostnames: TlsHostMapping::None,
            }),
            ..Config::default()
        };
        let performance =
            PerformanceConfig { broadcast_channel_capacity: BACKLOG, ..Default::default() };
        let mut connection = ConnectionConfig {
            connection_timeout: NEVER,
            internal_command_timeout: NEVER,
            max_command_attempts: 1,
            max_redirections: 0,
            ..Default::default()
        };
        connection.tcp.nodelay = Some(true);
        let client = fred::clients::Client::new(config, Some(performance), Some(connection), None);
        let mut link = Self { client, scrub: to.clone(), task: None };
        link.task = Some(link.client.connect());
        link.client.wait_for_connect().await.map_err(|e| trouble(&e, to))?;
        Ok(link)
    }

    /// A task that reports the end of the connection.
    fn end(&mut self, loss: Loss) -> Task {
        let (task, scrub) = (self.task.take(), self.scrub.clone());
        let guard = task.map(Guard);
        Task::spawn(async move {
            let Some(mut guard) = guard else { return };
            let error = match (&mut guard.0).await {
                Ok(Err(error)) => trouble(&error, &scrub),
                _ => TransportError::Unreachable("the connection was closed".to_owned()),
            };
            loss.report(error);
        })
    }
}

impl Drop for FredLink {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Ends the client's task when the task that waits for it ends.
struct Guard(ConnectHandle);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn receive(mut messages: Receiver<fred::types::Message>, inbox: Inbox) {
    loop {
        match messages.recv().await {
            Ok(message) => match message.value {
                Value::Bytes(frame) => inbox.frame(frame),
                Value::String(text) => inbox.frame(text.into_inner()),
                _ => {}
            },
            Err(RecvError::Lagged(count)) => inbox.dropped(count),
            Err(RecvError::Closed) => return,
        }
    }
}

fn reply(value: Value) -> Reply {
    match value {
        Value::Null => Reply::Nil,
        Value::Integer(number) => Reply::Integer(number),
        Value::Boolean(truth) => Reply::Integer(i64::from(truth)),
        Value::Double(number) => Reply::Text(number.to_string().into()),
        Value::String(text) => Reply::Text(text.into_inner()),
        Value::Bytes(text) => Reply::Text(text),
        Value::Queued => Reply::Text(Bytes::from_static(b"QUEUED")),
        Value::Array(items) => Reply::List(items.into_iter().map(reply).collect()),
        Value::Map(map) => Reply::List(
            map.inner()
                .into_iter()
                .flat_map(|(name, value)| [Reply::Text(name.into_bytes()), reply(value)])
                .collect(),
        ),
    }
}

/// Whether this is what the server answered, and not the client's own trouble.
fn is_reply(error: &fred::error::Error) -> bool {
    use fred::error::ErrorKind::{Auth, Cluster, InvalidArgument, InvalidCommand, Unknown};
    let has_code =
        error.details().chars().take_while(|c| !c.is_whitespace()).all(|c| c.is_ascii_uppercase());
    has_code && matches!(error.kind(), Auth | Cluster | InvalidArgument | InvalidCommand | Unknown)
}

/// An error of the client, in the port's terms and without the password.
fn trouble(error: &fred::error::Error, to: &Endpoint) -> TransportError {
    use fred::error::ErrorKind::{Auth, Parse, Protocol};
    let text = to.scrub(error.details());
    if is_reply(error) {
        return refusal(&text);
    }
    let text = one_line(&text);
    match error.kind() {
        Auth => TransportError::Denied(text),
        Parse | Protocol => TransportError::Protocol(text),
        _ => TransportError::Unreachable(text),
    }
}
