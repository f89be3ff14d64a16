//! Servers that will not have us, and things that are no servers of ours.

use std::error::Error as _;
use std::time::Duration;

use atrion_postgres::{PostgresPersistenceAdapter, StoreError, TlsOptions};
use atrion_state::provider::{Health, ProviderError, StateProvider};
use atrion_testkit::{Certificates, PostgresOptions, PostgresServer, RedisServer, logs};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::harness::{PASSWORD, Service, connected, node, provider, scarred, tests};

tests!(
    a_wrong_password_or_database_or_user,
    what_is_no_postgresql,
    encrypted_and_checked,
    a_user_without_privileges,
    nothing_shows_the_password,
);

/// Why a connection fails, as the type says.
async fn refused(provider: &PostgresPersistenceAdapter) -> (ProviderError, String) {
    let error = provider.connect().await.expect_err("refused");
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said = format!("{said}: {cause}");
        source = cause.source();
    }
    assert!(!logs::leaks(&said) && !logs::leaks(&format!("{error:?}")), "{said}");
    assert_eq!(provider.health(), Health::Degraded);
    assert!(provider.trouble().is_some_and(|trouble| !logs::leaks(&trouble)), "{said}");
    (error, said)
}

fn store_error(error: &ProviderError) -> &StoreError {
    error.source().and_then(|source| source.downcast_ref()).expect("the cause is typed")
}

async fn a_wrong_password_or_database_or_user() {
    let server = PostgresServer::start_with(PostgresOptions::default().password(PASSWORD)).unwrap();
    logs::forbid("wr0ng-passw0rd");
    let good = server.url();
    connected(node(&good, "pod")).await;
    for (url, code) in [
        (good.replace(PASSWORD, "wr0ng-passw0rd"), "28P01"),
        (good.replace("app:", "nobody-we-know:"), "28P01"),
        (good.replace("/app?", "/another?"), "3D000"),
    ] {
        let (error, said) = refused(&provider(node(&url, "pod"))).await;
        assert!(matches!(error, ProviderError::Refused { .. }), "{said}");
        assert!(matches!(store_error(&error), StoreError::Denied { .. }), "{said}");
        assert!(said.contains(code), "{said}");
    }
    // Requests do not know.
    let service = Service::start(node(&good.replace(PASSWORD, "wr0ng-passw0rd"), "pod"));
    service.degraded("a wrong password").await;
    service.some_traffic().await;
    service.assert_unharmed().await;
}

async fn what_is_no_postgresql() {
    let redis = RedisServer::start().unwrap();
    let mut ports = vec![redis.port()];
    for answer in
        ["HTTP/1.1 400 Bad Request\r\n\r\n", "-ERR unknown command\r\n", "\0\0\0\0\0\0\0\0"]
    {
        ports.push(answering(answer).await);
    }
    for port in ports {
        let url = format!("postgres://app@127.0.0.1:{port}/app?sslmode=disable");
        let pod = || node(&url, "pod").operation_timeout(Duration::from_millis(300));
        let (_, said) = refused(&provider(pod())).await;
        assert!(said.contains("connect") || said.contains("protocol"), "{said}");
        let service = Service::start(pod());
        service.degraded("no PostgreSQL").await;
        service.some_traffic().await;
        service.assert_unharmed().await;
    }
}

/// The port of a server that says this to everybody.
async fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.write_all(answer.as_bytes()).await;
        }
    });
    port
}

async fn encrypted_and_checked() {
    let certificates = Certificates::new().unwrap();
    let authority = certificates.authority.clone();
    let options = PostgresOptions::default()
        .password(PASSWORD)
        .tls(certificates)
        .line("listen_addresses = '127.0.0.1,127.0.0.2'");
    let server = PostgresServer::start_with(options).unwrap();
    let trusting = || TlsOptions::default().trusting(authority.clone());
    let pod = connected(node(&server.url(), "pod").tls(trusting())).await;
    pod.update_vector("r", scarred(1.0)).await.expect("committed");
    let encrypted = server.sql(
        "SELECT bool_and(ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a \
                                USING (pid) WHERE a.usename = 'app'",
    );
    assert_eq!(encrypted.unwrap(), "t");

    // From a file, as most have it.
    let file = std::env::temp_dir().join(format!("atrion-ca-{}.pem", std::process::id()));
    std::fs::write(&file, &authority).unwrap();
    connected(node(&server.url(), "file").ca_file(&file)).await;
    std::fs::remove_file(&file).unwrap();

    let stranger = Certificates::new().unwrap().authority;
    let distrusting =
        provider(node(&server.url(), "x").tls(TlsOptions::default().trusting(stranger)));
    let (error, said) = refused(&distrusting).await;
    assert!(matches!(store_error(&error), StoreError::Tls(_)), "{said}");
    // The certificate is for other names.
    let elsewhere = server.url_at("127.0.0.2", server.port());
    let (error, said) = refused(&provider(node(&elsewhere, "x").tls(trusting()))).await;
    assert!(matches!(store_error(&error), StoreError::Tls(_)), "{said}");
    // A server that takes nothing else takes no clear text.
    let clear = server.url().replace("verify-full", "disable");
    let (error, said) = refused(&provider(node(&clear, "x"))).await;
    assert!(matches!(store_error(&error), StoreError::Denied { .. }), "{said}");
}

async fn a_user_without_privileges() {
    let server = PostgresServer::start().unwrap();
    server.sql("ALTER DATABASE app OWNER TO testkit; REVOKE ALL ON DATABASE app FROM PUBLIC; GRANT CONNECT ON DATABASE app TO app").unwrap();
    let (error, said) = refused(&provider(node(&server.url(), "pod"))).await;
    assert!(matches!(store_error(&error), StoreError::Denied { .. }), "{said}");
    // With the grants of the documentation an operator makes the tables, the application uses them.
    server.sql("CREATE SCHEMA atrion AUTHORIZATION app").unwrap();
    let pod = connected(node(&server.url(), "pod")).await;
    pod.update_vector("r", scarred(1.0)).await.expect("committed");
    server
        .sql(
            "REASSIGN OWNED BY app TO testkit; GRANT USAGE ON SCHEMA atrion TO app; \
             GRANT SELECT ON atrion.meta TO app; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON atrion.nodes, atrion.vectors TO app",
        )
        .unwrap();
    pod.disconnect().await.expect("never fails");
    let least = connected(node(&server.url(), "least")).await;
    least.update_vector("r", scarred(1.0)).await.expect("the documented grants are enough");
}

async fn nothing_shows_the_password() {
    let url = format!("postgres://app:{PASSWORD}@127.0.0.1:1/app");
    let builder = node(&url, "pod");
    assert!(!logs::leaks(&format!("{builder:?}")));
    let pod = provider(builder);
    let (error, _) = refused(&pod).await;
    assert!(!logs::leaks(&format!("{pod:?} {error:?} {:?}", pod.stats())));
}
