//! The public contract of providers, clause by clause, over a real server.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use atrion_state::contract::{self, Fixture};
use atrion_testkit::PostgresServer;

use crate::harness::{in_time, node, provider};

/// Small enough to be filled three times over.
const CAPACITY: usize = 64;

async fn every_clause(server: &PostgresServer) {
    let count = AtomicU32::new(0);
    let report = contract::run_all(|| async {
        // A store of its own for each clause: another application on the same server.
        let application = format!("clause-{}", count.fetch_add(1, Relaxed));
        let one = node(&server.url(), "one").application(application).max_routes(CAPACITY);
        Fixture::new(provider(one)).with_capacity(CAPACITY)
    })
    .await;
    report.assert_holds();
    // It does not share.
    let skipped: Vec<u8> = report.skipped().map(|(clause, _)| clause.number).collect();
    assert_eq!(skipped, [16, 17, 18], "{report}");
}

#[test]
fn every_clause_of_the_contract_holds() {
    let server = PostgresServer::start().unwrap();
    in_time("the contract", every_clause(&server));
}

#[test]
fn it_holds_without_a_runtime_too() {
    let server = PostgresServer::start().unwrap();
    atrion_state::blocking::block_on(every_clause(&server));
}
