//! Redis Cluster and sentinels.

use std::net::Ipv4Addr;

use atrion_cluster::names::Names;
use atrion_testkit::{RedisCluster, Sentinels};
use tokio::net::TcpListener;

use crate::harness::{
    Node, PASSWORD, Which, for_each_transport, is_denied, is_unavailable, names, news,
};

for_each_transport!(
    a_cluster_works_and_a_moved_slot_is_followed,
    a_cluster_without_sharded_channels_works,
    a_failover_in_a_cluster_is_followed,
    a_failover_by_sentinels_is_followed,
);

fn url(ports: impl IntoIterator<Item = u16>) -> String {
    let hosts: Vec<String> = ports.into_iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("redis+cluster://{}", hosts.join(","))
}

async fn dead_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port()
}

async fn a_cluster_works_and_a_moved_slot_is_followed(which: Which) {
    let cluster = RedisCluster::start(3, false, &[]).unwrap();
    // A dead node first, then one that does not hold our keys.
    let owner = cluster.owner(names().slot());
    let other = (owner + 1) % 3;
    let other_port = cluster.masters()[other].port();
    let transport = which.transport(&url([dead_port().await, other_port]));
    let mut node = Node::open(&*transport).await;
    let heard = cluster.masters()[owner].command("PUBSUB SHARDCHANNELS").unwrap();
    assert_eq!(heard.items().len(), 1, "{heard:?}");

    // Nothing is stored yet, so the slot can be given away as it is.
    cluster.move_slot(names().slot(), other).unwrap();
    let error = node.commit(&news(b"moved")).await.expect_err("moved");
    assert!(is_unavailable(&error), "{error}");
    assert!(is_unavailable(&node.lost().await));

    let mut node = Node::open(&*transport).await;
    let mut neighbour = Node::open(&*which.transport(&url([other_port]))).await;
    node.round_trip(b"again").await;
    assert_eq!(neighbour.frame().await, "again");
    assert_eq!(neighbour.session.state(b"n", 10).await.unwrap().len(), 1);

    // Registers are spread over all nodes.
    let registers: Vec<String> = (0..6).map(|i| format!("licence-{i}")).collect();
    let owners = registers.iter().map(|r| cluster.owner(Names::register_slot(r)));
    assert!(owners.collect::<std::collections::BTreeSet<_>>().len() > 1);
    for register in &registers {
        for (member, count) in [(&b"a"[..], 1), (b"b", 2)] {
            let all = node.session.register(register, member, 5000, 4000).await.unwrap();
            assert_eq!(all.len(), count);
        }
    }
}

async fn a_cluster_without_sharded_channels_works(which: Which) {
    // As servers before 7.0 are: they do not know the commands.
    let old = ["rename-command SSUBSCRIBE \"\"", "rename-command SPUBLISH \"\""];
    let cluster = RedisCluster::start(1, false, &old).unwrap();
    let transport = which.transport(&url([cluster.masters()[0].port()]));
    let mut one = Node::open(&*transport).await;
    let mut two = Node::open(&*transport).await;
    one.round_trip(b"plain").await;
    assert_eq!(two.frame().await, "plain");
}

async fn a_failover_in_a_cluster_is_followed(which: Which) {
    let cluster = RedisCluster::start(3, true, &[]).unwrap();
    let transport = which.transport(&url([cluster.masters()[0].port()]));
    let mut node = Node::open(&*transport).await;
    node.round_trip(b"before").await;
    let owner = cluster.owner(names().slot());
    cluster.masters()[owner].command("WAIT 1 5000").unwrap();
    cluster.fail_over(owner).unwrap();
    let error = node.commit(&news(b"to the old one")).await.expect_err("failed over");
    assert!(is_unavailable(&error) || !is_denied(&error), "{error}");
    node.lost().await;
    let mut node = Node::open(&*transport).await;
    assert_eq!(node.session.state(b"n", 10).await.unwrap().len(), 1);
    node.round_trip(b"after").await;
}

async fn a_failover_by_sentinels_is_followed(which: Which) {
    let watch = "watch-only";
    let sentinels = Sentinels::start(PASSWORD, watch).unwrap();
    let ports: Vec<String> =
        sentinels.ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let url = |master: &str, sentinel_password: &str| {
        let hosts = ports.join(",");
        let login = format!("sentinel_password={sentinel_password}");
        format!("redis+sentinel://:{PASSWORD}@{hosts}/{master}?{login}")
    };
    let error = Node::try_open(&*which.transport(&url(Sentinels::MASTER, "wrong"))).await;
    assert!(is_denied(&error.err().expect("wrong password")));
    let error = Node::try_open(&*which.transport(&url("nobody", watch))).await;
    assert!(is_unavailable(&error.err().expect("no such master")));

    let transport = which.transport(&url(Sentinels::MASTER, watch));
    let mut node = Node::open(&*transport).await;
    node.round_trip(b"before").await;
    sentinels.fail_over(watch).unwrap();
    // Either the old master closes its connections, or it says that it is a replica.
    let _ = node.commit(&news(b"to the old one")).await.expect_err("failed over");
    node.lost().await;
    let mut node = Node::open(&*transport).await;
    node.round_trip(b"after").await;
    let role = sentinels.replica().command("ROLE").unwrap();
    assert_eq!(role.items()[0].text().as_deref(), Some("master"));
    let clients = sentinels.replica().command("PUBSUB NUMSUB atrion:sync:suite").unwrap();
    assert_eq!(clients.items()[1].text().as_deref(), Some("1"));
}
