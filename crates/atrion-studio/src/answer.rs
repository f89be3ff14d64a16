//! Answers: JSON, errors, and the headers that every answer carries.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

/// A request that is not answered, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// What exactly is wrong with what was sent.
    pub(crate) culprit: Option<Box<Culprit>>,
    pub(crate) retry_after_secs: Option<u64>,
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Culprit {
    pub(crate) field: String,
    pub(crate) value: Value,
    pub(crate) allowed: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), culprit: None, retry_after_secs: None }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn unprocessable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    pub(crate) fn no_such_route() -> Self {
        Self::not_found("no_such_route", "there is no route of this id any more")
    }

    /// A number that lies outside of `allowed`.
    pub(crate) fn out_of_range(field: &str, value: f64, unit: &str, min: f64, max: f64) -> Self {
        let mut error = Self::unprocessable(
            "out_of_range",
            format!("{field} is {value} {unit}, allowed is {min} to {max} {unit}"),
        );
        error.culprit = Some(Box::new(Culprit {
            field: field.to_owned(),
            value: json!(value),
            allowed: format!("{min} to {max} {unit}"),
        }));
        error
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut members = Map::new();
        members.insert("code".into(), self.code.into());
        members.insert("message".into(), self.message.into());
        if let Some(culprit) = self.culprit {
            members.insert("field".into(), culprit.field.into());
            members.insert("value".into(), culprit.value);
            members.insert("allowed".into(), culprit.allowed.into());
        }
        let mut response = json_with(self.status, &json!({ "error": members }));
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(RETRY_AFTER, secs.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"Atrion Studio\"");
            response.headers_mut().insert(http::header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// An answer in JSON.
pub(crate) fn json_with(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// An answer of ready-made text.
pub(crate) fn text(content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
frame-ancestors 'none'";

/// Adds the headers that every answer carries.
pub(crate) fn protect(headers: &mut HeaderMap) {
    let fixed = [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ];
    for (name, value) in fixed {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
