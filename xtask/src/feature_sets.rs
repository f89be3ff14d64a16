//! The feature combinations worth building.

use crate::manifest::Crate;
use crate::runner::Line;

/// One check per combination: nothing, each feature alone, and everything.
///
/// Features are additive here, so a combination can only break by needing what another feature
/// brings; every feature alone shows that. Combinations that a crate's default or an earlier
/// entry already covers are left out.
pub(crate) fn checks(krate: &Crate) -> Vec<(String, Line)> {
    if !krate.is_library() || krate.features.is_empty() {
        return Vec::new();
    }
    let check = |what: String, extra: &[&str]| {
        let line = Line::cargo("check --lib --package")
            .args([krate.name.as_str()])
            .args(extra.iter().copied());
        (format!("{} {what}", krate.name), line)
    };
    let mut checks = vec![check("without features".to_owned(), &["--no-default-features"])];
    for feature in &krate.features {
        checks.push(check(
            format!("with `{feature}` alone"),
            &["--no-default-features", "--features", feature],
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Target;

    #[test]
    fn each_feature_is_built_alone_and_none_at_all() {
        let krate = Crate {
            name: "x".to_owned(),
            features: vec!["a".to_owned(), "b".to_owned()],
            targets: vec![Target { name: "x".to_owned(), kind: "lib".to_owned() }],
            ..Crate::default()
        };
        let lines: Vec<String> = checks(&krate).iter().map(|(_, l)| l.to_string()).collect();
        assert_eq!(
            lines,
            [
                "cargo check --lib --package x --no-default-features",
                "cargo check --lib --package x --no-default-features --features a",
                "cargo check --lib --package x --no-default-features --features b",
            ]
        );
    }

    #[test]
    fn a_crate_without_features_needs_none() {
        assert!(checks(&Crate::default()).is_empty());
    }
}
