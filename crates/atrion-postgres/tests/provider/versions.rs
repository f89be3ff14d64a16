//! Several versions of Atrion and several processes on one store.

use std::error::Error as _;

use atrion_postgres::StoreError;
use atrion_state::provider::{Health, ProviderError, StateProvider};
use atrion_testkit::PostgresServer;

use crate::harness::{
    Service, batch, connected, node, provider, scarred, stored_scar, tests, until,
};

tests!(
    many_start_at_once_on_an_empty_database,
    a_later_version_that_is_compatible,
    a_later_version_that_lets_us_read,
    a_later_version_that_does_not,
    two_processes_of_one_name_never_go_backwards,
);

fn set_version(server: &PostgresServer, version: u32, reader: u32, writer: u32) {
    let sql = format!(
        "UPDATE atrion.meta SET version = {version}, min_reader = {reader}, min_writer = {writer}"
    );
    server.sql(&sql).unwrap();
}

async fn many_start_at_once_on_an_empty_database() {
    let server = PostgresServer::start().unwrap();
    let pods: Vec<_> = (0..8).map(|n| provider(node(&server.url(), &format!("pod-{n}")))).collect();
    let starts: Vec<_> = pods
        .iter()
        .map(|pod| {
            let pod = std::sync::Arc::clone(pod);
            tokio::spawn(async move { pod.connect().await })
        })
        .collect();
    for start in starts {
        start.await.unwrap().expect("each of them connects");
    }
    assert_eq!(server.sql("SELECT count(*) FROM atrion.nodes").unwrap(), "8");
    assert_eq!(server.sql("SELECT count(*) FROM atrion.meta").unwrap(), "1");
}

async fn a_later_version_that_is_compatible() {
    let server = PostgresServer::start().unwrap();
    let old = connected(node(&server.url(), "old")).await;
    // What a rolling upgrade does while the old version runs.
    server.sql("ALTER TABLE atrion.vectors ADD COLUMN novelty int NOT NULL DEFAULT 7").unwrap();
    set_version(&server, 2, 1, 1);
    old.update_vectors(&batch(10, 5.0)).await.expect("the old one goes on");
    let again = connected(node(&server.url(), "old")).await;
    assert_eq!(again.snapshot().await.expect("serves").len(), 10);
    let kept = server.sql("SELECT version FROM atrion.meta").unwrap();
    assert_eq!(kept, "2", "an old program does not take a schema back");
}

async fn a_later_version_that_lets_us_read() {
    let server = PostgresServer::start().unwrap();
    let old = connected(node(&server.url(), "pod")).await;
    old.update_vector("r", scarred(300.0)).await.expect("committed");
    drop(old);
    set_version(&server, 3, 1, 3);
    let pod = provider(node(&server.url(), "pod"));
    pod.connect().await.expect("it can be read");
    assert_eq!(pod.health(), Health::Degraded);
    assert!(pod.trouble().is_some_and(|said| said.contains("version 3")));
    assert!(pod.get_vector("r").await.expect("serves").is_some());
    let error = pod.update_vector("r", scarred(1.0)).await.expect_err("nothing is written");
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    assert!(stored_scar(&server, "pod", "r").is_some_and(|scar| (scar - 300.0).abs() < 1e-9));
    // Rolled back, it works again by itself.
    set_version(&server, 1, 1, 1);
    pod.update_vector("r", scarred(1.0)).await.expect("committed");
    assert_eq!(pod.health(), Health::Healthy);
}

async fn a_later_version_that_does_not() {
    let server = PostgresServer::start().unwrap();
    drop(connected(node(&server.url(), "pod")).await);
    set_version(&server, 9, 8, 8);
    let pod = provider(node(&server.url(), "pod"));
    let error = pod.connect().await.expect_err("too new");
    let store: &StoreError =
        error.source().and_then(|source| source.downcast_ref()).expect("typed");
    assert!(matches!(store, StoreError::Newer { found: 9, needed: 8, known: 1, .. }), "{store}");
    let service = Service::start(node(&server.url(), "pod"));
    let trouble = service.degraded("a schema from the future").await;
    assert!(trouble.contains("version 9"), "{trouble}");
    service.some_traffic().await;
    service.assert_unharmed().await;
}

async fn two_processes_of_one_name_never_go_backwards() {
    let server = PostgresServer::start().unwrap();
    let earlier = connected(node(&server.url(), "pod")).await;
    earlier.update_vector("r", scarred(10.0)).await.expect("committed");
    let later = connected(node(&server.url(), "pod")).await;
    later.update_vector("r", scarred(20.0)).await.expect("committed");
    earlier.update_vector("r", scarred(30.0)).await.expect("it is overtaken, which is no error");
    assert!(stored_scar(&server, "pod", "r").is_some_and(|scar| (scar - 20.0).abs() < 1e-9));
    assert_eq!(earlier.stats().overtaken, 1);
    assert_eq!(later.stats().overtaken, 0);
    earlier.update_vectors(&[]).await.expect("serves");
    until("the operator is told", || earlier.stats().conflicts == 1).await;
    // Routes that the later one has not spoken of are the earlier one's still.
    earlier.update_vector("own", scarred(40.0)).await.expect("committed");
    assert!(stored_scar(&server, "pod", "own").is_some());
    // A connection made anew is still the same life.
    earlier.disconnect().await.expect("never fails");
    earlier.connect().await.expect("there");
    earlier.update_vector("r", scarred(50.0)).await.expect("overtaken again");
    assert!(stored_scar(&server, "pod", "r").is_some_and(|scar| (scar - 20.0).abs() < 1e-9));
}
