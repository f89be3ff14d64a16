//! Who has a place under a limit, when several register without asking each other.
//!
//! Clusters register their names under the licence's name in the store they share, each with the
//! time it was first seen; nodes of a cluster register likewise. Everybody reads the same list
//! and computes the same answer from it, in whatever order the list arrives: the oldest have the
//! places, and the newest is refused. So whoever registers writes first, reads then, and takes
//! its entry back if it is refused. Two that register at once cannot both get the last place.

use crate::time::WallTime;

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The name of a cluster or a node.
    pub name: String,
    /// When it registered first, by the store's clock where it has one.
    pub first_seen: WallTime,
}

/// Whether one has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It has.
    Admitted,
    /// All places are taken by older ones.
    OverLimit {
        /// How many places there are.
        limit: u32,
        /// Who has them, the oldest first.
        names: Vec<String>,
    },
}

/// Whether `own` has one of `limit` places (none: places for all).
///
/// A name that is listed more than once counts once, since its first time. One that is not listed
/// is newer than all that are. Of those registered in the same second the name that sorts first
/// is the older.
///
/// ```
/// use atrion_license::{WallTime, places::{Admission, Registration, admission}};
///
/// let shop = Registration { name: "shop".to_owned(), first_seen: WallTime::EPOCH };
/// assert_eq!(admission(&[shop.clone()], "shop", Some(1)), Admission::Admitted);
/// let refused = Admission::OverLimit { limit: 1, names: vec!["shop".to_owned()] };
/// assert_eq!(admission(&[shop], "billing", Some(1)), refused);
/// ```
pub fn admission(registered: &[Registration], own: &str, limit: Option<u32>) -> Admission {
    let Some(limit) = limit else {
        return Admission::Admitted;
    };
    let mut ordered: Vec<(&str, WallTime)> =
        registered.iter().map(|entry| (entry.name.as_str(), entry.first_seen)).collect();
    ordered.sort_unstable();
    ordered.dedup_by_key(|(name, _)| *name); // keeps the earliest of each
    ordered.sort_unstable_by_key(|&(name, since)| (since, name));
    let places = usize::try_from(limit).unwrap_or(usize::MAX);
    let holders = ordered.get(..places).unwrap_or(&ordered);
    let listed = ordered.iter().any(|(name, _)| *name == own);
    let holds = holders.iter().any(|(name, _)| *name == own);
    if holds || (!listed && ordered.len() < places) {
        return Admission::Admitted;
    }
    let names = holders.iter().map(|(name, _)| (*name).to_owned()).collect();
    Admission::OverLimit { limit, names }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &str, secs: u64) -> Registration {
        Registration { name: name.to_owned(), first_seen: WallTime::EPOCH.plus_secs(secs) }
    }

    #[test]
    fn the_oldest_have_the_places() {
        let list = [entry("c", 3), entry("a", 9), entry("b", 1)];
        let over = Admission::OverLimit { limit: 2, names: vec!["b".to_owned(), "c".to_owned()] };
        assert_eq!(admission(&list, "b", Some(2)), Admission::Admitted);
        assert_eq!(admission(&list, "c", Some(2)), Admission::Admitted);
        assert_eq!(admission(&list, "a", Some(2)), over);
        assert_eq!(admission(&list, "new", Some(3)), admission(&list, "x", Some(3)));
        assert_eq!(admission(&list, "new", Some(4)), Admission::Admitted);
        assert_eq!(admission(&list, "new", None), Admission::Admitted);
        assert_eq!(admission(&[], "new", Some(1)), Admission::Admitted);
        let none = Admission::OverLimit { limit: 0, names: Vec::new() };
        assert_eq!(admission(&list, "b", Some(0)), none);
    }

    #[test]
    fn a_name_listed_twice_has_one_place_since_its_first_time() {
        let list = [entry("a", 9), entry("b", 5), entry("a", 1)];
        assert_eq!(admission(&list, "a", Some(1)), Admission::Admitted);
        assert_eq!(admission(&list, "c", Some(3)), Admission::Admitted);
    }

    #[test]
    fn in_the_same_second_the_name_decides() {
        let list = [entry("b", 1), entry("a", 1)];
        assert_eq!(admission(&list, "a", Some(1)), Admission::Admitted);
        assert_ne!(admission(&list, "b", Some(1)), Admission::Admitted);
    }

    proptest! {
        #[test]
        fn exactly_as_many_are_admitted_as_fit_whatever_the_order(
            mut list in prop::collection::vec(("[a-h]", 0u64..5), 0..20),
            limit in 0u32..8,
            turn in any::<prop::sample::Index>(),
        ) {
            let build = |list: &[(String, u64)]| -> Vec<Registration> {
                list.iter().map(|(name, secs)| entry(name, *secs)).collect()
            };
            let before = build(&list);
            if !list.is_empty() {
                let at = turn.index(list.len());
                list.rotate_left(at);
                list.reverse();
            }
            let after = build(&list);
            let mut names: Vec<String> = list.into_iter().map(|(name, _)| name).collect();
            names.sort();
            names.dedup();
            let mut admitted = 0;
            for name in &names {
                let answer = admission(&before, name, Some(limit));
                prop_assert_eq!(&answer, &admission(&after, name, Some(limit)));
                admitted += usize::from(answer == Admission::Admitted);
            }
            prop_assert_eq!(admitted, names.len().min(limit as usize));
        }
    }
}
