//! What URLs mean, and what is said about those that mean nothing.

use super::*;

fn parsed(text: &str) -> RedisUrl {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refused(text: &str) -> UrlError {
    text.parse::<RedisUrl>().expect_err(text)
}

#[test]
fn every_form_is_read_and_written_back() {
    for (text, written) in [
        ("redis://localhost", "redis://localhost:6379/0"),
        ("REDIS://localhost/", "redis://localhost:6379/0"),
        ("redis://10.0.0.7:7000/15", "redis://10.0.0.7:7000/15"),
        ("redis://[::1]", "redis://[::1]:6379/0"),
        ("redis://[::1]:7000", "redis://[::1]:7000/0"),
        ("rediss://cache.internal?db=3", "rediss://cache.internal:6379/3"),
        ("valkey://v", "redis://v:6379/0"),
        ("valkeys://v:1", "rediss://v:1/0"),
        ("redis://:pass@h", "redis://:***@h:6379/0"),
        ("redis://app:pass@h", "redis://app:***@h:6379/0"),
        ("redis://h%20x:pass@h", "redis://h%20x:***@h:6379/0"),
        ("redis+cluster://a,b:7001,[::2]:3", "redis+cluster://a:6379,b:7001,[::2]:3"),
        ("rediss+cluster://u:p@a:1,b:2", "rediss+cluster://u:***@a:1,b:2"),
        ("redis+sentinel://s1,s2:5/primary", "redis+sentinel://s1:26379,s2:5/primary/0"),
        ("valkeys+sentinel://u:p@s/m%2F1/4", "rediss+sentinel://u:***@s:26379/m%2F1/4"),
        (
            "redis+sentinel://s/m?sentinel_user=w&sentinel_password=q%26",
            "redis+sentinel://s:26379/m/0?sentinel_user=w&sentinel_password=***",
        ),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("unix://u:p@/run/redis.sock?db=2", "unix://u:***@/run/redis.sock?db=2"),
    ] {
        let url = parsed(text);
        assert_eq!(url.to_string(), written, "{text}");
        assert_eq!(format!("{url:?}"), format!("RedisUrl({written})"));
    }
}

#[test]
fn logins_are_decoded() {
    let url = parsed("redis://app%3A1:p%40ss%2Fw%C3%B6rd@h");
    assert_eq!(url.login().user(), Some("app:1"));
    assert_eq!(url.login(), &Login::new(Some("app:1"), "p@ss/wörd"));
    let lenient = parsed("redis://app:p@ss:x@h");
    assert_eq!(lenient.login(), &Login::new(Some("app"), "p@ss:x"));
    let sentinel = parsed("redis+sentinel://:data@s/m?sentinel_password=own");
    let Deployment::Sentinel { login, .. } = sentinel.deployment() else { panic!("{sentinel}") };
    assert_eq!(login, &Login::new(None, "own"));
    assert_eq!(sentinel.login(), &Login::new(None, "data"));
}

#[test]
fn errors_name_the_part_and_what_is_allowed() {
    for (text, part, word) in [
        ("localhost:6379", UrlPart::Scheme, "://"),
        ("http://h", UrlPart::Scheme, "`http`"),
        ("redis+pool://h", UrlPart::Scheme, "+cluster"),
        ("redis://", UrlPart::Host, "letters"),
        ("redis://a b", UrlPart::Host, "letters"),
        ("redis://h:0", UrlPart::Port, "65535"),
        ("redis://h:70000", UrlPart::Port, "65535"),
        ("redis://h:", UrlPart::Port, "65535"),
        ("redis://[::1", UrlPart::Host, "brackets"),
        ("redis://[h]", UrlPart::Host, "brackets"),
        ("redis://[::1]6379", UrlPart::Host, "brackets"),
        ("redis://a,b", UrlPart::Hosts, "+cluster"),
        ("redis+cluster://a,,b", UrlPart::Host, "letters"),
        ("redis+cluster://a/1", UrlPart::Database, "only 0"),
        ("redis://h/256", UrlPart::Database, "255"),
        ("redis://h/x", UrlPart::Database, "`x`"),
        ("redis://h/1/2", UrlPart::Database, "nothing follows"),
        ("redis+sentinel://s", UrlPart::Master, "/<master>"),
        ("redis+sentinel://s/m/1/2", UrlPart::Database, "nothing follows"),
        ("redis+sentinel://s/m?sentinel_user=u", UrlPart::Parameter, "sentinel_password"),
        ("redis://h?tls=off", UrlPart::Parameter, "`tls`"),
        ("redis://h?sentinel_user=u", UrlPart::Parameter, "`sentinel_user`"),
        ("redis://u@h", UrlPart::Password, "followed by"),
        ("redis://%zz:p@h", UrlPart::User, "hex"),
        ("redis://u:%f@h", UrlPart::Password, "hex"),
        ("redis://u:%ff@h", UrlPart::Password, "hex"),
        ("redis://h#1", UrlPart::Password, "%23"),
        ("unix://run/redis.sock", UrlPart::Socket, "unix:///"),
        ("unix://", UrlPart::Socket, "unix:///"),
    ] {
        let error = refused(text);
        assert_eq!(error.part(), part, "{text}: {error}");
        assert!(error.to_string().contains(word), "{text}: {error}");
    }
    let many = format!("redis+cluster://{}", ["h"; 65].join(","));
    assert_eq!(refused(&many).part(), UrlPart::Hosts);
}

#[test]
fn no_mistake_shows_a_password() {
    for text in [
        "hunter2",
        "hunter2@h",
        "redis://u:hunter2",
        "redis://:hunter2",
        "redis://hunter2@h",
        "redis://hunter2!",
        "redis://u:hunter2/x@h",
        "redis://u:x/hunter2@h",
        "redis://u:x?hunter2@h",
        "redis://u:x#hunter2@h",
        "redis://u:hunter2%@h",
        "redis://u:hunter2@h:99999",
        "redis://u:hunter2@h/db",
        "redis+sentinel://s/m?sentinel_password=hunter2%",
        "redis+sentinel://s/m?sentinel_password=hunter2&x=1",
        "redis+sentinel://s?sentinel_password=hunter2",
        "unix://hunter2/path",
    ] {
        let error = refused(text);
        assert!(!error.to_string().contains("hunter2"), "{text}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{text}: {error:?}");
    }
    let url = parsed("redis+sentinel://u:hunter2@s/m?sentinel_password=hunter2");
    assert!(!format!("{url} {url:?} {:?} {:?}", url.login(), url.deployment()).contains("hunter2"));
}
