//! Encrypted links.

use atrion_cluster::transport::{TlsOptions, TransportError};
use atrion_cluster::url::RedisUrl;
use atrion_testkit::{Certificates, Direction, Event, FaultProxy, RedisOptions, RedisServer};

use crate::harness::{Node, Which, for_each_transport, is_unreachable, names, on};

for_each_transport!(
    a_trusted_server_is_talked_to_in_secret,
    a_stranger_is_not_trusted,
    a_server_may_ask_for_a_certificate,
    plain_text_and_tls_do_not_mix,
);

async fn open(which: Which, url: &str, tls: &TlsOptions) -> Result<Node, TransportError> {
    Node::try_open(&*which.transport_named(url, names(), tls)).await
}

fn over_tls(port: u16) -> String {
    format!("rediss://localhost:{port}")
}

async fn a_trusted_server_is_talked_to_in_secret(which: Which) {
    let certificates = Certificates::new().unwrap();
    let tls = TlsOptions::default().trusting(certificates.authority.clone());
    let server = RedisServer::start_with(RedisOptions::default().tls(certificates)).unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("rediss://{host}:{}", server.port());
        open(which, &url, &tls).await.unwrap().round_trip(b"hush").await;
    }
}

async fn a_stranger_is_not_trusted(which: Which) {
    let (one, other) = (Certificates::new().unwrap(), Certificates::new().unwrap());
    let server = RedisServer::start_with(RedisOptions::default().tls(one)).unwrap();
    let url = over_tls(server.port());
    let tls = TlsOptions::default().trusting(other.authority);
    let error = open(which, &url, &tls).await.err().expect("a stranger");
    assert!(is_unreachable(&error), "{error}");
    // Nor is a private authority trusted unasked. (A machine may have no authorities at all.)
    let parsed: RedisUrl = url.parse().unwrap();
    assert!(parsed.uses_tls());
    let system = TlsOptions::default();
    let usable = match which {
        #[cfg(feature = "redis")]
        Which::Redis => {
            atrion_cluster::transport::RedisTransport::new(parsed, names(), &system).is_ok()
        }
        #[cfg(feature = "fred")]
        Which::Fred => {
            atrion_cluster::transport::FredTransport::new(parsed, names(), &system).is_ok()
        }
    };
    if usable {
        let error = open(which, &url, &system).await.err().expect("unknown authority");
        assert!(is_unreachable(&error), "{error}");
    }
}

async fn a_server_may_ask_for_a_certificate(which: Which) {
    let certificates = Certificates::new().unwrap();
    let without = TlsOptions::default().trusting(certificates.authority.clone());
    let with =
        without.clone().with_identity(certificates.client.clone(), certificates.client_key.clone());
    let options = RedisOptions::default().tls(certificates).client_certificates();
    let server = RedisServer::start_with(options).unwrap();
    let url = over_tls(server.port());
    open(which, &url, &with).await.unwrap().round_trip(b"hush").await;
    let error = open(which, &url, &without).await.err().expect("no certificate");
    assert!(is_unreachable(&error), "{error}");
}

async fn plain_text_and_tls_do_not_mix(which: Which) {
    let certificates = Certificates::new().unwrap();
    let tls = TlsOptions::default().trusting(certificates.authority.clone());
    let secret = RedisServer::start_with(RedisOptions::default().tls(certificates)).unwrap();
    let error = open(which, &on(secret.port()), &tls).await.err().expect("plain text to TLS");
    assert!(error.is_transient(), "{error}");
    // A server without TLS takes the greeting for half a command and waits for the rest.
    let plain = RedisServer::start().unwrap();
    let proxy = FaultProxy::start(plain.port()).await.unwrap();
    let mut events = proxy.events();
    let sent = |e: &Event| matches!(e, Event::Passed(_, Direction::ToServer, _));
    let url = over_tls(proxy.port());
    tokio::select! {
        result = open(which, &url, &tls) => {
            let error = result.err().expect("TLS to plain text");
            assert!(error.is_transient(), "{error}");
        }
        sent = events.until(sent) => drop(sent.unwrap()),
    }
}
