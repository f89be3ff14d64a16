//! A master, its replica, and sentinels that watch them.

use crate::cluster::text;
use crate::process::{Folder, Process, free_port};
use crate::resp::{Answer, Control};
use crate::wait::wait_for;
use crate::{Failure, RedisOptions, RedisServer};

/// How many sentinels there are; two of them have to agree.
const SENTINELS: usize = 3;

/// A master and a replica watched by three sentinels.
pub struct Sentinels {
    watchers: Vec<Sentinel>,
    master: RedisServer,
    replica: RedisServer,
}

struct Sentinel {
    _process: Process,
    folder: Folder,
    port: u16,
}

impl Sentinels {
    /// The name under which the master is watched.
    pub const MASTER: &'static str = "primary";

    /// Starts all five. The servers want `password`, the sentinels `sentinel_password`. Returns
    /// when the sentinels know each other and the replica.
    ///
    /// # Errors
    /// [`Failure`] if one of them does not start.
    pub fn start(password: &str, sentinel_password: &str) -> Result<Self, Failure> {
        let options =
            || RedisOptions::default().password(password).line(&format!("masterauth {password}"));
        let master = RedisServer::start_with(options())?;
        let replica = RedisServer::start_with(options().replica_of(master.port()))?;
        wait_for("a replica", || {
            let info = text(&mut replica.control()?, "INFO replication")?;
            Ok(info.contains("master_link_status:up").then_some(()))
        })?;
        let sentinels = (0..SENTINELS)
            .map(|_| Sentinel::start(master.port(), password, sentinel_password))
            .collect::<Result<Vec<_>, _>>()?;
        let all = Self { watchers: sentinels, master, replica };
        for sentinel in &all.watchers {
            wait_for("sentinels that know each other", || {
                let Ok(mut control) = sentinel.control(sentinel_password) else { return Ok(None) };
                let line = format!("SENTINEL MASTER {}", Self::MASTER);
                let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
                let facts: Vec<String> =
                    control.call(&parts)?.items().iter().filter_map(Answer::text).collect();
                let is = |name: &str, value: &str| {
                    facts.windows(2).any(|pair| pair == [name.to_owned(), value.to_owned()])
                };
                Ok((is("num-slaves", "1") && is("num-other-sentinels", "2")).then_some(()))
            })?;
        }
        Ok(all)
    }

    /// The sentinels' ports.
    pub fn ports(&self) -> Vec<u16> {
        self.watchers.iter().map(|sentinel| sentinel.port).collect()
    }

    /// The server that was the master at the start.
    pub const fn master(&self) -> &RedisServer {
        &self.master
    }

    /// The server that was the replica at the start.
    pub const fn replica(&self) -> &RedisServer {
        &self.replica
    }

    /// Lets the sentinels make the replica the master, and returns when all of them name it and the
    /// old master has become a replica.
    ///
    /// # Errors
    /// [`Failure`] if that does not happen.
    pub fn fail_over(&self, sentinel_password: &str) -> Result<(), Failure> {
        let Some(first) = self.watchers.first() else { return Ok(()) };
        let mut control = first.control(sentinel_password)?;
        let order = [b"SENTINEL".as_slice(), b"FAILOVER", Self::MASTER.as_bytes()];
        // Until the replica has reported itself healthy the answer is that there is no good one.
        wait_for("the order to fail over", || {
            Ok((!matches!(control.call(&order)?, Answer::Error(_))).then_some(()))
        })?;
        let port = self.replica.port().to_string();
        for sentinel in &self.watchers {
            let mut control = sentinel.control(sentinel_password)?;
            wait_for("a failover", || {
                let question =
                    [b"SENTINEL".as_slice(), b"GET-MASTER-ADDR-BY-NAME", Self::MASTER.as_bytes()];
                let answer = control.call(&question)?;
                let named = answer.items().get(1).and_then(Answer::text);
                Ok((named.as_deref() == Some(&port)).then_some(()))
            })?;
        }
        wait_for("the old master as a replica", || {
            // The sentinels close all connections to it, also this one.
            let info = self.master.control().and_then(|mut c| text(&mut c, "INFO replication"));
            Ok(info.is_ok_and(|info| info.contains("role:slave")).then_some(()))
        })
    }
}

impl Sentinel {
    fn start(master: u16, password: &str, own_password: &str) -> Result<Self, Failure> {
        let folder = Folder::new()?;
        let port = free_port()?;
        let dir = folder.path().display().to_string();
        let name = Sentinels::MASTER;
        let config = format!(
            "bind 127.0.0.1\nport {port}\ndir {dir}\nunixsocket {dir}/s\nrequirepass {own_password}\n\
             sentinel sentinel-pass {own_password}\n\
             sentinel monitor {name} 127.0.0.1 {master} 2\nsentinel auth-pass {name} {password}\n\
             sentinel down-after-milliseconds {name} 1000\nsentinel failover-timeout {name} 5000\n"
        );
        let config = folder.write("sentinel.conf", &config)?;
        let process = Process::redis(&config, &["--sentinel"], &folder.log())?;
        Ok(Self { _process: process, folder, port })
    }

    fn control(&self, password: &str) -> Result<Control, Failure> {
        let mut control = Control::connect(&self.folder.path().join("s"))?;
        match control.call(&[b"AUTH", password.as_bytes()])? {
            Answer::Error(text) => Err(Failure::new(text)),
            _ => Ok(control),
        }
    }
}
