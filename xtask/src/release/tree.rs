//! What a release is made of: a commit, whole, and not released before.

use std::path::Path;

use crate::release::changelog::Version;
use crate::release::table::Outcome;
use crate::release::tools::stdout_of;
use crate::runner::Line;

/// The step: a clean working tree whose version has no tag elsewhere.
pub(crate) fn step(root: &Path, version: Version) -> Outcome {
    look(root, version).into()
}

fn look(root: &Path, version: Version) -> Result<Outcome, String> {
    let head = stdout_of(&git("rev-parse --short HEAD"), root)
        .map_err(|why| format!("a release is made from a clone with git: {why}"))?;
    let changed = stdout_of(&git("status --porcelain"), root)?;
    if !changed.is_empty() {
        let count = changed.lines().count();
        return Err(format!(
            "{count} files are changed or new; commit or remove them\n{}",
            changed.trim_end()
        ));
    }
    let here = stdout_of(&git("tag --points-at HEAD"), root)?;
    if let Some(why) = taken(&tags(root)?, &here, version) {
        return Err(why);
    }
    Ok(Outcome::Passed(format!("clean at {}", head.trim())))
}

pub(crate) fn git(words: &str) -> Line {
    Line::new("git").args(words.split_whitespace())
}

/// All tags, as git lists them.
pub(crate) fn tags(root: &Path) -> Result<String, String> {
    stdout_of(&git("tag --list"), root)
}

/// Why a version cannot be released: its tag, or one of a later version, is on another commit.
fn taken(all: &str, here: &str, version: Version) -> Option<String> {
    let later = released(all).into_iter().filter(|tagged| *tagged > version).max();
    if let Some(later) = later {
        return Some(format!("{later} is released already, and this is {version}"));
    }
    let elsewhere = released(all).contains(&version) && !released(here).contains(&version);
    elsewhere.then(|| format!("{version} is tagged at another commit; raise the version"))
}

/// The versions in a list of tags such as `v1.2.3`.
pub(crate) fn released(tags: &str) -> Vec<Version> {
    tags.lines().filter_map(|tag| Version::parse(tag.trim().strip_prefix('v')?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    #[test]
    fn tags_of_versions_are_read_and_others_left_out() {
        assert_eq!(
            released("v0.1.0\nnightly\nv0.10.2\n0.3.0\n"),
            [version("0.1.0"), version("0.10.2")]
        );
    }

    #[test]
    fn a_version_is_released_once_and_not_after_a_later_one() {
        let all = "v0.1.0\nv0.2.0\n";
        assert_eq!(taken(all, "", version("0.2.1")), None);
        assert_eq!(taken(all, "v0.2.0\n", version("0.2.0")), None, "its own tag is here");
        assert!(taken(all, "", version("0.2.0")).is_some_and(|why| why.contains("raise")));
        assert!(taken(all, "v0.1.0\n", version("0.1.0")).is_some_and(|why| why.contains("0.2.0")));
        assert_eq!(taken("", "", version("0.1.0")), None);
    }
}
