//! Several nodes on a real Redis: the one that poisons the others stands out, and a Redis that is
//! gone is said.

use std::time::Duration;

use atrion_cluster::RedisClusterProvider;
use atrion_engine::Atrion;
use atrion_testkit::RedisServer;

use crate::harness::{Stage, key, tests};
use crate::traffic::{Behaviour, Traffic};

tests!(a_poisoning_node_stands_out, a_redis_that_is_gone_is_said);

fn node(redis: &RedisServer, name: &str) -> Atrion {
    let provider = RedisClusterProvider::builder()
        .url(format!("redis://127.0.0.1:{}", redis.port()))
        .node(name)
        .cluster("studio-suite")
        .sync_interval(Duration::from_millis(50))
        .operation_timeout(Duration::from_millis(500))
        .build()
        .expect("valid");
    Atrion::builder().tally(true).provider(provider).license(key()).build().expect("valid")
}

fn load(name: &str, behaviour: Behaviour) -> Vec<(String, usize, Behaviour)> {
    vec![(name.to_owned(), 6, behaviour), ("api/cart".to_owned(), 2, Behaviour::Fine)]
}

/// Three nodes under the traffic of the same route, which fails on the last of them only; the first
/// one is looked at.
pub(crate) async fn poisoned(redis: &RedisServer) -> (Stage, Vec<(Atrion, Traffic)>) {
    let seen = node(redis, "pod-1");
    let good = node(redis, "pod-2");
    let bad = node(redis, "pod-bad <i>");
    let traffic = Traffic::of(&seen, load("api/pay", Behaviour::Fine));
    let others = vec![
        (good.clone(), Traffic::of(&good, load("api/pay", Behaviour::Fine))),
        (bad.clone(), Traffic::of(&bad, load("api/pay", Behaviour::Broken))),
    ];
    let stage = Stage::of(seen, traffic, |studio| studio.actions(true)).await;
    (stage, others)
}

async fn a_poisoning_node_stands_out() {
    let redis = RedisServer::start().expect("run `cargo xtask setup`");
    let (stage, others) = poisoned(&redis).await;
    stage.open("#/cluster").await;
    stage.until("document.querySelectorAll('table.nodes tbody tr').length === 3").await;
    stage.reads("This node").await;
    // Everything that marks it says so in words too.
    let row = "document.querySelector('table.voices tr.outlier')?.innerText";
    stage.until(&format!("{row}?.includes('pod-bad <i>')")).await;
    stage.until(&format!("{row}?.includes('Outlier')")).await;
    let bad = "document.querySelector('table.nodes tr.outlier')?.innerText";
    stage.until(&format!("{bad}?.includes('pod-bad <i>') && {bad}.includes('route')")).await;
    // The route itself shows the same, beside what is made of it.
    stage.click(".troubled h3 a").await;
    stage.until("document.querySelector('h1').textContent === 'api/pay'").await;
    stage.reads("Cluster's word").await;
    stage.until("document.querySelectorAll('table.voices tbody tr').length >= 2").await;
    stage.until(&format!("{row}?.includes('pod-bad')")).await;
    drop(others);
    stage.finish().await;
}

async fn a_redis_that_is_gone_is_said() {
    let mut redis = RedisServer::start().expect("run `cargo xtask setup`");
    let atrion = node(&redis, "pod-1");
    let traffic = Traffic::usual(&atrion);
    let stage = Stage::of(atrion, traffic, |studio| studio).await;
    stage.open("").await;
    stage.until("document.querySelectorAll('.grid tbody tr').length >= 8").await;
    redis.kill();
    stage.reads("Shared state is in trouble").await;
    stage.reads("Requests are not affected").await;
    // Everything else goes on.
    let then = stage.run("return document.querySelector('#as-of').textContent").await;
    stage.until(&format!("document.querySelector('#as-of').textContent !== {then}")).await;
    let state = stage.run("return document.querySelector('#link').dataset.state").await;
    assert_eq!(state, "live");
    stage.go("#/cluster").await;
    stage.until("document.querySelector('.facts').innerText.includes('degraded')").await;
    redis.restart_empty().expect("it starts again");
    // It is also said that it is over.
    stage.reads("Over: Shared state is in trouble").await;
    stage.until("document.querySelector('.facts').innerText.includes('healthy')").await;
    stage.finish().await;
}
