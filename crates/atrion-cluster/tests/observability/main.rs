//! Two pods under overload, a dependency that fails, a Redis that dies: what a real Prometheus sees of
//! it, what its alerts say, and whether every panel of the dashboard has something to show.

#![expect(clippy::indexing_slicing, reason = "helpers of tests may fail")]

mod dashboard;
mod load;

use std::net::SocketAddr;
use std::time::Duration;

use atrion_cluster::RedisClusterProvider;
use atrion_commercial::test_util::development_key;
use atrion_core::flow::Priority;
use atrion_engine::Atrion;
use atrion_observe::{Collector, MetricsExporter, Probe, TopConfig, TracingObserver};
use atrion_testkit::wait::until_some;
use atrion_testkit::{PrometheusServer, RedisServer};
use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;

use load::Load;

const RULES: &str = include_str!("../../../../docs/prometheus/atrion.rules.yml");
/// Looks now and then until there is something to see: other processes scrape and evaluate when they
/// get to it.
async fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_some(what, Duration::from_millis(50), look).await
}

fn pod(redis: &RedisServer, name: &str) -> Atrion {
    let provider = RedisClusterProvider::builder()
        .url(format!("redis://127.0.0.1:{}", redis.port()))
        .node(name)
        .cluster("watched")
        .sync_interval(Duration::from_millis(50))
        .operation_timeout(Duration::from_millis(500))
        .build()
        .expect("valid");
    Atrion::builder()
        .tally(true)
        .process_circuit(true)
        .observer(TracingObserver::new())
        .provider(provider)
        .license(development_key())
        .build()
        .expect("builds")
}

/// Serves `/metrics` of one pod.
async fn endpoint(atrion: &Atrion) -> SocketAddr {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let collector = Collector::new(atrion, TopConfig::default());
    let exporter = MetricsExporter::with_recorder(collector, recorder);
    let page = move || {
        exporter.refresh();
        let page = handle.render();
        async { page }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let addr = listener.local_addr().expect("bound");
    let app = Router::new().route("/metrics", get(page));
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

/// The one number of an expression that has one.
fn number(server: &PrometheusServer, expression: &str) -> Option<f64> {
    let series = server.query(expression).expect("a query");
    series.first().map(|series| series.value)
}

fn is(server: &PrometheusServer, alert: &str, state: &str) -> bool {
    let alerts = server.alerts().expect("served");
    alerts.iter().any(|(name, now)| name == alert && now == state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_as_prometheus_sees_it() {
    let mut redis = RedisServer::start().expect("starts");
    let (watched, other) = (pod(&redis, "watched"), pod(&redis, "other"));
    let probe = Probe::new(&watched);
    let server = PrometheusServer::start(endpoint(&watched).await, Some(RULES)).expect("starts");
    let load = Load::start(&watched);
    let one = |what: &'static str, expression: &'static str| {
        let server = &server;
        until(what, move || number(server, expression))
    };

    // Overload: the cheap requests are refused, and told by tier and reason.
    one("bulk is refused", r#"sum(atrion_route_refused_total{route="/pay",tier="bulk"}) > 0"#)
        .await;
    one("for saturation", r#"atrion_route_refusals_total{route="/pay",reason="saturated"} > 0"#)
        .await;
    one("a learned service", r#"atrion_route_parallelism{route="/pay"} > 0"#).await;

    // The cluster and the licence.
    one("two nodes", "atrion_cluster_nodes == 2").await;
    one("frames of the other", "atrion_cluster_frames_total > 0").await;
    one("a healthy link", r#"atrion_provider_health{state="healthy"} == 1"#).await;
    one("a licence", r#"sum(atrion_licence_status{status=~"valid|expiring"}) == 1"#).await;
    one("with days left", "atrion_licence_remaining_seconds >= 86400").await;

    // A dependency fails: the breaker opens, the alert waits for its minute.
    load.break_dependency(true);
    one("an open breaker", r#"atrion_route_breaker_open{route="to stock"} == 1"#).await;
    one("its next probe", r#"atrion_route_next_probe_seconds{route="to stock"} >= 0"#).await;
    until("a pending alert", || {
        (is(&server, "AtrionBreakerOpen", "pending") || is(&server, "AtrionBreakerOpen", "firing"))
            .then_some(())
    })
    .await;

    // Somebody writes on the channel of the cluster: refused, counted, and told at once.
    redis.command("PUBLISH atrion:sync:watched what-is-this").expect("serves");
    until("a firing alert", || is(&server, "AtrionPoisonedTelemetry", "firing").then_some(()))
        .await;

    // While all of this goes on, every panel has data.
    for (title, expression) in dashboard::expressions() {
        let what = format!("panel {title:?}: {expression}");
        until(&what, || {
            let series = server.query(&expression).unwrap_or_else(|why| panic!("{what}: {why}"));
            series.iter().any(|series| series.value.is_finite()).then_some(())
        })
        .await;
    }
    for recipe in dashboard::recipes() {
        server.query(&recipe).unwrap_or_else(|why| panic!("recipe {recipe:?}: {why}"));
    }
    // And every rule was evaluated without an error.
    let rules = server.rules().expect("served");
    assert!(rules.len() > 10, "{rules:?}");
    assert!(rules.iter().all(|(_, health)| health == "ok"), "{rules:?}");

    load.break_dependency(false);
    one("a closed breaker", r#"atrion_route_breaker_open{route="to stock"} == 0"#).await;

    // Redis dies: it is told, the process stays ready, and requests go on.
    redis.kill();
    one("no healthy link", r#"atrion_provider_health{state="healthy"} == 0"#).await;
    until("a pending alert", || {
        (is(&server, "AtrionLinkDown", "pending") || is(&server, "AtrionLinkDown", "firing"))
            .then_some(())
    })
    .await;
    let told = probe.readiness();
    assert!(told.ready && told.link != Some(atrion_observe::Link::Healthy), "{told:?}");
    let before = load.completed();
    until("requests that complete", || (load.completed() > before + 100).then_some(())).await;

    // When all is over, Prometheus has counted what the callers have, to the last request.
    let seen = load.stop().await;
    for (tier, admitted, refused) in seen.tiers {
        let (admitted, refused) = (admitted as f64, refused as f64);
        let tier = tier.as_str();
        let counted = |name: &str| {
            let all = format!(r#"sum(atrion_route_{name}_total{{tier="{tier}",route="/pay"}})"#);
            number(&server, &all).unwrap_or_default()
        };
        let mut last = (0.0, 0.0);
        until(&format!("{admitted} {tier} requests admitted and {refused} refused"), || {
            last = (counted("admitted"), counted("refused"));
            assert!(last.0 <= admitted && last.1 <= refused, "{tier}: {last:?} is too much");
            (last == (admitted, refused)).then_some(())
        })
        .await;
    }
    let completed = r#"sum(atrion_route_requests_total{outcome="completed",route="/pay"})"#;
    let all = seen.completed as f64;
    until("all completed", || (number(&server, completed) == Some(all)).then_some(())).await;
    assert!(seen.tiers.iter().any(|(tier, admitted, _)| *tier == Priority::High && *admitted > 0));
    drop(other);
}
