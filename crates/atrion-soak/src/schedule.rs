//! What happens when: a pure function of the seed.
//!
//! A soak goes in rounds. Each begins with a storm in which every kind of fault happens at least
//! once, in an order, at times and with sizes drawn from the seed and the number of the round.

use std::fmt;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

/// Services. The development licence covers as many.
pub(crate) const NODES: usize = 3;
/// The service that is never killed: the witness of memory.
pub(crate) const WITNESS: usize = 0;
/// How long a storm lasts, in milliseconds.
pub(crate) const STORM_MILLIS: u32 = 30_000;
/// No fault begins after this.
const LAST_MILLIS: u32 = 24_000;
/// Nothing that is down, slow or paused stays so for longer.
const LONGEST_MILLIS: u32 = 5_000;

/// Routes with handles of their own, behind the middleware.
pub(crate) const FIXED: [&str; 3] = ["shop", "search", "pay"];

/// How the dependency is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    #[default]
    Healthy,
    /// Each answer takes this many times as long.
    Slow(u32),
    /// So many of a hundred answers are errors.
    Failing(u32),
    /// Nobody gets an answer.
    Hanging,
}

/// A server that nodes use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Store {
    Redis,
    Postgres,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    KillNode(usize),
    StartNode(usize),
    PauseNode(usize),
    ContinueNode(usize),
    KillStore(Store),
    StartStore(Store),
    PauseStore(Store),
    ContinueStore(Store),
    Dependency(Health),
    /// A valid configuration: one of a few.
    Reload {
        node: usize,
        preset: usize,
    },
    /// An invalid one.
    ReloadBad(usize),
    Force {
        node: usize,
        route: usize,
        open: bool,
        millis: u32,
    },
    Reset {
        node: usize,
        route: usize,
    },
    /// Telemetry with numbers that are none, and some that is valid.
    Poison {
        node: usize,
        seed: u64,
    },
    /// So many messages of random bytes on the channels of the cluster.
    GarbageSent {
        count: u32,
        seed: u64,
    },
    /// Random bytes where the cluster keeps what it knows.
    GarbageStored {
        seed: u64,
    },
    /// All viewers of a node hang up in the middle of a line.
    ViewersVanish(usize),
    /// Somebody asks for a stream and never reads it.
    ViewerStuck {
        node: usize,
        millis: u32,
    },
    /// So many times the load.
    Surge(u32),
    /// A node learns something, is told that it is remembered, and is killed at once.
    KillAfterAcknowledged(usize),
}

/// A deed and its time, in milliseconds since the storm began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    pub(crate) at_millis: u32,
    pub(crate) deed: Deed,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6.2} s  {:?}", f64::from(self.at_millis) / 1e3, self.deed)
    }
}

/// The kinds of faults. Each happens in every storm.
#[derive(Clone, Copy, Debug)]
enum Kind {
    NodeDies,
    NodeDiesAcknowledged,
    NodePauses,
    StoreDies(Store),
    StorePauses(Store),
    DependencySlow,
    DependencyFails,
    DependencyHangs,
    ReloadsWell,
    ReloadsBadly,
    ForcedOpen,
    ForcedClosed,
    Scars,
    Poison,
    GarbageSent,
    GarbageStored,
    ViewersVanish,
    ViewerStuck,
    Surge,
}

const KINDS: [Kind; 21] = [
    Kind::NodeDies,
    Kind::NodeDiesAcknowledged,
    Kind::NodePauses,
    Kind::StoreDies(Store::Redis),
    Kind::StorePauses(Store::Redis),
    Kind::StoreDies(Store::Postgres),
    Kind::StorePauses(Store::Postgres),
    Kind::DependencySlow,
    Kind::DependencyFails,
    Kind::DependencyHangs,
    Kind::ReloadsWell,
    Kind::ReloadsBadly,
    Kind::ForcedOpen,
    Kind::ForcedClosed,
    Kind::Scars,
    Kind::Poison,
    Kind::GarbageSent,
    Kind::GarbageStored,
    Kind::ViewersVanish,
    Kind::ViewerStuck,
    Kind::Surge,
];

/// How many configurations [`Deed::Reload`] chooses among; number 0 is the one that nodes start with.
pub(crate) const PRESETS: usize = 4;

/// The storm of one round, in the order of time.
pub(crate) fn storm(seed: u64, round: u32) -> Vec<Step> {
    // Rounds are apart from each other: the first hundred of a seed never change when there are more.
    let mut rng =
        StdRng::seed_from_u64(seed ^ u64::from(round).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut kinds = KINDS.to_vec();
    kinds.shuffle(&mut rng);
    // Some happen twice.
    let again = rng.random_range(0..6);
    kinds.extend_from_within(..again);
    let mut steps = Vec::new();
    for kind in kinds {
        draw(kind, &mut rng, &mut steps);
    }
    steps.sort_by_key(|step: &Step| step.at_millis);
    steps
}

fn draw(kind: Kind, rng: &mut StdRng, steps: &mut Vec<Step>) {
    let at_millis = rng.random_range(0..LAST_MILLIS);
    let lasting = rng.random_range(300..LONGEST_MILLIS);
    let mut add = |at_millis, deed| steps.push(Step { at_millis, deed });
    let node = rng.random_range(0..NODES);
    let mortal = rng.random_range(WITNESS + 1..NODES);
    let route = rng.random_range(0..FIXED.len());
    let (end, seed) = (at_millis + lasting, rng.random());
    match kind {
        Kind::NodeDies => {
            add(at_millis, Deed::KillNode(mortal));
            add(end, Deed::StartNode(mortal));
        }
        Kind::NodeDiesAcknowledged => {
            add(at_millis, Deed::KillAfterAcknowledged(mortal));
            add(end, Deed::StartNode(mortal));
        }
        Kind::NodePauses => {
            add(at_millis, Deed::PauseNode(node));
            add(end, Deed::ContinueNode(node));
        }
        Kind::StoreDies(store) => {
            add(at_millis, Deed::KillStore(store));
            add(end, Deed::StartStore(store));
        }
        Kind::StorePauses(store) => {
            add(at_millis, Deed::PauseStore(store));
            add(end, Deed::ContinueStore(store));
        }
        Kind::DependencySlow => {
            add(at_millis, Deed::Dependency(Health::Slow(rng.random_range(3..30))));
            add(end, Deed::Dependency(Health::Healthy));
        }
        Kind::DependencyFails => {
            add(at_millis, Deed::Dependency(Health::Failing(rng.random_range(20..=100))));
            add(end, Deed::Dependency(Health::Healthy));
        }
        Kind::DependencyHangs => {
            add(at_millis, Deed::Dependency(Health::Hanging));
            add(end, Deed::Dependency(Health::Healthy));
        }
        Kind::ReloadsWell => {
            add(at_millis, Deed::Reload { node, preset: rng.random_range(0..PRESETS) });
        }
        Kind::ReloadsBadly => add(at_millis, Deed::ReloadBad(node)),
        Kind::ForcedOpen => {
            add(at_millis, Deed::Force { node, route, open: true, millis: lasting });
        }
        Kind::ForcedClosed => {
            add(at_millis, Deed::Force { node, route, open: false, millis: lasting });
        }
        Kind::Scars => add(at_millis, Deed::Reset { node, route }),
        Kind::Poison => add(at_millis, Deed::Poison { node, seed }),
        Kind::GarbageSent => {
            add(at_millis, Deed::GarbageSent { count: rng.random_range(1..200), seed });
        }
        Kind::GarbageStored => add(at_millis, Deed::GarbageStored { seed }),
        Kind::ViewersVanish => add(at_millis, Deed::ViewersVanish(node)),
        Kind::ViewerStuck => add(at_millis, Deed::ViewerStuck { node, millis: lasting }),
        Kind::Surge => {
            add(at_millis, Deed::Surge(rng.random_range(4..12)));
            add(end, Deed::Surge(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::discriminant;

    use super::*;

    #[test]
    fn a_storm_is_a_function_of_seed_and_round() {
        assert_eq!(storm(7, 3), storm(7, 3));
        assert_ne!(storm(7, 3), storm(8, 3));
        assert_ne!(storm(7, 3), storm(7, 4));
    }

    #[test]
    fn every_kind_of_fault_happens_in_every_storm_and_ends_within_it() {
        for round in 0..200 {
            let steps = storm(1, round);
            let kinds: std::collections::HashSet<_> =
                steps.iter().map(|step| discriminant(&step.deed)).collect();
            assert_eq!(kinds.len(), 20, "round {round}: every deed there is");
            assert!(steps.is_sorted_by_key(|step| step.at_millis));
            let last = steps.last().expect("some").at_millis;
            assert!(last < STORM_MILLIS, "round {round}: {last}");
        }
    }

    #[test]
    fn the_witness_is_never_killed() {
        for round in 0..500 {
            for step in storm(2, round) {
                if let Deed::KillNode(node) | Deed::KillAfterAcknowledged(node) = step.deed {
                    assert_ne!(node, WITNESS);
                    assert!(node < NODES);
                }
            }
        }
    }

    #[test]
    fn what_is_taken_away_comes_back() {
        for round in 0..200 {
            let steps = storm(3, round);
            let count =
                |wanted: fn(&Deed) -> bool| steps.iter().filter(|step| wanted(&step.deed)).count();
            let pairs = [
                (
                    count(|d| matches!(d, Deed::KillNode(_) | Deed::KillAfterAcknowledged(_))),
                    count(|d| matches!(d, Deed::StartNode(_))),
                ),
                (
                    count(|d| matches!(d, Deed::PauseNode(_))),
                    count(|d| matches!(d, Deed::ContinueNode(_))),
                ),
                (
                    count(|d| matches!(d, Deed::KillStore(_))),
                    count(|d| matches!(d, Deed::StartStore(_))),
                ),
                (
                    count(|d| matches!(d, Deed::PauseStore(_))),
                    count(|d| matches!(d, Deed::ContinueStore(_))),
                ),
            ];
            assert!(pairs.iter().all(|(taken, given)| taken == given), "{round}: {pairs:?}");
        }
    }
}
