//! The feature combinations worth building.

use std::collections::BTreeSet;

use crate::manifest::Crate;
use crate::runner::Line;

/// Up to this many features every combination is looked at; of more, those of at most two. A
/// combination breaks when one feature lacks what another brings, or when two get in each other's
/// way; no third is needed for either.
const ALL_SETS_UP_TO: usize = 4;

/// One check per combination: nothing, each feature alone, and everything.
///
/// Features are additive here, so a combination can only break by needing what another feature
/// brings; every feature alone shows that. Combinations that a crate's default or an earlier
/// entry already covers are left out.
pub(crate) fn checks(krate: &Crate) -> Vec<(String, Line)> {
    if !krate.is_library() || krate.features.is_empty() {
        return Vec::new();
    }
    let mut sets = vec![Vec::new()];
    sets.extend(krate.features.iter().map(|feature| vec![feature.as_str()]));
    sets.iter().map(|set| check(krate, set)).collect()
}

/// The powerset, bounded, each combination once whatever its features imply: before a release.
pub(crate) fn powerset(krate: &Crate) -> Vec<(String, Line)> {
    if !krate.is_library() || krate.features.is_empty() {
        return Vec::new();
    }
    combinations(krate).iter().map(|set| check(krate, set)).collect()
}

fn check(krate: &Crate, set: &[&str]) -> (String, Line) {
    let mut line =
        Line::cargo("check --lib --package").args([krate.name.as_str(), "--no-default-features"]);
    if !set.is_empty() {
        line = line.args(["--features".to_owned(), set.join(",")]);
    }
    let title = match set {
        [] => format!("{} without features", krate.name),
        [one] => format!("{} with `{one}` alone", krate.name),
        several => format!("{} with {}", krate.name, several.join(" and ")),
    };
    (title, line)
}

/// The smallest set of features for each set of features that can be on.
fn combinations(krate: &Crate) -> Vec<Vec<&str>> {
    let names: Vec<&str> = krate.features.iter().map(String::as_str).collect();
    let depth = if names.len() <= ALL_SETS_UP_TO { names.len() } else { 2 };
    let mut seen: BTreeSet<BTreeSet<&str>> = BTreeSet::new();
    let mut sets: Vec<Vec<&str>> = vec![Vec::new()];
    let mut last = sets.clone();
    seen.insert(BTreeSet::new());
    for _ in 0..depth {
        let mut next = Vec::new();
        for set in &last {
            // Only behind the last one, so that each set is made once.
            let start =
                set.last().and_then(|l| names.iter().position(|n| n == l)).map_or(0, |i| i + 1);
            for name in names.iter().skip(start) {
                let mut larger = set.clone();
                larger.push(name);
                next.push(larger);
            }
        }
        for set in &next {
            if seen.insert(switched_on(krate, set)) {
                sets.push(set.clone());
            }
        }
        last = next;
    }
    sets
}

/// The features of the crate that are on if those of `set` are asked for.
fn switched_on<'c>(krate: &'c Crate, set: &[&'c str]) -> BTreeSet<&'c str> {
    let mut on = BTreeSet::new();
    let mut open: Vec<&str> = set.to_vec();
    while let Some(name) = open.pop() {
        if !on.insert(name) {
            continue;
        }
        let parts = krate.implied.iter().filter(|(feature, _)| feature == name);
        open.extend(
            parts
                .flat_map(|(_, parts)| parts.iter().map(String::as_str))
                .filter(|part| krate.implied.iter().any(|(feature, _)| feature == part)),
        );
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Target;

    fn krate(features: &[(&str, &[&str])]) -> Crate {
        let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        Crate {
            name: "x".to_owned(),
            features: features.iter().map(|(name, _)| (*name).to_owned()).collect(),
            implied: features
                .iter()
                .map(|(name, parts)| ((*name).to_owned(), owned(parts)))
                .collect(),
            targets: vec![Target { name: "x".to_owned(), kind: "lib".to_owned() }],
            ..Crate::default()
        }
    }

    #[test]
    fn each_feature_is_built_alone_and_none_at_all() {
        let krate = krate(&[("a", &[]), ("b", &[])]);
        let lines: Vec<String> = checks(&krate).iter().map(|(_, l)| l.to_string()).collect();
        assert_eq!(
            lines,
            [
                "cargo check --lib --package x --no-default-features",
                "cargo check --lib --package x --no-default-features --features a",
                "cargo check --lib --package x --no-default-features --features b",
            ]
        );
    }

    #[test]
    fn a_crate_without_features_needs_none() {
        assert!(checks(&Crate::default()).is_empty());
        assert!(powerset(&krate(&[])).is_empty());
    }

    #[test]
    fn few_features_are_combined_in_every_way() {
        let krate = krate(&[("a", &[]), ("b", &[]), ("c", &["dep:y"])]);
        let expected: [&[&str]; 8] =
            [&[], &["a"], &["b"], &["c"], &["a", "b"], &["a", "c"], &["b", "c"], &["a", "b", "c"]];
        assert_eq!(combinations(&krate), expected);
    }

    #[test]
    fn a_set_that_another_implies_is_built_once() {
        // Asking for `b` is asking for `a` too, however far down that is written.
        let krate = krate(&[("a", &[]), ("b", &["m"]), ("m", &["a", "y/z"])]);
        let expected: [&[&str]; 4] = [&[], &["a"], &["b"], &["m"]];
        assert_eq!(combinations(&krate), expected);
    }

    #[test]
    fn many_features_are_combined_by_two() {
        let krate = krate(&[("a", &[]), ("b", &[]), ("c", &[]), ("d", &[]), ("e", &[])]);
        let sets = combinations(&krate);
        assert_eq!(sets.len(), 1 + 5 + 10);
        assert!(sets.iter().all(|set| set.len() <= 2));
    }
}
