//! How a response speaks for or against the service behind it.
//!
//! | what came back                                            | outcome                         |
//! |-----------------------------------------------------------|---------------------------------|
//! | status below 500 except 429, body to its end              | success                         |
//! | 429, gRPC `RESOURCE_EXHAUSTED`                            | cancelled ([`too_many`])        |
//! | a refusal by another Atrion, further down                 | cancelled ([`downstream_shed`]) |
//! | any other 5xx                                             | failure                         |
//! | an error of the inner service, of the body; a panic       | failure                         |
//! | gRPC `OK` and the codes that speak of the call            | success                         |
//! | gRPC `CANCELLED`                                          | cancelled                       |
//! | gRPC `UNKNOWN`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`, or no status | failure |
//! | the future or the body dropped before its end             | cancelled                       |
//!
//! A timeout *inside* the layer is an error of the inner service and so a failure; one *outside*
//! drops the future and so teaches nothing. Put timeouts inside.
//!
//! [`too_many`]: crate::AtrionLayer::too_many
//! [`downstream_shed`]: crate::AtrionLayer::downstream_shed

use std::fmt;
use std::sync::Arc;

use atrion_engine::Outcome;
use http::{HeaderMap, StatusCode};

use crate::answer::RETRY_AFTER_MS;
use crate::grpc::{self, code};
use crate::head::ResponseHead;

/// Until when a request holds its permit, and so what its latency is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hold {
    /// Until the response body has ended: the work includes producing it.
    #[default]
    Body,
    /// Until the response head. For endless bodies (event streams, watches), whose duration is
    /// not the service's latency.
    Head,
}

type ClassifyFn = dyn Fn(&ResponseHead<'_>) -> Option<Outcome> + Send + Sync;

/// The rules of a layer. Cheap to clone: every request in flight has its own.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) custom: Option<Arc<ClassifyFn>>,
    pub(crate) too_many: Outcome,
    pub(crate) downstream_shed: Outcome,
    pub(crate) hold: Hold,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            custom: None,
            too_many: Outcome::Cancelled,
            downstream_shed: Outcome::Cancelled,
            hold: Hold::Body,
        }
    }
}

/// What the head of a response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The outcome, provided the body arrives.
    Known(Outcome),
    /// A gRPC call whose status comes in the trailers.
    InTrailers,
}

impl Rules {
    /// Judges a response by its head.
    pub(crate) fn judge(&self, head: &ResponseHead<'_>) -> Verdict {
        if let Some(outcome) = self.custom.as_ref().and_then(|classify| classify(head)) {
            return Verdict::Known(outcome);
        }
        if head.status == StatusCode::OK && grpc::is_grpc(head.headers) {
            return match grpc::status(head.headers) {
                Some(code) => Verdict::Known(self.judge_grpc(code, head.headers)),
                None => Verdict::InTrailers,
            };
        }
        Verdict::Known(match head.status {
            StatusCode::TOO_MANY_REQUESTS => self.too_many,
            StatusCode::SERVICE_UNAVAILABLE if is_shed(head.headers) => self.downstream_shed,
            status if status.is_server_error() => Outcome::Failure,
            _ => Outcome::Success,
        })
    }

    /// Judges a gRPC call by its status code.
    pub(crate) fn judge_grpc(&self, code: u8, headers: &HeaderMap) -> Outcome {
        match code {
            code::CANCELLED => Outcome::Cancelled,
            code::RESOURCE_EXHAUSTED => self.too_many,
            code::UNAVAILABLE if is_shed(headers) => self.downstream_shed,
            code::UNKNOWN
            | code::DEADLINE_EXCEEDED
            | code::INTERNAL
            | code::UNAVAILABLE
            | code::DATA_LOSS => Outcome::Failure,
            _ => Outcome::Success,
        }
    }

    /// Judges a gRPC call by what came after its messages. Without a status it was cut off.
    pub(crate) fn judge_trailers(&self, trailers: Option<&HeaderMap>) -> Outcome {
        match trailers.and_then(|t| grpc::status(t).map(|code| (code, t))) {
            Some((code, trailers)) => self.judge_grpc(code, trailers),
            None => Outcome::Failure,
        }
    }
}

/// Whether the answer is a refusal by an Atrion, this one's inner neighbour or a downstream's.
fn is_shed(headers: &HeaderMap) -> bool {
    headers.contains_key(RETRY_AFTER_MS)
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("custom", &self.custom.is_some())
            .field("too_many", &self.too_many)
            .field("downstream_shed", &self.downstream_shed)
            .field("hold", &self.hold)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;

    fn judge(rules: &Rules, status: u16, headers: &[(&'static str, &'static str)]) -> Verdict {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        rules.judge(&ResponseHead::of(&response.body(()).expect("valid")))
    }

    #[test]
    fn statuses_are_judged_as_the_table_says() {
        let rules = Rules::default();
        for (status, outcome) in [
            (200, Outcome::Success),
            (301, Outcome::Success),
            (404, Outcome::Success),
            (429, Outcome::Cancelled),
            (500, Outcome::Failure),
            (503, Outcome::Failure),
            (599, Outcome::Failure),
        ] {
            assert_eq!(judge(&rules, status, &[]), Verdict::Known(outcome), "{status}");
        }
        let shed = [(RETRY_AFTER_MS, "250")];
        assert_eq!(judge(&rules, 503, &shed), Verdict::Known(Outcome::Cancelled));
        assert_eq!(judge(&rules, 500, &shed), Verdict::Known(Outcome::Failure));
    }

    #[test]
    fn choices_and_a_custom_rule_go_first() {
        let rules = Rules {
            custom: Some(Arc::new(|head| {
                (head.status == StatusCode::NOT_FOUND).then_some(Outcome::Failure)
            })),
            too_many: Outcome::Failure,
            downstream_shed: Outcome::Failure,
            hold: Hold::Body,
        };
        for status in [404, 429] {
            assert_eq!(judge(&rules, status, &[]), Verdict::Known(Outcome::Failure), "{status}");
        }
        let shed = [(RETRY_AFTER_MS, "250")];
        assert_eq!(judge(&rules, 503, &shed), Verdict::Known(Outcome::Failure));
        assert_eq!(judge(&rules, 200, &[]), Verdict::Known(Outcome::Success));
    }

    #[test]
    fn grpc_codes_are_judged_as_the_table_says() {
        let rules = Rules::default();
        let none = HeaderMap::new();
        let failures = [2, 4, 13, 14, 15];
        for code in 0..=16 {
            let expected = match code {
                1 | 8 => Outcome::Cancelled,
                _ if failures.contains(&code) => Outcome::Failure,
                _ => Outcome::Success,
            };
            assert_eq!(rules.judge_grpc(code, &none), expected, "{code}");
        }
        let content_type = ("content-type", "application/grpc");
        assert_eq!(judge(&rules, 200, &[content_type]), Verdict::InTrailers);
        assert_eq!(
            judge(&rules, 200, &[content_type, ("grpc-status", "13")]),
            Verdict::Known(Outcome::Failure)
        );
        let shed = [content_type, ("grpc-status", "14"), (RETRY_AFTER_MS, "9")];
        assert_eq!(judge(&rules, 200, &shed), Verdict::Known(Outcome::Cancelled));
        assert_eq!(rules.judge_trailers(None), Outcome::Failure);
        assert_eq!(rules.judge_trailers(Some(&none)), Outcome::Failure);
    }
}
