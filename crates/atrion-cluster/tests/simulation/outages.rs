//! What sharing is for: an outage seen by all, by some, by the quiet and by the cold.

use crate::world::{ROUTE, World};

const WARM: f64 = 5.0;

/// 30 s of a dead dependency for everybody. Returns the requests sent to it and the seconds until
/// full service after it heals.
pub(crate) fn outage(seed: u64, nodes: usize, gamma: f64) -> (u64, f64) {
    let mut world = World::with_gamma(seed, nodes, gamma);
    world.run(WARM);
    world.reset_tallies();
    world.set_dead(0..nodes, true);
    world.run(30.0);
    world.set_dead(0..nodes, false);
    let healed = world.step;
    world.run(6.0);
    let total = world.total(0..nodes);
    let recovery = total.recovery_secs(healed).unwrap_or(f64::INFINITY);
    (total.sent_dead, recovery)
}

#[test]
fn an_outage_of_all_costs_less_than_alone_and_heals_as_fast() {
    for (nodes, most_dead) in [(2, 155), (3, 180), (5, 215), (10, 290)] {
        let (mut dead, mut alone, mut slowest) = (0, 0, 0.0);
        for seed in 1..=3 {
            let (shared, recovery) = outage(seed, nodes, 0.3);
            dead += shared;
            alone += outage(seed, nodes, 0.0).0;
            if recovery > slowest {
                slowest = recovery;
            }
        }
        println!("N={nodes}: dead {} alone {} recovery {slowest}", dead / 3, alone / 3);
        assert!(
            dead / 3 <= most_dead,
            "N={nodes}: {} dead requests, {} alone",
            dead / 3,
            alone / 3
        );
        assert!(dead < alone);
        assert!(slowest <= 1.5, "N={nodes}: recovery took {slowest} s");
    }
}

#[test]
fn quiet_nodes_are_warned_before_their_own_failures() {
    for nodes in [3, 5, 10] {
        let mut world = World::new(7, nodes);
        for id in 1..nodes {
            world.nodes[id].rate = 0.1;
        }
        world.nodes[0].rate = 50.0;
        world.run(40.0);
        world.reset_tallies();
        world.set_dead(0..nodes, true);
        world.run(60.0);
        let quiet = world.total(1..nodes);
        let share = quiet.sent_dead as f64 / quiet.asked_dead.max(1) as f64;
        let mut own_failures = 0.0;
        for id in 1..nodes {
            own_failures += world.nodes[id].tally.sent_dead_before_refusal as f64;
        }
        own_failures /= (nodes - 1) as f64;
        println!("sparse N={nodes}: share {share:.2} own failures {own_failures:.2}");
        assert!(share <= 0.36, "N={nodes}: {share} of the quiet nodes' requests were sent");
        assert!(own_failures <= 0.7, "N={nodes}: {own_failures}");
    }
}

#[test]
fn a_node_that_never_had_a_request_is_warned_before_its_first() {
    let mut world = World::new(11, 5);
    for id in 1..5 {
        world.nodes[id].rate = 0.0;
    }
    world.run(WARM);
    world.set_dead(0..5, true);
    let mut warned_after = None;
    let start = world.step;
    world.run_with(10.0, |world| {
        if warned_after.is_none() && world.route(1).is_some_and(|route| route.is_held()) {
            warned_after = Some((world.step - start) as f64 / 100.0);
        }
    });
    let warned = warned_after.expect("held before its first request");
    assert!(warned <= 1.0, "warned after {warned} s");
    // The route is made only now, by the first request, and is held from the start.
    let route = world.nodes[2].atrion.as_ref().expect("alive").route(ROUTE);
    assert!(route.is_held(), "a newcomer is told what the others know");
    for id in 1..5 {
        world.nodes[id].rate = 20.0;
    }
    world.reset_tallies();
    world.run(20.0);
    let sent = world.total(1..5).sent_dead;
    println!("cold: {sent} of {}", world.total(1..5).asked_dead);
    assert!(sent <= 70, "{sent} requests of cold nodes were sent to the dead dependency");
}

#[test]
fn a_dead_zone_does_not_take_the_healthy_one_with_it() {
    for seed in [3, 4] {
        let mut world = World::new(seed, 5);
        world.run(WARM);
        world.reset_tallies();
        world.set_dead(0..3, true);
        world.run(30.0);
        let healthy = world.total(3..5);
        println!("zone 3/5: {}", healthy.harms());
        assert!(healthy.worst_harm() <= 3.0, "seed {seed}: {}", healthy.harms());
    }
}
