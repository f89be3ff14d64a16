//! A Redis in trouble of its own.

use atrion_cluster::Client;
use atrion_state::provider::StateProvider;
use atrion_testkit::RedisServer;

use crate::harness::{clients, for_each_client, node, on, provider, until};
use crate::links::{Stage, hears};

for_each_client!(
    killed_and_restarted_empty,
    hung_and_going_on,
    flushed,
    full_and_emptied,
    demoted_and_promoted,
    clients_killed_by_an_operator,
);

async fn killed_and_restarted_empty(client: Client) {
    let mut server = RedisServer::start().unwrap();
    let url = on(server.port());
    let mut stage = Stage::on(client, &url, &url).await;
    for _ in 0..2 {
        server.kill();
        stage.degraded("a killed server").await;
        stage.write().await;
        stage.some_traffic().await;
        server.restart_empty().unwrap();
        stage.healthy("a killed server").await;
        stage.heard("a killed server").await;
    }
    assert_eq!(stage.downs(), 1, "{:?}", stage.pod.seen.notices());
    late_comers_hear_everything(client, &url).await;
    stage.assert_unharmed().await;
}

async fn hung_and_going_on(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let mut stage = Stage::on(client, &url, &url).await;
    server.stop().unwrap();
    stage.degraded("a hung server").await;
    stage.write().await;
    stage.some_traffic().await;
    server.cont().unwrap();
    stage.healthy("a hung server").await;
    stage.heard("a hung server").await;
    assert!(stage.stats().timeouts > 0);
    stage.assert_unharmed().await;
}

async fn flushed(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let mut stage = Stage::on(client, &url, &url).await;
    stage.write().await;
    stage.heard("before").await;
    server.command("FLUSHALL").unwrap();
    // Nothing is said anew: what was there comes back by itself.
    until("everything is stored again", || {
        let stored = |pattern: &str| server.command(pattern).unwrap().items().len();
        stored("KEYS atrion:{suite}:state:*") == 2
            && server.command("ZCARD atrion:{suite}:nodes").unwrap().text().as_deref() == Some("2")
    })
    .await;
    late_comers_hear_everything(client, &url).await;
    stage.write().await;
    stage.heard("afterwards").await;
    stage.healthy("a flushed server").await;
    stage.assert_unharmed().await;
}

async fn full_and_emptied(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let mut stage = Stage::on(client, &url, &url).await;
    server.command("CONFIG SET maxmemory-policy noeviction").unwrap();
    server.command("CONFIG SET maxmemory 1").unwrap();
    stage.degraded("a full server").await;
    let trouble = stage.pod.provider.trouble().expect("there is");
    assert!(trouble.contains("OOM"), "{trouble}");
    stage.write().await;
    stage.some_traffic().await;
    server.command("CONFIG SET maxmemory 0").unwrap();
    stage.healthy("a full server").await;
    stage.heard("a full server").await;
    assert_eq!(stage.downs(), 1);
    stage.assert_unharmed().await;
}

async fn demoted_and_promoted(client: Client) {
    let (server, other) = (RedisServer::start().unwrap(), RedisServer::start().unwrap());
    let url = on(server.port());
    let mut stage = Stage::on(client, &url, &url).await;
    server.command(&format!("REPLICAOF 127.0.0.1 {}", other.port())).unwrap();
    stage.degraded("a replica").await;
    stage.write().await;
    stage.some_traffic().await;
    server.command("REPLICAOF NO ONE").unwrap();
    stage.healthy("a replica").await;
    stage.heard("a replica").await;
    stage.assert_unharmed().await;
}

async fn clients_killed_by_an_operator(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let mut stage = Stage::on(client, &url, &url).await;
    let before = clients(&server);
    for kind in ["normal", "pubsub", "normal", "pubsub"] {
        let opens = stage.stats().opens;
        server.command(&format!("CLIENT KILL TYPE {kind} SKIPME yes")).unwrap();
        stage.write().await;
        until(&format!("a new session after killing {kind}"), || stage.stats().opens > opens).await;
        stage.healthy(kind).await;
        stage.heard(kind).await;
    }
    until("nothing is left behind", || clients(&server) <= before).await;
    stage.assert_unharmed().await;
}

/// Somebody new learns from the store alone what the two others have last said.
async fn late_comers_hear_everything(client: Client, url: &str) {
    let late = provider(node(client, url, "late"));
    late.connect().await.expect("never fails");
    until("a late comer has everything", || hears(&late, "ours/1") && hears(&late, "theirs/1"))
        .await;
    late.disconnect().await.expect("never fails");
}
