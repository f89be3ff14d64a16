//! Addresses of Redis, which hold passwords.

use atrion_cluster::url::RedisUrl;

use super::Target;

/// Any text.
pub(super) const REDIS: Target = Target {
    name: "redis-url",
    words: &[
        b"redis://",
        b"rediss://",
        b"redis+cluster://",
        b"redis+sentinel://",
        b"unix://",
        b"valkey://",
        b"?db=",
        b"sentinel_password=",
        b"%00",
        b"%ff",
        b"%",
        b"@",
        b":",
        b"[::1]",
        b"65536",
        b"256",
        b",",
        b"/",
    ],
    run: url,
};

fn url(bytes: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(bytes) else { return "not text" };
    match text.parse::<RedisUrl>() {
        Ok(url) => {
            let (shown, debug) = (url.to_string(), format!("{url:?}"));
            if let Some(secret) = secret(text) {
                assert!(!shown.contains(secret) && !debug.contains(secret), "a password is shown");
            }
            "accepted"
        }
        Err(why) => {
            let said = format!("{why} {why:?}");
            if let Some(secret) = secret(text) {
                assert!(!said.contains(secret), "a password is repeated");
            }
            "refused"
        }
    }
}

/// The password of the seeds, if it is still where one belongs.
fn secret(text: &str) -> Option<&'static str> {
    const SECRET: &str = "S3cr3tS3cr3t";
    let (user, host) = text.split_once("://")?.1.split_once('@')?;
    let at = user.find(':')?;
    (user.get(at + 1..)? == SECRET && !host.contains(SECRET)).then_some(SECRET)
}
