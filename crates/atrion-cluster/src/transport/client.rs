//! What a Redis client has to bring: connections and a subscription.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::reply::{Command, Reply};
use super::{Inbox, TransportError};
use crate::url::{Host, Login};

/// A Redis client. Errors of the server inside a pipeline are replies; everything else is an error.
pub(crate) trait Client: Send + Sync + 'static {
    type Link: Link;

    /// Connects and logs in.
    fn connect(
        &self,
        to: &Endpoint,
    ) -> impl Future<Output = Result<Self::Link, TransportError>> + Send;

    /// Connects, logs in, subscribes, and returns when the server has confirmed it.
    fn subscribe(
        &self,
        to: &Endpoint,
        channel: &Channel,
        inbox: &Inbox,
    ) -> impl Future<Output = Result<Subscription, TransportError>> + Send;
}

/// A connection for commands. Dropping it closes it.
pub(crate) trait Link: Send + Sync + 'static {
    /// Sends the commands in one go and returns as many replies.
    fn send(
        &self,
        commands: Vec<Command>,
    ) -> impl Future<Output = Result<Vec<Reply>, TransportError>> + Send;
}

/// A server, and how to log in there.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: Address,
    pub(crate) login: Login,
    pub(crate) database: u8,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(Host),
    Unix(std::path::PathBuf),
}

/// A channel, and whether it is a sharded one.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) name: Bytes,
    pub(crate) sharded: bool,
}

impl Endpoint {
    /// `text` without this endpoint's password.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let line = super::reply::one_line(text);
        self.login.password.as_ref().map_or(line.clone(), |password| password.scrub(&line))
    }
}

/// A task that ends when this is dropped.
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A live subscription; dropping it ends it.
pub(crate) struct Subscription {
    loss: Loss,
    _tasks: Vec<Task>,
    _connection: Box<dyn Any + Send + Sync>,
}

impl Subscription {
    /// Keeps the tasks and the client's connection for as long as it lives.
    pub(crate) fn new(loss: Loss, tasks: Vec<Task>, connection: impl Any + Send + Sync) -> Self {
        Self { loss, _tasks: tasks, _connection: Box::new(connection) }
    }

    /// Where the end of the link is reported.
    pub(crate) const fn loss(&self) -> &Loss {
        &self.loss
    }
}

/// Reports the end of a link to its inbox, once, whoever notices it first.
#[derive(Clone)]
pub(crate) struct Loss(mpsc::Sender<TransportError>);

impl Loss {
    /// With the task that waits for the report and hands it on.
    pub(crate) fn watched(inbox: Inbox) -> (Self, Task) {
        let (sender, mut receiver) = mpsc::channel(1);
        let task = Task::spawn(async move {
            if let Some(error) = receiver.recv().await {
                receiver.close();
                inbox.lost(error).await;
            }
        });
        (Self(sender), task)
    }

    pub(crate) fn report(&self, error: TransportError) {
        // Full or closed: it has been reported.
        let _ = self.0.try_send(error);
    }
}
