//! What the compiler says: the oldest one that will do, lints about promises, documentation.

use std::time::Duration;

use serde_json::Value;

use crate::manifest::{self, list, text};
use crate::release::Release;
use crate::release::changelog::Version;
use crate::release::table::Outcome;
use crate::release::tools::must_pass;
use crate::runner::Line;

/// The oldest compiler that the workspace supports, as its manifest says.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");
/// How long a toolchain may take to arrive.
const FETCH: Duration = Duration::from_secs(180);

/// The step: no dependency asks for a newer compiler than we do.
pub(crate) fn needed(release: &Release) -> Outcome {
    let look = || {
        let words = "metadata --format-version 1 --all-features --locked";
        let metadata = manifest::metadata(&release.root, words)?;
        let ours = Version::parse(RUST).ok_or_else(|| format!("`{RUST}` is no version"))?;
        let newer = newer(&metadata, ours);
        if newer.is_empty() {
            let count = list(&metadata, "packages").count();
            return Ok(Outcome::Passed(format!(
                "none of {count} crates asks for more than {RUST}"
            )));
        }
        Err(format!(
            "the workspace states Rust {RUST}, and these ask for more; state that, or hold them \
             back with `cargo update --precise`\n{}",
            newer.join("\n")
        ))
    };
    look().into()
}

/// The crates that say they need a newer compiler.
fn newer(metadata: &Value, ours: Version) -> Vec<String> {
    let asks = |package: &Value| {
        let stated = text(package, "rust_version");
        // Whoever says nothing asks for nothing; what cannot be read is worth a look.
        let more = !stated.is_empty() && Version::parse(&stated).is_none_or(|v| v > ours);
        more.then(|| {
            format!("{} {} needs {stated}", text(package, "name"), text(package, "version"))
        })
    };
    list(metadata, "packages").filter_map(asks).collect()
}

/// The step: the oldest compiler builds every crate, where it can be had.
pub(crate) fn oldest(release: &Release) -> Outcome {
    let there = Line::new("rustup").args(["run", RUST, "rustc", "--version"]);
    let fetch = Line::new("rustup").args(["toolchain", "install", RUST, "--profile", "minimal"]);
    let root = &release.root;
    if !there.succeeds_within(root, FETCH) && !fetch.succeeds_within(root, FETCH) {
        return Outcome::NotChecked(format!(
            "Rust {RUST} cannot be had here; where it can: {fetch}"
        ));
    }
    let line = Line::new("rustup")
        .args(["run", RUST, "cargo", "check", "--lib", "--all-features", "--locked"])
        .args(release.package_args())
        // In a folder with the rest either compiler would undo what the other has built.
        .env("CARGO_TARGET_DIR", release.target.join("oldest").display().to_string());
    must_pass(&line, root).map(|()| Outcome::Passed(format!("builds with Rust {RUST}"))).into()
}

/// The step: public items are documented, those that can fail say how, and nothing of the standard
/// library is newer than the oldest compiler.
pub(crate) fn lints(release: &Release) -> Outcome {
    let line = Line::cargo("clippy --lib --all-features").args(release.package_args()).args([
        "--",
        "-D",
        "warnings",
        // Forbidden, so that no attribute in the sources can excuse an item.
        "-F",
        "missing_docs",
        "-F",
        "clippy::missing_errors_doc",
        "-F",
        "clippy::missing_panics_doc",
        "-F",
        "clippy::incompatible_msrv",
    ]);
    let remark = format!("docs, `# Errors`, `# Panics`; no API of std newer than {RUST}");
    must_pass(&line, &release.root).map(|()| Outcome::Passed(remark)).into()
}

/// The step: what docs.rs will build, without a warning.
pub(crate) fn docs(release: &Release) -> Outcome {
    let line = Line::cargo("doc --lib --no-deps --all-features")
        .args(release.package_args())
        .env("RUSTDOCFLAGS", "-D warnings");
    must_pass(&line, &release.root).map(|()| Outcome::Passed("no warnings".to_owned())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_for_more_is_named() {
        let metadata = serde_json::json!({ "packages": [
            { "name": "a", "version": "1.0.0", "rust_version": "1.88.0" },
            { "name": "b", "version": "2.0.0", "rust_version": "1.89" },
            { "name": "c", "version": "3.0.0", "rust_version": null },
            { "name": "d", "version": "4.0.0", "rust_version": "1.100" },
            { "name": "e", "version": "5.0.0", "rust_version": "soon" },
        ]});
        let ours = Version::parse("1.88").expect("a version");
        assert_eq!(
            newer(&metadata, ours),
            ["b 2.0.0 needs 1.89", "d 4.0.0 needs 1.100", "e 5.0.0 needs soon"]
        );
    }
}
