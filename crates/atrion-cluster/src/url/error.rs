//! What is wrong with a URL.

use std::fmt;

use thiserror::Error;

/// A part of a connection URL is not as it has to be.
///
/// A value that may be a password, or a piece of one, is not in here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct UrlError {
    part: UrlPart,
    value: Option<String>,
    allowed: &'static str,
}

/// Which part of a connection URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UrlPart {
    /// What stands before `://`.
    Scheme,
    /// The user's name.
    User,
    /// The password.
    Password,
    /// The list of hosts.
    Hosts,
    /// A host's name or address.
    Host,
    /// A port.
    Port,
    /// The name of the master that sentinels watch.
    Master,
    /// The number of the database.
    Database,
    /// The path of a socket file.
    Socket,
    /// What stands after `?`.
    Parameter,
}

impl UrlError {
    /// `value` is shown to the user: never pass what may be secret.
    pub(super) fn shown(part: UrlPart, value: &str, allowed: &'static str) -> Self {
        // Somebody may have pasted anything; a log line stays a line.
        let value = value.chars().take(80).flat_map(char::escape_debug).collect();
        Self { part, value: Some(value), allowed }
    }

    pub(super) const fn hidden(part: UrlPart, allowed: &'static str) -> Self {
        Self { part, value: None, allowed }
    }

    /// The part that is wrong.
    pub const fn part(&self) -> UrlPart {
        self.part
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, value, allowed } = self;
        match value {
            Some(value) => {
                write!(f, "Redis URL: the {part} `{value}` is not allowed, but {allowed}")
            }
            None => write!(f, "Redis URL: the {part} is not as it has to be: {allowed}"),
        }
    }
}

impl fmt::Display for UrlPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "scheme",
            Self::User => "user",
            Self::Password => "password",
            Self::Hosts => "list of hosts",
            Self::Host => "host",
            Self::Port => "port",
            Self::Master => "master's name",
            Self::Database => "database",
            Self::Socket => "path of the socket",
            Self::Parameter => "parameter",
        })
    }
}
