//! Actions: two steps, as shown or not at all, ended in time, and written down.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Force};
use serde_json::{Value, json};

use crate::client::{ask, builder, get, id, post, serve, until};

fn prepare(addr: SocketAddr, wanted: &Value) -> Value {
    let answer = post(addr, "/api/v1/actions/prepare", wanted);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

fn commit(addr: SocketAddr, prepared: &Value) -> (u16, Value) {
    let answer = post(addr, "/api/v1/actions/commit", &json!({"confirm": prepared["confirm"]}));
    (answer.status, answer.json())
}

fn audit(addr: SocketAddr) -> Vec<Value> {
    get(addr, "/api/v1/audit").json()["entries"].as_array().unwrap().clone()
}

#[test]
fn read_only_means_that_the_paths_do_not_exist() {
    let atrion = Atrion::builder().build().unwrap();
    let server = serve(builder(&atrion));
    for (method, path) in [
        ("POST", "actions/prepare"),
        ("POST", "actions/commit"),
        ("GET", "audit"),
        ("GET", "preview"),
        ("POST", "preview/record"),
        ("POST", "preview/run"),
        ("POST", "preview/check"),
        ("POST", "preview/discard"),
    ] {
        let json = "content-type: application/json\r\n";
        let answer = ask(server.addr(), method, &format!("/api/v1/{path}"), json, "{}");
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{path}");
    }
}

#[test]
fn every_action_is_shown_done_once_and_written_down() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let atrion = Atrion::builder().build().unwrap();
    let route = atrion.route("api/pay");
    let server =
        serve(builder(&atrion).actions(true).audit(move |entry: &atrion_studio::AuditEntry| {
            sink.lock().unwrap().push((entry.action, entry.outcome, entry.from.clone()));
        }));
    let (addr, id) = (server.addr(), id(server.addr(), "api/pay"));
    let act = |wanted: Value| {
        let prepared = prepare(addr, &wanted);
        let (status, done) = commit(addr, &prepared);
        assert_eq!((status, &done["done"]), (200, &json!(true)), "{done}");
        assert_eq!(commit(addr, &prepared).0, 404, "once");
        done
    };
    let forced = json!({"action": "force_open", "route": id, "expiry_secs": 300, "reason": "database <move>"});
    let prepared = prepare(addr, &forced);
    assert!(prepared["summary"].as_str().unwrap().contains("api/pay"));
    assert!(route.admit(Priority::Critical).is_ok(), "nothing is done before it is confirmed");
    let done = act(forced);
    assert_eq!(done["state"]["mode"], "forced_open");
    assert!(route.admit(Priority::Critical).is_err());
    act(json!({"action": "release", "route": id}));
    assert!(route.admit(Priority::Critical).is_ok());
    act(json!({"action": "force_closed", "route": id, "expiry_secs": 300}));
    assert_eq!(route.report().forced.unwrap().force, Force::Closed);
    act(json!({"action": "reset", "route": id}));
    assert!(route.report().forced.is_none() && route.counts().completed == 0);
    act(json!({"action": "shadow_on", "route": id}));
    assert!(route.report().shadow);
    act(json!({"action": "shadow_off", "route": id}));
    assert!(!route.report().shadow);
    let done = act(json!({"action": "reload", "config": {"route_limit": 5}}));
    assert_eq!((atrion.config().route_limit(), &done["audit_seq"]), (5, &json!(7)));

    let entries = audit(addr);
    let actions: Vec<&str> = entries.iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        ["force_open", "release", "force_closed", "reset", "shadow_on", "shadow_off", "reload"]
    );
    assert_eq!(
        (&entries[0]["reason"], &entries[0]["from"]),
        (&json!("database <move>"), &json!("127.0.0.1"))
    );
    assert!(entries.iter().all(|e| e["outcome"] == "done"));
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 7);
    assert_eq!(told[0], ("force_open", "done", "127.0.0.1".to_owned()));
    assert_eq!(get(addr, "/api/v1/audit?after=5").json()["entries"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_not_as_shown_is_not_done() {
    let atrion = Atrion::builder().build().unwrap();
    let route = atrion.route("a");
    let server = serve(builder(&atrion).actions(true));
    let (addr, id) = (server.addr(), id(server.addr(), "a"));
    let prepared = prepare(addr, &json!({"action": "reset", "route": id}));
    route.force(Force::Open, Duration::from_secs(300));
    let (status, answer) = commit(addr, &prepared);
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("state_changed")));
    assert!(route.report().forced.is_some(), "nothing was done");
    assert_eq!(audit(addr)[0]["outcome"], "state_changed");
    let prepared = prepare(addr, &json!({"action": "reload", "config": {}}));
    assert_eq!(prepared["changes"], json!([]));
    atrion.reload(atrion_engine::Config::builder().route_limit(9).build().unwrap());
    assert_eq!(commit(addr, &prepared).0, 409);
    assert_eq!(atrion.config().route_limit(), 9);
    for unknown in ["", "x", &"f".repeat(64), "\u{0}"] {
        let answer = post(addr, "/api/v1/actions/commit", &json!({"confirm": unknown}));
        assert_eq!((answer.status, answer.code().as_str()), (404, "no_such_confirmation"));
    }
}

#[test]
fn what_has_an_end_ends_and_that_is_written_down() {
    let atrion = Atrion::builder().build().unwrap();
    let route = atrion.route("a");
    let server = serve(builder(&atrion).actions(true));
    let (addr, id) = (server.addr(), id(server.addr(), "a"));
    for wanted in [
        json!({"action": "shadow_on", "route": id, "expiry_secs": 1}),
        json!({"action": "force_open", "route": id, "expiry_secs": 1}),
    ] {
        let prepared = prepare(addr, &wanted);
        assert_eq!(commit(addr, &prepared).0, 200);
    }
    until("both to end", || {
        let report = route.report();
        (!report.shadow && report.forced.is_none()).then_some(())
    });
    until("both to be written down", || {
        let ended = audit(addr)
            .into_iter()
            .filter(|e| e["outcome"] == "expired" && e["from"] == "studio")
            .count();
        (ended == 2).then_some(())
    });
}

#[test]
fn bad_actions_are_refused_by_field_and_change_nothing() {
    let atrion = Atrion::builder().build().unwrap();
    let route = atrion.route("a");
    let server = serve(builder(&atrion).actions(true).preview(true));
    let (addr, id) = (server.addr(), id(server.addr(), "a"));
    let before = atrion.config();
    let long = "x".repeat(201);
    for (wanted, status, field) in [
        (json!({"action": "force_open", "route": id}), 400, None),
        (json!({"action": "force_open", "route": id, "expiry_secs": 0}), 422, Some("expiry_secs")),
        (
            json!({"action": "force_open", "route": id, "expiry_secs": 86_401}),
            422,
            Some("expiry_secs"),
        ),
        (json!({"action": "force_open", "route": id, "expiry_secs": "1"}), 400, None),
        (json!({"action": "force_open", "route": 99, "expiry_secs": 1}), 404, None),
        (json!({"action": "force_open", "route": "a", "expiry_secs": 1}), 400, None),
        (json!({"action": "force_open", "route": -1, "expiry_secs": 1}), 400, None),
        (json!({"action": "destroy", "route": id}), 400, None),
        (json!({"action": "release"}), 400, None),
        (json!({"action": "release", "route": id, "expiry_secs": 5}), 400, None),
        (json!({"action": "release", "route": id, "oops": 5}), 400, None),
        (json!({"action": "reset", "route": id, "reason": long}), 422, Some("reason")),
        (json!({"action": "reload"}), 400, None),
        (json!({"action": "reload", "config": []}), 400, None),
        (
            json!({"action": "reload", "config": {"law": {"probe_secs": -1}}}),
            422,
            Some("law.probe_secs"),
        ),
        (
            json!({"action": "reload", "config": {"law": {"close_ohms": 200}}}),
            422,
            Some("law.close_ohms"),
        ),
        (json!({"action": "reload", "config": {"physics": {"oops": 1}}}), 422, None),
        (json!({"action": "reload", "config": {}, "route": id}), 400, None),
        (json!([]), 400, None),
        (json!(null), 400, None),
    ] {
        let answer = post(addr, "/api/v1/actions/prepare", &wanted);
        assert_eq!(answer.status, status, "{wanted}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.json()["error"]["field"].as_str(), field, "{wanted}");
    }
    let json = "content-type: application/json\r\n";
    let deep = "[".repeat(20_000);
    for body in ["", "{", "nonsense", "{\"action\": \"release\"}}", "\u{feff}{}", &deep] {
        assert_eq!(
            ask(addr, "POST", "/api/v1/actions/prepare", json, body).status,
            400,
            "{body:.20}"
        );
    }
    let large = format!("{{\"action\": \"{}\"}}", "x".repeat(70_000));
    let answer = ask(addr, "POST", "/api/v1/actions/prepare", json, &large);
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
    let check =
        post(addr, "/api/v1/preview/check", &json!({"config": {"law": {"probe_secs": 9999}}}));
    assert_eq!((check.status, &check.json()["error"]["allowed"]), (422, &json!("0.001 to 3600 s")));
    assert!(Arc::ptr_eq(&before, &atrion.config()));
    assert!(route.report().forced.is_none() && audit(addr).is_empty());
}
