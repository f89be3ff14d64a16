//! The public interface of each library as text, one item a line, kept in `docs/api`: what changes
//! for users is seen in a review, and the next release is compared with it.
//!
//! rustdoc writes it as JSON, a format that is not stable: the tool that makes text of it reads
//! exactly one version. Where the compiler writes another one, nothing is compared and that is said.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::manifest::Crate;
use crate::release::Release;
use crate::release::semver::{Changes, changes};
use crate::release::table::Outcome;
use crate::release::tools::{cargo_tool, must_pass, stdout_of};
use crate::runner::Line;

/// Names the rustdoc that this program stands in for; see [`as_rustdoc`].
pub(crate) const WRAPPED_RUSTDOC: &str = "ATRION_XTASK_WRAPPED_RUSTDOC";

/// What makes text of rustdoc's JSON, and the version of that format which it reads.
const TOOL: (&str, &str) = ("cargo-public-api", "0.52.0");
const FORMAT: u64 = 57;
/// A compiler that writes that format.
const COMPILER: &str = "1.95";
/// How many lines of a difference are shown.
const SHOWN: usize = 60;

/// The step: every public interface is as `docs/api` has it.
pub(crate) fn step(release: &Release) -> Outcome {
    let texts = match texts(release) {
        Ok(texts) => texts,
        Err(outcome) => return outcome,
    };
    let mut differences = Vec::new();
    let mut items = 0;
    for (krate, text) in &texts {
        items += text.lines().filter(|line| is_item(line)).count();
        let kept = fs::read_to_string(kept(release, krate)).unwrap_or_default();
        let changes = changes(&kept, text);
        if changes != Changes::default() {
            differences.push(shown(&krate.name, &changes));
        }
    }
    if differences.is_empty() {
        Outcome::Passed(format!("{items} items of {} libraries as in docs/api", texts.len()))
    } else {
        Outcome::Failed(format!(
            "{} interfaces are not as in docs/api; if that is meant: cargo xtask release \
             --bless-api\n{}",
            differences.len(),
            differences.join("\n")
        ))
    }
}

/// Writes every public interface into `docs/api`, and removes those of crates that are gone.
///
/// # Errors
///
/// A sentence if it cannot be had or written.
pub(crate) fn bless(release: &Release) -> Result<(), String> {
    let texts = texts(release).map_err(|outcome| outcome.remark().to_owned())?;
    let folder = release.root.join("docs").join("api");
    let problem = |e: std::io::Error| format!("{} cannot be written: {e}", folder.display());
    fs::create_dir_all(&folder).map_err(problem)?;
    for entry in fs::read_dir(&folder).map_err(problem)? {
        let path = entry.map_err(problem)?.path();
        let named = |krate: &&Crate| path.file_stem() == Some(OsStr::new(&krate.name));
        if path.extension() == Some(OsStr::new("txt")) && !release.published().any(|k| named(&k)) {
            fs::remove_file(&path).map_err(problem)?;
        }
    }
    for (krate, text) in &texts {
        let path = kept(release, krate);
        let changed = changes(&fs::read_to_string(&path).unwrap_or_default(), text);
        fs::write(&path, text).map_err(problem)?;
        println!(
            "{}: {} items gone, {} new",
            path.display(),
            changed.removed.len(),
            changed.added.len()
        );
    }
    Ok(())
}

/// A line that is an item and no comment.
pub(crate) fn is_item(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with('#')
}

/// Where the interface of a crate is kept, below the workspace.
pub(crate) fn kept_name(krate: &Crate) -> String {
    format!("docs/api/{}.txt", krate.name)
}

fn kept(release: &Release, krate: &Crate) -> PathBuf {
    release.root.join(kept_name(krate))
}

/// The interfaces of all libraries that are published.
fn texts(release: &Release) -> Result<Vec<(&Crate, String)>, Outcome> {
    let tool = cargo_tool(release, TOOL.0, TOOL.1).map_err(Outcome::NotChecked)?;
    let mut texts = Vec::new();
    for krate in release.published().filter(|krate| krate.is_library()) {
        let json = json(release, krate).map_err(Outcome::Failed)?;
        let format = format_of(&json).map_err(Outcome::Failed)?;
        if format != Some(FORMAT) {
            let found = format.map_or("an unknown format".to_owned(), |n| format!("format {n}"));
            return Err(Outcome::NotChecked(format!(
                "this compiler's rustdoc writes {found} and {} {} reads {FORMAT}: use Rust \
                 {COMPILER}, or another version of the tool (xtask/src/release/api.rs)",
                TOOL.0, TOOL.1
            )));
        }
        let line = Line::new(&tool.display().to_string())
            .args(["public-api", "--color", "never", "--omit", "blanket-impls"])
            .args(["--rustdoc-json".to_owned(), json.display().to_string()]);
        let items = stdout_of(&line, &release.root).map_err(Outcome::Failed)?;
        texts.push((krate, text(&krate.name, &items)));
    }
    Ok(texts)
}

fn text(name: &str, items: &str) -> String {
    let mut text = format!(
        "# The public interface of {name} with all features, but for what all types have.\n\
         # Written by `cargo xtask release --bless-api`, not by hand.\n"
    );
    for line in items.lines().filter(|line| is_item(line)) {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Has rustdoc describe a crate, and says where it did.
fn json(release: &Release, krate: &Crate) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|e| format!("this program has no path: {e}"))?;
    let rustdoc = std::env::var("RUSTDOC").unwrap_or_else(|_| "rustdoc".to_owned());
    // The flags go through the wrapper and not through cargo's command line, which would forbid
    // the dependencies to be shared with all other builds.
    let line = Line::cargo("rustdoc --lib --all-features --quiet --package")
        .args([krate.name.as_str(), "--"])
        .args(["-Z", "unstable-options", "--output-format", "json", "--cap-lints", "allow"])
        .env("RUSTDOC", own.display().to_string())
        .env(WRAPPED_RUSTDOC, rustdoc);
    must_pass(&line, &release.root)?;
    let lib = krate.name.replace('-', "_");
    Ok(release.target.join("doc").join(format!("{lib}.json")))
}

/// Stands in for rustdoc, with its unstable options allowed.
///
/// Allowing them for all of cargo would make build scripts of dependencies choose what only a
/// nightly compiler has, and everything would be built once more for that.
pub(crate) fn as_rustdoc(rustdoc: &OsStr) -> ExitCode {
    let status = Command::new(rustdoc)
        .args(std::env::args_os().skip(1))
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove(WRAPPED_RUSTDOC)
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("{} cannot be started: {e}", rustdoc.display());
            ExitCode::FAILURE
        }
    }
}

/// The version of the format that a file of rustdoc's is in.
fn format_of(json: &PathBuf) -> Result<Option<u64>, String> {
    let problem = |e: String| format!("{} cannot be read: {e}", json.display());
    let bytes = fs::read(json).map_err(|e| problem(e.to_string()))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|e| problem(e.to_string()))?;
    Ok(value.get("format_version").and_then(Value::as_u64))
}

fn shown(name: &str, changes: &Changes) -> String {
    let mut lines = vec![format!("{name}:")];
    lines.extend(changes.removed.iter().map(|line| format!("- {line}")));
    lines.extend(changes.added.iter().map(|line| format!("+ {line}")));
    let left_out = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if left_out > 0 {
        lines.push(format!("and {left_out} more lines"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_its_items_below_two_comments() {
        let text = text("a", "pub mod a\n\npub fn a::b()  \n");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[..2].iter().all(|line| !is_item(line)), "{text}");
        assert_eq!(lines[2..], ["pub mod a", "pub fn a::b()"]);
    }

    #[test]
    fn a_difference_is_shown_up_to_a_bound() {
        let old = (0..100).map(|n| format!("pub fn a::f{n}()")).collect::<Vec<_>>().join("\n");
        let all = shown("a", &changes(&old, "pub fn a::new()\n"));
        assert!(all.starts_with("a:\n- pub fn a::f"), "{all}");
        assert_eq!(all.lines().count(), SHOWN + 1);
        assert!(all.ends_with("and 42 more lines"), "{all}");
        let one = shown("a", &changes("pub fn a::f(u8)\n", "pub fn a::f(u16)\n"));
        assert_eq!(one, "a:\n- pub fn a::f(u8)\n+ pub fn a::f(u16)");
    }
}
