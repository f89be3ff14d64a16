//! What can go wrong at the state port.

use std::error::Error as StdError;
use std::time::Duration;

use thiserror::Error;

/// The cause of a [`ProviderError`], as the adapter's own library reports it.
pub type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// Why a call of a [`StateProvider`](crate::provider::StateProvider) failed.
///
/// None of these reaches the request path: whoever calls a provider counts the error, keeps the
/// data and tries again. [`ProviderError::is_transient`] tells whether trying again can help
/// without a change by the operator.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The provider was never connected, was disconnected, or lost its link for good.
    ///
    /// Nothing was stored. Call `connect` and repeat.
    #[error("the state provider is not connected")]
    NotConnected,
    /// The store did not answer in time. Whether it stored the data is unknown; sending it again
    /// is safe.
    #[error("{operation} did not finish within {} ms", after.as_millis())]
    TimedOut {
        /// What was attempted, such as `update_vectors`.
        operation: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The store cannot be reached or cannot serve at the moment (refused, reset, failing over,
    /// read-only, out of memory). Whether it stored the data is unknown; sending it again is safe.
    #[error("{operation} failed because the store is unavailable")]
    Unavailable {
        /// What was attempted, such as `update_vectors`.
        operation: &'static str,
        /// What the store's client said.
        #[source]
        source: Cause,
    },
    /// The store answered and will answer the same again until somebody changes something
    /// (wrong credentials, missing permission, wrong protocol). Nothing was stored.
    #[error("the store refused {operation}")]
    Refused {
        /// What was attempted, such as `connect`.
        operation: &'static str,
        /// What the store's client said.
        #[source]
        source: Cause,
    },
    /// The route's name is longer than
    /// [`MAX_ROUTE_BYTES`](crate::provider::MAX_ROUTE_BYTES). Nothing was stored, nor any other
    /// vector of the same batch.
    #[error("a route name of {bytes} bytes is longer than the {max} bytes allowed")]
    RouteTooLong {
        /// The length of the name that was refused.
        bytes: usize,
        /// The longest name allowed.
        max: usize,
    },
    /// The provider broke its contract: it panicked. What it stored is unknown; the caller goes
    /// on.
    #[error("the state provider panicked in {operation}: {message}")]
    Panicked {
        /// What was attempted, such as `update_vectors`.
        operation: &'static str,
        /// The panic's message, where it has one.
        message: String,
    },
}

impl ProviderError {
    /// Whether the same call may succeed later without a change by the operator.
    ///
    /// Permanent errors are worth an operator's attention at once; the pulse keeps trying all the
    /// same, since a permission can be granted while the program runs.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotConnected | Self::TimedOut { .. } | Self::Unavailable { .. } => true,
            Self::Refused { .. } | Self::RouteTooLong { .. } | Self::Panicked { .. } => false,
        }
    }

    /// A [`ProviderError::Unavailable`] with its cause.
    pub fn unavailable(operation: &'static str, source: impl Into<Cause>) -> Self {
        Self::Unavailable { operation, source: source.into() }
    }

    /// A [`ProviderError::Refused`] with its cause.
    pub fn refused(operation: &'static str, source: impl Into<Cause>) -> Self {
        Self::Refused { operation, source: source.into() }
    }
}
