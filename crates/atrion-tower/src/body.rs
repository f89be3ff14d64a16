//! Response bodies that hold the permit until they end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use atrion_engine::Outcome;
use bytes::{Buf, Bytes};
use http::{HeaderMap, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::classify::{Hold, Verdict};
use crate::head::ResponseHead;
use crate::tracker::Tracker;

pin_project! {
    /// The inner service's body, holding the request's permit until its end.
    ///
    /// Dropping it early counts as cancelled, unless the response was a failure already. The end
    /// is wherever the reader may stop: at the last frame, at the trailers, or once as many bytes
    /// have passed as `content-length` or the size hint announce.
    #[derive(Debug)]
    pub struct TrackedBody<B> {
        #[pin]
        inner: B,
        watch: Option<Watch>,
    }
}

/// A permit that waits for the end of a body.
#[derive(Debug)]
pub(crate) struct Watch {
    tracker: Option<Tracker>,
    verdict: Verdict,
    remaining: Option<u64>,
}

impl Watch {
    /// Judges the head and takes charge of the permit, or ends the request at once if there is
    /// nothing to wait for.
    #[inline]
    pub(crate) fn begin<B: Body>(response: &Response<B>, mut tracker: Tracker) -> Option<Self> {
        let head = ResponseHead::of(response);
        let verdict = tracker.rules.judge(&head);
        if tracker.wants_proof() && verdict != Verdict::InTrailers {
            tracker.prove(head.headers);
        }
        let body = response.body();
        // The status of a call that has one in its trailers comes behind the messages; without them
        // it was cut off.
        let known = verdict != Verdict::InTrailers;
        let on_head = tracker.rules.hold == Hold::Head;
        let nothing_follows = tracker.bodiless || on_head || has_no_body(head.status);
        if body.is_end_stream() || known && nothing_follows {
            tracker.end_by(verdict, None);
            return None;
        }
        if on_head {
            // A gRPC stream: its head shows that the service took the call.
            tracker.end(Outcome::Success);
            return None;
        }
        // Only now: most small answers have ended, and headers are dear to search.
        let remaining = announced(head.headers, body);
        if known && remaining == Some(0) {
            tracker.end_by(verdict, None);
            return None;
        }
        tracker.note(verdict);
        Some(Self { tracker: Some(tracker), verdict, remaining })
    }

    /// Takes note of what the body brought; `over` if the body knows that nothing follows.
    fn observe<D: Buf, E>(&mut self, polled: Option<&Result<Frame<D>, E>>, over: bool) {
        let verdict = self.verdict;
        match polled {
            Some(Ok(frame)) => {
                if let (Some(data), Some(left)) = (frame.data_ref(), self.remaining.as_mut()) {
                    *left = left.saturating_sub(data.remaining() as u64);
                }
                let trailers = frame.trailers_ref();
                let complete = verdict != Verdict::InTrailers && self.remaining == Some(0);
                if trailers.is_some() || complete || over {
                    self.end(|tracker| tracker.end_by(verdict, trailers));
                }
            }
            Some(Err(_)) => self.end(|tracker| tracker.end(Outcome::Failure)),
            None => self.end(|tracker| tracker.end_by(verdict, None)),
        }
    }

    fn end(&mut self, end: impl FnOnce(Tracker)) {
        if let Some(tracker) = self.tracker.take() {
            end(tracker);
        }
    }
}

impl<B> TrackedBody<B> {
    pub(crate) const fn new(inner: B, watch: Option<Watch>) -> Self {
        Self { inner, watch }
    }
}

/// How many bytes will pass before the server stops asking for more: it frames the message by
/// `content-length` where there is one and need not read to the end of the body.
fn announced<B: Body>(headers: &HeaderMap, body: &B) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH);
    length
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok())
        .or_else(|| body.size_hint().exact())
}

/// Whether HTTP forbids a body with this status.
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

impl<B: Body> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(watch) = this.watch else { return this.inner.poll_frame(cx) };
        let calm = Tracker::alert(&mut watch.tracker);
        let polled = this.inner.as_mut().poll_frame(cx);
        Tracker::relax(&mut watch.tracker, calm);
        let polled = ready!(polled);
        watch.observe(polled.as_ref(), this.inner.is_end_stream());
        if watch.tracker.is_none() {
            *this.watch = None;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

pin_project! {
    /// The body of a protected server's response: the inner service's, or that of a refusal.
    #[derive(Debug)]
    pub struct ServerBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    #[derive(Debug)]
    enum Kind<B> {
        Inner { #[pin] body: TrackedBody<B> },
        Refusal { text: Bytes },
    }
}

impl<B> ServerBody<B> {
    pub(crate) const fn inner(body: TrackedBody<B>) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    pub(crate) const fn refusal(text: Bytes) -> Self {
        Self { kind: Kind::Refusal { text } }
    }
}

impl<B> Body for ServerBody<B>
where
    B: Body,
    B::Data: From<Bytes>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(cx),
            KindProj::Refusal { text } if text.is_empty() => Poll::Ready(None),
            KindProj::Refusal { text } => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(text).into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Refusal { text } => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Refusal { text } => SizeHint::with_exact(text.len() as u64),
        }
    }
}
