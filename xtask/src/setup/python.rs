//! Programs that come as wheels of PyPI: pinned by version and checksum, in a folder of their own
//! below the target folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{install as packages, must_run};
use crate::runner::Line;

/// Makes a virtual environment in `home` with exactly what the file `requirements` (relative to
/// the workspace) pins; pip refuses whatever does not match its checksum.
///
/// # Errors
///
/// A sentence that says what is missing and how to install it.
pub(crate) fn environment(root: &Path, home: &Path, requirements: &str) -> Result<(), String> {
    let python = python(root)?;
    let path = |path: &Path| path.display().to_string();
    must_run(root, &Line::new(python).args(["-m", "venv", "--clear"]).args([path(home)]))?;
    let pip = Line::new(&path(&program(home, "python"))).args(
        "-m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
         --require-hashes --requirement"
            .split_whitespace(),
    );
    must_run(root, &pip.args([requirements]))
}

/// A program of a virtual environment.
pub(crate) fn program(home: &Path, name: &str) -> PathBuf {
    let folder = if cfg!(windows) { "Scripts" } else { "bin" };
    home.join(folder).join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// A Python that can make virtual environments. Debian packs that part apart.
fn python(root: &Path) -> Result<&'static str, String> {
    let makes_environments = |python: &str| {
        let probe = ["-c", "import ensurepip, venv"];
        let status = Command::new(python)
            .args(probe)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    let known = ["python3", "python"];
    if let Some(python) = known.into_iter().find(|python| makes_environments(python)) {
        return Ok(python);
    }
    let others = "Python 3 with `venv` is missing; it installs tools that come as wheels. Install \
                  it with your system's packages (Fedora, Arch, Alpine: python3)";
    packages(root, &["python3-venv"], others)?;
    Ok("python3")
}
