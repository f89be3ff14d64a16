//! The soak.

use std::ffi::OsString;
use std::path::Path;

use crate::program::Program;
use crate::setup;

const SOAK: Program = Program {
    name: "atrion-soak",
    title: "the soak",
    quietly: false,
    features: &[],
    output: Some(("ATRION_SOAK_OUT", "soak-report")),
};

/// Builds the soak and runs it with the user's arguments; `false` if something did not hold.
///
/// # Errors
///
/// A sentence if it cannot be built or started, or if a server is needed and cannot be had.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    let needs_servers =
        !args.iter().any(|arg| arg == "--help" || arg == "-h" || arg == "--schedule");
    if needs_servers {
        setup::redis(root)?;
        setup::postgres(root)?;
    }
    println!("==> building the soak");
    SOAK.run(root, args)
}
