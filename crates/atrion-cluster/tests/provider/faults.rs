//! A proxy between a pod and Redis that does what networks do.

use atrion_cluster::Client;
use atrion_testkit::{Direction, Fault, FaultProxy, RedisServer};

use crate::harness::{clients, for_each_client, on, until};
use crate::links::Stage;

for_each_client!(
    no_fault_of_the_network_is_felt_and_all_is_made_good,
    a_link_that_flaps_leaks_nothing_and_is_told_of_once,
);

async fn no_fault_of_the_network_is_felt_and_all_is_made_good(client: Client) {
    let server = RedisServer::start().unwrap();
    let mut proxy = FaultProxy::start(server.port()).await.unwrap();
    let mut stage = Stage::on(client, &on(proxy.port()), &on(server.port())).await;
    let both: &[Direction] = &[Direction::ToServer, Direction::ToClient];
    let faults: [(&str, Fault, &[Direction]); 9] = [
        ("a cut", Fault::Cut, both),
        ("a stall", Fault::Stall, both),
        ("a server that hears nothing", Fault::Stall, &both[..1]),
        ("a server that says nothing", Fault::Stall, &both[1..]),
        ("a half-closed request", Fault::HalfClose, &both[..1]),
        ("a half-closed answer", Fault::HalfClose, &both[1..]),
        ("garbled requests", Fault::Corrupt, &both[..1]),
        ("garbled answers", Fault::Corrupt, &both[1..]),
        ("a trickle", Fault::Slow(100), both),
    ];
    for (name, fault, directions) in faults {
        for direction in directions {
            proxy.set(*direction, fault);
        }
        stage.degraded(name).await;
        stage.write().await;
        stage.some_traffic().await;
        proxy.set_both(Fault::Pass);
        stage.healthy(name).await;
        stage.heard(name).await;
    }
    proxy.refuse().await;
    stage.degraded("a refusal").await;
    stage.write().await;
    stage.some_traffic().await;
    proxy.accept().await.unwrap();
    stage.healthy("a refusal").await;
    stage.heard("a refusal").await;
    assert_eq!(stage.downs(), 1, "{:?}", stage.pod.seen.notices());
    stage.assert_unharmed().await;
}

async fn a_link_that_flaps_leaks_nothing_and_is_told_of_once(client: Client) {
    let server = RedisServer::start().unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let mut stage = Stage::on(client, &on(proxy.port()), &on(server.port())).await;
    let before = clients(&server);
    for round in 1..=25 {
        let opens = stage.stats().opens;
        proxy.set_both(Fault::Cut);
        stage.degraded("a cut").await;
        proxy.set_both(Fault::Pass);
        until(&format!("reconnection {round}"), || stage.stats().opens > opens).await;
        stage.healthy("a cut").await;
    }
    stage.write().await;
    stage.heard("flapping").await;
    until("only the connections of the last session are left", || clients(&server) <= before).await;
    assert_eq!(stage.downs(), 1, "{:?}", stage.pod.seen.notices());
    let stats = stage.stats();
    assert!(stats.failures >= 25 && stats.dropped_events == 0, "{stats:?}");
    stage.assert_unharmed().await;
}
