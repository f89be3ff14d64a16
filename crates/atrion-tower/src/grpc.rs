//! The little of gRPC over HTTP/2 that a verdict and a refusal need.

use http::{HeaderMap, header};

/// `grpc-status`: how a call ended, in headers or trailers.
pub(crate) const STATUS: &str = "grpc-status";
/// `grpc-message`: why, percent-encoded.
pub(crate) const MESSAGE: &str = "grpc-message";
/// `grpc-retry-pushback-ms`: when the server wants the retry (gRFC A6).
pub(crate) const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// The media type of gRPC, without its encoding suffix.
pub(crate) const CONTENT_TYPE: &str = "application/grpc";

/// Longest `/package.Service/Method` that is looked at, in bytes.
const LONGEST_METHOD: usize = 256;

/// Status codes, by number, of the gRPC specification.
pub(crate) mod code {
    pub(crate) const CANCELLED: u8 = 1;
    pub(crate) const UNKNOWN: u8 = 2;
    pub(crate) const DEADLINE_EXCEEDED: u8 = 4;
    pub(crate) const RESOURCE_EXHAUSTED: u8 = 8;
    pub(crate) const UNIMPLEMENTED: u8 = 12;
    pub(crate) const INTERNAL: u8 = 13;
    pub(crate) const UNAVAILABLE: u8 = 14;
    pub(crate) const DATA_LOSS: u8 = 15;
}

/// Whether the message is native gRPC. gRPC-Web is not: its status sits inside the body.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return false };
    match value.as_bytes().strip_prefix(CONTENT_TYPE.as_bytes()) {
        Some(rest) => matches!(rest.first(), None | Some(b'+' | b';' | b' ')),
        None => false,
    }
}

/// The status code, if there is one; what is not a known number counts as `UNKNOWN`, as the
/// specification has it.
pub(crate) fn status(headers: &HeaderMap) -> Option<u8> {
    let value = headers.get(STATUS)?;
    let number = value.to_str().ok().and_then(|text| text.parse::<u8>().ok());
    Some(number.filter(|n| *n <= 16).unwrap_or(code::UNKNOWN))
}

/// Whether a path has the form `/package.Service/Method`, of bounded length and harmless
/// characters.
pub(crate) fn is_method_path(path: &str) -> bool {
    let word = |w: &str| {
        !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
    };
    path.len() <= LONGEST_METHOD
        && path
            .strip_prefix('/')
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(service, method)| word(service) && word(method))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn typed(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))])
    }

    #[test]
    fn only_native_grpc_is_grpc() {
        for yes in ["application/grpc", "application/grpc+proto", "application/grpc; charset=x"] {
            assert!(is_grpc(&typed(yes)), "{yes}");
        }
        for no in ["application/grpc-web", "application/grpc-web+proto", "application/json", ""] {
            assert!(!is_grpc(&typed(no)), "{no}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn a_status_that_is_no_status_is_unknown() {
        let with = |value: &'static [u8]| {
            let value = HeaderValue::from_bytes(value).expect("allowed in a header");
            status(&HeaderMap::from_iter([(http::HeaderName::from_static(STATUS), value)]))
        };
        assert_eq!(status(&HeaderMap::new()), None);
        assert_eq!(with(b"0"), Some(0));
        assert_eq!(with(b"14"), Some(code::UNAVAILABLE));
        for bad in [&b"17"[..], b"-1", b"256", b"", b"ok", b"\xff"] {
            assert_eq!(with(bad), Some(code::UNKNOWN), "{bad:?}");
        }
    }

    #[test]
    fn method_paths_have_two_plain_words() {
        assert!(is_method_path("/grpc.health.v1.Health/Check"));
        assert!(is_method_path("/Echo/say_it"));
        for bad in ["", "/", "//", "/a", "/a/", "//b", "/a/b/c", "a/b", "/a/b%20", "/a/b?c", "/ü/b"]
        {
            assert!(!is_method_path(bad), "{bad}");
        }
        assert!(!is_method_path(&format!("/a/{}", "b".repeat(300))));
    }
}
