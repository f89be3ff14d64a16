//! Previews: recorded, replayed, one at a time.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::Atrion;
use serde_json::{Value, json};

use crate::client::{builder, get, id, post, serve, until};

#[test]
fn a_route_is_recorded_and_replayed_under_another_configuration() {
    let atrion = Atrion::builder().build().unwrap();
    let route = atrion.route("api/pay");
    let server = serve(builder(&atrion).preview(true));
    let (addr, id) = (server.addr(), id(server.addr(), "api/pay"));
    let state = || get(addr, "/api/v1/preview").json();
    assert_eq!(state()["state"], "idle");
    let empty = post(addr, "/api/v1/preview/run", &json!({"config": {}}));
    assert_eq!((empty.status, empty.code().as_str()), (409, "nothing_recorded"));
    for (bad, status) in [
        (json!({"route": id, "secs": 0.5}), 422),
        (json!({"route": id, "secs": 61}), 422),
        (json!({"route": 99, "secs": 1}), 404),
        (json!({"route": id}), 400),
        (json!({"route": id, "secs": null}), 400),
    ] {
        assert_eq!(post(addr, "/api/v1/preview/record", &bad).status, status, "{bad}");
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let (route, done) = (&route, &done);
            scope.spawn(move || {
                let priority = if caller == 0 { Priority::High } else { Priority::Low };
                while !done.load(Relaxed) {
                    if let Ok(permit) = route.admit(priority) {
                        std::thread::sleep(Duration::from_millis(1));
                        permit.success();
                    }
                }
            });
        }
        let started = post(addr, "/api/v1/preview/record", &json!({"route": id, "secs": 1}));
        assert_eq!((started.status, &started.json()["state"]), (202, &json!("recording")));
        let second = post(addr, "/api/v1/preview/record", &json!({"route": id, "secs": 1}));
        assert_eq!((second.status, second.code().as_str()), (409, "busy"));
        until("the recording", || (state()["state"] == "recorded").then_some(()));
        done.store(true, Relaxed);
    });
    let recorded = state();
    assert!(recorded["requests"].as_u64().unwrap() > 10, "{recorded}");
    assert_eq!(recorded["name"], "api/pay");

    let run = post(addr, "/api/v1/preview/run", &json!({"config": {"law": {"base_ohms": 30}}}));
    assert_eq!(run.status, 202, "{}", String::from_utf8_lossy(&run.body));
    let result: Value = until("the replay", || {
        let state = state();
        assert_ne!(state["state"], "failed", "{state}");
        (state["state"] == "done").then(|| state["result"].clone())
    });
    // A base of 30 ohm refuses what has 5 V, and lets 50 V through.
    let tiers = result["tiers"].as_array().unwrap();
    let of = |volt: u32| tiers.iter().find(|tier| tier["volt"] == f64::from(volt)).unwrap();
    assert_eq!(of(5)["refused_after"], of(5)["asked"]);
    assert!(of(50)["refused_after"].as_u64() < of(50)["asked"].as_u64());
    assert!(result["newly_refused"].as_u64().unwrap() > 0);
    assert!(!result["bins"].as_array().unwrap().is_empty());
    assert_eq!(*atrion.config(), atrion_engine::Config::default(), "nothing was changed");

    let refused = post(addr, "/api/v1/preview/run", &json!({"config": {"law": {"base_ohms": -1}}}));
    assert_eq!((refused.status, refused.code().as_str()), (422, "config_invalid"));
    assert_eq!(state()["state"], "done", "what was there stays");
    assert_eq!(post(addr, "/api/v1/preview/discard", &json!({})).json()["state"], "idle");
}

#[test]
fn a_recording_can_be_discarded_and_begun_anew() {
    let atrion = Atrion::builder().build().unwrap();
    let _route = atrion.route("a");
    let server = serve(builder(&atrion).preview(true));
    let (addr, id) = (server.addr(), id(server.addr(), "a"));
    let record =
        |secs: u32| post(addr, "/api/v1/preview/record", &json!({"route": id, "secs": secs}));
    assert_eq!(record(60).status, 202);
    assert_eq!(post(addr, "/api/v1/preview/discard", &json!({})).json()["state"], "idle");
    until("the thread to notice", || (record(1).status == 202).then_some(()));
    // Nothing was asked, so nothing can be replayed, and that is said.
    until("the recording", || {
        (get(addr, "/api/v1/preview").json()["state"] == "recorded").then_some(())
    });
    assert_eq!(post(addr, "/api/v1/preview/run", &json!({"config": {}})).status, 202);
    let failed = until("the failure", || {
        let state = get(addr, "/api/v1/preview").json();
        (state["state"] == "failed").then_some(state)
    });
    assert!(failed["error"].as_str().unwrap().contains("no request"), "{failed}");
}
