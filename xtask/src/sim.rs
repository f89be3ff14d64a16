//! The simulator.

use std::ffi::OsString;
use std::path::Path;

use crate::program::Program;

const SIMULATOR: Program = Program {
    name: "atrion-sim",
    title: "the simulator",
    quietly: true,
    features: &["tool", "cluster"],
    output: None,
};

/// Builds the simulator and runs it with the user's arguments.
///
/// # Errors
///
/// A sentence if it cannot be built or started.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    SIMULATOR.run(root, args)
}
