//! Whatever goes wrong, in whatever order: in the end everybody knows everything.

use super::world::{Faults, World, config};

const SEEDS: u64 = 200;

fn seeds() -> std::ops::Range<u64> {
    match std::env::var("ATRION_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    }
}

/// Prints the seed if the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("ATRION_SEED={}", self.0);
        }
    }
}

fn storm(world: &mut World) {
    for step in 0..1_500_u32 {
        if world.rng.below(4) == 0 {
            let (pod, route) = (world.rng.below(3) as usize, world.rng.below(6));
            world.update(pod, &format!("r{route}"), step);
        }
        match world.rng.below(400) {
            0 => {
                let pod = world.rng.below(3) as usize;
                let (now, frames) = (world.clock(pod), world.rng.below(9));
                world.pods[pod].core.handle_dropped(frames, now);
            }
            1 => {
                let pod = world.rng.below(3) as usize;
                world.pods[pod].core.handle_forget("r0");
            }
            2 => world.store = super::world::Store::default(),
            3 => world.now += 700,
            _ => {}
        }
        world.run(3);
    }
}

fn agree(world: &World) {
    for pod in 0..3 {
        assert!(world.is_up(pod), "pod {pod} is not up");
        let core = &world.pods[pod].core;
        assert!(core.is_synced() && core.stats().pending == 0, "{:?}", core.stats());
        assert_eq!(core.stats().conflicts, 0);
        assert!(core.stats().registers <= 2 * 6 + 2, "{:?}", core.stats());
    }
    for route in 0..6 {
        let route = format!("r{route}");
        for pod in 0..3 {
            let others = (0..3).filter(|other| *other != pod);
            let snapshot = |other: usize| world.pods[other].core.snapshot();
            let mut expected: Vec<u64> = others
                .flat_map(snapshot)
                .filter(|own| *own.route == *route)
                .map(|own| own.vector.scar_tissue.get() as u64)
                .collect();
            let mut heard: Vec<u64> =
                world.heard(pod, &route).iter().map(|(scar, _)| *scar as u64).collect();
            expected.sort_unstable();
            heard.sort_unstable();
            assert_eq!(heard, expected, "{route} at pod {pod}");
        }
    }
}

#[test]
fn everything_arrives_in_the_end_however_calls_fail() {
    for seed in seeds() {
        let _seed = Seed(seed);
        let mut world = World::new(seed);
        for node in 1..=3 {
            world.join(config(node));
        }
        world.latency = 1 + seed % 5;
        world.faults = Faults {
            fail: 20 + seed % 200,
            hang: seed % 30,
            frame_lost: seed % 300,
            frame_twice: 100,
            session_lost: seed % 90,
        };
        storm(&mut world);
        world.faults = Faults::default();
        // A deadline, the longest wait after a denial, a session, a heartbeat and a reading.
        world.run(1_000 + 5_000 + 200 + 1_000 + 1_200);
        // What was forgotten while nobody listened goes when it is read again, being old by then.
        // And the store is looked at once more, in case that it has lost everything.
        world.run(31_000);
        for pod in 0..3 {
            let now = world.clock(pod);
            world.pods[pod].core.handle_dropped(1, now);
        }
        world.run(100);
        agree(&world);
        for pod in 0..3 {
            let now = world.clock(pod);
            world.pods[pod].core.handle_disconnect(now);
        }
        world.run(1_100);
        assert!(world.pods.iter().all(|pod| pod.core.is_closed() && !pod.open));
    }
}
