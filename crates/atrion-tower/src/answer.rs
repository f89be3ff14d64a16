//! What a shed request is answered.

use std::time::Duration;

use atrion_engine::Shed;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use crate::grpc;

/// Header of every refusal: in how many milliseconds to try again. `Retry-After` knows only whole
/// seconds. Its presence also tells an Atrion further up that this is a refusal and no fault.
pub const RETRY_AFTER_MS: &str = "x-atrion-retry-after-ms";
/// Header with the decision, if [`AtrionLayer::decision_header`](crate::AtrionLayer::decision_header)
/// asks for it: `admit`, `shadow-shed` or `shed`.
pub const DECISION_HEADER: &str = "x-atrion-decision";

/// What [`DECISION_HEADER`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Admit,
    ShadowShed,
    Shed,
}

impl Decision {
    pub(crate) const fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Admit => "admit",
            Self::ShadowShed => "shadow-shed",
            Self::Shed => "shed",
        })
    }
}

/// 503 with a problem document (RFC 9457) that says why and when to retry, and nothing about the
/// inside of the service.
pub(crate) fn http(shed: &Shed) -> Response<Bytes> {
    let text = format!(
        r#"{{"title":"Service Unavailable","status":503,"detail":"The service is protecting itself and did not start on this request.","reason":"{}","retry_after_ms":{}}}"#,
        shed.reason(),
        millis(shed.retry_after()),
    );
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Trailers-only: the status stands in the headers and no message follows.
pub(crate) fn grpc(shed: &Shed) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(grpc::CONTENT_TYPE));
    headers.insert(grpc::STATUS, HeaderValue::from(u16::from(grpc::code::UNAVAILABLE)));
    // Reasons are plain words; nothing in the message needs percent-encoding.
    let message = format!("request shed: {}", shed.reason());
    if let Ok(message) = HeaderValue::from_str(&message) {
        headers.insert(grpc::MESSAGE, message);
    }
    headers.insert(grpc::PUSHBACK, HeaderValue::from(millis(shed.retry_after())));
    response
}

/// Adds when to retry, in both units, where the answer does not say so itself.
pub(crate) fn add_retry_after(response: &mut Response<Bytes>, wait: Duration) {
    let headers = response.headers_mut();
    headers.entry(header::RETRY_AFTER).or_insert_with(|| HeaderValue::from(seconds(wait)));
    headers.entry(RETRY_AFTER_MS).or_insert_with(|| HeaderValue::from(millis(wait)));
}

/// Whole seconds, rounded up, at least one.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Whole milliseconds, rounded up, at least one.
fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up_and_never_zero() {
        for (wait, secs, ms) in [
            (Duration::ZERO, 1, 1),
            (Duration::from_nanos(1), 1, 1),
            (Duration::from_millis(1), 1, 1),
            (Duration::from_micros(1_001), 1, 2),
            (Duration::from_secs(1), 1, 1_000),
            (Duration::from_millis(1_001), 2, 1_001),
            (Duration::from_secs(60), 60, 60_000),
            (Duration::MAX, u64::MAX, u64::MAX),
        ] {
            assert_eq!((seconds(wait), millis(wait)), (secs, ms), "{wait:?}");
        }
    }
}
