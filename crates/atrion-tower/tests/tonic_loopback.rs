//! A real tonic server on loopback, with tonic's own client.

mod common;
#[path = "support/echo.rs"]
#[allow(unreachable_pub, reason = "the module is shared with the example")]
mod echo;

use std::error::Error;

use atrion_engine::Atrion;
use atrion_tower::{AtrionLayer, CallError, Overloaded, RETRY_AFTER_MS, UNMATCHED_ROUTE};
use common::{close, counts, error_rate, instance, ledger};
use echo::{Echo, SAY, call};
use tonic::Code;
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tower::Layer;

async fn start(layer: AtrionLayer<atrion_tower::Server>) -> Channel {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("valid")).expect("loopback");
    let addr = incoming.local_addr().expect("bound");
    let server = Server::builder().layer(layer).add_service(Echo);
    tokio::spawn(server.serve_with_incoming(incoming));
    let endpoint = Channel::builder(format!("http://{addr}").parse().expect("valid"));
    endpoint.connect().await.expect("loopback")
}

fn names(atrion: &Atrion) -> Vec<String> {
    let mut names: Vec<_> = atrion.routes().iter().map(|r| r.name().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_method_earns_its_route_with_its_first_answer() {
    let (atrion, _) = instance();
    let channel = start(AtrionLayer::server(&atrion)).await;
    for round in 0..4 {
        assert_eq!(call(channel.clone(), SAY, "hello").await.expect("served"), "hello");
        assert_eq!(ledger(&atrion, UNMATCHED_ROUTE), (0, 1, 0), "only the first call");
        assert_eq!(ledger(&atrion, SAY), (0, round, 0));
    }
}

#[tokio::test]
async fn made_up_methods_share_one_route() {
    let (atrion, _) = instance();
    let layer = AtrionLayer::server(&atrion);
    let channel = start(layer.clone()).await;
    let made_up = ["/demo.Echo/Shout", "/demo.Echo/A", "/x.Y/Z", "/x.Y/Z2", "/demo.Echo/say"];
    for method in made_up.into_iter().cycle().take(50) {
        let status = call(channel.clone(), method, "").await.expect_err("unknown");
        assert_eq!(status.code(), Code::Unimplemented);
    }
    assert_eq!(names(&atrion), [UNMATCHED_ROUTE]);
    assert_eq!((layer.stats().known_routes, layer.stats().unmatched), (0, 50));
}

#[tokio::test]
async fn a_refusal_is_unavailable_with_pushback() {
    let (atrion, _) = instance();
    let channel = start(AtrionLayer::server(&atrion)).await;
    call(channel.clone(), SAY, "hello").await.expect("served");
    close(&atrion, SAY);
    let status = call(channel.clone(), SAY, "hello").await.expect_err("refused");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "request shed: forced_open");
    let number = |name: &str| -> u64 {
        let value = status.metadata().get(name).expect("sent");
        value.to_str().expect("text").parse().expect("a number")
    };
    assert!(number("grpc-retry-pushback-ms") >= 60_000);
    assert_eq!(number(RETRY_AFTER_MS), number("grpc-retry-pushback-ms"));
    assert_eq!(counts(&atrion, SAY).shed, 1);
}

#[tokio::test]
async fn statuses_in_trailers_and_headers_are_judged() {
    let (atrion, clock) = instance();
    let channel = start(AtrionLayer::server(&atrion)).await;
    call(channel.clone(), SAY, "hello").await.expect("served");
    call(channel.clone(), SAY, "hello").await.expect("served");
    assert!(error_rate(&atrion, &clock, SAY) == 0.0);
    let status = call(channel.clone(), SAY, "fail").await.expect_err("as told");
    assert_eq!(status.code(), Code::Internal);
    assert!(error_rate(&atrion, &clock, SAY) > 0.0);
}

#[tokio::test]
async fn health_checks_pass_a_closed_door() {
    let (atrion, _) = instance();
    let layer = AtrionLayer::server(&atrion);
    let channel = start(layer.clone()).await;
    close(&atrion, UNMATCHED_ROUTE);
    let refused = call(channel.clone(), SAY, "hello").await.expect_err("refused");
    assert_eq!(refused.code(), Code::Unavailable);
    // Nobody serves it here; that it is asked at all is the point.
    let health = call(channel, "/grpc.health.v1.Health/Check", "").await.expect_err("not served");
    assert_eq!(health.code(), Code::Unimplemented);
    assert_eq!(layer.stats().exempt, 1);
}

#[tokio::test]
async fn a_protected_client_counts_methods_and_refuses_before_sending() {
    let (atrion, _) = instance();
    let channel = start(AtrionLayer::server(&atrion).prefix("in ")).await;
    let client = AtrionLayer::client(&atrion).prefix("out ").layer(channel);
    call(client.clone(), SAY, "hello").await.expect("served");
    assert_eq!(ledger(&atrion, "out /demo.Echo/Say"), (0, 1, 0));
    assert_eq!(ledger(&atrion, "in (unmatched)"), (0, 1, 0));

    // The server refuses: nothing is learned against it.
    close(&atrion, "in /demo.Echo/Say");
    let status = call(client.clone(), SAY, "hello").await.expect_err("refused there");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(ledger(&atrion, "out /demo.Echo/Say"), (0, 1, 1));

    close(&atrion, "out /demo.Echo/Say");
    let status = call(client, SAY, "hello").await.expect_err("refused here");
    let source = status.source().expect("the client's own error");
    let error = source.downcast_ref::<CallError<tonic::transport::Error>>().expect("typed");
    assert_eq!(error.overloaded().expect("refused").route().name(), "out /demo.Echo/Say");
    assert_eq!(Overloaded::find_in(&status), error.overloaded());
    assert_eq!(counts(&atrion, "in /demo.Echo/Say").shed, 1, "nothing was sent");
}
