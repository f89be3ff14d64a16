//! The lanes of continuous integration, each runnable by hand.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::runner::{Line, Runner};
use crate::{boundary, dependencies, fuzz, miri, setup, test};

/// One lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Fmt,
    Boundary,
    Clippy,
    Doc,
    Deny,
    Fuzz,
    Test,
    Miri,
}

impl Lane {
    /// All lanes, the quick ones first.
    pub(crate) const ALL: [Self; 8] = [
        Self::Fmt,
        Self::Boundary,
        Self::Clippy,
        Self::Doc,
        Self::Deny,
        Self::Fuzz,
        Self::Test,
        Self::Miri,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Boundary => "boundary",
            Self::Clippy => "clippy",
            Self::Doc => "doc",
            Self::Deny => "deny",
            Self::Fuzz => "fuzz",
            Self::Test => "test",
            Self::Miri => "miri",
        }
    }
}

impl FromStr for Lane {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|lane| lane.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|lane| lane.name()).collect();
            format!("there is no lane `{name}`; the lanes are {}", known.join(", "))
        })
    }
}

/// Runs the lanes in order, all of them even if one fails.
///
/// # Errors
///
/// A sentence if a tool is missing and cannot be installed.
pub(crate) fn run(root: &Path, lanes: &[Lane]) -> Result<bool, String> {
    setup::run(root)?;
    let mut runner = Runner::new(root);
    let mut failed = Vec::new();
    for lane in lanes {
        let good = match lane {
            Lane::Fmt => runner.check("format", &Line::cargo("fmt --all -- --check")),
            Lane::Boundary => boundary_step(&mut runner),
            Lane::Clippy => runner.check(
                "clippy",
                &Line::cargo("clippy --workspace --all-targets --all-features -- -D warnings"),
            ),
            Lane::Doc => runner.check(
                "documentation",
                &Line::cargo("doc --workspace --all-features --no-deps --document-private-items")
                    .env("RUSTDOCFLAGS", "-D warnings"),
            ),
            Lane::Deny => deny(&mut runner)?,
            Lane::Fuzz => fuzz::steps(&mut runner)?,
            Lane::Test => test::steps(&mut runner)?,
            Lane::Miri => miri::steps(&mut runner),
        };
        if !good {
            failed.push(lane.name());
        }
    }
    runner.print_failures();
    let names: Vec<&str> = lanes.iter().map(|lane| lane.name()).collect();
    if failed.is_empty() {
        println!("\nci passed: {}{}", names.join(", "), unchecked(lanes));
    } else {
        println!("\nci failed: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

/// What a lane that passed did not check here, for the last line: nobody reads further up.
fn unchecked(lanes: &[Lane]) -> &'static str {
    if lanes.contains(&Lane::Miri) && !miri::is_installed() { " (miri: NOT CHECKED)" } else { "" }
}

/// What is checked of the dependencies: which crate of ours knows which, and what is said of the
/// others'.
pub(crate) fn boundary_step(runner: &mut Runner) -> bool {
    let root = runner.root().to_path_buf();
    let again = "cargo xtask ci boundary";
    let kept = runner.own("open-core boundary", again, || boundary::check(&root));
    kept & runner.own("report on dependencies", again, || dependencies::check(&root))
}

/// What `cargo deny` can say without a network.
pub(crate) const DENY_RULES: &str = "deny --all-features check licenses bans sources";
/// What it can say once the database is here.
pub(crate) const DENY_ADVISORIES: &str = "deny --all-features check --disable-fetch advisories";

/// Licences, bans and sources need nothing but the dependencies themselves. The advisories need their database, so they are
/// checked where it can be had, and their absence is said aloud.
fn deny(runner: &mut Runner) -> Result<bool, String> {
    setup::cargo_deny(runner.root())?;
    let mut good = runner.check("licences, bans and sources", &Line::cargo(DENY_RULES));
    if fetch_advisories(runner.root()) {
        good &= runner.check("advisories", &Line::cargo(DENY_ADVISORIES));
    } else {
        println!(
            "\n==> advisories: NOT CHECKED, their database cannot be reached from here\n    \
             again where it can: cargo deny fetch db && cargo xtask ci deny"
        );
    }
    Ok(good)
}

/// Brings the advisory database; `false` if that fails or takes more than a minute.
pub(crate) fn fetch_advisories(root: &Path) -> bool {
    let line = Line::cargo("deny fetch db");
    println!("\n==> advisory database\n    {line}");
    // A firewall that swallows packets would keep it for hours.
    line.succeeds_within(root, Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_is_found_by_its_name() {
        for lane in Lane::ALL {
            assert_eq!(lane.name().parse(), Ok(lane));
        }
        let why = "lint".parse::<Lane>().expect_err("no such lane");
        assert!(why.contains("clippy") && why.contains("lint"), "{why}");
    }
}
