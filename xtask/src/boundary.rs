//! The open-core boundary: which crate may know of which.
//!
//! Three rules, checked on what cargo says and not on what a document claims:
//!
//! 1. Every crate names a licence that the project uses.
//! 2. No Apache crate depends on a commercial one, except through an optional feature of the
//!    facade `atrion` or of the simulator `atrion-sim`; and with their default features neither
//!    builds a commercial crate.
//! 3. Dependencies follow the arrows of the design, so that nothing low knows of anything high.

use std::path::Path;

use crate::manifest::{self, Crate};
use crate::runner::Line;

pub(crate) const APACHE: &str = "Apache-2.0";
/// The licence of the crates that need a key in production.
pub(crate) const COMMERCIAL: &str = "LicenseRef-Atrion-Commercial";
const FACADE: &str = "atrion";
const SIMULATOR: &str = "atrion-sim";
/// The crates that may name commercial crates, as optional dependencies: the facade, because that
/// is how users choose them, and the simulator, because a simulated cluster is worth something only
/// if the shipped machines run in it. Nobody gets either by default, and of what users build only
/// Studio depends on the simulator, without that feature, for its previews.
const MAY_OFFER: &[&str] = &[FACADE, SIMULATOR];

/// For each crate the workspace crates it may depend on (outside its tests). `xtask` and the
/// benches may use everything and are not listed.
const ARROWS: &[(&str, &[&str])] = &[
    ("atrion-core", &[]),
    ("atrion-license", &[]),
    ("atrion-reference", &["atrion-core"]),
    ("atrion-trace", &[]),
    ("atrion-state", &["atrion-core"]),
    ("atrion-engine", &["atrion-core", "atrion-state", "atrion-trace"]),
    ("atrion-observe", &["atrion-core", "atrion-state", "atrion-engine"]),
    ("atrion-commercial", &["atrion-state", "atrion-license"]),
    ("atrion-cluster", &["atrion-core", "atrion-state", "atrion-license", "atrion-commercial"]),
    ("atrion-postgres", &["atrion-core", "atrion-state", "atrion-license", "atrion-commercial"]),
    ("atrion-tower", &["atrion-core", "atrion-state", "atrion-engine"]),
    // The simulator and the traces for its previews.
    (
        "atrion-studio",
        &[
            "atrion-core",
            "atrion-state",
            "atrion-engine",
            "atrion-license",
            "atrion-commercial",
            "atrion-sim",
            "atrion-trace",
        ],
    ),
    (
        "atrion-sim",
        &[
            "atrion-core",
            "atrion-reference",
            "atrion-state",
            "atrion-engine",
            "atrion-trace",
            "atrion-cluster",
        ],
    ),
    (
        FACADE,
        &[
            "atrion-core",
            "atrion-state",
            "atrion-engine",
            "atrion-tower",
            "atrion-observe",
            "atrion-cluster",
            "atrion-postgres",
            "atrion-studio",
            "atrion-license",
            "atrion-trace",
        ],
    ),
];

/// Crates that may use every other one: tools and helpers of tests, none of them published.
const FREE: &[&str] = &[
    "xtask",
    "atrion-bench",
    "atrion-benches",
    "atrion-demo",
    "atrion-examples",
    "atrion-fuzz",
    "atrion-guide",
    "atrion-soak",
    "atrion-testkit",
];

/// Whether a crate is one of the tools and helpers that are never published.
pub(crate) fn is_tool(name: &str) -> bool {
    FREE.contains(&name)
}

/// Checks the workspace at `root`; the error lists every breach.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let crates = manifest::crates(root)?;
    let mut breaches = breaches(&crates);
    let mut counts = Vec::new();
    for name in MAY_OFFER {
        let built = default_build(root, name)?;
        breaches.extend(commercial_in_build(&crates, name, &built));
        counts.push(format!("`{name}` by default builds {} crates", built.len()));
    }
    if breaches.is_empty() {
        println!(
            "    {} crates keep the boundary; {}, none commercial",
            crates.len(),
            counts.join(", ")
        );
        Ok(())
    } else {
        Err(format!("the boundary is broken: {}", breaches.join("; ")))
    }
}

fn is_commercial(crates: &[Crate], name: &str) -> bool {
    crates.iter().any(|c| c.name == name && c.licence == COMMERCIAL)
}

/// Every breach of the rules that can be read off the manifests.
fn breaches(crates: &[Crate]) -> Vec<String> {
    let mut found = Vec::new();
    for owner in crates {
        let name = owner.name.as_str();
        if owner.licence != APACHE && owner.licence != COMMERCIAL {
            let licence = &owner.licence;
            found.push(format!(
                "{name} has the licence `{licence}`, known are {APACHE} and {COMMERCIAL}"
            ));
        }
        let arrows = ARROWS.iter().find(|(from, _)| *from == name);
        if arrows.is_none() && !is_tool(name) {
            found.push(format!("{name} has no place in the list of arrows"));
        }
        let internal = |d: &&manifest::Dependency| crates.iter().any(|c| c.name == d.name);
        for dependency in owner.dependencies.iter().filter(internal) {
            let target = &dependency.name;
            let excused = MAY_OFFER.contains(&name) && dependency.optional;
            if owner.licence == APACHE
                && owner.is_library()
                && is_commercial(crates, target)
                && !excused
            {
                found.push(format!("{name} is {APACHE} and depends on the commercial {target}"));
            }
            let allowed = arrows.is_none_or(|(_, to)| to.contains(&target.as_str()));
            if !allowed && !dependency.dev {
                found.push(format!("{name} must not know of {target} (arrows of the design)"));
            }
        }
    }
    found
}

/// The names of all crates that a user of this one with default features builds.
fn default_build(root: &Path, name: &str) -> Result<Vec<String>, String> {
    let line =
        Line::cargo("tree --edges normal,build --prefix none --format {p} --package").args([name]);
    let output =
        line.command(root).output().map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{line}` ended with {}: {}", output.status, why.trim()));
    }
    let mut names: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn commercial_in_build(crates: &[Crate], owner: &str, built: &[String]) -> Vec<String> {
    built
        .iter()
        .filter(|name| is_commercial(crates, name))
        .map(|name| format!("`{owner}` with default features builds the commercial {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Dependency, Target};

    fn library(name: &str, licence: &str, dependencies: &[(&str, bool)]) -> Crate {
        Crate {
            name: name.to_owned(),
            licence: licence.to_owned(),
            dependencies: dependencies
                .iter()
                .map(|(name, optional)| Dependency {
                    name: (*name).to_owned(),
                    optional: *optional,
                    dev: false,
                    requirement: String::new(),
                })
                .collect(),
            targets: vec![Target { name: name.to_owned(), kind: "lib".to_owned() }],
            ..Crate::default()
        }
    }

    fn workspace(facade_optional: bool) -> Vec<Crate> {
        vec![
            library("atrion-core", APACHE, &[]),
            library("atrion-state", APACHE, &[("atrion-core", false)]),
            library("atrion-license", COMMERCIAL, &[]),
            library(
                "atrion-cluster",
                COMMERCIAL,
                &[("atrion-state", false), ("atrion-license", false)],
            ),
            library(FACADE, APACHE, &[("atrion-cluster", facade_optional)]),
        ]
    }

    #[test]
    fn the_designed_arrows_are_no_breach() {
        assert_eq!(breaches(&workspace(true)), Vec::<String>::new());
    }

    #[test]
    fn the_facade_may_name_commercial_crates_only_as_options() {
        let found = breaches(&workspace(false));
        assert!(
            matches!(found.as_slice(), [one] if one.contains("depends on the commercial atrion-cluster")),
            "{found:?}"
        );
    }

    #[test]
    fn the_simulator_may_name_the_cluster_only_as_an_option() {
        for (optional, breached) in [(true, false), (false, true)] {
            let mut crates = workspace(true);
            crates.push(library(SIMULATOR, APACHE, &[("atrion-cluster", optional)]));
            let found = breaches(&crates);
            assert_eq!(!found.is_empty(), breached, "{found:?}");
        }
    }

    #[test]
    fn an_apache_crate_may_not_know_a_commercial_one_even_as_an_option() {
        let mut crates = workspace(true);
        crates.push(library("atrion-engine", APACHE, &[("atrion-cluster", true)]));
        let found = breaches(&crates).join("\n");
        assert!(found.contains("commercial atrion-cluster"), "{found}");
        assert!(found.contains("must not know of"), "{found}");
    }

    #[test]
    fn an_arrow_that_points_up_is_a_breach() {
        let mut crates = workspace(true);
        crates.push(library("atrion-engine", APACHE, &[]));
        crates.retain(|c| c.name != "atrion-state");
        crates.push(library("atrion-state", APACHE, &[("atrion-engine", false)]));
        let found = breaches(&crates);
        assert!(
            found.iter().any(|b| b.contains("atrion-state must not know of atrion-engine")),
            "{found:?}"
        );
    }

    #[test]
    fn unknown_crates_and_licences_are_breaches() {
        let found = breaches(&[library("atrion-surprise", "MIT", &[])]).join("\n");
        assert!(found.contains("licence `MIT`"), "{found}");
        assert!(found.contains("no place in the list"), "{found}");
    }

    #[test]
    fn a_commercial_crate_in_the_default_build_is_a_breach() {
        let built = ["atrion".to_owned(), "atrion-cluster".to_owned()];
        assert_eq!(commercial_in_build(&workspace(true), FACADE, &built).len(), 1);
        assert!(commercial_in_build(&workspace(true), FACADE, &built[..1]).is_empty());
    }
}
