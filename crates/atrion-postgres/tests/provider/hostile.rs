//! Tables and rows that somebody else has had his hands on.

use std::error::Error as _;

use atrion_postgres::StoreError;
use atrion_state::provider::{Health, StateProvider};
use atrion_testkit::PostgresServer;

use crate::harness::{Service, batch, connected, node, provider, scarred, stored_scar, tests};

tests!(rows_that_no_program_of_ours_writes, tables_that_somebody_else_has_made);

async fn rows_that_no_program_of_ours_writes() {
    let server = PostgresServer::start().unwrap();
    let first = connected(node(&server.url(), "pod")).await;
    first.update_vectors(&batch(20, 100.0)).await.expect("committed");
    drop(first);
    // The checks of our own tables would not have it.
    let spoil = |route: u32, change: &str| {
        format!("UPDATE atrion.vectors SET {change} WHERE route = 'route/{route}';")
    };
    let mut sql = "DO $$ DECLARE c record; BEGIN FOR c IN SELECT conname FROM pg_constraint \
                   WHERE conrelid = 'atrion.vectors'::regclass AND contype = 'c' LOOP \
                   EXECUTE 'ALTER TABLE atrion.vectors DROP CONSTRAINT ' || quote_ident(c.conname); \
                   END LOOP; END $$; \
                   ALTER TABLE atrion.vectors ALTER demand DROP NOT NULL;"
        .to_owned();
    for (route, change) in [
        (0, "scar = 'NaN'"),
        (1, "scar = 'Infinity'"),
        (2, "scar = -1"),
        (3, "evidence = 'NaN'"),
        (4, "resistance = '-Infinity'"),
        (5, "momentum = 'Infinity'"),
        (6, "demand = NULL"),
        (7, "stance = 4096"),
        (8, "observed_at = clock_timestamp() + interval '1 hour'"),
        (9, "observed_at = 'infinity'"),
        (10, "route = convert_to(repeat('x', 513), 'UTF8')"),
        (11, "route = '\\xfffe'"),
    ] {
        sql += &spoil(route, change);
    }
    server.sql(&sql).unwrap();
    let rows = || server.sql("SELECT count(*) FROM atrion.vectors").unwrap();
    assert_eq!(rows(), "20");

    let second = connected(node(&server.url(), "pod")).await;
    let held = second.snapshot().await.expect("serves");
    assert_eq!(held.len(), 8, "{held:?}");
    assert!(held.iter().all(|held| held.vector.scar_tissue.get().is_finite()));
    assert_eq!(second.stats().refused_rows, 12);
    assert_eq!(rows(), "20", "they were left alone");
    // A pod of another name is not poisoned either.
    let other = connected(node(&server.url(), "other")).await;
    assert_eq!(other.snapshot().await.expect("serves").len(), 8);
    assert_eq!(other.stats().refused_rows, 12);
    // What this process sees itself takes the place of a poisoned row.
    second.update_vector("route/0", scarred(7.0)).await.expect("committed");
    assert!(stored_scar(&server, "pod", "route/0").is_some_and(|scar| (scar - 7.0).abs() < 1e-9));
}

async fn tables_that_somebody_else_has_made() {
    let server = PostgresServer::start().unwrap();
    let theirs = [
        ("CREATE TABLE theirs.vectors (id int); INSERT INTO theirs.vectors VALUES (7)", "vectors"),
        ("CREATE TABLE theirs.meta (key text, value text)", "meta"),
        ("CREATE VIEW theirs.nodes AS SELECT 1 AS id", "nodes"),
        (
            "CREATE TABLE theirs.meta (product text, version int, min_reader int, min_writer int)",
            "meta",
        ),
    ];
    for (sql, table) in theirs {
        server.sql(&format!("CREATE SCHEMA theirs AUTHORIZATION app; {sql}; GRANT ALL ON ALL TABLES IN SCHEMA theirs TO app")).unwrap();
        let before = server.sql("SELECT count(*) FROM pg_class").unwrap();
        let pod = provider(node(&server.url(), "pod").schema("theirs"));
        let error = pod.connect().await.expect_err("foreign");
        let store: &StoreError =
            error.source().and_then(|source| source.downcast_ref()).expect("typed");
        assert!(
            matches!(store, StoreError::Foreign { what, .. } if what.contains(table)),
            "{store}"
        );
        assert_eq!(pod.health(), Health::Degraded);
        assert_eq!(server.sql("SELECT count(*) FROM pg_class").unwrap(), before, "untouched");
        server.sql("DROP SCHEMA theirs CASCADE").unwrap();
    }
    server.sql("CREATE SCHEMA theirs AUTHORIZATION app; CREATE TABLE theirs.meta (x int)").unwrap();
    let service = Service::start(node(&server.url(), "pod").schema("theirs"));
    let trouble = service.degraded("somebody else's tables").await;
    assert!(trouble.contains("theirs") && trouble.contains("not"), "{trouble}");
    service.some_traffic().await;
    service.assert_unharmed().await;
}
