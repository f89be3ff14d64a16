//! Servers that say no, and things that are no servers.

use std::net::Ipv4Addr;

use atrion_cluster::transport::TransportError;
use atrion_testkit::{RedisOptions, RedisServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{
    Node, PASSWORD, Which, for_each_transport, is_denied, is_unavailable, is_unreachable, news, on,
    tight_lipped,
};

for_each_transport!(
    nobody_listens,
    logins_are_needed_and_have_to_be_right,
    a_channel_without_permission_denies_the_link,
    a_key_without_permission_denies_the_commit,
    a_full_server_is_unavailable,
    a_replica_is_unavailable_and_ends_the_link,
    too_many_clients_are_turned_away,
    a_web_server_is_no_redis,
    answers_without_sense_are_errors,
    a_server_that_repeats_the_password_is_not_quoted,
);

/// The error of opening a link there.
async fn refused(which: Which, url: &str) -> TransportError {
    match Node::try_open(&*which.transport(url)).await {
        Ok(_) => panic!("{url} let us in"),
        Err(error) => error,
    }
}

async fn nobody_listens(which: Which) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for url in [
        format!("redis://:{PASSWORD}@127.0.0.1:{port}"),
        format!("redis+cluster://:{PASSWORD}@127.0.0.1:{port}"),
        format!("redis+sentinel://:{PASSWORD}@127.0.0.1:{port}/m?sentinel_password={PASSWORD}"),
        format!("unix://:{PASSWORD}@/nowhere/at/all"),
        format!("redis://:{PASSWORD}@no-such-host.invalid"),
    ] {
        let error = refused(which, &url).await;
        assert!(is_unreachable(&error), "{error}");
    }
}

async fn logins_are_needed_and_have_to_be_right(which: Which) {
    let options = RedisOptions::default().password(PASSWORD);
    let app = format!("app on >{PASSWORD} ~atrion:* &atrion:* +@all");
    let server = RedisServer::start_with(options.user(&app)).unwrap();
    let port = server.port();
    for login in ["", ":wrong@", "app:wrong@", "nobody:wrong@"] {
        let error = refused(which, &format!("redis://{login}127.0.0.1:{port}")).await;
        assert!(is_denied(&error), "{login}: {error}");
        assert!(!error.is_transient());
    }
    let error = refused(which, &format!("redis://nobody:{PASSWORD}@127.0.0.1:{port}")).await;
    assert!(is_denied(&error), "{error}");
    for login in [format!(":{PASSWORD}"), format!("app:{PASSWORD}")] {
        let url = format!("redis://{login}@127.0.0.1:{port}");
        Node::open(&*which.transport(&url)).await.round_trip(b"in").await;
    }
}

async fn a_channel_without_permission_denies_the_link(which: Which) {
    let app = format!("app on >{PASSWORD} ~* resetchannels &other:* +@all");
    let server = RedisServer::start_with(RedisOptions::default().user(&app)).unwrap();
    let url = format!("redis://app:{PASSWORD}@127.0.0.1:{}", server.port());
    let error = refused(which, &url).await;
    assert!(is_denied(&error), "{error}");
}

async fn a_key_without_permission_denies_the_commit(which: Which) {
    let keys = format!("app on >{PASSWORD} ~other:* &* +@all");
    let commands = format!("poor on >{PASSWORD} ~* &* +@all -hset");
    let options = RedisOptions::default().user(&keys).user(&commands);
    let server = RedisServer::start_with(options).unwrap();
    for user in ["app", "poor"] {
        let url = format!("redis://{user}:{PASSWORD}@127.0.0.1:{}", server.port());
        let node = Node::open(&*which.transport(&url)).await;
        let error = node.commit(&news(b"frame")).await.expect_err("no permission");
        assert!(is_denied(&error), "{error}");
        // The link has not ended by that.
        node.session.server_millis().await.unwrap();
    }
}

async fn a_full_server_is_unavailable(which: Which) {
    let server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let mut node = Node::open(&*transport).await;
    server.command("CONFIG SET maxmemory-policy noeviction").unwrap();
    server.command("CONFIG SET maxmemory 1").unwrap();
    let error = node.commit(&news(b"frame")).await.expect_err("full");
    assert!(is_unavailable(&error) && error.to_string().contains("OOM"), "{error}");
    server.command("CONFIG SET maxmemory 0").unwrap();
    node.commit(&news(b"after")).await.unwrap();
    // What was published all the same by the first one comes first.
    while node.frame().await != "after" {}
}

async fn a_replica_is_unavailable_and_ends_the_link(which: Which) {
    let master = RedisServer::start().unwrap();
    let options = RedisOptions::default().replica_of(master.port());
    let replica = RedisServer::start_with(options).unwrap();
    let mut node = Node::open(&*which.transport(&on(replica.port()))).await;
    let error = node.commit(&news(b"frame")).await.expect_err("read-only");
    assert!(is_unavailable(&error) && error.to_string().contains("READONLY"), "{error}");
    assert_eq!(node.lost().await, error);
}

async fn too_many_clients_are_turned_away(which: Which) {
    let server = RedisServer::start().unwrap();
    let mut control = server.control().unwrap();
    control.call(&[b"CONFIG", b"SET", b"maxclients", b"1"]).unwrap();
    let error = refused(which, &on(server.port())).await;
    // The server closes at once; whether its word is read before is chance.
    assert!(is_unavailable(&error) || is_unreachable(&error), "{error}");
    control.call(&[b"CONFIG", b"SET", b"maxclients", b"100"]).unwrap();
    Node::open(&*which.transport(&on(server.port()))).await.round_trip(b"in").await;
}

/// Something that answers whatever comes with what `answer` makes of it, and hangs up after a few
/// answers: a client may rightly wait for ever for an answer that is missing.
async fn impostor(answer: fn(&[u8]) -> Vec<u8>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_thrice(stream, answer));
        }
    });
    port
}

async fn answer_thrice(mut stream: TcpStream, answer: fn(&[u8]) -> Vec<u8>) {
    let mut buffer = vec![0; 4096];
    for _ in 0..3 {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
        if stream.write_all(&answer(&buffer[..count])).await.is_err() {
            return;
        }
    }
}

async fn a_web_server_is_no_redis(which: Which) {
    let port =
        impostor(|_| b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let error = refused(which, &format!("redis://:{PASSWORD}@127.0.0.1:{port}")).await;
    assert!(!is_denied(&error), "{error}");
}

async fn answers_without_sense_are_errors(which: Which) {
    let port = impostor(|_| b"+OK\r\n+OK\r\n:1\r\n*0\r\n".repeat(8)).await;
    for scheme in ["redis", "redis+cluster", "redis+sentinel"] {
        let path = if scheme.ends_with("sentinel") { "/m" } else { "" };
        let transport = which.transport(&format!("{scheme}://127.0.0.1:{port}{path}"));
        if let Ok(node) = Node::try_open(&*transport).await {
            let error = node.session.server_millis().await.map_err(tight_lipped);
            assert!(error.is_err(), "{error:?}");
        }
    }
}

async fn a_server_that_repeats_the_password_is_not_quoted(which: Which) {
    let port = impostor(|said| {
        let said = String::from_utf8_lossy(said).replace(['\r', '\n'], " ");
        format!("-ERR unknown: {said}\r\n").into_bytes()
    })
    .await;
    // That nothing shows the password is asserted where errors are received.
    refused(which, &format!("redis://:{PASSWORD}@127.0.0.1:{port}")).await;
    refused(which, &format!("redis+cluster://app:{PASSWORD}@127.0.0.1:{port}")).await;
    let sentinel = format!("redis+sentinel://127.0.0.1:{port}/m?sentinel_password={PASSWORD}");
    refused(which, &sentinel).await;
}
