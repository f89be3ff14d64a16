//! Convergence after loss, duplication, reordering, partitions, restarts and skew, under many seeds.

use std::time::Duration;

use atrion_cluster::simulation::{Answers, Weather};
use atrion_cluster::wire::Codec;
use atrion_core::flow::Priority;
use atrion_core::merge::Report;
use atrion_core::time::Timestamp;
use atrion_state::provider::StateProvider;

use crate::seeds;
use crate::world::{ROUTE, World};

/// Seconds since each pair of nodes last heard of each other, the longest.
fn stalest(world: &World) -> f64 {
    let mut worst = 0.0;
    for (id, node) in world.nodes.iter().enumerate().filter(|(_, n)| n.atrion.is_some()) {
        let now = node.provider.with_core(|_, now| now);
        let known = node.provider.peers().expect("a cluster").nodes(now);
        for (other, peer) in world.nodes.iter().enumerate().filter(|(_, n)| n.atrion.is_some()) {
            if id == other {
                continue;
            }
            // A node that restarted several times in a row may have taken another id.
            let wanted = peer.provider.with_core(|core, _| core.node());
            let silent = known.iter().find(|n| n.id == wanted).map(|n| n.silent_for);
            let silent = silent.map_or(f64::INFINITY, |s| s.as_secs_f64());
            if silent > worst {
                worst = silent;
            }
        }
    }
    worst
}

/// Seconds after a partition heals until all have heard of all.
fn heals_in(seed: u64, nodes: usize, loss: f64) -> f64 {
    let mut world = World::new(seed, nodes);
    world.run(3.0);
    world.set_dead(0..nodes, true);
    world.run(3.0);
    world.bus.weather.loss = loss;
    for id in 0..nodes / 2 {
        world.bus.put_on_side(id, 1);
    }
    world.run(4.0);
    world.bus.join_sides();
    let healed = world.secs();
    let mut converged = None;
    world.run_with(3.0, |world| {
        let since = world.secs() - healed;
        // Everybody has heard a word of everybody that was sent after the healing.
        if converged.is_none() && stalest(world) < since {
            converged = Some(since);
        }
    });
    converged.unwrap_or(f64::INFINITY)
}

#[test]
fn all_know_all_within_three_intervals_after_a_partition() {
    for seed in seeds(20) {
        let secs = heals_in(seed, 5, 0.0);
        assert!(secs <= 0.3, "ATRION_SEED={seed}: {secs} s");
    }
    let secs = heals_in(1, 50, 0.0);
    println!("N=50 without loss: {secs} s");
    assert!(secs <= 0.3, "N=50: {secs} s");
}

#[test]
fn with_thirty_percent_loss_all_know_all_within_a_second() {
    for seed in seeds(20) {
        let secs = heals_in(seed, 5, 0.3);
        assert!(secs <= 1.0, "ATRION_SEED={seed}: {secs} s");
    }
    let secs = heals_in(1, 50, 0.3);
    println!("N=50 with 30 % loss: {secs} s");
    assert!(secs <= 1.0, "N=50: {secs} s");
}

/// What is heard was said: of every other node at most one word, its last, and never one's own.
fn agreement(world: &World, seed: u64) {
    let route = Codec::new("default", None).route_id(ROUTE);
    for (id, node) in world.nodes.iter().enumerate() {
        let now = node.provider.with_core(|_, now| now);
        let mut reports: Vec<Report> = Vec::new();
        node.provider.peers().expect("a cluster").reports(route, now, &mut reports);
        let others = world.nodes.len() - 1;
        assert!(reports.len() <= others, "ATRION_SEED={seed}: node {id} hears {reports:?}");
        for report in &reports {
            // Whoever is silent has nothing to say; a word as old as a scar's healing is none.
            let scar = report.scar.get() * (-0.1 * report.age_secs).exp();
            let said_by_somebody = world.nodes.iter().enumerate().any(|(other, _)| {
                let own = world.route(other).expect("alive").vector().scar_tissue.get();
                other != id && (own - scar).abs() <= 0.05 * own + 0.2
            });
            assert!(said_by_somebody, "ATRION_SEED={seed}: node {id} heard {report:?} of nobody");
        }
    }
}

/// Anything may happen for a while; then the network is fair, and everybody agrees.
#[test]
fn whatever_happened_before_the_cluster_converges() {
    for seed in seeds(200) {
        let nodes = 3 + (seed % 3) as usize;
        let mut world = World::new(seed, nodes);
        world.bus.weather = Weather {
            loss: 0.3 * world.draws.draw().get(),
            duplication: 0.3 * world.draws.draw().get(),
            delay: (
                Duration::from_millis(1),
                Duration::from_millis(1 + (199.0 * world.draws.draw().get()) as u64),
            ),
        };
        for id in 0..nodes {
            let secs = (3_600.0 + 60.0 * world.draws.draw().get()) as u64;
            world.offset(id, Duration::from_secs(secs));
        }
        world.run(1.0);
        for _ in 0..6 {
            trouble(&mut world);
            world.run(0.5);
        }
        world.bus.weather = Weather::FAIR;
        world.bus.join_sides();
        world.bus.answers = Answers::Serves;
        world.set_dead(0..nodes, false);
        // A link that was refused by a dead store tries again within its longest wait.
        world.run(4.0);
        let stale = stalest(&world);
        assert!(stale <= 1.2, "ATRION_SEED={seed}: somebody was not heard of for {stale} s");
        agreement(&world, seed);
        // What is left are own scars that never opened a breaker; they heal by themselves.
        world.run(20.0);
        world.reset_tallies();
        world.run(2.0);
        let after = world.total(0..nodes);
        for tier in [Priority::Normal, Priority::High, Priority::Critical] {
            assert!(after.harm(tier) <= 0.0, "ATRION_SEED={seed}: {} refused", after.harms());
        }
        for id in 0..nodes {
            let route = world.route(id).expect("alive");
            assert!(!route.is_held() && !route.is_open(), "ATRION_SEED={seed}: node {id}");
            let heard = route.explain(Priority::Normal).parts.cluster_scar;
            assert!(heard <= 14.0, "ATRION_SEED={seed}: node {id} hears {heard} ohm");
        }
    }
}

fn trouble(world: &mut World) {
    let nodes = world.nodes.len();
    let id = (world.draws.draw().get() * nodes as f64) as usize;
    match (world.draws.draw().get() * 7.0) as u32 {
        0 => world.nodes[id].dead = !world.nodes[id].dead,
        1 => world.bus.put_on_side(id, 1 - world.bus.side_of(id).min(1)),
        2 => world.restart(id),
        3 => {
            let serves = world.bus.answers == Answers::Serves;
            world.bus.answers = if serves { Answers::Refuses } else { Answers::Serves };
        }
        4 => world.bus.flush_all(),
        5 => world.set_dead(0..nodes, true),
        _ => world.set_dead(0..nodes, false),
    }
}

/// A wall clock that was put back between two lives: the node finds in the store what it was, and
/// is heard all the same.
#[test]
fn a_restart_with_its_clock_put_back_is_heard() {
    for seed in seeds(20) {
        let mut world = World::new(seed, 3);
        world.run(3.0);
        world.set_dead(0..3, true);
        world.run(2.0);
        world.restart_as(1, 3);
        world.run(1.5);
        let stale = stalest(&world);
        assert!(stale <= 0.5, "ATRION_SEED={seed}: not heard of for {stale} s");
    }
}

/// A node never reacts to its own word, however often and late it comes back.
#[test]
fn own_frames_that_come_back_change_nothing() {
    for seed in seeds(20) {
        let mut world = World::new(seed, 1);
        world.run(2.0);
        world.bus.weather.duplication = 1.0;
        world.set_dead([0], true);
        world.run(5.0);
        let node = &world.nodes[0];
        let now: Timestamp = node.provider.with_core(|_, now| now);
        let peers = node.provider.peers().expect("a cluster");
        assert!(peers.troubled(now).is_empty(), "ATRION_SEED={seed}");
        assert_eq!(peers.nodes(now).len(), 1, "ATRION_SEED={seed}: only itself");
        assert!(node.provider.stats().echoes > 0, "its frames did come back");
        let parts = world.route(0).expect("alive").explain(Priority::Normal).parts;
        assert!(parts.cluster_scar.abs() < 1e-9, "ATRION_SEED={seed}: {parts:?}");
    }
}
