//! Permits: the leave to do the work, and the duty to say how it went.

use std::fmt;

use crate::cell::Ticket;
use crate::route::Route;

/// How admitted work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It ended well; its latency counts.
    Success,
    /// It failed in a way that speaks against the service. Its latency does not count.
    Failure,
    /// It was given up, or its result says nothing about the service.
    Cancelled,
}

/// Results that can be judged as an [`Outcome`].
///
/// Implemented for `Result` (`Err` is a failure) and for [`Outcome`] itself. Implement it for
/// your own response type to tell a bad request (the caller's fault: success or cancelled) from a
/// bad service. For results there are [`Route::run_with`] and [`Route::call_with`].
pub trait AsOutcome {
    /// The judgement.
    fn as_outcome(&self) -> Outcome;
}

impl AsOutcome for Outcome {
    fn as_outcome(&self) -> Outcome {
        *self
    }
}

impl<T, E> AsOutcome for Result<T, E> {
    fn as_outcome(&self) -> Outcome {
        if self.is_ok() { Outcome::Success } else { Outcome::Failure }
    }
}

macro_rules! permit_methods {
    () => {
        /// Records how the work ended, judged from its result.
        pub fn record<O: AsOutcome + ?Sized>(self, result: &O) {
            self.end(result.as_outcome());
        }

        /// The work ended well.
        #[inline]
        pub fn success(self) {
            self.end(Outcome::Success);
        }

        /// The work failed in a way that speaks against the service.
        pub fn failure(self) {
            self.end(Outcome::Failure);
        }

        /// The work was given up; nothing is learned from it. The same as dropping the permit.
        pub fn cancel(self) {
            self.end(Outcome::Cancelled);
        }
    };
}

/// Leave to do the work, borrowed from its [`Route`].
///
/// While it lives, the work counts as in flight. Dropping it without a record counts as
/// cancelled: that is what happens when a future is dropped or a handler panics. It may be ended
/// on another thread. A permit that is leaked (`mem::forget`) stays in flight until the route
/// notices that nothing returns any more and gives it up.
#[must_use = "a permit dropped at once counts as cancelled work"]
pub struct Permit<'r> {
    route: &'r Route,
    ticket: Ticket,
}

impl<'r> Permit<'r> {
    #[inline]
    pub(crate) const fn new(route: &'r Route, ticket: Ticket) -> Self {
        Self { route, ticket }
    }

    permit_methods!();

    #[inline]
    fn end(self, outcome: Outcome) {
        let (route, ticket) = (self.route, self.ticket);
        // The ticket is being ended here; dropping the permit would end it again.
        std::mem::forget(self);
        route.end(ticket, outcome);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.route.end(self.ticket, Outcome::Cancelled);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("route", &self.route.name()).finish_non_exhaustive()
    }
}

/// A [`Permit`] that owns its route handle, to be moved into futures, bodies and threads.
#[must_use = "a permit dropped at once counts as cancelled work"]
pub struct OwnedPermit {
    route: Route,
    ticket: Ticket,
    ended: bool,
}

impl OwnedPermit {
    #[inline]
    pub(crate) fn new(route: Route, ticket: Ticket) -> Self {
        Self { route, ticket, ended: false }
    }

    permit_methods!();

    /// The route that admitted the work.
    pub const fn route(&self) -> &Route {
        &self.route
    }

    #[inline]
    fn end(mut self, outcome: Outcome) {
        self.ended = true;
        self.route.end(self.ticket, outcome);
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        if !self.ended {
            self.route.end(self.ticket, Outcome::Cancelled);
        }
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").field("route", &self.route.name()).finish_non_exhaustive()
    }
}
