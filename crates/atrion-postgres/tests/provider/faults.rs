//! PostgreSQL in trouble, with requests running that must not notice.

use std::sync::Arc;
use std::time::Duration;

use atrion_state::provider::{Health, ProviderError, StateProvider};
use atrion_testkit::{Direction, Fault, FaultProxy, PostgresOptions, PostgresServer};
use tokio::net::TcpListener;

use crate::harness::{
    Service, batch, connected, node, provider, scarred, stored_scar, tests, until,
};

tests!(
    killed_and_restarted,
    hung_and_going_on,
    read_only_and_writable_again,
    full_and_emptied,
    absent_at_the_start_and_found_later,
    silent_at_the_start,
    cut_and_joined,
    busy_connections,
    tables_dropped_under_it,
    a_pool_whose_connections_are_all_busy,
);

/// The news of the time of trouble arrives, the newest of each route.
async fn catches_up(service: &Service, server: &PostgresServer, what: &str, route: &str) {
    service.healthy(what).await;
    until(&format!("{what}: what happened meanwhile is stored"), || {
        stored_scar(server, "pod", route).is_some()
    })
    .await;
}

async fn killed_and_restarted() {
    let mut server = PostgresServer::start().unwrap();
    let service = Service::start(node(&server.url(), "pod"));
    service.healthy("at the start").await;
    for round in 0..2 {
        server.kill();
        service.degraded("a killed server").await;
        let route = format!("meanwhile/{round}");
        service.wound(&route).await;
        service.some_traffic().await;
        server.restart().unwrap();
        catches_up(&service, &server, "killed", &route).await;
    }
    // Two outages within a minute, hundreds of attempts, one warning.
    assert_eq!(service.seen.complaints().len(), 1, "{:?}", service.seen.complaints());
    service.assert_unharmed().await;
}

async fn hung_and_going_on() {
    let server = PostgresServer::start().unwrap();
    let service =
        Service::start(node(&server.url(), "pod").operation_timeout(Duration::from_millis(500)));
    service.healthy("at the start").await;
    server.stop().unwrap();
    let trouble = service.degraded("a hung server").await;
    assert!(trouble.contains("did not answer"), "{trouble}");
    assert!(service.provider.stats().timeouts > 0);
    service.wound("meanwhile").await;
    service.some_traffic().await;
    server.cont().unwrap();
    catches_up(&service, &server, "hung", "meanwhile").await;
    service.assert_unharmed().await;
}

async fn read_only_and_writable_again() {
    let server = PostgresServer::start().unwrap();
    let service = Service::start(node(&server.url(), "pod"));
    service.healthy("at the start").await;
    let set = |value: &str| {
        server
            .sql(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}"))
            .and_then(|_| server.sql("SELECT pg_reload_conf()"))
            .unwrap();
    };
    set("on");
    let trouble = service.degraded("a server that is read-only").await;
    assert!(trouble.contains("takes no writes"), "{trouble}");
    service.wound("meanwhile").await;
    // One that starts now reads all the same.
    let reader = provider(node(&server.url(), "reader"));
    reader.connect().await.expect("it can be read");
    assert_eq!(reader.health(), Health::Degraded);
    assert!(reader.update_vector("r", scarred(1.0)).await.is_err());
    service.some_traffic().await;
    set("off");
    catches_up(&service, &server, "read-only", "meanwhile").await;
    reader.update_vector("r", scarred(1.0)).await.expect("writable again");
    assert_eq!(reader.health(), Health::Healthy);
    service.assert_unharmed().await;
}

async fn full_and_emptied() {
    // A quota on the server's temporary and table files cannot be set without a file system of its
    // own; the error that a full disk gives is raised by the server itself.
    let server = PostgresServer::start().unwrap();
    let service = Service::start(node(&server.url(), "pod"));
    service.healthy("at the start").await;
    server
        .sql(
            "CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' \
             USING ERRCODE = '53100'; END $$; \
             CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON atrion.vectors \
             FOR EACH STATEMENT EXECUTE FUNCTION public.full(); \
             CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON atrion.nodes \
             FOR EACH STATEMENT EXECUTE FUNCTION public.full()",
        )
        .unwrap();
    let trouble = service.degraded("a full disk").await;
    assert!(trouble.contains("run out of room"), "{trouble}");
    service.wound("meanwhile").await;
    service.some_traffic().await;
    server
        .sql("DROP TRIGGER full_disk ON atrion.vectors; DROP TRIGGER full_disk ON atrion.nodes")
        .unwrap();
    catches_up(&service, &server, "full", "meanwhile").await;
    service.assert_unharmed().await;
}

async fn absent_at_the_start_and_found_later() {
    let mut server = PostgresServer::start().unwrap();
    let before = connected(node(&server.url(), "pod")).await;
    before.update_vector("payments", scarred(450.0)).await.expect("committed");
    drop(before);
    server.kill();
    let service = Service::start(node(&server.url(), "pod"));
    service.degraded("no server").await;
    service.some_traffic().await;
    let absent = provider(node(&server.url(), "other"));
    let refused = absent.connect().await.expect_err("nobody is there");
    assert!(matches!(refused, ProviderError::Unavailable { .. }), "{refused}");
    assert!(matches!(
        absent.update_vector("r", scarred(1.0)).await,
        Err(ProviderError::NotConnected)
    ));
    server.restart().unwrap();
    // As if no time had gone by, however slow the machine.
    server.sql("UPDATE atrion.vectors SET observed_at = clock_timestamp()").unwrap();
    service.healthy("a server that comes late").await;
    let payments = service.atrion.route("payments");
    until("what was remembered is restored late", || payments.is_open()).await;
    service.assert_unharmed().await;
}

async fn silent_at_the_start() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://app@127.0.0.1:{port}/app?sslmode=disable");
    let timeout = Duration::from_millis(200);
    let service = Service::start(node(&url, "pod").operation_timeout(timeout));
    let trouble = service.degraded("a silent port").await;
    assert!(trouble.contains("did not answer"), "{trouble}");
    service.some_traffic().await;
    service.assert_unharmed().await;
}

async fn cut_and_joined() {
    let server = PostgresServer::start().unwrap();
    let mut proxy = FaultProxy::start(server.port()).await.unwrap();
    let url = server.url_at("127.0.0.1", proxy.port());
    let service = Service::start(node(&url, "pod").operation_timeout(Duration::from_millis(500)));
    service.healthy("at the start").await;
    for fault in [Fault::Stall, Fault::Cut, Fault::HalfClose] {
        let what = format!("{fault:?}");
        proxy.set(Direction::ToClient, fault);
        service.degraded(&what).await;
        service.wound(&what).await;
        service.some_traffic().await;
        proxy.set_both(Fault::Pass);
        catches_up(&service, &server, &what, &what).await;
    }
    proxy.refuse().await;
    service.degraded("refused").await;
    service.wound("refused").await;
    service.some_traffic().await;
    proxy.accept().await.unwrap();
    catches_up(&service, &server, "refused", "refused").await;
    service.assert_unharmed().await;
}

async fn busy_connections() {
    let server =
        PostgresServer::start_with(PostgresOptions::default().line("max_connections = 8")).unwrap();
    // Everything is taken, but for the places of superusers.
    let mut taken = Vec::new();
    for name in 0..5 {
        let other = provider(node(&server.url(), &format!("other-{name}")).pool_size(1));
        if other.connect().await.is_err() {
            break;
        }
        taken.push(other);
    }
    let late = provider(node(&server.url(), "late"));
    let refused = late.connect().await.expect_err("there is no place");
    assert!(refused.is_transient(), "{refused}");
    assert_eq!(late.health(), Health::Degraded);
    drop(taken);
    let mut looks = 0;
    while late.connect().await.is_err() {
        looks += 1;
        assert!(looks < 10_000, "a place becomes free");
    }
    assert_eq!(late.health(), Health::Healthy);
}

async fn tables_dropped_under_it() {
    let server = PostgresServer::start().unwrap();
    let service = Service::start(node(&server.url(), "pod"));
    service.healthy("at the start").await;
    service.wound("meanwhile").await;
    server.sql("DROP SCHEMA atrion CASCADE").unwrap();
    // Made anew, and filled with everything there is to say.
    catches_up(&service, &server, "dropped", "meanwhile").await;
    service.assert_unharmed().await;
}

async fn a_pool_whose_connections_are_all_busy() {
    let server = Arc::new(PostgresServer::start().unwrap());
    let little = Duration::from_millis(800);
    let pod = connected(node(&server.url(), "pod").pool_size(1).operation_timeout(little)).await;
    pod.update_vectors(&batch(4, 1.0)).await.expect("committed");
    // Somebody holds the rows: the only connection waits for them, the next call for it.
    let holding = Arc::clone(&server);
    let holder = std::thread::spawn(move || {
        holding.sql(
            "BEGIN; SELECT count(*) FROM (SELECT 1 FROM atrion.vectors FOR UPDATE) h; \
                     SELECT pg_sleep(1000)",
        )
    });
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    until("the rows are held", || server.sql(sleeping).unwrap() == "1").await;
    // How calls meet is up to the machine; in one round of many one of them finds no connection.
    let mut said = Vec::new();
    while !said.iter().any(|said: &String| said.contains("no connection of the pool")) {
        let calls: Vec<_> = (0..4)
            .map(|n| {
                let pod = Arc::clone(&pod);
                tokio::spawn(
                    async move { pod.update_vector(&format!("route/{n}"), scarred(2.0)).await },
                )
            })
            .collect();
        for call in calls {
            let error = call.await.unwrap().expect_err("the rows are held");
            assert!(error.is_transient(), "{error}");
            said.push(describe(&error));
        }
        assert_eq!(pod.health(), Health::Degraded);
        assert!(said.len() < 400, "{said:?}");
    }
    server
        .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        .unwrap();
    assert!(holder.join().expect("no panic").is_err(), "it was sent away");
    let mut result = Err(ProviderError::NotConnected);
    for _ in 0..400 {
        result = pod.update_vector("route/0", scarred(3.0)).await;
        if result.is_ok() {
            break;
        }
    }
    result.expect("the rows are free");
    assert_eq!(pod.health(), Health::Healthy);
}

fn describe(error: &ProviderError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
