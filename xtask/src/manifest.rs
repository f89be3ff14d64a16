//! What cargo says about the workspace's crates: names, licences, features, dependencies.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::runner::Line;

/// One crate of the workspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) licence: String,
    pub(crate) features: Vec<String>,
    pub(crate) default_features: Vec<String>,
    /// What each feature switches on besides, as the manifest writes it.
    pub(crate) implied: Vec<(String, Vec<String>)>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
    pub(crate) about: About,
}

/// What a registry shows of a crate.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) version: String,
    /// Whether it may be published; `publish = false` in the manifest says no.
    pub(crate) published: bool,
    /// The folder of the manifest.
    pub(crate) folder: PathBuf,
    pub(crate) description: String,
    pub(crate) repository: String,
    pub(crate) keywords: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) rust_version: String,
    pub(crate) readme: String,
    /// Whether docs.rs is told to build every feature.
    pub(crate) documents_all: bool,
}

/// One declared dependency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) optional: bool,
    /// Whether it is needed only to build the crate's own tests and benches.
    pub(crate) dev: bool,
    /// The versions asked for; `*` where the manifest names none.
    pub(crate) requirement: String,
}

/// One thing cargo can build of a crate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: String,
}

impl Crate {
    /// Whether the crate is a library.
    pub(crate) fn is_library(&self) -> bool {
        self.targets.iter().any(|t| t.kind == "lib")
    }
}

/// The workspace's crates, ordered by name.
pub(crate) fn crates(root: &Path) -> Result<Vec<Crate>, String> {
    let metadata = metadata(root, "metadata --format-version 1 --no-deps")?;
    let mut crates: Vec<Crate> = list(&metadata, "packages").map(read_crate).collect();
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(crates)
}

/// What cargo prints for `words`, which ask for its metadata.
pub(crate) fn metadata(root: &Path, words: &str) -> Result<Value, String> {
    let line = Line::cargo(words);
    let output = line
        .command(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("`{line}` cannot be started: {e}"))?;
    if !output.status.success() {
        return Err(format!("`{line}` ended with {}", output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("`{line}` printed no JSON: {e}"))
}

/// The elements of a list, none if there is no list.
pub(crate) fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// A text, empty if there is none.
pub(crate) fn text(value: &Value, key: &str) -> String {
    let text = value.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    list(value, key).filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn read_crate(package: &Value) -> Crate {
    let features = package.get("features").and_then(Value::as_object);
    let implied: Vec<(String, Vec<String>)> = features
        .into_iter()
        .flatten()
        .filter(|(name, _)| *name != "default")
        .map(|(name, parts)| {
            let parts = parts.as_array().into_iter().flatten();
            (name.clone(), parts.filter_map(|v| v.as_str().map(str::to_owned)).collect())
        })
        .collect();
    Crate {
        name: text(package, "name"),
        licence: text(package, "license"),
        features: implied.iter().map(|(name, _)| name.clone()).collect(),
        default_features: package
            .get("features")
            .map(|features| texts(features, "default"))
            .unwrap_or_default(),
        implied,
        dependencies: list(package, "dependencies")
            .map(|d| Dependency {
                name: text(d, "name"),
                optional: d.get("optional").and_then(Value::as_bool) == Some(true),
                dev: d.get("kind").and_then(Value::as_str) == Some("dev"),
                requirement: text(d, "req"),
            })
            .collect(),
        targets: list(package, "targets")
            .map(|t| Target {
                name: text(t, "name"),
                kind: list(t, "kind").next().and_then(Value::as_str).unwrap_or_default().to_owned(),
            })
            .collect(),
        about: read_about(package),
    }
}

fn read_about(package: &Value) -> About {
    let manifest = PathBuf::from(text(package, "manifest_path"));
    let docs = package.pointer("/metadata/docs/rs");
    About {
        version: text(package, "version"),
        // A list of registries; an empty one means nowhere.
        published: package.get("publish").and_then(Value::as_array).is_none_or(|l| !l.is_empty()),
        folder: manifest.parent().map(Path::to_path_buf).unwrap_or_default(),
        description: text(package, "description"),
        repository: text(package, "repository"),
        keywords: texts(package, "keywords"),
        categories: texts(package, "categories"),
        rust_version: text(package, "rust_version"),
        readme: text(package, "readme"),
        documents_all: docs.and_then(|d| d.get("all-features")) == Some(&Value::Bool(true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let crates = crates(root).unwrap();
        let core = crates.iter().find(|c| c.name == "atrion-core").unwrap();
        assert_eq!(core.licence, "Apache-2.0");
        assert!(core.is_library() && core.about.published);
        assert!(core.features.contains(&"serde".to_owned()));
        assert!(core.dependencies.iter().any(|d| d.name == "libm" && !d.dev && !d.optional));
        assert_eq!(core.about.rust_version, env!("CARGO_PKG_RUST_VERSION"));
        let own = crates.iter().find(|c| c.name == "xtask").unwrap();
        assert!(!own.is_library() && !own.about.published);
    }
}
