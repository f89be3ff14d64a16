//! The transport over the crate `redis`.

use std::sync::Arc;

use atrion_state::provider::BoxFuture;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo,
    RedisError, Value,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::client::{Address, Channel, Client, Endpoint, Link, Loss, Subscription, Task};
use super::locate::Site;
use super::reply::{Command, Reply, one_line, refusal};
use super::{Inbox, Session, TlsError, TlsOptions, Transport, TransportError, session};
use crate::names::Names;
use crate::url::RedisUrl;

/// Links over the crate `redis`. The default transport.
pub struct RedisTransport {
    site: Arc<Site<Redis>>,
}

impl RedisTransport {
    /// A transport to the deployment at `url`, with the keys and channels of `names`. Connects to
    /// nothing yet.
    ///
    /// # Errors
    /// [`TlsError`] if the URL asks for TLS and `tls` cannot be used.
    pub fn new(url: RedisUrl, names: Names, tls: &TlsOptions) -> Result<Self, TlsError> {
        Ok(Self { site: Arc::new(Site::new(Redis, url, names, tls)?) })
    }
}

impl Transport for RedisTransport {
    fn open(&self, inbox: Inbox) -> BoxFuture<'_, Result<Box<dyn Session>, TransportError>> {
        session::open(&self.site, inbox)
    }
}

struct Redis;

struct RedisLink {
    connection: MultiplexedConnection,
    scrub: Endpoint,
    _driver: Task,
}

impl Client for Redis {
    type Link = RedisLink;

    async fn connect(&self, to: &Endpoint) -> Result<RedisLink, TransportError> {
        let (connection, driver) = connect(to, ProtocolVersion::RESP2, config()).await?;
        Ok(RedisLink { connection, scrub: to.clone(), _driver: driver })
    }

    async fn subscribe(
        &self,
        to: &Endpoint,
        channel: &Channel,
        inbox: &Inbox,
    ) -> Result<Subscription, TransportError> {
        let (loss, watch) = Loss::watched(inbox.clone());
        let (inbox, report) = (inbox.clone(), loss.clone());
        let pushed = move |push: PushInfo| {
            receive(push, &inbox, &report);
            Ok::<(), ()>(())
        };
        let config = config().set_push_sender(pushed);
        let (connection, driver) = connect(to, ProtocolVersion::RESP3, config).await?;
        let name = if channel.sharded { "SSUBSCRIBE" } else { "SUBSCRIBE" };
        let mut command = redis::cmd(name);
        command.arg(&channel.name[..]);
        let answer = connection.clone().send_packed_command(&command).await;
        match answer.map(reply) {
            Ok(Reply::Error(text)) => Err(refusal(&to.scrub(&text))),
            Ok(_) => Ok(Subscription::new(loss, vec![driver, watch], connection)),
            Err(error) => Err(trouble(&error, to)),
        }
    }
}

impl Link for RedisLink {
    async fn send(&self, commands: Vec<Command>) -> Result<Vec<Reply>, TransportError> {
        let mut pipeline = redis::Pipeline::with_capacity(commands.len());
        for command in &commands {
            let pipeline = pipeline.cmd(command.name);
            for arg in &command.args {
                pipeline.arg(&arg[..]);
            }
        }
        let mut connection = self.connection.clone();
        let values = connection
            .send_packed_commands(&pipeline, 0, commands.len())
            .await
            .map_err(|error| trouble(&error, &self.scrub))?;
        Ok(values.into_iter().map(reply).collect())
    }
}

/// Deadlines are the driver's.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

/// Connects and logs in. The client would do this itself; but then it would choose the provider of
/// the cryptography and the roots, and hide what it did on the way.
async fn connect(
    to: &Endpoint,
    protocol: ProtocolVersion,
    config: AsyncConnectionConfig,
) -> Result<(MultiplexedConnection, Task), TransportError> {
    let broken = |e: std::io::Error| TransportError::Unreachable(to.scrub(&e.to_string()));
    match &to.address {
        #[cfg(unix)]
        Address::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await.map_err(broken)?;
            log_in(stream, to, protocol, config).await
        }
        #[cfg(not(unix))]
        Address::Unix(_) => {
            let why = "this operating system has no sockets as files";
            Err(TransportError::Unreachable(why.to_owned()))
        }
        Address::Tcp(host) => {
            let at = (host.name.as_str(), host.port);
            let stream = TcpStream::connect(at).await.map_err(broken)?;
            stream.set_nodelay(true).map_err(broken)?;
            let Some(tls) = &to.tls else { return log_in(stream, to, protocol, config).await };
            let name = rustls::pki_types::ServerName::try_from(host.name.clone())
                .map_err(|e| TransportError::Unreachable(e.to_string()))?;
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(tls));
            let stream = connector.connect(name, stream).await.map_err(broken)?;
            log_in(stream, to, protocol, config).await
        }
    }
}

async fn log_in(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    to: &Endpoint,
    protocol: ProtocolVersion,
    config: AsyncConnectionConfig,
) -> Result<(MultiplexedConnection, Task), TransportError> {
    let mut info = RedisConnectionInfo::default()
        .set_protocol(protocol)
        .set_db(i64::from(to.database))
        .set_skip_set_lib_name();
    if let Some(user) = &to.login.user {
        info = info.set_username(user);
    }
    if let Some(password) = &to.login.password {
        info = info.set_password(password.reveal());
    }
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
        .await
        .map_err(|error| trouble(&error, to))?;
    Ok((connection, Task::spawn(driver)))
}

/// Takes what the server pushes.
fn receive(push: PushInfo, inbox: &Inbox, loss: &Loss) {
    match push.kind {
        PushKind::Message | PushKind::SMessage => {
            if let Some(Value::BulkString(frame)) = push.data.into_iter().nth(1) {
                inbox.frame(Bytes::from(frame));
            }
        }
        PushKind::Disconnection => {
            let why = "the connection of the subscription was closed";
            loss.report(TransportError::Unreachable(why.to_owned()));
        }
        // We never ask for that: the slot of a sharded channel has moved.
        PushKind::SUnsubscribe | PushKind::Unsubscribe => {
            let why = "MOVED the server has ended the subscription";
            loss.report(TransportError::Unavailable(why.to_owned()));
        }
        _ => {}
    }
}

fn reply(value: Value) -> Reply {
    match value {
        Value::Int(number) => Reply::Integer(number),
        Value::BulkString(text) => Reply::Text(text.into()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Reply::Text(text.into()),
        Value::Okay => Reply::Text(Bytes::from_static(b"OK")),
        Value::Array(items) | Value::Set(items) => {
            Reply::List(items.into_iter().map(reply).collect())
        }
        Value::Push { data, .. } => Reply::List(data.into_iter().map(reply).collect()),
        Value::Map(pairs) => Reply::List(
            pairs.into_iter().flat_map(|(name, value)| [reply(name), reply(value)]).collect(),
        ),
        Value::Boolean(truth) => Reply::Integer(i64::from(truth)),
        Value::Double(number) => Reply::Text(number.to_string().into()),
        Value::ServerError(error) => Reply::Error(
            error
                .details()
                .map_or(error.code().to_owned(), |details| format!("{} {details}", error.code())),
        ),
        // Nothing, and what no command of ours is answered with.
        _ => Reply::Nil,
    }
}

/// An error of the client, in the port's terms and without the password.
fn trouble(error: &RedisError, to: &Endpoint) -> TransportError {
    let text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.to_string(),
    };
    let text = to.scrub(&text);
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => refusal(&text),
        ErrorKind::AuthenticationFailed => TransportError::Denied(one_line(&text)),
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::RESP3NotSupported => {
            TransportError::Protocol(one_line(&text))
        }
        _ => TransportError::Unreachable(one_line(&text)),
    }
}
