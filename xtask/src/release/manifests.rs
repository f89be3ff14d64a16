//! What a registry, docs.rs and a reader need to know of each crate that is published.

use std::path::Path;

use crate::boundary::{self, APACHE, COMMERCIAL};
use crate::manifest::Crate;
use crate::release::table::Outcome;

/// The limits of crates.io.
const MAX_KEYWORDS: usize = 5;
const MAX_KEYWORD_CHARS: usize = 20;

/// The step: every fault of every manifest, and what only the owner can add.
pub(crate) fn step(root: &Path, crates: &[Crate]) -> Outcome {
    let published = crates.iter().filter(|c| c.about.published).count();
    if let Err(why) = check(root, crates) {
        return Outcome::Failed(why);
    }
    let nowhere = crates.iter().any(|c| c.about.published && c.about.repository.is_empty());
    if nowhere {
        return Outcome::ByHand(
            "complete but for `repository` in [workspace.package]: where the repository is public \
             is for its owner to say; without it crates.io cannot follow links in READMEs"
                .to_owned(),
        );
    }
    Outcome::Passed(format!("{published} crates to publish, {} not", crates.len() - published))
}

/// The same as one of the project's tests; it takes no time.
///
/// # Errors
///
/// Every fault, one a line.
pub(crate) fn check(root: &Path, crates: &[Crate]) -> Result<(), String> {
    let faults = faults(root, crates);
    if faults.is_empty() {
        return Ok(());
    }
    Err(format!("{} faults in manifests\n{}", faults.len(), faults.join("\n")))
}

/// Every fault in the workspace's manifests.
fn faults(root: &Path, crates: &[Crate]) -> Vec<String> {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let mut found = Vec::new();
    for krate in crates {
        let tool = boundary::is_tool(&krate.name);
        if krate.about.published == tool {
            let (is, must) = if tool {
                ("a tool", "say `publish = false`")
            } else {
                ("to be published", "not say `publish = false`")
            };
            found.push(format!("{} is {is} and must {must}", krate.name));
        }
        if !krate.about.published {
            continue;
        }
        found.extend(metadata_faults(krate));
        found.extend(dependency_faults(krate, crates));
        let manifest = read(&krate.about.folder.join("Cargo.toml"));
        if !inherits_lints(&manifest) {
            found.push(format!("{}: `[lints] workspace = true` is missing", krate.name));
        }
        let file = licence_file(krate);
        if !same_text(&read(&krate.about.folder.join(file)), &read(&root.join(file))) {
            found.push(format!("{}: {file} is missing or not the workspace's", krate.name));
        }
        let readme = read(&krate.about.folder.join(&krate.about.readme));
        if readme.trim().is_empty() {
            found.push(format!("{}: no README", krate.name));
        }
        let documented = readme + &read(&krate.about.folder.join("src/lib.rs"));
        found.extend(undocumented(krate, &documented));
    }
    found
}

/// The file with the licence's text, by its name in the workspace and in each package.
pub(crate) fn licence_file(krate: &Crate) -> &'static str {
    if krate.licence == COMMERCIAL { "LICENSE-COMMERCIAL" } else { "LICENSE-APACHE" }
}

/// Two texts that differ at most in line ends, and are not nothing.
pub(crate) fn same_text(one: &str, other: &str) -> bool {
    !one.trim().is_empty() && one.lines().eq(other.lines())
}

fn metadata_faults(krate: &Crate) -> Vec<String> {
    let about = &krate.about;
    let mut found = Vec::new();
    let mut fault = |what: String| found.push(format!("{}: {what}", krate.name));
    if about.description.trim().is_empty() {
        fault("no description".to_owned());
    }
    if krate.licence != APACHE && krate.licence != COMMERCIAL {
        fault(format!("the licence is `{}`", krate.licence));
    }
    if about.rust_version.is_empty() {
        fault("no rust-version".to_owned());
    }
    if about.readme.is_empty() {
        fault("no readme".to_owned());
    }
    if about.keywords.is_empty() || about.keywords.len() > MAX_KEYWORDS {
        fault(format!("{} keywords; 1 to {MAX_KEYWORDS} are taken", about.keywords.len()));
    }
    for keyword in about.keywords.iter().filter(|keyword| !is_keyword(keyword)) {
        fault(format!(
            "the keyword `{keyword}` is not at most {MAX_KEYWORD_CHARS} letters, digits, `-`, `_` \
             or `+`, a letter or digit first"
        ));
    }
    if about.categories.is_empty() || about.categories.len() > MAX_KEYWORDS {
        fault(format!("{} categories; 1 to {MAX_KEYWORDS} are taken", about.categories.len()));
    }
    if !about.documents_all {
        fault("[package.metadata.docs.rs] does not say `all-features = true`".to_owned());
    }
    found
}

fn is_keyword(word: &str) -> bool {
    word.len() <= MAX_KEYWORD_CHARS
        && word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_+".contains(c))
}

/// Versions of the workspace are one; a package must find what it depends on in the registry.
fn dependency_faults(krate: &Crate, crates: &[Crate]) -> Vec<String> {
    let mut found = Vec::new();
    let version = &krate.about.version;
    for dependency in &krate.dependencies {
        let Some(target) = crates.iter().find(|c| c.name == dependency.name) else { continue };
        let (name, required) = (&target.name, &dependency.requirement);
        if &target.about.version != version {
            let theirs = &target.about.version;
            found.push(format!("{} is {version} and {name} is {theirs}", krate.name));
        }
        if target.about.published {
            // Without a version a dependency is left out of the package, or stops it.
            let exact = [format!("^{version}"), format!("={version}")];
            if !exact.contains(required) {
                found.push(format!(
                    "{} asks for {name} `{required}`, the workspace has {version}",
                    krate.name
                ));
            }
        } else if !dependency.dev {
            found.push(format!("{} needs {name}, which is not published", krate.name));
        } else if required != "*" {
            found.push(format!(
                "{} names a version of {name}, which is not published: a path alone is left out \
                 of the package",
                krate.name
            ));
        }
    }
    found.dedup();
    found
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true")
}

/// The features that neither the README nor the crate's documentation names.
fn undocumented(krate: &Crate, text: &str) -> Vec<String> {
    let names = |feature: &&String| !text.contains(&format!("`{feature}`"));
    let missing = krate.features.iter().filter(names);
    missing
        .map(|f| format!("{}: neither README nor src/lib.rs names the feature `{f}`", krate.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{About, Dependency};

    fn good() -> Crate {
        Crate {
            name: "a".to_owned(),
            licence: APACHE.to_owned(),
            about: About {
                version: "0.1.0".to_owned(),
                published: true,
                description: "What it is.".to_owned(),
                keywords: vec!["load-shedding".to_owned()],
                categories: vec!["asynchronous".to_owned()],
                rust_version: "1.88".to_owned(),
                readme: "README.md".to_owned(),
                documents_all: true,
                ..About::default()
            },
            ..Crate::default()
        }
    }

    fn other(name: &str, version: &str, published: bool) -> Crate {
        let mut krate = good();
        krate.name = name.to_owned();
        krate.about.version = version.to_owned();
        krate.about.published = published;
        krate
    }

    fn needs(name: &str, requirement: &str, dev: bool) -> Crate {
        let mut krate = good();
        krate.dependencies = vec![Dependency {
            name: name.to_owned(),
            requirement: requirement.to_owned(),
            dev,
            optional: false,
        }];
        krate
    }

    #[test]
    fn the_workspace_has_no_faults() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let crates = crate::manifest::crates(root).unwrap();
        assert_eq!(faults(root, &crates), Vec::<String>::new());
    }

    type Break = fn(&mut Crate);

    #[test]
    fn whatever_is_missing_is_named() {
        assert_eq!(metadata_faults(&good()), Vec::<String>::new());
        let broken: [(Break, &str); 8] = [
            (|c| c.about.description = " ".to_owned(), "description"),
            (|c| c.licence = "MIT".to_owned(), "`MIT`"),
            (|c| c.about.rust_version.clear(), "rust-version"),
            (|c| c.about.readme.clear(), "readme"),
            (|c| c.about.keywords.clear(), "0 keywords"),
            (|c| c.about.keywords = vec!["two words".to_owned()], "`two words`"),
            (|c| c.about.categories.clear(), "0 categories"),
            (|c| c.about.documents_all = false, "docs.rs"),
        ];
        for (breaks, named) in broken {
            let mut krate = good();
            breaks(&mut krate);
            let found = metadata_faults(&krate);
            assert!(matches!(found.as_slice(), [one] if one.contains(named)), "{named}: {found:?}");
        }
    }

    #[test]
    fn keywords_are_those_that_a_registry_takes() {
        for good in ["resilience", "circuit-breaker", "c", "2d"] {
            assert!(is_keyword(good), "{good}");
        }
        for bad in ["", "-a", "admission control", "keywords-of-too-much-length", "über"] {
            assert!(!is_keyword(bad), "{bad}");
        }
    }

    #[test]
    fn versions_of_the_workspace_agree() {
        let published = |version| [other("b", version, true)];
        assert!(dependency_faults(&needs("b", "^0.1.0", false), &published("0.1.0")).is_empty());
        assert!(dependency_faults(&needs("b", "=0.1.0", true), &published("0.1.0")).is_empty());
        for (requirement, version) in [("^0.1.0", "0.2.0"), ("^0.0.9", "0.1.0"), ("*", "0.1.0")] {
            let found = dependency_faults(&needs("b", requirement, false), &published(version));
            assert!(!found.is_empty(), "{requirement} {version}");
        }
    }

    #[test]
    fn what_is_not_published_is_for_tests_only_and_by_path() {
        let helper = [other("b", "0.1.0", false)];
        assert!(dependency_faults(&needs("b", "*", true), &helper).is_empty());
        for (requirement, dev) in [("*", false), ("^0.1.0", true)] {
            let found = dependency_faults(&needs("b", requirement, dev), &helper);
            assert!(found.iter().any(|f| f.contains("not published")), "{found:?}");
        }
    }

    #[test]
    fn a_feature_must_be_named_in_code_quotes() {
        let krate = Crate { features: vec!["tokio".to_owned(), "x".to_owned()], ..good() };
        let found = undocumented(&krate, "Features: `tokio`. Not x.");
        assert!(matches!(found.as_slice(), [one] if one.contains("`x`")), "{found:?}");
    }

    #[test]
    fn licence_texts_differ_at_most_in_line_ends() {
        assert!(same_text("a\r\nb\r\n", "a\nb"));
        assert!(!same_text("a\nb", "a\nc"));
        assert!(!same_text("", ""), "nothing is no licence");
    }

    #[test]
    fn lints_are_inherited_or_not() {
        assert!(inherits_lints("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"));
        assert!(!inherits_lints("[lints]\nworkspace = false\n"));
        assert!(!inherits_lints("[package]\n"));
    }
}
