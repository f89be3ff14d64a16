//! The demonstration.

use std::ffi::OsString;
use std::path::Path;

use crate::program::Program;
pub(crate) use crate::program::target_dir;
use crate::setup;

/// What the demonstration exits with when the machine was too busy for a verdict.
pub(crate) const TOO_BUSY: i32 = 3;

pub(crate) const DEMO: Program = Program {
    name: "atrion-demo",
    title: "the demonstration",
    quietly: false,
    features: &[],
    output: Some(("ATRION_DEMO_OUT", "demo")),
};

/// Builds the demonstration and runs it with the user's arguments; `false` if it reported a failure.
///
/// # Errors
///
/// A sentence if it cannot be built or started, or if `redis-server` is needed and cannot be had.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    if args.iter().any(|arg| arg == "--cluster") {
        setup::redis(root)?;
    }
    println!("==> building the demonstration");
    // The crates of others are built for who compares them only.
    if args.iter().any(|arg| arg == "--peers") {
        return Program { features: &["peers"], ..DEMO }.run(root, args);
    }
    DEMO.run(root, args)
}
