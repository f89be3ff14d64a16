//! The demonstration service, load generator and reporter (under construction).
fn main() {}
