//! What the port promises while everything works.

use std::collections::BTreeMap;

use atrion_cluster::names::Names;
use atrion_cluster::transport::{Commit, MAX_FRAME_BYTES, Registered, TlsOptions};
use atrion_testkit::RedisServer;
use atrion_testkit::resp::Answer;
use bytes::Bytes;

use crate::harness::{Node, Which, for_each_transport, names, news, on};

for_each_transport!(
    frames_reach_everybody_and_their_sender,
    states_are_set_removed_cleared_and_left,
    nodes_are_listed_by_when_they_were_seen,
    ten_thousand_fields_of_any_bytes_come_back,
    what_is_stored_does_not_stay_for_ever,
    registers_know_first_and_last,
    the_time_is_the_servers,
    clusters_do_not_hear_each_other,
    too_long_frames_are_dropped_and_counted,
    a_socket_file_and_a_database_will_do,
);

async fn frames_reach_everybody_and_their_sender(which: Which) {
    let server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let mut one = Node::open(&*transport).await;
    let mut two = Node::open(&*transport).await;
    let all_bytes: Bytes = (0..=255).collect();
    one.commit(&Commit { frame: all_bytes.clone(), ..news(b"") }).await.unwrap();
    assert_eq!(one.frame().await, all_bytes);
    assert_eq!(two.frame().await, all_bytes);
    // An empty frame is none.
    two.commit(&news(b"")).await.unwrap();
    two.commit(&news(b"QUEUED")).await.unwrap();
    assert_eq!(one.frame().await, "QUEUED");
    assert_eq!(two.frame().await, "QUEUED");
}

async fn states_are_set_removed_cleared_and_left(which: Which) {
    let server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let node = Node::open(&*transport).await;
    let read = async || -> BTreeMap<Bytes, Bytes> {
        node.session.state(b"n", 100).await.unwrap().into_iter().collect()
    };
    let pairs = |pairs: &[(&'static str, &'static str)]| -> Vec<(Bytes, Bytes)> {
        pairs.iter().map(|(field, value)| ((*field).into(), (*value).into())).collect()
    };
    let expected = |fields: &[(&'static str, &'static str)]| pairs(fields).into_iter().collect();
    let empty = BTreeMap::new();
    assert_eq!(read().await, empty);

    let set = pairs(&[("a", "1"), ("b", "2"), ("c", "QUEUED"), ("", "")]);
    node.commit(&Commit { set, ..news(b"") }).await.unwrap();
    assert_eq!(read().await, expected(&[("a", "1"), ("b", "2"), ("c", "QUEUED"), ("", "")]));

    let (set, remove) = (pairs(&[("a", "3")]), vec!["b".into(), "".into(), "none".into()]);
    node.commit(&Commit { set, remove, ..news(b"") }).await.unwrap();
    assert_eq!(read().await, expected(&[("a", "3"), ("c", "QUEUED")]));

    let set = pairs(&[("z", "9")]);
    node.commit(&Commit { set, clear: true, ..news(b"") }).await.unwrap();
    assert_eq!(read().await, expected(&[("z", "9")]));
    assert_eq!(node.session.nodes(0, 10).await.unwrap(), ["n"]);

    let leave = Commit { node: "n".into(), leave: true, ..Commit::default() };
    node.commit(&leave).await.unwrap();
    assert_eq!(read().await, empty);
    assert!(node.session.nodes(0, 10).await.unwrap().is_empty());
}

async fn nodes_are_listed_by_when_they_were_seen(which: Which) {
    let server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let node = Node::open(&*transport).await;
    for (name, seen_millis) in [(&b"old"[..], 1_000), (b"mid\x00\xff", 2_000), (b"new", 3_000)] {
        let commit = Commit { node: Bytes::from_static(name), seen_millis, ..news(b"") };
        node.commit(&commit).await.unwrap();
    }
    let nodes = async |since, limit| node.session.nodes(since, limit).await.unwrap();
    assert_eq!(nodes(0, 10).await, [&b"new"[..], b"mid\x00\xff", b"old"]);
    assert_eq!(nodes(2_000, 10).await, [&b"new"[..], b"mid\x00\xff"]);
    assert_eq!(nodes(0, 1).await, [&b"new"[..]]);
    assert!(nodes(0, 0).await.is_empty());
    // Who was not seen for a time to live is forgotten by whoever commits next.
    let commit = Commit { seen_millis: 62_500, ..news(b"") };
    node.commit(&commit).await.unwrap();
    assert_eq!(nodes(0, 10).await, [&b"n"[..], b"new"]);
}

async fn ten_thousand_fields_of_any_bytes_come_back(which: Which) {
    let server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let node = Node::open(&*transport).await;
    let name = Bytes::from_static(b"pod\r\n\x00\xff{x}");
    let field = |i: u32| {
        let mut field = i.to_be_bytes().to_vec();
        field.extend_from_slice(b"\r\n$-1\r\n");
        (Bytes::from(field), Bytes::from(vec![i.to_le_bytes()[0]; 40]))
    };
    let set: Vec<_> = (0..10_000).map(field).collect();
    let commit = Commit { node: name.clone(), set: set.clone(), ..news(b"") };
    node.commit(&commit).await.unwrap();
    let back = node.session.state(&name, 20_000).await.unwrap();
    assert_eq!(back.len(), set.len());
    let back: BTreeMap<_, _> = back.into_iter().collect();
    assert_eq!(back, set.into_iter().collect());
    assert_eq!(node.session.state(&name, 100).await.unwrap().len(), 100);
    let remove = (0..10_000).map(|i| field(i).0).collect();
    node.commit(&Commit { set: vec![], remove, ..commit }).await.unwrap();
    assert!(node.session.state(&name, 100).await.unwrap().is_empty());
}

async fn what_is_stored_does_not_stay_for_ever(which: Which) {
    let server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let node = Node::open(&*transport).await;
    node.commit(&news(b"")).await.unwrap();
    let keys = [names().index().clone(), names().state(b"n")];
    let mut control = server.control().unwrap();
    for key in &keys {
        let answer = control.call(&[b"PTTL", key]).unwrap();
        let Answer::Integer(left) = answer else { panic!("{answer:?}") };
        assert!((1..=60_000).contains(&left), "{left}");
    }
    // The shortest of lives does not mean for ever, nor does a mad one break the rest.
    node.commit(&Commit { ttl_millis: 0, ..news(b"") }).await.unwrap();
    node.commit(&Commit { ttl_millis: u64::MAX, ..news(b"") }).await.unwrap();
}

async fn registers_know_first_and_last(which: Which) {
    let server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let node = Node::open(&*transport).await;
    let register = async |member: &[u8], now, since| {
        let mut all = node.session.register("lic{1}", member, now, since).await.unwrap();
        all.sort_by(|a, b| a.member.cmp(&b.member));
        all
    };
    let entry = |member: &'static [u8], first_millis, last_millis| Registered {
        member: Bytes::from_static(member),
        first_millis,
        last_millis,
    };
    let t = 1_700_000_000_000;
    assert_eq!(register(b"a\xff", t, t - 1000).await, [entry(b"a\xff", t, t)]);
    let both = [entry(b"a\xff", t, t), entry(b"b", t + 10, t + 10)];
    assert_eq!(register(b"b", t + 10, t - 1000).await, both);
    let again = [entry(b"a\xff", t, t + 500), entry(b"b", t + 10, t + 10)];
    assert_eq!(register(b"a\xff", t + 500, t - 1000).await, again);
    // Who was not seen goes, and is new when it comes back.
    assert_eq!(register(b"a\xff", t + 600, t + 400).await, [entry(b"a\xff", t, t + 600)]);
    let back = [entry(b"a\xff", t, t + 600), entry(b"b", t + 700, t + 700)];
    assert_eq!(register(b"b", t + 700, t + 400).await, back);
    // So does who comes back itself after too long.
    let late = register(b"a\xff", t + 9000, t + 8000).await;
    assert_eq!(late, [entry(b"a\xff", t + 9000, t + 9000)]);
    // Another register is another one.
    let other = node.session.register("lic", b"x", t, t - 1).await.unwrap();
    assert_eq!(other, [entry(b"x", t, t)]);
}

async fn the_time_is_the_servers(which: Which) {
    let server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let node = Node::open(&*transport).await;
    let seconds = || -> u64 {
        let answer = server.command("TIME").unwrap();
        answer.items()[0].text().unwrap().parse().unwrap()
    };
    let before = seconds() * 1000;
    let between = node.session.server_millis().await.unwrap();
    let after = (seconds() + 1) * 1000;
    assert!((before..=after).contains(&between), "{before} {between} {after}");
}

async fn clusters_do_not_hear_each_other(which: Which) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let named = |cluster: &str| {
        let names = Names::new("atrion", "atrion:sync", cluster);
        which.transport_named(&url, names, &TlsOptions::default())
    };
    let mut shop = Node::open(&*named("shop")).await;
    let mut hostile = Node::open(&*named("}:{shop}\r\n*")).await;
    shop.round_trip(b"of the shop").await;
    hostile.round_trip(b"of the other").await;
    shop.round_trip(b"again").await;
    let leave = Commit { node: "n".into(), leave: true, ..Commit::default() };
    hostile.commit(&leave).await.unwrap();
    assert_eq!(shop.session.nodes(0, 10).await.unwrap(), ["n"]);
    assert_eq!(shop.session.state(b"n", 10).await.unwrap().len(), 1);
}

async fn too_long_frames_are_dropped_and_counted(which: Which) {
    let server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let mut node = Node::open(&*transport).await;
    let mut control = server.control().unwrap();
    for size in [MAX_FRAME_BYTES + 1, MAX_FRAME_BYTES] {
        let frame = vec![b'x'; size];
        control.call(&[b"PUBLISH", names().channel(), &frame]).unwrap();
    }
    assert_eq!(node.frame().await.len(), MAX_FRAME_BYTES);
    assert_eq!((node.arrivals.take_too_long(), node.arrivals.take_dropped()), (1, 0));
    assert_eq!(node.arrivals.take_too_long(), 0);
}

async fn a_socket_file_and_a_database_will_do(which: Which) {
    let server = RedisServer::start().unwrap();
    let socket = format!("unix://{}?db=2", server.socket().display());
    for (url, database) in [(socket, "2"), (format!("{}/3", on(server.port())), "3")] {
        let mut node = Node::open(&*which.transport(&url)).await;
        node.round_trip(b"hello").await;
        let mut control = server.control().unwrap();
        control.call(&[b"SELECT", database.as_bytes()]).unwrap();
        let there = control.call(&[b"EXISTS", names().index()]).unwrap();
        assert_eq!(there, Answer::Integer(1), "{url}");
    }
}
