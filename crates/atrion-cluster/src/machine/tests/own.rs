//! What a node says itself, without a store.

use super::super::*;
use super::world::{World, config, grant, vector};
use crate::transport::Commit;

fn core(limits: Limits) -> ClusterCore {
    let config = CoreConfig { limits, ..config(1) };
    ClusterCore::new(config, Codec::new("shop", None), Timestamp::ZERO)
}

fn connected() -> ClusterCore {
    let mut core = core(Limits::default());
    core.handle_connect(Timestamp::ZERO);
    core
}

const fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

#[test]
fn nothing_is_taken_before_it_is_connected_or_kept_after() {
    let mut core = core(Limits::default());
    assert_eq!(core.health(), Health::Disconnected);
    core.handle_update("r", vector(1, at(1)), at(1));
    assert_eq!(core.own("r"), None);
    core.handle_connect(at(1));
    assert_eq!(core.health(), Health::Degraded);
    core.handle_update("r", vector(1, at(1)), at(1));
    core.handle_connect(at(2));
    assert_eq!(core.own("r"), Some(vector(1, at(1))));
    core.handle_disconnect(at(3));
    core.handle_disconnect(at(3));
    assert_eq!((core.health(), core.own("r")), (Health::Disconnected, None));
    assert!(core.is_closed());
    core.handle_connect(at(4));
    assert_eq!((core.health(), core.snapshot()), (Health::Degraded, Vec::new()));
}

#[test]
fn older_words_are_ignored_and_equally_old_ones_replaced() {
    let mut core = connected();
    for (secs, scar, expected) in [(10, 1, 1), (9, 2, 1), (10, 3, 3), (0, 4, 3), (11, 5, 5)] {
        core.handle_update("r", vector(scar, at(secs)), at(20));
        assert_eq!(core.own("r").unwrap().scar_tissue, vector(expected, at(0)).scar_tissue);
    }
    assert_eq!(core.stats().own_older, 2);
}

#[test]
fn the_least_recently_used_route_makes_room() {
    let mut core = core(Limits { max_own_routes: 2, ..Limits::default() });
    core.handle_connect(at(0));
    for route in ["a", "b"] {
        core.handle_update(route, vector(1, at(1)), at(1));
    }
    assert!(core.own("a").is_some());
    core.handle_update("c", vector(1, at(1)), at(1));
    assert!(core.own("b").is_none() && core.own("a").is_some() && core.own("c").is_some());
    assert_eq!((core.stats().own_routes, core.stats().own_evictions), (2, 1));
    let names: Vec<_> = core.snapshot().into_iter().map(|one| one.route).collect();
    assert_eq!(names, [Arc::from("a"), Arc::from("c")]);
}

#[test]
fn what_is_evicted_or_forgotten_is_forgotten_everywhere() {
    let mut world = World::new(1);
    let limits = Limits { max_own_routes: 2, ..Limits::default() };
    world.join(CoreConfig { limits, ..config(1) });
    world.join(config(2));
    world.run(100);
    for route in ["a", "b", "c"] {
        world.update(0, route, 9);
        world.run(150);
    }
    assert_eq!((world.heard(1, "a").len(), world.heard(1, "c").len()), (0, 1));
    world.pods[0].core.handle_forget("c");
    world.pods[0].core.handle_forget("never seen");
    world.run(150);
    assert_eq!(world.heard(1, "c").len(), 0);
    let state = &world.store.states[&node_key(NodeId(1))];
    assert_eq!(state.len(), 1);
    world.update(0, "c", 3);
    world.run(150);
    assert_eq!(world.heard(1, "c").len(), 1);
}

#[test]
fn a_hundred_thousand_words_are_sent_in_few_commits() {
    let mut world = World::new(2);
    let pod = world.add(config(1));
    let now = world.clock(pod);
    world.pods[pod].core.handle_connect(now);
    for id in 0..20_000_u64 {
        // Over the last half hour.
        let at = Timestamp::from_nanos(now.as_nanos() - id * 90_000_000);
        world.pods[pod].core.handle_update(&format!("route/{id}"), vector(1, at), now);
    }
    world.pods[pod].core.handle_grant(Some(grant()), now);
    world.run(2_000);
    assert_eq!(world.store.states[&node_key(NodeId(1))].len(), 20_000);
    let stats = world.pods[pod].core.stats();
    assert_eq!((stats.pending, stats.unencodable), (0, 0));
    let sizes = |r: &Request| match r {
        Request::Commit(Commit { set, .. }) => Some(set.len()),
        _ => None,
    };
    let commits: Vec<usize> =
        world.pods[pod].calls.iter().filter_map(sizes).filter(|n| *n > 0).collect();
    assert!(commits.len() < 160 && commits.iter().all(|n| *n <= 1_024), "{}", commits.len());
}
