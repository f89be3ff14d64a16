//! What nodes learn from each other.

use std::time::Duration;

use atrion_core::merge::Stamp;
use atrion_core::vector::Stance;

use super::super::*;
use super::world::{World, config, vector};
use crate::wire::{Change, Frame};

fn close(one: f64, other: f64, by: f64) -> bool {
    (one - other).abs() <= by
}

#[test]
fn a_word_reaches_all_others_and_never_oneself() {
    let mut world = World::with(3);
    world.run(100);
    world.update(0, "r", 40);
    world.run(10);
    for pod in [1, 2] {
        let [(scar, age)] = world.heard(pod, "r")[..] else {
            panic!("{:?}", world.heard(pod, "r"))
        };
        assert!(close(scar, 40.0, 1e-9) && close(age, 0.009, 0.01), "{scar} {age}");
        let core = &world.pods[pod].core;
        assert_eq!(core.troubled(world.clock(pod)), [core.route_id("r")]);
    }
    let own = &world.pods[0];
    assert!(world.heard(0, "r").is_empty() && own.changed.is_empty());
    assert!(own.core.stats().echoes > 0 && own.core.troubled(world.clock(0)).is_empty());
    assert_eq!(own.core.stats().conflicts, 0);
}

#[test]
fn what_a_subscriber_sees_is_the_peers_word() {
    let mut world = World::with(2);
    world.update(0, "early", 1);
    world.run(100);
    let now = world.clock(0);
    let said = PhysicsVector { stance: Stance { good: true, ..Stance::CALM }, ..vector(40, now) };
    world.pods[0].core.handle_update("r", said, now);
    world.run(100);
    let seen = world.pods[1].changed.iter().rfind(|remote| &*remote.route == "r").unwrap();
    let there = world.clock(1);
    let age = there.since(seen.vector.timestamp);
    assert!(age > Duration::from_millis(90) && age <= Duration::from_millis(101), "{age:?}");
    assert_eq!(PhysicsVector { timestamp: now, ..seen.vector }, said);
    let mut known: Vec<_> =
        world.pods[1].core.known(there).into_iter().map(|one| one.route).collect();
    known.sort();
    assert_eq!(known, [Arc::from("early"), Arc::from("r")]);
    assert_eq!(world.pods[1].core.known(there), world.pods[1].core.known(there));
}

#[test]
fn who_comes_late_reads_what_is_stored_with_its_age_and_its_names() {
    let mut world = World::with(2);
    world.update(0, "old", 40);
    world.run(20_000);
    world.update(0, "new", 30);
    world.run(1_000);
    let late = world.join(config(3));
    world.run(30);
    let [(scar, age)] = world.heard(late, "old")[..] else { panic!() };
    assert!(close(scar, 40.0, 1e-9) && close(age, 21.0, 0.05), "{scar} {age}");
    assert!(close(world.heard(late, "new")[0].1, 1.0, 0.05));
    let mut told: Vec<_> = world.pods[late].changed.iter().map(|one| &*one.route).collect();
    told.sort_unstable();
    assert_eq!(told, ["new", "old"]);
    assert_eq!(world.pods[late].core.stats().lost, 0);
    let nodes = world.pods[late].core.nodes(world.clock(late));
    assert_eq!(nodes.iter().map(|node| node.id.0).collect::<Vec<_>>(), [3, 1, 2]);
    assert!(nodes[0].is_self && nodes[1].routes == 2 && nodes[1].complaints == 2);
    world.run(2_000);
    let nodes = world.pods[late].core.nodes(world.clock(late));
    assert_eq!(&*nodes[1].name, "pod-1");
    let joined = |event: &&Event| matches!(event, Event::NodeJoined { .. });
    assert_eq!(world.pods[late].events.iter().filter(joined).count(), 2);
}

#[test]
fn lost_frames_are_made_good_by_reading() {
    let mut world = World::with(2);
    world.run(1_500);
    world.faults.frame_lost = 1_000;
    world.update(0, "r", 40);
    world.run(150);
    assert!(world.heard(1, "r").is_empty());
    world.faults.frame_lost = 0;
    world.run(2_500);
    assert_eq!(world.heard(1, "r").len(), 1);
    let stats = world.pods[1].core.stats();
    assert!(stats.lost >= 1 && stats.resyncs >= 1, "{stats:?}");
    assert!(world.pods[1].changed.iter().any(|one| &*one.route == "r"), "with its name");
}

#[test]
fn after_an_outage_everybody_knows_everything_again() {
    let mut world = World::with(4);
    for pod in 0..4 {
        world.update(pod, "r", 10 + pod as u32);
    }
    world.run(500);
    // The server restarts with empty memory.
    world.fate = Some(super::world::Fate::FailsBefore);
    world.run(90_000);
    assert_eq!(world.pods[0].core.stats().nodes, 0, "silent for more than a minute");
    world.store = super::world::Store::default();
    world.update(0, "during", 5);
    world.fate = None;
    world.run(1_500);
    for pod in 0..4 {
        assert!(world.is_up(pod));
        assert_eq!(world.heard(pod, "r").len(), 3);
        assert!(world.heard(pod, "r")[0].1 > 90.0, "as old as they are");
        assert_eq!(world.heard(pod, "during").len(), usize::from(pod != 0));
    }
}

#[test]
fn a_store_that_was_emptied_is_filled_again() {
    let mut world = World::with(1);
    world.update(0, "r", 9);
    world.run(1_000);
    world.store = super::world::Store::default();
    world.run(31_000);
    assert_eq!(world.store.states[&node_key(NodeId(1))].len(), 1);
    let stats = world.pods[0].core.stats();
    assert_eq!((stats.restored, stats.failures), (1, 0));
    let late = world.join(config(2));
    world.run(50);
    assert_eq!(world.heard(late, "r").len(), 1);
}

#[test]
fn foreign_and_broken_bytes_change_nothing() {
    let mut world = World::with(2);
    world.update(1, "r", 40);
    world.run(1_000);
    let before = world.heard(0, "r").len();
    let now = world.clock(0);
    let other = Codec::new("bank", None);
    let stamp = Stamp { incarnation: 1, sequence: 1 };
    let mut frame = Frame::new(NodeId(77), stamp);
    frame.changes.push(Change::of(RouteId(5), &vector(9, now)));
    let foreign = other.encode(&frame).unwrap();
    for bytes in [&b""[..], b"garbage", &foreign, &foreign[..10]] {
        world.pods[0].core.handle_frame(bytes, now, UnitInterval::HALF);
    }
    let stats = world.pods[0].core.stats();
    assert_eq!(stats.refused.values().sum::<u64>(), 4);
    assert_eq!((world.heard(0, "r").len(), stats.nodes), (before, 1));

    // The same in what is stored: words of another node, in another's field, of no time.
    let codec = Codec::new(super::world::CLUSTER, None);
    let key = node_key(NodeId(2));
    let field = |frame: &Frame| super::super::publish::field_of(frame.changes[0].route);
    let mut put = |frame: &Frame, name| {
        let bytes = codec.encode(frame).unwrap();
        world.store.states.get_mut(&key).unwrap().insert(name, bytes);
    };
    frame.sent_millis = 5;
    put(&frame, field(&frame));
    frame.node = NodeId(2);
    put(&frame, "elsewhere".into());
    frame.sent_millis = 0;
    frame.changes[0].route = RouteId(6);
    put(&frame, field(&frame));
    world.store.states.get_mut(&key).unwrap().insert("x".into(), "garbage".into());
    world.store.index.insert("not a node".into(), world.now);
    world.pods[0].core.handle_dropped(1, now);
    world.run(50);
    let stats = world.pods[0].core.stats();
    assert_eq!((stats.foreign_fields, stats.foreign_nodes), (3, 1));
    assert_eq!(stats.refused.values().sum::<u64>(), 5);
    assert_eq!(stats.registers, 1);
}

#[test]
fn one_frame_of_each_node_is_enough_to_agree() {
    let mut world = World::new(11);
    for node in 1..=12 {
        world.join(config(node));
        world.update(node as usize - 1, &format!("r{}", node % 3), node as u32);
        world.update(node as usize - 1, "all", node as u32 * 2);
    }
    world.run(200);
    for route in ["r0", "r1", "r2", "all"] {
        let id = world.pods[0].core.route_id(route);
        // What each has heard, and its own word.
        let sets: Vec<Vec<u64>> = (0..12)
            .map(|pod| {
                let mut all: Vec<u64> =
                    world.heard(pod, route).iter().map(|(s, _)| *s as u64).collect();
                let own = world.pods[pod].core.own(route);
                all.extend(own.map(|vector| vector.scar_tissue.get() as u64));
                all.sort_unstable();
                all
            })
            .collect();
        assert!(sets.windows(2).all(|pair| pair[0] == pair[1]), "{id:?}: {sets:?}");
        assert_eq!(sets[0].len(), if route == "all" { 12 } else { 4 });
    }
}

#[test]
fn what_is_counted_is_what_was_said() {
    let mut world = World::with(2);
    world.faults.frame_twice = 1_000;
    world.run(500);
    for step in 0..5 {
        world.update(0, "r", step);
        world.run(200);
    }
    let (said, heard) = (world.pods[0].core.stats(), world.pods[1].core.stats());
    assert_eq!((said.changes_out, heard.changes_in), (5, 5));
    assert!(heard.duplicates >= 5 && heard.older >= 5, "each came twice: {heard:?}");
    assert!(heard.frames_in >= 10 && said.frames_out >= 5 && said.bytes_out > 100, "{said:?}");
    assert_eq!((said.opens, said.restored), (1, 0));
    assert_eq!((heard.lost, heard.registers, heard.nodes), (0, 1, 1));
    let (core, now) = (&world.pods[1].core, world.clock(1));
    let route = core.route_id("r");
    assert_eq!(core.voices(route, now).len(), 1);
    assert_eq!(core.merged(route, now).map(|remote| &*remote.route == "r"), Some(true));
}

#[test]
fn a_store_that_has_lost_everything_is_filled_again() {
    let mut world = World::with(1);
    world.update(0, "r", 40);
    world.run(500);
    world.store.states.clear();
    world.run(31_000);
    assert_eq!(world.store.states[&node_key(NodeId(1))].len(), 1);
    assert_eq!(world.pods[0].core.stats().restored, 1);
    world.run(31_000);
    assert_eq!(world.pods[0].core.stats().restored, 1, "what is there is left alone");
}
