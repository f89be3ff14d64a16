//! Keeps panics of foreign code from spreading, where the program is built to unwind; one that is
//! built to abort on panic does so.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::provider::{BoxFuture, BoxStream, ProviderError};

/// Runs `foreign`; its panic becomes its message.
///
/// Unwind safety: what a panic may leave half done is the foreign code's own state. Nothing of
/// ours is shared with it except through the machine's methods, which do not panic.
pub(crate) fn contain<T>(foreign: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(foreign)).map_err(message)
}

/// Drops `value`, whatever its destructor does.
pub(crate) fn discard<T>(value: T) {
    // A destructor that panics has nothing to tell us.
    let _ = contain(|| drop(value));
}

fn message(payload: Box<dyn Any + Send>) -> String {
    let text = if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    };
    discard(payload);
    text
}

/// A provider's future whose panic is an error.
pub(crate) struct Guarded<T> {
    operation: &'static str,
    inner: Option<BoxFuture<'static, Result<T, ProviderError>>>,
}

impl<T> Guarded<T> {
    pub(crate) fn new(
        operation: &'static str,
        inner: BoxFuture<'static, Result<T, ProviderError>>,
    ) -> Self {
        Self { operation, inner: Some(inner) }
    }
}

impl<T> Future for Guarded<T> {
    type Output = Result<T, ProviderError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(inner) = &mut self.inner else {
            // Polled after its end, which the machine's bookkeeping excludes.
            return Poll::Pending;
        };
        let result = match contain(|| inner.as_mut().poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(message) => Err(ProviderError::Panicked { operation: self.operation, message }),
        };
        discard(self.inner.take());
        Poll::Ready(result)
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        discard(self.inner.take());
    }
}

/// A provider's stream whose panic is its end.
pub(crate) struct GuardedStream<T> {
    inner: Option<BoxStream<T>>,
}

impl<T> GuardedStream<T> {
    pub(crate) fn new(inner: BoxStream<T>) -> Self {
        Self { inner: Some(inner) }
    }
}

impl<T> Stream for GuardedStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        match contain(|| inner.as_mut().poll_next(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(item))) => Poll::Ready(Some(item)),
            Ok(Poll::Ready(None)) | Err(_) => {
                discard(self.inner.take());
                Poll::Ready(None)
            }
        }
    }
}

impl<T> Drop for GuardedStream<T> {
    fn drop(&mut self) {
        discard(self.inner.take());
    }
}
