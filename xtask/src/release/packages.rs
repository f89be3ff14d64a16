//! The packages: made by cargo, looked through, and their checksums.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::manifest::Crate;
use crate::release::manifests::{licence_file, same_text};
use crate::release::table::Outcome;
use crate::release::tools::{must_pass, stdout_of};
use crate::release::tree::git;
use crate::release::{Release, output};
use crate::runner::Line;

/// No file of a package is larger, in bytes: sources and words are not, and what is must be meant.
const MAX_FILE: u64 = 256 * 1024;
/// No package is larger, in bytes. crates.io takes ten times as much.
const MAX_PACKAGE: u64 = 1024 * 1024;
/// Keys that are public on purpose: the development key (`docs/licensing.md`), and a licence key
/// of the tests, which only a keyring of theirs takes.
const PUBLIC_KEYS: [&str; 2] = ["keys/development.key", "tests/golden/pro.key"];

/// The step: every package is made and builds from what is in it, in the order of publishing.
pub(crate) fn step(release: &Release) -> Outcome {
    make(release).into()
}

fn make(release: &Release) -> Result<Outcome, String> {
    let order = order(release.published())?;
    let mut line = Line::cargo("package --quiet").args(release.package_args());
    if !stdout_of(&git("status --porcelain"), &release.root)?.is_empty() {
        // The step about the tree has said so.
        line = line.args(["--allow-dirty"]);
    }
    must_pass(&line, &release.root).map_err(|why| {
        format!("{why}; what it needs besides the crates is the registry's index over the network")
    })?;
    let (mut sums, mut faults, mut bytes) = (String::new(), Vec::new(), 0);
    let kept = release.staging.join("packages");
    fs::create_dir_all(&kept).map_err(|e| format!("{} cannot be made: {e}", kept.display()))?;
    for krate in &order {
        let stem = format!("{}-{}", krate.name, krate.about.version);
        let folder = release.target.join("package").join(&stem);
        let file = release.target.join("package").join(format!("{stem}.crate"));
        let packed =
            fs::read(&file).map_err(|e| format!("{} cannot be read: {e}", file.display()))?;
        let size = packed.len() as u64;
        if size > MAX_PACKAGE {
            faults.push(format!("{stem} has {size} bytes, {MAX_PACKAGE} are expected at most"));
        }
        bytes += size;
        faults.extend(contents(krate, &folder, &release.root)?);
        let name = format!("packages/{stem}.crate");
        output::write(release, &name, &packed)?;
        sums.push_str(&sum_line(&packed, &name));
    }
    if !faults.is_empty() {
        return Err(format!("{} faults in packages\n{}", faults.len(), faults.join("\n")));
    }
    output::write(release, "SHA256SUMS", sums)?;
    let kibibytes = bytes / 1024;
    Ok(Outcome::Passed(format!("{} packages build, {kibibytes} KiB together", order.len())))
}

/// The SHA-256 of some bytes, in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut digits = String::new();
    for byte in hmac_sha256::Hash::hash(bytes) {
        // Writing to a text does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// A line as `sha256sum --check` reads it.
fn sum_line(bytes: &[u8], name: &str) -> String {
    format!("{}  {name}\n", sha256(bytes))
}

/// What is wrong in an unpacked package.
fn contents(krate: &Crate, folder: &Path, root: &Path) -> Result<Vec<String>, String> {
    let files = files(folder)?;
    let mut found = Vec::new();
    let licence = licence_file(krate);
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    if !same_text(&read(folder.join(licence)), &read(root.join(licence))) {
        found.push(format!("{}: {licence} is missing or not the workspace's", krate.name));
    }
    if read(folder.join("README.md")).trim().is_empty() {
        found.push(format!("{}: no README.md", krate.name));
    }
    for (name, size) in &files {
        if *size > MAX_FILE {
            found.push(format!("{}: {name} has {size} bytes, is it meant?", krate.name));
        }
        if is_stray(name) {
            found.push(format!("{}: {name} does not belong in a package", krate.name));
        }
    }
    Ok(found)
}

/// Files that no package should have, by their name.
fn is_stray(name: &str) -> bool {
    const ENDS: [&str; 10] =
        [".orig", ".rej", ".swp", ".bak", ".profraw", ".log", ".key", ".pem", ".crate", "~"];
    /// What cargo adds itself.
    const ADDED: [&str; 2] = [".cargo_vcs_info.json", "Cargo.toml.orig"];
    if ADDED.contains(&name) || PUBLIC_KEYS.contains(&name) {
        return false;
    }
    let hidden = name.split('/').any(|part| part.starts_with('.'));
    let ends = ENDS.iter().any(|end| name.ends_with(end));
    hidden || ends || name.starts_with("target/")
}

/// Every file below a folder, with its path in it and its size, ordered by path.
fn files(folder: &Path) -> Result<Vec<(String, u64)>, String> {
    let problem = |e: std::io::Error| format!("{} cannot be read: {e}", folder.display());
    let (mut found, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).map_err(problem)? {
            let path = entry.map_err(problem)?.path();
            let about = fs::symlink_metadata(&path).map_err(problem)?;
            if about.is_dir() {
                open.push(path);
            } else if let Ok(inside) = path.strip_prefix(folder) {
                let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
                found.push((parts.join("/"), about.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The crates so that each comes after all it needs, tests included, since a registry looks for
/// those too; by name where that leaves a choice.
fn order<'c>(crates: impl Iterator<Item = &'c Crate>) -> Result<Vec<&'c Crate>, String> {
    let mut left: Vec<&Crate> = crates.collect();
    left.sort_by(|a, b| a.name.cmp(&b.name));
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let waits = |krate: &Crate| {
            let needs = |other: &&Crate| {
                krate.dependencies.iter().any(|d| d.name == other.name && d.requirement != "*")
            };
            left.iter().any(|other| other.name != krate.name && needs(other))
        };
        let Some(next) = left.iter().position(|krate| !waits(krate)) else {
            let names: Vec<&str> = left.iter().map(|c| c.name.as_str()).collect();
            return Err(format!("none of {} can be published first", names.join(", ")));
        };
        ordered.push(left.remove(next));
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Dependency;

    fn krate(name: &str, needs: &[(&str, &str)]) -> Crate {
        let dependency = |(name, requirement): &(&str, &str)| Dependency {
            name: (*name).to_owned(),
            requirement: (*requirement).to_owned(),
            ..Dependency::default()
        };
        Crate {
            name: name.to_owned(),
            dependencies: needs.iter().map(dependency).collect(),
            ..Crate::default()
        }
    }

    fn names(crates: &[Crate]) -> Result<Vec<&str>, String> {
        order(crates.iter()).map(|o| o.iter().map(|c| c.name.as_str()).collect())
    }

    #[test]
    fn what_is_needed_comes_first() {
        let crates = [
            krate("a", &[("c", "^1"), ("serde", "^1")]),
            krate("b", &[]),
            krate("c", &[("d", "^1")]),
            krate("d", &[]),
        ];
        assert_eq!(names(&crates), Ok(vec!["b", "d", "c", "a"]));
    }

    #[test]
    fn a_circle_is_named_unless_it_is_left_out_of_the_package() {
        let circle = [krate("a", &[("b", "^1")]), krate("b", &[("a", "^1")])];
        assert!(names(&circle).is_err_and(|why| why.contains("a, b")));
        let by_path = [krate("a", &[("b", "^1")]), krate("b", &[("a", "*")])];
        assert_eq!(names(&by_path), Ok(vec!["b", "a"]));
    }

    #[test]
    fn strays_are_known_by_their_names() {
        for stray in [
            "src/lib.rs.orig",
            ".DS_Store",
            "src/.lib.rs.swp",
            "keys/vendor.key",
            "server.pem",
            "target/debug/a",
            "notes~",
            "a.log",
        ] {
            assert!(is_stray(stray), "{stray}");
        }
        for fine in ["src/lib.rs", ".cargo_vcs_info.json", "Cargo.toml.orig", PUBLIC_KEYS[0]] {
            assert!(!is_stray(fine), "{fine}");
        }
    }

    #[test]
    fn a_sum_is_what_sha256sum_prints() {
        assert_eq!(
            sum_line(b"abc", "packages/a.crate"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  packages/a.crate\n"
        );
    }
}
