//! The fifteen regression recipes of the blending study, section 5: what went wrong in rules that
//! look as good, and must not here.

use std::time::Duration;

use atrion_cluster::simulation::Lie;
use atrion_cluster::wire::{Change, Codec, Frame};
use atrion_core::flow::Priority;
use atrion_core::merge::Stamp;
use atrion_core::vector::Stance;
use atrion_state::peers::NodeId;
use atrion_state::provider::StateProvider;

use crate::outages::outage;
use crate::world::{ROUTE, World};

const WARM: f64 = 5.0;

/// Counts how often a property of each node's route changes.
fn changes(world: &mut World, secs: f64, of: impl Fn(&atrion_engine::Route) -> bool) -> Vec<u32> {
    let nodes = world.nodes.len();
    let mut last = vec![false; nodes];
    let mut count = vec![0; nodes];
    world.run_with(secs, |world| {
        for id in 0..nodes {
            let now = world.route(id).is_some_and(|route| of(&route));
            count[id] += u32::from(now != last[id]);
            last[id] = now;
        }
    });
    count
}

/// 1. A running blend of messages lets one open node's pain come back through the others.
#[test]
fn one_node_in_trouble_does_not_close_the_healthy() {
    let mut world = World::new(1, 5);
    world.run(WARM);
    world.reset_tallies();
    world.set_dead([0], true);
    world.run(30.0);
    let healthy = world.total(1..5);
    println!("one open: {}", healthy.harms());
    assert!(healthy.worst_harm() < 2.0, "{}", healthy.harms());
}

/// 2. A liar that holds bulk back starves the honest of evidence and becomes the only voter.
#[test]
fn a_liar_never_becomes_the_only_voter_on_a_bulk_route() {
    let mut world = World::new(2, 3);
    for node in &mut world.nodes {
        node.only = Some(Priority::Bulk);
    }
    world.nodes[2].lie = Some(Lie::OUTAGE);
    let mut fewest = u32::MAX;
    world.run(WARM);
    world.reset_tallies();
    world.run_with(400.0, |world| {
        for id in 0..2 {
            let vector = world.route(id).map(|route| route.vector());
            let votes = vector.is_some_and(|vector| vector.evidence.get() >= 1.0);
            fewest = fewest.min(u32::from(votes));
        }
    });
    let bulk = world.total(0..2).harm(Priority::Bulk);
    println!("starvation: {bulk:.2} %");
    assert!(bulk < 1.0, "{bulk} % of bulk refused");
    assert_eq!(fewest, 1, "an honest node lost its vote");
}

/// 3. Evidence that counts requests and not successes lets a failing node vote that it is well.
#[test]
fn a_failing_quiet_node_stops_voting_that_it_is_well_after_two_failures() {
    let mut world = World::new(3, 1);
    world.nodes[0].rate = 0.5;
    world.run(60.0);
    world.set_dead([0], true);
    world.reset_tallies();
    let mut vote_after_two = None;
    world.run_with(60.0, |world| {
        if world.nodes[0].tally.sent_dead == 3 && vote_after_two.is_none() {
            let vector = world.route(0).expect("alive").vector();
            vote_after_two = Some(vector.scar_tissue.is_zero() && vector.evidence.get() >= 1.0);
        }
    });
    assert_eq!(vote_after_two, Some(false), "still votes healthy");
}

/// 4. A breaker that reads the blended scar flaps; it follows its own errors only, at any gamma.
#[test]
fn a_third_of_the_cluster_down_changes_modes_at_most_twice() {
    for gamma in [0.3, 1.0] {
        let mut world = World::with_gamma(4, 6, gamma);
        world.run(WARM);
        world.set_dead(0..2, true);
        let opened = changes(&mut world, 30.0, atrion_engine::Route::is_open);
        world.set_dead(0..2, false);
        let closed = changes(&mut world, 10.0, atrion_engine::Route::is_open);
        for id in 0..6 {
            assert!(opened[id] + closed[id] <= 3, "gamma {gamma}: node {id} {opened:?} {closed:?}");
        }
        assert!(opened[2..].iter().all(|n| *n == 0), "a healthy node's breaker opened: {opened:?}");
    }
}

/// 5. A cold asker must not get the whole caution on top of a healthy majority.
#[test]
fn a_cold_node_asking_a_healthy_majority_is_barely_cautious() {
    let mut world = World::new(5, 5);
    world.nodes[4].lie = Some(Lie::OUTAGE);
    world.nodes[3].rate = 0.0;
    world.run(20.0);
    let route = world.route(3).expect("alive");
    world.run(1.0);
    let heard = route.explain(Priority::Bulk).parts.cluster_scar;
    assert!(heard <= 14.0 && !route.is_held(), "{heard} ohm");
}

/// 6. A word clipped to exactly the opening threshold must not chatter.
#[test]
fn quiet_nodes_do_not_chatter_at_the_threshold() {
    let mut world = World::new(6, 5);
    world.nodes[0].rate = 50.0;
    for id in 1..5 {
        world.nodes[id].rate = 0.1;
    }
    world.run(30.0);
    world.set_dead(0..5, true);
    let held = changes(&mut world, 60.0, atrion_engine::Route::is_held);
    println!("held changes in a sparse outage: {held:?}");
    assert!(held.iter().all(|n| *n <= 6), "{held:?}");
}

/// 7. A probe deadline fixed before the others show that they look too: all look at once.
#[test]
fn quiet_nodes_share_the_probing_although_they_learn_of_each_other_late() {
    let (mut asked, mut sent) = (0, 0);
    for seed in 1..=4 {
        let mut world = World::new(seed, 10);
        world.nodes[0].rate = 50.0;
        for id in 1..10 {
            world.nodes[id].rate = 0.3;
        }
        world.run(30.0);
        world.reset_tallies();
        world.set_dead(0..10, true);
        world.run(60.0);
        let quiet = world.total(1..10);
        asked += quiet.asked_dead;
        sent += quiet.sent_dead;
    }
    let share = sent as f64 / asked as f64;
    println!("sparse share {share:.3}");
    assert!(share <= 0.30, "{share}");
}

/// 8. A liar that claims all demand for itself must not keep the others from looking.
#[test]
fn a_lie_about_demand_does_not_delay_recovery() {
    for nodes in [2, 5, 20, 50] {
        let mut world = World::new(8, nodes);
        let liar = nodes - 1;
        world.nodes[liar].lie = Some(Lie { demand: 1e12, ..Lie::OUTAGE });
        world.run(WARM);
        world.reset_tallies();
        world.set_dead(0..liar, true);
        world.run(20.0);
        world.set_dead(0..liar, false);
        let healed = world.step;
        world.run(8.0);
        let recovery = world.total(0..liar).recovery_secs(healed);
        println!("demand lie N={nodes}: {recovery:?}");
        assert!(recovery.is_some_and(|secs| secs <= 4.0), "N={nodes}: {recovery:?}");
    }
}

/// 9. The healthy zone's good probes must not keep inviting the dead zone.
#[test]
fn a_healthy_zone_does_not_invite_the_dead_one_to_its_own_harm() {
    let (mut zone, mut shared) = (0, 0);
    for seed in 1..=3 {
        let mut world = World::new(seed, 5);
        world.run(WARM);
        world.reset_tallies();
        world.set_dead(0..3, true);
        world.run(30.0);
        zone += world.total(0..3).sent_dead;
        shared += outage(seed, 3, 0.3).0;
    }
    println!("zone {zone} shared {shared}");
    assert!(zone as f64 <= 1.2 * shared as f64, "{zone} against {shared}");
}

/// 10. A restarted node starts its numbers anew; the others must listen all the same.
#[test]
fn a_rolling_restart_in_an_outage_is_heard() {
    let mut world = World::new(10, 5);
    world.run(WARM);
    world.reset_tallies();
    world.set_dead(0..5, true);
    for id in 0..5 {
        world.run(6.0);
        world.restart(id);
        world.run(0.5);
        let codec = Codec::new("default", None);
        let restarted = codec.node_id(&format!("node-{id}"));
        let now = world.nodes[(id + 1) % 5].provider.with_core(|_, now| now);
        let peers = world.nodes[(id + 1) % 5].provider.peers().expect("a cluster");
        let heard = peers.nodes(now).into_iter().find(|node| node.id == restarted);
        let silent = heard.map(|node| node.silent_for);
        assert!(silent.is_some_and(|s| s <= Duration::from_millis(350)), "node {id}: {silent:?}");
    }
    let dead = world.total(0..5).sent_dead;
    println!("rolling restart: {dead} dead requests");
    assert!(dead <= 330, "{dead}");
}

/// 11. Clocks that differ by half a minute change nothing: only ages are sent.
#[test]
fn clock_offsets_change_nothing() {
    let run = |offsets: [u64; 4]| {
        let mut world = World::new(11, 4);
        for (id, offset) in offsets.into_iter().enumerate() {
            world.offset(id, Duration::from_secs(offset));
        }
        world.nodes[3].rate = 0.2;
        world.run(10.0);
        world.reset_tallies();
        world.set_dead(0..4, true);
        world.run(20.0);
        world.set_dead(0..4, false);
        world.run(5.0);
        (0..4).map(|id| (world.nodes[id].tally.sent_dead, world.nodes[id].tally.refused)).collect()
    };
    let same: Vec<_> = run([3_600; 4]);
    let different: Vec<_> = run([3_570, 3_600, 3_630, 90_000]);
    assert_eq!(same, different);
}

/// 12. Poisoned numbers: the frame is refused whole, nothing changes, and it is counted.
#[test]
fn poisoned_frames_leave_no_trace() {
    let codec = Codec::new("default", None);
    let route = codec.route_id(ROUTE);
    let change = Change {
        route,
        scar: 123.25,
        evidence: 77.5,
        demand: 33.125,
        momentum: 0.5,
        resistance: 222.75,
        stance: Stance { open: true, ..Stance::CALM },
    };
    let mut world = World::new(12, 2);
    world.run(WARM);
    let poison = [f32::NAN, -1e9, f32::INFINITY, f32::NEG_INFINITY];
    let mut sent = 0;
    for (sequence, bad) in poison.into_iter().cycle().take(20).enumerate() {
        let frame = Frame {
            node: NodeId(0xbad),
            stamp: Stamp { incarnation: 1, sequence: sequence as u64 + 1 },
            sent_millis: 0,
            age_millis: 0,
            leaving: false,
            node_name: None,
            changes: vec![change],
            names: vec![(route, ROUTE.into())],
            forgotten: Vec::new(),
        };
        let good = codec.encode(&frame).expect("fits").to_vec();
        let field = [123.25_f32, 77.5, 33.125, 0.5, 222.75][sequence % 5].to_le_bytes();
        let at = good.windows(4).position(|bytes| bytes == field).expect("the field is in there");
        let mut bytes = good;
        bytes[at..at + 4].copy_from_slice(&bad.to_le_bytes());
        let now = world.now();
        world.bus.publish(&bytes.into(), 1, now);
        sent += 1;
        world.run(0.1);
    }
    let stats = world.nodes[0].provider.stats();
    assert_eq!(stats.refused.values().sum::<u64>(), sent, "{:?}", stats.refused);
    let heard = world.route(0).expect("alive").explain(Priority::Bulk);
    assert!(heard.flows() && heard.parts.cluster_scar.abs() < 1e-12, "{heard:?}");
}

/// 13. The word of a hot node that died just before the cause was gone.
#[test]
fn a_departed_node_does_not_delay_recovery() {
    for seed in 1..=4 {
        let mut world = World::new(seed, 4);
        world.nodes[0].rate = 200.0;
        world.run(WARM);
        world.reset_tallies();
        world.set_dead(0..4, true);
        world.run(20.0);
        world.kill(0);
        world.run(1.0);
        world.set_dead(0..4, false);
        let healed = world.step;
        world.run(6.0);
        let recovery = world.total(1..4).recovery_secs(healed);
        println!("departed seed {seed}: {recovery:?}");
        assert!(recovery.is_some_and(|secs| secs <= 1.5), "seed {seed}: {recovery:?}");
    }
}

/// 14. A liar that comes and goes asks for proof again each time.
#[test]
fn a_toggling_liar_costs_bulk_little() {
    let mut world = World::new(14, 5);
    for node in &mut world.nodes {
        node.only = Some(Priority::Bulk);
    }
    world.run(WARM);
    world.reset_tallies();
    for _ in 0..10 {
        world.nodes[4].lie = Some(Lie::OUTAGE);
        world.run(6.0);
        world.nodes[4].lie = Some(Lie { scar: 0.0, open: false, ..Lie::OUTAGE });
        world.run(6.0);
    }
    let bulk = world.total(0..4).harm(Priority::Bulk);
    println!("toggling liar: {bulk:.2} %");
    assert!(bulk <= 6.0, "{bulk} %");
}

/// 15. A scar left over when the breaker closes keeps bulk out for ten seconds.
#[test]
fn nothing_is_left_of_an_outage_once_it_is_over() {
    let mut world = World::new(15, 5);
    world.run(WARM);
    world.set_dead(0..5, true);
    world.run(20.0);
    world.set_dead(0..5, false);
    world.run(2.5);
    world.reset_tallies();
    world.run(10.0);
    let total = world.total(0..5);
    println!("residue: {}", total.harms());
    assert!(total.harm(Priority::Bulk) <= 1.1, "{}", total.harms());
}

/// The bound on one broken or lying node of three or more: no normal request, at most 2 % of the
/// lower tiers. And what more of them can do.
#[test]
fn lying_nodes_cost_the_healthy_what_the_bound_says() {
    for (nodes, liars, normal, lower) in
        [(3, 1, 0.0, 2.0), (5, 1, 0.0, 2.0), (5, 2, 0.0, 2.0), (5, 3, 1.5, 2.5)]
    {
        let mut world = World::new(20 + liars as u64, nodes);
        world.run(WARM);
        world.reset_tallies();
        for id in nodes - liars..nodes {
            world.nodes[id].lie = Some(Lie::OUTAGE);
        }
        world.run(60.0);
        let healthy = world.total(0..nodes - liars);
        println!("{liars} of {nodes} lie: {}", healthy.harms());
        for tier in [Priority::Normal, Priority::High, Priority::Critical] {
            assert!(healthy.harm(tier) <= normal, "{liars} of {nodes}: {}", healthy.harms());
        }
        for tier in [Priority::Bulk, Priority::Low] {
            assert!(healthy.harm(tier) <= lower, "{liars} of {nodes}: {}", healthy.harms());
        }
    }
}
