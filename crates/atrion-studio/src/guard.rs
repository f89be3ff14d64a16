//! Who may ask: host names, origins, sites. Pure functions of a request's head.

use std::net::IpAddr;

use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Method, Uri};

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Host,
    CrossSite,
    TokenInUrl,
    JsonRequired,
}

/// The names that Studio may be called by, besides IP addresses and `localhost`.
///
/// A page of another site that rebinds its name to this machine's address still sends its own name
/// as `Host`. An address cannot be rebound, so addresses are let through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    /// Adds a name; `false` if it is none.
    pub(crate) fn allow(&mut self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let is_name = !name.is_empty()
            && name.len() <= 253
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        if is_name {
            self.0.push(name);
        }
        is_name
    }

    fn allows(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(&host);
        bare.parse::<IpAddr>().is_ok() || host == "localhost" || self.0.contains(&host)
    }
}

/// The host of `host`, `host:port` or `[v6]:port`, in lower case.
fn host_of(authority: &str) -> Option<String> {
    let (host, port) = match authority.rfind(':') {
        Some(at) if !authority.ends_with(']') => authority.split_at(at),
        _ => (authority, ""),
    };
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|p| p.parse::<u16>().is_ok());
    let is_host = !host.is_empty() && (host.starts_with('[') || !host.contains(':'));
    (is_port && is_host).then(|| host.to_ascii_lowercase())
}

/// The one value of a header; `Err` if there are several or it is no text.
fn single(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        _ => Err(()),
    }
}

/// Looks at a request's head before anything else does.
pub(crate) fn check(
    hosts: &Hosts,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    let host = single(headers, HOST).map_err(|()| Refusal::Host)?;
    let authority = host.or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let authority = authority.filter(|a| hosts.allows(a)).ok_or(Refusal::Host)?;

    let origin = single(headers, ORIGIN).map_err(|()| Refusal::CrossSite)?;
    if let Some(origin) = origin {
        let theirs = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !theirs.is_some_and(|theirs| theirs.eq_ignore_ascii_case(authority)) {
            return Err(Refusal::CrossSite);
        }
    }
    let get = |name: &str| single(headers, name).map_err(|()| Refusal::CrossSite);
    match get("sec-fetch-site")? {
        None | Some("same-origin" | "none") => {}
        // Following a link to the page is no harm; reading or writing anything would be.
        Some(_)
            if method == Method::GET
                && !uri.path().starts_with("/api/")
                && get("sec-fetch-mode")? == Some("navigate") => {}
        Some(_) => return Err(Refusal::CrossSite),
    }
    let names =
        uri.query().unwrap_or("").split('&').map(|pair| pair.split('=').next().unwrap_or(""));
    if names.into_iter().any(|name| name.eq_ignore_ascii_case("token")) {
        return Err(Refusal::TokenInUrl);
    }
    if method == Method::POST {
        let kind = single(headers, CONTENT_TYPE).map_err(|()| Refusal::JsonRequired)?;
        let kind = kind.unwrap_or("").split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::JsonRequired);
        }
    }
    Ok(())
}

/// The token that was shown, if one was.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn ask(
        method: &Method,
        uri: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<(), Refusal> {
        let mut hosts = Hosts::default();
        assert!(hosts.allow("Studio.Example.com"));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        check(&hosts, method, &uri.parse().unwrap(), &map)
    }

    #[test]
    fn hosts_are_addresses_localhost_and_what_was_allowed() {
        for good in [
            "localhost",
            "LOCALHOST:9900",
            "127.0.0.1:9900",
            "[::1]:9900",
            "[::1]",
            "10.1.2.3",
            "studio.example.com",
            "studio.example.com:443",
        ] {
            assert_eq!(ask(&Method::GET, "/", &[("host", good)]), Ok(()), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:9900",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost:99999",
            "localhost:",
            "a:b:c",
            "[::1",
            "studio.example.com.",
            "user@localhost",
        ] {
            assert_eq!(ask(&Method::GET, "/", &[("host", bad)]), Err(Refusal::Host), "{bad}");
        }
        assert_eq!(ask(&Method::GET, "/", &[]), Err(Refusal::Host));
        let two = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(ask(&Method::GET, "/", &two), Err(Refusal::Host));
        assert!(!Hosts::default().allow("a b") && !Hosts::default().allow("http://x"));
    }

    #[test]
    fn other_sites_may_link_here_and_nothing_else() {
        let host = ("host", "localhost:9900");
        let site = |kind| ("sec-fetch-site", kind);
        assert_eq!(ask(&Method::GET, "/", &[host, ("origin", "http://localhost:9900")]), Ok(()));
        assert_eq!(ask(&Method::GET, "/", &[host, ("origin", "https://localhost:9900")]), Ok(()));
        for bad in [
            "null",
            "http://evil.example",
            "http://localhost:9901",
            "localhost:9900",
            "http://localhost",
        ] {
            assert_eq!(
                ask(&Method::GET, "/", &[host, ("origin", bad)]),
                Err(Refusal::CrossSite),
                "{bad}"
            );
        }
        for kind in ["cross-site", "same-site", "odd"] {
            assert_eq!(ask(&Method::GET, "/", &[host, site(kind)]), Err(Refusal::CrossSite));
            let link = [host, site(kind), ("sec-fetch-mode", "navigate")];
            assert_eq!(ask(&Method::GET, "/", &link), Ok(()));
            assert_eq!(ask(&Method::POST, "/", &link), Err(Refusal::CrossSite));
            assert_eq!(ask(&Method::GET, "/api/v1/stream", &link), Err(Refusal::CrossSite));
        }
        assert_eq!(ask(&Method::GET, "/", &[host, site("same-origin")]), Ok(()));
        assert_eq!(ask(&Method::GET, "/", &[host, site("none")]), Ok(()));
    }

    #[test]
    fn tokens_stay_out_of_urls_and_posts_are_json() {
        let host = ("host", "localhost");
        for bad in ["/?token=x", "/?a=1&Token=", "/?token"] {
            assert_eq!(ask(&Method::GET, bad, &[host]), Err(Refusal::TokenInUrl), "{bad}");
        }
        assert_eq!(ask(&Method::GET, "/?after=1", &[host]), Ok(()));
        let json = |kind| [host, ("content-type", kind)];
        assert_eq!(ask(&Method::POST, "/", &json("application/json")), Ok(()));
        assert_eq!(ask(&Method::POST, "/", &json("Application/JSON; charset=utf-8")), Ok(()));
        for bad in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            assert_eq!(ask(&Method::POST, "/", &json(bad)), Err(Refusal::JsonRequired), "{bad}");
        }
        assert_eq!(ask(&Method::POST, "/", &[host]), Err(Refusal::JsonRequired));
    }

    #[test]
    fn a_bearer_is_read_whole_or_not_at_all() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        headers.insert("authorization", HeaderValue::from_static("bearer abc"));
        assert_eq!(bearer(&headers), Some(&b"abc"[..]));
        headers.append("authorization", HeaderValue::from_static("Bearer def"));
        assert_eq!(bearer(&headers), None);
        headers.insert("authorization", HeaderValue::from_static("Basic YTpi"));
        assert_eq!(bearer(&headers), None);
        headers.insert("authorization", HeaderValue::from_static("x"));
        assert_eq!(bearer(&headers), None);
    }
}
