//! Who is let in: tokens, hosts, origins, licences, and what does not look like a request.

use std::io::{BufReader, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use atrion_engine::Atrion;
use atrion_studio::{Studio, StudioError};
use serde_json::json;

use crate::client::{ask, builder, connect, get, key, raw, read, read_head, serve, until};

const TOKEN: &str = "correct-horse-battery-staple-42";

fn instance() -> Atrion {
    Atrion::builder().build().expect("valid")
}

fn with_token(addr: SocketAddr, path: &str, token: &str) -> u16 {
    ask(addr, "GET", path, &format!("authorization: Bearer {token}\r\n"), "").status
}

#[test]
fn beyond_loopback_a_token_is_demanded_before_anything_listens() {
    let studio = builder(&instance()).build().unwrap();
    for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let addr: SocketAddr = addr.parse().unwrap();
        let error = studio.serve(addr).expect_err("no token");
        assert!(matches!(error, StudioError::TokenRequired { addr: a } if a == addr), "{error}");
        assert!(error.to_string().contains("token"));
    }
    for good in ["127.0.0.1:0", "127.9.9.9:0", "[::ffff:127.0.0.1]:0"] {
        studio.serve(good.parse::<SocketAddr>().unwrap()).expect(good).shutdown();
    }
    let open = builder(&instance()).token(TOKEN).build().unwrap().serve(([0, 0, 0, 0], 0)).unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], open.addr().port()));
    assert_eq!(get(addr, "/api/v1/session").status, 401);
    assert_eq!(with_token(addr, "/api/v1/session", TOKEN), 200);
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let server = serve(builder(&instance()));
    let error = builder(&instance()).build().unwrap().serve(server.addr()).expect_err("taken");
    assert!(error.to_string().contains(&server.addr().to_string()), "{error}");
}

#[test]
fn settings_out_of_range_are_named() {
    let atrion = instance();
    let refused =
        |builder: atrion_studio::Builder| builder.build().expect_err("out of range").to_string();
    assert!(
        refused(builder(&atrion).interval(Duration::ZERO))
            .contains("interval is 0 ms, allowed is 100 to 60000 ms")
    );
    assert!(refused(builder(&atrion).history_size(0, 600)).contains("history_size.routes"));
    assert!(refused(builder(&atrion).history_size(1, 5)).contains("history_size.samples"));
    assert!(refused(builder(&atrion).most_viewers(0)).contains("most_viewers"));
    assert!(refused(builder(&atrion).most_connections(0)).contains("most_connections"));
    assert!(refused(builder(&atrion).patience(Duration::from_secs(61))).contains("patience"));
    assert!(refused(builder(&atrion).allow_host("http://x")).contains("http://x"));
    let error = refused(builder(&atrion).token("hunter2"));
    assert!(error.contains('7') && !error.contains("hunter2"), "{error}");
}

#[test]
fn only_the_token_opens_the_interface_and_the_page_needs_none() {
    let server = serve(builder(&instance()).token(TOKEN));
    let addr = server.addr();
    assert_eq!(get(addr, "/").status, 200);
    assert_eq!(get(addr, "/assets/index.html").status, 200);
    assert_eq!(get(addr, "/api/v1/access").json()["token_required"], true);
    let none = get(addr, "/api/v1/session");
    assert_eq!((none.status, none.code().as_str()), (401, "token_required"));
    assert!(none.header("www-authenticate").is_some_and(|h| h.starts_with("Bearer")));
    assert_eq!(with_token(addr, "/api/v1/session", TOKEN), 200);
    let long = "x".repeat(8000);
    let wrong = ["", "x", &TOKEN[1..], &format!("{TOKEN}x"), &TOKEN.to_uppercase(), &long];
    for token in wrong {
        let status = with_token(addr, "/api/v1/session", token);
        assert_eq!(status, 401, "{token}");
    }
    for odd in [
        format!("authorization: Basic {TOKEN}\r\n"),
        format!("authorization: {TOKEN}\r\n"),
        format!("authorization: Bearer {TOKEN}\r\nauthorization: Bearer {TOKEN}\r\n"),
        format!("cookie: token={TOKEN}\r\n"),
        format!("x-token: {TOKEN}\r\n"),
    ] {
        assert_eq!(ask(addr, "GET", "/api/v1/session", &odd, "").status, 401, "{odd}");
    }
    // Unknown paths do not tell what there is.
    assert_eq!(get(addr, "/api/v1/nowhere").status, 401);
    assert_eq!(get(addr, "/api/v1/stream").status, 401);
    let in_url = ask(addr, "GET", &format!("/api/v1/session?token={TOKEN}"), "", "");
    assert_eq!((in_url.status, in_url.code().as_str()), (400, "token_in_url"));
    assert!(!String::from_utf8_lossy(&in_url.body).contains(TOKEN));
}

#[test]
fn a_flood_of_wrong_tokens_is_held_off_and_the_right_one_is_let_in() {
    let server = serve(builder(&instance()).token(TOKEN));
    let held = until("too many", || {
        let answer =
            ask(server.addr(), "GET", "/api/v1/session", "authorization: Bearer wrong\r\n", "");
        (answer.status == 429).then_some(answer)
    });
    assert_eq!(held.code(), "too_many_attempts");
    assert!(held.header("retry-after").is_some());
    assert_eq!(with_token(server.addr(), "/api/v1/session", TOKEN), 200);
}

#[test]
fn rebound_names_and_other_sites_are_refused() {
    let server = serve(builder(&instance()).allow_host("ops.example.com").actions(true));
    let addr = server.addr();
    let with_host = |host: &str| {
        let request =
            format!("GET /api/v1/session HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        raw(addr, request.as_bytes())
    };
    for good in ["localhost", "ops.example.com", "OPS.example.com:443", "127.0.0.1:1", "[::1]:80"] {
        assert_eq!(with_host(good).status, 200, "{good}");
    }
    for bad in [
        "evil.example",
        "evil.example:9900",
        "ops.example.com.evil.example",
        "localhost.evil.example",
        "x y",
    ] {
        let answer = with_host(bad);
        assert_eq!((answer.status, answer.code().as_str()), (421, "host_refused"), "{bad}");
    }
    let none = raw(addr, b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(none.status, 421);
    let page = raw(addr, b"GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    assert_eq!(page.status, 421, "the page itself too");

    let own = format!("origin: http://{addr}\r\n");
    assert_eq!(ask(addr, "GET", "/api/v1/session", &own, "").status, 200);
    for bad in [
        "origin: https://evil.example\r\n",
        "origin: null\r\n",
        "sec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
    ] {
        for path in ["/api/v1/session", "/api/v1/overview", "/assets/index.html"] {
            let answer = ask(addr, "GET", path, bad, "");
            assert_eq!((answer.status, answer.code().as_str()), (403, "cross_site"), "{bad}{path}");
        }
        let headers = format!("{bad}content-type: application/json\r\n");
        assert_eq!(
            ask(addr, "POST", "/api/v1/actions/prepare", &headers, "{}").status,
            403,
            "{bad}"
        );
    }
    // A form of another site cannot send JSON, and nothing else is taken.
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    {
        let headers = format!("content-type: {kind}\r\n");
        let answer = ask(addr, "POST", "/api/v1/actions/prepare", &headers, "{}");
        assert_eq!((answer.status, answer.code().as_str()), (415, "json_required"), "{kind}");
    }
    let preflight = "origin: https://evil.example\r\naccess-control-request-method: POST\r\n";
    let answer = ask(addr, "OPTIONS", "/api/v1/actions/prepare", preflight, "");
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn without_a_licence_the_page_opens_and_shows_nothing() {
    let studio =
        Studio::builder(&instance()).license("").actions(true).preview(true).build().unwrap();
    let server = studio.serve(([127, 0, 0, 1], 0)).unwrap();
    let addr = server.addr();
    assert_eq!(get(addr, "/").status, 200);
    let license = get(addr, "/api/v1/license").json();
    assert_eq!((&license["usable"], &license["status"]), (&json!(false), &json!("missing")));
    assert!(license["message"].as_str().unwrap().contains("ATRION_LICENSE_KEY"));
    assert_eq!(get(addr, "/api/v1/session").json()["license"], license);
    for path in [
        "overview",
        "stream",
        "routes/1",
        "routes/1/stream",
        "cluster",
        "events",
        "config",
        "audit",
        "preview",
    ] {
        let answer = get(addr, &format!("/api/v1/{path}"));
        assert_eq!((answer.status, answer.code().as_str()), (403, "unlicensed"), "{path}");
    }
    let json = "content-type: application/json\r\n";
    assert_eq!(ask(addr, "POST", "/api/v1/actions/prepare", json, "{}").status, 403);
    // A key that is no key is refused, without being shown; a good one opens it at once.
    studio.replace_license("atrion_ent_secretsecret.x").expect("taken, though it does not work");
    let license = get(addr, "/api/v1/license");
    assert_eq!(license.json()["status"], "invalid");
    assert!(!String::from_utf8_lossy(&license.body).contains("secretsecret"));
    studio.replace_license(key()).expect("good");
    assert_eq!(get(addr, "/api/v1/overview").status, 200);
    assert!(studio.replace_license("").is_err(), "a licence that works is not given up");
    assert_eq!(get(addr, "/api/v1/overview").status, 200);
}

#[test]
fn what_is_no_request_is_answered_or_dropped_and_nothing_breaks() {
    let server = serve(builder(&instance()));
    let addr = server.addr();
    let huge_head =
        format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024));
    let many = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "a: b\r\n".repeat(500));
    let long_path = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(60_000));
    let odd: [&[u8]; 9] = [
        b"\r\n\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        huge_head.as_bytes(),
        many.as_bytes(),
        long_path.as_bytes(),
    ];
    for request in odd {
        let mut stream = connect(addr);
        let _ = stream.write_all(request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        if let Some((status, _)) = read_head(&mut BufReader::new(stream)) {
            assert!((400..=431).contains(&status) || status == 505, "{status}");
        }
    }
    assert_eq!(get(addr, "/").status, 200);
}

#[test]
fn slow_callers_are_let_go() {
    let server = serve(builder(&instance()).actions(true).patience(Duration::from_millis(300)));
    let addr = server.addr();
    // Half a head, nothing at all, and silence after an answer: the connection ends.
    let idle = connect(addr);
    let mut half = connect(addr);
    half.write_all(b"GET / HTTP/1.1\r\nhost: local").unwrap();
    let mut answered = connect(addr);
    answered.write_all(b"GET /api/v1/access HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    for stream in [idle, half, answered] {
        let mut reader = BufReader::new(stream);
        while let Some((status, _)) = read_head(&mut reader) {
            assert!(status == 200 || status == 408, "{status}");
            let mut rest = [0; 4096];
            let _ = std::io::Read::read(&mut reader, &mut rest);
        }
    }
    // Half a body is answered.
    let mut half = connect(addr);
    half.write_all(
        b"POST /api/v1/actions/prepare HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    )
    .unwrap();
    let answer = read(&mut BufReader::new(half));
    assert_eq!((answer.status, answer.code().as_str()), (408, "too_slow"));
}
