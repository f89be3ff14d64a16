//! Any sequence of operations, against a small model: see [`world`]. The fuzzer's target `operations`
//! plays the same.

mod ops;
mod world;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::test_runner::RngSeed;

use world::World;

fn play(bytes: &[u8], process_circuit: bool) {
    World::new(process_circuit).play(&ops::decode(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        // The fuzzer looks elsewhere.
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_of_operations_adds_up(bytes in vec(any::<u8>(), 0..1_500)) {
        play(&bytes, false);
    }

    #[test]
    fn any_sequence_adds_up_with_the_process_in_series(bytes in vec(any::<u8>(), 0..1_500)) {
        play(&bytes, true);
    }
}

#[test]
fn the_sequences_reach_what_matters() {
    use proptest::strategy::{Strategy as _, ValueTree as _};
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let (mut admitted, mut refused, mut opened, mut restarted) = (0, 0, 0, 0);
    for _ in 0..100 {
        let bytes = vec(any::<u8>(), 1_000..1_500).new_tree(&mut runner).expect("bytes").current();
        let mut world = World::new(false);
        world.play(&ops::decode(&bytes));
        admitted += world.summary.admitted;
        refused += world.summary.refused;
        opened += u32::from(world.summary.opened);
        restarted += u32::from(world.summary.restarted);
    }
    assert!(admitted > 2_000 && refused > 200, "{admitted} admitted, {refused} refused");
    assert!(opened > 0 && restarted > 20, "{opened} opened, {restarted} restarted");
}
