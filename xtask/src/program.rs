//! The larger programs of the workspace, which a command builds in release mode and hands over to.
//!
//! They are programs of their own, so that the project's commands need not compile servers, plots and
//! the simulator before they start.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::runner::Line;

/// One of them.
pub(crate) struct Program {
    /// The package, which is the program's name too.
    pub(crate) name: &'static str,
    /// What it is called when it does not build.
    pub(crate) title: &'static str,
    /// Whether cargo says nothing while it builds.
    pub(crate) quietly: bool,
    pub(crate) features: &'static [&'static str],
    /// The variable that tells it where to leave its files unless the user says so, and the folder
    /// in the target folder.
    pub(crate) output: Option<(&'static str, &'static str)>,
}

impl Program {
    /// The command that builds it.
    pub(crate) fn build(&self) -> Line {
        let quietly = if self.quietly { " --quiet" } else { "" };
        let line = Line::cargo(&format!("build --release{quietly} --package")).args([self.name]);
        if self.features.is_empty() {
            return line;
        }
        line.args(["--features".to_owned(), self.features.join(",")])
    }

    /// The program itself, once it is built.
    pub(crate) fn line(&self, root: &Path) -> Line {
        let name = format!("{}{}", self.name, std::env::consts::EXE_SUFFIX);
        Line::new(&target_dir(root).join("release").join(name).display().to_string())
    }

    /// Builds it and runs it with the user's arguments, in the user's folder, so that `--json FILE`
    /// lands where it is meant to. `false` if it reported a failure.
    ///
    /// # Errors
    ///
    /// A sentence if it cannot be built or started.
    pub(crate) fn run(&self, root: &Path, args: &[OsString]) -> Result<bool, String> {
        let build = self.build();
        let built = build.command(root).status();
        if !built.map_err(|e| format!("`{build}` cannot be started: {e}"))?.success() {
            return Err(format!("{} does not build; again: {build}", self.title));
        }
        let here = std::env::current_dir().map_err(|e| format!("no current folder: {e}"))?;
        let line = self.line(root);
        let mut command = line.command(&here);
        command.args(args);
        if let Some((variable, folder)) = self.output {
            command.env(variable, target_dir(root).join(folder));
        }
        let status = command.status().map_err(|e| format!("`{line}` cannot be started: {e}"))?;
        Ok(status.success())
    }
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_built_with_its_features_and_found_where_cargo_puts_it() {
        let mut program =
            Program { name: "a", title: "it", quietly: true, features: &["x", "y"], output: None };
        let build = "cargo build --release --quiet --package a --features x,y";
        assert_eq!(program.build().to_string(), build);
        (program.features, program.quietly) = (&[], false);
        assert_eq!(program.build().to_string(), "cargo build --release --package a");
        let root = Path::new("r");
        let line = program.line(root).to_string();
        assert!(line.contains("release") && line.trim_matches(['"', '\'']).contains('a'), "{line}");
    }
}
