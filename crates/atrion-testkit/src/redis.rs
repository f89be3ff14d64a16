//! One Redis server.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::process::{Folder, Process, on_free_port};
use crate::resp::{Answer, Control};
use crate::{Certificates, Failure};

/// The user that steers a server which lets nobody else do so.
const STEERING: (&str, &str) = ("testkit", "steer-by-socket");

/// How a server is set up.
#[derive(Default)]
pub struct RedisOptions {
    password: Option<String>,
    users: Vec<String>,
    certificates: Option<Certificates>,
    client_certificates: bool,
    replica_of: Option<u16>,
    cluster: bool,
    lines: Vec<String>,
}

impl RedisOptions {
    /// The default user has this password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// One more user, as in a line of an access list: `app on >secret ~* &* +@all`.
    #[must_use]
    pub fn user(mut self, line: &str) -> Self {
        self.users.push(line.to_owned());
        self
    }

    /// The port speaks TLS only.
    #[must_use]
    pub fn tls(mut self, certificates: Certificates) -> Self {
        self.certificates = Some(certificates);
        self
    }

    /// With TLS, clients have to show a certificate.
    #[must_use]
    pub fn client_certificates(mut self) -> Self {
        self.client_certificates = true;
        self
    }

    /// A replica of the server on this port.
    #[must_use]
    pub fn replica_of(mut self, port: u16) -> Self {
        self.replica_of = Some(port);
        self
    }

    /// A node of a Redis Cluster, without any slots yet.
    #[must_use]
    pub fn cluster_node(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// One more line of configuration.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }
}

/// A running `redis-server` on a port of 127.0.0.1 and on a socket file.
pub struct RedisServer {
    // Before the folder: the process ends first.
    process: Process,
    folder: Folder,
    port: u16,
    options: RedisOptions,
}

impl RedisServer {
    /// Starts a server without any options.
    ///
    /// # Errors
    /// [`Failure`], with the advice to run the setup if the program is missing.
    pub fn start() -> Result<Self, Failure> {
        Self::start_with(RedisOptions::default())
    }

    /// Starts a server.
    ///
    /// # Errors
    /// [`Failure`], with the advice to run the setup if the program is missing.
    pub fn start_with(options: RedisOptions) -> Result<Self, Failure> {
        let folder = Folder::new()?;
        if let Some(certificates) = &options.certificates {
            folder.write("ca.pem", &certificates.authority)?;
            folder.write("server.pem", &certificates.server)?;
            folder.write("server.key", &certificates.server_key)?;
        }
        let (process, port) =
            on_free_port(|port| launch(&folder, port, &options).map(|process| (process, port)))?;
        Ok(Self { process, folder, port, options })
    }

    /// The port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path of the socket file, which takes no TLS.
    pub fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    /// A connection to steer it with, allowed to do everything.
    ///
    /// # Errors
    /// [`Failure`] if it does not answer.
    pub fn control(&self) -> Result<Control, Failure> {
        control(&self.folder)
    }

    /// Carries out one command, written with blanks between its parts.
    ///
    /// # Errors
    /// [`Failure`] if the server answers with an error, or not at all.
    pub fn command(&self, line: &str) -> Result<Answer, Failure> {
        let parts: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        match self.control()?.call(&parts)? {
            Answer::Error(text) => Err(Failure::new(format!("`{line}`: {text}"))),
            answer => Ok(answer),
        }
    }

    /// Stops the process without ending it: its connections stay open and nobody answers. Returns
    /// when it is so.
    ///
    /// # Errors
    /// [`Failure`] if the signal cannot be sent.
    pub fn stop(&self) -> Result<(), Failure> {
        self.process.stop()
    }

    /// Lets it go on after [`stop`](Self::stop).
    ///
    /// # Errors
    /// [`Failure`] if the signal cannot be sent.
    pub fn cont(&self) -> Result<(), Failure> {
        self.process.cont()
    }

    /// Kills it; connections are reset or closed by the operating system.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port, with nothing in it.
    ///
    /// # Errors
    /// [`Failure`] if it does not come back.
    pub fn restart_empty(&mut self) -> Result<(), Failure> {
        self.process.kill();
        self.process = launch(&self.folder, self.port, &self.options)?;
        Ok(())
    }
}

fn socket(folder: &Folder) -> PathBuf {
    folder.path().join("s")
}

fn control(folder: &Folder) -> Result<Control, Failure> {
    let mut control = Control::connect(&socket(folder))?;
    let (user, password) = STEERING;
    match control.call(&[b"AUTH", user.as_bytes(), password.as_bytes()])? {
        Answer::Error(text) => Err(Failure::new(text)),
        _ => Ok(control),
    }
}

/// Starts the process and waits until it answers.
fn launch(folder: &Folder, port: u16, options: &RedisOptions) -> Result<Process, Failure> {
    let config = folder.write("redis.conf", &config(folder, port, options))?;
    let process = Process::redis(&config, &[], &folder.log())?;
    process.when_ready("the server", &folder.log(), || {
        let Ok(mut control) = control(folder) else { return false };
        matches!(control.call(&[b"PING"]), Ok(Answer::Text(text)) if text == b"PONG")
    })
}

fn config(folder: &Folder, port: u16, options: &RedisOptions) -> String {
    let dir = folder.path().display();
    let mut text = format!(
        "bind 127.0.0.1\ndaemonize no\nsave \"\"\nappendonly no\ndir {dir}\nunixsocket {dir}/s\n\
         repl-diskless-sync-delay 0\nuser {} on >{} ~* &* +@all\n",
        STEERING.0, STEERING.1
    );
    let mut line = |line: &str| {
        let _ = writeln!(text, "{line}");
    };
    if options.certificates.is_some() {
        let clients = if options.client_certificates { "yes" } else { "no" };
        line(&format!("port 0\ntls-port {port}\ntls-auth-clients {clients}"));
        line(&format!("tls-cert-file {dir}/server.pem\ntls-key-file {dir}/server.key"));
        line(&format!("tls-ca-cert-file {dir}/ca.pem"));
    } else {
        line(&format!("port {port}"));
    }
    if let Some(password) = &options.password {
        line(&format!("requirepass {password}"));
    }
    if let Some(master) = options.replica_of {
        line(&format!("replicaof 127.0.0.1 {master}"));
    }
    if options.cluster {
        line("cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-node-timeout 2000");
    }
    for user in &options.users {
        line(&format!("user {user}"));
    }
    for own in &options.lines {
        line(own);
    }
    text
}
