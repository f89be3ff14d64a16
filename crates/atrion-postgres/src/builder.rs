//! Building a provider: everything is checked before anything is started.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use atrion_commercial::names::MAX_NAME_BYTES;
use atrion_commercial::names::default_node_name;
use atrion_commercial::secret::Secret;
use atrion_commercial::tls::{TlsError, TlsOptions};
use atrion_core::error::{ConfigError, OutOfRange};
use atrion_core::law::LawConfig;
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::pulse::PulseConfig;
use thiserror::Error;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::StoreError;
use crate::provider::{PostgresPersistenceAdapter, Settings};
use crate::schema::Schema;
use crate::session::Sessions;
use crate::store::{Store, StoreConfig};

/// The longest name of a schema, in bytes: what PostgreSQL allows.
const MAX_SCHEMA_BYTES: usize = 63;

/// A provider that cannot be built. Nothing was started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PostgresConfigError {
    /// The URL is missing.
    #[error(
        "postgres.url is missing; it reads postgres://user:password@host:5432/database?sslmode=require"
    )]
    NoUrl,
    /// The URL cannot be understood. Nothing of it is shown, since it may hold a password.
    #[error(
        "postgres.url cannot be understood; it reads \
         postgres://user:password@host:5432/database?sslmode=require, with special characters \
         in the password percent-encoded"
    )]
    Url,
    /// The URL names no host.
    #[error("postgres.url names no host")]
    NoHost,
    /// A number is outside its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A name has the wrong length.
    #[error("{field} has {bytes} bytes, it needs 1 to {max}")]
    Name {
        /// Which.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        max: usize,
    },
    /// A name has a character that PostgreSQL keeps for itself.
    #[error("{field} {problem}")]
    Character {
        /// Which.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// The options for encrypted connections cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file with the trusted authorities cannot be read.
    #[error("the authorities' file {} cannot be read", path.display())]
    AuthoritiesFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The pool cannot be made.
    #[error("the pool cannot be made")]
    Pool(#[source] StoreError),
}

impl From<OutOfRange> for PostgresConfigError {
    fn from(error: OutOfRange) -> Self {
        Self::Config(error.into())
    }
}

/// Builds a [`PostgresPersistenceAdapter`].
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    url: Secret,
    application: String,
    node: Option<String>,
    schema: String,
    pool_size: usize,
    max_routes: usize,
    interval: Duration,
    operation_timeout: Duration,
    restore_timeout: Duration,
    retention: Duration,
    healing_per_sec: f64,
    tls: TlsOptions,
    authorities_file: Option<PathBuf>,
    clock: Option<Arc<dyn Clock>>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            url: Secret::new(""),
            application: "default".to_owned(),
            node: None,
            schema: "atrion".to_owned(),
            pool_size: 2,
            max_routes: 100_000,
            interval: Duration::from_millis(100),
            operation_timeout: Duration::from_secs(1),
            restore_timeout: Duration::from_secs(10),
            retention: Duration::from_secs(24 * 3_600),
            healing_per_sec: LawConfig::default().healing_per_sec(),
            tls: TlsOptions::default(),
            authorities_file: None,
            clock: None,
        }
    }
}

impl Builder {
    /// Where PostgreSQL is: `postgres://user:password@host:5432/database`, with `?sslmode=` one of
    /// `disable`, `prefer` (the default, as everywhere: encrypted where the server can),
    /// `require`, `verify-ca` and `verify-full`. The last three are the same here: certificate and
    /// host name are always checked. Has no default.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Secret::new(url);
        self
    }

    /// The application's name: `default`. Applications that share a database but not their routes
    /// need different names. Up to 256 bytes.
    pub fn application(mut self, application: impl Into<String>) -> Self {
        self.application = application.into();
        self
    }

    /// What this node calls itself: the variable `HOSTNAME`, else `pid-` and the process's number.
    /// A process finds the rows of the one before it under the same name; two at once under one
    /// name are told apart by their start, and the later one has the say. Up to 256 bytes.
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// The schema with Atrion's tables: `atrion`. Made if it is missing and the user may. Up to 63
    /// bytes, not beginning with `pg_`.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Connections at most: 2, allowed 1 to 64. One is enough for the pulse; the second lets old
    /// rows be removed meanwhile.
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections;
        self
    }

    /// Routes kept in memory at most, and read at a start: 100,000, allowed 1 to 10,000,000.
    pub fn max_routes(mut self, routes: usize) -> Self {
        self.max_routes = routes;
        self
    }

    /// How often changes are saved: 100 ms, allowed 1 ms to 60 s. What happened since the last
    /// time is lost if the process is killed; higher writes less.
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long PostgreSQL may take to answer before it counts as hung: 1 s, allowed 10 ms to
    /// 60 s. The server is told the same.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// How long reading everything at a start may take: 10 s, allowed 10 ms to 200 s. Requests do
    /// not wait for it.
    pub fn restore_timeout(mut self, timeout: Duration) -> Self {
        self.restore_timeout = timeout;
        self
    }

    /// How long a row is kept that nobody renews: a day, allowed a minute to ten years. At the
    /// default healing nothing is left of a scar after two minutes.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// How fast scars heal, 1/s: the default of `LawConfig::healing_per_sec`, allowed 1e-6 to 1e3.
    /// Needed for the part of a downtime that this process's clock cannot tell; an instance with
    /// another value in its `LawConfig` names the same here.
    pub fn healing_per_sec(mut self, healing: f64) -> Self {
        self.healing_per_sec = healing;
        self
    }

    /// Whom to trust on encrypted connections: by default the authorities that the system trusts.
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    /// Trusts the authorities in this PEM file and no others. Read when built.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.authorities_file = Some(path.into());
        self
    }

    /// Reads the time from here: the instance's clock, if that is not the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Checks everything. Connects to nothing.
    ///
    /// # Errors
    /// [`PostgresConfigError`] names the field, the value and what is allowed.
    pub fn build(self) -> Result<PostgresPersistenceAdapter, PostgresConfigError> {
        let server = self.server()?;
        let password = server.get_password().map(String::from_utf8_lossy).unwrap_or_default();
        let password = Secret::new(password);
        let node = self.node.clone().unwrap_or_else(default_node_name);
        check_name("postgres.application", &self.application, MAX_NAME_BYTES)?;
        check_name("postgres.node", &node, MAX_NAME_BYTES)?;
        check_name("postgres.schema", &self.schema, MAX_SCHEMA_BYTES)?;
        if self.schema.starts_with("pg_") {
            let problem = "begins with `pg_`, which PostgreSQL keeps for itself";
            return Err(PostgresConfigError::Character { field: "postgres.schema", problem });
        }
        let pulse = self.check_numbers()?;
        let tls = MakeRustlsConnect::new(self.tls_options()?.client_config()?);
        let sessions = Sessions::new(server, tls, self.pool_size, self.operation_timeout)
            .map_err(PostgresConfigError::Pool)?;
        let config = StoreConfig {
            application: Arc::from(self.application),
            node: Arc::from(node),
            schema: Schema::new(&self.schema),
            max_routes: self.max_routes,
            retention: self.retention,
            operation_timeout: self.operation_timeout,
            restore_timeout: self.restore_timeout,
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(MonotonicClock::new()));
        let settings = Settings { password, healing_per_sec: self.healing_per_sec, pulse };
        Ok(PostgresPersistenceAdapter::new(
            Store::new(config, sessions, Arc::clone(&clock)),
            settings,
            clock,
        ))
    }

    fn server(&self) -> Result<tokio_postgres::Config, PostgresConfigError> {
        let url = self.url.reveal();
        if url.trim().is_empty() {
            return Err(PostgresConfigError::NoUrl);
        }
        // Certificates are always checked, so the three are one.
        let url = url
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        // What the parser says may quote a piece of the password.
        let mut server: tokio_postgres::Config =
            url.parse().map_err(|_| PostgresConfigError::Url)?;
        if server.get_hosts().is_empty() && server.get_hostaddrs().is_empty() {
            return Err(PostgresConfigError::NoHost);
        }
        if server.get_application_name().is_none() {
            server.application_name("atrion");
        }
        server.connect_timeout(self.operation_timeout);
        Ok(server)
    }

    fn check_numbers(&self) -> Result<PulseConfig, PostgresConfigError> {
        let secs = |field, value: Duration, min, max| {
            OutOfRange::check(field, value.as_secs_f64(), "s", min, max)
        };
        OutOfRange::check("postgres.pool_size", self.pool_size as f64, "connections", 1.0, 64.0)?;
        OutOfRange::check("postgres.max_routes", self.max_routes as f64, "routes", 1.0, 1e7)?;
        secs("postgres.sync_interval", self.interval, 0.001, 60.0)?;
        secs("postgres.operation_timeout", self.operation_timeout, 0.01, 60.0)?;
        secs("postgres.restore_timeout", self.restore_timeout, 0.01, 200.0)?;
        secs("postgres.retention", self.retention, 60.0, 315_576_000.0)?;
        OutOfRange::check("postgres.healing_per_sec", self.healing_per_sec, "1/s", 1e-6, 1e3)?;
        // Longer than any call of ours, so that what is wrong is said by whoever knows it.
        let longest = self.operation_timeout * 3 + self.restore_timeout;
        Ok(PulseConfig::builder()
            .interval(self.interval)
            .heartbeat(self.interval.max(Duration::from_secs(1)))
            .operation_timeout(longest.min(Duration::from_secs(300)))
            .backoff(Duration::from_millis(100), Duration::from_secs(5))
            .max_batch(4_096)
            .max_routes(self.max_routes)
            .build()?)
    }

    fn tls_options(&self) -> Result<TlsOptions, PostgresConfigError> {
        let Some(path) = &self.authorities_file else { return Ok(self.tls.clone()) };
        match std::fs::read_to_string(path) {
            Ok(pem) => Ok(self.tls.clone().trusting(pem)),
            Err(source) => Err(PostgresConfigError::AuthoritiesFile { path: path.clone(), source }),
        }
    }
}

impl std::fmt::Debug for Builder {
    /// Does not show the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("application", &self.application)
            .field("node", &self.node)
            .field("schema", &self.schema)
            .field("pool_size", &self.pool_size)
            .finish_non_exhaustive()
    }
}

fn check_name(field: &'static str, name: &str, max: usize) -> Result<(), PostgresConfigError> {
    let bytes = name.len();
    if !(1..=max).contains(&bytes) {
        return Err(PostgresConfigError::Name { field, bytes, max });
    }
    if name.contains('\0') {
        let problem = "has a zero byte in it, which PostgreSQL cannot hold in a text";
        return Err(PostgresConfigError::Character { field, problem });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(url: &str) -> Builder {
        PostgresPersistenceAdapter::builder().url(url)
    }

    fn good() -> Builder {
        // The system's authorities are not needed where nothing is encrypted by them.
        on("postgres://u:hunter2@localhost/db")
    }

    #[test]
    fn what_cannot_be_understood_is_refused_without_being_shown() {
        for url in [
            "",
            "  ",
            "hunter2",
            "http://u:hunter2@localhost",
            "postgres://u:hunter2@localhost:notaport/db",
            "postgres://u:hunter2@localhost/db?sslmode=hunter2",
            "postgres://u:hunter2@localhost/db?hunter2=1",
            "postgres://u:hunter2@/db",
        ] {
            let error = on(url).server().expect_err(url);
            let shown = format!("{error} {error:?} {:?}", on(url));
            assert!(!shown.contains("hun"), "{shown}");
            assert!(shown.contains("postgres.url"), "{shown}");
        }
    }

    #[test]
    fn the_url_says_how_to_encrypt() {
        use tokio_postgres::config::SslMode;
        let mode = |mode: &str| {
            on(&format!("postgresql://u@h/d?sslmode={mode}")).server().expect(mode).get_ssl_mode()
        };
        assert_eq!(mode("disable"), SslMode::Disable);
        assert_eq!(mode("prefer"), SslMode::Prefer);
        for strict in ["require", "verify-ca", "verify-full"] {
            assert_eq!(mode(strict), SslMode::Require);
        }
    }

    #[test]
    fn values_outside_their_domain_are_named() {
        let too_long = "x".repeat(MAX_NAME_BYTES + 1);
        let day = Duration::from_secs(86_400);
        let cases: [(Builder, &str); 14] = [
            (good().application(""), "postgres.application"),
            (good().application(too_long.clone()), "postgres.application"),
            (good().node(too_long), "postgres.node"),
            (good().node("a\0b"), "postgres.node"),
            (good().schema("x".repeat(64)), "postgres.schema"),
            (good().schema("pg_mine"), "postgres.schema"),
            (good().pool_size(0), "postgres.pool_size"),
            (good().pool_size(65), "postgres.pool_size"),
            (good().max_routes(0), "postgres.max_routes"),
            (good().sync_interval(Duration::ZERO), "postgres.sync_interval"),
            (good().operation_timeout(day), "postgres.operation_timeout"),
            (good().restore_timeout(day), "postgres.restore_timeout"),
            (good().retention(Duration::from_secs(1)), "postgres.retention"),
            (good().healing_per_sec(f64::NAN), "postgres.healing_per_sec"),
        ];
        for (builder, field) in cases {
            let error = builder.build().expect_err(field);
            assert!(error.to_string().contains(field), "{field}: {error}");
        }
        let missing = good().ca_file("/there/is/no/such/file").build().expect_err("no file");
        assert!(matches!(missing, PostgresConfigError::AuthoritiesFile { .. }));
    }
}
