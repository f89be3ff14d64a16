//! What cargo says about the workspace's crates: names, licences, features, dependencies.

use std::path::Path;
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
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

/// One declared dependency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) optional: bool,
    /// Whether it is needed only to build the crate's own tests and benches.
    pub(crate) dev: bool,
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
    let output = Line::cargo("metadata --format-version 1 --no-deps")
        .command(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("`cargo metadata` cannot be started: {e}"))?;
    if !output.status.success() {
        return Err(format!("`cargo metadata` ended with {}", output.status));
    }
    let metadata = serde_json::from_slice(&output.stdout)
        .map_err(|e| format!("`cargo metadata` printed no JSON: {e}"))?;
    let mut crates: Vec<Crate> = list(&metadata, "packages").map(read_crate).collect();
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(crates)
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, key: &str) -> String {
    let text = value.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn read_crate(package: &Value) -> Crate {
    let features = package.get("features").and_then(Value::as_object);
    let features = features.into_iter().flatten();
    Crate {
        name: text(package, "name"),
        licence: text(package, "license"),
        features: features.map(|(name, _)| name.clone()).filter(|name| name != "default").collect(),
        default_features: package
            .get("features")
            .into_iter()
            .flat_map(|features| list(features, "default"))
            .filter_map(|f| f.as_str().map(str::to_owned))
            .collect(),
        dependencies: list(package, "dependencies")
            .map(|d| Dependency {
                name: text(d, "name"),
                optional: d.get("optional").and_then(Value::as_bool) == Some(true),
                dev: d.get("kind").and_then(Value::as_str) == Some("dev"),
            })
            .collect(),
        targets: list(package, "targets")
            .map(|t| Target {
                name: text(t, "name"),
                kind: list(t, "kind").next().and_then(Value::as_str).unwrap_or_default().to_owned(),
            })
            .collect(),
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
        assert!(core.is_library());
        assert!(core.features.contains(&"serde".to_owned()));
        assert!(core.dependencies.iter().any(|d| d.name == "libm" && !d.dev && !d.optional));
        let own = crates.iter().find(|c| c.name == "xtask").unwrap();
        assert!(!own.is_library());
    }
}
