//! One PostgreSQL server.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{Folder, Process, is_alive, on_free_port};
use crate::wait::wait_for;
use crate::{Certificates, Failure};

/// The user that owns everything, and its password.
const SUPERUSER: &str = "testkit";
/// The user that tests connect as.
pub const USER: &str = "app";
/// The database that tests use.
pub const DATABASE: &str = "app";
/// Whom the server runs as if we are the superuser, which it refuses to do: the user that Debian's
/// package makes, else the one that every system has.
const SERVANTS: [&str; 2] = ["postgres", "nobody"];

/// How a server is set up.
#[derive(Default)]
pub struct PostgresOptions {
    password: Option<String>,
    certificates: Option<Certificates>,
    durable: bool,
    data: Option<PathBuf>,
    lines: Vec<String>,
}

impl PostgresOptions {
    /// The user has to give this password. Without it everybody on this machine is let in.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// The port takes TLS only.
    #[must_use]
    pub fn tls(mut self, certificates: Certificates) -> Self {
        self.certificates = Some(certificates);
        self
    }

    /// Commits wait for the disk, as in production. Otherwise a kill of the *machine* could lose
    /// some; a kill of the server loses none either way.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Keeps its data in this folder, which is made if it is missing: a small file system, to be
    /// filled.
    #[must_use]
    pub fn data_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// One more line of configuration.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }
}

/// A running `postgres` on a port of 127.0.0.1 and on a socket in its folder.
pub struct PostgresServer {
    // Before the folder: the process ends first.
    process: Process,
    folder: Folder,
    data: PathBuf,
    port: u16,
    options: PostgresOptions,
}

impl PostgresServer {
    /// Starts a server without any options.
    ///
    /// # Errors
    /// [`Failure`], with the advice to run the setup if the programs are missing.
    pub fn start() -> Result<Self, Failure> {
        Self::start_with(PostgresOptions::default())
    }

    /// Starts a server, with the user [`USER`] and a database [`DATABASE`] of its own.
    ///
    /// # Errors
    /// [`Failure`], with the advice to run the setup if the programs are missing.
    pub fn start_with(options: PostgresOptions) -> Result<Self, Failure> {
        let folder = Folder::new()?;
        give(folder.path())?;
        let data = options.data.clone().unwrap_or_else(|| folder.path().join("data"));
        initialise(&folder, &data)?;
        if let Some(certificates) = &options.certificates {
            write_private(&data.join("ca.pem"), &certificates.authority)?;
            write_private(&data.join("server.pem"), &certificates.server)?;
            write_private(&data.join("server.key"), &certificates.server_key)?;
        }
        let (process, port) = on_free_port(|port| {
            launch(&folder, &data, port, &options).map(|process| (process, port))
        })?;
        let server = Self { process, folder, data, port, options };
        let password = server.options.password.as_ref();
        let login = password.map(|text| format!("PASSWORD '{text}'")).unwrap_or_default();
        server.sql_in("postgres", &format!("CREATE USER {USER} {login}"))?;
        server.sql_in("postgres", &format!("CREATE DATABASE {DATABASE} OWNER {USER}"))?;
        Ok(server)
    }

    /// The port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The URL for a program that uses it as [`USER`].
    pub fn url(&self) -> String {
        self.url_at("127.0.0.1", self.port)
    }

    /// The same through another way, such as a proxy.
    pub fn url_at(&self, host: &str, port: u16) -> String {
        let password = self.options.password.as_ref();
        let password = password.map(|text| format!(":{text}")).unwrap_or_default();
        let mode = if self.options.certificates.is_some() { "verify-full" } else { "disable" };
        format!("postgres://{USER}{password}@{host}:{port}/{DATABASE}?sslmode={mode}")
    }

    /// Carries out statements as the superuser in [`DATABASE`]; gives what they print, without
    /// headings, columns separated by `|`.
    ///
    /// # Errors
    /// [`Failure`] if the server refuses, or does not answer.
    pub fn sql(&self, statements: &str) -> Result<String, Failure> {
        self.sql_in(DATABASE, statements)
    }

    fn sql_in(&self, database: &str, statements: &str) -> Result<String, Failure> {
        sql(&self.folder, self.port, database, statements)
    }

    /// Stops it and all its children without ending them: connections stay open and nobody answers.
    /// Returns when it is so.
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

    /// Kills it without a chance to tidy up, and waits until its children have noticed.
    pub fn kill(&mut self) {
        let children = self.process.children();
        // Those that were stopped could not notice.
        let _ = self.process.signal_children("CONT");
        self.process.kill();
        // They end by themselves when their parent is gone; what they hold must be free before it
        // can be started again.
        let _ = wait_for("ending the server's children", || {
            Ok((!children.iter().any(|child| is_alive(*child))).then_some(()))
        });
    }

    /// Starts it again on the same port with what it had on disk.
    ///
    /// # Errors
    /// [`Failure`] if it does not come back.
    pub fn restart(&mut self) -> Result<(), Failure> {
        self.kill();
        // What a killed server leaves behind; it is ours, and known to be dead.
        let _ = fs::remove_file(self.data.join("postmaster.pid"));
        self.process = launch(&self.folder, &self.data, self.port, &self.options)?;
        Ok(())
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.log()).unwrap_or_default()
    }
}

impl Drop for PostgresServer {
    /// Asked to leave at once, it takes along the shared memory that a killed one would leave to the
    /// machine.
    fn drop(&mut self) {
        let _ = self.cont();
        if self.process.signal("QUIT").is_ok() {
            let _ = wait_for("ending a server", || Ok(self.process.has_ended().then_some(())));
        }
    }
}

/// The folder's owner is whoever the server runs as.
fn give(folder: &Path) -> Result<(), Failure> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    let Some(servant) = servant() else { return Ok(()) };
    run(Command::new("chown").arg(servant).arg(folder))
}

fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let Some(servant) = servant() else { return Ok(()) };
    run(Command::new("chown").arg(servant).arg(path))
}

fn initialise(folder: &Folder, data: &Path) -> Result<(), Failure> {
    let mut line = as_servant(&program("initdb")?);
    line.args(["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8"])
        .args(["--locale", "C", "--no-sync", "--no-instructions", "--pgdata"])
        .arg(data)
        .current_dir(folder.path());
    run(&mut line)
}

/// Starts the process and waits until it answers.
fn launch(
    folder: &Folder,
    data: &Path,
    port: u16,
    options: &PostgresOptions,
) -> Result<Process, Failure> {
    let method = if options.password.is_some() { "scram-sha-256" } else { "trust" };
    let host = if options.certificates.is_some() { "hostssl" } else { "host" };
    let access = format!(
        "local all {SUPERUSER} trust\nlocal all all {method}\n{host} all all 127.0.0.1/32 {method}\n"
    );
    write_private(&data.join("pg_hba.conf"), &access)?;
    write_private(&data.join("postgresql.conf"), &config(folder, port, options))?;
    let mut line = as_servant(&program("postgres")?);
    line.arg("-D").arg(data).current_dir(folder.path());
    let process = Process::spawn(line, "postgres", &folder.log())?;
    process.when_ready("the server", &folder.log(), || {
        sql(folder, port, "postgres", "SELECT 1").is_ok()
    })
}

fn sql(folder: &Folder, port: u16, database: &str, statements: &str) -> Result<String, Failure> {
    let output = Command::new(program("psql")?)
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--set", "ON_ERROR_STOP=1", "--username", SUPERUSER, "--dbname", database])
        .arg("--host")
        .arg(folder.path())
        .args(["--port", &port.to_string(), "--command", statements])
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(said);
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("`{statements}`: {}", why.trim())))
}

fn config(folder: &Folder, port: u16, options: &PostgresOptions) -> String {
    let mut text = format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\n\
         max_connections = 50\nshared_buffers = 32MB\nmax_wal_size = 256MB\n\
         password_encryption = scram-sha-256\n",
        folder.path().display()
    );
    let mut line = |line: &str| {
        let _ = writeln!(text, "{line}");
    };
    if !options.durable {
        line("fsync = off\nfull_page_writes = off");
    }
    if options.certificates.is_some() {
        line("ssl = on\nssl_ca_file = 'ca.pem'");
        line("ssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'");
    }
    for own in &options.lines {
        line(own);
    }
    text
}

/// A program of PostgreSQL: the one in the folder that `ATRION_POSTGRES_BIN` names, else the latest
/// that Debian has installed, else the one in the path.
fn program(name: &str) -> Result<PathBuf, Failure> {
    if let Some(folder) = std::env::var_os("ATRION_POSTGRES_BIN") {
        return Ok(Path::new(&folder).join(name));
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let latest = versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let path = entry.path().join("bin").join(name);
            path.is_file().then_some((version, path))
        })
        .max();
    if let Some((_, path)) = latest {
        return Ok(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Failure::new(format!(
                "`{name}` of PostgreSQL is not installed: run `cargo xtask setup`"
            ))
        })
}

/// Whom the server has to run as, if not as us.
fn servant() -> Option<&'static str> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
        output.status.success().then_some(output.stdout)
    };
    let own = id(&["-u"])?;
    if own.trim_ascii() != b"0" {
        return None;
    }
    SERVANTS.into_iter().find(|name| id(&["-u", name]).is_some())
}

/// `program` as a user that the server agrees to run as. `setpriv` becomes the program, so that
/// signals reach it.
fn as_servant(program: &Path) -> Command {
    let Some(servant) = servant() else { return Command::new(program) };
    let mut line = Command::new("setpriv");
    line.args(["--reuid", servant, "--regid", group_of(servant).as_str(), "--clear-groups", "--"]);
    line.arg(program);
    line
}

fn group_of(user: &str) -> String {
    let output = Command::new("id").args(["-gn", user]).output();
    let name = output.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    name.unwrap_or_else(|_| user.to_owned())
}

fn run(line: &mut Command) -> Result<(), Failure> {
    let output = line.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{line:?}: {}", why.trim())))
}
