//! Where Redis is: connection URLs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use atrion_commercial::secret::Secret;

mod error;
mod parse;
#[cfg(test)]
mod tests;

pub use error::{UrlError, UrlPart};

/// The port of a Redis server where the URL names none.
pub const DEFAULT_PORT: u16 = 6379;
/// The port of a sentinel where the URL names none.
pub const DEFAULT_SENTINEL_PORT: u16 = 26379;

/// A Redis deployment and how to log in there, read from a URL.
///
/// ```text
/// redis://[[user]:password@]host[:port][/database]
/// redis+cluster://[[user]:password@]host[:port][,host[:port]]...
/// redis+sentinel://[[user]:password@]host[:port][,host[:port]].../master[/database]
/// unix://[[user]:password@]/path/to/socket[?db=database]
/// ```
///
/// `rediss` in place of `redis` asks for TLS, towards sentinels too; `valkey` and `valkeys` mean
/// the same as `redis` and `rediss`. Sentinels that want a login of their own get it from the
/// query parameters `sentinel_user` and `sentinel_password`. User, password, master and parameters
/// are percent-decoded; IPv6 addresses stand in brackets.
///
/// Neither `Debug` nor `Display` shows a password.
///
/// ```
/// use atrion_cluster::url::RedisUrl;
///
/// let url: RedisUrl = "rediss://app:s%40fe@cache.internal/2".parse()?;
/// assert_eq!(url.to_string(), "rediss://app:***@cache.internal:6379/2");
/// # Ok::<(), atrion_cluster::url::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    deployment: Deployment,
    tls: bool,
    login: Login,
    database: u8,
}

/// What kind of deployment it is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deployment {
    /// One server.
    Standalone(Host),
    /// One server on this machine, behind a socket file.
    Unix(PathBuf),
    /// Redis Cluster; some of its nodes, through which the others are found.
    Cluster(Vec<Host>),
    /// A master and its replicas watched by sentinels.
    Sentinel {
        /// The sentinels.
        sentinels: Vec<Host>,
        /// The name under which they watch the master.
        master: String,
        /// How to log in at the sentinels.
        login: Login,
    },
}

/// A server's host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// Name or address, IPv6 without brackets.
    pub name: String,
    /// TCP port.
    pub port: u16,
}

/// A user and a password, each possibly absent. `Debug` does not show the password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
}

impl RedisUrl {
    /// Which deployment.
    pub const fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Whether connections are encrypted.
    pub const fn uses_tls(&self) -> bool {
        self.tls
    }

    /// How to log in at the servers.
    pub const fn login(&self) -> &Login {
        &self.login
    }

    /// The database's number.
    pub const fn database(&self) -> u8 {
        self.database
    }
}

impl Login {
    /// A login with this password, as `user` or as the server's default user.
    #[cfg(test)]
    pub(crate) fn new(user: Option<&str>, password: &str) -> Self {
        Self { user: user.map(str::to_owned), password: Some(Secret::new(password)) }
    }

    /// The user, if one is named.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

impl Host {
    pub(crate) fn new(name: impl Into<String>, port: u16) -> Self {
        Self { name: name.into(), port }
    }
}

impl FromStr for RedisUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        parse::url(text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redis = if self.tls { "rediss" } else { "redis" };
        match &self.deployment {
            Deployment::Standalone(host) => {
                write!(f, "{redis}://{}{host}/{}", Userinfo(&self.login), self.database)
            }
            Deployment::Unix(path) => {
                write!(f, "unix://{}{}", Userinfo(&self.login), path.display())?;
                if self.database > 0 { write!(f, "?db={}", self.database) } else { Ok(()) }
            }
            Deployment::Cluster(hosts) => {
                write!(f, "{redis}+cluster://{}{}", Userinfo(&self.login), List(hosts))
            }
            Deployment::Sentinel { sentinels, master, login } => {
                write!(f, "{redis}+sentinel://{}{}/", Userinfo(&self.login), List(sentinels))?;
                write!(f, "{}/{}", parse::encoded(master), self.database)?;
                let user =
                    login.user.iter().map(|user| format!("sentinel_user={}", parse::encoded(user)));
                let password = login.password.iter().map(|_| "sentinel_password=***".to_owned());
                let parameters: Vec<String> = user.chain(password).collect();
                if parameters.is_empty() { Ok(()) } else { write!(f, "?{}", parameters.join("&")) }
            }
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

struct Userinfo<'a>(&'a Login);

impl fmt::Display for Userinfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = parse::encoded(self.0.user.as_deref().unwrap_or_default());
        match &self.0.password {
            Some(_) => write!(f, "{user}:***@"),
            None if user.is_empty() => Ok(()),
            None => write!(f, "{user}@"),
        }
    }
}

struct List<'a>(&'a [Host]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, host) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{host}")?;
        }
        Ok(())
    }
}

impl Deployment {
    /// The socket file's path, if this is one.
    pub fn socket(&self) -> Option<&Path> {
        if let Self::Unix(path) = self { Some(path) } else { None }
    }
}
