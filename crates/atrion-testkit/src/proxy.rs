//! A proxy that does to connections what networks do to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use crate::Failure;

mod pump;

/// How many events wait for somebody to read them.
const EVENTS: usize = 4096;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What is done to the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fault {
    /// They are passed on.
    #[default]
    Pass,
    /// They are taken and kept; the connection stays open. Passed on when the fault is over.
    Stall,
    /// So many of them per second are passed on.
    Slow(u32),
    /// Their bits are flipped.
    Corrupt,
    /// The direction is closed properly, the other one stays open.
    HalfClose,
    /// The connection is reset.
    Cut,
}

/// What has happened, as it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client has been connected to the server. Connections are numbered from 0.
    Connected(u64),
    /// A client has been turned away because the server refuses.
    Unreachable,
    /// A connection is over in both directions.
    Closed(u64),
    /// Bytes were passed on in this direction, this many.
    Passed(u64, Direction, usize),
    /// Bytes met this fault.
    Met(u64, Direction, Fault),
}

/// What every pump listens to.
#[derive(Clone)]
struct Switches {
    to_server: watch::Sender<Fault>,
    to_client: watch::Sender<Fault>,
    events: broadcast::Sender<Event>,
}

/// A proxy on a port of its own in front of a server on this machine.
///
/// Faults apply to all connections, those that are open and those to come, until they are switched
/// again. Dropping it resets everything.
pub struct FaultProxy {
    port: u16,
    server: SocketAddr,
    switches: Switches,
    count: Arc<AtomicU64>,
    accepting: Option<JoinSet<()>>,
}

impl FaultProxy {
    /// A proxy to the server on this port of 127.0.0.1.
    ///
    /// # Errors
    /// [`Failure`] if no port can be had.
    pub async fn start(server_port: u16) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut proxy = Self {
            port: listener.local_addr()?.port(),
            server: SocketAddr::from((Ipv4Addr::LOCALHOST, server_port)),
            switches: Switches {
                to_server: watch::Sender::new(Fault::Pass),
                to_client: watch::Sender::new(Fault::Pass),
                events: broadcast::Sender::new(EVENTS),
            },
            count: Arc::new(AtomicU64::new(0)),
            accepting: None,
        };
        proxy.accept_from(listener);
        Ok(proxy)
    }

    /// Its port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        Events(self.switches.events.subscribe())
    }

    /// How many clients have been connected so far.
    pub fn connections(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Switches one direction.
    pub fn set(&self, direction: Direction, fault: Fault) {
        let switch = match direction {
            Direction::ToServer => &self.switches.to_server,
            Direction::ToClient => &self.switches.to_client,
        };
        switch.send_replace(fault);
    }

    /// Switches both directions.
    pub fn set_both(&self, fault: Fault) {
        self.set(Direction::ToServer, fault);
        self.set(Direction::ToClient, fault);
    }

    /// Resets all open connections and refuses new ones, as a machine does on which the server has
    /// died.
    pub async fn refuse(&mut self) {
        if let Some(mut tasks) = self.accepting.take() {
            // The port is closed when this returns.
            tasks.shutdown().await;
        }
    }

    /// Takes connections again, on the same port.
    ///
    /// # Errors
    /// [`Failure`] if somebody else has taken the port.
    pub async fn accept(&mut self) -> Result<(), Failure> {
        if self.accepting.is_none() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
            self.accept_from(listener);
        }
        Ok(())
    }

    fn accept_from(&mut self, listener: TcpListener) {
        let (server, switches) = (self.server, self.switches.clone());
        let count = Arc::clone(&self.count);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((client, _)) = accepted else { continue };
                        let switches = switches.clone();
                        let Ok(upstream) = TcpStream::connect(server).await else {
                            let _ = client.set_zero_linger();
                            let _ = switches.events.send(Event::Unreachable);
                            continue;
                        };
                        let number = count.fetch_add(1, Relaxed);
                        let _ = switches.events.send(Event::Connected(number));
                        connections.spawn(pump::connection(number, client, upstream, switches));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        self.accepting = Some(tasks);
    }
}

/// What happens at a proxy, in order.
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// Waits until something happens that `wanted` says yes to.
    ///
    /// # Errors
    /// [`Failure`] if the proxy is gone, or more happened than was read.
    pub async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<Event, Failure> {
        loop {
            let event = self.0.recv().await;
            let event = event.map_err(|e| Failure::new(format!("the proxy's events: {e}")))?;
            if wanted(&event) {
                return Ok(event);
            }
        }
    }
}
