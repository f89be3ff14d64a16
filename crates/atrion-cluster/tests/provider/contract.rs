//! The public contract of providers, clause by clause, over a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use atrion_cluster::{Client, Limits};
use atrion_state::contract::{self, Fixture};
use atrion_testkit::RedisServer;

use crate::harness::{for_each_client, node, on, provider};

for_each_client!(every_clause_of_the_contract_holds);

/// Small enough to be filled three times over.
const CAPACITY: usize = 64;

async fn every_clause_of_the_contract_holds(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let count = AtomicU32::new(0);
    let limits = Limits {
        max_own_routes: CAPACITY,
        max_routes_per_node: CAPACITY,
        max_registers: CAPACITY,
        ..Limits::default()
    };
    let report = contract::run_all(|| async {
        // A store of its own for each clause: another cluster on the same server.
        let cluster = format!("clause-{}", count.fetch_add(1, Relaxed));
        let one = |name: &str| {
            provider(node(client, &url, name).cluster(cluster.as_str()).limits(limits))
        };
        Fixture::new(one("one")).with_peer(one("two") as Arc<_>).with_capacity(CAPACITY)
    })
    .await;
    report.assert_holds();
    assert_eq!(report.skipped().count(), 0, "{report}");
}
