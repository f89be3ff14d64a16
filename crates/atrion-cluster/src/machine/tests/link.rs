//! The link: its steps, its deadlines, what it does when things go wrong.

use std::time::Duration;

use atrion_core::merge::Stamp;

use super::super::*;
use super::world::{Fate, World, config};
use crate::transport::Commit;
use crate::wire::Frame;

#[test]
fn a_session_goes_step_by_step_and_then_beats() {
    let mut world = World::with(1);
    world.update(0, "r", 9);
    world.step();
    assert_eq!(world.pods[0].core.health(), Health::Degraded);
    world.run(20);
    assert_eq!(world.pods[0].took(), ["open", "clock", "nodes", "clear"]);
    assert!(world.is_up(0) && world.pods[0].core.is_synced());
    assert!(matches!(world.pods[0].events[..], [Event::Up { .. }]));
    world.run(5_000);
    assert_eq!(world.pods[0].took(), ["commit"; 5]);
    let seen = world.store.index[&node_key(NodeId(1))];
    assert!(world.now - seen <= 1_010, "the heartbeat renews the index");
}

#[test]
fn news_is_sent_at_once_and_then_at_most_once_per_interval() {
    let mut world = World::with(1);
    world.run(500);
    world.pods[0].took();
    for step in 0..490 {
        world.update(0, &format!("r{}", step % 7), step);
        world.run(1);
    }
    assert_eq!(world.pods[0].took(), ["commit"; 5]);
    world.run(150);
    assert_eq!(world.pods[0].core.stats().pending, 0);
    world.run(500);
    world.pods[0].took();
    world.update(0, "r", 1);
    world.run(1);
    assert_eq!(world.pods[0].took(), ["commit"]);
}

#[test]
fn news_that_comes_once_per_interval_never_waits() {
    let mut world = World::with(1);
    world.run(500);
    world.pods[0].took();
    // A heartbeat shortly before the news must not keep it waiting, now and for ever after.
    while world.pods[0].took().is_empty() {
        world.run(1);
    }
    world.run(80);
    for step in 0..20 {
        world.update(0, "r", step);
        world.run(2);
        assert_eq!(world.pods[0].core.stats().pending, 0, "news {step}");
        world.run(98);
    }
    assert_eq!(world.pods[0].took().len(), 20);
}

#[test]
fn a_late_commit_does_not_delay_the_news_after_it() {
    let mut world = World::with(1);
    world.run(500);
    world.latency = 150;
    world.update(0, "r", 0);
    world.run(1);
    world.latency = 1;
    world.run(99);
    // The call before is still under way when this news is due.
    world.update(0, "r", 1);
    world.run(2);
    assert_eq!(world.pods[0].core.stats().pending, 1);
    world.run(98);
    for step in 2..10 {
        world.update(0, "r", step);
        world.run(2);
        assert_eq!(world.pods[0].core.stats().pending, 0, "news {step}");
        world.run(98);
    }
}

#[test]
fn a_hang_ends_by_its_deadline_and_everything_is_sent_again() {
    let mut world = World::with(1);
    world.run(100);
    world.update(0, "r", 9);
    world.fate = Some(Fate::Hangs);
    world.run(100);
    world.fate = None;
    world.pods[0].took();
    world.run(890);
    assert!(world.is_up(0));
    world.run(200);
    assert_eq!(world.pods[0].took(), ["close", "open", "clock", "nodes", "clear"][..]);
    assert_eq!(world.pods[0].core.stats().timeouts, 1);
    assert_eq!(world.store.states[&node_key(NodeId(1))].len(), 1);
    assert!(matches!(&world.pods[0].events[1..], [Event::Down { .. }, Event::Up { .. }]));
}

#[test]
fn a_store_that_is_away_costs_little_and_is_told_once_a_minute() {
    let mut world = World::with(1);
    world.fate = Some(Fate::FailsBefore);
    world.run(90_000);
    let stats = world.pods[0].core.stats();
    assert!((450..=1_000).contains(&stats.failures), "{}", stats.failures);
    assert_eq!(world.pods[0].events.len(), 2, "{:?}", world.pods[0].events);
    world.fate = None;
    world.run(300);
    assert!(world.is_up(0));
    assert!(matches!(world.pods[0].events[2], Event::Up { after } if after.as_secs() == 90));
    // A password that is wrong is not tried as often.
    world.fate = Some(Fate::Denied);
    world.pods[0].took();
    world.run(60_000);
    let opens = world.pods[0].took().iter().filter(|name| **name == "open").count();
    assert!(opens < 25, "{opens}");
}

#[test]
fn own_frames_that_do_not_come_back_end_the_session() {
    let mut world = World::with(1);
    world.run(100);
    world.pods[0].deaf = true;
    world.run(1_900);
    assert!(world.is_up(0));
    while world.is_up(0) {
        world.run(1);
    }
    assert_eq!(world.pods[0].core.stats().half_dead, 1);
    world.pods[0].deaf = false;
    world.run(5_000);
    assert!(world.is_up(0));
    assert_eq!(world.pods[0].core.stats().half_dead, 1);
}

#[test]
fn frames_dropped_on_this_side_are_no_fault_of_the_link() {
    let mut world = World::with(2);
    world.run(100);
    world.pods[0].deaf = true;
    for _ in 0..10 {
        world.update(1, "r", 9);
        world.run(500);
        let now = world.clock(0);
        world.pods[0].core.handle_dropped(3, now);
    }
    let stats = world.pods[0].core.stats();
    assert_eq!((stats.half_dead, stats.inbox_dropped), (0, 30));
    world.run(10);
    assert_eq!(world.heard(0, "r").len(), 1, "it was read");
}

#[test]
fn leaving_tells_the_others_and_does_not_hang() {
    let mut world = World::with(2);
    world.update(0, "r", 9);
    world.run(1_000);
    assert_eq!(world.heard(1, "r").len(), 1);
    let now = world.clock(0);
    world.pods[0].took();
    world.pods[0].core.handle_disconnect(now);
    assert_eq!(world.pods[0].core.health(), Health::Disconnected);
    world.run(10);
    assert_eq!(world.pods[0].took(), ["leave", "close"]);
    assert!(world.pods[0].core.is_closed());
    assert_eq!(world.pods[0].core.poll_timeout(), None);
    assert_eq!((world.heard(1, "r").len(), world.store.index.len()), (0, 1));
    assert!(matches!(world.pods[1].events.last(), Some(Event::NodeLeft { id: NodeId(1), .. })));
    // Back again, with the same incarnation.
    let now = world.clock(0);
    world.pods[0].core.handle_connect(now);
    world.update(0, "r", 8);
    world.run(50);
    assert_eq!(world.heard(1, "r").len(), 1);
    // And away, although the store hangs.
    world.fate = Some(Fate::Hangs);
    let now = world.clock(0);
    world.pods[0].core.handle_disconnect(now);
    world.run(990);
    assert!(!world.pods[0].core.is_closed());
    world.run(20);
    assert!(world.pods[0].core.is_closed());
}

#[test]
fn connecting_while_leaving_drops_the_farewell() {
    let mut world = World::with(1);
    world.run(100);
    world.fate = Some(Fate::Hangs);
    let now = world.clock(0);
    world.pods[0].core.handle_disconnect(now);
    world.run(5);
    world.fate = None;
    let now = world.clock(0);
    world.pods[0].took();
    world.pods[0].core.handle_connect(now);
    assert_eq!(world.pods[0].core.health(), Health::Degraded);
    world.run(10);
    assert_eq!(world.pods[0].took(), ["close", "open", "clock", "nodes", "clear"]);
    assert!(world.is_up(0));
}

#[test]
fn a_node_that_counts_from_below_its_earlier_life_outdoes_it() {
    let mut world = World::with(2);
    world.update(0, "r", 9);
    world.run(1_000);
    // Killed, and restarted with a clock that was put back.
    world.pods[0].alive = false;
    let again = world.join(CoreConfig { incarnation: 5, ..config(1) });
    world.update(again, "q", 3);
    world.run(50);
    assert_eq!((world.heard(1, "r").len(), world.heard(1, "q").len()), (0, 1));
    assert_eq!(world.pods[again].core.stats().conflicts, 1);
    assert_eq!(world.pods[again].core.node(), NodeId(1));
}

#[test]
fn two_processes_with_one_id_part() {
    for first in [1_000, 1_003] {
        let mut world = World::with(1);
        world.join(config(9));
        world.run(500);
        let double = world.join(CoreConfig { incarnation: first, ..config(1) });
        for step in 0..30 {
            world.update(0, "a", step);
            world.update(double, "b", step);
            world.run(200);
        }
        let ids = [world.pods[0].core.node(), world.pods[double].core.node()];
        assert_ne!(ids[0], ids[1]);
        let told = world.pods.iter().flat_map(|pod| &pod.events);
        assert!(told.clone().any(|event| matches!(event, Event::DuplicateNode { id: NodeId(1) })));
        // Both are heard by the third, and by each other, and neither hears itself.
        assert_eq!((world.heard(1, "a").len(), world.heard(1, "b").len()), (1, 1));
        assert_eq!((world.heard(0, "a").len(), world.heard(double, "b").len()), (0, 0));
        assert_eq!((world.heard(0, "b").len(), world.heard(double, "a").len()), (1, 1));
        let conflicts: u64 = world.pods.iter().map(|pod| pod.core.stats().conflicts).sum();
        assert!(conflicts < 12, "{conflicts}");
    }
}

#[test]
fn an_impostor_cannot_keep_a_node_busy() {
    let mut world = World::with(2);
    for route in 0..100 {
        world.update(0, &format!("r{route}"), 9);
    }
    world.run(1_000);
    let codec = Codec::new(super::world::CLUSTER, None);
    for step in 0..10_000_u64 {
        let stamp = Stamp { incarnation: 1_000_000 + step, sequence: 1 };
        let bytes = codec.encode(&Frame::new(world.pods[0].core.node(), stamp)).unwrap();
        for pod in 0..2 {
            let now = world.clock(pod);
            world.pods[pod].core.handle_frame(&bytes, now, UnitInterval::HALF);
        }
        world.run(1);
    }
    let conflicts = world.pods[0].core.stats().conflicts;
    assert!((10..=35).contains(&conflicts), "{conflicts}");
    // Whatever was claimed last is outdone, or the id given up.
    world.run(3_000);
    assert_eq!(world.heard(1, "r7").len(), 1);
    assert!(world.pods[1].core.stats().nodes < 30);
}

#[test]
fn a_clock_that_steps_back_stops_nothing() {
    let mut world = World::with(2);
    world.run(2_000);
    world.pods[0].offset -= 1_000_000;
    world.update(0, "r", 9);
    world.run(2_000);
    world.update(0, "r", 8);
    world.update(1, "s", 7);
    world.run(2_000);
    assert!(world.is_up(0));
    assert_eq!(world.pods[0].core.stats().failures, 0);
    assert_eq!((world.heard(1, "r").len(), world.heard(0, "s").len()), (1, 1));
}

#[test]
fn news_does_not_wait_for_a_large_cluster_to_be_read() {
    let mut world = World::with(40);
    world.latency = 20;
    world.run(2_000);
    let late = world.join(config(99));
    world.run(200); // open, clock, nodes, clear, and the first states
    assert!(!world.pods[late].core.is_synced());
    world.pods[late].took();
    for step in 0..5 {
        world.update(late, "r", step);
        world.run(100);
    }
    let took = world.pods[late].took();
    assert!(took.iter().filter(|name| **name == "commit").count() >= 4, "{took:?}");
    assert!(took.iter().filter(|name| **name == "state").count() >= 15, "{took:?}");
    world.run(2_000);
    assert!(world.pods[late].core.is_synced());
    // Each was read once and not again when it was first heard.
    assert_eq!(world.pods[late].core.stats().resyncs, 40);
}

#[test]
fn an_answer_to_another_question_is_an_error() {
    let mut core = ClusterCore::new(config(1), Codec::new("shop", None), Timestamp::ZERO);
    let (now, draw) = (Timestamp::from_secs(1), UnitInterval::HALF);
    core.handle_grant(Some(super::world::grant()), now);
    core.handle_connect(now);
    let open = core.poll_call(now).unwrap();
    assert_eq!(open.request, Request::Open);
    assert_eq!(core.poll_call(now), None);
    core.handle_completed(CallId(77), Ok(Reply::Opened), now, draw);
    assert_eq!(core.in_flight(), Some(open.id));
    core.handle_completed(open.id, Ok(Reply::Committed), now, draw);
    assert_eq!((core.in_flight(), core.stats().failures), (None, 1));
    assert_eq!(core.poll_call(now).unwrap().request, Request::Close);
    assert!(core.poll_timeout().unwrap() > now);
}

#[test]
fn no_setting_makes_it_panic() {
    for duration in [Duration::ZERO, Duration::MAX] {
        let limits = Limits {
            max_own_routes: 0,
            max_changes: 0,
            max_nodes: 0,
            max_routes_per_node: 0,
            max_registers: 0,
            max_events: 0,
        };
        let config = CoreConfig {
            interval: duration,
            heartbeat: duration,
            lifetime: duration,
            ttl: duration,
            limits,
            ..config(1)
        };
        let mut core = ClusterCore::new(config, Codec::new("shop", None), Timestamp::ZERO);
        core.handle_grant(Some(super::world::grant()), Timestamp::ZERO);
        core.handle_connect(Timestamp::ZERO);
        for millis in 0..200 {
            let (now, draw) = (Timestamp::from_millis(millis), UnitInterval::ONE);
            core.handle_update("r", super::world::vector(1, now), now);
            core.handle_timeout(now, draw);
            let Some(call) = core.poll_call(now) else { continue };
            let reply = match call.request {
                Request::Open => Reply::Opened,
                Request::ServerMillis => Reply::Millis(u64::MAX),
                Request::Commit(Commit { frame, .. }) => {
                    core.handle_frame(&frame, now, draw);
                    Reply::Committed
                }
                Request::Nodes { .. } => Reply::Nodes(vec![node_key(NodeId(2)), "x".into()]),
                Request::State { .. } => Reply::State(vec![("x".into(), "y".into())]),
                Request::Register { .. } => Reply::Registered(Vec::new()),
                Request::Close => continue,
            };
            core.handle_completed(call.id, Ok(reply), now, draw);
            let _ = (core.poll_timeout(), core.nodes(now), core.stats());
        }
        assert_eq!(core.health(), Health::Healthy);
    }
}

#[test]
fn a_store_that_was_emptied_gets_everything_again_with_the_next_heartbeat() {
    let mut world = World::with(1);
    world.update(0, "r", 9);
    world.run(500);
    world.pods[0].took();
    (world.store.index, world.store.states) = Default::default();
    world.run(1_100);
    assert_eq!(world.pods[0].took(), ["commit", "clear"]);
    assert_eq!(world.store.states[&node_key(NodeId(1))].len(), 1);
    assert_eq!(world.pods[0].core.stats().restored, 1);
    world.run(3_000);
    assert_eq!(world.pods[0].core.stats().restored, 1, "once");
}

#[test]
fn what_found_no_room_is_made_good_at_a_bounded_rate() {
    let mut world = World::with(2);
    world.run(500);
    world.pods[0].took();
    for _ in 0..20_000 {
        let now = world.clock(0);
        world.pods[0].core.handle_dropped(7, now);
        world.pods[0].core.handle_too_long(3);
        world.run(1);
    }
    let took = world.pods[0].took();
    let reads = |name| took.iter().filter(|call| **call == name).count();
    assert!((3..=5).contains(&reads("nodes")), "in 20 seconds: {took:?}");
    assert!(reads("state") <= 6, "{took:?}");
    let stats = world.pods[0].core.stats();
    assert_eq!((stats.inbox_dropped, stats.refused["too_long"]), (140_000, 60_000));
    world.run(6_000);
    assert!(world.pods[0].core.is_synced());
}

#[test]
fn what_is_wrong_is_known_for_as_long_as_it_is() {
    let mut world = World::with(1);
    world.run(500);
    assert_eq!(world.pods[0].core.trouble(), None);
    for _ in 0..3 {
        world.fate = Some(Fate::FailsAfter);
        world.run(1_500);
        assert!(world.pods[0].core.trouble().is_some_and(|why| !why.is_empty()));
        world.fate = None;
        world.run(1_500);
        assert_eq!(world.pods[0].core.trouble(), None);
    }
    let downs = |event: &&Event| matches!(event, Event::Down { .. });
    assert_eq!(world.pods[0].events.iter().filter(downs).count(), 1, "told once a minute");
}
