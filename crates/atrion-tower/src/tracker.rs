//! A permit on its way through future and body, and what is to become of it.

use std::fmt;

use atrion_engine::{Outcome, OwnedPermit};
use http::HeaderMap;

use crate::classify::{Rules, Verdict};
use crate::grpc::{self, code};
use crate::key::Candidate;

/// Holds a permit until the outcome of its request is known.
///
/// However it is dropped, the permit is returned: with the outcome that dropping means at that
/// point. That is `Cancelled` at first, `Failure` while foreign code is being polled (so that a
/// panic counts), and what the head said once a failure is certain.
pub(crate) struct Tracker {
    permit: Option<OwnedPermit>,
    on_drop: Outcome,
    pub(crate) rules: Rules,
    /// The response to a HEAD request has no body, whatever its headers say.
    pub(crate) bodiless: bool,
    /// A gRPC method that gets its own route if the service turns out to know it.
    candidate: Option<Box<Candidate>>,
}

impl Tracker {
    pub(crate) fn new(
        permit: OwnedPermit,
        rules: Rules,
        bodiless: bool,
        candidate: Option<Box<Candidate>>,
    ) -> Self {
        Self { permit: Some(permit), on_drop: Outcome::Cancelled, rules, bodiless, candidate }
    }

    /// Ends the request.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.on_drop = outcome;
    }

    /// Ends the request by a verdict, with the trailers if any came.
    pub(crate) fn end_by(mut self, verdict: Verdict, trailers: Option<&HeaderMap>) {
        self.on_drop = match verdict {
            Verdict::Known(outcome) => outcome,
            Verdict::InTrailers => {
                if let Some(trailers) = trailers {
                    self.prove(trailers);
                }
                self.rules.judge_trailers(trailers)
            }
        };
    }

    /// A failure needs no body to be one, so from here on dropping means failure.
    pub(crate) fn note(&mut self, verdict: Verdict) {
        if verdict == Verdict::Known(Outcome::Failure) {
            self.on_drop = Outcome::Failure;
        }
    }

    /// Foreign code is about to run: if it panics, dropping this means failure. Returns what
    /// dropping meant before, for [`relax`](Self::relax). Not a closure around the code, because
    /// that would move requests and futures about.
    #[inline]
    pub(crate) fn alert(this: &mut Option<Self>) -> Outcome {
        this.as_mut().map_or(Outcome::Cancelled, |tracker| {
            std::mem::replace(&mut tracker.on_drop, Outcome::Failure)
        })
    }

    /// The foreign code returned.
    #[inline]
    pub(crate) fn relax(this: &mut Option<Self>, before: Outcome) {
        if let Some(tracker) = this {
            tracker.on_drop = before;
        }
    }

    /// Gives the method its route if the status shows that the service knows it.
    pub(crate) fn prove(&mut self, headers: &HeaderMap) {
        if let Some(candidate) = self.candidate.take()
            && grpc::status(headers).is_some_and(|status| status != code::UNIMPLEMENTED)
        {
            candidate.accept();
        }
    }

    /// Whether a gRPC method waits for proof; most requests have no reason to look.
    pub(crate) const fn wants_proof(&self) -> bool {
        self.candidate.is_some()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.record(&self.on_drop);
        }
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("permit", &self.permit)
            .field("on_drop", &self.on_drop)
            .finish_non_exhaustive()
    }
}
