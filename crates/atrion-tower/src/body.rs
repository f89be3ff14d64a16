//! Response bodies that hold the permit until they end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::response::Parts;
use http::{StatusCode, header};
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
        tracker: Option<Tracker>,
        verdict: Verdict,
        remaining: Option<u64>,
    }
}

impl<B: Body> TrackedBody<B> {
    /// A body nobody watches.
    pub(crate) const fn untracked(inner: B) -> Self {
        let verdict = Verdict::Known(atrion_engine::Outcome::Cancelled);
        Self { inner, tracker: None, verdict, remaining: None }
    }

    /// Judges the head and takes charge of the permit, or ends the request at once if there is
    /// nothing to wait for.
    pub(crate) fn tracked(head: &Parts, inner: B, mut tracker: Tracker) -> Self {
        let view = ResponseHead {
            status: head.status,
            headers: &head.headers,
            extensions: &head.extensions,
        };
        let verdict = tracker.rules.judge(&view);
        if tracker.wants_proof() && verdict != Verdict::InTrailers {
            tracker.prove(&head.headers);
        }
        let remaining = announced(head, &inner);
        let over = match verdict {
            // The status comes behind the messages; without them the call was cut off.
            Verdict::InTrailers => inner.is_end_stream(),
            Verdict::Known(_) => {
                inner.is_end_stream()
                    || tracker.bodiless
                    || tracker.rules.hold == Hold::Head
                    || has_no_body(head.status)
                    || remaining == Some(0)
            }
        };
        let mut body = Self { inner, tracker: None, verdict, remaining };
        if over {
            tracker.end_by(verdict, None);
        } else if tracker.rules.hold == Hold::Head {
            // A gRPC stream: its head shows that the service took the call.
            tracker.end(atrion_engine::Outcome::Success);
        } else {
            tracker.note(verdict);
            body.tracker = Some(tracker);
        }
        body
    }
}

/// How many bytes will pass before the server stops asking for more: it frames the message by
/// `content-length` where there is one and need not read to the end of the body.
fn announced<B: Body>(head: &Parts, body: &B) -> Option<u64> {
    let length = head.headers.get(header::CONTENT_LENGTH);
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
        let polled = Tracker::watch(this.tracker, || this.inner.as_mut().poll_frame(cx));
        let polled = ready!(polled);
        if this.tracker.is_none() {
            return Poll::Ready(polled);
        }
        let verdict = *this.verdict;
        match &polled {
            Some(Ok(frame)) => {
                let trailers = frame.trailers_ref();
                if let (Some(data), Some(left)) = (frame.data_ref(), this.remaining.as_mut()) {
                    *left = left.saturating_sub(bytes::Buf::remaining(data) as u64);
                }
                let complete = verdict != Verdict::InTrailers && *this.remaining == Some(0);
                if trailers.is_some() || complete || this.inner.is_end_stream() {
                    take(this.tracker, |tracker| tracker.end_by(verdict, trailers));
                }
            }
            Some(Err(_)) => {
                take(this.tracker, |tracker| tracker.end(atrion_engine::Outcome::Failure));
            }
            None => take(this.tracker, |tracker| tracker.end_by(verdict, None)),
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

fn take(tracker: &mut Option<Tracker>, end: impl FnOnce(Tracker)) {
    if let Some(tracker) = tracker.take() {
        end(tracker);
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
