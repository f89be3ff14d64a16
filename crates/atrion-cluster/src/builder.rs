//! Building a provider: everything is checked before anything is started.

use std::sync::Arc;
use std::time::Duration;

pub use atrion_commercial::names::MAX_NAME_BYTES;
use atrion_commercial::names::default_node_name;
use atrion_commercial::secret::Secret;
use atrion_core::error::{ConfigError, OutOfRange};
use atrion_core::merge::DEFAULT_GAMMA;
use atrion_core::units::UnitInterval;
use atrion_license::SystemWallClock;
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::entropy::Draws;
use atrion_state::peers::NodeId;
use atrion_state::pulse::PulseConfig;
use thiserror::Error;

use crate::machine::{CoreConfig, Limits};
use crate::names::Names;
use crate::provider::RedisClusterProvider;
use crate::shared::Shared;
use crate::transport::{TlsError, TlsOptions, Transport};
use crate::url::{RedisUrl, UrlError};
use crate::wire::Codec;

/// A provider that cannot be built. Nothing was started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClusterConfigError {
    /// The URL is missing or cannot be understood. The message never holds the password.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A number is outside its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A name has the wrong length.
    #[error("{field} has {bytes} bytes, it needs 1 to {MAX_NAME_BYTES}")]
    Name {
        /// Which.
        field: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// The shared secret is too short to keep anybody out.
    #[error("the secret has {bytes} bytes, it needs at least 16")]
    ShortSecret {
        /// Its length.
        bytes: usize,
    },
    /// The options for encrypted connections cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client was not compiled in.
    #[error("the client `{client}` is not compiled in; enable the feature `{client}`")]
    NoClient {
        /// Which.
        client: &'static str,
    },
}

impl From<OutOfRange> for ClusterConfigError {
    fn from(error: OutOfRange) -> Self {
        Self::Config(error.into())
    }
}

/// Which Redis client carries the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Client {
    /// The crate `redis` (feature `redis`).
    #[default]
    Redis,
    /// The crate `fred` (feature `fred`).
    Fred,
}

/// Builds a [`RedisClusterProvider`].
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    url: String,
    channel: String,
    cluster: String,
    node: Option<String>,
    gamma: f64,
    interval: Duration,
    operation_timeout: Duration,
    secret: Option<Secret>,
    tls: TlsOptions,
    client: Client,
    limits: Limits,
    clock: Option<Arc<dyn Clock>>,
    transport: Option<Arc<dyn Transport>>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            url: String::new(),
            channel: Names::DEFAULT_CHANNEL.to_owned(),
            cluster: Names::DEFAULT_CLUSTER.to_owned(),
            node: None,
            gamma: DEFAULT_GAMMA.get(),
            interval: Duration::from_millis(100),
            operation_timeout: Duration::from_secs(1),
            secret: None,
            tls: TlsOptions::default(),
            client: Client::default(),
            limits: Limits::default(),
            clock: None,
            transport: None,
        }
    }
}

impl Builder {
    /// Where Redis is: `redis://`, `rediss://`, `redis+cluster://`, `redis+sentinel://` and their
    /// like; see [`RedisUrl`]. Has no default.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// How often news is sent: 100 ms, allowed 1 ms to 60 s. Lower warns the others sooner and
    /// sends more.
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The channel's name: `atrion:sync`. Clusters with a name of their own add it.
    pub fn channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = channel.into();
        self
    }

    /// gamma, the weight of the cluster's word: 0.3, allowed 0 (ignore it) to 1 (obey it). See
    /// `docs/cluster.md`; 1 is not recommended, since then a node's own eyes count for nothing.
    pub fn gamma(mut self, gamma: f64) -> Self {
        self.gamma = gamma;
        self
    }

    /// The cluster's name: `default`. Applications that share a Redis but not their routes need
    /// different names. It is what a licence counts.
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.cluster = cluster.into();
        self
    }

    /// What this node calls itself: the variable `HOSTNAME`, and an identity drawn at random at
    /// each start. A name given here also fixes the identity, so that a restarted process takes
    /// the place of the one before; it must be unique in the cluster.
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// Authenticates what the nodes say to each other by a secret that all of them share, at least
    /// 16 bytes: for a Redis that others can write to. By default nothing is authenticated.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(Secret::new(secret));
        self
    }

    /// Whom to trust on encrypted connections: by default the authorities that the system trusts.
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    /// Which client carries the link.
    pub fn client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// How long Redis may take to answer before it counts as hung: 1 s, allowed 10 ms to 60 s.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// Bounds of memory.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads the time from here: the instance's clock, if that is not the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Uses this transport instead of a Redis client; the URL is not looked at.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`ClusterConfigError`] names the field, the value and what is allowed.
    pub fn build(self) -> Result<RedisClusterProvider, ClusterConfigError> {
        let (config, codec, pulse) = self.settings(incarnation())?;
        let transport = match &self.transport {
            Some(transport) => Arc::clone(transport),
            None => self.make_transport()?,
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(MonotonicClock::new()));
        let shared = Shared::new(config, codec, clock, Draws::unpredictable());
        Ok(RedisClusterProvider::new(shared, Some(transport), pulse))
    }

    /// A provider whose link a simulation drives through
    /// [`with_core`](RedisClusterProvider::with_core), with draws from `seed`, as the process of
    /// that `incarnation`: nothing is left to chance.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    #[cfg(feature = "simulation")]
    pub fn build_simulated(
        self,
        seed: u64,
        incarnation: u64,
    ) -> Result<RedisClusterProvider, ClusterConfigError> {
        let (config, codec, pulse) = self.settings(incarnation)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(MonotonicClock::new()));
        let shared = Shared::new(config, codec, clock, Draws::from_seed(seed));
        Ok(RedisClusterProvider::new(shared, None, pulse))
    }

    fn settings(
        &self,
        incarnation: u64,
    ) -> Result<(CoreConfig, Codec, PulseConfig), ClusterConfigError> {
        check_name("cluster", &self.cluster)?;
        check_name("channel", &self.channel)?;
        if let Some(node) = &self.node {
            check_name("node", node)?;
        }
        let secret = self.secret.as_ref().map(|secret| secret.reveal().as_bytes().to_vec());
        if let Some(bytes) = secret.as_ref().map(Vec::len).filter(|bytes| *bytes < 16) {
            return Err(ClusterConfigError::ShortSecret { bytes });
        }
        OutOfRange::check("cluster.gamma", self.gamma, "", 0.0, 1.0)?;
        let secs = self.operation_timeout.as_secs_f64();
        OutOfRange::check("cluster.operation_timeout", secs, "s", 0.01, 60.0)?;
        let pulse = PulseConfig::builder()
            .interval(self.interval)
            .heartbeat(self.interval.max(Duration::from_secs(1)))
            .max_routes(self.limits.max_own_routes)
            .build()?;
        let codec = Codec::new(&self.cluster, secret.as_deref());
        let (id, name) = self.identity(&codec);
        let mut config = CoreConfig::new(self.cluster.as_str(), id);
        config.node_name = name;
        config.incarnation = incarnation;
        config.gamma = UnitInterval::try_new(self.gamma)?;
        config.interval = self.interval;
        config.heartbeat = self.interval.max(Duration::from_secs(1));
        config.operation_timeout = self.operation_timeout;
        config.limits = self.limits;
        Ok((config, codec, pulse))
    }

    fn identity(&self, codec: &Codec) -> (NodeId, Arc<str>) {
        if let Some(name) = &self.node {
            return (codec.node_id(name), Arc::from(name.as_str()));
        }
        (NodeId(Draws::unpredictable().next_u64()), Arc::from(default_node_name()))
    }

    #[allow(clippy::unnecessary_wraps, reason = "fails where a client is not compiled in")]
    fn make_transport(&self) -> Result<Arc<dyn Transport>, ClusterConfigError> {
        let url: RedisUrl = self.url.parse()?;
        let names = Names::new(Names::DEFAULT_PREFIX, &self.channel, &self.cluster);
        match self.client {
            #[cfg(feature = "redis")]
            Client::Redis => {
                Ok(Arc::new(crate::transport::RedisTransport::new(url, names, &self.tls)?))
            }
            #[cfg(feature = "fred")]
            Client::Fred => {
                Ok(Arc::new(crate::transport::FredTransport::new(url, names, &self.tls)?))
            }
            #[allow(unreachable_patterns, reason = "reachable where a client is not compiled in")]
            client => {
                let _ = (url, names);
                let client = if client == Client::Fred { "fred" } else { "redis" };
                Err(ClusterConfigError::NoClient { client })
            }
        }
    }
}

impl std::fmt::Debug for Builder {
    /// Shows neither the URL, which may hold a password, nor the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("cluster", &self.cluster)
            .field("channel", &self.channel)
            .field("node", &self.node)
            .field("gamma", &self.gamma)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

fn check_name(field: &'static str, name: &str) -> Result<(), ClusterConfigError> {
    match name.len() {
        1..=MAX_NAME_BYTES => Ok(()),
        bytes => Err(ClusterConfigError::Name { field, bytes }),
    }
}

/// Grows with every start of a node, also with two in the same second, and differs between two at
/// the same time.
fn incarnation() -> u64 {
    const RANDOM_BITS: u32 = 8;
    let random = Draws::unpredictable().next_u64() >> (u64::BITS - RANDOM_BITS);
    SystemWallClock.unix_micros() << RANDOM_BITS | random
}
