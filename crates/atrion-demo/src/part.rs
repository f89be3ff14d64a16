//! A helper process as the conductor sees it.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::args::Role;
use crate::wire::{Event, Order};

/// How long a part may take to start, and to end when told to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running part. Dropped, it is killed; and it ends by itself when its standard input does,
/// so not even a killed conductor leaves one behind.
pub(crate) struct Part {
    name: &'static str,
    child: Child,
    orders: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
}

impl Part {
    /// Starts another process of this program.
    ///
    /// # Errors
    ///
    /// A sentence if the system refuses.
    pub(crate) fn start(name: &'static str, role: Role) -> Result<Self, String> {
        Self::start_with(name, role, &[])
    }

    /// The same with these environment variables.
    ///
    /// # Errors
    ///
    /// A sentence if the system refuses.
    pub(crate) fn start_with(
        name: &'static str,
        role: Role,
        variables: &[(&str, &str)],
    ) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("the {name} cannot be started: {e}");
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .args(role.to_args())
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(orders), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("the {name} has no standard input or output"));
        };
        Ok(Self { name, child, orders, events: BufReader::new(out).lines() })
    }

    /// Starts a server and waits for its port.
    ///
    /// # Errors
    ///
    /// A sentence if it cannot be started or does not listen in time.
    pub(crate) async fn serve(name: &'static str, role: Role) -> Result<(Self, u16), String> {
        let mut part = Self::start(name, role)?;
        let port = part.port().await?;
        Ok((part, port))
    }

    /// Waits for the port of a server that was started.
    ///
    /// # Errors
    ///
    /// A sentence if it does not listen in time.
    pub(crate) async fn port(&mut self) -> Result<u16, String> {
        let name = self.name;
        match timeout(PATIENCE, self.event()).await {
            Ok(Ok(Event::Listening { port })) => Ok(port),
            Ok(Ok(other)) => Err(format!("the {name} said {other:?} instead of its port")),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("the {name} did not listen within {} s", PATIENCE.as_secs())),
        }
    }

    /// Gives an order.
    ///
    /// # Errors
    ///
    /// A sentence if the part is gone.
    pub(crate) async fn order(&mut self, order: &Order) -> Result<(), String> {
        let mut line = serde_json::to_string(order).map_err(|e| e.to_string())?;
        line.push('\n');
        let written = self.orders.write_all(line.as_bytes()).await;
        written.map_err(|e| format!("the {} takes no orders any more: {e}", self.name))
    }

    /// The next event. Cancel-safe.
    ///
    /// # Errors
    ///
    /// A sentence if the part ended or reports that it cannot go on.
    pub(crate) async fn event(&mut self) -> Result<Event, String> {
        let name = self.name;
        match self.events.next_line().await {
            Ok(Some(line)) => match serde_json::from_str(&line) {
                Ok(Event::Trouble { why }) => Err(format!("the {name}: {why}")),
                Ok(event) => Ok(event),
                Err(e) => Err(format!("the {name} said `{line}`: {e}")),
            },
            Ok(None) => Err(format!("the {name} ended before its time")),
            Err(e) => Err(format!("the {name} cannot be read: {e}")),
        }
    }

    /// Ends the part and waits until it is gone.
    pub(crate) async fn end(self) {
        let Self { mut child, orders, events, .. } = self;
        drop((orders, events));
        if timeout(PATIENCE, child.wait()).await.is_err() {
            // Reaped by the runtime; there is nothing more to do if even that fails.
            drop(child.kill().await);
        }
    }
}
