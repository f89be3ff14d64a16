//! What a restart makes of the rows it finds: which are refused, what the time since has left of
//! the others, and what a node that has none of its own takes from its neighbours'. Pure.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use atrion_core::math::decay;
use atrion_core::merge::{EVIDENCE_HALF_LIFE_SECS, lower_median_by};
use atrion_core::time::Timestamp;
use atrion_core::units::{Evidence, Ohms, PerSecond};
use atrion_core::vector::{PhysicsVector, Stance};
use atrion_state::provider::{MAX_ROUTE_BYTES, RouteVector};

/// Neighbours whose word is older than the freshest about a route by more than this, s, are not
/// heard about it: a node says nothing of what is well, so its old word is no vote.
const VOTING_WINDOW: f64 = 60.0;
/// A row this far from the future, s, is of now: the server's clock may be set a little back.
const FUTURE_TOLERANCE: f64 = 5.0;

const OPEN: i16 = 1;
const HELD: i16 = 2;
const GOOD: i16 = 4;

/// A stance as it is stored.
pub(crate) fn stance_bits(stance: Stance) -> i16 {
    i16::from(stance.open) * OPEN + i16::from(stance.held) * HELD + i16::from(stance.good) * GOOD
}

/// A row as it was read. Nothing about it is trusted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) node: i64,
    pub(crate) route: Vec<u8>,
    pub(crate) resistance: f64,
    pub(crate) momentum: f64,
    pub(crate) scar: f64,
    pub(crate) evidence: f64,
    pub(crate) demand: f64,
    pub(crate) stance: i16,
    /// Seconds since it was true, by the server's clock.
    pub(crate) age: f64,
}

/// A row that was checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Remembered {
    node: i64,
    route: Arc<str>,
    vector: PhysicsVector,
    age: f64,
}

/// Checks a row whole. `None` for anything that this program cannot have written: a number that is
/// none, infinite or negative, a name that is over-long or no text, a time to come.
pub(crate) fn check(row: Row) -> Option<Remembered> {
    if row.route.len() > MAX_ROUTE_BYTES || !row.age.is_finite() || row.age < -FUTURE_TOLERANCE {
        return None;
    }
    if row.stance & !(OPEN | HELD | GOOD) != 0 {
        return None;
    }
    Some(Remembered {
        node: row.node,
        route: Arc::from(String::from_utf8(row.route).ok()?),
        vector: PhysicsVector {
            resistance: Ohms::try_new(row.resistance).ok()?,
            momentum: PerSecond::try_new(row.momentum).ok()?,
            scar_tissue: Ohms::try_new(row.scar).ok()?,
            evidence: Evidence::try_new(row.evidence).ok()?,
            demand: PerSecond::try_new(row.demand).ok()?,
            // What others said, and what a probe just found, is over.
            stance: Stance { open: row.stance & OPEN != 0, held: false, good: false },
            timestamp: Timestamp::ZERO,
        },
        age: if row.age > 0.0 { row.age } else { 0.0 },
    })
}

/// What a node recalls.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Recalled {
    /// The deepest scars first.
    pub(crate) vectors: Vec<RouteVector>,
    /// Of these, routes that only neighbours' rows were there for.
    pub(crate) from_others: u64,
}

/// Puts a node's own rows and its neighbours' together, as of `now` on this process's clock.
///
/// An own row stands. Where there is none, the neighbours' words of the last minute about the route
/// are decayed to one moment, and the one with the lower median scar is taken: half of them have to
/// agree to frighten a newcomer, and one that lies in either direction does nothing. Its evidence is
/// zero, because this node has seen nothing.
pub(crate) fn recall(
    own: Vec<Remembered>,
    others: Vec<Remembered>,
    healing_per_sec: f64,
    now: Timestamp,
) -> Recalled {
    let mut recalled = Recalled::default();
    let mut known: HashSet<Arc<str>> = HashSet::with_capacity(own.len());
    for row in own {
        if known.insert(Arc::clone(&row.route)) {
            recalled.vectors.push(row.on_clock(healing_per_sec, now));
        }
    }
    let mut by_route: BTreeMap<Arc<str>, Vec<Remembered>> = BTreeMap::new();
    for row in others {
        if !known.contains(&row.route) {
            by_route.entry(Arc::clone(&row.route)).or_default().push(row);
        }
    }
    for mut words in by_route.into_values() {
        if let Some(word) = median_word(&mut words, healing_per_sec) {
            let mut taken = word.on_clock(healing_per_sec, now);
            taken.vector.evidence = Evidence::ZERO;
            recalled.vectors.push(taken);
            recalled.from_others += 1;
        }
    }
    let scar = |held: &RouteVector| held.vector.scar_tissue.get();
    recalled.vectors.sort_by(|one, other| scar(other).total_cmp(&scar(one)));
    recalled
}

fn median_word(words: &mut Vec<Remembered>, healing_per_sec: f64) -> Option<Remembered> {
    let freshest = words.iter().map(|word| word.age).min_by(f64::total_cmp)?;
    words.retain(|word| word.age - freshest <= VOTING_WINDOW);
    // One vote for each node, its freshest word.
    words.sort_by(|one, other| one.node.cmp(&other.node).then(one.age.total_cmp(&other.age)));
    words.dedup_by_key(|word| word.node);
    let scar_now =
        |word: &Remembered| word.vector.scar_tissue.get() * decay(healing_per_sec, word.age);
    let by_scar = |one: &Remembered, other: &Remembered| {
        scar_now(one).total_cmp(&scar_now(other)).then(one.node.cmp(&other.node))
    };
    lower_median_by(words, by_scar).cloned()
}

impl Remembered {
    /// The vector with its age as a time on this process's clock. What is older than the clock has
    /// no time on it: the rest of the age is applied at once, so that whoever applies the part that
    /// the timestamp tells has applied all of it.
    fn on_clock(self, healing_per_sec: f64, now: Timestamp) -> RouteVector {
        let reach = now.secs_since(Timestamp::ZERO);
        let told = if self.age < reach { self.age } else { reach };
        let excess = self.age - told;
        let nanos = (told * 1e9) as u64;
        let mut vector = PhysicsVector {
            timestamp: Timestamp::from_nanos(now.as_nanos().saturating_sub(nanos)),
            ..self.vector
        };
        if excess > 0.0 {
            let scar = vector.scar_tissue.get();
            let healed = scar * decay(healing_per_sec, excess);
            let faded = decay(std::f64::consts::LN_2 / EVIDENCE_HALF_LIFE_SECS, excess);
            // Parts of valid numbers are valid; zero, which claims nothing, if one ever were not.
            vector.scar_tissue = Ohms::try_new(healed).unwrap_or(Ohms::ZERO);
            let rest = vector.resistance.get() - (scar - healed);
            vector.resistance = Ohms::try_new(rest).unwrap_or(vector.scar_tissue);
            vector.evidence =
                Evidence::try_new(vector.evidence.get() * faded).unwrap_or(Evidence::ZERO);
            vector.demand =
                PerSecond::try_new(vector.demand.get() * faded).unwrap_or(PerSecond::ZERO);
            vector.momentum =
                PerSecond::try_new(vector.momentum.get() * faded).unwrap_or(PerSecond::ZERO);
        }
        RouteVector::new(self.route, vector)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEALING: f64 = 0.1;

    fn row(node: i64, route: &str, scar: f64, age: f64) -> Row {
        Row {
            node,
            route: route.as_bytes().to_vec(),
            resistance: scar + 1.0,
            momentum: 0.5,
            scar,
            evidence: 64.0,
            demand: 10.0,
            stance: OPEN,
            age,
        }
    }

    fn words(rows: &[Row]) -> Vec<Remembered> {
        rows.iter().cloned().filter_map(check).collect()
    }

    /// The scar that whoever applies the vector's age to it arrives at.
    fn scar_now(held: &RouteVector, now: Timestamp) -> f64 {
        let age = now.secs_since(held.vector.timestamp);
        held.vector.scar_tissue.get() * decay(HEALING, age)
    }

    #[test]
    fn what_no_program_of_ours_writes_is_refused_whole() {
        let good = row(1, "r", 10.0, 1.0);
        assert!(check(good.clone()).is_some());
        let spoiled: [fn(&mut Row); 12] = [
            |r| r.resistance = f64::NAN,
            |r| r.momentum = f64::INFINITY,
            |r| r.scar = f64::NAN,
            |r| r.scar = -1.0,
            |r| r.scar = f64::INFINITY,
            |r| r.evidence = -0.5,
            |r| r.demand = f64::NEG_INFINITY,
            |r| r.stance = 8,
            |r| r.age = -60.0,
            |r| r.age = f64::INFINITY,
            |r| r.route = vec![b'x'; MAX_ROUTE_BYTES + 1],
            |r| r.route = vec![0xff, 0xfe],
        ];
        for (number, spoil) in spoiled.iter().enumerate() {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert_eq!(check(bad), None, "number {number}");
        }
        let mut slightly_ahead = good;
        slightly_ahead.age = -1.0;
        assert_eq!(check(slightly_ahead).map(|held| held.age), Some(0.0));
    }

    #[test]
    fn the_worked_example_of_the_documentation() {
        // 500 ohm, 20 s ago, on a process that is 2 s old.
        let now = Timestamp::from_secs(2);
        let recalled = recall(words(&[row(1, "pay", 500.0, 20.0)]), Vec::new(), HEALING, now);
        let held = &recalled.vectors[0];
        assert_eq!(held.vector.timestamp, Timestamp::ZERO);
        assert!((held.vector.scar_tissue.get() - 82.65).abs() < 0.01, "{held:?}");
        assert!((held.vector.evidence.get() - 1.0).abs() < 0.01, "64 halved six times");
        assert!((scar_now(held, now) - 67.67).abs() < 0.01);
        assert!(held.vector.stance.open);
    }

    #[test]
    fn own_rows_stand_and_neighbours_need_half_of_them() {
        let now = Timestamp::from_secs(1_000);
        let own = words(&[row(1, "mine", 7.0, 1.0)]);
        let others = words(&[
            row(2, "mine", 500.0, 0.0),
            row(2, "dead", 500.0, 1.0),
            row(3, "dead", 480.0, 1.0),
            row(4, "dead", 0.0, 1.0),
            row(2, "liar", 500.0, 1.0),
            row(3, "liar", 0.0, 1.0),
            row(2, "lone", 300.0, 2.0),
            // An old word of calm is no vote.
            row(2, "late", 400.0, 1.0),
            row(3, "late", 0.0, 600.0),
        ]);
        let recalled = recall(own, others, HEALING, now);
        let scar = |route: &str| {
            let held = recalled.vectors.iter().find(|held| &*held.route == route);
            held.map_or(f64::NAN, |held| held.vector.scar_tissue.get().round())
        };
        assert_eq!(scar("mine").to_bits(), 7.0_f64.to_bits());
        assert_eq!(scar("dead").to_bits(), 480.0_f64.to_bits());
        assert_eq!(scar("liar").to_bits(), 0.0_f64.to_bits());
        assert_eq!(scar("lone").to_bits(), 300.0_f64.to_bits());
        assert_eq!(scar("late").to_bits(), 400.0_f64.to_bits());
        assert_eq!(recalled.from_others, 4);
        let foreign = recalled.vectors.iter().filter(|held| &*held.route != "mine");
        assert!(foreign.clone().all(|held| held.vector.evidence == Evidence::ZERO));
        assert_eq!(&*recalled.vectors[0].route, "dead", "the deepest scar first");
    }

    proptest! {
        #[test]
        fn however_old_the_clock_the_scar_is_the_decayed_one(
            scar in 0.0..1e6_f64,
            age in 0.0..1e5_f64,
            clock in 0..100_000_u64,
        ) {
            let now = Timestamp::from_secs(clock);
            let recalled = recall(words(&[row(1, "r", scar, age)]), Vec::new(), HEALING, now);
            let expected = scar * decay(HEALING, age);
            let found = scar_now(&recalled.vectors[0], now);
            prop_assert!((found - expected).abs() <= 1e-6 * expected + 1e-12, "{found} {expected}");
            prop_assert!(recalled.vectors[0].vector.timestamp <= now);
        }

        #[test]
        fn any_row_is_taken_or_refused_without_a_panic(
            scar in any::<f64>(), evidence in any::<f64>(), age in any::<f64>(),
            stance in any::<i16>(), route in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            let row = Row { route, evidence, stance, ..row(1, "", scar, age) };
            let rows: Vec<_> = check(row).into_iter().collect();
            let recalled = recall(rows.clone(), rows, HEALING, Timestamp::from_secs(5));
            prop_assert!(recalled.vectors.iter().all(|held| held.vector.scar_tissue.get() >= 0.0));
        }
    }
}
