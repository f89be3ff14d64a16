//! Three nodes over a real Redis: who says what, who stands out, and what is left when Redis goes.

use std::time::Duration;

use atrion_cluster::RedisClusterProvider;
use atrion_core::flow::Priority;
use atrion_engine::Atrion;
use atrion_testkit::RedisServer;
use serde_json::{Value, json};

use crate::client::{Lines, builder, get, key, serve, until};

fn node(name: &str, port: u16) -> Atrion {
    let provider = RedisClusterProvider::builder()
        .url(format!("redis://127.0.0.1:{port}"))
        .node(name)
        .cluster("suite")
        .sync_interval(Duration::from_millis(20))
        .build()
        .expect("valid");
    Atrion::builder().provider(provider).license(key()).build().expect("valid")
}

#[test]
fn a_node_that_poisons_stands_out_and_without_redis_everything_goes_on() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let mut redis = RedisServer::start().unwrap();
    let nodes = ["poisoner", "one", "two"].map(|name| node(name, redis.port()));
    let [poisoner, one, two] = &nodes;
    let server = serve(builder(one));
    let addr = server.addr();
    until("all to know each other", || {
        let cluster = get(addr, "/api/v1/cluster").json();
        (cluster["nodes"].as_array()?.len() == 3 && cluster["provider"] == "healthy").then_some(())
    });
    let succeed = |atrion: &Atrion| {
        for _ in 0..20 {
            if let Ok(permit) = atrion.route("api/pay").admit(Priority::Critical) {
                permit.success();
            }
        }
    };
    let voices = until("the poisoner to stand out", || {
        if let Ok(permit) = poisoner.route("api/pay").admit(Priority::Critical) {
            permit.failure();
        }
        succeed(one);
        succeed(two);
        let cluster = get(addr, "/api/v1/cluster").json();
        let route = cluster["troubled"]
            .as_array()?
            .iter()
            .find(|route| route["name"] == "api/pay")?
            .clone();
        let voices = route["cluster"]["voices"].as_array()?.clone();
        let outlying = cluster["nodes"].as_array()?.iter().any(|n| n["outlier_routes"] == 1);
        (outlying && voices.iter().any(|voice| voice["outlier"] == true)).then_some(voices)
    });
    assert_eq!(voices.len(), 3);
    let named = |name: &str| voices.iter().find(|voice| voice["name"] == name).unwrap();
    assert_eq!(named("poisoner")["outlier"], true);
    assert!(named("poisoner")["scar_ohm"].as_f64().unwrap() > 5.0);
    assert_eq!((&named("one")["is_self"], &named("one")["outlier"]), (&json!(true), &json!(false)));
    assert_eq!(named("poisoner")["is_median"], false, "the median is with the others");
    let weights: f64 = voices.iter().map(|voice| voice["weight"].as_f64().unwrap()).sum();
    assert!((weights - 1.0).abs() < 0.01, "{voices:?}");

    let mut lines = Lines::open(addr, "/api/v1/stream");
    assert_eq!(lines.next().unwrap()["health"]["provider"], "healthy");
    redis.kill();
    let health: Value = until("the page to say so", || {
        let line = lines.next().expect("lines go on");
        (line["health"]["provider"] == "degraded").then(|| line["health"].clone())
    });
    assert!(health["trouble"].is_string(), "{health}");
    let id = crate::client::id(addr, "api/pay");
    for path in ["session", "overview", "cluster", "events", "config", &format!("routes/{id}")] {
        assert_eq!(get(addr, &format!("/api/v1/{path}")).status, 200, "{path}");
    }
    until("the event", || {
        let events = get(addr, "/api/v1/events").json();
        events["events"]
            .as_array()?
            .iter()
            .any(|event| event["kind"] == "link" && event["severity"] == "error")
            .then_some(())
    });
    assert!(one.route("api/pay").admit(Priority::Critical).is_ok());
    drop(server);
    runtime.shutdown_timeout(Duration::from_secs(1));
}
