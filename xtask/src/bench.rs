//! The measuring program.

use std::ffi::OsString;
use std::path::Path;

use crate::program::Program;

const BENCH: Program = Program {
    name: "atrion-bench",
    title: "the measuring program",
    quietly: true,
    features: &[],
    output: Some(("ATRION_BENCH_OUT", "bench-report")),
};

/// Builds the measuring program and runs it with the user's arguments. It builds what it measures
/// itself, stage by stage.
///
/// # Errors
///
/// A sentence if it cannot be built or started.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    BENCH.run(root, args)
}
