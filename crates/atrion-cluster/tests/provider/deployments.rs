//! The same over every kind of Redis there is.

use atrion_cluster::Client;
use atrion_cluster::names::Names;
use atrion_cluster::transport::TlsOptions;
use atrion_testkit::{Certificates, RedisCluster, RedisOptions, RedisServer, Sentinels};

use crate::harness::{PASSWORD, for_each_client, node, on, until};
use crate::links::Stage;

for_each_client!(
    a_redis_cluster_moves_a_slot_and_fails_over,
    sentinels_fail_over,
    encrypted_with_an_authority_of_ones_own,
    a_user_with_just_enough_permissions_over_a_socket_file,
);

fn names() -> Names {
    Names::new(Names::DEFAULT_PREFIX, Names::DEFAULT_CHANNEL, "suite")
}

async fn a_redis_cluster_moves_a_slot_and_fails_over(client: Client) {
    let cluster = RedisCluster::start(3, true, &[]).unwrap();
    let ports: Vec<String> =
        cluster.masters().iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
    let url = format!("redis+cluster://{}", ports.join(","));
    let mut stage = Stage::on(client, &url, &url).await;
    stage.write().await;
    stage.heard("a cluster").await;

    let owner = cluster.owner(names().slot());
    cluster.masters()[owner].command("WAIT 1 5000").unwrap();
    let opens = stage.stats().opens;
    cluster.fail_over(owner).unwrap();
    stage.write().await;
    until("the new master is found", || stage.stats().opens > opens).await;
    stage.healthy("a failover").await;
    stage.heard("a failover").await;
    assert!(stage.downs() <= 1, "{:?}", stage.pod.seen.notices());
    stage.assert_unharmed().await;
}

async fn sentinels_fail_over(client: Client) {
    let watch = "watch-only";
    let sentinels = Sentinels::start(PASSWORD, watch).unwrap();
    let ports: Vec<String> =
        sentinels.ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let url = format!(
        "redis+sentinel://:{PASSWORD}@{}/{}?sentinel_password={watch}",
        ports.join(","),
        Sentinels::MASTER
    );
    let mut stage = Stage::on(client, &url, &url).await;
    stage.write().await;
    stage.heard("a watched server").await;
    let opens = stage.stats().opens;
    sentinels.fail_over(watch).unwrap();
    stage.write().await;
    until("the new master is found", || stage.stats().opens > opens).await;
    stage.healthy("a failover").await;
    stage.heard("a failover").await;
    assert!(stage.downs() <= 1, "{:?}", stage.pod.seen.notices());
    stage.assert_unharmed().await;
}

async fn encrypted_with_an_authority_of_ones_own(client: Client) {
    let certificates = Certificates::new().unwrap();
    let tls = TlsOptions::default().trusting(certificates.authority.clone());
    let mut server = RedisServer::start_with(RedisOptions::default().tls(certificates)).unwrap();
    let url = format!("rediss://localhost:{}", server.port());
    let one = |name| node(client, &url, name).tls(tls.clone());
    let mut stage = Stage::set(one("pod"), one("peer")).await;
    stage.write().await;
    stage.heard("TLS").await;
    server.kill();
    stage.degraded("a killed server").await;
    stage.write().await;
    server.restart_empty().unwrap();
    stage.healthy("a killed server").await;
    stage.heard("a killed server").await;
    stage.assert_unharmed().await;
}

async fn a_user_with_just_enough_permissions_over_a_socket_file(client: Client) {
    // What `docs` and `Names` say that an access list needs, and not a thing more.
    let app = format!(
        "app on >{PASSWORD} ~atrion:* resetchannels &atrion:sync* -@all +del +hset +hdel +hscan \
         +pexpire +zadd +zrem +zrange +zrevrangebyscore +zremrangebyscore +zinterstore +publish \
         +subscribe +time +ping +multi +exec"
    );
    let options = RedisOptions::default().password("another").user(&app);
    let server = RedisServer::start_with(options).unwrap();
    let socket = format!("unix://app:{PASSWORD}@{}", server.socket().display());
    let port = on(server.port()).replace("redis://", &format!("redis://app:{PASSWORD}@"));
    let mut stage = Stage::on(client, &socket, &port).await;
    stage.write().await;
    stage.heard("a user").await;
    stage.assert_unharmed().await;
}
