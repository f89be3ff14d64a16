//! What a build of `atrion` with all features is made of, as a bill of materials in CycloneDX.
//!
//! `cargo-cyclonedx` writes it beside the manifest, so it works on a clone of the commit. What it
//! cannot know is added: the files of others that are in our packages without being crates. What
//! would differ from machine to machine is taken out: the same commit gives the same bytes.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::manifest::{list, text};
use crate::release::packages::sha256;
use crate::release::table::Outcome;
use crate::release::tools::{cargo_tool, must_pass, stdout_of};
use crate::release::tree::git;
use crate::release::{Release, output};
use crate::runner::Line;
use crate::setup::python;

const TOOL: (&str, &str) = ("cargo-cyclonedx", "0.5.9");
/// Relative to the workspace.
const PINNED: &str = "xtask/src/release/sbom/requirements.txt";
const VALIDATE: &str = "xtask/src/release/sbom/validate.py";
/// The chart library that Studio's page is served with; `docs/dependencies.md` has its checksums.
const VENDORED: (&str, &str) = ("crates/atrion-studio/assets/vendor", "uPlot");

/// The step: the bill is made, complete, and valid.
pub(crate) fn step(release: &Release) -> Outcome {
    let tool = match cargo_tool(release, TOOL.0, TOOL.1) {
        Ok(tool) => tool,
        Err(why) => return Outcome::NotChecked(why),
    };
    let bill = match make(release, &tool) {
        Ok(bill) => bill,
        Err(why) => return Outcome::Failed(why),
    };
    let name = format!("atrion-{}.cdx.json", release.version);
    let printed = serde_json::to_string_pretty(&bill).unwrap_or_default() + "\n";
    if let Err(why) = output::write(release, &name, printed) {
        return Outcome::Failed(why);
    }
    let unlicensed = without_licence(&bill);
    if !unlicensed.is_empty() {
        return Outcome::Failed(format!("no licence is known of {}", unlicensed.join(", ")));
    }
    let home = release.target.join("tools").join("sbom");
    if let Err(why) = validator(release, &home) {
        return Outcome::NotChecked(format!("whether {name} is valid: {why}"));
    }
    let sbom = release.staging.join(&name).display().to_string();
    let line = Line::new(&python::program(&home, "python").display().to_string());
    let count = list(&bill, "components").count();
    stdout_of(&line.args([VALIDATE.to_owned(), sbom]), &release.root)
        .map(|_| Outcome::Passed(format!("{count} components with licences, valid CycloneDX 1.5")))
        .into()
}

/// Installs the validator unless this very version is there.
fn validator(release: &Release, home: &Path) -> Result<(), String> {
    let wanted = fs::read_to_string(release.root.join(PINNED))
        .map_err(|e| format!("{PINNED} cannot be read: {e}"))?;
    let mark = home.join("installed.txt");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    python::environment(&release.root, home, PINNED)?;
    fs::write(&mark, wanted).map_err(|e| format!("{} cannot be written: {e}", mark.display()))
}

fn make(release: &Release, tool: &Path) -> Result<Value, String> {
    let source = release.target.join("release-source");
    if source.exists() {
        fs::remove_dir_all(&source)
            .map_err(|e| format!("{} cannot be removed: {e}", source.display()))?;
    }
    let paths = [release.root.display().to_string(), source.display().to_string()];
    stdout_of(&git("clone --quiet --shared --no-tags").args(paths), &release.root)?;
    let made_at = stdout_of(&git("log -1 --format=%ct"), &release.root)?;
    let line = Line::new(&tool.display().to_string())
        .args("cyclonedx --all-features --target all --format json --spec-version 1.5".split(' '))
        .args(["--override-filename", "sbom", "--manifest-path", "crates/atrion/Cargo.toml"])
        .env("SOURCE_DATE_EPOCH", made_at.trim());
    must_pass(&line, &source)?;
    let file = source.join("crates/atrion/sbom.json");
    let written =
        fs::read_to_string(&file).map_err(|e| format!("{} cannot be read: {e}", file.display()))?;
    let vendored = names_in(&source.join(VENDORED.0))?;
    let mut bill = serde_json::from_str(&portable(&written, &source))
        .map_err(|e| format!("{} is no JSON: {e}", file.display()))?;
    add_vendored(&mut bill, &source, &vendored)?;
    // The clone has done its work; the next run makes another.
    let _ = fs::remove_dir_all(&source);
    Ok(bill)
}

fn names_in(folder: &Path) -> Result<Vec<String>, String> {
    let entries =
        fs::read_dir(folder).map_err(|e| format!("{} cannot be read: {e}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.file_name().display().to_string()).collect())
}

/// The text without the folder that it was made in.
fn portable(written: &str, source: &Path) -> String {
    let folder = source.display().to_string();
    // As JSON writes a path with backslashes.
    written.replace(&folder.replace('\\', "\\\\"), "").replace(&folder, "")
}

/// Adds what is in our packages and is no crate: a library of JavaScript, read off its files' name.
fn add_vendored(bill: &mut Value, root: &Path, files: &[String]) -> Result<(), String> {
    let (folder, name) = VENDORED;
    let prefix = format!("{}-", name.to_lowercase());
    let script = |file: &&String| file.starts_with(&prefix) && file.ends_with(".min.js");
    let file = files.iter().find(script).ok_or_else(|| format!("{folder} has no {prefix}*.js"))?;
    let version = file.trim_start_matches(&prefix).trim_end_matches(".min.js");
    let path = root.join(folder).join(file);
    let bytes = fs::read(&path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    let purl = format!("pkg:npm/{}@{version}", name.to_lowercase());
    let component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "description": "Charts of Studio's page, served from the package atrion-studio",
        "scope": "required",
        "hashes": [{ "alg": "SHA-256", "content": sha256(&bytes) }],
        "licenses": [{ "license": { "id": "MIT" } }],
        "purl": purl,
    });
    let missing = || "the bill has no list of components".to_owned();
    let studio = reference_of(bill, "atrion-studio").ok_or("atrion-studio is not in the bill")?;
    let components = bill.get_mut("components").and_then(Value::as_array_mut);
    components.ok_or_else(missing)?.push(component);
    let graph = bill.get_mut("dependencies").and_then(Value::as_array_mut).ok_or_else(missing)?;
    for node in graph.iter_mut().filter_map(Value::as_object_mut) {
        if node.get("ref").and_then(Value::as_str) == Some(&studio) {
            depend(node, &purl);
        }
    }
    graph.push(json!({ "ref": purl }));
    Ok(())
}

fn reference_of(bill: &Value, name: &str) -> Option<String> {
    let component = list(bill, "components").find(|c| text(c, "name") == name)?;
    Some(text(component, "bom-ref"))
}

fn depend(node: &mut Map<String, Value>, on: &str) {
    let list = node.entry("dependsOn").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.push(json!(on));
    }
}

/// The components that name no licence.
fn without_licence(bill: &Value) -> Vec<String> {
    let nameless = |c: &&Value| list(c, "licenses").next().is_none();
    list(bill, "components").filter(nameless).map(|c| text(c, "name")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace")
    }

    #[test]
    fn no_folder_of_the_machine_is_left_in_the_text() {
        let text = r#"{"bom-ref": "path+file:///home/me/x/crates/atrion#0.1.0"}"#;
        assert_eq!(
            portable(text, Path::new("/home/me/x")),
            r#"{"bom-ref": "path+file:///crates/atrion#0.1.0"}"#
        );
    }

    #[test]
    fn the_chart_library_is_part_of_studio() {
        let mut bill = json!({
            "components": [{ "name": "atrion-studio", "bom-ref": "s", "licenses": [1] }],
            "dependencies": [{ "ref": "s", "dependsOn": ["serde"] }, { "ref": "t" }],
        });
        let files = names_in(&root().join(VENDORED.0)).expect("a folder");
        add_vendored(&mut bill, root(), &files).expect("added");
        let reference = reference_of(&bill, "uPlot").expect("it is there");
        assert!(reference.starts_with("pkg:npm/uplot@1."), "{reference}");
        assert_eq!(bill.pointer("/dependencies/0/dependsOn/1"), Some(&json!(reference)));
        assert_eq!(without_licence(&bill), Vec::<String>::new());
        // The checksum is the one that was looked up when the file was taken in.
        let listed = fs::read_to_string(root().join("docs/dependencies.md")).expect("readable");
        let sum = bill.pointer("/components/1/hashes/0/content").and_then(Value::as_str);
        assert!(sum.is_some_and(|sum| listed.contains(sum)), "{sum:?}");
    }

    #[test]
    fn whoever_names_no_licence_is_found() {
        let bill = json!({ "components": [{ "name": "a" }, { "name": "b", "licenses": [] }] });
        assert_eq!(without_licence(&bill), ["a", "b"]);
    }

    #[test]
    fn every_file_of_the_validator_is_pinned() {
        let pinned = fs::read_to_string(root().join(PINNED)).expect("readable");
        assert_eq!(pinned.matches("==").count(), pinned.matches("--hash=sha256:").count());
        assert!(root().join(VALIDATE).is_file());
    }
}
