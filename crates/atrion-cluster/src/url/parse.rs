//! Reads a connection URL.
//!
//! Own code rather than a URL crate: those accept one host only, and what they say about a bad URL
//! names neither part nor domain.

use std::fmt::Write as _;
use std::path::PathBuf;

use atrion_commercial::secret::Secret;

use super::{DEFAULT_PORT, DEFAULT_SENTINEL_PORT, Deployment, Host, Login, RedisUrl};
use super::{UrlError, UrlPart};

const SCHEMES: &str =
    "redis, rediss, valkey, valkeys, each also with +cluster or +sentinel, or unix";
const PERCENT: &str = "text in which every special character is written as % and two hex digits";
const DATABASE: &str = "a number from 0 to 255";
/// More hosts than anybody lists, and few enough to try one after the other.
const MAX_HOSTS: usize = 64;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Standalone,
    Cluster,
    Sentinel,
    Unix,
}

/// A URL cut into its pieces, not decoded yet.
struct Pieces<'a> {
    userinfo: Option<&'a str>,
    hosts: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

/// What the query said.
#[derive(Default)]
struct Query {
    sentinel: Login,
    database: Option<u8>,
}

pub(super) fn url(text: &str) -> Result<RedisUrl, UrlError> {
    let Some((scheme, rest)) = text.split_once("://") else {
        // Not shown: it may be a password that went into the wrong setting.
        return Err(UrlError::hidden(UrlPart::Scheme, "it is followed by ://"));
    };
    let (kind, tls) = scheme_of(scheme)?;
    let pieces = cut(rest)?;
    let login = pieces.userinfo.map_or(Ok(Login::default()), login)?;
    let query = pieces.query.map_or(Ok(Query::default()), |text| query(text, kind))?;
    let (deployment, path_database) = deployment(kind, &pieces, query.sentinel)?;
    let database = query.database.or(path_database).unwrap_or(0);
    if kind == Kind::Cluster && database != 0 {
        let value = database.to_string();
        return Err(UrlError::shown(UrlPart::Database, &value, "Redis Cluster knows only 0"));
    }
    Ok(RedisUrl { deployment, tls, login, database })
}

fn scheme_of(scheme: &str) -> Result<(Kind, bool), UrlError> {
    let lower = scheme.to_ascii_lowercase();
    let (base, kind) = match lower.split_once('+') {
        Some((base, "cluster")) => (base, Kind::Cluster),
        Some((base, "sentinel")) => (base, Kind::Sentinel),
        None if lower == "unix" => return Ok((Kind::Unix, false)),
        None => (lower.as_str(), Kind::Standalone),
        Some(_) => ("", Kind::Standalone),
    };
    match base {
        "redis" | "valkey" => Ok((kind, false)),
        "rediss" | "valkeys" => Ok((kind, true)),
        _ => Err(UrlError::shown(UrlPart::Scheme, scheme, SCHEMES)),
    }
}

fn cut(rest: &str) -> Result<Pieces<'_>, UrlError> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if tail.contains('@') && !authority.contains('@') || tail.contains('#') {
        // A password with such a character in it. Nothing of it may be shown.
        return Err(UrlError::hidden(
            UrlPart::Password,
            "`/`, `?`, `#` and `@` in user, password and parameters are written %2F, %3F, %23 \
             and %40",
        ));
    }
    let (userinfo, hosts) = match authority.rsplit_once('@') {
        Some((userinfo, hosts)) => (Some(userinfo), hosts),
        None => (None, authority),
    };
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    };
    Ok(Pieces { userinfo, hosts, path, query })
}

fn login(userinfo: &str) -> Result<Login, UrlError> {
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (userinfo, None),
    };
    // Neither is shown: who forgets the colon has written the password in the user's place.
    let user = decoded(user).ok_or(UrlError::hidden(UrlPart::User, PERCENT))?;
    let password = match password {
        Some(text) => {
            let text = decoded(text).ok_or(UrlError::hidden(UrlPart::Password, PERCENT))?;
            (!text.is_empty()).then(|| Secret::new(text))
        }
        None => None,
    };
    if !user.is_empty() && password.is_none() {
        return Err(UrlError::hidden(
            UrlPart::Password,
            "a user is followed by `:` and a password",
        ));
    }
    Ok(Login { user: (!user.is_empty()).then_some(user), password })
}

fn query(text: &str, kind: Kind) -> Result<Query, UrlError> {
    let mut query = Query::default();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value).ok_or(UrlError::hidden(UrlPart::Parameter, PERCENT))?;
        match (name, kind) {
            ("sentinel_user", Kind::Sentinel) => query.sentinel.user = Some(value),
            ("sentinel_password", Kind::Sentinel) => {
                query.sentinel.password = Some(Secret::new(value));
            }
            ("db", Kind::Unix | Kind::Standalone) => query.database = Some(database(&value)?),
            _ => {
                let allowed = "only `db` with one server, and `sentinel_user` and \
                               `sentinel_password` with sentinels";
                return Err(UrlError::shown(UrlPart::Parameter, name, allowed));
            }
        }
    }
    if query.sentinel.user.is_some() && query.sentinel.password.is_none() {
        let allowed = "`sentinel_user` comes with `sentinel_password`";
        return Err(UrlError::hidden(UrlPart::Parameter, allowed));
    }
    Ok(query)
}

fn deployment(
    kind: Kind,
    pieces: &Pieces<'_>,
    sentinel_login: Login,
) -> Result<(Deployment, Option<u8>), UrlError> {
    if kind == Kind::Unix {
        return unix(pieces);
    }
    let port = if kind == Kind::Sentinel { DEFAULT_SENTINEL_PORT } else { DEFAULT_PORT };
    let mut hosts = hosts(pieces.hosts, port)?;
    let mut path = pieces.path.trim_start_matches('/').trim_end_matches('/').split('/');
    let first = path.next().filter(|text| !text.is_empty());
    let second = path.next();
    if let Some(third) = path.next() {
        return Err(UrlError::shown(UrlPart::Database, third, "nothing follows the database"));
    }
    if kind == Kind::Sentinel {
        let allowed = "sentinels' URLs end in /<master>, percent-encoded";
        let name = first.and_then(decoded).filter(|name| !name.is_empty());
        let master = name.ok_or(UrlError::hidden(UrlPart::Master, allowed))?;
        let deployment = Deployment::Sentinel { sentinels: hosts, master, login: sentinel_login };
        return Ok((deployment, second.map(database).transpose()?));
    }
    if let Some(second) = second {
        return Err(UrlError::shown(UrlPart::Database, second, "nothing follows the database"));
    }
    let database = first.map(database).transpose()?;
    if kind == Kind::Cluster {
        return Ok((Deployment::Cluster(hosts), database));
    }
    match (hosts.pop(), hosts.is_empty()) {
        (Some(host), true) => Ok((Deployment::Standalone(host), database)),
        _ => Err(UrlError::shown(
            UrlPart::Hosts,
            pieces.hosts,
            "one host, or a scheme with +cluster or +sentinel",
        )),
    }
}

fn unix(pieces: &Pieces<'_>) -> Result<(Deployment, Option<u8>), UrlError> {
    if !pieces.hosts.is_empty() {
        let allowed = "a socket's path begins with a slash: unix:///path";
        return Err(UrlError::hidden(UrlPart::Socket, allowed));
    }
    let path = decoded(pieces.path).filter(|path| path.len() > 1);
    let path = path.ok_or(UrlError::hidden(UrlPart::Socket, "unix:///path"))?;
    Ok((Deployment::Unix(PathBuf::from(path)), None))
}

fn hosts(text: &str, default_port: u16) -> Result<Vec<Host>, UrlError> {
    let hosts: Vec<Host> =
        text.split(',').map(|one| host(one, default_port)).collect::<Result<_, _>>()?;
    if hosts.len() > MAX_HOSTS {
        let value = hosts.len().to_string();
        return Err(UrlError::shown(UrlPart::Hosts, &value, "at most 64 hosts"));
    }
    Ok(hosts)
}

fn host(text: &str, default_port: u16) -> Result<Host, UrlError> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let allowed = "an IPv6 address in brackets, as in [::1]:6379";
        let bad = || UrlError::hidden(UrlPart::Host, allowed);
        let (name, after) = rest.split_once(']').ok_or_else(bad)?;
        if name.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(bad());
        }
        match after.strip_prefix(':') {
            Some(port) => (name, Some(port)),
            None if after.is_empty() => (name, None),
            None => return Err(bad()),
        }
    } else {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if name.is_empty() || !name.chars().all(fits) {
            // Not shown: a password pasted without the rest would stand here.
            let allowed = "a name or address of letters, digits, `-`, `.` and `_`";
            return Err(UrlError::hidden(UrlPart::Host, allowed));
        }
        (name, port)
    };
    Ok(Host::new(name, port.map_or(Ok(default_port), port_of)?))
}

fn port_of(text: &str) -> Result<u16, UrlError> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        // `user:password` without `@host` puts the password here.
        _ => Err(UrlError::hidden(UrlPart::Port, "a number from 1 to 65535")),
    }
}

fn database(text: &str) -> Result<u8, UrlError> {
    text.parse().map_err(|_| UrlError::shown(UrlPart::Database, text, DATABASE))
}

/// Percent-decodes; `None` if a `%` is not followed by two hex digits or the result is no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Percent-encodes all but what never needs it.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
