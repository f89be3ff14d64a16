//! The tool behind `docs/codemods`: a binary in a wheel of PyPI, since building it from crates.io
//! takes minutes. Version and checksums are pinned in `docs/codemods/requirements.txt`; pip
//! refuses whatever does not match. It is kept in the target folder and touches nothing else.

use std::path::Path;

use super::{is_version, python};
use crate::demo::target_dir;

/// Relative to the workspace.
const PINNED: &str = "docs/codemods/requirements.txt";

/// Installs the pinned version unless it is there.
///
/// # Errors
///
/// A sentence that says what is missing and how to install it.
pub(super) fn install(root: &Path) -> Result<(), String> {
    let version = pinned(root)?;
    let home = target_dir(root).join("tools").join("ast-grep");
    let program = python::program(&home, "ast-grep");
    if is_version(&program, &["--version"], &version) {
        println!("    ast-grep {version} found");
        return Ok(());
    }
    println!("    installing ast-grep {version}");
    python::environment(root, &home, PINNED)?;
    if is_version(&program, &["--version"], &version) {
        Ok(())
    } else {
        Err(format!(
            "{} was installed and is not version {version}; remove {} and run this again",
            program.display(),
            home.display()
        ))
    }
}

/// The version in the list of pinned files.
fn pinned(root: &Path) -> Result<String, String> {
    let path = root.join(PINNED);
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    version_in(&text).ok_or_else(|| format!("{} names no version of ast-grep-cli", path.display()))
}

fn version_in(requirements: &str) -> Option<String> {
    let line = requirements.lines().find_map(|line| line.strip_prefix("ast-grep-cli=="))?;
    line.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_version_is_read_and_every_file_has_a_checksum() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let version = pinned(root).expect("readable");
        assert_eq!(version.split('.').count(), 3, "{version}");
        let text = std::fs::read_to_string(root.join(PINNED)).expect("readable");
        assert!(text.matches("--hash=sha256:").count() >= 5, "{text}");
        assert_eq!(version_in("# nothing\nast-grep==1.0\n"), None);
    }
}
