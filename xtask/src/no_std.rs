//! Shows that `atrion-core` needs no standard library.
//!
//! Compiling for a target that has none would show it, but that target's core library is not on
//! every machine. So a probe is linked for this machine instead: a `no_std` static library with
//! a panic handler of its own. The standard library brings a panic handler too, and a program
//! may have only one, so the probe fails to compile as soon as any crate under `atrion-core`
//! links the standard library.

use std::path::{Path, PathBuf};

use crate::runner::{Line, Runner};

const MANIFEST: &str = r#"[package]
name = "no-std-probe"
version = "0.0.0"
edition = "2024"
publish = false

[workspace]

[lib]
crate-type = ["staticlib"]

[profile.dev]
panic = "abort"

[dependencies]
atrion-core = { path = "@CORE@", default-features = false }
"#;

const SOURCE: &str = "#![no_std]
extern crate atrion_core as _;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
";

/// Writes the probe and adds its build as a step.
pub(crate) fn run(runner: &mut Runner) {
    let root = runner.root().to_path_buf();
    match write_probe(&root) {
        Ok(manifest) => {
            let line =
                Line::cargo("build --quiet --manifest-path").args([manifest.display().to_string()]);
            runner.check("atrion-core without the standard library", &line);
        }
        Err(why) => {
            runner.own("atrion-core without the standard library", "cargo xtask test", || Err(why));
        }
    }
}

fn write_probe(root: &Path) -> Result<PathBuf, String> {
    let dir = root.join("target").join("no-std-probe");
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).map_err(|e| format!("{} cannot be written: {e}", path.display()))
    };
    std::fs::create_dir_all(dir.join("src"))
        .map_err(|e| format!("{} cannot be made: {e}", dir.display()))?;
    let core = root.join("crates").join("atrion-core");
    // In TOML's basic strings a backslash escapes, as paths of some systems hold it.
    let core = core.display().to_string().replace('\\', "\\\\");
    write(&dir.join("Cargo.toml"), &MANIFEST.replace("@CORE@", &core))?;
    write(&dir.join("src").join("lib.rs"), SOURCE)?;
    // The workspace's versions, so that the probe neither drifts nor asks a registry.
    std::fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock"))
        .map_err(|e| format!("the lock file cannot be copied: {e}"))?;
    Ok(dir.join("Cargo.toml"))
}
