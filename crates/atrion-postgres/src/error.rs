//! What can be wrong with the store.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use atrion_state::provider::ProviderError;
use thiserror::Error;
use tokio_postgres::error::SqlState;

/// The oldest server that works, as `server_version_num` counts.
pub(crate) const OLDEST_SERVER: i32 = 120_000;

/// Why an exchange with PostgreSQL failed. It is the source of the
/// [`ProviderError`] that a call gives; no message holds the password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nobody answers, or the connection broke. What was sent may be committed or not.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// What answers is not PostgreSQL.
    #[error("what answers does not speak PostgreSQL's protocol: {0}")]
    NotPostgres(String),
    /// The connection cannot be encrypted as asked, or the certificate is not trusted.
    #[error("the connection cannot be encrypted: {0}")]
    Tls(String),
    /// The server is older than version 12.
    #[error("PostgreSQL {}.{} is too old; version 12 or later is needed", version / 10_000, version % 10_000)]
    TooOld {
        /// Its `server_version_num`.
        version: i32,
    },
    /// The password, the database, a privilege: somebody has to change something.
    #[error("the server denies access: {message} (SQLSTATE {code})")]
    Denied {
        /// The five characters of SQLSTATE.
        code: String,
        /// What the server said.
        message: String,
    },
    /// A standby, or a server or database set to read-only.
    #[error("the server takes no writes: {message}")]
    ReadOnly {
        /// What the server said.
        message: String,
    },
    /// No room on the server's disk, or no memory.
    #[error("the server has run out of room: {message} (SQLSTATE {code})")]
    Full {
        /// The five characters of SQLSTATE.
        code: String,
        /// What the server said.
        message: String,
    },
    /// All connections of the pool were busy for too long.
    #[error("no connection of the pool was free within {after:?}")]
    PoolExhausted {
        /// How long was waited.
        after: Duration,
    },
    /// No answer by the deadline. What was sent may be committed or not.
    #[error("the server did not answer within {after:?}")]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// Something else has a name that is ours. Nothing was touched.
    #[error(
        "the schema `{schema}` has {what}, which Atrion has not made; nothing was touched. Name another schema, or remove it"
    )]
    Foreign {
        /// The schema.
        schema: String,
        /// What was found.
        what: String,
    },
    /// A later version of Atrion has changed the schema in a way that this one does not understand.
    #[error(
        "the schema `{schema}` has version {found}, made for Atrion whose schema is {needed} or later; this one knows {known}. Nothing was touched"
    )]
    Newer {
        /// The schema.
        schema: String,
        /// Its version.
        found: i32,
        /// The version a program has to know at least.
        needed: i32,
        /// The version that this program knows.
        known: i32,
    },
    /// The tables are not there any more, or not as they were. Found when something was written;
    /// the next connection makes them anew or says what is wrong.
    #[error("the tables have changed: {message} (SQLSTATE {code})")]
    Changed {
        /// The five characters of SQLSTATE.
        code: String,
        /// What the server said.
        message: String,
    },
    /// Anything else the server says.
    #[error("{message} (SQLSTATE {code})")]
    Server {
        /// The five characters of SQLSTATE.
        code: String,
        /// What the server said.
        message: String,
    },
    /// What drives the connection has ended, such as the runtime of a program that shuts down.
    #[error("what drives the connection has ended: {0}")]
    Ended(String),
}

impl StoreError {
    /// Whether the same may succeed later without a change by the operator.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::ReadOnly { .. }
            | Self::Full { .. }
            | Self::PoolExhausted { .. }
            | Self::TimedOut { .. }
            | Self::Changed { .. }
            | Self::Server { .. }
            | Self::Ended(_) => true,
            Self::NotPostgres(_)
            | Self::Tls(_)
            | Self::TooOld { .. }
            | Self::Denied { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. } => false,
        }
    }

    /// As the port reports it.
    pub(crate) fn on(self, operation: &'static str) -> ProviderError {
        match self {
            Self::TimedOut { after } => ProviderError::TimedOut { operation, after },
            error if error.is_transient() => ProviderError::unavailable(operation, error),
            error => ProviderError::refused(operation, error),
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return by_state(db.code(), db.message().to_owned());
        }
        let said = one_line(&error);
        match io_kind(&error) {
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
                if !said.contains("TLS") =>
            {
                Self::NotPostgres(said)
            }
            _ if said.contains("TLS") => Self::Tls(said),
            _ if said.contains("unexpected message") || said.contains("parsing response") => {
                Self::NotPostgres(said)
            }
            _ => Self::Unreachable(said),
        }
    }
}

fn by_state(state: &SqlState, message: String) -> StoreError {
    let code = state.code().to_owned();
    match code.as_str() {
        // read_only_sql_transaction
        "25006" => StoreError::ReadOnly { message },
        // query_canceled is our own statement_timeout; lock_not_available our lock_timeout.
        "53100" | "53200" => StoreError::Full { code, message },
        // undefined_table, undefined_column, invalid_schema_name, datatype_mismatch
        "42P01" | "42703" | "3F000" | "42804" => StoreError::Changed { code, message },
        // invalid_catalog_name, insufficient_privilege, and all of class 28: authorisation
        "3D000" | "42501" => StoreError::Denied { code, message },
        other if other.starts_with("28") => StoreError::Denied { code, message },
        _ => StoreError::Server { code, message },
    }
}

fn io_kind(error: &tokio_postgres::Error) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        source = cause.source();
    }
    None
}

fn one_line(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_says_what_kind_of_trouble_it_is() {
        let of = |code: &str| by_state(&SqlState::from_code(code), "said".to_owned());
        assert!(matches!(of("25006"), StoreError::ReadOnly { .. }));
        assert!(matches!(of("53100"), StoreError::Full { .. }));
        assert!(matches!(of("28P01"), StoreError::Denied { .. }));
        assert!(matches!(of("28000"), StoreError::Denied { .. }));
        assert!(matches!(of("3D000"), StoreError::Denied { .. }));
        assert!(matches!(of("42P01"), StoreError::Changed { .. }));
        assert!(matches!(of("57P03"), StoreError::Server { .. }));
        assert!(of("57P03").is_transient() && of("25006").is_transient());
        assert!(!of("28P01").is_transient());
    }

    #[test]
    fn a_version_is_said_as_people_do() {
        assert!(StoreError::TooOld { version: 110_022 }.to_string().contains("11.22"));
    }
}
