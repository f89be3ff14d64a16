//! The errors of the engine.

use atrion_core::error::ConfigError;
use atrion_state::provider::LicenseRefused;
use thiserror::Error;

use crate::config::ROUTE_NAME_LIMIT;

/// A route name that cannot be used. Nothing was created.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteNameError {
    /// The name has no characters.
    #[error("the route name is empty, it needs 1 to {ROUTE_NAME_LIMIT} bytes")]
    Empty,
    /// The name is longer than [`ROUTE_NAME_LIMIT`].
    #[error("the route name has {length} bytes, it may have 1 to {ROUTE_NAME_LIMIT}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// All routes are in use and none is idle; the overflow route would take the requests.
    #[error("there are {limit} routes already and none of them is idle")]
    Full {
        /// The limit in force.
        limit: usize,
    },
}

/// An observer that cannot be attached. Nothing was started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// There are as many observers as one instance may have. Detach one first; one that was detached
    /// counts until it has returned from its last event.
    #[error("there are {limit} observers already")]
    TooMany {
        /// How many an instance may have.
        limit: usize,
    },
    /// The system refused the observer's thread.
    #[error("the observer's thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// An instance that cannot be built. Nothing was started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration contradicts itself.
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] ConfigError),
    /// An observer could not be attached.
    #[error(transparent)]
    Observer(#[from] ObserveError),
    /// The provider needs a licence, the one given is not good, and the policy is strict.
    #[error(transparent)]
    License(#[from] LicenseRefused),
}
