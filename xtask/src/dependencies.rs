//! The report on dependencies: whether `docs/dependencies.md` speaks of what the workspace uses.
//!
//! Every direct dependency of every crate of ours needs a row that says why it is there, and one in
//! the table of versions that says what `Cargo.lock` holds; and no row may speak of what is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const REPORT: &str = "docs/dependencies.md";
/// The headings under which the tables stand.
const REASONS: [&str; 2] = ["What users compile", "What the tools and tests use"];
const VERSIONS: &str = "Versions";

/// Versions by name; one crate may be there in several.
type Versions = BTreeMap<String, BTreeSet<String>>;

/// What the report says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    reasons: BTreeSet<String>,
    versions: Versions,
}

/// Checks the report of the workspace at `root`; the error lists everything that is not so.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let read = |name: &str| {
        fs::read_to_string(root.join(name)).map_err(|e| format!("{name} cannot be read: {e}"))
    };
    let direct = direct(&read("Cargo.lock")?);
    let faults = faults(&direct, &Report::read(&read(REPORT)?));
    if !faults.is_empty() {
        return Err(format!("{REPORT} is not true: {}", faults.join("; ")));
    }
    println!("    {} direct dependencies, each with its reason and its version", direct.len());
    Ok(())
}

fn faults(direct: &Versions, report: &Report) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, versions) in direct {
        if !report.reasons.contains(name) {
            faults.push(format!("`{name}` is used, and nothing says why"));
        }
        match report.versions.get(name) {
            Some(said) if said == versions => {}
            said => faults.push(format!(
                "`{name}` is {} in Cargo.lock, and under \"{VERSIONS}\" it is {}",
                listed(versions),
                said.map_or_else(|| "missing".to_owned(), listed)
            )),
        }
    }
    let spoken_of: BTreeSet<&String> =
        report.reasons.iter().chain(report.versions.keys()).collect();
    let gone = spoken_of.into_iter().filter(|name| !direct.contains_key(*name));
    faults.extend(gone.map(|name| format!("`{name}` is spoken of, and no crate of ours uses it")));
    faults
}

fn listed(versions: &BTreeSet<String>) -> String {
    versions.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What the workspace's own crates, those without a source, depend on.
fn direct(lock: &str) -> Versions {
    let packages: Vec<Package<'_>> = lock.split("[[package]]").filter_map(Package::read).collect();
    let is_own = |name: &str| packages.iter().any(|p| p.name == name && p.is_own);
    let mut direct = Versions::new();
    for entry in packages.iter().filter(|p| p.is_own).flat_map(|p| &p.dependencies) {
        let (name, version) = entry.split_once(' ').unwrap_or((entry, ""));
        if is_own(name) {
            continue;
        }
        // The version is named only where there are several.
        let meant =
            |p: &&Package<'_>| p.name == name && (version.is_empty() || p.version == version);
        let versions = direct.entry(name.to_owned()).or_default();
        versions.extend(packages.iter().filter(meant).map(|p| p.version.to_owned()));
    }
    direct
}

/// One entry of `Cargo.lock`.
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    is_own: bool,
    dependencies: Vec<&'a str>,
}

impl<'a> Package<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value.map(|value| value.trim_start_matches(" = ").trim_matches('"'))
        };
        let listed = text.lines().filter_map(|line| line.strip_prefix(" \""));
        Some(Self {
            name: field("name")?,
            version: field("version")?,
            is_own: field("source").is_none(),
            dependencies: listed.map(|line| line.trim_end_matches("\",")).collect(),
        })
    }
}

impl Report {
    fn read(text: &str) -> Self {
        let mut report = Self::default();
        let mut heading = "";
        for line in text.lines() {
            if let Some(next) = line.strip_prefix("## ") {
                heading = next;
            }
            let mut cells = line.strip_prefix('|').into_iter().flat_map(|row| row.split('|'));
            let (Some(first), Some(second)) = (cells.next(), cells.next()) else { continue };
            if REASONS.contains(&heading) {
                report.reasons.extend(names(first));
            } else if heading == VERSIONS {
                let versions = second.split(',').map(|version| version.trim().to_owned());
                let versions: BTreeSet<String> = versions.collect();
                report.versions.extend(names(first).map(|name| (name, versions.clone())));
            }
        }
        report
    }
}

/// The crates named in a cell: what stands in backticks and is no path.
fn names(cell: &str) -> impl Iterator<Item = String> {
    let is_name = |name: &&str| {
        let mut chars = name.chars();
        chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
    };
    cell.split('`').skip(1).step_by(2).filter(is_name).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
[[package]]
name = "ours"
version = "0.1.0"
dependencies = [
 "alpha",
 "beta 2.0.0",
 "other-of-ours",
]

[[package]]
name = "other-of-ours"
version = "0.1.0"

[[package]]
name = "alpha"
version = "1.2.3"
source = "registry+somewhere"
dependencies = [
 "gamma",
]

[[package]]
name = "beta"
version = "1.0.0"
source = "registry+somewhere"

[[package]]
name = "beta"
version = "2.0.0"
source = "registry+somewhere"

[[package]]
name = "gamma"
version = "1.0.0"
source = "registry+somewhere"
"#;

    const TRUE: &str = "\
## What users compile
| crate | why |
|---|---|
| `alpha` 1 (optional), `beta` 2 | for `gamma` |
## Versions
| crate | in Cargo.lock |
|---|---|
| `alpha` | 1.2.3 |
| `beta` | 2.0.0 |
";

    fn judged(report: &str) -> String {
        faults(&direct(LOCK), &Report::read(report)).join("\n")
    }

    #[test]
    fn a_true_report_has_no_faults() {
        assert_eq!(judged(TRUE), "");
    }

    #[test]
    fn what_is_missing_untrue_or_gone_is_named() {
        let missing = judged(&TRUE.replace(", `beta` 2", ""));
        assert_eq!(missing, "`beta` is used, and nothing says why");
        let untrue = judged(&TRUE.replace("1.2.3", "1.2.2"));
        assert_eq!(untrue, "`alpha` is 1.2.3 in Cargo.lock, and under \"Versions\" it is 1.2.2");
        let unversioned = judged(&TRUE.replace("| `alpha` | 1.2.3 |\n", ""));
        assert!(unversioned.ends_with("it is missing"), "{unversioned}");
        let gone = judged(&TRUE.replace("`alpha` 1 (optional)", "`alpha`, `gamma`"));
        assert_eq!(gone, "`gamma` is spoken of, and no crate of ours uses it");
    }

    #[test]
    fn this_workspace_is_spoken_of() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        check(root).unwrap();
    }
}
