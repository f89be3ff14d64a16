//! What each path answers.

use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::telemetry::Telemetry;
use atrion_engine::{Atrion, Config, Force, OVERFLOW_ROUTE};
use serde_json::{Value, json};

use crate::client::{Lines, builder, get, id, serve, until};

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"},{\"t\":\"bye\"}\n{",
    "../../etc/passwd",
    "\u{202e}evil\u{0}\u{7f}\u{2028}",
    "a/b?c=d#e&token=f",
    "日本語 🦀",
];

fn instance() -> Atrion {
    Atrion::builder().tally(true).build().expect("valid")
}

#[test]
fn the_page_is_served_with_its_headers_and_known_by_its_tag() {
    let server = serve(builder(&instance()));
    let page = get(server.addr(), "/");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    for path in [
        "/",
        "/assets/index.html",
        "/api/v1/access",
        "/api/v1/session",
        "/nowhere",
        "/api/v1/nowhere",
    ] {
        let answer = get(server.addr(), path);
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    assert_eq!(get(server.addr(), "/api/v1/session").header("cache-control"), Some("no-store"));
    let tag = page.header("etag").expect("a tag").to_owned();
    let known = format!("if-none-match: {tag}\r\n");
    let again = crate::client::ask(server.addr(), "GET", "/assets/index.html", &known, "");
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(get(server.addr(), "/index.html").body, page.body);
    for bad in [
        "/assets/../Cargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets/",
        "/assets/none.js",
        "/main.js",
    ] {
        assert_eq!(get(server.addr(), bad).status, 404, "{bad}");
    }
}

#[test]
fn unknown_paths_and_methods_say_so_in_json() {
    let server = serve(builder(&instance()));
    let answer = get(server.addr(), "/api/v1/nowhere");
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let json = "content-type: application/json\r\n";
        let answer = crate::client::ask(server.addr(), method, "/api/v1/overview", json, "{}");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (405, "method_not_allowed"),
            "{method}"
        );
        assert!(answer.header("allow").is_some());
    }
    for bad in [
        "/api/v1/routes/999",
        "/api/v1/routes/x",
        "/api/v1/routes/-1",
        "/api/v1/routes/1e3",
        "/api/v1/routes/99999999999999999999",
        "/api/v1/routes/%00",
        "/api/v1/routes/1.0/stream",
    ] {
        let answer = get(server.addr(), bad);
        assert_eq!((answer.status, answer.code().as_str()), (404, "no_such_route"), "{bad}");
    }
    for bad in
        ["limit=0", "limit=1001", "limit=x", "after=-1", "after=", "limit=99999999999999999999"]
    {
        let answer = get(server.addr(), &format!("/api/v1/events?{bad}"));
        assert!(matches!(answer.status, 400 | 422), "{bad}: {}", answer.status);
    }
}

#[test]
fn the_session_says_what_the_columns_are() {
    let server = serve(builder(&instance()).instance("pod-1"));
    let session = get(server.addr(), "/api/v1/session").json();
    assert_eq!(session["instance"], "pod-1");
    assert_eq!((&session["actions"], &session["preview"]), (&json!(false), &json!(false)));
    assert_eq!(session["columns"].as_array().unwrap().len(), 9);
    assert_eq!(session["tiers"][3], json!({"name": "high", "volt": 50}));
    assert_eq!(session["license"]["usable"], true);
    assert_eq!(session["license"]["tier"], "development");
    assert_eq!(session["interval_ms"], 100);
    assert_eq!(get(server.addr(), "/api/v1/license").json(), session["license"]);
}

#[test]
fn hostile_names_stay_text_everywhere() {
    let atrion = instance();
    let routes: Vec<_> = HOSTILE.iter().map(|name| atrion.route(name)).collect();
    let server = serve(builder(&atrion));
    let overview = get(server.addr(), "/api/v1/overview");
    assert!(!overview.body.contains(&b'<'), "no markup in what is sent");
    assert_eq!(overview.body.split(|b| *b == b'\n').count(), 2, "one line");
    for route in &routes {
        let id = id(server.addr(), route.name());
        let detail = get(server.addr(), &format!("/api/v1/routes/{id}"));
        assert_eq!(detail.json()["name"], route.name());
        let mut lines = Lines::open(server.addr(), &format!("/api/v1/routes/{id}/stream"));
        assert_eq!(lines.next().unwrap()["name"], route.name());
    }
    assert_eq!(id(server.addr(), OVERFLOW_ROUTE), 1);
}

#[test]
fn one_route_shows_what_its_resistance_is_made_of_and_why_requests_were_refused() {
    let atrion = instance();
    let route = atrion.route("api/pay");
    for _ in 0..10 {
        route.admit(Priority::High).expect("calm").success();
    }
    let sample = Telemetry::builder().saturation(0.9).outcomes(50, 50).build().unwrap();
    route.update_physics(&sample);
    let server = serve(builder(&atrion));
    let id = id(server.addr(), "api/pay");
    let path = format!("/api/v1/routes/{id}");
    let detail = get(server.addr(), &path).json();
    assert_eq!(detail["counts"]["completed"], 10);
    assert_eq!(detail["bands"]["open_ohm"], 100.0);
    assert_eq!(detail["reported"]["pressure_ohm"].as_array().unwrap().len(), 3);
    assert_eq!(detail["cluster"], Value::Null);
    assert_eq!(detail["now"].as_array().unwrap().len(), 18);
    assert_eq!(detail["history"]["interval_ms"], 100);

    route.force(Force::Open, Duration::from_secs(600));
    let mut lines = Lines::open(server.addr(), &format!("{path}/stream"));
    let first = lines.next().unwrap();
    assert_eq!((&first["t"], &first["mode"]), (&json!("route"), &json!("forced_open")));
    // Refusals arrive, each with its explanation, and so do rates by priority.
    let refused = until("a refusal", || {
        route.admit(Priority::Low).expect_err("forced open");
        let line = lines.next().expect("lines go on");
        line["refusals"].as_array().filter(|r| !r.is_empty()).map(|r| r[0].clone())
    });
    assert_eq!((&refused["reason"], &refused["volt"]), (&json!("forced_open"), &json!(5)));
    assert!(refused["text"].as_str().unwrap().contains("ohm"));
    until("a rate by priority", || {
        let _ = route.admit(Priority::Low);
        let line = lines.next_of("sample");
        (line["sample"][17][1].as_f64()? > 0.0).then_some(())
    });
    let detail = get(server.addr(), &path).json();
    assert!(detail["history"]["samples"].as_array().unwrap().len() > 1);
    assert!(!detail["refusals"].as_array().unwrap().is_empty());
    assert!(detail["force"]["remaining_secs"].as_f64().unwrap() > 100.0);
    let modes = detail["modes_timeline"].as_array().unwrap();
    assert_eq!(modes.last().unwrap()["mode"], "forced_open");
}

#[test]
fn without_tallies_there_are_no_rates_by_priority() {
    let atrion = Atrion::builder().build().unwrap();
    let _route = atrion.route("a");
    let server = serve(builder(&atrion));
    let id = id(server.addr(), "a");
    let detail = get(server.addr(), &format!("/api/v1/routes/{id}")).json();
    assert!(detail["now"][16].is_null() && detail["now"][17].is_null());
}

#[test]
fn events_and_the_configuration_are_told() {
    let atrion = instance();
    let server = serve(builder(&atrion));
    assert_eq!(get(server.addr(), "/api/v1/config").json()["reloads"], 0);
    atrion.reload(Config::builder().route_limit(77).build().unwrap());
    until("the event", || {
        let events = get(server.addr(), "/api/v1/events").json();
        events["events"].as_array()?.iter().find(|e| e["kind"] == "reloaded").cloned()
    });
    let config = get(server.addr(), "/api/v1/config").json();
    assert_eq!((&config["reloads"], &config["current"]["route_limit"]), (&json!(1), &json!(77)));
    let fields = config["fields"].as_array().unwrap();
    let limit = fields.iter().find(|f| f["field"] == "route_limit").unwrap();
    assert_eq!(
        limit,
        &json!({"field": "route_limit", "value": 77, "default": 10_000, "previous": 10_000, "differs": true, "changed": true})
    );
    let cluster = get(server.addr(), "/api/v1/cluster").json();
    assert_eq!((&cluster["provider"], &cluster["nodes"]), (&json!("none"), &json!([])));
}
