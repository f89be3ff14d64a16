//! Runs one of the programs in `examples/`, or lists them.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use crate::manifest::{self, Crate};
use crate::runner::Line;
use crate::setup;

const PACKAGE: &str = "atrion-examples";
/// Those that show commercial parts, which need a key.
const LICENSED: [&str; 3] = ["studio_mounted", "three_nodes", "warm_start"];
const KEY: &str = "ATRION_LICENSE_KEY";

/// Runs the example that `args` begins with and passes it the rest, in the user's folder; lists all
/// of them if there is none.
///
/// # Errors
///
/// A sentence if there is no such example, or if it cannot be started or what it needs not be had.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    let crates = manifest::crates(root)?;
    let package = crates.iter().find(|krate| krate.name == PACKAGE);
    let package = package.ok_or_else(|| format!("the package {PACKAGE} is not there"))?;
    let Some((name, rest)) = args.split_first() else {
        list(root, package);
        return Ok(true);
    };
    let name = name.to_string_lossy();
    if !names(package).any(|known| known == name) {
        let known: Vec<&str> = names(package).collect();
        return Err(format!("there is no example `{name}`; the examples are {}", known.join(", ")));
    }
    match &*name {
        "three_nodes" => setup::redis(root)?,
        "warm_start" => setup::postgres(root)?,
        _ => {}
    }
    let line = line(package, &name);
    println!("==> {line}");
    let here = std::env::current_dir().map_err(|e| format!("no current folder: {e}"))?;
    let mut command = line.command(&here);
    command.arg("--manifest-path").arg(root.join("Cargo.toml"));
    if LICENSED.contains(&&*name) && std::env::var_os(KEY).is_none() {
        command.env(KEY, development_key(root)?);
    }
    let own = rest.first().is_some_and(|arg| arg == "--");
    let status = command.arg("--").args(rest.get(usize::from(own)..).unwrap_or_default()).status();
    Ok(status.map_err(|e| format!("`{line}` cannot be started: {e}"))?.success())
}

/// What a user would type.
fn line(package: &Crate, name: &str) -> Line {
    let line = Line::cargo("run --package").args([PACKAGE]);
    let has_feature = package.features.iter().any(|feature| feature == name);
    let line = if has_feature { line.args(["--features", name]) } else { line };
    line.args(["--bin", name])
}

fn names(package: &Crate) -> impl Iterator<Item = &str> {
    let programs = package.targets.iter().filter(|target| target.kind == "bin");
    programs.map(|target| target.name.as_str())
}

fn list(root: &Path, package: &Crate) {
    println!("The examples; `cargo xtask example NAME` runs one:\n");
    for name in names(package) {
        println!("  {name:16} {}", about(root, name));
    }
}

/// The first line of its documentation.
fn about(root: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(root.join("examples").join(format!("{name}.rs")));
    let text = text.unwrap_or_default();
    text.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap_or_default().to_owned()
}

/// A fresh development key, as `cargo xtask license dev` prints it.
fn development_key(root: &Path) -> Result<String, String> {
    let line = Line::cargo("run --quiet --package atrion-license --features tool -- dev");
    let output = line.command(root).stderr(Stdio::inherit()).output();
    let output = output.map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    if !output.status.success() {
        return Err(format!("there is no development key; again: {line}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> Crate {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let crates = manifest::crates(root).unwrap();
        crates.into_iter().find(|krate| krate.name == PACKAGE).unwrap()
    }

    #[test]
    fn each_is_described_and_listed_with_its_command() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let package = package();
        let readme = std::fs::read_to_string(root.join("examples/README.md")).unwrap();
        assert!(names(&package).count() >= 10);
        for name in names(&package) {
            assert!(about(root, name).len() > 20, "{name}");
            let line = line(&package, name).to_string();
            assert!(readme.contains(&line), "examples/README.md lacks `{line}`");
            let text = std::fs::read_to_string(root.join(format!("examples/{name}.rs"))).unwrap();
            assert!(text.lines().count() <= 170, "{name} is too long to be read");
        }
    }

    #[test]
    fn those_that_need_a_key_exist() {
        let package = package();
        for name in LICENSED {
            assert!(names(&package).any(|known| known == name), "{name}");
        }
    }
}
