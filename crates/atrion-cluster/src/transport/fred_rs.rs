//! The transport over the crate `fred`.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use atrion_state::provider::BoxFuture;
use bytes::Bytes;
use fred::prelude::{ClientLike, EventInterface};
use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, Server, ServerConfig, TcpConfig, TlsConfig,
    TlsConnector, TlsHostMapping,
};
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, RespVersion, Value};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

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
    ended: Ended,
    _task: Task,
}

/// Why the connection has ended, once it has. The client itself would let commands wait for ever
/// for a connection that nobody makes.
#[derive(Clone)]
struct Ended(watch::Receiver<Option<TransportError>>);

impl Ended {
    async fn wait(&mut self) -> TransportError {
        match self.0.wait_for(Option::is_some).await {
            Ok(error) => error.clone().unwrap_or_else(closed),
            Err(_) => closed(),
        }
    }
}

fn closed() -> TransportError {
    TransportError::Unreachable("the connection was closed".to_owned())
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
        let link = FredLink::connect(to, RespVersion::RESP3).await?;
        let (loss, watch) = Loss::watched(inbox.clone());
        let messages = link.client.message_rx();
        let receive =
            Task::spawn(receive(messages, inbox.clone(), link.ended.clone(), loss.clone()));
        link.confirm(channel).await?;
        Ok(Subscription::new(loss, vec![receive, watch], link))
    }
}

impl Link for FredLink {
    async fn send(&self, commands: Vec<Command>) -> Result<Vec<Reply>, TransportError> {
        let pipeline = self.client.pipeline();
        let fail = |error| trouble(&error, &self.scrub);
        for Command { name, args } in commands {
            let args: Vec<Value> = args.into_iter().map(Value::Bytes).collect();
            let _: Value = pipeline.custom(custom(name), args).await.map_err(fail)?;
        }
        let mut ended = self.ended.clone();
        let answers = tokio::select! {
            biased;
            answers = pipeline.try_all::<Value>() => answers,
            error = ended.wait() => return Err(error),
        };
        let answers = answers.into_iter().map(|answer| match answer {
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
        let performance =
            PerformanceConfig { broadcast_channel_capacity: BACKLOG, ..Default::default() };
        let connection = ConnectionConfig {
            connection_timeout: NEVER,
            internal_command_timeout: NEVER,
            max_command_attempts: 1,
            max_redirections: 0,
            tcp: TcpConfig { nodelay: Some(true), ..Default::default() },
            ..Default::default()
        };
        let config = config(to, version);
        let client = fred::clients::Client::new(config, Some(performance), Some(connection), None);
        let (sender, receiver) = watch::channel(None);
        let mut ended = Ended(receiver);
        let task = {
            let mut connected = pin!(client.wait_for_connect());
            // Polled before there is anything to wait for: it would miss what happens in between.
            let early = poll_fn(|cx| Poll::Ready(connected.as_mut().poll(cx))).await;
            let task = watch_over(Guard(client.connect()), sender, to.clone());
            let connected = async {
                match early {
                    Poll::Ready(result) => result,
                    Poll::Pending => connected.await,
                }
            };
            tokio::select! {
                biased;
                result = connected => result.map_err(|e| trouble(&e, to))?,
                error = ended.wait() => return Err(error),
            }
            task
        };
        Ok(Self { client, scrub: to.clone(), ended, _task: task })
    }

    /// Subscribes and waits for the server's word.
    ///
    /// The client takes a plain subscription for done when it is written, and drops the server's
    /// confirmation: a refusal would go unnoticed. So it is sent as a command that the client knows
    /// nothing about, with another one behind it. A refusal answers the first. Where there is none,
    /// the confirmation is dropped and the second one's answer is taken for the first one's: it
    /// comes either way, and in time.
    async fn confirm(&self, channel: &Channel) -> Result<(), TransportError> {
        let name = if channel.sharded { "SSUBSCRIBE" } else { "SUBSCRIBE" };
        let args = vec![Value::Bytes(channel.name.clone())];
        let subscribed = self.client.custom::<Value, _>(custom(name), args);
        let followed = async {
            if !channel.sharded {
                let ping = self.client.custom::<Value, Value>(custom("PING"), vec![]);
                // Either way it is the first one's turn to answer.
                let _ = ping.await;
            }
            std::future::pending::<()>().await;
        };
        let mut ended = self.ended.clone();
        tokio::select! {
            biased;
            result = subscribed => result.map(drop).map_err(|e| trouble(&e, &self.scrub)),
            () = followed => Ok(()),
            error = ended.wait() => Err(error),
        }
    }
}

fn custom(name: &'static str) -> CustomCommand {
    CustomCommand::new_static(name, ClusterHash::FirstKey, false)
}

fn config(to: &Endpoint, version: RespVersion) -> Config {
    let server = match &to.address {
        Address::Tcp(host) => {
            ServerConfig::Centralized { server: Server::new(host.name.clone(), host.port) }
        }
        Address::Unix(path) => ServerConfig::Unix { path: path.clone() },
    };
    Config {
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
    }
}

/// A task that notes why the connection has ended.
fn watch_over(
    mut task: Guard,
    ended: watch::Sender<Option<TransportError>>,
    scrub: Endpoint,
) -> Task {
    Task::spawn(async move {
        let error = match (&mut task.0).await {
            Ok(Err(error)) => trouble(&error, &scrub),
            _ => closed(),
        };
        ended.send_replace(Some(error));
    })
}

/// Ends the client's task when the task that waits for it ends.
struct Guard(ConnectHandle);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Moves frames into the inbox until the connection ends.
async fn receive(
    mut messages: Receiver<fred::types::Message>,
    inbox: Inbox,
    mut ended: Ended,
    loss: Loss,
) {
    loop {
        let message = tokio::select! {
            biased;
            message = messages.recv() => message,
            error = ended.wait() => return loss.report(error),
        };
        match message {
            Ok(message) => match message.value {
                Value::Bytes(frame) => inbox.frame(frame),
                Value::String(text) => inbox.frame(text.into_inner()),
                _ => {}
            },
            Err(RecvError::Lagged(count)) => inbox.dropped(count),
            Err(RecvError::Closed) => return loss.report(closed()),
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
