//! Miri: core and state under an interpreter that notices undefined behaviour.
//!
//! It is a component of nightly compilers, which nothing else here needs, so it is not installed by
//! the setup. Where it is missing, the lane says that nothing was checked.

use std::path::Path;
use std::process::Stdio;

use crate::runner::{Line, Runner};

/// The crates that are interpreted: the physics, and what holds it together.
const CRATES: [&str; 2] = ["atrion-core", "atrion-state"];

/// A command of the nightly toolchain. Rustup finds the toolchain by the name `cargo`, which the
/// cargo that runs this tool is not.
fn nightly(words: &str) -> Line {
    Line::new("rustup").args(["run", "nightly", "cargo", "miri"]).args(words.split_whitespace())
}

/// Whether there is a nightly compiler with Miri.
pub(crate) fn is_installed() -> bool {
    let line = nightly("--version");
    let quiet = line.command(Path::new(".")).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Interprets the unit tests of [`CRATES`], if that is possible here; `false` if one failed.
pub(crate) fn steps(runner: &mut Runner) -> bool {
    if !is_installed() {
        println!(
            "\n==> miri: NOT CHECKED, there is no nightly compiler with Miri here\n    \
             again where it can be had: rustup toolchain install nightly --component miri rust-src && \
             cargo xtask ci miri"
        );
        return true;
    }
    let mut good = true;
    for krate in CRATES {
        let line = nightly("test --lib --package").args([krate]);
        // The interpreter is a thousand times slower: a few draws of each property, and a clock.
        let line = line
            .env("PROPTEST_CASES", "2")
            .env("MIRIFLAGS", "-Zmiri-disable-isolation")
            .env("CARGO_TARGET_DIR", "target/miri");
        good &= runner.tests(&format!("{krate}: interpreted by Miri"), &line);
    }
    good
}
