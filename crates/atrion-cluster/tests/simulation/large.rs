//! The large clusters of the study: 50 and 200 nodes.

use crate::outages::outage;
use crate::world::World;

#[test]
fn fifty_nodes_send_a_seventh_of_what_they_would_alone() {
    let (dead, recovery) = outage(1, 50, 0.3);
    let (alone, _) = outage(1, 50, 0.0);
    println!("N=50: dead {dead} alone {alone} recovery {recovery}");
    assert!(dead as f64 <= 0.15 * alone as f64, "{dead} of {alone}");
    assert!(recovery <= 1.5, "{recovery} s");
}

#[test]
fn fifty_nodes_send_at_most_five_probes_a_second_together() {
    let mut world = World::new(1, 50);
    world.run(5.0);
    world.set_dead(0..50, true);
    // By then every breaker has opened.
    world.run(2.0);
    world.reset_tallies();
    world.run(28.0);
    let probes = world.total(0..50).sent_dead as f64 / 28.0;
    println!("N=50: {probes:.2} probes a second");
    assert!(probes <= 5.0, "{probes}");
    assert!(probes >= 2.0, "{probes}: whoever does not look finds nothing");
}

#[test]
fn two_hundred_nodes_probe_within_their_bound() {
    let (dead, recovery) = outage(1, 200, 0.3);
    println!("N=200: dead {dead} recovery {recovery}");
    assert!(dead <= 3_000, "{dead}");
    assert!(recovery <= 1.5, "{recovery} s");
}

#[test]
fn a_large_cluster_speaks_less_often() {
    let per_node_and_second = |nodes: usize| {
        let mut world = World::new(1, nodes);
        world.run(3.0);
        world.set_dead(0..nodes, true);
        world.run(2.0);
        let before = world.bus.frames();
        world.run(4.0);
        (world.bus.frames() - before) as f64 / nodes as f64 / 4.0
    };
    let (few, many) = (per_node_and_second(4), per_node_and_second(400));
    println!("frames per node and second in an outage: 4 nodes {few:.1}, 400 nodes {many:.1}");
    assert!((8.0..=10.5).contains(&few), "{few}");
    assert!((4.0..=5.5).contains(&many), "{many}");
}
