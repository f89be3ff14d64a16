//! What a protected client's call can end with.

use std::error::Error;
use std::time::Duration;

use atrion_engine::{Route, Shed};
use thiserror::Error;

/// A call that was refused before it was made. The service below was not touched, so repeating
/// the call after [`retry_after`](Self::retry_after) is safe even if it is not idempotent.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("route {:?}: {shed}", .route.name())]
pub struct Overloaded {
    shed: Shed,
    route: Route,
}

impl Overloaded {
    pub(crate) const fn new(shed: Shed, route: Route) -> Self {
        Self { shed, route }
    }

    /// Why, by how much, and when to try again.
    pub const fn shed(&self) -> &Shed {
        &self.shed
    }

    /// The route that refused.
    pub const fn route(&self) -> &Route {
        &self.route
    }

    /// When this voltage is expected to pass; see [`Shed::retry_after`].
    pub const fn retry_after(&self) -> Duration {
        self.shed.retry_after()
    }
}

/// The error of a protected client: refused here, or failed further in.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// Refused by Atrion; nothing was sent.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The inner service's own error.
    #[error("the protected call failed")]
    Inner(#[source] E),
}

impl<E> CallError<E> {
    /// The refusal, if it was one.
    pub const fn overloaded(&self) -> Option<&Overloaded> {
        match self {
            Self::Overloaded(refusal) => Some(refusal),
            Self::Inner(_) => None,
        }
    }

    /// The inner service's error, if it was one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Overloaded(_) => None,
            Self::Inner(error) => Some(error),
        }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> CallError<E> {
    /// Forgets the type, for stacks whose errors are boxed: either [`Overloaded`] or the inner
    /// error itself, to be found again by `downcast_ref`.
    pub fn into_boxed(self) -> Box<dyn Error + Send + Sync> {
        match self {
            Self::Overloaded(refusal) => refusal.into(),
            Self::Inner(error) => error.into(),
        }
    }
}
