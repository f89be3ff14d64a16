//! What the licence allows.

use super::super::*;
use super::world::{World, config, grant};

fn limited(clusters: Option<u32>, nodes: Option<u32>) -> Grant {
    Grant { clusters, nodes, ..grant() }
}

impl World {
    fn grant(&mut self, pod: usize, grant: Option<Grant>) {
        let now = self.clock(pod);
        self.pods[pod].core.handle_grant(grant, now);
    }

    fn connect(&mut self, pod: usize, grant: Grant) {
        self.grant(pod, Some(grant));
        let now = self.clock(pod);
        self.pods[pod].core.handle_connect(now);
    }
}

#[test]
fn without_a_licence_the_store_is_left_alone() {
    let mut world = World::new(3);
    let pod = world.add(config(1));
    let now = world.clock(pod);
    world.pods[pod].core.handle_connect(now);
    world.update(pod, "r", 9);
    world.run(10_000);
    assert_eq!(world.pods[pod].core.health(), Health::Degraded);
    assert!(world.pods[pod].took().is_empty());
    assert_eq!(world.pods[pod].events, [Event::Unlicensed]);
    assert!(world.pods[pod].core.own("r").is_some());

    world.grant(pod, Some(grant()));
    world.run(10);
    assert!(world.is_up(pod));
    assert_eq!(world.pods[pod].took(), ["open", "clock", "nodes", "clear"]);
    world.grant(pod, Some(grant()));
    world.run(10);
    assert!(world.pods[pod].took().is_empty(), "nothing new");

    world.grant(pod, None);
    world.run(5_000);
    assert_eq!(world.pods[pod].took(), ["close"]);
    assert_eq!(world.pods[pod].core.health(), Health::Degraded);
    assert_eq!(world.pods[pod].events.iter().filter(|e| **e == Event::Unlicensed).count(), 2);
}

#[test]
fn the_newest_cluster_over_the_limit_is_refused_until_there_is_room() {
    let mut world = World::new(4);
    let shop = world.add(config(1));
    world.connect(shop, limited(Some(1), None));
    world.run(100);
    assert_eq!(world.pods[shop].took(), ["open", "clock", "register", "nodes", "clear"]);
    let other = world.add(CoreConfig { cluster: Arc::from("bank"), ..config(2) });
    world.connect(other, limited(Some(1), None));
    world.run(10_000);
    assert!(world.is_up(shop) && !world.is_up(other));
    assert_eq!(world.pods[other].took(), ["open", "clock", "register", "close"]);
    let names = vec!["shop".to_owned(), "bank".to_owned()];
    assert_eq!(world.pods[other].events, [Event::OverLimit { names }]);

    // Tried again each hour; a larger licence is taken at once.
    world.grant(other, Some(limited(Some(2), None)));
    world.run(20);
    assert!(world.is_up(other));
    // And a smaller one loses the place.
    world.grant(other, Some(limited(Some(1), None)));
    world.run(20);
    assert!(!world.is_up(other) && world.is_up(shop));
}

#[test]
fn a_refused_cluster_tries_again_after_an_hour() {
    let mut world = World::new(4);
    let shop = world.add(config(1));
    world.connect(shop, limited(Some(1), None));
    world.run(50);
    let other = world.add(CoreConfig { cluster: Arc::from("bank"), ..config(2) });
    world.connect(other, limited(Some(1), None));
    world.run(50);
    world.pods[shop].alive = false;
    world.pods[other].took();
    for hour in 0..26 {
        assert!(!world.is_up(other), "{hour}");
        world.now += 3_599_000;
        world.run(1_200);
        if world.is_up(other) {
            assert!(hour >= 23, "after {hour} h");
            return;
        }
    }
    panic!("the place was never free");
}

#[test]
fn nodes_are_counted_too_and_a_restart_gets_its_place_within_a_minute() {
    let mut world = World::new(5);
    let licence = limited(None, Some(2));
    for node in 1..=3 {
        let pod = world.add(config(node));
        world.connect(pod, licence.clone());
        world.run(50);
    }
    assert_eq!([0, 1, 2].map(|pod| world.is_up(pod)), [true, true, false]);
    world.run(30_000);
    assert_eq!(world.pods[2].events.len(), 1, "told once: {:?}", world.pods[2].events);
    world.pods[0].alive = false;
    world.run(90_000);
    assert_eq!([1, 2].map(|pod| world.is_up(pod)), [true, true]);
}
