//! The control law's trajectories, pinned to the last bit.
//!
//! The law reads no clock, draws no number and computes with `libm` alone, so a scenario has one outcome, on
//! every machine. Recordings are replayed and simulations compared on the strength of that. Each
//! scenario here drives the whole law through a simulated service and compares what it published with
//! `recorded/NAME.txt`: a row every second, readable, and in it a fingerprint of every single decision and
//! number since the beginning. The first row that differs shows when and where two laws part.
//!
//! A change of the law that is meant to change it takes them anew, and shows in the diff what it did:
//! `ATRION_BLESS=1 cargo test -p atrion-core --test trajectories`.

#![allow(clippy::indexing_slicing, reason = "a test may panic")]

mod hearsay;
mod record;
mod reports;
mod scenarios;
mod world;

use record::compare;

/// Runs one scenario and compares it with its record.
fn check(name: &str) {
    let scenario = scenarios::all().into_iter().find(|scenario| scenario.name == name);
    let scenario = scenario.expect("a scenario of this name");
    compare(name, &world::run(&scenario));
}

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_scenario_is_a_test() {
            let tests = [$(stringify!($name)),*];
            assert!(scenarios::all().iter().all(|scenario| tests.contains(&scenario.name)));
        }
    };
}

scenarios! {
    calm, surge, cold_overload, one_worker, sick, wide, stairs, dead, flaky, hung, partly_slow,
    collapsing_start, never_any_yardstick, slipping_clock, slip_in_an_exhale, slip_in_a_start, resting, restored, shared, tuned,
    no_exhale, quiet_and_failing, stalled,
}

#[test]
fn two_runs_of_a_scenario_agree() {
    let scenario = &scenarios::all()[0];
    assert_eq!(world::run(scenario), world::run(scenario));
}
