//! What is fuzzed: one entry each. A further target is a function and a line in [`TARGETS`].

mod license;
mod operations;
mod trace;
mod wire;

/// A parser to be fed.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name on the command line, and of its folder in `testdata/fuzz/`.
    pub(crate) name: &'static str,
    /// Words that mean something to it.
    pub(crate) words: &'static [&'static [u8]],
    /// Feeds it one input and names what came of that. Panics if the parser does, or if it
    /// breaks a promise.
    pub(crate) run: fn(&[u8]) -> &'static str,
}

/// All targets.
pub(crate) const TARGETS: &[Target] = &[
    license::KEY,
    license::CLAIMS,
    license::KEYFILE,
    trace::FILE,
    trace::RECORDS,
    wire::FRAME,
    operations::SEQUENCE,
];
