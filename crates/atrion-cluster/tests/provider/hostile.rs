//! A channel and a store that others write to as well.

use atrion_cluster::Client;
use atrion_cluster::wire::{Change, Codec, Frame, MAX_FRAME_BYTES};
use atrion_core::merge::Stamp;
use atrion_core::vector::Stance;
use atrion_state::peers::{NodeId, Notice};
use atrion_state::provider::StateProvider;
use atrion_testkit::RedisServer;
use atrion_testkit::resp::Control;

use crate::harness::{for_each_client, on, until};
use crate::links::Stage;

for_each_client!(
    other_peoples_messages_cost_nothing_but_their_reading,
    messages_that_are_too_long_are_no_reason_to_read_everything,
    frames_that_lie_are_refused_and_those_that_exaggerate_are_bounded,
    garbage_in_the_store_is_counted_and_left_alone,
);

const CHANNEL: &[u8] = b"atrion:sync:suite";

fn publish(control: &mut Control, message: &[u8]) {
    control.call(&[b"PUBLISH", CHANNEL, message]).expect("the server serves");
}

/// How often the server was asked to list the nodes, and to read a node's state.
fn reads(server: &RedisServer) -> u64 {
    let info = server.command("INFO commandstats").unwrap().text().unwrap_or_default();
    let calls = |command: &str| {
        let line = info.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:")));
        let calls = line.and_then(|line| line.split_once("calls=")?.1.split(',').next());
        calls.map_or(0, |calls| calls.parse::<u64>().unwrap_or_default())
    };
    calls("zrevrangebyscore") + calls("hscan")
}

/// What is allowed to be read of two nodes in the seconds that a test takes.
const FEW_READS: u64 = 30;

async fn other_peoples_messages_cost_nothing_but_their_reading(client: Client) {
    let server = RedisServer::start().unwrap();
    let mut stage = Stage::on(client, &on(server.port()), &on(server.port())).await;
    stage.write().await;
    stage.heard("before").await;
    let before = reads(&server);
    let json = br#"{"event":"user.created","user":{"id":42,"mail":"a@example.org"}}"#;
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = [0; 200];
    let mut control = server.control().unwrap();
    for round in 0..8_000_u32 {
        for byte in &mut random {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            *byte = noise.to_le_bytes()[0];
        }
        match round % 4 {
            0 => publish(&mut control, json),
            1 => publish(&mut control, &random[..round as usize % random.len()]),
            2 => publish(&mut control, b""),
            _ => publish(&mut control, b"\xA7ATR\x01 and so on"),
        }
    }
    until("all of it is counted", || {
        let stats = stage.stats();
        stats.refused.values().sum::<u64>() + stats.inbox_dropped >= 8_000
    })
    .await;
    let stats = stage.stats();
    assert!(stats.refused["foreign"] > 0 && stats.refused["truncated"] > 0, "{stats:?}");
    stage.write().await;
    stage.heard("a flood").await;
    assert_eq!((stats.failures, stats.half_dead), (0, 0), "{stats:?}");
    let read = reads(&server) - before;
    assert!(read <= FEW_READS, "{read} reads");
    // Nobody is told of every message.
    assert!(stage.pod.seen.notices().len() < 10, "{:?}", stage.pod.seen.notices());
    stage.assert_unharmed().await;
}

async fn messages_that_are_too_long_are_no_reason_to_read_everything(client: Client) {
    let server = RedisServer::start().unwrap();
    let mut stage = Stage::on(client, &on(server.port()), &on(server.port())).await;
    let before = reads(&server);
    let mut control = server.control().unwrap();
    let long = vec![b'{'; 1 << 20];
    // Not all at once: a server cuts off a subscriber that is 32 MB behind, and what it was to get
    // is then lost before any client could count it.
    for round in 1..=7 {
        for _ in 0..16 {
            publish(&mut control, &long);
            publish(&mut control, &long[..=MAX_FRAME_BYTES]);
        }
        until("all of them are counted", || {
            let stats = stage.stats();
            // A client may have to drop some before it knows how long they are.
            let long = stats.refused.get("too_long").copied().unwrap_or_default();
            long + stats.inbox_dropped >= 32 * round
        })
        .await;
    }
    stage.write().await;
    stage.heard("long messages").await;
    let stats = stage.stats();
    assert!(stats.refused["too_long"] > 0, "{stats:?}");
    assert_eq!(stats.failures, 0, "{stats:?}");
    let read = reads(&server) - before;
    assert!(read <= FEW_READS, "{read} reads");
    stage.assert_unharmed().await;
}

/// A frame of a node that does not exist, about one route.
fn lie(codec: &Codec, sequence: u64, change: Change) -> Vec<u8> {
    let stamp = Stamp { incarnation: 1, sequence };
    let mut frame = Frame::new(NodeId(99), stamp);
    frame.changes = vec![change];
    codec.encode(&frame).expect("valid").to_vec()
}

async fn frames_that_lie_are_refused_and_those_that_exaggerate_are_bounded(client: Client) {
    /// Where the only change's parts are: see `docs/wire-format.md`.
    const FIRST: usize = 59;
    let server = RedisServer::start().unwrap();
    let mut stage = Stage::on(client, &on(server.port()), &on(server.port())).await;
    let codec = Codec::new("suite", None);
    let change = Change {
        route: codec.route_id("steady"),
        scar: 40.0,
        evidence: 50.0,
        demand: 20.0,
        momentum: 0.0,
        resistance: 40.0,
        stance: Stance { open: true, held: false, good: false },
    };
    let honest = lie(&codec, 1, change);
    let mut control = server.control().unwrap();
    let patched = |at: usize, bytes: &[u8]| {
        let mut frame = honest.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    let mut sent = 0;
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, -f32::MIN_POSITIVE, f32::MAX] {
        publish(&mut control, &patched(FIRST + 8, &number.to_le_bytes()));
        sent += 1;
    }
    for at in 0..honest.len() {
        publish(&mut control, &honest[..at]);
        sent += 1;
    }
    // From the future: another major version.
    publish(&mut control, &patched(4, &[2]));
    publish(&mut control, &lie(&Codec::new("another", None), 1, change));
    sent += 2;
    until("everything is refused", || stage.stats().refused.values().sum::<u64>() >= sent).await;
    let refused = stage.stats().refused;
    for kind in ["bad_number", "truncated", "foreign", "newer_major", "other_cluster"] {
        assert!(refused.get(kind).is_some_and(|count| *count > 0), "{kind}: {refused:?}");
    }
    assert!(stage.pod.atrion.nodes().iter().all(|node| node.id != NodeId(99)));

    // Valid numbers, however mad, are one node's word among others': it is looked into, and requests
    // with evidence of their own flow.
    let mad = Change { scar: 1e6, evidence: f32::MAX, demand: f32::MAX, ..change };
    for sequence in 2..200 {
        let one = if sequence % 2 == 0 { mad } else { Change { scar: 0.0, ..change } };
        publish(&mut control, &lie(&codec, sequence, one));
    }
    until("it is heard", || {
        stage.pod.atrion.nodes().iter().any(|node| node.id == NodeId(99) && node.frames > 100)
    })
    .await;
    stage.some_traffic().await;
    // The same number twice with different contents: the first stands, and nothing breaks.
    publish(&mut control, &lie(&codec, 1_000, mad));
    publish(&mut control, &lie(&codec, 1_000, Change { scar: 3.0, ..change }));
    publish(&mut control, &lie(&codec, u64::MAX, change));
    publish(&mut control, &lie(&codec, 5, mad));
    stage.write().await;
    stage.heard("lies").await;
    assert_eq!(stage.stats().failures, 0);
    stage.assert_unharmed().await;
}

async fn garbage_in_the_store_is_counted_and_left_alone(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let mut control = server.control().unwrap();
    // Somebody else's idea of an index and of states, from before.
    let far = u64::MAX / 4;
    for member in [&b"not a node"[..], b"", &[0; 8], b"0000000000000007", &[0xff; 100]] {
        let score = far.to_string();
        control.call(&[b"ZADD", b"atrion:{suite}:nodes", score.as_bytes(), member]).unwrap();
        let key = [b"atrion:{suite}:state:", member].concat();
        for (field, value) in [(&b"f"[..], &b"v"[..]), (&[1; 8], &[0xff; 900]), (b"", b"")] {
            control.call(&[b"HSET", &key, field, value]).unwrap();
        }
    }
    let mut stage = Stage::on(client, &url, &url).await;
    stage.write().await;
    stage.heard("garbage in the store").await;
    until("it is counted", || {
        let stats = stage.stats();
        stats.foreign_nodes > 0 && stats.refused.contains_key("foreign")
    })
    .await;
    // A key of the wrong type: an error of the server, told of and lived with until it is gone.
    server.command("DEL atrion:{suite}:nodes").unwrap();
    server.command("SET atrion:{suite}:nodes mine").unwrap();
    stage.degraded("a key of the wrong type").await;
    stage.some_traffic().await;
    let trouble = stage.pod.provider.trouble().expect("there is");
    assert!(trouble.contains("WRONGTYPE"), "{trouble}");
    server.command("DEL atrion:{suite}:nodes").unwrap();
    stage.healthy("a key of the wrong type").await;
    stage.write().await;
    stage.heard("a key of the wrong type").await;
    let down = |notice: &Notice| matches!(notice, Notice::LinkDown { .. });
    assert_eq!(stage.pod.seen.count(down), 1);
    stage.assert_unharmed().await;
}
